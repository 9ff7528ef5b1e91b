"""Every number of a schedule's code, changed one by one, and what the schedule check says of each mutant.

``python -m tests.mutation`` prints the table of all variants and the survivors; ``python -m tests.mutation 51 60``
those of some numbers.
"""

import ast
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrgen import catalogue as catalogues
from lrgen.records import Metric, Unit, Variant, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import make_scheduler_trace, schedule
from lrgen.verify.checks.subject import CheckFailure, Subject
from tests.paths import TINY

# Traces beyond those that the check looks at: a mutant that differs in none of them does the same as the original.
WIDE_HORIZONS = (*range(1, 21), 40, 90)


# Why a changed number may change no rate: where it stands, and the reason.
ALIKE = (
    ("cycle_momentum=", "it says whether the momentum is cycled, not the rate"),
    ("min(1.0, 2 / total_steps)", "the bound is for a single step, where a warm-up of 1 is out of its range"),
    ("self.cycles * progress % 1", "the progress of a single cycle is below 1, and so is its remainder by 1 or by 2"),
    ("5 / 350)", "a fraction of 5 / 351 rounds to the same whole steps at every horizon that was tried"),
    ('group.get("depth", 0)', "without depths there is one group, and only differences of depths count"),
)
OPTIMIZERS = ("A0_176", "A0_177")
OPTIMIZER = "a number of the optimizer, not of its rate: tests/render/test_schedule_free.py compares the weights"


def why_alike(mutant: "Mutant") -> str:
    """The reason why a mutant has the rates of the original; empty when none is known."""
    told = next((reason for place, reason in ALIKE if place in mutant.place), "")
    return told or (OPTIMIZER if mutant.key in OPTIMIZERS else "")


@dataclass(frozen=True)
class Mutant:
    """A schedule in which one number was changed, and what the check says of it; empty when it passes."""

    key: str
    place: str
    reason: str
    differs: bool


class Tiny:
    """Renders a variant for a tiny network, and puts another schedule into the file."""

    def __init__(self) -> None:
        self.catalogue = catalogues.load([TINY])
        self._renderer = Renderer(self.catalogue)
        self._network = self.catalogue.architecture("Tiny")

    def schedule(self, variant: Variant) -> str:
        """The variant's schedule without its imports."""
        return self._renderer._schedule(variant)[1]

    def subject(self, variant: Variant, schedule: str | None = None) -> Subject:
        """The tiny file, checked against the variant."""
        text = self._renderer.render(self._network, variant).text
        own = self.schedule(variant)
        assert text.count(own) == 1
        source = text if schedule is None else text.replace(own, schedule)
        path = Path(f"/tiny/{variant.key}.py")
        return Subject(candidate_of(path, source.encode(), self._network, variant), VerifySettings())


def check(subject: Subject) -> str:
    """What the schedule check says of a file; empty when it passes."""
    assert subject.candidate.variant is not None
    subject.load()
    try:
        measurement = schedule.measure(subject)
    except CheckFailure as failure:
        return str(failure)
    return schedule.judge(subject.candidate, subject.settings, json.loads(json.dumps(measurement)))


