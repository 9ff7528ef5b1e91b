"""Faults in words: for each mutation the reason why a file with it is incorrect, as a reviewer writes it."""

import difflib
import random
import re
from collections.abc import Sequence
from itertools import pairwise

from lrgen.finetune import practice_reasons
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.phrasing import phrase

REASONS = {
    # When the scheduler is stepped.
    "stepped once per batch": (
        "The scheduler is stepped [after every batch|once per batch], but its schedule [counts|advances in] epochs[: "
        "it reaches its end within a few epochs]."
    ),
    "stepped once per epoch": (
        "The scheduler is stepped once per epoch[, after the loop], but its horizon [counts|is counted in] batches[, "
        "so the schedule hardly advances]."
    ),
    "stepped before the optimizer": (
        "`scheduler.step()` [comes before|is called before] `optimizer.step()`, so [every|each] update uses the "
        "learning rate of the next step."
    ),
    "stepped before the epoch": (
        "The scheduler is stepped [before the epoch|at the start of `learn`], so [every|each] epoch trains with the "
        "learning rate of the next one."
    ),
    "stepped twice": (
        "The scheduler is stepped after every batch and once more at the end of the epoch, so the schedule runs ahead."
    ),
    "never stepped": "The scheduler is never stepped, so the learning rate [stays at its first value|never changes].",
    "stepped without its metric": "The scheduler is driven by a metric, but `step` is called without [it|one].",
    "metric is the accuracy": "The scheduler is stepped with the accuracy instead of the mean loss.",
    "metric is the loss": "The scheduler is stepped with the loss instead of the accuracy.",
    "metric is the last batch's loss": (
        "The scheduler is stepped with the loss of the last batch instead of the mean loss of the epoch."
    ),
    # When the scheduler is created, and for which horizon.
    "created every epoch": (
        "[Every call of `learn` creates a new scheduler|The scheduler is created anew in every epoch], so the schedule "
        "starts over [each time|every epoch]."
    ),
    "created before the number of batches is known": (
        "`train_setup` creates the scheduler with the number of epochs as its horizon, but the schedule advances once "
        "per batch."
    ),
    "created before the optimizer": "The scheduler is created before `self.optimizer` exists.",
    "scheduler not assigned": "The result of `make_scheduler` is not assigned to `self.scheduler`.",
    "horizon of one epoch": (
        "The horizon is the number of batches of one epoch[, not of all epochs], so the schedule ends after the first "
        "epoch."
    ),
    "horizon in epochs": "The horizon is the number of epochs, but the scheduler is stepped once per batch.",
    "hard-coded number of epochs": (
        "The number of epochs is hard-coded[ as 90]; `epoch_max` and `epoch` [are ignored|are not read]."
    ),
    "horizon one epoch too long": "The horizon is one epoch longer than training.",
    "horizon one step too short": "The scheduler gets a horizon that is one step shorter than `total_steps`.",
    "hard-coded horizon": "The horizon is hard-coded as 100 instead of `total_steps`.",
    "fraction used as a number of steps": (
        "{name} is a fraction of training, but it is used as a number of steps; it must be multiplied by `total_steps`."
    ),
    "number of steps used as a fraction": (
        "{name} is a fraction of training, but it is [read|used] as a number of steps[, with a count as its default]."
    ),
    # What the schedule computes.
    "missing guard against zero steps": (
        "The number of steps may be zero [at a short horizon|when training is short], and nothing guards the division."
    ),
    "not held after the horizon": (
        "Nothing [holds|clamps] the learning rate at the end, so it changes after `total_steps`."
    ),
    "minimum added to the full range": (
        "The minimum is added to the full range: the factor starts above 1, because the range is not scaled by one "
        "minus the minimum."
    ),
    "ratio used as a learning rate": "The factor is used as the learning rate; the base learning rate is not applied.",
    "default learning rate for every group": (
        "The default learning rate of the optimizer is used for all parameter groups instead of that of each group."
    ),
    "one minimum for all groups": (
        "All parameter groups share one minimum; each must have a minimum relative to its own learning rate."
    ),
    "warm-up one step early": "The warm-up is one step ahead: it uses `step + 1` instead of `step`.",
    "warm-up over all of training": (
        "The warm-up is divided by `total_steps` instead of `warmup_steps`[, so the learning rate jumps when it ends]."
    ),
    "decay measured from the start": (
        "The progress of the decay is measured from the start of training instead of the end of the warm-up."
    ),
    "off-by-one boundary": (
        "The boundary between [the|two] phases is off by one: the comparison includes the wrong end."
    ),
    "floor division": "`//` rounds the quotient down; the schedule needs `/`.",
    "caret instead of power": "`^` is exclusive or in Python; the power is `**`.",
    "full cosine period": "The cosine runs over a full period (2 pi) instead of half a period.",
    "cosine without pi": "The argument of the cosine lacks a factor of pi.",
    "wrong mode": "The scheduler is created in the wrong mode.",
    "multiplies the previous learning rate": (
        "`MultiplicativeLR` multiplies the previous learning rate, but the factor is relative to the base learning "
        "rate."
    ),
    "chained instead of sequential": (
        "The schedulers are chained, so they all act at once; they must run one after the other."
    ),
    "state not restored": "`load_state_dict` does not load the state[, so a resumed run starts over].",
    "schedule not recorded": "`scheduler.schedule` is not set, but `load_state_dict` compares it.",
    "scheduler not returned": "`make_scheduler` does not return the scheduler.",
    "wrong default": "The default of {name} is [wrong|not the one in the specification].",
    "hyperparameter without default": (
        "{name} is read without a default, so a `prm` [that omits it|without it] [raises|fails with] a `KeyError`."
    ),
    "misspelt hyperparameter": "The name of {name} is misspelt, so the caller's value is ignored.",
    "hyperparameter not read": "{name} is hard-coded[; `prm` is not read|: its value in `prm` is ignored].",
    # The code around the schedule.
    "hard-coded learning rate": "The learning rate is hard-coded as 0.01 instead of `{lr}`.",
    "hard-coded momentum": "The momentum is hard-coded as 0.9 instead of `{momentum}`.",
    "hard-coded weight decay": "The weight decay is hard-coded; `weight_decay` in `prm` is ignored.",
    "Nesterov without momentum": "Nesterov momentum is on even if the momentum is 0, which `SGD` rejects.",
    "list instead of set": "`supported_hyperparameters` returns a list instead of a set.",
    "gradients not zeroed": "The gradients are not zeroed, so they accumulate over the batches.",
    "missing backward pass": "[No gradients are computed|There is no backward pass], so nothing is learned.",
    "optimizer never stepped": "The optimizer is never stepped, so the weights never change.",
    "return after the first batch": "`learn` returns inside the loop, after the first batch.",
    "loss not returned": "`learn` returns the accuracy alone, without the mean loss.",
    "accuracy in percent": "The accuracy is returned in percent instead of as a fraction.",
    "missing parameter groups": "The optimizer gets all parameters in one group, so the groups have no `depth`.",
    "missing criterion": "`self.criterion` is never set.",
    "device not stored": "`self.device` is never set.",
    "hard-coded number of channels": "The number of input channels is hard-coded as 3 instead of `{channels}`.",
    "hard-coded number of classes": "The number of classes is hard-coded as 10 instead of `{classes}`.",
    "arguments swapped": "`in_shape` and `out_shape` are swapped in the constructor.",
    "missing super().__init__()": "`Net.__init__` does not call `super().__init__()`.",
    "missing import": "A name is used but not imported.",
    "numpy instead of math": "The file imports numpy, but only torch and the standard library are allowed.",
    "missing colon": "A colon is missing at the end of the line, which is a syntax error.",
    "missing parenthesis": "A closing parenthesis is missing, which is a syntax error.",
    **practice_reasons.REASONS,
}
"""The reason by mutation, as a template of lrgen.finetune.phrasing."""

