"""Every fixture under tests/verify/checks ends as its first line says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import data
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import CHECKS
from lrgen.verify.engines import local
from tests.paths import FIXTURES

FILES = sorted(FIXTURES.glob("*/*.py"))
HEADER = re.compile(r"# claim: (\d+|-); expect: (\w+)(?:: (.*))?")
PRM = {"lr": 0.1, "momentum": 0.9, "dropout": 0.2}
LIMITS = local.Limits(seconds=15, check_seconds=8, output=1 << 20, memory=3 << 29)


def fixture_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def header(path: Path) -> tuple[str, str, str]:
    match = HEADER.match(path.read_bytes().split(b"\n")[0].decode())
    assert match is not None, f"{path} has no header"
    return match[1], match[2], match[3] or ""


@pytest.fixture(scope="module")
def outcomes(catalogue) -> dict[Path, Outcome]:
    """All fixtures through the harness in one batch."""

    def candidate(path: Path) -> Candidate:
        claim = header(path)[0]
        variant = None if claim == "-" else catalogue.variant(claim)
        return replace(candidate_of(path, path.read_bytes(), variant=variant), prm=PRM)

    everything = [candidate(path) for path in FILES]
    found = local.run(everything, VerifySettings(), data.load("digits"), workers=2, limits=LIMITS)
    return {outcome.candidate.path: outcome for outcome in found}


@pytest.mark.parametrize("path", FILES, ids=fixture_id)
def test_a_fixture_ends_as_its_first_line_says(path, outcomes):
    """A file with one known fault is stopped by the right check with a reason that names the fault."""
    _, expected, pattern = header(path)
    outcome = outcomes[path]
    told = f"{outcome.status} {outcome.stage}: {outcome.reason}"
    if expected in [status.value for status in Status]:
        assert outcome.status == expected, told
    else:
        assert not outcome.status.ok, told
        assert outcome.stage == expected, told
        assert re.search(pattern, f"{outcome.status}: {outcome.reason}", re.IGNORECASE), told
        assert len(outcome.reason) > 10


def test_the_batch_goes_on_after_every_fault(outcomes):
    """Each file has an outcome, whatever the others did."""
    assert set(outcomes) == set(FILES)


def test_every_check_has_fixtures_that_must_fail():
    """A check that cannot fail is a defect."""
    failing = {path.parent.name for path in FILES if path.stem.startswith("fails_")}
    assert failing == set(Stage) == {check.STAGE for check in CHECKS}
