"""Mutations of the averages of weights: common mistakes with EMA and with SWA."""

import re
from collections.abc import Iterator

from lrgen.finetune.replacing import Mutation, each_match, replaced, substituted
from lrgen.source.edit import Code

_COPIED = r"copy\.deepcopy\((self\.net\.state_dict\(\))\)"
_RESTORED = '        self.weights = copy.deepcopy(state_dict["weights"])\n'
_TRAINED = "            self.net.load_state_dict(self.weights)\n"

# EMA.

_STEP = "            self.optimizer.step()\n"
_UPDATE = "            self.ema.update()\n"
_EVAL = "        self.ema.eval()\n"
_WARM_UP = "min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))"
_START = f"""\
        self.averages = copy.deepcopy(self.net.state_dict())
        if self.weights:
{_TRAINED}"""
_AGAIN = f"""\
        if self.weights:
{_TRAINED}\
        self.averages = copy.deepcopy(self.net.state_dict())
"""
_EACH = """\
        for name, value in self.net.state_dict().items():
            if value.is_floating_point():
                self.averages[name].lerp_(value, 1 - decay)
            else:
                self.averages[name].copy_(value)
"""
_PARAMETERS = """\
        for name, value in self.net.named_parameters():
            self.averages[name].lerp_(value, 1 - decay)
"""


def _of_ema(*replacements: tuple[str, str]) -> Mutation:
    """Replace texts in a file with EMA."""
    return replaced((_UPDATE, _UPDATE), *replacements)


OF_EMA: tuple[tuple[str, Mutation], ...] = (
    ("average never updated", replaced((_UPDATE, ""))),
    ("average updated before the optimizer", replaced((_STEP + _UPDATE, _UPDATE + _STEP))),
    ("average updated once per epoch", replaced((_UPDATE, ""), (_EVAL, _UPDATE[4:] + _EVAL))),
    ("decay and its complement swapped", replaced(("lerp_(value, 1 - decay)", "lerp_(value, decay)"))),
    ("full decay from the first update", replaced((_WARM_UP, "self.decay"))),
    ("average starts over every epoch", _of_ema((_START, _AGAIN))),
    ("trained weights evaluated", replaced((_EVAL, ""))),
    ("trained weights evaluated", _of_ema(("        self.net.load_state_dict(self.averages)\n", ""))),
    ("training continues from the average", _of_ema((f"        if self.weights:\n{_TRAINED}", ""))),
    ("buffers not averaged", replaced((_EACH, _PARAMETERS))),
    ("number of updates not restored", replaced(('        self.num_updates = state_dict["num_updates"]\n', ""))),
    ("trained weights not restored", replaced((_RESTORED, ""))),
    ("weights not copied", each_match(_COPIED, r"\1")),
)

# SWA.

_BEGIN = re.compile(r"^        start = (min\(int\(.*\), epochs - 1\))\n", re.MULTILINE)
_PART = "1 - 1 / (self.epoch - self.start)"
_LERP = """\
        if self.average:
            for name, param in self.net.named_parameters():
                param.lerp_(self.average[name], 1 - 1 / (self.epoch - self.start))
"""
_NORMS = (
    r"^        if self\.average\.eval\(\):\n            # The averaged weights .*\n((?: {12}.*\n)+)(?=        return )"
)


def _start(new: str) -> Mutation:
    """Average from another epoch on; ``{start}`` is the right one."""

    def mutation(code: Code) -> Iterator[str]:
        if match := _BEGIN.search(code.text):
            yield code.text[: match.start(1)] + new.format(start=match[1]) + code.text[match.end(1) :]

    return mutation


def _norms_first(code: Code) -> Iterator[str]:
    """Compute the statistics before the average."""
    for match in re.finditer(_NORMS, code.text, re.MULTILINE):
        body = re.sub(r"^    ", "", match[1], flags=re.MULTILINE)
        yield f"{code.text[: match.start()]}{body}        self.average.eval()\n{code.text[match.end() :]}"


OF_AVERAGING: tuple[tuple[str, Mutation], ...] = (
    ("averaged from the first epoch", _start("0")),
    ("averaged one epoch early", _start("max(0, {start} - 1)")),
    ("averaged one epoch late", _start("{start} + 1")),
    ("epochs with unequal parts", replaced((_PART, "0.5"))),
    ("epochs with unequal parts", replaced((_PART, "1 - 1 / self.epoch"))),
    ("parts of average and epoch swapped", replaced((_PART, _PART.removeprefix("1 - ")))),
    ("weights of the last epoch alone", replaced((_LERP, ""))),
    ("training continues from the average", replaced((_TRAINED, ""), (_LERP, _LERP))),
    ("statistics of batch norm not updated", substituted((_NORMS, "        self.average.eval()\n"))),
    ("statistics of batch norm before the average", _norms_first),
    ("number of epochs not restored", replaced(('        self.epoch = state_dict["epoch"]\n', ""))),
)
