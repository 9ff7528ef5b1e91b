"""Practices in the text of a file: the signs of those that it uses, the words for those that it names, and faults."""

import ast
import textwrap

import pytest

from lrgen.records import PracticeKind
from lrgen.source.practice_faults import faults, guards_skipped_updates
from lrgen.source.practice_signs import signs
from lrgen.source.practice_words import said
from tests.paths import GENERATED

# Statements as people write them, with the practice that they show; empty where the kind alone is seen.
USES = {
    "with torch.autocast('cuda', dtype=torch.bfloat16):\n    loss = net(x)": ("precision", "bf16"),
    "with torch.cuda.amp.autocast():\n    loss = net(x)": ("precision", ""),
    "with autocast(device_type='cuda', dtype=torch.half):\n    loss = net(x)": ("precision", "fp16"),
    "with autocast():\n    loss = net(x)\nscaler = torch.cuda.amp.GradScaler()": ("precision", "fp16"),
    "if (i + 1) % accumulation_steps == 0:\n    optimizer.step()\n    optimizer.zero_grad()": ("accumulation", ""),
    "if i % 4 == 3 or i + 1 == len(loader):\n    self.scaler.step(self.opt)": ("accumulation", ""),
    "if seen >= self.accum_size:\n    self.optim.step()": ("accumulation", ""),
    "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)": ("clipping", "clip_norm"),
    "for p in net.parameters():\n    p.grad.data.clamp_(-1, 1)": ("clipping", "clip_value"),
    "ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))": ("ema", "ema"),
    "ema = ModelEmaV2(net, decay=0.9999)": ("ema", "ema"),
    "for e, p in zip(ema.parameters(), net.parameters()):\n    e.data.mul_(d).add_(p.data, alpha=1 - d)": (
        "ema",
        "ema",
    ),
    "for k, v in net.state_dict().items():\n    s[k] = decay * s[k] + (1 - decay) * v": ("ema", "ema"),
    "swa_net = torch.optim.swa_utils.AveragedModel(net)": ("averaging", "swa"),
    "for a, p in zip(m.parameters(), net.parameters()):\n    a.lerp_(p, 1 / n)": ("averaging", "swa"),
    "criterion = nn.CrossEntropyLoss(label_smoothing=0.1)": ("label_smoothing", "label_smoothing"),
    "criterion = LabelSmoothingCrossEntropy(0.1)": ("label_smoothing", "label_smoothing"),
    "lam = np.random.beta(0.2, 0.2)\nx = lam * x + (1 - lam) * x[torch.randperm(len(x))]": ("mixup", "mixup"),
    "x, a, b, lam = mixup_data(x, y)": ("mixup", "mixup"),
    "lam = Beta(1, 1).sample()\no = randperm(8)\nx[:, :, a:b, c:d] = x[o, :, a:b, c:d]": ("mixup", "cutmix"),
    "box = rand_bbox(x.size(), lam)": ("mixup", "cutmix"),
    "def learn(self, data):\n    data = DataLoader(Subset(data.dataset, easy), 8)": ("curriculum", ""),
    "keep = self.pacing_function(epoch)": ("curriculum", ""),
}
# Statements that resemble a practice and are none.
OTHERS = (
    "with torch.autocast('cuda', enabled=False):\n    loss = net(x)",
    "criterion = nn.CrossEntropyLoss(label_smoothing=0.0)",
    "if step % 100 == 0:\n    scheduler.step()",
    "if step % 100 == 0:\n    print(loss)",
    "total_accuracy = accumulate(accuracies)",
    "for p in net.parameters():\n    momentum_buffer.mul_(0.9).add_(p.grad)",
    "for group in self.param_groups:\n    for z in group['params']:\n        z.lerp_(p, 0.1)",
    "self.loss_ema = 0.9 * self.loss_ema + (1 - 0.9) * loss.item()",
    "update_bn(loader, net)",
    "scheduler = SWALR(optimizer, swa_lr=0.05)",
    "class Mixup:\n    def mix(self, x):\n        return x",
    "noise = Beta(2, 2).sample()",
    "train = Subset(dataset, range(100))",
    "x = torch.linspace(0, 1, spacing)",
    "x = x.clamp_(0, 1)",
)
SAID = {
    "Trains in mixed precision.": {"precision"},
    "ResNet with gradient accumulation and gradient clipping": {"accumulation", "clipping"},
    "An exponential moving average of the weights is evaluated.": {"ema"},
    "SWA over the last epochs. Label smoothing of 0.1.": {"averaging", "label_smoothing"},
    "Cosine decay to an SWA learning rate.": set(),
    "Self-paced learning; mix-up of images.": {"curriculum", "mixup"},
    "It keeps an EMA of the loss.": set(),
    "A plain loop without mixup.": set(),
    "A plain loop without mixup. It uses label smoothing.": {"label_smoothing"},
}
SCALER = """
scaler = GradScaler()
for x, y in loader:
    {backward}
    {between}
    scaler.step(optimizer)
    {after}
"""
GOOD = {"backward": "scaler.scale(net(x)).backward()", "between": "pass", "after": "scaler.update()"}
FAULTS = {
    SCALER.format(**GOOD): "",
    SCALER.format(**{**GOOD, "backward": "net(x).backward()"}): "the loss is never scaled",
    SCALER.format(**{**GOOD, "after": "pass"}): "the scale of the loss never changes",
    SCALER.format(**{**GOOD, "between": "clip_grad_norm_(p, 1)"}): "scaled gradients are clipped",
    SCALER.format(**{**GOOD, "between": "scaler.unscale_(optimizer); clip_grad_norm_(p, 1)"}): "",
    "average = AveragedModel(net)": "AveragedModel is never updated",
    "net = BatchNorm2d(3)\naverage = AveragedModel(net)\naverage.update_parameters(net)": "the averaged weights need",
    "net = BatchNorm2d(3)\na = AveragedModel(net)\na.update_parameters(net)\nupdate_bn(loader, a)": "",
    "net = BatchNorm2d(3)\na = AveragedModel(net, use_buffers=True)\na.update_parameters(net)": "",
    "net = LayerNorm(3)\na = AveragedModel(net)\na.update_parameters(net)": "",
}


