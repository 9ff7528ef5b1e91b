"""Starts children for files, limits them, kills them when it must, and yields how each file ended.

The parent has torch loaded and does no arithmetic with it: OpenMP's threads do not survive a fork. It is a single
loop over the children's pipes, so that it may fork at any time. A child gets a process group and a scratch folder of
its own; whatever it leaves running is ended with it. It takes one file, or, with ``reuse``, one after the other: then
it keeps its CUDA context, and is replaced after the first file that does not pass.
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
import torch.optim.swa_utils  # noqa: F401  likewise

from lrgen.data import Dataset
from lrgen.records import Candidate, Outcome, VerifySettings
from lrgen.verify import child as child_process
from lrgen.verify import sandbox
from lrgen.verify.checks.tamper import SEAL
from lrgen.verify.child import Channel
from lrgen.verify.limits import Limits
from lrgen.verify.protocol import Account
from lrgen.verify.sandbox import Mechanism

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK = 0.2
_GRACE = 1.0


@dataclass(frozen=True)
class _Job:
    """What every child of a run is forked with."""

    candidates: Sequence[Candidate]
    settings: VerifySettings
    dataset: Dataset | None
    limits: Limits
    mechanism: Mechanism
    reuse: bool


@dataclass(eq=False)
class _Child:
    """A process, and the account of the file that it has before it (None: it waits for the next).

    ``inherited`` are the bytes that were resident when it was forked: they are the parent's, and not the file's doing.
    """

    pid: int
    handle: int
    messages: int
    output: int
    orders: int
    folder: Path
    secret: str
    inherited: int
    account: Account | None

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
    """Verify files, ``workers`` at a time, and yield each outcome as soon as it is there.

    Closing the iterator, or an interrupt, ends the children that still run; what was yielded stays true.
    """
    job = _Job(list(candidates), settings, dataset, limits or Limits(), mechanism, reuse)
    queue = deque(range(len(job.candidates)))
    children: set[_Child] = set()
    idle: list[_Child] = []
    others = _children()
    _adopt_orphans()
    SEAL.take()
    gc.freeze()  # a child that collects garbage must not copy what it shares with the parent
    with selectors.DefaultSelector() as selector:
        try:
            while queue or len(children) > len(idle):
                while queue and (idle or len(children) < workers):
                    if idle:
                        child = idle.pop()
                        if not _ready(child.handle, 0):  # else it has died since: that is seen below
                            _order(child, job, queue.popleft())
                        continue
                    child = _start(job, queue.popleft())
                    children.add(child)
                    for descriptor in child.descriptors:
                        selector.register(descriptor, selectors.EVENT_READ, child)
                exited = set()
                for key, _ in selector.select(_patience(children)):
                    if key.fd == key.data.handle:
                        exited.add(key.data)
                    elif not _read(key.data, key.fd):
                        selector.unregister(key.fd)
                now = time.monotonic()
                for child in children - exited:
                    account = child.account
                    if account is None:
                        continue
                    account.watch(now, _resident(child, mechanism) if job.limits.memory else 0)
                    if account.end is not None:
                        _stop(child)
                        exited.add(child)
                    elif account.done:
                        _drain(child)
                        _empty(child.folder)
                        child.account = None
                        idle.append(child)
                        yield account.outcome(0, 0)
                for child in exited:
                    children.remove(child)
                    if child in idle:
                        idle.remove(child)
                    for descriptor in child.descriptors:
                        with contextlib.suppress(KeyError):
                            selector.unregister(descriptor)
                    outcome = _finish(child, others | {one.pid for one in children})
                    if outcome is not None:
                        yield outcome
        finally:
            for child in children:
                _stop(child)
            for child in children:
                _finish(child, others | {one.pid for one in children})
            gc.unfreeze()


def _patience(children: set[_Child]) -> float:
    """Seconds until somebody's time is over, or until memory is looked at again."""
    deadlines = [child.account.deadline for child in children if child.account is not None]
    return min(_TICK, max(0.0, min(deadlines, default=0.0) - time.monotonic()))


