"""The examiner's end of a file's process: it sends commands and takes the answers.

A session is one process of one file. Every call is bounded in time, memory, output and the size of its answer; whatever
the process does ends the session with a status and a reason, and nothing else.
"""

import contextlib
import json
import os
import select
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from pydantic import ValidationError

from lrgen.records import Status
from lrgen.verify.limits import Limits
from lrgen.verify.messages import Envelope, Message, Raised, printable
from lrgen.verify.nursery import wire
from lrgen.verify.sandbox import Mechanism, processes, removal

Array = np.ndarray[Any, Any]
Answer = TypeVar("Answer", bound=Message)

_POLL_SECONDS = 0.2  # between two measurements of the memory of a file
_KILL_SECONDS = 10.0  # to wait for a killed process
_PATIENCE = 4.0  # times its limit that a process may take on a busy machine
_HEADER = 8 << 20  # bytes of an answer without its arrays
_BODY = 32 << 20  # bytes of the arrays of an answer, unless the caller expects more
_OUTPUT_TAIL = 4096  # bytes


class Ended(Exception):
    """A file's process has ended, or was ended; the status and the reason are those of the file."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class FileRaised(Exception):
    """An exception of the file; ``str`` is ``ValueError: message (line 12)``."""

    def __init__(self, raised: Raised) -> None:
        message = printable(raised.message, 300)
        where = f" (line {raised.line})" if raised.line is not None else ""
        super().__init__(f"{printable(raised.type, 100)}{': ' if message else ''}{message}{where}")
        self.raised = raised


@dataclass(frozen=True)
class Place:
    """Where the processes of files run: their isolation, device, threads and limits."""

    mechanism: Mechanism
    limits: Limits
    device: str = "cpu"
    threads: int = 1


class Host(Protocol):
    """The nursery of a session, as far as the session knows it (nursery_process)."""

    @property
    def folder(self) -> Path:
        """The folder of the run."""

    def kill(self, number: int) -> None:
        """Kill the process of a file and all that it has started."""


@dataclass(eq=False)
class Session:
    """A process of a file, from its fork to its end.

    ``allow`` sets the deadline of the calls that follow, which moves by the time that the process waits for a core of a
    busy machine. ``output`` is the end of what the file printed.
    """

    nursery: Host
    number: int
    place: Place
    cpu: float = 0.0
    output: bytes = b""
    _ended: threading.Event = field(default_factory=threading.Event)
    _status: int | None = None
    _orphans: int = 0
    _exceeded: bool = False
    _pid: int | None = None
    _inherited: int = 0
    _refused: str = ""
    _printed: int = 0
    _deadline: float = float("inf")
    _latest: float = float("inf")
    _allowed: str = ""
    _waited: float = 0.0
    _measured: float = 0.0
    _closed: bool = False

    def start(self, to_nursery: socket.socket) -> None:
        """Have the nursery fork the process."""
        self._folder = Path(tempfile.mkdtemp(dir=self.nursery.folder))
        self._channel, channel = socket.socketpair()
        self._channel.setblocking(False)
        self._output_pipe, output = os.pipe()
        os.set_blocking(self._output_pipe, False)
        request = {
            "file": self.number,
            "folder": str(self._folder),
            "mechanism": self.place.mechanism.value,
            "devices": _device_nodes(self.place.device),
            "device": self.place.device,
            "threads": self.place.threads,
            "memory": self.place.limits.memory,
        }
        try:
            socket.send_fds(to_nursery, [(json.dumps(request) + "\n").encode()], [channel.fileno(), output])
        finally:
            channel.close()
            os.close(output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def allow(self, deadline: float, reason: str) -> None:
        """Give the calls that follow a deadline (``time.monotonic``), and the reason if they exceed it."""
        now = time.monotonic()
        self._deadline, self._latest = deadline, now + _PATIENCE * (deadline - now)
        self._allowed, self._waited = reason, self._waiting

    def call(
        self, command: str, kind: type[Answer], arrays: Sequence[Array] = (), *, body: int = _BODY, **arguments: Any
    ) -> tuple[Answer, list[Array]]:
        """Send a command and wait for its answer.

        Raises:
            Ended: if the process ends, exceeds a limit, or sends anything but an answer of this kind.
            FileRaised: if the file raises an exception.
        """
        self._send(wire.encode({"do": command, **arguments}, arrays))
        header, rest = self._receive(body)
        self._read_output()  # the driver has flushed it before the answer
        try:
            message, received = wire.decode(header, rest)
            envelope = Envelope.model_validate(message)
            answer = None if envelope.done is None else kind.model_validate(envelope.done)
        except (wire.FrameError, ValidationError, RecursionError, ValueError, TypeError, OverflowError) as error:
            raise self._end(
                Status.CRASHED, f"the process of the file sends an answer that is none: {_kind(error)}"
            ) from None
        if envelope.raised is not None:
            if envelope.raised.memory:
                raise self._end(Status.OUT_OF_MEMORY, str(FileRaised(envelope.raised)))
            raise FileRaised(envelope.raised)
        if envelope.children:
            count = envelope.children
            raise self._end(Status.FAILED, f"the file leaves {count} process{'es' * (count > 1)} of its own running")
        if answer is None:
            raise self._end(Status.CRASHED, "the process of the file sends an answer without values")
        return answer, received

    def close(self) -> None:
        """End the process; the second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)  # the driver ends at the end of its commands
        if not self._ended.wait(0.5):
            self.nursery.kill(self.number)
            self._ended.wait(_KILL_SECONDS)
        self._read_output()
        self._channel.close()
        os.close(self._output_pipe)
        removal.remove_tree(self._folder)

    @property
    def orphans(self) -> int:
        """The number of processes that the file left running, known once it has ended."""
        return self._orphans

    def report(self, report: dict[str, Any]) -> None:
        """Take a report of the nursery; called by its thread."""
        if "pid" in report:
            self._pid, self._inherited = report["pid"], report["inherited"]
        elif "refused" in report:
            self._refused = str(report["refused"])
            self._ended.set()
        else:
            self._status, self._orphans, self.cpu = report["status"], report["orphans"], report["cpu"]
            self._exceeded = report["exceeded"]
            self._ended.set()

    def lose(self) -> None:
        """The nursery has ended, and with it the process."""
        self._ended.set()

    # One answer.

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._check_limits()
            try:
                view = view[self._channel.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError:
                raise self._dead() from None

    def _receive(self, body: int) -> tuple[bytes, bytes]:
        header_length, body_length = wire.LENGTHS.unpack(self._exactly(wire.LENGTHS.size))
        if header_length > _HEADER or body_length > body:
            size = max(header_length, body_length)
            raise self._end(Status.CRASHED, f"the process of the file sends an answer of {size} bytes")
        return self._exactly(header_length), self._exactly(body_length)

    def _exactly(self, count: int) -> bytes:
        data = bytearray(count)  # not a list of pieces: a file chooses their size
        rest = memoryview(data)
        while rest:
            self._check_limits()
            try:
                received = self._channel.recv_into(rest)
            except BlockingIOError:
                self._wait(select.POLLIN)
                continue
            except OSError:
                received = 0
            if not received:
                raise self._dead()
            rest = rest[received:]
        return bytes(data)

    def _wait(self, event: int) -> None:
        """Wait until the channel is ready, and check the limits meanwhile."""
        poll = select.poll()
        poll.register(self._channel, event)
        poll.register(self._output_pipe, select.POLLIN)
        while True:
            seconds = max(0.0, min(_POLL_SECONDS, self._deadline - time.monotonic()))
            ready = {descriptor for descriptor, _ in poll.poll(1000 * seconds)}
            if self._output_pipe in ready and not self._read_output():
                poll.unregister(self._output_pipe)
            if self._channel.fileno() in ready:
                return
            self._check_limits()

    def _check_limits(self) -> None:
        """End a process that exceeds its time or its memory; it may do so while it answers again and again."""
        now, memory = time.monotonic(), self.place.limits.memory
        if now >= self._deadline:
            waited, before = self._waiting, self._waited
            self._deadline, self._waited = min(self._deadline + waited - before, self._latest), waited
            if now >= self._deadline:
                raise self._end(Status.TIMED_OUT, self._allowed)
        if memory and now >= self._measured + _POLL_SECONDS:
            self._measured = now
            if self._resident() > memory:
                raise self._end(Status.OUT_OF_MEMORY, self._too_much)

    def _read_output(self) -> bool:
        """Read what the file printed; False at its end."""
        while True:
            try:
                data = os.read(self._output_pipe, 1 << 16)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._printed += len(data)
            self.output = (self.output + data)[-_OUTPUT_TAIL:]
            if self._printed > self.place.limits.output and not self._closed:
                raise self._end(Status.FAILED, f"the file prints more than {self.place.limits.output} bytes")

    def _resident(self) -> int:
        """The resident bytes of the process and its descendants, without those inherited at the fork."""
        if self._pid is None:
            return 0
        waits = self.place.mechanism is Mechanism.NAMESPACES
        return processes.resident_bytes(self._pid, self._inherited, waits=waits)

    @property
    def _waiting(self) -> float:
        """The seconds for which the process has waited for a core so far."""
        return 0.0 if self._pid is None else processes.waited_seconds(self._pid)

    @property
    def _too_much(self) -> str:
        return f"the file uses more than {self.place.limits.memory >> 20} MiB of memory"

    def _end(self, status: Status, reason: str) -> Ended:
        """End the process, and return the exception that says why."""
        self.nursery.kill(self.number)
        self._ended.wait(_KILL_SECONDS)
        return Ended(status, reason)

    def _dead(self) -> Ended:
        """The exception for a process that has closed its channel, or has ended."""
        if not self._ended.wait(1.0):
            return self._end(Status.CRASHED, "the process of the file closes its channel to the examiner")
        if self._refused:
            return Ended(Status.CRASHED, f"no process for the file can be forked: {self._refused}")
        if self._status is None:
            return Ended(Status.CRASHED, "the nursery of the file's process has ended")
        with contextlib.suppress(Ended):
            self._read_output()
        if self._exceeded:
            return Ended(Status.OUT_OF_MEMORY, self._too_much)
        if os.WIFSIGNALED(self._status):
            return Ended(Status.CRASHED, _killed_by(os.WTERMSIG(self._status)))
        code = os.waitstatus_to_exitcode(self._status)
        lines = self.output.decode(errors="replace").strip().splitlines()
        hint = f": {printable(lines[-1], 300)}" if lines and code else ""
        return Ended(Status.CRASHED, f"the process of the file exits with code {code} before the check ends{hint}")


def _kind(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", 200)
    return type(error).__name__


def _killed_by(number: int) -> str:
    if number == signal.SIGKILL:
        return "the process of the file was killed by SIGKILL: by the file itself, or by the kernel for lack of memory"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"the process of the file was killed by {name}"


def _device_nodes(device: str) -> list[str]:
    """The device nodes that a file needs to compute on a device."""
    return [] if device == "cpu" else sorted(map(str, Path("/dev").glob("nvidia*")))
