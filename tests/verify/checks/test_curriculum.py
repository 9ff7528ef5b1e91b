"""Files that claim a curriculum: those that have it, and one for each way of not having it, with its reason."""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen.curves import pacing
from lrgen.verify.checks.failure import CheckFailure

EPOCH, BATCH = "easy_first_linear_multistep", "easy_first_linear_wsd_linear"
WINDOW, BALANCED = "sliding_window_exponential", "class_balanced_linear_sigmoid"
HARD, SOFT = "self_paced_hard_onecycle", "self_paced_soft_cosine"
SOME = {EPOCH, BATCH, SOFT}  # the slow tests check the others
NAMES = [variant.name for variant in catalogues.load().of_practice("curriculum")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SOME else [pytest.mark.slow]) for name in NAMES]
)
def test_a_rendered_file_has_the_curriculum_that_it_claims(check, text_of, name):
    """A rendered file trains on the examples of its practice, and resumes with them."""
    [evidence] = check(text_of(name), name)
    assert ("weighted losses" if name.startswith("self_paced") else "pacing function") in evidence


PACINGS = [practice.name for practice in catalogues.load().practices if practice.constants.get("pacing")]


@pytest.mark.parametrize("name", PACINGS)
def test_a_rendered_file_uses_as_many_examples_as_the_pacing_function_says(tiny, text_of, name):
    """The number is exact for fractions whose products with it are integers but for rounding errors."""
    practice = tiny.practice(name)
    module: dict[str, Any] = {"__name__": "file"}
    exec(text_of(tiny.of_practice(name)[0].name), module)
    for epochs, start, full, count in itertools.product((7, 12, 30), (0.25, 0.3, 0.5), (0.4, 0.6), (36, 600)):
        share = pacing.SHARES[practice.constants["pacing"]](
            range(epochs), epochs, start_fraction=start, full_fraction=full
        )
        net = SimpleNamespace(epochs=epochs, start_fraction=start, full_fraction=full)
        used = [module["Net"].examples_in_use(net, epoch, count, 6) for epoch in range(epochs)]
        assert used == pacing.examples(share, count, 6).tolist()


@dataclass(frozen=True)
class Fault:
    """A change of a rendered file, and the pattern of the reason for which the check fails."""

    variant: str
    old: str
    new: str
    reason: str


