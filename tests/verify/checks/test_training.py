"""What the training check finds in files that follow their schedule and still do not train as they say."""

from pathlib import Path

import numpy as np
import pytest

from lrgen import curves, data
from lrgen.catalogue import Catalogue
from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import training
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place
from tests.paths import FIXTURES

HONEST = (FIXTURES / "training" / "passes_epoch_unit.py").read_text()
SCHEDULE_FREE = (FIXTURES / "training" / "passes_schedule_free.py").read_text()
STEP = "            self.optimizer.step()\n"
BACKWARD = "            loss.backward()\n"
LOSS = "            loss = self.criterion(logits, labels)\n"
NORM = "self.bn = nn.BatchNorm2d(out_channels)"
BLOCKS = "        x = self.blocks(self.stem(x))\n"
SETUP = "        self.criterion = nn.CrossEntropyLoss()\n"
AUX = "        self.aux = nn.Linear(32, out_shape[0])\n"
AUXILIARY = "        return (logits, self.aux(x.mean(dim=(2, 3)))) if self.training else logits\n"
OWN_CRITERION = """class Criterion(nn.CrossEntropyLoss):
    def __init__(self, lr):
        super().__init__()
        self.factor = 0.3 * lr**-0.5

    def forward(self, logits, labels):
        return self.factor * super().forward(logits, labels)


"""
OWN_NORM = """class Norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("means", torch.zeros(channels, 1, 1))
        self.register_buffer("variances", torch.ones(channels, 1, 1))

    def forward(self, x):
        if self.training:
            mean, variance = x.mean(dim=(0, 2, 3), keepdim=True)[0], x.var(dim=(0, 2, 3), keepdim=True)[0]
            with torch.no_grad():
                self.means.lerp_(mean, 0.1)
                self.variances.lerp_(variance, 0.1)
        else:
            mean, variance = self.means, self.variances
        return (x - mean) * (variance + 1e-5).rsqrt() * self.weight + self.bias


"""
POOLED = "        return self.fc(x.mean(dim=(2, 3)))\n"


@pytest.fixture(scope="module")
def nursery():
    """One nursery for all files."""
    with Nursery() as started:
        yield started


@pytest.fixture(scope="module")
def examine(nursery: Nursery, catalogue: Catalogue):
    """Run the training check of a text; returns the evidence, or raises what the check raises."""
    digits = data.load("digits")

    def run(text: str, number: int = 1, case_seed: int = 1) -> Examination:
        variant = catalogue.variant(number)
        curves.exists(variant)
        candidate = candidate_of(Path("file.py"), text.encode(), variant=variant)
        candidate = Candidate(**{**vars(candidate), "prm": {"lr": 0.1, "momentum": 0.9, "dropout": 0.2}})
        place = Place(Mechanism.PROCESS, Limits(seconds=120))
        examination = Examination(
            candidate, VerifySettings(), nursery, place, draw_for(case_seed, candidate.sha256), digits
        )
        examination.begin(Stage.TRAINING, None)
        try:
            training.run(examination)
        finally:
            examination.close()
        return examination

    return run


def changed(*replacements: tuple[str, str], text: str = HONEST) -> str:
    """An honest file with parts replaced, each of which it contains."""
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


def test_an_honest_file_passes_and_its_evidence_says_what_was_compared(examine):
    """The updates and a drawn gradient are compared, and the confusion matrix counts each held-out image."""
    examination = examine(HONEST)
    assert examination.evidence == [
        "observed gradients: each update of training is that of a reference optimizer",
        "the gradients of 5 drawn batches were computed again",
    ]
    digits = data.load("digits")
    for epoch in examination.epochs:
        assert [sum(row) for row in epoch.confusion] == np.bincount(digits.test_labels).tolist()


def test_two_runs_of_a_file_record_the_same(examine):
    """Images, their order and the initial weights depend on the training seed, not on the drawn cases."""
    first, second = (examine(HONEST, case_seed=seed) for seed in (1, 2))
    assert [epoch.confusion for epoch in first.epochs] == [epoch.confusion for epoch in second.epochs]
    assert [epoch.train_loss for epoch in first.epochs] == [epoch.train_loss for epoch in second.epochs]


