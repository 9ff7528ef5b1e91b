"""Code and a horizon → the learning rate at given steps.

Each learning rate of a completion is computed twice, by the file's ``make_scheduler`` and by the curve (lrgen.curves),
with equal digits.
"""

import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrgen import curves
from lrgen.errors import CorpusError, DatasetError
from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import trace as instructions
from lrgen.finetune.instructions.trace import FORMS, Call
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.realised import settings
from lrgen.finetune.realised import trace as realised
from lrgen.records import Metric, Outcome, Unit, Variant
from lrgen.source import sections
from lrgen.verify import trace
from lrgen.verify.trace import TraceSpec

NAME = "trace"
SUMMARY = "Code, a horizon and hyperparameters → the learning rate at given steps."
EVIDENCE = ("traced",)
NEEDS_CONTEXT = True
TOLERANCE = 1e-5
"""The relative tolerance of a learning rate; prompts request six significant digits."""
CONSTANT = 20
"""One in so many examples may have a constant learning rate."""

_QUESTIONS = 8  # per trace, the first with the whole file
_MAX_STEPS = 40  # per trace
_SPECS = 8  # traces per request
_DRAWS = 20  # of a trace
_EPOCHS = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 100, 120, 150, 200)
_BATCHES = (5, 8, 10, 12, 16, 20, 25, 32, 40, 50)
_RATES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0003)
_DEPTHS = (0, 1, 2, 3)
_WEIGHTS = (4, 4, 2, 2, 2, 2, 1)  # of the forms of an answer
_ZERO = 1e-12  # of the base learning rate: rounding errors of zero

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
# ``5: 0.1``, ``- step 5: 0.1``, ``| 5 | 0.1 |``, ``5 = 1e-1``, ``5,0.1``, ``lr(5) = 0.1``, ``"5": 0.1,``.
_STEP = re.compile(
    r"^[ \t]*(?:[-*] )?\|?[ \t]*(?:step |lr\()?[`\"*]*(\d{1,9})[`\"*)]*[ \t]*(?:[:=|,→]|->)"
    rf"[ \t]*(?:lr ?= ?)?[`\"*]*({_NUMBER})[`\"* \t|,]*$",
    re.MULTILINE | re.IGNORECASE,
)
_OBJECT = re.compile(r"\{[^{}]*\}")
_ENTRY = re.compile(rf"[{{,]\s*\"(?:step )?(\d{{1,9}})\"\s*:\s*({_NUMBER})\s*(?=[,}}])", re.IGNORECASE)


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield ``context.traces`` examples of each schedule, in the code of randomly chosen networks, and compositions.

    Examples with a constant learning rate, which are those of constant schedules, come last: at most one in
    ``CONSTANT`` examples.

    Raises:
        CorpusError: when the learning rates of a file differ from the curve.
    """
    count: dict[int, int] = {}
    constant: list[Example] = []
    changing = 0
    for file, specs, traces in trace.run(requests(task_input, context.traces), context.workers):
        for spec, rates in zip(specs, traces, strict=True):
            done = count.get(file.variant.number, 0)
            examples = list(_examples(task_input, file, spec, rates, done))[: context.traces - done]
            count[file.variant.number] = done + len(examples)
            constant += [example for example in examples if is_constant(example.completion)]
            examples = [example for example in examples if not is_constant(example.completion)]
            changing += len(examples)
            yield from examples
    yield from constant[: changing // (CONSTANT - 1)]
    yield from realised.examples(task_input, NAME)


def is_constant(completion: str) -> bool:
    """Return whether the learning rate is the same at all steps of a completion."""
    return len({rate for _, rate in stated(completion)}) == 1


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: learning rates are compared with the curve."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the learning rates by the curve, to ``TOLERANCE``; exactly the requested steps must be given."""
    composition = reference.composition(row)
    if composition is not None:
        return compared(row, completion, settings.rates_of(composition, json.loads(row["evidence"])))
    spec, group = _spec_of(row)
    expected = _expected(reference.variant(row), spec)
    return compared(row, completion, expected[group].tolist())


def compared(row: Row, completion: str, rates: Sequence[float]) -> Grade:
    """Grade a completion by the learning rates at the steps of its row, in order."""
    evidence = json.loads(row["evidence"])
    steps: list[int] = evidence["steps"]
    given = stated(completion)
    if not given:
        return Grade(False, "it gives no learning rate at any step")
    near = TOLERANCE**2 * evidence.get("prm", evidence)["lr"]  # of zero
    by_step = dict(given)
    wrong = [
        (step, rate)
        for step, rate in zip(steps, rates, strict=True)
        if step in by_step and not abs(by_step[step] - rate) <= TOLERANCE * abs(rate) + near
    ]
    given_steps = sorted(step for step, _ in given)
    fraction = (len(by_step.keys() & set(steps)) - len(wrong)) / len(steps)
    if given_steps != steps:
        reason = f"expected the steps {steps}, got {given_steps}"[:300]
        return Grade(False, reason, EXTRACTED, min(fraction, 0.99))
    if wrong:
        step, rate = wrong[0]
        reason = f"the learning rate at step {step} must be {rate:g}, got {by_step[step]:g}"
        return Grade(False, reason, EXTRACTED, fraction)
    return Grade.correct()