LOSSES = "the loss .*, expected one with the loss"
FAULTS = {
    "all examples from the start": Fault(
        EPOCH, "chosen = order[:count]", "chosen, count = order, len(order)", "23 examples in epoch 1 of 8, expected 6"
    ),
    "the hard examples first": Fault(EPOCH, "argsort(stable=True)", "argsort(descending=True, stable=True)", LOSSES),
    "a random order": Fault(EPOCH, "chosen = order[:count]", "chosen = torch.randperm(len(order))[:count]", LOSSES),
    "the order of the labels": Fault(EPOCH, "chosen = order[:count]", "chosen = labels.argsort()[:count]", LOSSES),
    "an order that is kept from the first epoch": Fault(
        EPOCH,
        "        batch_size = len(batches[0][1])\n",
        "        self.kept = order = getattr(self, 'kept', order)\n        batch_size = len(batches[0][1])\n",
        LOSSES,
    ),
    "losses in training mode of other weights": Fault(EPOCH, "torch.cat(losses)", "torch.cat(losses).flip(0)", LOSSES),
    "quadratic instead of linear pacing": Fault(
        EPOCH,
        "self.start_fraction) * progress",
        "self.start_fraction) * progress**2",
        "examples in epoch 2 of 8, expected",
    ),
    "no end of the growth": Fault(
        EPOCH, "share = self.start_fraction +", "share = 0.95 * self.start_fraction + 0.95 *", "examples in epoch"
    ),
    "a fraction of training that is ignored": Fault(
        EPOCH, "epoch / (self.full_fraction * self.epochs)", "epoch / self.epochs", "examples in epoch 2 of 8, expected"
    ),
    "fractions that are ignored": Fault(
        EPOCH,
        "share = self.start_fraction + (1.0 - self.start_fraction) * progress",
        "share = 0.25 + 0.75 * min(1.0, epoch / (0.6 * self.epochs))",
        "examples in epoch",
    ),
    "fewer examples than a batch": Fault(
        EPOCH, "max(batch_size, examples)", "max(1, examples // 3)", "trains on 2 examples in epoch 1 of 8, expected 6"
    ),
    "at least one example": Fault(
        EPOCH, "max(batch_size, examples)", "max(1, examples)", "trains on [234] examples in epoch 1 of 2, expected 5"
    ),
    "examples that are not shuffled": Fault(
        EPOCH,
        "chosen = chosen[torch.randperm(count).to(chosen.device)]",
        "chosen = chosen.clone()",
        "does not shuffle the examples in use in epoch . of 8",
    ),
    "examples that are not shuffled in a window": Fault(
        WINDOW,
        "chosen = chosen[torch.randperm(count).to(chosen.device)]",
        "chosen = chosen.flip(0)",
        "does not shuffle the examples in use in epoch . of 8",
    ),
    "an example that is lost": Fault(
        EPOCH, "chosen = order[:count]", "chosen = order[: count - 1]", "trains on|raises"
    ),
    "an example twice": Fault(
        EPOCH,
        "            yield images",
        "            indices = indices.clone()\n            indices[-1] = chosen[0]\n            yield images",
        "trains on an example twice in epoch 1 of 8",
    ),
    "images that are changed": Fault(
        EPOCH, "yield images[indices]", "yield 1.1 * images[indices]", "not those of its loader"
    ),
    "labels of other examples": Fault(
        EPOCH,
        "yield images[indices], labels[indices]",
        "yield images[indices], labels[indices].flip(0)",
        "is not that of its examples",
    ),
    "one update an epoch": Fault(
        EPOCH, "self.updates_in(epoch, len(order), batch_size)", "1", "makes 1 updates in epoch 1 of 8, expected 2"
    ),
    "batches of one example": Fault(
        EPOCH, "self.updates_in(epoch, len(order), batch_size)", "count", "makes 6 updates"
    ),
    "a horizon of all batches": Fault(
        BATCH,
        "            total_steps = sum(\n"
        "                self.updates_in(epoch, num_examples, batch_size)\n"
        "                for epoch in range(self.epochs)\n"
        "            )\n",
        "            total_steps = self.epochs * len(train_data)\n",
        "the learning rate at update|resuming a run raises ValueError: expected a state of .*, 38",
    ),
    "a schedule that counts epochs": Fault(
        BATCH,
        "            self.optimizer.step()\n            self.scheduler.step()\n",
        "            self.optimizer.step()\n",
        "the learning rate at update .*|examples in epoch",
    ),
    "an epoch that is counted in the process": Fault(
        EPOCH,
        "        epoch = self.scheduler.last_epoch\n",
        "        self.seen = epoch = getattr(self, 'seen', -1) + 1\n",
        "a resumed run trains on other examples in epoch 3 of 8",
    ),
    "an order that the process keeps": Fault(
        EPOCH,
        "torch.randperm(count)",
        "torch.randperm(count, generator=torch.Generator().manual_seed(self.again()))",
        "a resumed run trains on other examples",
    ),
    "a window that stays": Fault(WINDOW, "math.floor(progress * (len(order) - count) + 1e-9)", "0", LOSSES),
    "a window without an end": Fault(
        WINDOW, "            return num_examples\n", "            pass\n", "examples in epoch 6 of 8"
    ),
    "classes that are not balanced": Fault(
        BALANCED,
        "order = order[ranks[order].argsort(stable=True)]",
        "order = order[order >= 0]",
        LOSSES + "|classes are not",
    ),
    "one class first": Fault(
        BALANCED,
        "order = order[ranks[order].argsort(stable=True)]",
        "order = order[labels[order].argsort(stable=True)]",
        LOSSES,
    ),
    "gradients that add up": Fault(
        EPOCH,
        "self.optimizer.zero_grad()",
        "self.optimizer.zero_grad",
        "the gradient of update 2 in epoch 1 of . is not that of its examples",
    ),
    "fractions that are not checked": Fault(
        EPOCH, "if not 0.0 < self.start_fraction <= 1.0:", "if False:", "train_setup accepts start_fraction 0"
    ),
    "an end that is not checked": Fault(
        EPOCH,
        "if not 0.0 < self.full_fraction <= 1.0:",
        "if self.full_fraction <= 0.0:",
        "train_setup accepts full_fraction 1.5",
    ),
    "self-paced without weights": Fault(
        HARD,
        "return self.criterion(logits[easy], labels[easy])",
        "return self.criterion(logits, labels)",
        "the gradient of update .* is not that of its examples",
    ),
    "self-paced with the hard examples": Fault(
        HARD, "losses < threshold", "losses > threshold", "the gradient of update .* is not that of its examples"
    ),
    "a threshold that stays": Fault(
        SOFT, "(1.0 + self.threshold_growth) ** (epoch - 1)", "1.0", "update . in epoch 3 of 5"
    ),
    "a threshold for each batch": Fault(
        HARD, "self.scheduler.last_epoch // len(train_data)", "self.scheduler.last_epoch", "the gradient of update .*"
    ),
    "a mean over all examples": Fault(
        SOFT, "(weights * losses).sum() / weights.sum()", "(weights * losses).mean()", "the gradient of update .*"
    ),
    "weights that are differentiated": Fault(
        SOFT, "losses.detach() / threshold", "losses / threshold", "the gradient of update"
    ),
    "hard instead of soft weights": Fault(
        SOFT,
        "(1.0 - losses.detach() / threshold).clamp(min=0.0)",
        "(losses.detach() < threshold).float()",
        "the gradient of update",
    ),
    "a threshold that the process counts": Fault(
        SOFT,
        "        epoch = self.scheduler.last_epoch\n",
        "        self.seen = epoch = getattr(self, 'seen', -1) + 1\n",
        "the gradient of update 1 in epoch 3 of 5 is another one in a resumed run",
    ),
    "no hard weights where all losses are high": Fault(
        HARD, " | (losses == losses.min())", "", "raises|is not that of its examples|nan|is not finite"
    ),
    "no soft weights where all losses are high": Fault(
        SOFT, "if not weights.any():", "if False:", "raises|is not that of its examples|nan|is not finite"
    ),
    "another default of the threshold": Fault(
        HARD, '"start_threshold", 0.5', '"start_threshold", 1.0', "update . in epoch 2 of 2 is not that of its examples"
    ),
    "another default of the growth": Fault(
        HARD, '"threshold_growth", 0.5', '"threshold_growth", 0.25', "is not that of its examples"
    ),
    "a threshold that rises linearly": Fault(
        HARD,
        "(1.0 + self.threshold_growth) ** (epoch - 1)",
        "1.0 + self.threshold_growth * (epoch - 1)",
        "the gradient of update . in epoch . of 5 is not that of its examples",
    ),
    "a threshold in the first epoch": Fault(
        HARD, "if epoch == 0:", "if False:", "the gradient of update . in epoch 1 of . is not that of its examples"
    ),
    "no threshold where there are many batches": Fault(
        SOFT,
        "        epoch = self.scheduler.last_epoch\n",
        "        epoch = self.scheduler.last_epoch if len(train_data) < 5 else 0\n",
        "the gradient of update . in epoch 2 of .* is not that of its examples",
    ),
    "no threshold in the second epoch": Fault(
        SOFT, "if epoch == 0:", "if epoch <= 1:", "the gradient of update . in epoch 2 of . is not that of its examples"
    ),
    "a negative growth": Fault(
        SOFT, "if not self.threshold_growth >= 0.0:", "if False:", "accepts threshold_growth -0.5"
    ),
}
AGAIN = '''    def again(self) -> int:
        """Count the calls in this process."""
        self.calls = getattr(self, "calls", 0) + 1
        return self.calls

'''


FAST = {
    "all examples from the start",
    "labels of other examples",
    "a horizon of all batches",
    "self-paced without weights",
}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=name, marks=[] if name in FAST else [pytest.mark.slow]) for name, fault in FAULTS.items()],
)
def test_each_fault_fails_with_its_reason(check, text_of, fault):
    """A file that claims a curriculum and has one fault fails, and the reason names the fault."""
    text = text_of(fault.variant)
    assert fault.old in text
    changed = text.replace(fault.old, fault.new).replace("    def examples_in_use", f"{AGAIN}    def examples_in_use")
    with pytest.raises(CheckFailure, match=fault.reason):
        check(changed, fault.variant)
