"""The host: it imports torch once, forks a process for each file, and reports when and how it ends.

It talks to the examiner over a socket: a line of JSON each way, requests carry the descriptors of the new process.
"""

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch._dynamo
import torch.optim.swa_utils
import torch.utils.data
from beside import sandbox
from beside.sandbox.privileges import close_all_but

from . import driver

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_START_FAILED = 70


def main(descriptor: int, view: dict[str, Any]) -> None:
    """Serve requests until the examiner closes the socket."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the examiner handles them and ends this process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.collect()
    gc.freeze()  # a garbage collection in a child must not copy the pages that it shares with the host
    _Host(socket.socket(fileno=descriptor), sandbox.View(**view)).serve()


class _Host:
    def __init__(self, examiner: socket.socket, view: Any) -> None:
        self._examiner, self._view = examiner, view
        self._pids: dict[int, int] = {}  # of each file that runs
        self._handles: dict[int, int] = {}  # descriptor that reports the end of a process → file
        self._buffer = b""
        self._descriptors: list[int] = []
        self._poll = select.poll()
        self._poll.register(examiner, select.POLLIN)

    def serve(self) -> None:
        self._report(ready=os.getpid())
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._handles:
                    self._ended(descriptor)
                elif not self._requested():
                    self._kill_all()
                    return

    def _requested(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._examiner, 1 << 16, 8)
        self._descriptors += descriptors
        if not data:
            return False
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "kill" in request:
                self._kill(request["kill"])
            else:
                channel, output = self._descriptors[:2]
                del self._descriptors[:2]
                self._fork(request, channel, output)
        return True

    def _fork(self, request: dict[str, Any], channel: int, output: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._report(file=request["file"], refused=f"{type(error).__name__}: {error.strerror}")
        else:
            if pid == 0:
                _run(request, channel, output, self._view, parent)
            handle = os.pidfd_open(pid)
            self._pids[request["file"]], self._handles[handle] = pid, request["file"]
            self._poll.register(handle, select.POLLIN)
            self._report(file=request["file"], pid=pid)
        os.close(channel)
        os.close(output)

    def _kill(self, file: int) -> None:
        pid = self._pids.get(file)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for file in list(self._pids):
            self._kill(file)
        deadline = time.monotonic() + 10
        while self._handles and time.monotonic() < deadline:
            for descriptor, _ in self._poll.poll(1000):
                if descriptor in self._handles:
                    self._ended(descriptor)

    def _ended(self, handle: int) -> None:
        file = self._handles.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        pid = self._pids.pop(file)
        _, status, usage = os.wait4(pid, 0)
        orphans = self._kill_orphans(pid)
        with contextlib.suppress(OSError):  # the examiner may have ended
            self._report(file=file, status=status, orphans=orphans, cpu=usage.ru_utime + usage.ru_stime)

    def _kill_orphans(self, pid: int) -> int:
        """Kill the rest of a process group and the orphans that this process adopted; returns their number."""
        groups = 0
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
            groups += 1
        killed: set[int] = set()
        while orphans := _children() - set(self._pids.values()):
            for orphan in orphans:  # the death of an orphan may bring its own children here
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
            for orphan in orphans:  # without waiting: the first process of a PID namespace ends after all others
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, os.WNOHANG)
            killed |= orphans
            time.sleep(0.001)
        return groups + len(killed)

    def _report(self, **message: Any) -> None:
        self._examiner.sendall((json.dumps(message) + "\n").encode())


def _children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def _run(request: dict[str, Any], channel: int, output: int, view: Any, parent: int) -> NoReturn:
    """Become the process of a file; it leaves through os._exit."""
    code = _START_FAILED
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if os.getppid() != parent:
            os._exit(_START_FAILED)
        faulthandler.disable()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        close_all_but({0, 1, 2, channel})
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False, errors="replace")
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False, errors="replace")
        os.chdir(request["folder"])
        sandbox.enter(request["mechanism"], request["folder"], {channel}, sandbox.Bounds(), view, request["devices"])
        torch.set_num_threads(request["threads"])
        driver.serve(channel, request["device"])
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  the process must not return into the host's code
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
