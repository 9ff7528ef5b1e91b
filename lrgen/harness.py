"""Starts a child for each file, limits it, kills it when it must, and yields how each file ended.

The parent has torch loaded and does no arithmetic with it: OpenMP's threads do not survive a fork. It is a single
loop over the children's pipes, so that it may fork at any time. A child gets a process group and a scratch folder of
its own; whatever it leaves running is ended with it.
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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch._dynamo
import torch.optim.swa_utils  # noqa: F401  likewise

from lrgen import worker
from lrgen.checks import training, up_to
from lrgen.data import Dataset
from lrgen.records import Candidate, CheckReport, Outcome, Stage, Status, VerifySettings

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK = 0.2
_GRACE = 1.0


@dataclass(frozen=True)
class Limits:
    """Per file: seconds of each check, bytes of output and of messages, resident bytes."""

    seconds: float = 900.0
    check_seconds: float = 120.0
    output: int = 1 << 20
    messages: int = 64 << 20
    memory: int = 0

    def of(self, stage: Stage, plan: training.Plan) -> float:
        """The seconds that a check may take; the budget of a training is its own limit."""
        if stage is not Stage.TRAINING:
            return min(self.seconds, self.check_seconds)
        return min(self.seconds, plan.budget.seconds) if plan.budget else self.seconds


@dataclass(eq=False)
class _Child:
    candidate: Candidate
    plan: training.Plan
    pid: int
    handle: int
    messages: int
    output: int
    folder: Path
    started: float
    deadline: float
    stage: Stage = Stage.SYNTAX
    buffer: bytearray = field(default_factory=bytearray)
    received: int = 0
    printed: int = 0
    tail: bytes = b""
    begun: int = 0
    checks: list[CheckReport] = field(default_factory=list)
    epochs: tuple[Any, ...] = ()
    end: tuple[Status, str] | None = None


def run(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    dataset: Dataset | None,
    *,
    workers: int = 1,
    limits: Limits | None = None,
) -> Iterator[Outcome]:
    """Verify files, ``workers`` at a time, and yield each outcome as soon as it is there.

    Closing the iterator, or an interrupt, ends the children that still run; what was yielded stays true.
    """
    queue = deque(candidates)
    limits = limits or Limits()
    children: dict[int, _Child] = {}
    others = _children()
    _adopt_orphans()
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        try:
            while queue or children:
                while queue and len(children) < workers:
                    child = _start(queue.popleft(), settings, dataset, limits)
                    children[child.pid] = child
                    selector.register(child.messages, selectors.EVENT_READ, (child, _receive))
                    selector.register(child.output, selectors.EVENT_READ, (child, _listen))
                    selector.register(child.handle, selectors.EVENT_READ, (child, None))
                wait = min(child.deadline for child in children.values()) - time.monotonic()
                exited = []
                for key, _ in selector.select(min(_TICK, max(0.0, wait))):
                    child, read = key.data
                    if read is None:
                        exited.append(child)
                    elif not read(child, settings, limits):
                        selector.unregister(key.fileobj)
                for child in list(children.values()):
                    if child not in exited and not _within(child, limits):
                        _stop(child)
                        exited.append(child)
                for child in exited:
                    del children[child.pid]
                    for descriptor in (child.messages, child.output, child.handle):
                        with contextlib.suppress(KeyError):
                            selector.unregister(descriptor)
                    yield _finish(child, settings, limits, others | set(children))
        finally:
            for child in children.values():
                _stop(child)
            for child in children.values():
                _finish(child, settings, limits, others | set(children))
            gc.unfreeze()


def _adopt_orphans() -> None:
    """Become the parent of whatever the children leave behind (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _start(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, limits: Limits) -> _Child:
    folder = Path(tempfile.mkdtemp(prefix="lrgen-"))
    messages, messages_in = os.pipe()
    output, output_in = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing runs on when the parent is killed
        if os.getppid() != parent:
            os._exit(70)
        _be_child(candidate, settings, dataset, folder, messages_in, output_in)
    os.close(messages_in)
    os.close(output_in)
    os.set_blocking(messages, False)
    os.set_blocking(output, False)
    now = time.monotonic()
    handle = os.pidfd_open(pid)
    plan = training.plan_of(candidate, settings)
    return _Child(candidate, plan, pid, handle, messages, output, folder, now, now + limits.of(Stage.SYNTAX, plan))


def _be_child(
    candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, folder: Path, messages: int, output: int
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
        worker.run(candidate, settings, dataset, messages)
        sys.stdout.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into the parent's code
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def _receive(child: _Child, settings: VerifySettings, limits: Limits) -> bool:
    """Read what the child says; False at its end."""
    data = _read(child.messages)
    if data is None:
        return True
    child.received += len(data)
    child.buffer += data
    if child.received > limits.messages:
        child.end = child.end or (Status.CRASHED, f"sends more than {limits.messages} bytes of results")
        return False
    while (cut := child.buffer.find(b"\n")) >= 0:
        line = bytes(child.buffer[:cut])
        del child.buffer[: cut + 1]
        try:
            _understand(child, json.loads(line), settings, limits)
        except Exception as error:  # noqa: BLE001  a forged message may make the judge raise anything
            child.end = child.end or (Status.CRASHED, f"sends something that is not a result: {type(error).__name__}")
            return False
    return bool(data)


def _understand(child: _Child, message: dict[str, Any], settings: VerifySettings, limits: Limits) -> None:
    if "start" in message:
        stage = Stage(message["start"])
        position = list(Stage).index(stage)
        if position >= child.begun:  # a check begins once: saying so again does not win time
            child.begun = position + 1
            child.stage = stage
            child.deadline = time.monotonic() + limits.of(stage, child.plan)
    elif "memory" in message:
        child.end = child.end or (Status.OUT_OF_MEMORY, str(message["memory"])[:500])
    else:
        done = len(child.checks)
        check = up_to(settings.stage)[done]
        if check.STAGE is not Stage(message["end"]):
            raise ValueError("the checks end in another order")
        measurement = message["measurement"]
        epochs = training.reports(measurement) if check is training and measurement else ()
        reason = str(message["reason"])[:1000] or check.judge(child.candidate, settings, measurement)
        child.checks.append(CheckReport(check.STAGE, not reason, reason, float(message["seconds"])))
        if epochs:
            child.epochs = epochs


def _listen(child: _Child, settings: VerifySettings, limits: Limits) -> bool:
    """Drain what the child prints, and keep the end of it."""
    data = _read(child.output)
    if data is None:
        return True
    child.printed += len(data)
    child.tail = (child.tail + data)[-4096:]
    return bool(data)


def _read(descriptor: int) -> bytes | None:
    """Some bytes, none at the end, None when there is nothing at the moment."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None


def _within(child: _Child, limits: Limits) -> bool:
    """Whether a running child keeps its limits; sets its end when it does not."""
    if child.end is None:
        if time.monotonic() > child.deadline:
            child.end = (Status.TIMED_OUT, f"takes longer than {limits.of(child.stage, child.plan):g} s")
        elif child.printed > limits.output:
            child.end = (Status.FAILED, f"prints more than {limits.output} bytes of output")
        elif limits.memory and _resident(child.pid) > limits.memory:
            child.end = (Status.OUT_OF_MEMORY, f"uses more than {limits.memory >> 20} MiB of memory")
    return child.end is None


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _stop(child: _Child) -> None:
    """Terminate, wait, kill: the child's whole process group."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        if select.select([child.handle], [], [], patience)[0]:
            return


def _finish(child: _Child, settings: VerifySettings, limits: Limits, siblings: set[int]) -> Outcome:
    """Reap an ended child and what it left behind, and say how its file ended."""
    _, wait_status = os.waitpid(child.pid, 0)
    left = _sweep(child, siblings)
    while child.end is None and _pending(child.messages) and _receive(child, settings, limits):
        pass
    while _pending(child.output) and _listen(child, settings, limits):
        pass
    if child.end is None and child.printed > limits.output:
        child.end = (Status.FAILED, f"prints more than {limits.output} bytes of output")
    for descriptor in (child.messages, child.output, child.handle):
        os.close(descriptor)
    shutil.rmtree(child.folder, ignore_errors=True)
    status, stage, reason = _verdict(child, settings, wait_status, left)
    return Outcome(
        candidate=child.candidate,
        status=status,
        stage=stage,
        reason=reason,
        seconds=time.monotonic() - child.started,
        checks=tuple(child.checks),
        epochs=child.epochs,
        accuracy=max((epoch.accuracy for epoch in child.epochs), default=None),
        training=child.plan.training if child.epochs else None,
        base_lr=child.plan.lr if child.epochs else None,
        output=child.tail.decode(errors="replace"),
    )


def _pending(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _sweep(child: _Child, spared: set[int]) -> int:
    """Kill what is left of the child's group, and orphans that came to us; returns how many there were."""
    left = 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
        left += 1
    while orphans := [pid for pid in _children() - spared if _is_orphan(pid)]:
        for pid in orphans:  # each that is killed may leave its own children to us
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            left += 1
    return left


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


def _verdict(child: _Child, settings: VerifySettings, wait_status: int, left: int) -> tuple[Status, Stage | None, str]:
    if child.end is not None:
        return child.end[0], child.stage, child.end[1]
    failed = next((report for report in child.checks if not report.passed), None)
    if failed is not None:
        return Status.FAILED, failed.stage, failed.reason
    wanted = list(Stage).index(settings.stage) + 1
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number == signal.SIGKILL:
            return Status.CRASHED, child.stage, "was killed by SIGKILL, by itself or by a system short of memory"
        return Status.CRASHED, child.stage, f"was killed by {name}"
    code = os.waitstatus_to_exitcode(wait_status)
    if code != 0 or len(child.checks) < wanted:
        tail = child.tail.decode(errors="replace").strip().splitlines()
        hint = f": {tail[-1][:300]}" if tail and code else ""
        return Status.CRASHED, child.stage, f"exits with code {code} before the check is over{hint}"
    if left:
        return Status.FAILED, child.stage, "leaves processes of its own running"
    if child.candidate.variant is None:
        return Status.UNPROVEN, None, "there is no variant to compare its schedule with"
    if settings.stage is not Stage.TRAINING:
        return Status.UNPROVEN, None, f"checked up to the {settings.stage} stage only"
    return Status.PROVED, None, ""
