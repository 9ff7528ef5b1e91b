"""The local engine: it forks a child for each file, enforces the limits, and yields the outcomes.

The parent has loaded torch but computes nothing with it: OpenMP's threads do not survive a fork. The parent has no
threads: it is a single loop over the children's pipes. Each child has its own process group and scratch folder; the
parent kills the processes that a child leaves running. A child runs one file. With ``reuse`` it runs one file after the
other and keeps its CUDA context; it is replaced after the first file that does not pass.
"""

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import resource
import select
import selectors
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch._dynamo
import torch.optim.swa_utils  # noqa: F401  rendered files import it: loaded once here, not in each child

from lrgen import curves
from lrgen.data import Dataset
from lrgen.records import Candidate, Outcome, VerifySettings
from lrgen.verify import child as child_process
from lrgen.verify import isolation, sandbox
from lrgen.verify.checks.tamper import SNAPSHOT
from lrgen.verify.child import Channel
from lrgen.verify.limits import Limits
from lrgen.verify.protocol import ChildProtocol
from lrgen.verify.sandbox import Mechanism

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.2  # between two measurements of the memory of the children
_KILL_SECONDS = 10.0  # to wait for a killed child
_START_FAILED = 70  # exit code of a child that could not run the checks


@dataclass(frozen=True)
class _Job:
    """The arguments of a run, which every child inherits."""

    candidates: Sequence[Candidate]
    settings: VerifySettings
    dataset: Dataset | None
    limits: Limits
    mechanism: Mechanism
    reuse: bool


@dataclass(eq=False)
class _Child:
    """A child process and the protocol of the file that it runs (None: it waits for the next file).

    ``inherited`` is the number of bytes that were resident at the fork: they do not count as memory of the file.
    """

    pid: int
    handle: int
    messages: int
    output: int
    requests: int
    folder: Path
    secret: str
    inherited: int
    protocol: ChildProtocol | None

    @property
    def descriptors(self) -> tuple[int, ...]:
        return self.messages, self.output, self.handle


def run(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    dataset: Dataset | None,
    *,
    workers: int = 1,
    limits: Limits | None = None,
    mechanism: Mechanism = Mechanism.PROCESS,
    reuse: bool = False,
) -> Generator[Outcome, None, None]:
    """Verify files, ``workers`` at a time, and yield each outcome as soon as its file has ended.

    Closing the iterator, or an interrupt, ends the children that still run.
    """
    job = _Job(list(candidates), settings, dataset, limits or Limits(), mechanism, reuse)
    queue = deque(range(len(job.candidates)))
    children: set[_Child] = set()
    idle: list[_Child] = []
    others = child_processes()
    isolation.view()  # cached here, because a child has another working directory
    for candidate in job.candidates:
        if candidate.variant is not None:
            curves.exists(candidate.variant)  # loads the formula: a sandbox has no lrgen to load it from
    _adopt_orphans()
    SNAPSHOT.take()
    gc.freeze()  # a garbage collection in a child must not copy the pages that it shares with the parent
    with selectors.DefaultSelector() as selector:
        try:
            while queue or len(children) > len(idle):
                while queue and (idle or len(children) < workers):
                    if idle:
                        child = idle.pop()
                        if not _ready(child.handle, 0):  # otherwise it has exited, which is handled below
                            _request(child, job, queue.popleft())
                        continue
                    child = _start(job, queue.popleft())
                    children.add(child)
                    for descriptor in child.descriptors:
                        selector.register(descriptor, selectors.EVENT_READ, child)
                exited = set()
                for key, _ in selector.select(_poll_timeout(children)):
                    if key.fd == key.data.handle:
                        exited.add(key.data)
                    elif not _read(key.data, key.fd):
                        selector.unregister(key.fd)
                now = time.monotonic()
                for child in children - exited:
                    protocol = child.protocol
                    if protocol is None:
                        continue
                    protocol.check_limits(now, _resident(child, mechanism) if job.limits.memory else 0)
                    if protocol.end is not None:
                        _stop(child, job.limits.grace)
                        exited.add(child)
                    elif protocol.done:
                        _drain(child)
                        _empty(child.folder)
                        child.protocol = None
                        idle.append(child)
                        yield protocol.outcome(0, 0)
                for child in exited:
                    children.remove(child)
                    if child in idle:
                        idle.remove(child)
                    for descriptor in child.descriptors:
                        with contextlib.suppress(KeyError):
                            selector.unregister(descriptor)
                    outcome = _finish(child, others | {sibling.pid for sibling in children})
                    if outcome is not None:
                        yield outcome
        finally:
            for child in children:
                _stop(child, job.limits.grace)
            for child in children:
                _finish(child, others | {sibling.pid for sibling in children})
            gc.unfreeze()


def _poll_timeout(children: set[_Child]) -> float:
    """Seconds until the next deadline of a child, or until memory is checked again."""
    deadlines = [child.protocol.deadline for child in children if child.protocol is not None]
    return min(_POLL_SECONDS, max(0.0, min(deadlines, default=0.0) - time.monotonic()))


