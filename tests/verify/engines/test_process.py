"""A harness in its own process, for a caller with threads or an event loop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lrgen.errors import DataError, EngineError
from lrgen.records import Stage, Status, VerifySettings
from lrgen.verify.engines import process
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from tests.verify.engines.test_every_engine import GOOD, of_file, with_harm
from tests.verify.processes import has_exited, reap, wait_for

MISSING_DATASET = (
    r"^cifar-10: no folder cifar-10-batches-py in data "
    r"\(--data-root DIR names another folder, --download downloads the dataset\)$"
)


def setup(stage: Stage = Stage.CONTRACT, mechanism: Mechanism | None = Mechanism.PROCESS, **values) -> process.Setup:
    return process.Setup(VerifySettings(stage=stage, **values), Limits(), mechanism, Path("data"))


def test_the_caller_does_not_fork(monkeypatch):
    """Only the harness forks, even to choose a sandbox."""

    def refuse() -> int:
        raise AssertionError("the caller forks")

    monkeypatch.setattr(os, "fork", refuse)
    [outcome] = process.run([of_file(GOOD)], setup(mechanism=None))
    assert outcome.status.ok
    assert outcome.isolation in (Mechanism.NAMESPACES, Mechanism.LANDLOCK)


def test_a_harness_answers_consecutive_requests():
    """Each request has its own settings and files."""
    good, bad = of_file(GOOD), of_file("contract/fails_no_net.py")
    outcomes = []
    with process.Harness() as harness:
        for stage, files in ((Stage.SYNTAX, [good]), (Stage.CONTRACT, [good, bad])):
            answers = harness.answers(setup(stage), files)
            outcomes.append([process.outcome_of(*pair) for pair in zip(files, answers, strict=True)])
    assert [[len(outcome.checks) for outcome in batch] for batch in outcomes] == [[1], [3, 3]]
    assert outcomes[1][1].status is Status.FAILED


def test_an_error_of_the_harness_is_raised_in_the_caller():
    """A missing dataset raises the same error as in the harness."""
    with pytest.raises(DataError, match=MISSING_DATASET):
        process.run([of_file(GOOD)], setup(Stage.TRAINING, dataset="cifar-10"))


def test_a_killed_harness_is_an_error():
    """The caller raises an error at once when the harness is killed."""
    with process.Harness() as harness:
        os.kill(harness.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="^the harness exited with code -9$"):
            harness.answers(setup(), [of_file(GOOD)])


def test_a_file_that_kills_its_parent_ends_no_other_file():
    """A file without a sandbox does not pass if it kills the nursery; the next request has another one."""
    harm = with_harm("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "kills")
    with process.Harness() as harness:
        [killing] = harness.answers(setup(), [harm])
        [after] = harness.answers(setup(Stage.POLICY), [of_file(GOOD)])
    assert killing["status"] in (Status.CRASHED, Status.FAILED)  # the kernel may refuse the signal
    assert after["status"] == Status.PASSED


def test_a_nursery_is_kept_over_requests(tmp_path):
    """The files of consecutive requests are forked from the same nursery."""
    parents = tmp_path / "parents"
    code = f"import os; open({str(parents)!r}, 'a').write(f'{{os.getppid()}} ')"
    with process.Harness() as harness:
        for name in ("first", "second"):
            harness.answers(setup(), [with_harm(code, name)])
    first, *others = parents.read_text().split()
    assert set(others) == {first}


def test_a_harness_that_cannot_start_is_an_error(monkeypatch):
    """The error includes the last line that the harness wrote."""
    monkeypatch.setattr(process, "PROGRAM", "raise ImportError('no torch here')")
    with pytest.raises(EngineError, match="^the harness exited with code 1: ImportError: no torch here$"):
        process.run([of_file(GOOD)], setup())


CALLER = """
from tests.verify.engines.test_process import setup
from tests.verify.engines.test_every_engine import with_harm
from lrgen.verify.engines import process
code = "import os, time; open({path!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}} '); time.sleep(600)"
process.run([with_harm(code, "hangs")], setup())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_caller_leaves_no_process(tmp_path, number):
    """The harness and the process of the file end with a caller that is interrupted or killed."""
    written = tmp_path / "pids"
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER.format(path=str(written))], stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: written.exists() and written.read_text().count(" ") == 2, "the process ids", 60.0)
        pids = list(map(int, written.read_text().split()))
        caller.send_signal(number)
        _, err = caller.communicate(timeout=30)
        assert caller.returncode != 0
        assert ("KeyboardInterrupt" in err) == (number is signal.SIGINT)
        wait_for(lambda: all(map(has_exited, pids)), "the end of the processes", 30.0)
        for pid in pids:
            reap(pid)
    finally:
        caller.kill()
