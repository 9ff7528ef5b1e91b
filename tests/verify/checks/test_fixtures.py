"""Every fixture under tests/verify/checks ends as its first line says."""

import functools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from lrgen import catalogue as catalogues
from lrgen import data
from lrgen.records import Candidate, Outcome, Policy, Stage, Status, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import CHECKS
from lrgen.verify.engines import local
from tests.paths import FIXTURES

FILES = sorted(FIXTURES.glob("*/*.py"))
FAST = set(FILES[::3])  # the slow tests run the others
FAILING = [path for path in FILES if path.stem.startswith("fails_")]
HEADER = re.compile(r"# claim: (\d+|-); expect: ([a-z ]+?)(?: in ([a-z]+): (.+))?")
PRM = {"lr": 0.1, "momentum": 0.9, "dropout": 0.2}
LIMITS = local.Limits(seconds=300, output=1 << 20, memory=3 << 29)
HANGS = replace(LIMITS, seconds=12)  # of the files that never end
CASE_SEED = 1


def fixture_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def header(path: Path) -> tuple[str, str, str | None, str | None]:
    """The claim, the status, the stage and the pattern of the reason; the last two are None for a file that passes."""
    match = HEADER.fullmatch(path.read_bytes().split(b"\n")[0].decode())
    assert match is not None, f"{path} has no header"
    return match[1], match[2], match[3], match[4]


def candidate(path: Path) -> Candidate:
    claim = header(path)[0]
    variant = None if claim == "-" else catalogues.load().variant(claim)
    return replace(candidate_of(path, path.read_bytes(), variant=variant), prm=PRM)


def run_of(files: list[Path], settings: VerifySettings, limits: local.Limits = LIMITS) -> dict[Path, Outcome]:
    workers = 3 if limits is HANGS else 2
    candidates = [candidate(path) for path in files]
    ended = local.run(candidates, settings, data.load("digits"), workers=workers, limits=limits, case_seed=CASE_SEED)
    return {outcome.candidate.path: outcome for outcome in ended}


@functools.cache
def outcomes_of(fast: bool) -> dict[Path, Outcome]:
    """The outcomes of the fast fixtures, or of the others; those of the policy check under the strict policy."""
    files = [path for path in FILES if (path in FAST) is fast]
    judged = [path for path in files if path.parent.name == Stage.POLICY]
    hanging = [path for path in files if header(path)[1] == Status.TIMED_OUT]
    others = [path for path in files if path not in (*judged, *hanging)]
    return (
        run_of(judged, VerifySettings(policy=Policy.STRICT))
        | run_of(hanging, VerifySettings(), HANGS)
        | run_of(others, VerifySettings())
    )


def parameters() -> list[ParameterSet]:
    """The fixtures; those that are not fast are marked as slow."""
    return [pytest.param(path, id=fixture_id(path), marks=[] if path in FAST else [pytest.mark.slow]) for path in FILES]


@pytest.mark.parametrize("path", parameters())
def test_a_fixture_ends_as_its_first_line_says(path):
    """A file with one known fault has the expected status, in the expected check, for the expected reason."""
    _, status, stage, pattern = header(path)
    outcome = outcomes_of(path in FAST)[path]
    ending = f"{outcome.status} in {outcome.stage}: {outcome.reason}"
    assert outcome.status == status, ending
    if pattern is None:
        assert outcome.status in (Status.VERIFIED, Status.UNCLAIMED)
    else:
        assert outcome.stage == stage, ending
        assert re.fullmatch(pattern, outcome.reason), ending


@pytest.mark.slow
def test_the_expected_reason_of_a_fault_matches_no_other_fault():
    """A pattern matches no reason that differs from that of its own fixture."""
    reasons = {path: outcome.reason for path, outcome in (outcomes_of(True) | outcomes_of(False)).items()}
    reasons = {path: reasons[path] for path in FAILING}
    confused = [
        f"{fixture_id(path)} matches the reason of {fixture_id(other)}: {reason}"
        for path in FAILING
        for other, reason in reasons.items()
        if reason != reasons[path] and re.fullmatch(header(path)[3] or "", reason)
    ]
    assert not confused, "\n".join(confused)


def test_the_batch_goes_on_after_every_fault():
    """Each file has an outcome, whatever the others do."""
    assert set(outcomes_of(True)) == FAST


def test_every_check_has_fixtures_that_must_fail():
    """Each check has a fixture that fails it."""
    assert {path.parent.name for path in FAILING} == set(Stage) == {check.STAGE for check in CHECKS}


def test_the_readme_lists_every_fixture():
    """The table of the README has one row for each fixture, and no other row."""
    rows = re.findall(r"^\| (\w+/\w+\.py) \|", (FIXTURES / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == [f"{fixture_id(path)}.py" for path in FILES]
