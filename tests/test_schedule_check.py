"""The schedule check lets every variant's own code pass, and stops it once a number in it is changed."""

import ast
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrgen.catalogue import Catalogue
from lrgen.checks import schedule
from lrgen.checks.subject import CheckFailure, Subject
from lrgen.records import Candidate, Unit, Variant, VerifySettings
from lrgen.render import Renderer

FIXTURES = Path(__file__).parent / "checks" / "training"
# Traces beyond those that the check looks at: a mutant that differs in none of them does the same as the original.
WIDE_HORIZONS = (*range(1, 21), 40, 90)


@dataclass(frozen=True)
class Mutant:
    """A schedule in which one number was changed, and what the check says of it; empty when it passes."""

    key: str
    place: str
    reason: str
    differs: bool


def splice(variant: Variant, code: str) -> str:
    """The tiny fixture of the variant's unit with another schedule in it."""
    fixture = (FIXTURES / f"passes_{variant.unit}_unit.py").read_text(encoding="utf-8")
    imports = fixture.split("def supported_hyperparameters", 1)[0]
    network = fixture.split("class ConvBlock", 1)[1]
    return f"{imports}{code}\n\nclass ConvBlock{network}"


def subject_of(variant: Variant, code: str) -> Subject:
    source = splice(variant, code)
    path = Path(f"/tiny/{variant.key}.py")
    return Subject(Candidate(path, source, "", "tiny", variant.key, variant, {"lr": 0.1}), VerifySettings())


def check(variant: Variant, code: str) -> str:
    """What the schedule check says of a file with this schedule; empty when it passes."""
    subject = subject_of(variant, code)
    subject.load()
    try:
        measurement = schedule.measure(subject)
    except CheckFailure as failure:
        return str(failure)
    return schedule.judge(subject.candidate, subject.settings, json.loads(json.dumps(measurement)))


def mutate(code: str) -> Iterator[tuple[str, str]]:
    """(place, code) for each number in the code, changed: a whole one by one, another by half of it and a bit."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            before = node.value
            node.value = before + 1 if isinstance(before, int) else before * 1.5 + 0.01
            line = code.splitlines()[node.lineno - 1].strip()
            yield f"{before} -> {node.value} in {line}", ast.unparse(tree)
            node.value = before


def wide_trace(variant: Variant, code: str) -> str:
    """What ``make_scheduler`` does at many horizons and hyperparameters, as text; an error is part of it."""
    module = subject_of(variant, code).load()
    told = []
    for horizon in WIDE_HORIZONS:
        for prm in ({}, *wide_prm(variant, horizon)):
            for losses in wide_losses(variant, horizon):
                told.append(f"{horizon} {prm}: {rates_of(module.make_scheduler, horizon, prm, losses)}")
    return "\n".join(told)


def wide_prm(variant: Variant, horizon: int) -> Iterator[dict[str, float]]:
    for parameter in variant.hyperparameters:
        values = {parameter.low, parameter.high, (parameter.low + parameter.high) / 2, 1 / horizon, 2 / horizon}
        for value in sorted(values):
            if parameter.low <= value <= parameter.high:
                yield {parameter.name: value}


def wide_losses(variant: Variant, horizon: int) -> Iterator[list[float]]:
    steps = 2 * horizon + 5
    if variant.unit is not Unit.METRIC:
        yield [math.nan] * steps
        return
    for share in (0.1, 1e-2, 1e-3, 1e-4, 1e-5):
        yield [2 * (1 - share) ** step for step in range(steps)]
        yield [2 - share * step for step in range(steps)]


def rates_of(make: Callable[..., Any], horizon: int, prm: dict[str, float], losses: list[float]) -> str:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    rates = []
    try:
        scheduler = make(optimizer, horizon, prm)
        for loss in losses:
            rates.append(f"{optimizer.param_groups[0]['lr']:.10f}")
            optimizer.step()
            scheduler.step() if math.isnan(loss) else scheduler.step(loss)
    except Exception as error:  # noqa: BLE001  whatever it raises is what it does
        rates.append(type(error).__name__)
    return " ".join(rates)


def examine(catalogue: Catalogue) -> dict[str, Any]:
    """Every variant as it is rendered, and every mutant of it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    renderer = Renderer(catalogue)
    verdicts, mutants = {}, []
    for variant in catalogue.variants:
        code = renderer.schedule(variant)
        verdicts[variant.key] = check(variant, code)
        own = ""
        for place, changed in mutate(code):
            reason = check(variant, changed)
            if not reason:
                own = own or wide_trace(variant, code)
            differs = bool(reason) or wide_trace(variant, changed) != own
            mutants.append([variant.key, place, reason, differs])
    return {"verdicts": verdicts, "mutants": mutants}


@pytest.fixture(scope="module")
def examined(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``examine`` finds, in a child: this process must not train, since others of its tests fork."""
    path = tmp_path_factory.mktemp("schedules") / "examined.json"
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            path.write_text(json.dumps(examine(catalogue)))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def mutants(examined: dict[str, Any]) -> list[Mutant]:
    return [Mutant(*entry) for entry in examined["mutants"]]


def test_every_variant_passes_as_it_is_rendered(catalogue, examined):
    """The schedule that the templates render is the one that the curves compute, for every variant."""
    failed = {key: reason for key, reason in examined["verdicts"].items() if reason}
    assert failed == {}
    assert len(examined["verdicts"]) == len(catalogue.variants) >= 50


def test_every_number_of_a_schedule_matters(mutants, record_property):
    """A template of which one number is edited, and which then trains otherwise, does not pass: at least 99 of 100."""
    different = [mutant for mutant in mutants if mutant.differs]
    caught = [mutant for mutant in different if mutant.reason]
    survivors = "\n".join(f"{one.key}: {one.place}" for one in different if not one.reason)
    share = f"{len(caught)} of {len(different)} mutants are caught"
    record_property("caught", share)
    assert len(different) >= 150
    assert len(caught) >= 0.99 * len(different), f"{share}, not these:\n{survivors}"


def test_a_mutant_is_caught_for_what_its_rate_does(mutants):
    """The reason names a rate, or what make_scheduler raises, so that a person knows where to look."""
    caught = [mutant for mutant in mutants if mutant.reason]
    vague = [mutant for mutant in caught if "rate" not in mutant.reason and "raises" not in mutant.reason]
    assert vague == []
    assert all(" A0_" in mutant.reason or "raises" in mutant.reason for mutant in caught)


def test_a_mutant_that_is_not_caught_says_so(mutants):
    """Mutants that pass do the same as the original at every horizon and hyperparameter that was tried, or are few."""
    same = [mutant for mutant in mutants if not mutant.differs]
    assert len(same) <= 0.05 * len(mutants)
