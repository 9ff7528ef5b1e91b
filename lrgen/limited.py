"""Calls within a time and a memory limit, for code from a user's folder of templates.

A process that is started by exec makes the calls, one at a time, and keeps what it has imported. A call names a
function that returns bytes, and pickles its arguments. The process ends with its caller; a call that exceeds a limit
ends it, and the next call starts another one.
"""

import atexit
import contextlib
import importlib
import math
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from typing import Any

SECONDS = 10.0
MEMORY = 4 << 30  # bytes of private memory

_PROGRAM = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import serve; serve()"
_LENGTH = struct.Struct("<Q")
_GRACE = 30.0  # seconds to start, to import the module of the function, and to end at the limit
_POLL_SECONDS = 0.2  # between two looks at whether a process still runs
_CALLER = os.getpid()


class CallError(Exception):
    """A call that failed; the message is the reason, as a sentence about the code without its subject."""


def call(function: str, *arguments: object) -> bytes:
    """Return what ``module:function`` returns for the arguments.

    Raises:
        CallError: if the function raises, exits, or exceeds a limit.
    """
    if os.getpid() != _CALLER:  # a forked child that verifies a file is under limits itself, and cannot start processes
        return _outcome(function, arguments)
    return _PROCESS.call(pickle.dumps((SECONDS, function, arguments)), SECONDS)


def close() -> None:
    """End the process; the next call starts another one."""
    _PROCESS.close()


class _Pipes:
    """The caller's ends of the standard input and output of a process.

    No method waits longer than until a deadline of ``time.monotonic``, or than the process runs: the pipes of a process
    that has ended may be held open by others that it has started.

    Raises:
        TimeoutError: from each method, at the deadline.
        EOFError: from ``receive``, if the process has ended or has closed its output.
        BrokenPipeError: from ``send``, if the process has ended or has closed its input.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin.fileno(), process.stdout.fileno()
        self._unread = bytearray()
        for descriptor in (self._input, self._output):
            os.set_blocking(descriptor, False)

    def send(self, data: bytes, deadline: float = math.inf) -> None:
        """Write all data."""
        left = memoryview(data)
        while left:
            if not self._ready(self._input, select.POLLOUT, deadline):
                raise BrokenPipeError
            left = left[os.write(self._input, left) :]

    def receive(self, size: int, deadline: float = math.inf) -> bytes:
        """Return the next ``size`` bytes."""
        while len(self._unread) < size:
            self._read(deadline)
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    def _read(self, deadline: float) -> None:
        data = os.read(self._output, 1 << 20) if self._ready(self._output, select.POLLIN, deadline) else b""
        if not data:
            raise EOFError
        self._unread += data

    def _ready(self, descriptor: int, event: int, deadline: float) -> bool:
        """Wait until a pipe can be read or written; False if it cannot and the process has ended."""
        poll = select.poll()
        poll.register(descriptor, event)
        while True:
            ended = self._process.poll() is not None
            left = deadline - time.monotonic()
            if poll.poll(0.0 if ended else 1000 * min(max(left, 0.0), _POLL_SECONDS)):
                return True
            if ended:
                return False
            if left <= 0:
                raise TimeoutError


class _Process:
    """The caller's end of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def call(self, request: bytes, seconds: float) -> bytes:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._process is not None
            try:
                pipes, deadline = _Pipes(self._process), time.monotonic() + seconds + _GRACE
                pipes.send(_LENGTH.pack(len(request)) + request, deadline)
                failed = pipes.receive(1, deadline) == b"!"
                [length] = _LENGTH.unpack(pipes.receive(_LENGTH.size, deadline))
                answer = pipes.receive(length, deadline)
            except (EOFError, BrokenPipeError, TimeoutError) as error:
                raise CallError(self._ended(seconds, deadline)) from error
            except BaseException:  # an interrupt: the process is busy, and its answer would belong to no call
                self.close()
                raise
        if failed:
            raise CallError(answer.decode())
        return answer

    def close(self) -> None:
        """End the process and those that it has started, without reading from them: they may hold its output open."""
        process, self._process = self._process, None
        if process is None or os.getpid() != _CALLER:
            return
        if process.poll() is None:
            _kill_group(process.pid)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def _start(self) -> None:
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *filter(None, sys.path)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            # An interrupt from the keyboard goes to the caller alone. In a session of its own, it would look like a
            # process that a file under test has left running.
            process_group=0,
        )

    def _ended(self, seconds: float, deadline: float) -> str:
        """The reason of a call that ended its process, or that did not end in time."""
        assert self._process is not None
        try:
            code = self._process.wait(max(0.0, deadline - time.monotonic()))
            _kill_group(self._process.pid)  # what it has left running
        except subprocess.TimeoutExpired:  # it still computes, maybe after it has closed its output
            code = -signal.SIGALRM
        self.close()
        if code == -signal.SIGALRM:
            return f"takes longer than {seconds:g} s"
        if code >= 0:
            return f"ends its process with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"ends its process with {name}"


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


_PROCESS = _Process()


# In the process.


def serve() -> None:
    """Make calls until standard input ends."""
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the code prints must not look like an answer
    while length := requests.read(_LENGTH.size):
        seconds, function, arguments = pickle.loads(requests.read(*_LENGTH.unpack(length)))
        importlib.import_module(function.partition(":")[0])
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, whatever that computes
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            mark, answer = b".", _outcome(function, arguments)
        except CallError as error:
            mark, answer = b"!", str(error).encode("utf-8", "backslashreplace")
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(mark + _LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _outcome(function: str, arguments: tuple[Any, ...]) -> bytes:
    module, _, name = function.partition(":")
    try:
        answer: bytes = getattr(importlib.import_module(module), name)(*arguments)
    except CallError:
        raise
    except MemoryError as error:
        raise CallError(f"needs more than {MEMORY >> 30} GiB of memory") from error
    except RecursionError as error:
        raise CallError("is nested too deeply") from error
    except SystemExit as error:
        raise CallError(f"calls sys.exit({error.code!r})") from error
    except BaseException as error:
        raise CallError(f"raises {described(error)}") from error
    return answer


def described(error: BaseException) -> str:
    """The type and the message of an error, on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  an error of the code may have any message
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
