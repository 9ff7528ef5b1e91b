"""Calls within a time and a memory limit, for code from a user's folder of templates.

A process that is started by exec makes the calls, one at a time, and keeps what it has imported. A call names a
function that returns bytes, and pickles its arguments. The process ends with its caller; a call that exceeds a limit
ends it, and the next call starts another one.
"""

import atexit
import contextlib
import importlib
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
            assert self._process.stdin is not None
            try:
                deadline = time.monotonic() + seconds + _GRACE
                self._process.stdin.write(_LENGTH.pack(len(request)) + request)
                self._process.stdin.flush()
                failed = self._receive(1, deadline) == b"!"
                [length] = _LENGTH.unpack(self._receive(_LENGTH.size, deadline))
                answer = self._receive(length, deadline)
            except (EOFError, BrokenPipeError, TimeoutError) as error:
                raise CallError(self._ended(error, seconds)) from error
            except BaseException:  # an interrupt: the process is busy, and its answer would belong to no call
                self.close()
                raise
        if failed:
            raise CallError(answer.decode())
        return answer

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and os.getpid() == _CALLER:
            process.kill()
            process.communicate()

    def _start(self) -> None:
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *filter(None, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # an interrupt from the keyboard goes to the caller alone
        )

    def _receive(self, size: int, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        data = bytearray()
        while len(data) < size:
            if not poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
                raise TimeoutError
            piece = os.read(descriptor, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _ended(self, error: Exception, seconds: float) -> str:
        """The reason of a call that ended its process."""
        assert self._process is not None
        if isinstance(error, TimeoutError):
            self._process.kill()
        code = self._process.wait()
        self.close()
        if isinstance(error, TimeoutError) or code == -signal.SIGALRM:
            return f"takes longer than {seconds:g} s"
        return f"ends its process with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


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
