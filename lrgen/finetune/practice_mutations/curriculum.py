"""Mutations of curricula: common mistakes with the examples that are in use, and with self-paced weights."""

import re
from collections.abc import Iterator

from lrgen.finetune.replacing import Mutation, each_match, replaced, substituted
from lrgen.source.edit import Code

_EASY, _HARD = "device).argsort(stable=True)", "device).argsort(descending=True, stable=True)"
_BY_LOSS = r"^        order = (?:\(\n +)?(torch\.cat\(losses\)\.to\(labels\.device\)\.argsort\([^)\n]*\))\n(?: +\)\n)?"
_PROGRESS = "epoch / (self.full_fraction * self.epochs)"
_GROWING = "(1.0 - self.start_fraction) * "
_COUNT = "        return min(num_examples, max(batch_size, examples))\n"
_FIRST = "        chosen = order[:count]\n"
_START = "        start = math.floor(progress * (len(order) - count) + 1e-9)\n"
_SHUFFLED = "        chosen = chosen[torch.randperm(count).to(chosen.device)]\n"
_AFTER_LOSSES = "        self.train()\n        order = "
_BEFORE_LOSSES = "        self.eval()\n        with torch.no_grad():\n"
_CLASSES = re.compile(
    r"^        # The easiest examples of each class .*\n(?:        .*\n)+?(?=        batch_size = )", re.M
)
_HORIZON = """\
            total_steps = sum(
                self.updates_in(epoch, num_examples, batch_size)
                for epoch in range(self.epochs)
            )
"""
_EPOCH = r"^        epoch = self\.(?:scheduler\.last_epoch(?: // len\(train_data\))?|epoch_after\(.*\))\n"
_COUNTED = """\
        self.epoch = getattr(self, "epoch", -1) + 1
        epoch = self.epoch
"""
_RAISED = r"            raise ValueError\((?:\n +)?f\".*\"(?:\n +)?\)\n"
_SELF_PACED_EPOCH = "        epoch = self.scheduler.last_epoch // len(train_data)\n"
_NO_GROWTH = "        growth = (1.0 + self.threshold_growth) ** (epoch - 1)\n"
_ALL_AT_FIRST = """\
        if epoch == 0:
            # The losses of a new network say little about the examples.
            return self.criterion(logits, labels)
"""
_HARD_WEIGHTS = "        return self.criterion(logits[easy], labels[easy])\n"
_SOFT_WEIGHTS = "weights = (1.0 - losses.detach() / threshold).clamp(min=0.0)"
_MEAN = "        return (weights * losses).sum() / weights.sum()\n"
_SCALE = " * 2.0 * math.log(logits.shape[1])"
_NO_EXAMPLE = """\
        if not weights.any():
            # The easiest example of a batch always counts.
            weights = (losses == losses.min()).float()
"""


def _other_order(code: Code) -> Iterator[str]:
    yield from replaced((_EASY, _HARD))(code)
    yield from replaced((_HARD, _EASY))(code)


def _other_pacing(code: Code) -> Iterator[str]:
    """Linear instead of another pacing, and quadratic instead of linear."""
    for growth in ("progress**2", "math.sqrt(progress)", "growth"):
        yield from replaced((f"{_GROWING}{growth}\n", f"{_GROWING}progress\n"))(code)
    yield from replaced((f"{_GROWING}progress\n", f"{_GROWING}progress**2\n"))(code)


def _unbalanced(code: Code) -> Iterator[str]:
    yield _CLASSES.sub("", code.text)