def stated(completion: str) -> list[tuple[int, float]]:
    """Return the steps and learning rates that a completion states: in lines, in a table or in a JSON object."""
    lines = _STEP.findall(completion)
    objects = [entries for text in _OBJECT.findall(completion) if (entries := _ENTRY.findall(text))]
    pairs = lines if lines or not objects else objects[-1]
    return [(int(step), float(rate)) for step, rate in pairs]


@dataclass(frozen=True)
class ShownCode:
    """The code of a prompt, as lrgen.verify.trace executes it."""

    name: str
    source: str
    path: Path


def trace_of(row: Row, reference: Reference) -> tuple[ShownCode, TraceSpec, int]:
    """Return the code of a row's prompt, the trace to run and the index of the requested parameter group.

    Raises:
        DatasetError: when the code is not rendered from the catalogue, and so is not executed.
    """
    architecture, variant = reference.architecture(row), reference.variant(row)
    source = reference.renderer.render(architecture, variant).text
    if wording.quoted(row["prompt"]) not in (source, sections.parse(source).standalone):
        raise DatasetError(f"the code of the prompt is not the rendered {variant.key}, and was not executed")
    name = f"{architecture.name}/{variant.key}"
    return ShownCode(name, source, Path(f"{name}.py")), *_spec_of(row)


def _spec_of(row: Row) -> tuple[TraceSpec, int]:
    """Return the trace in the evidence of a row and the index of its parameter group."""
    evidence = json.loads(row["evidence"])
    metrics, depths = evidence.get("metrics"), tuple(evidence.get("depths", ()))
    spec = TraceSpec(
        horizon=evidence["horizon"],
        prm=evidence["prm"],
        at=tuple(evidence["steps"]),
        metrics=tuple(metrics) if metrics is not None else None,
        depths=depths,
    )
    return spec, depths.index(evidence["depth"]) if depths else 0


def requests(task_input: TaskInput, count: int) -> Iterator[tuple[VerifiedFile, tuple[TraceSpec, ...]]]:
    """Yield the traces that ``count`` questions about each schedule need, in the code of randomly chosen networks."""
    schedules: dict[int, list[VerifiedFile]] = {}
    for file in task_input.plain:  # a trace is one of the schedule alone
        schedules.setdefault(file.variant.number, []).append(file)
    for number, files in schedules.items():
        needed = math.ceil(count / _QUESTIONS)
        for begin in range(0, needed, _SPECS):
            chance = task_input.chance(NAME, number, begin)
            file = chance.choice(files)
            yield file, tuple(_changing(file.variant, chance) for _ in range(min(_SPECS, needed - begin)))


def _changing(variant: Variant, chance: random.Random) -> TraceSpec:
    """Return a trace in which the learning rate changes, if one is soon drawn: that of a plateau often does not."""
    for _ in range(_DRAWS):
        spec = _spec(variant, chance)
        rates = _expected(variant, spec)
        if any(len(set(map(_digits, group, itertools.repeat(spec.prm["lr"])))) > 1 for group in rates.tolist()):
            break
    return spec