def _adopt_orphans() -> None:
    """Become the parent of whatever the children leave behind (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the parent ends, so that nothing computes on for nobody (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _start(job: _Job, index: int) -> _Child:
    """Fork a child that begins with a file."""
    folder = Path(tempfile.mkdtemp(prefix="lrgen-"))
    messages, messages_in = os.pipe()
    output, output_in = os.pipe()
    orders_out, orders = os.pipe()
    account = Account(job.candidates[index], job.settings, job.limits, job.mechanism)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    inherited = _bytes_of(parent, shared=True) if job.limits.memory else 0
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        if os.getppid() != parent:
            os._exit(70)
        os.close(orders)
        _be_child(job, index, folder, Channel(messages_in, account.secret), output_in, orders_out, messages_in)
    for descriptor in (messages_in, output_in, orders_out):
        os.close(descriptor)
    os.set_blocking(messages, False)
    os.set_blocking(output, False)
    return _Child(pid, os.pidfd_open(pid), messages, output, orders, folder, account.secret, inherited, account)


def _order(child: _Child, job: _Job, index: int) -> None:
    """Give a waiting child its next file, and an empty folder."""
    assert child.account is None
    folder = Path(tempfile.mkdtemp(dir=child.folder))
    child.account = Account(job.candidates[index], job.settings, job.limits, job.mechanism, secret=child.secret)
    with contextlib.suppress(BrokenPipeError):  # it has died: its handle says so
        os.write(child.orders, (json.dumps({"file": index, "folder": str(folder)}) + "\n").encode())


def _be_child(
    job: _Job, index: int, folder: Path, channel: Channel, output: int, orders: int, messages: int
) -> NoReturn:
    """Everything after the fork; leaves through os._exit so that nothing of the parent's is flushed or closed."""
    code = 70
    try:
        os.setsid()
        faulthandler.disable()  # it would write to a descriptor of the parent's
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
            sandbox.enter(job.mechanism, folder, {messages}, sandbox.Bounds(), _device_nodes(job.settings.device))
            child_process.run(candidate, job.settings, job.dataset, channel)
        elif job.reuse:
            child_process.serve(job.candidates, job.settings, job.dataset, channel, orders, index)
        else:
            child_process.run(candidate, job.settings, job.dataset, channel)
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into the parent's code
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def _device_nodes(device: str) -> list[Path]:
    """What a file needs of /dev to compute on a device."""
    return [] if device == "cpu" else sorted(Path("/dev").glob("nvidia*"))


def _read(child: _Child, descriptor: int) -> bool:
    """Take in what a child says or prints; False at the end of it."""
    try:
        data = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return True
    if child.account is not None:  # between two files nobody listens
        take_in = child.account.hear if descriptor == child.messages else child.account.listen
        take_in(data)
    return bool(data)


def _drain(child: _Child) -> None:
    """Take in what has come so far."""
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
    poll = select.poll()  # not select(): that takes descriptors below 1024 only
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _resident(child: _Child, mechanism: Mechanism) -> int:
    """The resident bytes of a child and of what it has started, beyond those that it began with."""
    family = _family(child.pid)
    if mechanism is Mechanism.NAMESPACES:
        family = family[1:]  # the first only waits for the one in the namespace
    return sum(_bytes_of(pid, shared=position == 0) for position, pid in enumerate(family)) - child.inherited


def _bytes_of(pid: int, shared: bool) -> int:
    """The resident bytes of a process that are not of a file: all of them, or its part of those that it shares."""
    file, fields = ("status", ("RssAnon:", "RssShmem:")) if shared else ("smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    try:
        rows = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(row.split()[1]) << 10 for row in rows if row.startswith(fields))


def _family(pid: int) -> list[int]:
    """A process and all that it has started, and those."""
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError, ValueError):
            for thread in Path(f"/proc/{member}/task").iterdir():
                family += map(int, (thread / "children").read_text().split())
    return family


def _stop(child: _Child) -> None:
    """Terminate, wait, kill: the child's whole process group."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        if _ready(child.handle, patience):
            return


def _finish(child: _Child, siblings: set[int]) -> Outcome | None:
    """Reap an ended child and what it left behind, and say how its file ended."""
    _, wait_status = os.waitpid(child.pid, 0)
    left = _sweep(child, siblings)
    _drain(child)
    for descriptor in (*child.descriptors, child.orders):
        os.close(descriptor)
    shutil.rmtree(child.folder, ignore_errors=True)
    return child.account.outcome(wait_status, left) if child.account is not None else None


def _sweep(child: _Child, spared: set[int]) -> int:
    """Kill what is left of the child's group, and orphans that came to us; returns how many there were."""
    left = 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
        left += 1
    ended: set[int] = set()
    while orphans := [pid for pid in _children() - spared if _is_orphan(pid)]:
        for pid in orphans:  # each that is killed may leave its own children to us
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:  # without waiting for any one: the first of a PID namespace ends after all others
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        ended.update(orphans)
        time.sleep(0.001)
    return left + len(ended)


def _children() -> set[int]:
    """The processes that are ours (Linux; elsewhere none are known)."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def _is_orphan(pid: int) -> bool:
    """Whether a child of ours is not of our session: it was started by a file under test, not by us."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False
