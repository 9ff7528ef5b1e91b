"""The nursery as the examiner starts and ends it, and the sessions that are forked from it.

What runs in it is the package ``nursery``, which it gets as text.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lrgen import data
from lrgen.errors import EngineError
from lrgen.verify import isolation, scratch
from lrgen.verify.messages import printable
from lrgen.verify.nursery import wire
from lrgen.verify.session import Place, Session

_KILL_SECONDS = 10.0  # to wait for a killed process
_START_SECONDS = 120.0  # to wait for a nursery: importing torch takes seconds
_PACKAGE = "beside"
# Sets up the package from text, and runs its host; nothing of lrgen can be imported.
_BOOT = f"""
import json, os, sys
with os.fdopen(int(sys.argv[1]), "rb") as pipe:
    given = json.loads(pipe.read())
view = given["view"]
sys.path[:] = view["imports"]
sys.argv[:] = sys.argv[:1]
{isolation.FROM_TEXT}
import beside.sandbox.guardian
beside.sandbox.guardian.guard(given["lifeline"], given["scratch"])
from beside import host
sys.meta_path.remove(finder)
host.main(given["socket"], view)
"""

# A freed tensor of megabytes goes back to the kernel, and the next one costs a page fault for each of its pages: the
# process of a file keeps its memory instead.
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}

# Nurseries that this process keeps for its next run, while a caller asks for it.
_spare: list["Nursery"] = []
_keeping = 0
_lock = threading.Lock()


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep nurseries between the runs of this process within this context: each start of one imports torch.

    Blocks may overlap in several threads; the nurseries end with the last of them.
    """
    global _keeping  # noqa: PLW0603  the state of the process, not of a caller
    with _lock:
        _keeping += 1
    try:
        yield
    finally:
        with _lock:
            _keeping -= 1
            ending = [] if _keeping else list(_spare)
            _spare[len(_spare) - len(ending) :] = []
        for nursery in ending:
            nursery.close()


@contextlib.contextmanager
def leased() -> Iterator["Nursery"]:
    """A nursery for one run: one that is kept from an earlier run, or a new one.

    Raises:
        EngineError: if it cannot be started.
    """
    with _lock:
        nursery = _spare.pop() if _spare else None
    nursery = nursery or Nursery()
    try:
        yield nursery
    finally:
        with _lock:
            keep = _keeping > 0
            if keep:
                _spare.append(nursery)
        if not keep:
            nursery.close()


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

    def session(self, place: Place) -> Session:
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

    def _begin(self, place: Place) -> Session:
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
        environment = {**_MEMORY, "OMP_NUM_THREADS": "1", "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
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
    """Bytes that the nursery has sent; empty at its end."""
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
