"""Mutation testing of the schedule check: each number in the code of each schedule is changed, one at a time.

``python -m tests.mutation`` counts the mutants of all variants and lists those that survive; ``python -m tests.mutation
51 60`` does so for some variants.
"""

import ast
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from lrgen import catalogue as catalogues
from lrgen.records import Candidate, Metric, Stage, Unit, Variant, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import make_scheduler_trace, schedule
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, Place
from tests.paths import TINY

# More horizons than the check has: a mutant whose traces are equal at all of them is equivalent to the original.
WIDE_HORIZONS = (*range(1, 21), 40, 90)


# Numbers that have no effect on the learning rate: the code around them and the reason.
ALIKE = (
    ("cycle_momentum=", "it says whether the momentum is cycled, not the learning rate"),
    ("min(1.0, 2 / total_steps)", "the bound only applies to a single step, at which a warm-up of 1 is out of range"),
    (
        "self.num_cycles * progress % 1",
        "the progress of a single cycle is below 1, and so is its remainder by 1 or by 2",
    ),
    ("5 / 350)", "5 / 351 of every tested horizon rounds to the same number of steps"),
    (
        "self.last_epoch >= 0 and lrs",
        "it is the first step that is guarded; tests/render/test_resume.py resumes before it",
    ),
    ("self.last_epoch += 1", "the schedule does not read the number of steps; tests/render/test_resume.py does"),
    ("self.last_epoch >= 0 and lrs", "the guard of the first step, which does not change a learning rate"),
    ('group.get("depth", 0)', "only differences of depths matter, and without depths there is one group"),
)
OPTIMIZERS = ("A0_176", "A0_177")
OPTIMIZER = (
    "a number of the optimizer, not of its learning rate; tests/render/test_schedule_free.py compares the weights"
)


def why_alike(mutant: "Mutant") -> str:
    """The reason why a mutant traces like the original; empty if it is unknown."""
    known = next((reason for place, reason in ALIKE if place in mutant.place), "")
    return known or (OPTIMIZER if mutant.key in OPTIMIZERS else "")


@dataclass(frozen=True)
class Mutant:
    """A schedule with one changed number, and the reason why it fails the check; empty if it passes."""

    key: str
    place: str
    reason: str
    differs: bool


class Tiny:
    """Renderer of variants for a tiny network, with another schedule in the file if one is given."""

    def __init__(self) -> None:
        self.catalogue = catalogues.load([TINY])
        self._renderer = Renderer(self.catalogue)
        self._network = self.catalogue.architecture("Tiny")

    def schedule(self, variant: Variant, imports: bool = False) -> str:
        """The variant's schedule, without its imports unless they are asked for."""
        text = self._renderer.schedule(variant)
        return text if imports else text.partition("\n\n\n")[2].rstrip("\n")

    def candidate(self, variant: Variant, schedule: str | None = None) -> Candidate:
        """The tiny network's file, which claims the variant."""
        text = self._renderer.render(self._network, variant).text
        rendered = self.schedule(variant)
        assert text.count(rendered) == 1
        source = text if schedule is None else text.replace(rendered, schedule)
        return candidate_of(Path(f"/tiny/{variant.key}.py"), source.encode(), self._network, variant)

    def module(self, variant: Variant, schedule: str | None = None) -> ModuleType:
        """The tiny network's file, executed in this process."""
        module = ModuleType(variant.key)
        exec(self.candidate(variant, schedule).source, vars(module))
        return module


def check(nursery: Nursery, candidate: Candidate) -> str:
    """The reason why a file fails the schedule check; empty if it passes."""
    settings, place = VerifySettings(stage=Stage.SCHEDULE), Place(Mechanism.PROCESS, Limits())
    examination = Examination(candidate, settings, nursery, place, draw_for(0, candidate.sha256))
    examination.begin(Stage.SCHEDULE, None)
    try:
        examination.loaded = examination.load(examination.session)
        schedule.run(examination)
    except CheckFailure as failure:
        return str(failure)
    except Ended as end:
        return end.reason
    finally:
        examination.close()
    return ""