@pytest.mark.parametrize("optimizer", ["AdamW", "Adagrad"])
def test_other_optimizers_are_followed(examine, optimizer):
    """The reference is that of the file's class with its settings."""
    text = changed(
        ("import SGD, Optimizer", f"import {optimizer}, Optimizer"),
        ('SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])', f"{optimizer}(self.parameters(), lr=0.1)"),
    )
    text = text.replace("lr=0.1)", 'lr=prm["lr"], weight_decay=0.01)')
    examination = examine(text)
    assert examination.evidence[0].startswith("observed gradients")


def test_gradients_that_are_clipped_are_those_of_the_criterion(examine):
    """A gradient that is clipped by its norm points into the direction of the criterion's."""
    clip = "            nn.utils.clip_grad_norm_(self.parameters(), 0.05)\n"
    assert "the gradients of 5 drawn batches were computed again" in examine(changed((STEP, clip + STEP))).evidence


def test_a_penalty_on_the_weights_is_a_term_of_its_own(examine):
    """L2 in the loss is measured as a gradient without images."""
    penalty = "            loss = loss + 1e-2 * sum(p.square().sum() for p in self.parameters())\n"
    evidence = examine(changed((LOSS, LOSS + penalty))).evidence
    assert "the gradients of 5 drawn batches were computed again, with a term of the loss of weights alone" in evidence


@pytest.mark.parametrize(
    ("replacements", "reason"),
    [
        (
            [(STEP, STEP + "            with torch.no_grad():\n                self.fc.weight.mul_(0.99)\n")],
            r"the weights do not move by .* in training at epoch 1, batch 1 of 25: a weight of fc\.weight is .*",
        ),
        (
            [
                (
                    "        return (correct / seen)",
                    "        with torch.no_grad():\n            self.fc.bias.add_(0.01)\n"
                    "        return (correct / seen)",
                )
            ],
            r"the weights change after the last batch \(in training at epoch 1\), where no update is",
        ),
        (
            [(STEP, STEP + '            self.optimizer.param_groups[0]["momentum"] *= 0.99\n')],
            r"the setting momentum of parameter group 1 changes from 0\.9 to 0\.89\d* in training at epoch 1, "
            r"batch 2 of 25, expected .*",
        ),
        (
            [
                (
                    "class ConvBlock",
                    "class Slow(SGD):\n    def step(self, closure=None):\n        for group in self.param_groups:\n"
                    '            group["lr"] /= 2\n        super().step()\n        for group in self.param_groups:\n'
                    '            group["lr"] *= 2\n\n\nclass ConvBlock',
                ),
                ("self.optimizer = SGD(", "self.optimizer = Slow("),
            ],
            r"the weights do not move by .*: a weight of .*, the update is 0\.5 times that of SGD \(A0_\d+ .*\)",
        ),
        (
            [(BACKWARD, "            (0.5 * loss).backward()\n")],
            r"the loss in training at epoch 1, batch 1 of 25 is .*, expected .*: that of the criterion for the logits "
            r"and the labels",
        ),
        (
            [
                (
                    "        return F.relu(self.bn(self.conv(x)))\n",
                    "        return F.relu(self.bn(self.conv(x)))\n\n    def train(self, mode=True):\n"
                    "        with torch.no_grad():\n            self.bn.weight.mul_(0.999)\n"
                    "        return super().train(mode)\n",
                )
            ],
            r"the weights change before the first batch \(in training at epoch 1\), where no update is",
        ),
    ],
    ids=["by hand", "after the data", "momentum", "own step", "scaled loss", "in evaluation"],
)
def test_weights_that_move_otherwise_fail(examine, replacements, reason):
    """The reason names the first update, and where one is by how much it is wrong."""
    with pytest.raises(CheckFailure, match=rf"^{reason}$"):
        examine(changed(*replacements))


