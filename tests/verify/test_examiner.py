"""Whatever happens in a check becomes the outcome of one file, in words that can be shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from lrgen import catalogue as catalogues
from lrgen.errors import EngineError
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify import examiner, messages
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.examiner import Examiner, printable_output
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, Place

Run = Callable[[Examination], None]
FILE = "import torch\n"


def nothing(examination: Examination) -> None:
    """Pass."""


@dataclass(frozen=True)
class FakeCheck:
    """A check that runs a function."""

    STAGE: Stage
    run: Run


Examine = Callable[..., Outcome]


@pytest.fixture
def examine(nursery, monkeypatch) -> Examine:
    """Examine a file with other checks, one a stage; those that are not given pass."""

    def run(
        runs: dict[Stage, Run], stage: Stage = Stage.CONTRACT, case_seed: int = 1, candidate: Candidate | None = None
    ) -> Outcome:
        checks = tuple(FakeCheck(each, runs.get(each, nothing)) for each in Stage)
        monkeypatch.setattr(examiner, "up_to", lambda last, candidate: checks[: list(Stage).index(last) + 1])
        place = Place(Mechanism.PROCESS, Limits())
        file = candidate or candidate_of(Path("file.py"), FILE.encode(), variant=catalogues.load().variant(1))
        return Examiner(VerifySettings(stage=stage), None, nursery, place, case_seed).examine(file)

    return run


def raises(error: BaseException) -> Run:
    """A check that raises."""

    def run(examination: Examination) -> None:
        raise error

    return run


def invalid() -> ValidationError:
    """An error of a message."""
    try:
        messages.Read.model_validate({"read": 1})
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (CheckFailure("it is\nwrong\x1b[31m \u202e"), Status.FAILED, r"it is\nwrong\x1b[31m \u202e"),
        (CheckFailure(""), Status.FAILED, ""),
        (CheckFailure("x" * 5000), Status.FAILED, "x" * 1000),
        (Ended(Status.TIMED_OUT, "too\nlong"), Status.TIMED_OUT, r"too\nlong"),
        (Ended(Status.OUT_OF_MEMORY, "too large"), Status.OUT_OF_MEMORY, "too large"),
        (Ended(Status.CRASHED, "it has ended"), Status.CRASHED, "it has ended"),
        (
            ValueError("no\nnumber"),
            Status.CRASHED,
            r"the contract check cannot use the answers of the file: ValueError: no\nnumber",
        ),
        (
            RecursionError("deep"),
            Status.CRASHED,
            "the contract check cannot use the answers of the file: RecursionError: deep",
        ),
        (
            OverflowError("large"),
            Status.CRASHED,
            "the contract check cannot use the answers of the file: OverflowError: large",
        ),
    ],
)
def test_an_error_ends_its_file_with_a_status_and_one_line(examine, error, status, reason):
    """A failure, an end of the process and any error of a comparison are the outcome of that file alone."""
    later: list[Stage] = []
    outcome = examine(
        {Stage.CONTRACT: raises(error), Stage.SCHEDULE: lambda _: later.append(Stage.SCHEDULE)}, Stage.SCHEDULE
    )
    assert (outcome.status, outcome.stage, outcome.reason) == (status, Stage.CONTRACT, reason)
    assert later == []


def test_an_invalid_message_is_a_crash(examine):
    """An answer that is none, wherever it is parsed, ends the file as crashed with one line."""
    outcome = examine({Stage.CONTRACT: raises(invalid())})
    assert outcome.status is Status.CRASHED
    assert "\n" not in outcome.reason


@pytest.mark.parametrize("error", [EngineError("the nursery cannot be started"), KeyboardInterrupt()])
def test_what_is_not_the_fault_of_a_file_is_not_its_outcome(examine, error):
    """Where the engine fails or the user interrupts, no file is blamed."""
    with pytest.raises(type(error)):
        examine({Stage.CONTRACT: raises(error)})


@pytest.mark.parametrize(
    ("stage", "claims", "status"),
    [
        (Stage.CONTRACT, True, Status.PASSED),
        (Stage.CONTRACT, False, Status.PASSED),
        (Stage.SCHEDULE, True, Status.PASSED),
        (Stage.SCHEDULE, False, Status.UNCLAIMED),
        (Stage.TRAINING, True, Status.VERIFIED),
        (Stage.TRAINING, False, Status.UNCLAIMED),
    ],
)
def test_a_file_that_passes_has_the_status_of_its_last_check(examine, stage, claims, status):
    """Only a file that claims a variant and was trained is verified; without a claim it has nothing to compare with."""
    file = candidate_of(Path("file.py"), FILE.encode(), variant=catalogues.load().variant(1))
    outcome = examine({}, stage, candidate=file if claims else replace(file, variant=None))
    assert (outcome.status, outcome.stage) == (status, stage)
    assert [check.stage for check in outcome.checks] == list(Stage)[: list(Stage).index(stage) + 1]
    assert outcome.case_seed == 1


def _loads(code: str) -> Run:
    """A check that runs code in the process of the file."""

    def run(examination: Examination) -> None:
        examination.session.call("load", messages.Loaded, source=code, path="file.py", absent=[])

    return run


def test_a_file_that_passes_but_leaves_a_process_behind_fails(examine):
    """An orphan that shows only at the end of the file is a failure."""
    code = """
import os, time
def supported_hyperparameters():
    return set()
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, b"x")
        time.sleep(600)
    os._exit(0)
os.read(reading, 1)
__import__("threading").Thread(target=lambda: None).start()
"""

    def run(examination: Examination) -> None:
        with pytest.raises(Ended, match="running$"):
            _loads(code)(examination)

    outcome = examine({Stage.CONTRACT: run})
    assert (outcome.status, outcome.reason) == (Status.FAILED, "the file leaves processes of its own running")


def test_the_output_of_a_file_is_kept_as_printable_lines(examine):
    """The end of what a file printed is part of the outcome, without control characters."""
    outcome = examine({Stage.CONTRACT: _loads(r"import os; os.write(1, b'one\x1b[31m\ntwo\xff\n')")})
    assert outcome.output == "one\\x1b[31m\ntwo\ufffd\n"
    assert printable_output("a\r\u202eb\nc".encode()) == "a\\r\\u202eb\nc"


def test_draws_depend_on_the_seed_and_the_text_alone(examine):
    """The same seed and text give the same draws, whatever was examined before; another seed or text gives others."""
    drawn: list[int] = []

    def run(examination: Examination) -> None:
        drawn.append(examination.draw.stream("test").getrandbits(60))

    other = candidate_of(Path("file.py"), b"import math\n")
    for case_seed, file in ((1, None), (2, None), (1, other), (1, None)):
        examine({Stage.CONTRACT: run}, case_seed=case_seed, candidate=file)
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


def test_evidence_is_said_once(examine):
    """Sentences of evidence are kept in their order, each once."""

    def run(examination: Examination) -> None:
        examination.evidence += ["b", "a", "b"]

    assert examine({Stage.CONTRACT: run}).evidence == ("b", "a")