def mutate(code: str) -> Iterator[tuple[str, str]]:
    """(place, code) for each number in the code, changed.

    An int is incremented, a float is multiplied by 1.5 and increased by 0.01, a bool is negated. The code that guards
    and resumes a scheduler is left out: tests/render/test_resume.py removes each of its statements.
    """
    tree = ast.parse(code)
    resuming = {id(part) for node in ast.walk(tree) if is_resuming(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool) and id(node) not in resuming:
            before = node.value
            node.value = (
                not before if type(before) is bool else before + 1 if type(before) is int else before * 1.5 + 0.01
            )
            line = code.splitlines()[node.lineno - 1].strip()
            yield f"{before} -> {node.value} in {line}", ast.unparse(tree)
            node.value = before


def is_resuming(node: ast.AST) -> bool:
    """Whether a node is a class of torch's that names its schedule and does no more, or the guard of the horizon."""
    if isinstance(node, ast.ClassDef):
        return node.name.startswith("Resumable")
    return isinstance(node, ast.If) and ast.unparse(node.test) == "total_steps < 1"


def wide_trace(variant: Variant, module: ModuleType) -> str:
    """The traces of ``make_scheduler`` at many horizons and hyperparameters, with errors, as text."""
    lines = []
    for horizon in WIDE_HORIZONS:
        for prm in ({}, *wide_prm(variant, horizon)):
            for metrics in wide_metrics(variant, horizon):
                lines.append(f"{horizon} {prm}: {rates_of(variant, module.make_scheduler, horizon, prm, metrics)}")
    return "\n".join(lines)


def wide_prm(variant: Variant, horizon: int) -> Iterator[dict[str, float]]:
    """Each hyperparameter at both ends and the middle of its range, and at one and two steps."""
    for parameter in variant.hyperparameters:
        values = {parameter.low, parameter.high, (parameter.low + parameter.high) / 2, 1 / horizon, 2 / horizon}
        for value in sorted(values):
            if parameter.low <= value <= parameter.high:
                yield {parameter.name: value}


def wide_metrics(variant: Variant, horizon: int) -> Iterator[list[float]]:
    """Losses (or accuracies) that improve exponentially or linearly, oscillate, reach a plateau, or are zero."""
    steps = 2 * horizon + 5
    if variant.unit is not Unit.METRIC:
        yield [math.nan] * steps
        return
    series = []
    for improvement in (0.1, 1e-2, 1e-3, 1e-4, 1e-5):
        series.append([2 * (1 - improvement) ** step for step in range(steps)])
        series.append([2 - improvement * step for step in range(steps)])
    series.append([math.nan if step < 3 else 1 + math.cos(step / 3) / (1 + step) for step in range(steps)])
    series.append([max(1.5 - 2 * step / steps, 0.9) for step in range(steps)])
    series.append([0.0] * steps)
    for metrics in series:
        yield metrics if variant.metric is Metric.LOSS else [1 - metric / 2 for metric in metrics]


def rates_of(
    variant: Variant, make: Callable[..., Any], horizon: int, prm: dict[str, float], metrics: list[float]
) -> str:
    """The learning rates of all groups at each step, as text; for several numbers of layers if layer-wise."""
    layers = ((0,), (0, 1), make_scheduler_trace.DEPTHS) if variant.layerwise else ((),)
    return "; ".join(_rates_of(variant, make, horizon, prm, metrics, depths) for depths in layers)


def _rates_of(
    variant: Variant,
    make: Callable[..., Any],
    horizon: int,
    prm: dict[str, float],
    metrics: list[float],
    depths: Sequence[int],
) -> str:
    """The learning rates of groups at the given depths; an error ends them."""
    options: list[dict[str, Any]] = [{"depth": depth} for depth in depths] or [{}]
    groups = [{"params": [nn.Parameter(torch.zeros(1))], **option} for option in options]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    rates = []
    try:
        scheduler = make(optimizer, horizon, prm)
        for metric in metrics:
            rates.append(" ".join(f"{group['lr']:.10f}" for group in optimizer.param_groups))
            optimizer.step()
            scheduler.step() if variant.unit is not Unit.METRIC else scheduler.step(metric)
    except Exception as error:  # noqa: BLE001  an error of any kind is part of the trace
        rates.append(type(error).__name__)
    return ", ".join(rates)


def examine(variants: Iterable[Variant]) -> dict[str, Any]:
    """The verdict on every variant as rendered, and on each of its mutants."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tiny = Tiny()
    verdicts: dict[str, str] = {}
    mutants: list[list[Any]] = []
    with Nursery() as nursery:
        for variant in variants:
            verdicts[variant.key] = check(nursery, tiny.candidate(variant))
            original = ""
            for place, changed in mutate(tiny.schedule(variant)):
                reason = check(nursery, tiny.candidate(variant, changed))
                if not reason:
                    original = original or wide_trace(variant, tiny.module(variant))
                differs = bool(reason) or wide_trace(variant, tiny.module(variant, changed)) != original
                mutants.append([variant.key, place, reason, differs])
    return {"verdicts": verdicts, "mutants": mutants}


def main(arguments: list[str]) -> None:
    """Print the counts and the surviving mutants."""
    examined = examine(catalogues.load().select(arguments))
    for key, reason in examined["verdicts"].items():
        if reason:
            print(f"{key} fails the check as rendered: {reason}")
    mutants = [Mutant(*entry) for entry in examined["mutants"]]
    different = [mutant for mutant in mutants if mutant.differs]
    caught = [mutant for mutant in different if mutant.reason]
    counts = f"{len(mutants)} mutants, {len(different)} with a different trace, {len(caught)} of these caught"
    print(f"{len(examined['verdicts'])} variants, {counts}")
    for mutant in mutants:
        if not mutant.reason:
            outcome = "survives" if mutant.differs else f"traces alike ({why_alike(mutant) or 'reason unknown'})"
            print(f"  {mutant.key}: {outcome}: {mutant.place}")


if __name__ == "__main__":
    main(sys.argv[1:])