def remembering(length: int) -> str:
    """The honest file, which answers in evaluation mode with ``length`` numbers a class that it keeps in a buffer."""
    return changed(
        (
            "        self.fc = nn.Linear(32, out_shape[0])\n",
            "        self.fc = nn.Linear(32, out_shape[0])\n"
            f'        self.register_buffer("sums", torch.zeros(out_shape[0], {length}))\n'
            '        self.register_buffer("counts", torch.zeros(out_shape[0], 1))\n',
        ),
        (
            POOLED,
            "        logits = 1e-3 * self.fc(x.mean(dim=(2, 3)))\n        if not self.training:\n"
            "            centroids = self.sums / self.counts.clamp_min(1)\n"
            "            logits = logits - torch.cdist(flat, centroids)\n        return logits\n",
        ),
        (
            "        x = self.blocks(self.stem(x))\n",
            f"        flat = x.flatten(1)[:, :{length}]\n        x = self.blocks(self.stem(x))\n",
        ),
        (
            LOSS,
            LOSS + f"            self.sums.index_add_(0, labels, images.flatten(1)[:, :{length}])\n"
            "            self.counts.index_add_(0, labels, torch.ones(len(labels), 1))\n",
        ),
    )


def test_a_network_that_remembers_images_in_buffers_fails(examine):
    """Centroids of the classes in a buffer are no statistics of a norm, whatever the parameters have learned."""
    with pytest.raises(CheckFailure, match=r"^the logits depend on what training has written into buffers \(sums, "):
        examine(remembering(3 * 32 * 32))


def test_statistics_of_a_norm_of_the_file_are_handed_over(examine):
    """A norm with buffers of its own, one number a channel each, is evaluated with what training has left in them."""
    text = changed((NORM, "self.bn = Norm(out_channels)"), ("class ConvBlock", OWN_NORM + "class ConvBlock"))
    assert examine(text).epochs[-1].accuracy > 0.5


@pytest.mark.parametrize(
    ("replacements", "reason"),
    [
        (
            [
                (
                    BACKWARD,
                    BACKWARD + "            if self.epochs > 1:\n                for param in self.parameters():\n"
                    '                    param.grad.mul_(self.base / self.optimizer.param_groups[0]["lr"])\n',
                ),
                (SETUP, SETUP + '        self.base, self.epochs = prm["lr"], 0\n'),
                ("        self.train()\n", "        self.train()\n        self.epochs += 1\n"),
            ],
            r"the gradient in training at epoch [2-5], batch \d+ of 25 is not that of the criterion with .*",
        ),
        (
            [
                ("class ConvBlock", OWN_CRITERION + "class ConvBlock"),
                ("self.criterion = nn.CrossEntropyLoss()", 'self.criterion = Criterion(prm["lr"])'),
            ],
            r"the gradient in training at epoch \d, batch \d+ of 25 differs from that of the same batch at the same "
            r"weights in another process: .*",
        ),
        (
            [(LOSS, LOSS + "            loss = loss * (0.9 if self.optimizer.state else 1.0)\n")],
            r"the loss in training at epoch 1, batch 2 of 25 is .*",
        ),
        (
            [
                (
                    LOSS,
                    LOSS + "            loss = loss + 1e-2 * sum(p.square().sum() for p in self.parameters())\n"
                    "            if self.optimizer.state and torch.rand(()) < 0.1:\n                loss = 2 * loss\n",
                )
            ],
            r"the (loss|gradient) in training at epoch \d, batch \d+ of 25 is .*",
        ),
    ],
    ids=["gradients of later epochs", "criterion", "all but the first batch", "beside a penalty"],
)
def test_losses_and_gradients_are_those_of_the_labels(examine, replacements, reason):
    """The loss of each update is that of its logits, and in each epoch the gradient of a batch is that of the loss."""
    with pytest.raises(CheckFailure, match=rf"^{reason}$"):
        examine(changed(*replacements))


@pytest.mark.parametrize(("scale", "fails"), [("", False), (" * (0.5 if self.optimizer.state else 1.0)", True)])
def test_each_output_has_a_constant_factor(examine, scale, fails):
    """An auxiliary classifier has a factor of its own, which the examiner does not know and which may not change."""
    text = changed(
        (POOLED, "        logits = self.fc(x.mean(dim=(2, 3)))\n" + AUXILIARY),
        ("        self.fc = nn.Linear(32, out_shape[0])\n", "        self.fc = nn.Linear(32, out_shape[0])\n" + AUX),
        ("            logits = self(images)\n", "            logits, aux = self(images)\n"),
        (LOSS, LOSS + f"            loss = loss + 0.3 * self.criterion(aux, labels){scale}\n"),
    )
    if fails:
        with pytest.raises(CheckFailure, match=r"^the loss in training at epoch \d, batch \d+ of 25 is "):
            examine(text)
    else:
        assert "by learn" in examine(text).evidence[1]


