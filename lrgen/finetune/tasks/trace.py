"""Code and a horizon → the learning rate at given steps, as the code had it when it was run.

Every rate that is published was computed twice, by the file's ``make_scheduler`` and by the curve (lrgen.curves), and
both are written alike.
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
"""Of a learning rate, relative to it: six significant digits are asked for."""

_QUESTIONS = 8  # about one course, the first of them with the whole file
_LOOKED_AT = 40  # steps of a course at most
_SPECS = 8  # that are run at a time
_EPOCHS = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 100, 120, 150, 200)
_BATCHES = (5, 8, 10, 12, 16, 20, 25, 32, 40, 50)
_RATES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0003)
_DEPTHS = (0, 1, 2, 3)
_NOTHING = 1e-12  # of the base rate: what rounding leaves of zero

# ``5: 0.1``, ``- step 5: 0.1``, ``| 5 | 0.1 |``, ``5 = 1e-1``.
_STEP = re.compile(
    r"^[ \t]*(?:[-*] )?\|?[ \t]*(?:step )?`?(\d{1,9})`?[ \t]*[:=|]"
    r"[ \t]*`?([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)`?[ \t|]*$",
    re.MULTILINE | re.IGNORECASE,
)

_OPENINGS = (
    "What learning rates does this code produce?",
    "Work out the learning rate by hand.",
    "Read the code and say which learning rate it sets.",
    "I want to check a schedule before I train with it.",
    "Trace the scheduler below.",
)
_ANSWERS = (
    "Answer with a line for each step, `step: rate`, to six significant digits.",
    "Give six significant digits, a line for each step in the form `step: rate`.",
)
_TABLES = (
    "Answer with a table, `| step | learning rate |`, to six significant digits.",
    "Put the rates into a Markdown table with the columns step and learning rate, to six significant digits.",
)


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """``bench.traces`` questions about each schedule, in the code of one network or another.

    Raises:
        CorpusError: when a schedule does not do what its curve says.
    """
    count: dict[int, int] = {}
    for file, specs, found in trace.run(requests(task_input, context.traces), context.workers):
        for spec, rates in zip(specs, found, strict=True):
            done = count.get(file.variant.number, 0)
            asked = list(_questions(task_input, file, spec, rates, done))[: context.traces - done]
            count[file.variant.number] = done + len(asked)
            yield from asked


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """No file: numbers are compared with the curve."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when it gives the steps that were asked for and no other, with the curve's learning rates to
    ``TOLERANCE``.
    """
    spec, group = _spec_of(row)
    promised = _promised(reference.variant(row), spec)
    return compared(row, completion, promised[group].tolist())


def compared(row: Row, completion: str, rates: Sequence[float]) -> Grade:
    """The grade of a completion, given the learning rates at the steps of its row, in their order."""
    evidence = json.loads(row["evidence"])
    steps: list[int] = evidence["steps"]
    said = [(int(step), float(rate)) for step, rate in _STEP.findall(completion)]
    if not said:
        return Grade(False, "it gives no learning rate of any step")
    near = TOLERANCE**2 * evidence["prm"]["lr"]  # of zero
    found = dict(said)
    wrong = [
        (step, right)
        for step, right in zip(steps, rates, strict=True)
        if step in found and not abs(found[step] - right) <= TOLERANCE * abs(right) + near
    ]
    given = sorted(step for step, _ in said)
    fraction = (len(found.keys() & set(steps)) - len(wrong)) / len(steps)
    if given != steps:
        return Grade(
            False, f"it has the steps {given}, and {steps} were asked for"[:300], EXTRACTED, min(fraction, 0.99)
        )
    if wrong:
        step, right = wrong[0]
        reason = f"the learning rate at step {step} is said to be {found[step]:g}, and is {right:g}"
        return Grade(False, reason, EXTRACTED, fraction)
    return Grade.correct()


@dataclass(frozen=True)
class ShownCode:
    """The code of a question, ready to be executed by lrgen.verify.trace."""

    name: str
    source: str
    path: Path


def asked(row: Row, reference: Reference) -> tuple[ShownCode, TraceSpec, int]:
    """The code of a row's question, what it is executed with, and the parameter group that is asked for.

    Raises:
        DatasetError: when the code is not what the catalogue renders, which is not ours to run.
    """
    architecture, variant = reference.architecture(row), reference.variant(row)
    source = reference.renderer.render(architecture, variant).text
    if wording.quoted(row["prompt"]) not in (source, sections.parse(source).standalone):
        raise DatasetError(f"the code of its question is not what lrgen renders as {variant.key}, and was not run")
    name = f"{architecture.name}/{variant.key}"
    return ShownCode(name, source, Path(f"{name}.py")), *_spec_of(row)


def _spec_of(row: Row) -> tuple[TraceSpec, int]:
    """What the evidence of a row says that its schedule is run with, and the index of the parameter group."""
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
    """As many courses of each schedule as the questions need, some at a time, each time in the code of any network."""
    schedules: dict[int, list[VerifiedFile]] = {}
    for file in task_input.files:
        schedules.setdefault(file.variant.number, []).append(file)
    for number, files in schedules.items():
        wanted = math.ceil(count / _QUESTIONS)
        for begin in range(0, wanted, _SPECS):
            chance = task_input.chance(NAME, number, begin)
            file = chance.choice(files)
            yield file, tuple(_spec(file.variant, chance) for _ in range(min(_SPECS, wanted - begin)))


def _spec(variant: Variant, chance: random.Random) -> TraceSpec:
    horizon = chance.choice(_EPOCHS)
    if variant.unit is Unit.BATCH:
        horizon = chance.randint(2, 12) * chance.choice(_BATCHES)
    prm = {"lr": chance.choice(_RATES)}
    for one in variant.hyperparameters:
        value = round(chance.uniform(one.low, one.high), 2)
        if chance.random() < 0.4 and one.low <= value <= one.high:
            prm[one.name] = value
    if variant.metric is None:
        metrics, last = None, horizon + max(2, horizon // 4)
    else:
        metrics = _metrics(variant.metric, chance)
        last = len(metrics) - 1
    at = sorted(chance.sample(range(last + 1), min(_LOOKED_AT, last + 1)))
    return TraceSpec(horizon, prm, tuple(at), metrics, _DEPTHS if variant.layerwise else ())


def _metrics(metric: Metric, chance: random.Random) -> tuple[float, ...]:
    """Losses that fall, stand still and rise again, or accuracies that do the opposite."""
    losses = [round(chance.uniform(1.5, 2.5), 3)]
    for _ in range(chance.randint(9, 19)):
        losses.append(round(losses[-1] * chance.choice((1.0, 1.0, chance.uniform(0.8, 1.1))), 3))
    return tuple(losses) if metric is Metric.LOSS else tuple(round(1 - loss / 4, 3) for loss in losses)


def _questions(
    task_input: TaskInput, file: VerifiedFile, spec: TraceSpec, rates: trace.Rates, done: int
) -> Iterator[Example]:
    """The questions about a course; about those of a schedule before it there were ``done``."""
    written = unambiguous(file, spec, rates)
    for index in range(_QUESTIONS):
        key = f"{file.variant.key}/{done + index + 1}"
        chance = task_input.chance(NAME, key)
        group = chance.randrange(len(written))
        known = list(written[group])
        steps = sorted(chance.sample(known, min(len(known), chance.randint(3, 8))))
        if not steps:
            continue
        answer = {step: written[group][step] for step in steps}
        asked = _Question(file, spec, spec.depths[group] if spec.depths else None, steps, index == 0)
        as_table = chance.random() < 0.3
        yield Example(
            task=NAME,
            key=key,
            prompt=asked.text(chance, _TABLES if as_table else _ANSWERS),
            completion=_table(answer) if as_table else "".join(f"{step}: {rate}\n" for step, rate in answer.items()),
            scope=Scope.FILE if asked.whole else Scope.SCHEDULE,
            files=(file,),
            evidence=asked.evidence(),
        )


def _table(answer: dict[int, str]) -> str:
    rows = "".join(f"| {step} | {rate} |\n" for step, rate in answer.items())
    return f"| step | learning rate |\n| ---: | ---: |\n{rows}"


@dataclass(frozen=True)
class _Question:
    """What is asked of a course: the rates of one group at some steps."""

    file: VerifiedFile
    spec: TraceSpec
    depth: int | None
    steps: list[int]
    whole: bool

    def text(self, chance: random.Random, answers: Sequence[str]) -> str:
        """The question in words, under the code."""
        code = self.file.source if self.whole else sections.parse(self.file.source).standalone
        return (
            f"{chance.choice(_OPENINGS)}\n\n{wording.fenced(code)}\n\n{self._setting()} {self._wanted()} "
            f"{chance.choice(answers)}"
        )

    def evidence(self) -> dict[str, Any]:
        """All that it takes to compute the answer again."""
        spec = self.spec
        found: dict[str, Any] = {"traced": self.file.sha256, "horizon": spec.horizon, "prm": dict(spec.prm)}
        if spec.metrics is not None:
            found["metrics"] = list(spec.metrics)
        if self.depth is not None:
            found |= {"depths": list(spec.depths), "depth": self.depth}
        return found | {"steps": self.steps}

    def _setting(self) -> str:
        spec, variant = self.spec, self.file.variant
        groups = ""
        if spec.depths:
            depths = wording.listed([str(depth) for depth in spec.depths])
            groups = f" The optimizer has {len(spec.depths)} parameter groups, their `depth` is {depths}."
        step = "`scheduler.step()` is called once"
        if spec.metrics is not None:
            step = f"`scheduler.step(metric)` is called with {', '.join(map(str, spec.metrics))}, in this order: once"
        return (
            f"`make_scheduler(optimizer, total_steps={spec.horizon}, prm={json.dumps(spec.prm)})` is given an "
            f"optimizer with the learning rate {spec.prm['lr']:g}.{groups} {step} per "
            f"{'batch' if variant.per_batch else 'epoch'}."
        )

    def _wanted(self) -> str:
        steps = wording.listed([str(step) for step in self.steps])
        group = "" if self.depth is None else f" of the group of depth {self.depth}"
        return (
            f"What is the learning rate{group} at the steps {steps}? Step 0 is before the first call of "
            "`scheduler.step`, step n after n calls."
        )


def unambiguous(file: VerifiedFile, spec: TraceSpec, rates: trace.Rates) -> list[dict[int, str]]:
    """The rate of each group at each step, where the executed one and the curve's are written alike."""
    base = spec.prm["lr"]
    promised = _promised(file.variant, spec)
    found = np.asarray(rates)
    apart = ~(np.abs(found - promised) <= file.variant.tolerance * base)
    if apart.any():
        group, column = np.argwhere(apart)[0]
        raise CorpusError(
            f"{file.path}: the rate at step {spec.at[column]} of horizon {spec.horizon} with {dict(spec.prm)} is "
            f"{found[group, column]:g}, its curve has {promised[group, column]:g}: verify it again"
        )
    return [
        {
            step: _digits(executed, base)
            for step, executed, right in zip(spec.at, group, curve, strict=True)
            if _digits(executed, base) == _digits(right, base)
        }
        for group, curve in zip(found.tolist(), promised.tolist(), strict=True)
    ]


def _promised(variant: Variant, spec: TraceSpec) -> curves.Rates:
    """What the curve has at the steps of a course: groups × steps."""
    prm = {name: value for name, value in spec.prm.items() if name != "lr"}
    lr, metrics, depths = spec.prm["lr"], spec.metrics, spec.depths or (0,)
    return curves.rates(variant, spec.at, spec.horizon, lr, prm, metrics=metrics, depths=depths)


def _digits(rate: float, base: float) -> str:
    return f"{rate if abs(rate) > _NOTHING * base else 0:.6g}"
