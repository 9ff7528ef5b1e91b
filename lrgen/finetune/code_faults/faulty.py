"""Faulty code of compositions: one or two mutations of code that is correct, executed, with another learning rate."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrgen.curves.compositions import Composition
from lrgen.errors import CorpusError
from lrgen.finetune.code_faults.kinds import Mutation, mutations
from lrgen.finetune.code_faults.runs import Conditions, Run, conditions, run
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.faults import changed_lines
from lrgen.realisations import Realisation, Style, write
from lrgen.source.spans import Parsed, overlap
from lrgen.verify import generated

_TRIES = 6  # mutants that are executed for one that differs
_LOOPS = 0.4  # of the compositions with a training loop, which takes long to run
_RARE = 0.15  # of the mutants, at most, of kinds that are found by reading or that raise
_RARE_KINDS = ("wrong level", "wrong number of steps", "missing import", "misspelt name")


@dataclass(frozen=True)
class Fault:
    """A fault: its kind, the reason, and the lines of the faulty code at which it may be said to be."""

    kind: str
    reason: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class Faulty:
    """Faulty code.

    Attributes:
        composition: the schedule that it should have.
        correct: the code without its faults.
        text: the code.
        faults: in the order of their lines.
        run: its run.
        halves: for two faults, the code with one of them each: the second alone, the first alone.
        of_halves: their runs.
    """

    composition: Composition
    correct: Realisation
    text: str
    faults: tuple[Fault, ...]
    run: Run
    halves: tuple[str, ...] = ()
    of_halves: tuple[Run, ...] = ()

    @property
    def kinds(self) -> str:
        """The kinds of its faults."""
        return ", ".join(fault.kind for fault in self.faults)

    @property
    def evidence(self) -> dict[str, Any]:
        """The faults as evidence of an example."""
        return {"mutation": self.kinds, "failed": "schedule", "reason": _reason(self.run)}


def faulty(
    composition: Composition, correct: Realisation, chance: random.Random, *, count: int = 1, shown: bool = True
) -> Faulty | None:
    """Return faulty code; None if no mutation of the code can be executed and differs.

    Args:
        count: the number of faults, 1 or 2; one where a second cannot be taken.
        shown: whether its run must show a person that something is wrong with the code.
    """
    given = conditions(composition, correct.style, correct.interface)
    if given is None:
        return None
    code = Parsed(correct.code)
    taken: list[tuple[Mutation, str, Run]] = []
    for mutation in _drawn(code, given, chance)[: _TRIES * count]:
        if any(mutation.kind is other.kind or overlap(mutation.edits, other.edits) for other, _, _ in taken):
            continue
        text = code.edited(mutation.edits).lstrip("\n")
        observed = run(text, composition, correct.interface, given)
        if not observed.differs or (shown and not observed.is_shown):
            continue
        taken.append((mutation, text, observed))
        if len(taken) == count:
            break
    if not taken:
        return None
    if len(taken) == 2:
        both = _both(composition, correct, code, taken, given, chance)
        apart = not set(both.faults[0].lines) & set(both.faults[1].lines)
        if apart and both.run.differs and (both.run.is_shown or not shown):
            return both
    mutation, text, observed = taken[0]
    fault = Fault(mutation.kind.name, mutation.reason(code, chance), tuple(changed_lines(code.text, text)))
    return Faulty(composition, correct, text, (fault,), observed)


def correct_code(realised: RealisedComposition, chance: random.Random) -> Realisation | None:
    """Write a composition once more, in one of the styles that it has, and execute it; None if it has none.

    Raises:
        CorpusError: when its learning rates differ from the curve.
    """
    if not realised.realisations:
        return None
    composition = realised.composition
    styles = [realisation.style for realisation in realised.realisations]
    if len(styles) > 1 and Style.LOOP in styles and chance.random() > _LOOPS:
        styles.remove(Style.LOOP)
    style = chance.choice(styles)
    correct = write(composition, style, chance)
    given = conditions(composition, style, correct.interface)
    if given is None:
        return None
    observed = run(correct.code, composition, correct.interface, given)
    if observed.rates is None or not np.allclose(
        observed.rates, given.expected, rtol=0, atol=generated.TOLERANCE * given.base_lr
    ):
        raise CorpusError(f"composition {composition.id} as {style}: {_reason(observed)}")
    return correct


def _both(
    composition: Composition,
    correct: Realisation,
    code: Parsed,
    taken: list[tuple[Mutation, str, Run]],
    given: Conditions,
    chance: random.Random,
) -> Faulty:
    """Return code with two faults that differ each alone, in the order of their lines."""
    taken = sorted(taken, key=lambda each: min(each[0].edits))
    mutated = [mutation for mutation, _, _ in taken]
    text = code.edited([edit for mutation in mutated for edit in mutation.edits]).lstrip("\n")
    faults = []
    for mutation, alone in zip(mutated, (taken[1][1], taken[0][1]), strict=True):  # without the fault, with the other
        faults.append(Fault(mutation.kind.name, mutation.reason(code, chance), tuple(changed_lines(alone, text))))
    observed = run(text, composition, correct.interface, given)
    return Faulty(
        composition,
        correct,
        text,
        tuple(faults),
        observed,
        halves=(taken[1][1], taken[0][1]),
        of_halves=(taken[1][2], taken[0][2]),
    )


def _drawn(code: Parsed, given: Conditions, chance: random.Random) -> list[Mutation]:
    """Return mutations in the order in which they are tried: first one of each kind, in any order, then others."""
    by_kind: dict[str, list[Mutation]] = {}
    for mutation in mutations(code):
        if not (given.jumps and mutation.kind.compounds):
            by_kind.setdefault(mutation.kind.name, []).append(mutation)
    names = chance.sample(list(by_kind), len(by_kind))
    if chance.random() > _RARE:
        names.sort(key=_RARE_KINDS.__contains__)
    shuffled = [chance.sample(by_kind[name], len(by_kind[name])) for name in names]
    return [group[turn] for turn in range(2) for group in shuffled if turn < len(group)]


def _reason(observed: Run) -> str:
    """Return what was found, in the words of a check."""
    if observed.rates is None:
        return observed.raised.rstrip().rpartition("\n")[2]
    first, given = observed.first_difference, observed.conditions
    if first is None:
        return "the learning rates are not finite"
    step = given.steps[first[1]]
    return (
        f"at step {step} of {given.horizon} the learning rate must be {given.expected[first]:.6g}, "
        f"got {observed.rates[first]:.6g}"
    )
