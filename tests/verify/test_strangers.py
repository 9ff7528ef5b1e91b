"""The files of tests/verify/strangers, as people write them: what they do decides, not how it is written."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from lrgen import catalogue as catalogues
from lrgen.records import Outcome, Policy, Stage, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from tests.paths import STRANGERS

HEADER = re.compile(r"# claim: (\d{3}|-); kind: ([a-z ]+)")
SETTINGS = VerifySettings(stage=Stage.SCHEDULE, policy=Policy.LEMUR)
LIMITS = local.Limits(seconds=240, check_seconds=120, output=1 << 20, memory=3 << 29)
CASE_SEED = 1
# Of the fast suite: kinds that no other test has, in files that take a second.
FAST = {
    *("accepted/accumulates_to_64_images", "accepted/criteria_in_dict", "accepted/frozen_average"),
    *("accepted/keys_of_lemur", "accepted/one_cycle_raises_past_end", "accepted/sam_around_sgd"),
    *("rejected/resets_rate_every_five_epochs", "rejected/accumulates_two_batches"),
}


@dataclass(frozen=True)
class Stranger:
    """A file; its first line has the variant that it is checked against (``-``: none) and its kind."""

    path: Path

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def header(self) -> re.Match[str]:
        match = HEADER.fullmatch(self.path.read_text(encoding="utf-8").split("\n")[0])
        assert match is not None, f"{self.name} has no header"
        return match


FILES = [Stranger(path) for path in sorted(STRANGERS.glob("*/*.py"))]


def parameters(folder: str) -> list[ParameterSet]:
    """The files of a folder; those that are not fast are marked as slow."""
    return [
        pytest.param(file, id=file.path.stem, marks=[] if file.name in FAST else [pytest.mark.slow])
        for file in FILES
        if file.path.parent.name == folder
    ]


@functools.cache
def outcomes(fast: bool) -> dict[Path, Outcome]:
    """The outcomes of the fast files, or of the others, up to the schedule check."""
    variant_of = catalogues.load().variant
    candidates = []
    for file in FILES:
        claim = file.header[1]
        if (file.name in FAST) is fast:
            variant = None if claim == "-" else variant_of(claim)
            candidates.append(candidate_of(file.path, file.path.read_bytes(), variant=variant))
    ended = local.run(candidates, SETTINGS, None, workers=2, limits=LIMITS, case_seed=CASE_SEED)
    return {outcome.candidate.path: outcome for outcome in ended}


@pytest.mark.parametrize("file", parameters("accepted"))
def test_an_honest_file_is_accepted(file):
    """A file that does what it claims, or claims nothing, passes in whatever style it is written."""
    outcome = outcomes(file.name in FAST)[file.path]
    assert outcome.status.ok, f"{outcome.status} in {outcome.stage}: {outcome.reason}"


@pytest.mark.parametrize("file", parameters("rejected"))
def test_a_faulty_file_is_rejected(file):
    """A file of the same styles that does not do what it claims, or cannot run, fails."""
    outcome = outcomes(file.name in FAST)[file.path]
    assert not outcome.status.ok


@pytest.mark.slow
def test_no_reason_shows_the_code_of_the_checks():
    """A reason and the evidence speak of the file, and of no module, message or process of lrgen."""
    internal = re.compile(r"lrgen|beside|nursery|driver|messages\.|do_[a-z]+|broadcast|pydantic|Traceback")
    shown = [text for fast in (True, False) for outcome in outcomes(fast).values() for text in texts_of(outcome)]
    assert [text for text in shown if internal.search(text)] == []


def texts_of(outcome: Outcome) -> tuple[str, ...]:
    """What a person reads of an outcome."""
    return (outcome.reason, *outcome.evidence)


def test_the_fast_files_exist():
    """Each name of the fast suite is a file."""
    assert {file.name for file in FILES} >= FAST