OF_CURRICULUM: tuple[tuple[str, Mutation], ...] = (
    ("all examples from the start", replaced((_COUNT, "        return num_examples\n"))),
    ("other order of the examples", _other_order),
    (
        "order of the data instead of the losses",
        substituted((_BY_LOSS, "        order = torch.arange(len(labels), device=labels.device)\n")),
    ),
    (
        "random order of the examples",
        substituted((_BY_LOSS, "        order = torch.randperm(len(labels), device=labels.device)\n")),
    ),
    (
        "losses of the first epoch kept",
        substituted((_BY_LOSS, "        if epoch == 0:\n            self.order = \\1\n        order = self.order\n")),
    ),
    ("losses in training mode", replaced((_BEFORE_LOSSES, "        with torch.no_grad():\n"))),
    ("training in evaluation mode", replaced((_AFTER_LOSSES, "        order = "))),
    (
        "pacing one epoch early",
        each_match(rf"\b{re.escape(_PROGRESS)}(?=\)\n(?!        start))", f"(epoch + 1){_PROGRESS[5:]}"),
    ),
    ("pacing one epoch early", replaced(("if epoch >= self.full_fraction", "if epoch + 1 >= self.full_fraction"))),
    ("other pacing", _other_pacing),
    ("pacing over all of training", each_match(re.escape(_PROGRESS), "epoch / self.epochs")),
    ("pacing over all of training", replaced(("epoch >= self.full_fraction * self.epochs", "epoch >= self.epochs"))),
    (
        "number of examples rounded down",
        each_match(r"math\.ceil\((?=(?:share|self\.start_fraction) \*)", "math.floor("),
    ),
    ("fewer examples than a batch", replaced((_COUNT, "        return min(num_examples, examples)\n"))),
    ("random examples of all", replaced((_FIRST, "        chosen = torch.randperm(len(order))[:count]\n"))),
    ("examples not shuffled", replaced((_SHUFFLED, ""))),
    (
        "fractions not checked",
        each_match(rf"^        if not 0\.0 < self\.\w+ <= 1\.0:\n{_RAISED}", ""),
    ),
    ("window does not slide", replaced((_START, "        start = 0\n"))),
    ("window slides beyond its end", replaced((_START, _START.replace(" - count", "")))),
    (
        "window over all examples",
        replaced(
            (_START + "        chosen = order[start : start + count]\n", "        chosen = order\n"),
            (_SHUFFLED, "        chosen = chosen[torch.randperm(len(order)).to(chosen.device)][:count]\n"),
        ),
    ),
    ("classes not balanced", _unbalanced),
    ("horizon of all batches", replaced((_HORIZON, "            total_steps = self.epochs * len(train_data)\n"))),
    ("epoch counted in all batches", substituted((r"^        epoch = self\.epoch_after\(.*\)\n", _SELF_PACED_EPOCH))),
    ("epoch not restored", substituted((_EPOCH, _COUNTED))),
    ("threshold from the first epoch", replaced((_ALL_AT_FIRST, ""))),
    ("threshold one epoch late", replaced(("if epoch == 0:", "if epoch <= 1:"))),
    ("threshold does not rise", replaced((_NO_GROWTH, _NO_GROWTH.replace(" ** (epoch - 1)", "")))),
    (
        "threshold rises linearly",
        replaced((_NO_GROWTH, "        growth = 1.0 + self.threshold_growth * (epoch - 1)\n")),
    ),
    (
        "threshold rises in every batch",
        replaced((_SELF_PACED_EPOCH, _SELF_PACED_EPOCH.replace(" // len(train_data)", ""))),
    ),
    ("threshold without its unit", replaced((_SCALE, ""))),
    ("hard examples count", replaced(("losses < threshold", "losses > threshold"))),
    ("all examples count alike", replaced((_HARD_WEIGHTS, "        return self.criterion(logits, labels)\n"))),
    ("all examples count alike", replaced((_MEAN, "        return losses.mean()\n"))),
    ("mean over all examples", replaced((_MEAN, "        return (weights * losses).mean()\n"))),
    (
        "mean over all examples",
        replaced((_HARD_WEIGHTS, "        return (losses * easy).mean()\n")),
    ),
    ("weights differentiated", replaced(("losses.detach() / threshold", "losses / threshold"))),
    ("hard instead of soft weights", replaced((_SOFT_WEIGHTS, "weights = (losses < threshold).float()"))),
    ("batch without an example", replaced((_NO_EXAMPLE, ""))),
    ("batch without an example", replaced(("(losses < threshold) | (losses == losses.min())", "losses < threshold"))),
    (
        "threshold not checked",
        each_match(rf"^        if not self\.(?:start_threshold|threshold_growth) .*:\n{_RAISED}", ""),
    ),
)
