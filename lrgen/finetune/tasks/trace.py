"""Code and a horizon → the learning rate at given steps.

Each learning rate of a completion is computed twice, by the file's ``make_scheduler`` and by the curve (lrgen.curves),
with equal digits.
"""

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
from lrgen.finetune.mutants import RunContext
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

_QUESTIONS = 8  # per trace, the first with the whole file
_MAX_STEPS = 40  # per trace
_SPECS = 8  # traces per request
_EPOCHS = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 100, 120, 150, 200)
_BATCHES = (5, 8, 10, 12, 16, 20, 25, 32, 40, 50)
_RATES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0003)
_DEPTHS = (0, 1, 2, 3)
_ZERO = 1e-12  # of the base learning rate: rounding errors of zero

# ``5: 0.1``, ``- step 5: 0.1``, ``| 5 | 0.1 |``, ``5 = 1e-1``.
_STEP = re.compile(
    r"^[ \t]*(?:[-*] )?\|?[ \t]*(?:step )?`?(\d{1,9})`?[ \t]*[:=|]"
    r"[ \t]*`?([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)`?[ \t|]*$",
    re.MULTILINE | re.IGNORECASE,
)

_OPENINGS = (
    "What learning rates does this code produce?",
    "Compute the learning rate by hand.",
    "Read the code and determine the learning rate that it sets.",
    "I want to verify a schedule before training with it.",
    "Trace the scheduler below.",
)
_ANSWERS = (
    "Answer with one line per step, `step: learning rate`, to six significant digits.",
    "Give six significant digits, one line per step in the form `step: learning rate`.",
)
_TABLES = (
    "Answer with a table, `| step | learning rate |`, to six significant digits.",
    "Give a Markdown table with the columns step and learning rate, to six significant digits.",
)


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield ``context.traces`` examples of each schedule, in the code of randomly chosen networks.

    Raises:
        CorpusError: when the learning rates of a file differ from the curve.
    """
    count: dict[int, int] = {}
    for file, specs, traces in trace.run(requests(task_input, context.traces), context.workers):
        for spec, rates in zip(specs, traces, strict=True):
            done = count.get(file.variant.number, 0)
            examples = list(_examples(task_input, file, spec, rates, done))[: context.traces - done]
            count[file.variant.number] = done + len(examples)
            yield from examples


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: learning rates are compared with the curve."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the learning rates by the curve, to ``TOLERANCE``; exactly the requested steps must be given."""
    spec, group = _spec_of(row)
    expected = _expected(reference.variant(row), spec)
    return compared(row, completion, expected[group].tolist())


def compared(row: Row, completion: str, rates: Sequence[float]) -> Grade:
    """Grade a completion by the learning rates at the steps of its row, in order."""
    evidence = json.loads(row["evidence"])
    steps: list[int] = evidence["steps"]
    given = [(int(step), float(rate)) for step, rate in _STEP.findall(completion)]
    if not given:
        return Grade(False, "it gives no learning rate at any step")
    near = TOLERANCE**2 * evidence["prm"]["lr"]  # of zero
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
    for file in task_input.files:
        schedules.setdefault(file.variant.number, []).append(file)
    for number, files in schedules.items():
        needed = math.ceil(count / _QUESTIONS)
        for begin in range(0, needed, _SPECS):
            chance = task_input.chance(NAME, number, begin)
            file = chance.choice(files)
            yield file, tuple(_spec(file.variant, chance) for _ in range(min(_SPECS, needed - begin)))


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
        group = chance.randrange(len(published))
        known = list(published[group])
        steps = sorted(chance.sample(known, min(len(known), chance.randint(3, 8))))
        if not steps:
            continue
        answer = {step: published[group][step] for step in steps}
        question = _Question(file, spec, spec.depths[group] if spec.depths else None, steps, index == 0)
        as_table = chance.random() < 0.3
        yield Example(
            task=NAME,
            key=key,
            prompt=question.text(chance, _TABLES if as_table else _ANSWERS),
            completion=_table(answer) if as_table else "".join(f"{step}: {rate}\n" for step, rate in answer.items()),
            scope=Scope.FILE if question.whole else Scope.SCHEDULE,
            files=(file,),
            evidence=question.evidence(),
        )


def _table(answer: dict[int, str]) -> str:
    rows = "".join(f"| {step} | {rate} |\n" for step, rate in answer.items())
    return f"| step | learning rate |\n| ---: | ---: |\n{rows}"


@dataclass(frozen=True)
class _Question:
    """A question about a trace: the learning rates of one parameter group at some steps."""

    file: VerifiedFile
    spec: TraceSpec
    depth: int | None
    steps: list[int]
    whole: bool

    def text(self, chance: random.Random, answers: Sequence[str]) -> str:
        """Return the prompt: the code, then the question."""
        code = self.file.source if self.whole else sections.parse(self.file.source).standalone
        return (
            f"{chance.choice(_OPENINGS)}\n\n{wording.fenced(code)}\n\n{self._conditions()} {self._request()} "
            f"{chance.choice(answers)}"
        )

    def evidence(self) -> dict[str, Any]:
        """Return the values from which the completion can be computed again."""
        spec = self.spec
        evidence: dict[str, Any] = {"traced": self.file.sha256, "horizon": spec.horizon, "prm": dict(spec.prm)}
        if spec.metrics is not None:
            evidence["metrics"] = list(spec.metrics)
        if self.depth is not None:
            evidence |= {"depths": list(spec.depths), "depth": self.depth}
        return evidence | {"steps": self.steps}

    def _conditions(self) -> str:
        spec, variant = self.spec, self.file.variant
        groups = ""
        if spec.depths:
            depths = wording.listed([str(depth) for depth in spec.depths])
            groups = f" The optimizer has {len(spec.depths)} parameter groups with `depth` {depths}."
        step = "`scheduler.step()` is called once"
        if spec.metrics is not None:
            step = f"`scheduler.step(metric)` is called with {', '.join(map(str, spec.metrics))}, in this order, once"
        return (
            f"`make_scheduler(optimizer, total_steps={spec.horizon}, prm={json.dumps(spec.prm)})` is called with "
            f"an optimizer whose learning rate is {spec.prm['lr']:g}.{groups} {step} per "
            f"{'batch' if variant.per_batch else 'epoch'}."
        )

    def _request(self) -> str:
        steps = wording.listed([str(step) for step in self.steps])
        group = "" if self.depth is None else f" of the group with depth {self.depth}"
        return (
            f"What is the learning rate{group} at steps {steps}? Step 0 is before the first call of `scheduler.step`, "
            "step n after n calls."
        )


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
            if _digits(rate, base) == _digits(curve_rate, base)
        }
        for group, curve in zip(executed.tolist(), expected.tolist(), strict=True)
    ]


def _expected(variant: Variant, spec: TraceSpec) -> curves.Rates:
    """Return the learning rates of the curve: groups × steps."""
    prm = {name: value for name, value in spec.prm.items() if name != "lr"}
    lr, metrics, depths = spec.prm["lr"], spec.metrics, spec.depths or (0,)
    return curves.rates(variant, spec.at, spec.horizon, lr, prm, metrics=metrics, depths=depths)


def _digits(rate: float, base: float) -> str:
    return f"{rate if abs(rate) > _ZERO * base else 0:.6g}"
