"""Conversion of a schedule to another API or another form of code with the same learning rates.

Equivalents of the catalogue are verified files. The forms of a schedule are made from its code, and executed.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from lrgen import curves
from lrgen.errors import CorpusError, DatasetError
from lrgen.finetune import forms, phrasing, wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import SYSTEM, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.forms import Form
from lrgen.finetune.instructions import convert as instructions
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.realised import convert as realised
from lrgen.finetune.rows import COMPOSITION
from lrgen.records import Outcome, Variant
from lrgen.source import normalise, sections
from lrgen.verify import trace
from lrgen.verify.trace import TraceSpec

NAME = "convert"
SUMMARY = "A schedule or a whole file → the same learning rates through another API, or in another form of code."
EVIDENCE = ("equals", "schedule_of")
NEEDS_CONTEXT = True
_EXACT = 1e-9
HORIZONS = (1, 2, 3, 10, 90, 391, 1000)

_HORIZON_OF_FORMS = 40
_STEPS_OF_FORMS = 50


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield conversions between equivalents, and between the forms of each schedule (lrgen.finetune.forms).

    Each ordered pair of equivalents occurs as whole files of each architecture, and once as a schedule; each ordered
    pair of forms occurs once as a schedule. Compositions are converted to another style, horizon or unit.

    Raises:
        CorpusError: when the learning rates of a form differ from the curve.
    """
    yield from of_equivalents(task_input)
    yield from _of_forms(task_input, context)
    yield from realised.examples(task_input, NAME)


def of_equivalents(task_input: TaskInput) -> Iterator[Example]:
    """Yield the conversions between equivalents, which are verified files."""
    # Of files without a practice: a conversion is about the schedule alone.
    equivalents: dict[tuple[int, str], list[VerifiedFile]] = {}
    for file in task_input.plain:
        equivalents.setdefault((_root(file.variant), file.architecture.name), []).append(file)
    schedules: dict[tuple[int, int], list[tuple[VerifiedFile, VerifiedFile]]] = {}
    for files in equivalents.values():
        for before, after in permutations(files, 2):
            schedules.setdefault((before.variant.number, after.variant.number), []).append((before, after))
            yield _example(task_input, before, after, Scope.FILE)
    for pairs in schedules.values():
        before, after = task_input.chance(NAME, pairs[0][0].variant.key, pairs[0][1].variant.key).choice(pairs)
        yield _example(task_input, before, after, Scope.SCHEDULE)


@dataclass(frozen=True)
class _Coded:
    """The code of a schedule in a form, as lrgen.verify.trace executes it."""

    file: VerifiedFile
    form: Form
    source: str

    @property
    def name(self) -> str:
        return f"{self.variant.key}/{self.form}"

    @property
    def variant(self) -> Variant:
        return self.file.variant

    @property
    def path(self) -> Path:
        return self.file.path


def _of_forms(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    schedules: dict[int, list[VerifiedFile]] = {}
    for file in task_input.plain:  # a form is one of the schedule alone
        schedules.setdefault(file.variant.number, []).append(file)
    chosen = [task_input.chance(NAME, files[0].variant.key).choice(files) for files in schedules.values()]
    requests = ((coded, _specs(coded.variant)) for file in chosen for coded in _forms(file))
    codes: dict[str, list[_Coded]] = {}
    for coded, specs, traces in trace.run(requests, context.workers):
        for spec, rates in zip(specs, traces, strict=True):
            _compare(coded, spec, rates)
        codes.setdefault(coded.variant.key, []).append(coded)
    for of_schedule in codes.values():
        for before, after in permutations(of_schedule, 2):
            yield _example_of_forms(task_input, before, after)


def _forms(file: VerifiedFile) -> Iterator[_Coded]:
    yield from (_Coded(file, form, code) for form, code in forms.of(file.source).items())


def _specs(variant: Variant) -> tuple[TraceSpec, ...]:
    """Return the traces of a form: with the defaults, and with other hyperparameters."""
    steps = tuple(range(_STEPS_OF_FORMS))
    other = {
        parameter.name: max(parameter.low, round(0.4 * parameter.high, 3)) for parameter in variant.hyperparameters
    }
    return tuple(TraceSpec(_HORIZON_OF_FORMS, {"lr": 0.1, **prm}, steps) for prm in ({}, other))


def _compare(coded: _Coded, spec: TraceSpec, rates: trace.Rates) -> None:
    variant = coded.variant
    prm = {name: value for name, value in spec.prm.items() if name != "lr"}
    expected = curves.rates(variant, spec.at, spec.horizon, spec.prm["lr"], prm)
    if not (abs(np.asarray(rates[0]) - expected) <= variant.tolerance * spec.prm["lr"]).all():
        raise CorpusError(f"{coded.name}: the learning rates of this form differ from the curve")


def _example_of_forms(task_input: TaskInput, before: _Coded, after: _Coded) -> Example:
    key = f"{before.name}-{after.form}"
    chance = task_input.chance(NAME, key)
    target = instructions.form(after.form, chance)
    return Example(
        task=NAME,
        key=key,
        prompt=instructions.of_schedule(before.source, target, instructions.kept(chance), chance),
        completion=after.source,
        scope=Scope.SCHEDULE,
        files=(after.file,),
        evidence={"schedule_of": after.file.sha256, "form": after.form.value},
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, or the rendered file with the completion as its schedule."""
    if row["scope"] != Scope.SCHEDULE or row["family"] == COMPOSITION:
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
        of_composition = row["family"] == COMPOSITION
        reason = realised.reason(row, completion) if of_composition else _not_converted(row, completion)
    except (SyntaxError, KeyError):  # it is code only within the file
        reason = "it does not define make_scheduler by itself"
    return dataclasses.replace(grade, passed=False, reason=reason, fraction=0.0) if reason else grade


def _not_converted(row: Row, completion: str) -> str:
    """Return why code with correct learning rates is not a conversion; empty when it is one."""
    form = json.loads(row["evidence"]).get("form")
    if form is not None and form != forms.form_of(completion):
        return f"expected the form {form}, got {forms.form_of(completion) or 'another one'}"
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


def _example(task_input: TaskInput, before: VerifiedFile, after: VerifiedFile, scope: Scope) -> Example:
    whole = scope is Scope.FILE
    key = f"{before.name if whole else before.variant.key}-{after.variant.key}"
    chance = task_input.chance(NAME, key)
    given, answer = (file.source if whole else sections.parse(file.source).standalone for file in (before, after))
    notes = instructions.title(after.variant.title, chance)
    within = _within(before, after)
    if within > _EXACT:
        notes += f" Differences up to {phrasing.forms(within)[-1]} of the base learning rate are acceptable."
    request = instructions.of_file if whole else instructions.of_schedule
    return Example(
        task=NAME,
        key=key,
        prompt=request(given, _api(before, after), notes, chance),
        system=wording.interface(after) if whole else SYSTEM,
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