def test_evaluation_mode_may_not_bring_other_weights_back(examine):
    """eval() that restores the best weights is found with weights that are not the best, whatever the losses were."""
    text = changed(
        (
            "    def train_setup(",
            "    best = None\n\n    def eval(self):\n        if self.best is not None:\n"
            "            self.load_state_dict(self.best)\n        return super().eval()\n\n    def train_setup(",
        ),
        (
            "        return (correct / seen)",
            "        self.best = {name: value.clone() for name, value in self.state_dict().items()}\n"
            "        return (correct / seen)",
        ),
    )
    with pytest.raises(CheckFailure, match=r"^eval\(\) of the network changes its weights$"):
        examine(text)


def test_evaluation_may_not_change_buffers(examine):
    """A network that goes on with its statistics while it is evaluated fails."""
    text = changed(
        (NORM, NORM + "\n        self.bn.training = True\n        self.bn.train = lambda mode=True: self.bn")
    )
    with pytest.raises(CheckFailure, match=r"^the buffers of the network change while it is evaluated$"):
        examine(text)


def test_another_process_gives_the_logits_of_the_training(examine):
    """What a file keeps outside its network, and adds to its logits, is missing in a fresh process."""
    text = changed(
        (POOLED, "        return self.fc(x.mean(dim=(2, 3))) + self.extra\n"),
        ("    def train_setup(", "    extra = 0.0\n\n    def train_setup("),
        (
            "        return (correct / seen)",
            "        self.extra = torch.linspace(0, 1, 10)\n        return (correct / seen)",
        ),
    )
    with pytest.raises(CheckFailure, match=r"^the (saved state of epoch \d gives other logits|loss in training)"):
        examine(text)


def test_a_file_whose_classification_is_no_part_of_its_state_fails(examine):
    """A fresh process with the saved state has nothing that the training kept outside the network."""
    text = changed(
        ("class ConvBlock", "SUMS = torch.zeros(10, 3 * 32 * 32)\n\n\nclass ConvBlock"),
        (
            POOLED,
            "        logits = 1e-3 * self.fc(x.mean(dim=(2, 3)))\n        if not self.training:\n"
            "            logits = logits + F.normalize(flat) @ F.normalize(SUMS).T\n        return logits\n",
        ),
        (
            "        x = self.blocks(self.stem(x))\n",
            "        flat = x.flatten(1)\n        x = self.blocks(self.stem(x))\n",
        ),
        (LOSS, LOSS + "            SUMS.index_add_(0, labels, images.flatten(1))\n"),
    )
    with pytest.raises(CheckFailure, match=r"^the saved state of epoch \d has the accuracy 0\.\d+ in another"):
        examine(text)


def test_a_schedule_driven_by_a_claimed_loss_fails(examine):
    """The learning rates are those of the loss of the training, not of what the file feeds its scheduler."""
    text = (FIXTURES / "training" / "passes_metric_unit.py").read_text()
    assert "self.scheduler.step(" in text
    text = text.replace("self.scheduler.step(", "self.scheduler.step(1.0 + 0 * ")
    with pytest.raises(CheckFailure, match=r"^the learning rate in training at epoch \d, batch 1 of 25 is "):
        examine(text.replace('patience_fraction", 5 / 90', 'patience_fraction", 1 / 90'), 31)


def test_the_own_optimizer_of_a_variant_may_swap_its_weights_alone(examine):
    """Schedule-free weights at evaluation are the average; any other weights there are a fault."""
    assert examine(SCHEDULE_FREE, 177).evidence[0].startswith("observed gradients")
    other = changed(("if mode else x)", "if mode else 0.99 * x)"), text=SCHEDULE_FREE)
    with pytest.raises(CheckFailure, match=r"^the weights change for an evaluation \(in training at epoch 1\)"):
        examine(other, 177)
