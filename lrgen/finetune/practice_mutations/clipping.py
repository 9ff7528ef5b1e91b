"""Mutations of clipping. That of a network's recipe has another limit, and is no practice."""

import re
from collections.abc import Callable, Iterator

from lrgen.finetune.replacing import Mutation, replaced
from lrgen.source.edit import Code

_UPDATE = "            self.optimizer.step()\n"
_BACKWARD = "            loss.backward()\n"
_NORM = "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=0.5)\n"
_VALUE = "            nn.utils.clip_grad_value_(self.parameters(), clip_value=0.1)\n"
_ONE_END = """\
            for param in self.parameters():
                param.grad.clamp_(max=0.1)
"""


def _each_clipping(change: Callable[[str], tuple[str, str]]) -> Mutation:
    """Apply a replacement to the line that clips, in either way."""

    def mutation(code: Code) -> Iterator[str]:
        for line in (_NORM, _VALUE):
            yield from replaced(change(line))(code)

    return mutation


def _other_limit(code: Code) -> Iterator[str]:
    for line, limit in ((_NORM, "max_norm=5.0"), (_VALUE, "clip_value=1.0")):
        yield from replaced((line, re.sub(r"\w+=[\d.]+", limit, line)))(code)


OF_CLIPPING: tuple[tuple[str, Mutation], ...] = (
    ("gradients not clipped", _each_clipping(lambda line: (line, ""))),
    ("clipped after the update", _each_clipping(lambda line: (line + _UPDATE, _UPDATE + line))),
    ("clipped before the backward pass", _each_clipping(lambda line: (_BACKWARD + line, line + _BACKWARD))),
    ("other limit of clipping", _other_limit),
    ("maximum norm clipped", replaced((_NORM, _NORM.replace("0.5)", '0.5, norm_type=float("inf"))')))),
    ("values clipped instead of the norm", replaced((_NORM, _VALUE))),
    ("norm clipped instead of the values", replaced((_VALUE, _NORM))),
    ("values clipped at one end", replaced((_VALUE, _ONE_END))),
)