# Code with brackets, which a template cannot contain.
_CODE = {"lr": 'prm["lr"]', "momentum": 'prm["momentum"]', "channels": "in_shape[1]", "classes": "out_shape[0]"}
_MISSING = "[`{line}` is missing.|The line `{line}` is missing.]"
_CHANGED = "[It should be `{line}`.|The line should be `{line}`.|Expected: `{line}`.]"
_READ = re.compile(r'(prm\.get\("(\w+)"[^)\n]*\)+[^,\n]*)')  # to the end of the term
_BOUND = re.compile(r"^\s*(?:from [\w.]+ )?import (.+)$|^\s*((?:self|scheduler)\.\w+)\b[^=(]*=", re.MULTILINE)


def reason(file: VerifiedFile, faulty: str, mutation: str, chance: random.Random) -> str:
    """Return the reason why a mutant is incorrect, in a part of the cases with the line of the correct file."""
    sentence = phrase(REASONS[mutation], chance, name=_hyperparameter(file.source, faulty), **_CODE)
    opcodes = [each for each in _opcodes(file.source, faulty) if each[0] != "equal"]
    if len(opcodes) != 1:
        return sentence
    ((kind, old_begin, old_end, begin, end),) = opcodes
    missing = file.source.splitlines()[old_begin:old_end]
    if len(missing) != 1 or end - begin > 1:
        return sentence
    template = f"{{sentence}}[ {_MISSING if kind == 'delete' else _CHANGED}]"
    return phrase(template, chance, sentence=sentence, line=missing[0].strip())


