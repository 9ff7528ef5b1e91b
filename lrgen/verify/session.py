"""The examiner's end: it starts a nursery, has it fork a process for each file, and sends that process commands.

A session is one process of one file. Every call is bounded in time, memory, output and the size of its answer; whatever
the process does ends the session with a status and a reason, and nothing else.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from pydantic import ValidationError

from lrgen import data
from lrgen.errors import EngineError
from lrgen.records import Status
from lrgen.verify import isolation, scratch
from lrgen.verify.limits import Limits
from lrgen.verify.messages import Envelope, Message, Raised, printable
from lrgen.verify.nursery import wire
from lrgen.verify.sandbox import Mechanism, processes, removal

Array = np.ndarray[Any, Any]
Answer = TypeVar("Answer", bound=Message)

_POLL_SECONDS = 0.2  # between two measurements of the memory of a file
_KILL_SECONDS = 10.0  # to wait for a killed process
_START_SECONDS = 120.0  # to wait for a nursery: importing torch takes seconds
_HEADER = 8 << 20  # bytes of an answer without its arrays
_BODY = 32 << 20  # bytes of the arrays of an answer, unless the caller expects more
_OUTPUT_TAIL = 4096  # bytes
_PACKAGE = "beside"
# Sets up the package from text, and runs its host; nothing of lrgen can be imported.
_BOOT = """
import json, os, sys
from importlib.machinery import ModuleSpec
with os.fdopen(int(sys.argv[1]), "rb") as pipe:
    given = json.loads(pipe.read())
view = given["view"]
sys.path[:] = view["imports"]
sys.argv[:] = sys.argv[:1]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in given["modules"]:
            return ModuleSpec(name, self, is_package=name in given["packages"])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(given["modules"][module.__name__], f"<{module.__name__}>", "exec"), vars(module))