def _adopt_orphans() -> None:
    """Become the parent of the processes that the children leave running (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _start(job: _Job, index: int) -> _Child:
    """Fork a child that runs a file."""
    folder = Path(tempfile.mkdtemp(prefix="lrgen-"))
    messages, messages_in = os.pipe()
    output, output_in = os.pipe()
    requests_out, requests = os.pipe()
    protocol = ChildProtocol(job.candidates[index], job.settings, job.limits, job.mechanism)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    inherited = _bytes_of(parent, shared=True) if job.limits.memory else 0
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        if os.getppid() != parent:
            os._exit(_START_FAILED)
        os.close(requests)
        _run_child(job, index, folder, Channel(messages_in, protocol.secret), output_in, requests_out)
    for descriptor in (messages_in, output_in, requests_out):
        os.close(descriptor)
    os.set_blocking(messages, False)
    os.set_blocking(output, False)
    return _Child(pid, os.pidfd_open(pid), messages, output, requests, folder, protocol.secret, inherited, protocol)


def _request(child: _Child, job: _Job, index: int) -> None:
    """Give a waiting child its next file and an empty folder."""
    assert child.protocol is None
    folder = Path(tempfile.mkdtemp(dir=child.folder))
    child.protocol = ChildProtocol(job.candidates[index], job.settings, job.limits, job.mechanism, secret=child.secret)
    with contextlib.suppress(BrokenPipeError):  # it has exited, which its handle reports
        os.write(child.requests, (json.dumps({"file": index, "folder": str(folder)}) + "\n").encode())


def _run_child(job: _Job, index: int, folder: Path, channel: Channel, output: int, requests: int) -> NoReturn:
    """Run the child after the fork.

    It leaves through os._exit, which neither flushes the parent's buffers nor runs the parent's exit handlers.
    """
    code = _START_FAILED
    try:
        os.setsid()
        faulthandler.disable()  # it writes to a descriptor of the parent
        _adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        os.chdir(folder)
        candidate = job.candidates[index]
        if job.mechanism is not Mechanism.PROCESS:
            devices = _device_nodes(job.settings.device)
            sandbox.enter(job.mechanism, folder, {channel.pipe}, sandbox.Bounds(), isolation.view(), devices)
            child_process.run(candidate, job.settings, job.dataset, channel)
        elif job.reuse:
            child_process.serve(job.candidates, job.settings, job.dataset, channel, requests, index)
        else:
            child_process.run(candidate, job.settings, job.dataset, channel)
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into the parent's code
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def _device_nodes(device: str) -> list[str]:
    """The device nodes that a file needs to compute on a device."""
    return [] if device == "cpu" else sorted(map(str, Path("/dev").glob("nvidia*")))


def _read(child: _Child, descriptor: int) -> bool:
    """Read messages or output of a child; False at the end of file."""
    try:
        data = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return True
    if child.protocol is not None:  # data that arrive between two files are dropped
        receive = child.protocol.receive if descriptor == child.messages else child.protocol.receive_output
        receive(data)
    return bool(data)


def _drain(child: _Child) -> None:
    """Read all messages and output that have arrived."""
    for descriptor in (child.messages, child.output):
        while _ready(descriptor, 0) and _read(child, descriptor):
            pass


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _ready(descriptor: int, seconds: float) -> bool:
    poll = select.poll()  # select() accepts descriptors below 1024 only
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _resident(child: _Child, mechanism: Mechanism) -> int:
    """The resident bytes of a child and its descendants, without those that it inherited at the fork."""
    family = _family(child.pid)
    if mechanism is Mechanism.NAMESPACES:
        family = family[1:]  # the first process only waits for the one in the namespace
    return sum(_bytes_of(pid, shared=position == 0) for position, pid in enumerate(family)) - child.inherited


def _bytes_of(pid: int, shared: bool) -> int:
    """The anonymous resident bytes of a process, either with its shared pages or with its proportion of them."""
    file, fields = ("status", ("RssAnon:", "RssShmem:")) if shared else ("smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    try:
        rows = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(row.split()[1]) << 10 for row in rows if row.startswith(fields))


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError, ValueError):
            for thread in Path(f"/proc/{member}/task").iterdir():
                family += map(int, (thread / "children").read_text().split())
    return family


def _stop(child: _Child, grace: float) -> None:
    """Terminate the child's process group, wait, and kill it if it still runs."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_SECONDS)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:  # it has hung before it made its group
            os.kill(child.pid, number)
        except PermissionError:
            pass
        if _ready(child.handle, seconds):
            return


def _finish(child: _Child, siblings: set[int]) -> Outcome | None:
    """Reap an exited child and the processes that it left running; returns the outcome of its file, if it had one."""
    _, wait_status = os.waitpid(child.pid, 0)
    orphans = _kill_orphans(child, siblings)
    _drain(child)
    for descriptor in (*child.descriptors, child.requests):
        os.close(descriptor)
    shutil.rmtree(child.folder, ignore_errors=True)
    return child.protocol.outcome(wait_status, orphans) if child.protocol is not None else None


def _kill_orphans(child: _Child, spared: set[int]) -> int:
    """Kill the rest of the child's process group and the orphans that this process adopted; returns their number.

    It gives up after some seconds: processes that fork faster than they are killed must not stop the run.
    """
    groups = 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
        groups += 1
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline and (orphans := [pid for pid in child_processes() - spared if _is_orphan(pid)]):
        for pid in orphans:  # the death of an orphan may bring its own children here
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:  # without waiting: the first process of a PID namespace ends after all others
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        killed.update(orphans)
        time.sleep(0.001)
    return groups + len(killed)


def child_processes() -> set[int]:
    """The children of this process (Linux; empty elsewhere)."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def _is_orphan(pid: int) -> bool:
    """Whether a child of this process belongs to another session: a file under test started it."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False
