"""Calls within a time and a memory limit: what ends them, and that the next call works."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrgen import limited
from tests.verify.processes import has_exited, wait_for

FAILURES = {
    ("operator:truediv", 1, 0): "raises ZeroDivisionError: division by zero",
    ("builtins:int", "a\nb"): r"raises ValueError: invalid literal for int() with base 10: 'a\nb'",
    ("builtins:compile", "a b", "x.py", "exec"): "raises SyntaxError: invalid syntax (x.py, line 1)",
    ("builtins:bytes", 10**12): "needs more than 4 GiB of memory",
    ("json:loads", "[" * 100_000): "is nested too deeply",
    ("sys:exit", 3): "calls sys.exit(3)",
    ("os:_exit", 3): "ends its process with exit code 3",
    ("os:abort",): "ends its process with SIGABRT",
    ("time:sleep", 1e6): "takes longer than 0.3 s",
    ("builtins:sum", range(10**12)): "takes longer than 0.3 s",  # in C, holding the interpreter's lock
}


@pytest.mark.parametrize(("call", "reason"), FAILURES.items(), ids=[name for name, *_ in FAILURES])
def test_a_call_that_fails_has_a_reason_and_the_next_call_works(monkeypatch, call, reason):
    """A function that raises, exits, or exceeds a limit is one CallError, and a call after it succeeds."""
    monkeypatch.setattr(limited, "SECONDS", 0.3)
    with pytest.raises(limited.CallError) as raised:
        limited.call(*call)
    assert str(raised.value) == reason
    assert limited.call("builtins:bytes", 3) == b"\0\0\0"


LEAVES = "import os, time\nif os.fork() == 0:\n    time.sleep(1e6)\n"  # it holds the pipes of the process open
ENDINGS = {
    "leaves a process and exits": (LEAVES + "os._exit(3)", "ends its process with exit code 3"),
    "leaves a process and waits": (LEAVES + "time.sleep(1e6)", "takes longer than 0.3 s"),
    "closes its output": ("import os, time\nos.closerange(3, 99)\ntime.sleep(1e6)", "takes longer than 0.3 s"),
    "stops": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "takes longer than 0.3 s"),
    "has no alarm": ("import signal, time\nsignal.alarm(0)\ntime.sleep(1e6)", "takes longer than 0.3 s"),
    "ends by an unnamed signal": ("import os, signal\nos.kill(os.getpid(), 40)", "ends its process with signal 40"),
}


@pytest.mark.parametrize(("code", "reason"), ENDINGS.values(), ids=ENDINGS)
def test_a_call_ends_whatever_becomes_of_its_process(monkeypatch, code, reason):
    """Code that outlives its limit, or leaves processes that hold its pipes open, is one CallError."""
    limited.call("builtins:bytes", 1)
    monkeypatch.setattr(limited, "SECONDS", 0.3)
    monkeypatch.setattr(limited, "_GRACE", 1.0)
    group = limited._PROCESS._process.pid
    with pytest.raises(limited.CallError) as raised:
        limited.call("builtins:exec", code, {})
    assert str(raised.value) == reason
    wait_for(lambda: not members_of(group), "the end of the process and of those that it has started")


def members_of(group: int) -> list[int]:
    """The processes of a group that have not exited."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if not has_exited(pid) and group_of(pid) == group]


def group_of(pid: int) -> int | None:
    """The process group of a process; None if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def test_a_request_to_a_process_that_does_not_read_ends(monkeypatch):
    """A request longer than the pipe's buffer does not wait for a stopped process beyond the limit."""
    limited.call("builtins:bytes", 1)
    monkeypatch.setattr(limited, "SECONDS", 0.3)
    monkeypatch.setattr(limited, "_GRACE", 0.5)
    os.kill(limited._PROCESS._process.pid, signal.SIGSTOP)
    with pytest.raises(limited.CallError, match="takes longer than 0.3 s"):
        limited.call("builtins:bytes", bytes(1_000_000))


def test_the_process_is_no_orphan():
    """The process belongs to the caller's session, so that the local engine does not take it for a file's."""
    limited.call("builtins:bytes", 1)
    process = limited._PROCESS._process.pid
    assert os.getsid(process) == os.getsid(0)
    assert os.getpgid(process) == process != os.getpgid(0)


def test_the_process_can_be_ended():
    """After ``close`` there is no process, and the next call starts one."""
    limited.call("builtins:bytes", 1)
    process = limited._PROCESS._process.pid
    limited.close()
    assert not Path(f"/proc/{process}").exists()
    assert limited.call("builtins:bytes", 2) == b"\0\0"


def test_an_answer_of_megabytes_arrives_whole():
    """An answer longer than a pipe's buffer, and a request as long, arrive whole."""
    data = os.urandom(5_000_000)
    assert limited.call("builtins:bytes", data) == data


def test_what_a_function_prints_is_no_answer(capfd):
    """The output of a function goes to standard error, and its input is empty."""
    limited.close()  # the next process has this test's standard error
    assert limited.call("subprocess:check_output", ["sh", "-c", "echo loud >&2; cat; echo answer"]) == b"answer\n"
    assert capfd.readouterr() == ("", "loud\n")


def test_an_interrupt_during_a_call_leaves_no_answer_behind(monkeypatch):
    """After an interrupt while a call runs, the next call gets its own answer."""
    limited.call("builtins:bytes", 0)
    with monkeypatch.context() as patch:
        patch.setattr("select.poll", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            limited.call("builtins:bytes", 1)
    assert limited.call("builtins:bytes", 2) == b"\0\0"


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["exits", "is killed"])
def test_the_process_ends_with_its_caller(end):
    """When the caller exits or is killed, its process for calls ends."""
    code = (
        "import os, signal\nfrom lrgen import limited\nlimited.call('builtins:bytes', 1)\n"
        f"print(limited._PROCESS._process.pid, flush=True)\n{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    process = Path("/proc", done.stdout.strip(), "cmdline")
    deadline = time.monotonic() + 30
    while process.exists() and process.read_bytes():  # empty: it has ended, and waits for its new parent
        assert time.monotonic() < deadline