def _spec(variant: Variant, chance: random.Random) -> TraceSpec:
    horizon = chance.choice(_EPOCHS)
    if variant.unit is Unit.BATCH:
        horizon = chance.randint(2, 12) * chance.choice(_BATCHES)
    prm = {"lr": chance.choice(_RATES)}
    for parameter in variant.hyperparameters:
        value = round(chance.uniform(parameter.low, parameter.high), 2)
        if chance.random() < 0.4 and parameter.low <= value <= parameter.high:
            prm[parameter.name] = value
    if variant.metric is None:
        metrics, last = None, horizon + max(2, horizon // 4)
    else:
        metrics = _metrics(variant.metric, chance)
        last = len(metrics) - 1
    at = sorted(chance.sample(range(last + 1), min(_MAX_STEPS, last + 1)))
    return TraceSpec(horizon, prm, tuple(at), metrics, _DEPTHS if variant.layerwise else ())


def _metrics(metric: Metric, chance: random.Random) -> tuple[float, ...]:
    """Return losses that decrease, plateau and increase, or the corresponding accuracies."""
    losses = [round(chance.uniform(1.5, 2.5), 3)]
    for _ in range(chance.randint(9, 19)):
        losses.append(round(losses[-1] * chance.choice((1.0, 1.0, chance.uniform(0.8, 1.1))), 3))
    return tuple(losses) if metric is Metric.LOSS else tuple(round(1 - loss / 4, 3) for loss in losses)


def _examples(
    task_input: TaskInput, file: VerifiedFile, spec: TraceSpec, rates: trace.Rates, done: int
) -> Iterator[Example]:
    """Yield the examples of a trace, numbered from ``done`` + 1."""
    published = publishable(file, spec, rates)
    for index in range(_QUESTIONS):
        key = f"{file.variant.key}/{done + index + 1}"
        chance = task_input.chance(NAME, key)
        changing = [group for group, digits in enumerate(published) if len(set(digits.values())) > 1]
        group = chance.choice(changing or range(len(published)))
        steps = _steps(published[group], chance)
        if not steps:
            continue
        answer = {step: published[group][step] for step in steps}
        depth = spec.depths[group] if spec.depths else None
        unit = "batch" if file.variant.per_batch else "epoch"
        call = Call(spec.horizon, spec.prm, unit, steps, spec.metrics, spec.depths, depth)
        form = chance.choices(FORMS, _WEIGHTS)[0]
        whole = index == 0
        code = file.source if whole else sections.parse(file.source).standalone
        yield Example(
            task=NAME,
            key=key,
            prompt=instructions.question(code, call, form, chance),
            completion=form.write(answer),
            scope=Scope.FILE if whole else Scope.SCHEDULE,
            files=(file,),
            evidence=_evidence(file, call),
        )


def _steps(digits: dict[int, str], chance: random.Random) -> list[int]:
    """Return some steps, between which the learning rate changes if it does at all."""
    steps = chance.sample(list(digits), min(len(digits), chance.randint(3, 8)))
    others = [step for step, rate in digits.items() if rate != digits[steps[0]]] if steps else []
    if others and not set(others) & set(steps):
        steps[-1] = chance.choice(others)
    return sorted(steps)


def _evidence(file: VerifiedFile, call: Call) -> dict[str, Any]:
    """Return the values from which the completion can be computed again."""
    evidence: dict[str, Any] = {"traced": file.sha256, "horizon": call.horizon, "prm": dict(call.prm)}
    if call.metrics is not None:
        evidence["metrics"] = list(call.metrics)
    if call.depth is not None:
        evidence |= {"depths": list(call.depths), "depth": call.depth}
    return evidence | {"steps": list(call.steps)}


def publishable(file: VerifiedFile, spec: TraceSpec, rates: trace.Rates) -> list[dict[int, str]]:
    """Return the digits of each group's learning rate, at the steps where execution and curve give equal digits.

    Raises:
        CorpusError: when they differ by more than the tolerance of the schedule.
    """
    base = spec.prm["lr"]
    expected = _expected(file.variant, spec)
    executed = np.asarray(rates)
    apart = ~(np.abs(executed - expected) <= file.variant.tolerance * base)
    if apart.any():
        group, column = np.argwhere(apart)[0]
        raise CorpusError(
            f"{file.path}: at step {spec.at[column]} of horizon {spec.horizon} with {dict(spec.prm)} the rate is "
            f"{executed[group, column]:g}, but its curve gives {expected[group, column]:g}: verify the file again"
        )
    return [
        {
            step: _digits(rate, base)
            for step, rate, curve_rate in zip(spec.at, group, curve, strict=True)
            if _digits(rate, base) == _digits(curve_rate, base) and not _is_tiny(rate, curve_rate, base)
        }
        for group, curve in zip(executed.tolist(), expected.tolist(), strict=True)
    ]


def _expected(variant: Variant, spec: TraceSpec) -> curves.Rates:
    """Return the learning rates of the curve: groups × steps."""
    prm = {name: value for name, value in spec.prm.items() if name != "lr"}
    lr, metrics, depths = spec.prm["lr"], spec.metrics, spec.depths or (0,)
    return curves.rates(variant, spec.at, spec.horizon, lr, prm, metrics=metrics, depths=depths)


def _is_tiny(rate: float, curve_rate: float, base: float) -> bool:
    """Return whether a learning rate is no rounding error, but as small as one."""
    return 0 < abs(rate) <= _ZERO * base and abs(rate - curve_rate) <= TOLERANCE * abs(rate)


def _digits(rate: float, base: float) -> str:
    return f"{rate if abs(rate) > _ZERO * base else 0:.6g}"
