"""The cases of tests/verify/cases: no hostile file is accepted, every honest one is verified."""

import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from lrgen import catalogue as catalogues
from lrgen import data
from lrgen.records import Outcome, Policy, Stage, Status, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from tests.paths import CASES, REPOSITORY

LIMITS = local.Limits(seconds=60, check_seconds=30, output=1 << 20, memory=3 << 29)
BATCH = 8  # files of one call of the engine: one of them must not end the others
CASE_SEED = 1  # the same cases in each run of the tests
LEAST_DEVIATION = 0.01  # of the weights, as a fraction of the way of the control's


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    file: str
    claim: str
    stage: Stage
    policy: Policy | None
    kind: str
    instead: str
    shown_by: str

    @property
    def path(self) -> Path:
        return CASES / self.file

    @property
    def honest(self) -> bool:
        return self.kind == "control"


def row(line: str) -> Case:
    """The case of one line of the table."""
    file, claim, stage, policy, kind, instead, shown_by = line.strip("| ").split(" | ")
    return Case(
        file, claim, Stage(stage), None if policy == "–" else Policy(policy), kind, instead, shown_by.strip("`")
    )


TABLE = [
    row(line) for line in (CASES / "README.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| ho\w+/", line)
]
SHOWN = [case for case in TABLE if case.shown_by != "–"]


def marked(case: Case) -> ParameterSet:
    """The parameter of a case; the fast suite has every third hostile file of a kind that is judged before training."""
    position = [other for other in TABLE if other.kind == case.kind].index(case)
    slow = not case.honest and (case.stage is Stage.TRAINING or position % 3 > 0)
    return pytest.param(case, id=case.file.removesuffix(".py"), marks=[pytest.mark.slow] if slow else [])


@functools.cache
def outcomes(batch: tuple[Case, ...]) -> dict[Case, Outcome]:
    """The outcomes of some files of one stage and policy, from one call of the engine."""
    variant_of = catalogues.load().variant
    candidates = [candidate_of(case.path, case.path.read_bytes(), variant=variant_of(case.claim)) for case in batch]
    settings = VerifySettings(stage=batch[0].stage, policy=batch[0].policy)
    ended = local.run(candidates, settings, data.load("digits"), workers=2, limits=LIMITS, case_seed=CASE_SEED)
    by_path = {outcome.candidate.path: outcome for outcome in ended}
    return {case: by_path[case.path] for case in batch}


def outcome_of(case: Case) -> Outcome:
    """The outcome of a file, which is verified together with its neighbours in the table."""

    def batch_of(case: Case) -> tuple[object, ...]:
        return case.stage, case.policy, case.honest, bool(marked(case).marks)

    alike = [other for other in TABLE if batch_of(other) == batch_of(case)]
    start = alike.index(case) // BATCH * BATCH
    return outcomes(tuple(alike[start : start + BATCH]))[case]


@pytest.mark.parametrize("case", [marked(case) for case in TABLE if not case.honest])
def test_no_hostile_file_is_accepted(case):
    """A file that does something else than it claims does not pass the checks up to its stage."""
    outcome = outcome_of(case)
    assert not outcome.status.ok, f"{outcome.status}: {case.instead}"


@pytest.mark.parametrize("case", [marked(case) for case in TABLE if case.honest])
def test_an_honest_file_is_verified(case):
    """A file of the same form that does what it claims is verified."""
    outcome = outcome_of(case)
    assert outcome.status is Status.VERIFIED, f"{outcome.status} in {outcome.stage}: {outcome.reason}"


@pytest.fixture(scope="module")
def deviations() -> dict[Case, float | str]:
    """How far the weights of each file are from those of its control, measured by a process without lrgen."""
    runs = []
    for case in SHOWN:
        scenario = dict(part.split("=") for part in case.shown_by.split())
        control = CASES / "honest" / f"{scenario.pop('control', 'step_decay')}.py"
        runs.append([str(case.path), str(control), scenario])
    command = [sys.executable, "-m", "tests.verify.deviation"]
    done = subprocess.run(
        command, input=json.dumps(runs), stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, check=True
    )
    return dict(zip(SHOWN, json.loads(done.stdout), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.file.removesuffix(".py")) for case in SHOWN])
def test_a_hostile_file_trains_other_weights(case, deviations):
    """In the run that its row names, the weights do not end where those of the control end."""
    deviation = deviations[case]
    assert not isinstance(deviation, str), deviation
    assert deviation > LEAST_DEVIATION


def test_the_table_has_a_row_for_each_file():
    """The README lists each file of the two folders once, and no other file."""
    assert sorted(case.file for case in TABLE) == sorted(str(path.relative_to(CASES)) for path in CASES.glob("*/*.py"))


def test_each_file_says_what_its_row_says():
    """The docstring of a hostile file names what it claims, and then what its row says that it does instead."""
    differ = []
    for case in TABLE:
        text = case.path.read_text(encoding="utf-8")[:500]
        if not case.honest and case.stage is not Stage.SYNTAX:
            said = re.match(r'"""Claims [^;]+; (.+?)\.\s*"""', text, re.DOTALL)
            if said is None or " ".join(said[1].split()) != case.instead:
                differ.append(case.file)
    assert differ == []