def mutate(code: str) -> Iterator[tuple[str, str]]:
    """(place, code) for each number in the code, changed: a whole one by one, another by half of it and a bit, a
    truth value to the other.
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            before = node.value
            node.value = (
                not before if type(before) is bool else before + 1 if type(before) is int else before * 1.5 + 0.01
            )
            line = code.splitlines()[node.lineno - 1].strip()
            yield f"{before} -> {node.value} in {line}", ast.unparse(tree)
            node.value = before


def wide_trace(subject: Subject) -> str:
    """What ``make_scheduler`` does at many horizons and hyperparameters, as text; an error is part of it."""
    variant, module = subject.candidate.variant, subject.load()
    assert variant is not None
    told = []
    for horizon in WIDE_HORIZONS:
        for prm in ({}, *wide_prm(variant, horizon)):
            for metrics in wide_metrics(variant, horizon):
                told.append(f"{horizon} {prm}: {rates_of(variant, module.make_scheduler, horizon, prm, metrics)}")
    return "\n".join(told)


def wide_prm(variant: Variant, horizon: int) -> Iterator[dict[str, float]]:
    """Each hyperparameter at its ends, in the middle, and where it is one or two steps."""
    for parameter in variant.hyperparameters:
        values = {parameter.low, parameter.high, (parameter.low + parameter.high) / 2, 1 / horizon, 2 / horizon}
        for value in sorted(values):
            if parameter.low <= value <= parameter.high:
                yield {parameter.name: value}


def wide_metrics(variant: Variant, horizon: int) -> Iterator[list[float]]:
    """Losses (or accuracies) that improve by the same share, or by the same amount, in each step; that begin with none
    and fall and rise in turn; that stay after a fall; and that are zero.
    """
    steps = 2 * horizon + 5
    if variant.unit is not Unit.METRIC:
        yield [math.nan] * steps
        return
    found = []
    for share in (0.1, 1e-2, 1e-3, 1e-4, 1e-5):
        found.append([2 * (1 - share) ** step for step in range(steps)])
        found.append([2 - share * step for step in range(steps)])
    found.append([math.nan if step < 3 else 1 + math.cos(step / 3) / (1 + step) for step in range(steps)])
    found.append([max(1.5 - 2 * step / steps, 0.9) for step in range(steps)])
    found.append([0.0] * steps)
    for metrics in found:
        yield metrics if variant.metric is Metric.LOSS else [1 - metric / 2 for metric in metrics]


def rates_of(
    variant: Variant, make: Callable[..., Any], horizon: int, prm: dict[str, float], metrics: list[float]
) -> str:
    """The rates of all groups, step by step, as text; a layer-wise schedule for one, two and four layers."""
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
    """For one choice of layers; an error ends the rates."""
    declared: list[dict[str, Any]] = [{"depth": depth} for depth in depths] or [{}]
    groups = [{"params": [nn.Parameter(torch.zeros(1))], **group} for group in declared]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    rates = []
    try:
        scheduler = make(optimizer, horizon, prm)
        for metric in metrics:
            rates.append(" ".join(f"{group['lr']:.10f}" for group in optimizer.param_groups))
            optimizer.step()
            scheduler.step() if variant.unit is not Unit.METRIC else scheduler.step(metric)
    except Exception as error:  # noqa: BLE001  whatever it raises is what it does
        rates.append(type(error).__name__)
    return ", ".join(rates)


def examine(variants: Iterable[Variant]) -> dict[str, Any]:
    """Every variant as it is rendered, and every mutant of it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tiny = Tiny()
    verdicts: dict[str, str] = {}
    mutants: list[list[Any]] = []
    for variant in variants:
        verdicts[variant.key] = check(tiny.subject(variant))
        own = ""
        for place, changed in mutate(tiny.schedule(variant)):
            reason = check(tiny.subject(variant, changed))
            if not reason:
                own = own or wide_trace(tiny.subject(variant))
            differs = bool(reason) or wide_trace(tiny.subject(variant, changed)) != own
            mutants.append([variant.key, place, reason, differs])
    return {"verdicts": verdicts, "mutants": mutants}


def main(arguments: list[str]) -> None:
    """Print what was found."""
    found = examine(catalogues.load().select(arguments))
    for key, reason in found["verdicts"].items():
        if reason:
            print(f"{key} is wrong as it is rendered: {reason}")
    mutants = [Mutant(*entry) for entry in found["mutants"]]
    different = [mutant for mutant in mutants if mutant.differs]
    caught = [mutant for mutant in different if mutant.reason]
    counts = f"{len(mutants)} mutants, {len(different)} trace otherwise, {len(caught)} of these are caught"
    print(f"{len(found['verdicts'])} variants, {counts}")
    for mutant in mutants:
        if not mutant.reason:
            told = "survives" if mutant.differs else f"traces alike ({why_alike(mutant) or 'why is not known'})"
            print(f"  {mutant.key}: {told}: {mutant.place}")


if __name__ == "__main__":
    main(sys.argv[1:])
