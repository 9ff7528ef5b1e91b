"""Mutations of the training loop of a practice: common mistakes in what it does besides the schedule."""

import re
from collections.abc import Callable, Iterator

from lrgen.source.edit import Code

Mutation = Callable[[Code], Iterator[str]]


def _replaced(*replacements: tuple[str, str]) -> Mutation:
    """Replace each text that occurs exactly once; a text replaced by itself only has to occur."""

    def mutation(code: Code) -> Iterator[str]:
        text = code.text
        if all(text.count(old) == 1 for old, _ in replacements):
            for old, new in replacements:
                text = text.replace(old, new)
            yield text

    return mutation


# Accumulation.

_SUMMED = """\
            # The loss is a mean; sums over images add up to that of the large batch.
            (loss * len(labels)).backward()
"""
_COUNTED = "            num_accumulated += len(labels)\n"
_MEAN = """\
                for param in self.parameters():
                    if param.grad is not None:
                        param.grad /= num_accumulated
"""
_WHEN = "            if batch % self.accumulation_steps == 0 or batch == len(train_data):\n"
_ZEROED = "                self.optimizer.zero_grad()\n                num_accumulated = 0\n"
_LOGITS = "            images, labels = images.to(self.device), labels.to(self.device)\n"
_ADVANCED = "                self.scheduler.step()\n            correct"
_UPDATES = "epochs * math.ceil(len(train_data) / self.accumulation_steps)"

OF_ACCUMULATION: tuple[tuple[str, Mutation], ...] = (
    (
        "gradients of batches summed",
        _replaced((_SUMMED, "            loss.backward()\n"), (_MEAN, "")),
    ),
    (
        "loss divided by the number of batches",
        _replaced((_SUMMED, "            (loss / self.accumulation_steps).backward()\n"), (_MEAN, "")),
    ),
    (
        "mean over batches of several sizes",
        _replaced((_SUMMED, "            loss.backward()\n"), (_COUNTED, "            num_accumulated += 1\n")),
    ),
    (
        "gradients zeroed in every batch",
        _replaced((_COUNTED, _COUNTED), (_LOGITS, f"{_LOGITS}            self.optimizer.zero_grad()\n")),
    ),
    ("gradients kept after the update", _replaced((_ZEROED, "                num_accumulated = 0\n"))),
    ("images of earlier updates counted", _replaced((_ZEROED, "                self.optimizer.zero_grad()\n"))),
    ("last batches without an update", _replaced((_WHEN, _WHEN.replace(" or batch == len(train_data)", "")))),
    ("update one batch early", _replaced(("enumerate(train_data, start=1)", "enumerate(train_data)"))),
    (
        "scheduler stepped for each accumulated batch",
        _replaced((_COUNTED, _COUNTED), (_ADVANCED, "            self.scheduler.step()\n            correct")),
    ),
    ("horizon in batches instead of updates", _replaced((_UPDATES, "epochs * len(train_data)"))),
    (
        "horizon without the last updates",
        _replaced((_UPDATES, "epochs * max(1, len(train_data) // self.accumulation_steps)")),
    ),
)

# Clipping. That of a recipe has another limit, and is no practice.

_UPDATE = "            self.optimizer.step()\n"
_BACKWARD = "            loss.backward()\n"
_NORM = "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=0.5)\n"
_VALUE = "            nn.utils.clip_grad_value_(self.parameters(), clip_value=0.1)\n"


def _each_clipping(change: Callable[[str], tuple[str, str]]) -> Mutation:
    """Apply a replacement to the line that clips, in either way."""

    def mutation(code: Code) -> Iterator[str]:
        for line in (_NORM, _VALUE):
            yield from _replaced(change(line))(code)

    return mutation


def _other_limit(code: Code) -> Iterator[str]:
    for line, limit in ((_NORM, "max_norm=5.0"), (_VALUE, "clip_value=1.0")):
        yield from _replaced((line, re.sub(r"\w+=[\d.]+", limit, line)))(code)


OF_CLIPPING: tuple[tuple[str, Mutation], ...] = (
    ("gradients not clipped", _each_clipping(lambda line: (line, ""))),
    ("clipped after the update", _each_clipping(lambda line: (line + _UPDATE, _UPDATE + line))),
    ("clipped before the backward pass", _each_clipping(lambda line: (_BACKWARD + line, line + _BACKWARD))),
    ("other limit of clipping", _other_limit),
    ("maximum norm clipped", _replaced((_NORM, _NORM.replace("0.5)", '0.5, norm_type=float("inf"))')))),
    ("values clipped instead of the norm", _replaced((_NORM, _VALUE))),
    ("norm clipped instead of the values", _replaced((_VALUE, _NORM))),
)

OF_PRACTICES = OF_ACCUMULATION + OF_CLIPPING
