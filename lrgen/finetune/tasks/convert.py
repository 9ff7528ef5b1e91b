"""Conversion of a schedule to another API with the same learning rates; both files are verified."""

import dataclasses
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from lrgen import curves
from lrgen.errors import DatasetError
from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.records import Outcome, Variant
from lrgen.source import normalise, sections

NAME = "convert"
SUMMARY = "A schedule or a whole file → the same learning rates through another API."
EVIDENCE = ("equals", "schedule_of")
_EXACT = 1e-9
HORIZONS = (1, 2, 3, 10, 90, 391, 1000)

_OF_SCHEDULES = (
    "Write the same schedule with {api}. The learning rate must be the same at every step.",
    "Rewrite this `make_scheduler` to use {api} without changing the learning rate at any step.",
    "Convert this schedule to {api}. Keep the hyperparameters and the learning rates.",
)
_OF_FILES = (
    "Make this module use {api} for its schedule. The learning rate must stay the same at every step. Show the whole "
    "file.",
    "Port the schedule of this file to {api} without changing any learning rate. Answer with the whole file.",
)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield each ordered pair of equivalents as whole files of each architecture, and once as a schedule."""
    equivalents: dict[tuple[int, str], list[VerifiedFile]] = {}
    for file in task_input.files:
        equivalents.setdefault((_root(file.variant), file.architecture.name), []).append(file)
    schedules: dict[tuple[int, int], list[tuple[VerifiedFile, VerifiedFile]]] = {}
    for files in equivalents.values():
        for before, after in permutations(files, 2):
            schedules.setdefault((before.variant.number, after.variant.number), []).append((before, after))
            yield _example(task_input, before, after, _OF_FILES, Scope.FILE)
    for pairs in schedules.values():
        before, after = task_input.chance(NAME, pairs[0][0].variant.key, pairs[0][1].variant.key).choice(pairs)
        yield _example(task_input, before, after, _OF_SCHEDULES, Scope.SCHEDULE)


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, or the rendered file with the completion as its schedule."""
    if row["scope"] != Scope.SCHEDULE:
        return completion
    rendered = reference.renderer.render(reference.architecture(row), reference.variant(row))
    around = sections.parse(rendered.text)
    return f"{around.head}{completion}\n\n{around.network}"


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the row, and by the API that it uses.

    The code of the prompt is not a conversion.
    """
    assert outcome is not None
    grade = Grade.of_outcome(outcome)
    if not grade.passed:
        return grade
    try:
        reason = _not_converted(row, completion)
    except (SyntaxError, KeyError):  # it is code only within the file
        reason = "it does not define make_scheduler by itself"
    return dataclasses.replace(grade, passed=False, reason=reason, fraction=0.0) if reason else grade


def _not_converted(row: Row, completion: str) -> str:
    """Return why code with correct learning rates is not a conversion; empty when it is one."""
    wanted, used = (sections.torch_schedulers(text) for text in (row["completion"], completion))
    if used != wanted:
        names = [wording.listed([f"`{name}`" for name in sorted(names)]) or "none" for names in (wanted, used)]
        return f"expected torch's schedulers {names[0]}, got {names[1]}"
    given = normalise.schedule_digest(wording.quoted(row["prompt"]))
    return "it repeats the code of the prompt" if normalise.schedule_digest(completion) == given else ""


def compared(before: VerifiedFile, after: VerifiedFile) -> dict[str, Any]:
    """Return the evidence that two files have equal learning rates: their traces, else their curves.

    Raises:
        DatasetError: when the curves differ.
    """
    if before.trace is not None and before.trace == after.trace:
        return {"same_trace": before.trace}
    within = _within(before, after)
    difference = max(_difference(before.variant, after.variant, horizon) for horizon in HORIZONS)
    if not difference <= within:
        raise DatasetError(f"{before.name} and {after.name}: the curves of these equivalents differ by {difference:g}")
    return {"same_curve_within": within, "horizons": list(HORIZONS)}


def _root(variant: Variant) -> int:
    """Return the number that identifies the equivalents of a schedule."""
    return variant.equivalent_to or variant.number


def _within(before: VerifiedFile, after: VerifiedFile) -> float:
    return max(before.variant.equivalent_within, after.variant.equivalent_within)


def _difference(before: Variant, after: Variant, horizon: int) -> float:
    """Return the maximum difference of two curves up to twice the horizon, as a fraction of the base rate."""
    base_lr = 0.1  # the smallest for which ``equivalent_within`` is declared
    first, second = (curves.rates(variant, range(2 * horizon + 1), horizon, base_lr) for variant in (before, after))
    return float(abs(first - second).max()) / base_lr


def _example(
    task_input: TaskInput, before: VerifiedFile, after: VerifiedFile, requests: tuple[str, ...], scope: Scope
) -> Example:
    whole = scope is Scope.FILE
    key = f"{before.name if whole else before.variant.key}-{after.variant.key}"
    given, answer = (file.source if whole else sections.parse(file.source).standalone for file in (before, after))
    request = task_input.chance(NAME, key).choice(requests).format(api=_api(before, after))
    request += f' `make_scheduler` sets `scheduler.schedule = ("{after.variant.title}", total_steps)`.'
    within = _within(before, after)
    if within > _EXACT:
        request += f" Differences up to {within:g} of the base learning rate are acceptable."
    return Example(
        task=NAME,
        key=key,
        prompt=f"{request}\n\n{wording.fenced(given)}",
        completion=answer,
        scope=scope,
        files=(after, before),
        evidence={"equals" if whole else "schedule_of": after.sha256, **compared(before, after)},
    )


def _api(before: VerifiedFile, after: VerifiedFile) -> str:
    """Return the API of the completion, in terms that distinguish it from the given code."""
    implementation = wording.implementation(after.source)
    if implementation != wording.implementation(before.source):
        return implementation
    return f"the formula of `{after.variant.source}`"