finder = Finder()
sys.meta_path.insert(0, finder)
import beside.sandbox.guardian
beside.sandbox.guardian.guard(given["lifeline"], given["scratch"])
from beside import host
sys.meta_path.remove(finder)
host.main(given["socket"], view)
"""


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


class Nursery:
    """A process that has torch loaded and from which the processes of files are forked.

    It may be used by several threads. If it dies, the files in flight have crashed, and it is started again.

    Raises:
        EngineError: if it cannot be started.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._opened = contextlib.ExitStack()  # what is open while it runs
        self._resources = contextlib.ExitStack()
        self.folder = self._resources.enter_context(scratch.run_folder())
        try:
            self._start()
        except BaseException:
            self._stop()
            self._resources.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The id of the process that files are forked from."""
        return self._pid

    def session(self, place: Place) -> "Session":
        """Fork a process for a file.

        Raises:
            EngineError: if the nursery has died and cannot be started again.
        """
        with self._lock:
            if not self._runs:
                self._restart()
            try:
                return self._begin(place)
            except OSError:  # it has died since
                self._restart()
            try:
                return self._begin(place)
            except OSError as error:
                raise EngineError(f"the nursery cannot be reached: {error}") from error

    @property
    def _runs(self) -> bool:
        if self._process is None or self._reader is None:
            return False
        return self._process.poll() is None and self._reader.is_alive()

    def _begin(self, place: Place) -> "Session":
        """Have a process forked; OSError if the nursery cannot be reached."""
        self._count += 1
        session = Session(self, self._count, place)
        self._sessions[self._count] = session
        assert self._socket is not None
        try:
            session.start(self._socket)
        except OSError:
            self._sessions.pop(session.number, None)
            session.lose()
            session.close()
            raise
        return session

    def _restart(self) -> None:
        self._stop()
        self._start()

    def kill(self, number: int) -> None:
        """Kill the process of a file and all that it has started."""
        with contextlib.suppress(OSError):
            assert self._socket is not None
            self._socket.sendall((json.dumps({"kill": number}) + "\n").encode())

    def abandon(self) -> None:
        """End the processes of files that still run; their sessions end as crashed."""
        for number in list(self._sessions):
            self.kill(number)

    def close(self) -> None:
        """End the nursery and the processes of files that still run, and remove their folders."""
        with self._lock:
            self._stop()
            self._resources.close()

    def _start(self) -> None:
        self._socket, other = socket.socketpair()
        reading, writing = os.pipe()
        lifeline, kept = os.pipe()  # the guardian of the files' processes ends them when ours closes
        self._opened.callback(os.close, kept)
        given = {
            "view": isolation.view(),
            "socket": other.fileno(),
            "lifeline": lifeline,
            "scratch": str(self.folder),
            **_modules(),
        }
        environment = {"OMP_NUM_THREADS": "1", "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        if "CUDA_VISIBLE_DEVICES" in os.environ:
            environment["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]
        self._errors = self._opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  closed by _stop
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-c", _BOOT, str(reading)],
                pass_fds=(reading, other.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=environment,
                start_new_session=True,  # an interrupt from the keyboard goes to the examiner, which ends the nursery
            )
        except OSError as error:
            os.close(writing)
            self._stop()
            raise EngineError(f"the process that files are forked from does not start: {error}") from error
        finally:
            os.close(reading)
            os.close(lifeline)
            other.close()
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(given).encode())
        self._wait_until_ready()
        self._reader = threading.Thread(target=self._read_reports, args=(self._socket,), daemon=True)
        self._reader.start()

    def _wait_until_ready(self) -> None:
        assert self._socket is not None
        self._socket.settimeout(_START_SECONDS)
        line = b""
        with contextlib.suppress(OSError):
            while not line.endswith(b"\n") and (data := self._socket.recv(4096)):
                line += data
        self._socket.settimeout(None)
        if not line.endswith(b"\n"):
            reason = self._last_error()
            self._stop()
            raise EngineError(f"the process that files are forked from does not start{reason}")
        self._pid = int(json.loads(line)["ready"])

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {printable(lines[-1], 300)}" if lines else ""

    def _stop(self) -> None:
        """End the process, if it runs, and close what it has; its sessions are lost."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._opened.close()
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._reader is not None:
            self._reader.join()  # or it would end the sessions of the next process
            self._reader = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._lose_all()

    def _read_reports(self, nursery: socket.socket) -> None:
        """Pass the reports of the nursery to the sessions, until it ends; runs in a thread."""
        buffer = b""
        try:
            while data := _received(nursery):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    report = json.loads(line)
                    session = self._sessions.get(report.get("file"))
                    if session is not None:
                        session.report(report)
                        if "status" in report or "refused" in report:
                            self._sessions.pop(report["file"], None)
        finally:
            self._lose_all()

    def _lose_all(self) -> None:
        for session in list(self._sessions.values()):
            session.lose()
        self._sessions.clear()


def _received(nursery: socket.socket) -> bytes:
    """What the nursery has sent; empty at its end."""
    with contextlib.suppress(OSError):
        return nursery.recv(1 << 16)
    return b""


def _modules() -> dict[str, Any]:
    """The modules that a nursery gets as text, and which of them are packages."""
    folder = Path(wire.__file__).parent
    modules = {f"{_PACKAGE}.{path.stem}": path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    sandbox = {f"{_PACKAGE}.sandbox.{name}": text for name, text in isolation.texts().items()}
    modules |= sandbox
    modules[_PACKAGE] = modules.pop(f"{_PACKAGE}.__init__")
    modules[f"{_PACKAGE}.sandbox"] = modules.pop(f"{_PACKAGE}.sandbox.__init__")
    # The parent does not import it: it loads torch.
    modules[f"{_PACKAGE}.batches"] = Path(data.__file__).with_name("batches.py").read_text(encoding="utf-8")
    return {"modules": modules, "packages": [_PACKAGE, f"{_PACKAGE}.sandbox"]}


@dataclass(eq=False)
class Session:
    """A process of a file, from its fork to its end.

    ``allow`` sets the deadline of the calls that follow. ``output`` is the end of what the file printed.
    """

    nursery: Nursery
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
    _allowed: str = ""
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
        self._deadline, self._allowed = deadline, reason

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
