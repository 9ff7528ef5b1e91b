"""The contract of all engines: plain and sandboxed processes, a Ray cluster."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen import data
from lrgen.errors import EngineError, IsolationError
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify import isolation
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.engines import ray as cluster
from lrgen.verify.limits import Limits
from tests.paths import FIXTURES

SECONDS = 120.0

Run = Callable[..., list[Outcome]]


def of_file(name: str, source: str | None = None) -> Candidate:
    """A fixture as a candidate that claims variant 1, or another source under its name."""
    content = source.encode() if source else (FIXTURES / name).read_bytes()
    built = candidate_of(FIXTURES / name, content, variant=catalogues.load().variant(1))
    return replace(built, prm={"lr": 0.1, "momentum": 0.9, "dropout": 0.2})


GOOD = "training/passes_epoch_unit.py"
ENDS = {
    GOOD: Status.VERIFIED,
    "contract/fails_no_net.py": Status.FAILED,
    "schedule/fails_wrong_gamma.py": Status.FAILED,
    "training/fails_exits.py": Status.CRASHED,
}


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """A Ray cluster of this machine alone."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(
    params=["process", "sandboxed", pytest.param("ray", marks=pytest.mark.slow)],
)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs files with each of the engines, up to a stage."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    options: dict[str, Any] = {}
    if request.param == "sandboxed":
        try:
            options["mechanism"] = isolation.available()
        except IsolationError as error:
            pytest.skip(str(error))

    def run(
        files: list[Candidate],
        stage: Stage = Stage.TRAINING,
        seconds: float = SECONDS,
        case_seed: int | None = None,
    ) -> list[Outcome]:
        settings, limits = VerifySettings(stage=stage), Limits(seconds=seconds)
        if request.param == "ray":
            batches = cluster.run(files, settings, workers=2, limits=limits, case_seed=case_seed)
            return [outcome for batch in batches for outcome in batch]
        common = {"workers": 2, "limits": limits, "case_seed": case_seed}
        return list(local.run(files, settings, data.load("digits"), **common, **options))

    return run


def test_each_file_has_its_outcome(run):
    """Every file has one outcome, with the status that its fault causes."""
    files = [of_file(name) for name in ENDS]
    outcomes = run(files)
    assert Counter(id(outcome.candidate) for outcome in outcomes) == Counter(map(id, files))
    by_name = {f"{outcome.candidate.path.parent.name}/{outcome.candidate.path.name}": outcome for outcome in outcomes}
    assert {name: outcome.status for name, outcome in by_name.items()} == ENDS
    verified = by_name[GOOD]
    assert [check.stage for check in verified.checks] == list(Stage)
    assert [epoch.epoch for epoch in verified.epochs] == [1, 2, 3, 4, 5]
    assert verified.accuracy == max(epoch.accuracy for epoch in verified.epochs)
    assert all(sum(map(sum, epoch.confusion)) == 300 for epoch in verified.epochs)


def test_the_results_do_not_depend_on_the_engine(run):
    """Training has the same confusion matrices as in a plain process on this machine."""
    [outcome] = run([of_file(GOOD)])
    [plain] = local.run([of_file(GOOD)], VerifySettings(), data.load("digits"))
    assert [epoch.confusion for epoch in outcome.epochs] == [epoch.confusion for epoch in plain.epochs]
    assert [epoch.lr for epoch in outcome.epochs] == [epoch.lr for epoch in plain.epochs]


def with_harm(code: str, name: str) -> Candidate:
    """The good file, whose constructor also runs this code."""
    source = (FIXTURES / GOOD).read_text(encoding="utf-8")
    line = "        self.device = device\n"
    assert source.count(line) == 1
    return of_file(f"training/{name}.py", source.replace(line, f"{line}        {code}\n"))


def test_a_crash_or_a_timeout_ends_no_other_file(run):
    """The other files of a run pass."""
    files = [
        with_harm("import os; os.abort()", "crashes"),
        with_harm("import time; time.sleep(600)", "hangs"),
        of_file(GOOD),
        of_file(GOOD),
    ]
    outcomes = run(files, Stage.CONTRACT, seconds=6.0)
    counts = Counter((outcome.candidate.path.stem, outcome.status) for outcome in outcomes)
    assert counts == {
        ("crashes", Status.CRASHED): 1,
        ("hangs", Status.TIMED_OUT): 1,
        ("passes_epoch_unit", Status.PASSED): 2,
    }


def test_output_and_reasons_are_returned(run):
    """The outcome has the output of the file, and the reason with the line of its failure."""
    [outcome] = run([with_harm("print('built'); raise ValueError('no such thing')", "raises")], Stage.CONTRACT)
    assert outcome.status is Status.FAILED
    assert outcome.stage is Stage.CONTRACT
    assert re.fullmatch(
        r"Net for 3x32x32 inputs and 10 classes raises ValueError: no such thing \(line \d+\)", outcome.reason
    )
    assert outcome.output == "built\n"


def test_no_files_have_no_outcomes(run):
    """A run without files yields nothing."""
    assert run([]) == []


@pytest.mark.parametrize("case_seed", [None, 2**63 - 1])
def test_the_outcome_has_the_seed_of_its_cases(run, case_seed):
    """The outcome has the given seed; without one, two files of a run share a new one."""
    files = [of_file(GOOD, f"x = {number}\n") for number in range(2)]
    [seed] = {outcome.case_seed for outcome in run(files, Stage.POLICY, case_seed=case_seed)}
    assert seed == case_seed if case_seed is not None else seed in range(2**63)


# Options of the training.


@pytest.mark.parametrize("option", ["autocast", pytest.param("compile", marks=pytest.mark.slow)])
def test_training_with_autocast_or_compile_is_verified(option):
    """In bfloat16 or compiled, a file is verified, and its training loss differs slightly from that of float32."""
    settings = VerifySettings(**{option: True})
    [outcome] = local.run([of_file(GOOD)], settings, data.load("digits"), limits=Limits(seconds=600.0))
    assert outcome.status is Status.VERIFIED, outcome.reason
    [plain] = local.run([of_file(GOOD)], VerifySettings(), data.load("digits"))
    assert outcome.epochs[0].train_loss != plain.epochs[0].train_loss
    assert outcome.epochs[0].train_loss == pytest.approx(plain.epochs[0].train_loss, rel=0.1)


# Ray.


def test_without_ray_the_error_names_the_extra(monkeypatch):
    """The error says which extra to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"^--engine ray needs Ray: pip install 'lrgen\[ray\]'$"):
        cluster.slots(None, "cpu", 1, 1)