@pytest.mark.parametrize("text", USES)
def test_a_practice_is_seen_where_it_is_used(text):
    """Each statement shows its practice and no other, with the line."""
    [sign] = signs(ast.parse(text))
    assert (sign.kind, sign.practice) == USES[text]
    assert 1 <= sign.line <= len(text.splitlines())


@pytest.mark.parametrize("text", OTHERS)
def test_what_resembles_a_practice_is_none(text):
    """Metrics, optimizers, schedules and classes that are never used show no practice."""
    assert signs(ast.parse(text)) == []


def test_a_rendered_file_shows_its_practice_and_no_other(catalogue):
    """The code of each file of ResNet with a practice shows that one, and that of a file without one shows none."""
    numbers = [variant.number for variant in catalogue.with_practice] + [*range(1, 178, 8), 34, 160, 165, 176, 177]
    for number in numbers:
        variant = catalogue.variant(str(number))
        tree = ast.parse((GENERATED / "ResNet" / f"{variant.key}.py").read_text())
        kinds = [variant.practice.kind] if variant.practice else []
        seen = signs(tree)
        assert [sign.kind for sign in seen] == kinds, variant.label
        if seen and seen[0].practice:
            assert seen[0].practice == variant.practice.name
        assert list(faults(tree)) == []
        assert set(said(tree)) <= set(kinds), variant.label


@pytest.mark.parametrize("text", SAID)
def test_a_practice_is_named_by_words(text):
    """A docstring names a practice, unless the sentence has a negation or says something else by the word."""
    assert set(said(ast.parse(f'"""{text}"""'))) == {PracticeKind(kind) for kind in SAID[text]}


def test_the_name_of_a_file_names_a_practice():
    """A file and a class may be called after a practice."""
    assert set(said(ast.parse(""), "resnet_label-smoothing")) == {PracticeKind.LABEL_SMOOTHING}


@pytest.mark.parametrize("text", FAULTS)
def test_calls_that_are_missing_are_said(text):
    """A gradient scaler or an average that lacks a call that it needs is said, with the call; a whole one is not."""
    sentences = list(faults(ast.parse(textwrap.dedent(text))))
    assert [sentence[: len(FAULTS[text])] for sentence in sentences] == [FAULTS[text]] * bool(FAULTS[text])


@pytest.mark.parametrize(
    ("text", "guarded"), [("if scaler.get_scale() >= before:\n    s.step()", True), ("scaler.state_dict()", False)]
)
def test_a_look_at_the_scale_guards_the_schedule(text, guarded):
    """A file that compares the scale of the loss can tell which updates are skipped; one that saves it does not."""
    assert guards_skipped_updates(ast.parse(text)) is guarded
