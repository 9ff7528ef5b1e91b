"""Every number of a schedule's code, changed one by one, and what the schedule check says of each mutant.

``python -m tests.mutation`` prints the table of all variants and the survivors; ``python -m tests.mutation 51 60``
those of some numbers.
"""

import ast
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrgen import catalogue as catalogues
from lrgen.checks import direct, schedule
from lrgen.checks.subject import CheckFailure, Subject
from lrgen.records import Candidate, Metric, Unit, Variant, VerifySettings
from lrgen.render import Renderer

TINY = Path(__file__).parent / "tiny"
# Traces beyond those that the check looks at: a mutant that differs in none of them does the same as the original.
WIDE_HORIZONS = (*range(1, 21), 40, 90)


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
        """The tiny file, held to the variant."""
        text = self._renderer.render(self._network, variant).text
        own = self.schedule(variant)
        assert text.count(own) == 1
        source = text if schedule is None else text.replace(own, schedule)
        path = Path(f"/tiny/{variant.key}.py")
        return Subject(Candidate(path, source, "", "Tiny", variant.key, variant, {"lr": 0.1}), VerifySettings())


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
    """Losses (or accuracies) that improve by the same share, or by the same amount, in each step."""
    steps = 2 * horizon + 5
    if variant.unit is not Unit.METRIC:
        yield [math.nan] * steps
        return
    for share in (0.1, 1e-2, 1e-3, 1e-4, 1e-5):
        for metrics in (
            [2 * (1 - share) ** step for step in range(steps)],
            [2 - share * step for step in range(steps)],
        ):
            yield metrics if variant.metric is Metric.LOSS else [1 - metric / 2 for metric in metrics]


def rates_of(
    variant: Variant, make: Callable[..., Any], horizon: int, prm: dict[str, float], metrics: list[float]
) -> str:
    """The rates of all groups, step by step, as text; an error ends them."""
    declared: list[dict[str, Any]] = [{"depth": d} for d in direct.DEPTHS] if variant.layerwise else [{}]
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
            print(f"  {mutant.key}: {'survives' if mutant.differs else 'traces alike'}: {mutant.place}")


if __name__ == "__main__":
    main(sys.argv[1:])
