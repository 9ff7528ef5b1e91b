"""No wait for a child process lasts longer than a limit, whatever has become of the child."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from lrgen.errors import CorpusError
from lrgen.records import Stage, Status, VerifySettings
from lrgen.verify import isolation, trace
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism
from tests.verify.processes import has_exited, wait_for

SYNTAX = VerifySettings(stage=Stage.SYNTAX)
SPEC = trace.TraceSpec(1, {"lr": 0.1}, (0,))


def wait_for_ever() -> None:
    while True:
        time.sleep(60)


def test_a_child_that_hangs_before_it_has_a_group_is_killed(monkeypatch):
    """A child that hangs right after the fork, still in the group of its parent, is ended at the time limit."""
    monkeypatch.setattr(local, "die_with_parent", wait_for_ever)
    limits = Limits(seconds=0.3, grace=0.1)
    [outcome] = local.run([candidate_of(Path("a.py"), b"x = 1\n")], SYNTAX, None, limits=limits)
    assert outcome.status is Status.TIMED_OUT


def test_orphans_that_cannot_be_killed_do_not_stop_a_run(monkeypatch):
    """When new processes appear as fast as they are killed, the file ends all the same."""
    monkeypatch.setattr(local, "_KILL_SECONDS", 0.2)
    monkeypatch.setattr(local, "_is_orphan", lambda pid: True)
    seen = iter([set()])  # before the run there is none
    monkeypatch.setattr(local, "child_processes", lambda: next(seen, {(1 << 22) + 1}))  # above the largest process id
    assert [outcome.status for outcome in local.run([candidate_of(Path("a.py"), b"x = 1\n")], SYNTAX, None)]


def test_a_sandbox_in_which_a_process_hangs_is_refused(monkeypatch):
    """A mechanism whose trial does not end is refused with the reason."""
    monkeypatch.setattr(isolation, "_TRIAL_SECONDS", 0.2)
    monkeypatch.setattr(isolation.sandbox, "enter", lambda *_: wait_for_ever())
    assert isolation.refusal_of(Mechanism.LANDLOCK) == "landlock: the trial takes longer than 0.2 s"


class File(NamedTuple):
    """A file to trace."""

    source: str
    name: str = "a"
    path: Path = Path("a.py")


def traced(source: str) -> str:
    """The error of the trace of a file."""
    with pytest.raises(CorpusError) as raised:
        list(trace.run([(File(source), (SPEC,))], workers=1))
    return str(raised.value)


def test_a_trace_that_takes_too_long_is_an_error(monkeypatch):
    """A file whose schedule is not traced within the limit ends the build with its name."""
    monkeypatch.setattr(trace, "_SECONDS", 0.2)
    assert traced("while True:\n    pass\n") == "a.py: cannot trace the schedule: it takes longer than 0.2 s"


def test_a_process_that_a_traced_file_leaves_is_not_waited_for(tmp_path):
    """A process that holds the output of its tracer open does not delay the error that the tracer has exited."""
    leaves = (
        "import os, time\nif pid := os.fork():\n    open({!r}, 'w').write(str(pid))\n    os._exit(3)\ntime.sleep(1e6)\n"
    )
    assert traced(leaves.format(f"{tmp_path}/pid")) == "a.py: cannot trace the schedule: its process exited"
    left = int((tmp_path / "pid").read_text())
    os.kill(left, signal.SIGKILL)
    wait_for(lambda: has_exited(left), "the end of the process")
