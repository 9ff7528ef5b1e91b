"""Logs of learning rates, as the scripts of different people print them."""

import json
import random
from collections.abc import Callable, Sequence

from lrgen.finetune.code_faults.runs import Run
from lrgen.finetune.phrasing import phrase
from lrgen.records import Unit

Rates = Sequence[Sequence[float]]  # steps × groups
_DIGITS = (4, 5, 6)


def log(run: Run, unit: Unit, chance: random.Random) -> str:
    """Return the log of a run that has learning rates."""
    assert run.rates is not None
    noun = "epoch" if unit is Unit.EPOCH else chance.choice(("step", "iter", "update"))
    form, digits = chance.choice(_FORMS), chance.choice(_DIGITS)
    return form(run.conditions.steps, run.rates.T.tolist(), noun, digits)


def conditions(run: Run, *, total: str, takes_lr: bool, is_loop: bool, chance: random.Random) -> str:
    """Return a sentence on how the code was run; ``total`` is the argument with the number of steps, if it has one."""
    given = run.conditions
    horizon, lr = f"{given.horizon}", f"{given.base_lr:g}"
    if is_loop:
        said = phrase("[{n} steps in all|a run of {n} steps|{n} steps]", chance, n=horizon)
    elif total:
        said = phrase("[`{total}={n}`|a horizon of {n}|{n} steps]", chance, n=horizon, total=total)
    else:
        said = ""
    base = phrase("[a base learning rate of {lr}|base LR {lr}|`lr={lr}`]", chance, lr=lr) if takes_lr else ""
    both = " and ".join(text[:1].lower() + text[1:] for text in (said, base) if text)
    if not both:
        return phrase("[I printed the learning rate at some steps|This is what it gives|Its values]:", chance)
    return phrase(
        "[I ran it with {both}|With {both}, I get|Output with {both}|Run with {both}|I tried {both}]:",
        chance,
        both=both,
    )


def value(rate: float) -> str:
    """Return a learning rate as people write it in a sentence."""
    return f"{rate:.6g}"


def _lines(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    return "\n".join(f"{noun} {step}: {_joined(row, digits, ' ')}" for step, row in zip(steps, rates, strict=True))


def _labelled(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    return "\n".join(f"{noun}={step} lr={_joined(row, digits, ',')}" for step, row in zip(steps, rates, strict=True))


def _bars(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    width = len(str(steps[-1]))
    exponents = (" ".join(f"{rate:.{digits - 2}e}" for rate in row) for row in rates)
    return "\n".join(f"{noun} {step:>{width}} | lr {row}" for step, row in zip(steps, exponents, strict=True))


def _csv(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    heads = ["lr"] if len(rates[0]) == 1 else [f"lr_{group}" for group in range(len(rates[0]))]
    rows = (f"{step},{_joined(row, digits, ',')}" for step, row in zip(steps, rates, strict=True))
    return "\n".join([",".join([noun, *heads]), *rows])


def _records(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    rounded = ([float(f"{rate:.{digits}g}") for rate in row] for row in rates)
    return "\n".join(
        json.dumps({noun: step, "lr": row if len(row) > 1 else row[0]})
        for step, row in zip(steps, rounded, strict=True)
    )


def _pairs(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    return "\n".join(f"{step} {_joined(row, digits, ' ')}" for step, row in zip(steps, rates, strict=True))


def _printed(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    return "\n".join(f"{step} [{_joined(row, digits, ', ')}]" for step, row in zip(steps, rates, strict=True))


def _table(steps: Sequence[int], rates: Rates, noun: str, digits: int) -> str:
    width = max(len(noun), len(str(steps[-1])))
    cells = [[f"{rate:.{digits}g}" for rate in row] for row in rates]
    wide = max(len(cell) for row in cells for cell in row)
    rows = (
        f"{step:>{width}}  {'  '.join(cell.rjust(wide) for cell in row)}"
        for step, row in zip(steps, cells, strict=True)
    )
    return "\n".join([f"{noun:>{width}}  {'lr':>{wide}}", *rows])


def _joined(row: Sequence[float], digits: int, separator: str) -> str:
    return separator.join(f"{rate:.{digits}g}" for rate in row)


_FORMS: tuple[Callable[[Sequence[int], Rates, str, int], str], ...] = (
    _lines,
    _labelled,
    _bars,
    _csv,
    _records,
    _pairs,
    _printed,
    _table,
)
