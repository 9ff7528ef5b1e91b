"""The host: it imports torch once, forks a process for each file, and reports when and how it ends.

It talks to the examiner over a socket: a line of JSON each way, requests carry the descriptors of the new process.
"""

import contextlib
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
from typing import Any, NoReturn

import torch
import torch._dynamo
import torch.optim.swa_utils
import torch.utils.data
from beside import sandbox
from beside.sandbox import cgroups, processes
from beside.sandbox.privileges import close_all_but
from beside.sandbox.syscalls import adopt_orphans, set_parent_death_signal

from . import driver, packages

_START_FAILED = 70
# Every process of a file has this limit, plus the number of the file: whichever session and parent it gets, it is known
# by it. It bounds the microseconds of real-time scheduling, which no file has.
_MARK = 10**12


def main(descriptor: int, view: dict[str, Any]) -> None:
    """Serve requests until the examiner closes the socket."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the examiner handles them and ends this process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    packages.hide_others()
    gc.collect()
    gc.freeze()  # a garbage collection in a child must not copy the pages that it shares with the host
    _Host(socket.socket(fileno=descriptor), sandbox.View(**view)).serve()


class _Host:
    def __init__(self, examiner: socket.socket, view: Any) -> None:
        self._examiner, self._view = examiner, view
        self._pids: dict[int, int] = {}  # of each file that runs
        self._handles: dict[int, int] = {}  # descriptor that reports the end of a process → file
        self._groups: dict[int, cgroups.MemoryGroup] = {}
        self._parent_of_groups = cgroups.parent_of_groups()
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
        parent, inherited = os.getpid(), processes.inherited_bytes()
        group = self._group(request)
        try:
            pid = os.fork()
        except OSError as error:
            self._report(file=request["file"], refused=f"{type(error).__name__}: {error.strerror}")
        else:
            if pid == 0:
                _run(request, channel, output, self._view, parent, group)
            handle = os.pidfd_open(pid)
            self._pids[request["file"]], self._handles[handle] = pid, request["file"]
            self._poll.register(handle, select.POLLIN)
            self._report(file=request["file"], pid=pid, inherited=inherited)
        os.close(channel)
        os.close(output)

    def _group(self, request: dict[str, Any]) -> Any:
        """A control group that bounds the memory of a file, where this user may create one."""
        if self._parent_of_groups is None or not request["memory"]:
            return None
        with contextlib.suppress(OSError):
            self._groups[request["file"]] = cgroups.MemoryGroup.create(self._parent_of_groups, request["memory"])
        return self._groups.get(request["file"])

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
        orphans = processes.kill_group(pid)
        orphans += processes.kill_orphans(self._pids.values(), lambda orphan: not self._is_of_other(orphan, file))
        group = self._groups.pop(file, None)
        exceeded = group is not None and group.was_exceeded()
        if group is not None:
            group.wait_until_empty(1)
            group.remove()
        cpu = usage.ru_utime + usage.ru_stime
        with contextlib.suppress(OSError):  # the examiner may have ended
            self._report(file=file, status=status, orphans=orphans, cpu=cpu, exceeded=exceeded)

    def _is_of_other(self, pid: int, file: int) -> bool:
        """Whether a process belongs to another file whose end is not reported yet."""
        with contextlib.suppress(OSError):
            limit, _ = resource.prlimit(pid, resource.RLIMIT_RTTIME)
            return limit - _MARK in set(self._pids) - {file}
        return False

    def _report(self, **message: Any) -> None:
        self._examiner.sendall((json.dumps(message) + "\n").encode())


def _run(request: dict[str, Any], channel: int, output: int, view: Any, parent: int, group: Any) -> NoReturn:
    """Become the process of a file; it leaves through os._exit."""
    code = _START_FAILED
    try:
        os.setsid()
        if group is not None:
            group.enter()
        set_parent_death_signal(parent)
        adopt_orphans()
        resource.setrlimit(resource.RLIMIT_RTTIME, (_MARK + request["file"],) * 2)
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
        bounds = sandbox.Bounds(memory=request["memory"])
        sandbox.enter(request["mechanism"], request["folder"], {channel}, bounds, view, request["devices"])
        torch.set_num_threads(request["threads"])
        driver.serve(channel, request["device"])
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  the process must not return into the host's code
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)