def _hyperparameter(text: str, faulty: str) -> str:
    """Return the hyperparameter that a mutant reads in another way, or not at all; in words if there are several."""
    names = {name for read, name in (set(_READ.findall(text)) - set(_READ.findall(faulty)))}
    return f"`{names.pop()}`" if len(names) == 1 else "the hyperparameter"


def lines(file: VerifiedFile, faulty: str) -> list[int]:
    """Return the numbers of the lines of a mutant at which its fault may be said to be, the most telling one first."""
    return changed_lines(file.source, faulty)


def changed_lines(text: str, faulty: str) -> list[int]:
    """Return the numbers of the lines of a faulty text at which its fault may be said to be.

    They are the changed lines; where lines are missing, the lines around, and those that use what they define.
    """
    old, new = text.splitlines(), faulty.splitlines()
    changed: list[int] = []
    around: list[int] = []
    for kind, old_begin, old_end, begin, end in _opcodes(text, faulty):
        if kind in ("replace", "insert"):
            changed += [number for number in range(begin, end) if new[number].strip()]
        if kind == "delete" and any(line.strip() for line in old[old_begin:old_end]):
            around += _neighbours(new, begin)
            around += _uses(new, "\n".join(old[old_begin:old_end]))
    return [number + 1 for number in dict.fromkeys(changed + around)]


def _opcodes(text: str, faulty: str) -> Sequence[tuple[str, int, int, int, int]]:
    """Return the operations that turn the lines of a file into those of a mutant, as difflib does."""
    return difflib.SequenceMatcher(None, text.splitlines(), faulty.splitlines(), autojunk=False).get_opcodes()


def _neighbours(text: list[str], at: int) -> list[int]:
    """Return the nearest lines before and after an index that are not blank."""
    written = [number for number, line in enumerate(text) if line.strip()]
    for before, after in pairwise(written):
        if before < at <= after:
            return [before, after]
    return written[-1:]


def _uses(text: list[str], missing: str) -> list[int]:
    """Return the lines that use a name that missing lines define or import."""
    names: list[str] = []
    for imported, attribute in _BOUND.findall(missing):
        names += [re.split(r"\s+as\s+", name)[-1].strip(" ()") for name in imported.split(",") if name.strip(" ()")]
        names += [attribute] if attribute else []
    uses = [re.compile(rf"(?<![\w.]){re.escape(name)}\b") for name in names]
    return [number for number, line in enumerate(text) if any(name.search(line) for name in uses)]
