"""The examination of one file: what the checks share, and the processes in which the file runs."""

import ast
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lrgen.data import Dataset
from lrgen.records import (
    Budget,
    Candidate,
    CheckReport,
    Comparison,
    Diagnosis,
    EpochReport,
    Policy,
    Stage,
    Training,
    VerifySettings,
)
from lrgen.verify import messages
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.session import Array, FileRaised, Place, Session
from lrgen.verify.static.imports import optional

HORIZON = 90  # epochs
_COARSE = 8  # pixels of a side that are alike in a smooth image


@dataclass
class Examination:
    """A file under examination.

    The syntax check sets its ``tree``, the contract check its ``loaded`` module. The training check sets ``epochs``,
    the schedule check ``trace`` or ``diagnosis``, and the comparison with a claimed architecture ``architecture``.
    ``evidence`` are sentences on what was compared, where that differs between files. Most checks run in the process
    ``lent``, which the caller ends, if there is one.
    """

    candidate: Candidate
    settings: VerifySettings
    nursery: Nursery
    place: Place
    draw: Source
    dataset: Dataset | None = None
    tree: ast.Module | None = None
    loaded: messages.Loaded | None = None
    checks: list[CheckReport] = field(default_factory=list)
    epochs: tuple[EpochReport, ...] = ()
    training: Training | None = None
    base_lr: float | None = None
    trace: str | None = None
    evidence: list[str] = field(default_factory=list)
    architecture: Comparison | None = None
    diagnosis: Diagnosis | None = None
    output: bytes = b""
    lent: Session | None = None
    _sessions: list[Session] = field(default_factory=list)
    _deadline: float = float("inf")
    _exceeded: str = ""

    def __post_init__(self) -> None:
        if self.lent is not None:
            self._sessions.append(self.lent)

    def begin(self, stage: Stage, budget: Budget | None) -> None:
        """Begin a check: it gets its time limit."""
        seconds = self.place.limits.of(stage, budget)
        self._limit(stage, seconds)

    def extend(self, stage: Stage, seconds: float) -> None:
        """Give a check that begins more time than its limit, for work that the claim makes long."""
        self._limit(stage, self.place.limits.of(stage, None) + seconds)

    def _limit(self, stage: Stage, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._exceeded = f"the {stage} check takes longer than {seconds:g} s"
        for session in self._sessions:
            session.allow(self._deadline, self._exceeded)

    @property
    def session(self) -> Session:
        """The process in which most checks run; it is forked when it is first needed."""
        return self._sessions[0] if self._sessions else self._open()

    @contextlib.contextmanager
    def fresh(self, threads: int = 1, *, source: str | None = None) -> Iterator[Session]:
        """Another process, in which the file is loaded, or this ``source``; it ends with the context.

        Only training gains from more threads than one: the tensors of the other checks are small.
        """
        if not self._sessions:
            self._open()
        session = self._open(threads)
        try:
            if source is None:
                self.load(session)
            else:
                given = dict(self.settings.given)
                session.call("load", messages.Loaded, source=source, path="reference.py", absent=[], given=given)
            yield session
        except BaseException:  # its reason goes before that of a process left running
            with contextlib.suppress(CheckFailure):
                self._close(session)
            raise
        self._close(session)

    def load(self, session: Session) -> messages.Loaded:
        """Execute the file in a process, from the text that was hashed.

        Under the policy ``lemur`` the packages that it can do without are missing. A file whose practice scales the
        loss begins with a drawn scale that is low: at the scale that a gradient scaler begins with, the first updates
        of an untrained network overflow and are skipped.
        """
        variant = self.candidate.variant
        scales = variant is not None and variant.scales_loss
        absent = optional(self.tree) if self.settings.policy is Policy.LEMUR and self.tree is not None else ()
        with raising("importing the file"):
            loaded, _ = session.call(
                "load",
                messages.Loaded,
                source=self.candidate.source,
                path=self.candidate.path.name,
                absent=sorted(absent),
                given=dict(self.settings.given),
                loss_scale=2.0 ** self.draw.stream("loss scale").randrange(4, 8) if scales else None,
            )
        return loaded

    @property
    def orphans(self) -> int:
        """The number of processes that the file left running, after ``close``."""
        return sum(session.orphans for session in self._sessions if session is not self.lent)

    def close(self) -> None:
        """End all processes of the file."""
        for session in self._sessions:
            if session is not self.lent:
                session.close()
            self.output = (self.output + session.output)[-4096:]

    def _open(self, threads: int = 1) -> Session:
        session = self.nursery.session(replace(self.place, threads=threads))
        session.allow(self._deadline, self._exceeded)
        self._sessions.append(session)
        return session

    def _close(self, session: Session) -> None:
        session.close()
        self.output = (self.output + session.output)[-4096:]
        if session.orphans:
            raise CheckFailure("the file leaves processes of its own running")
        if session in self._sessions[1:]:
            self._sessions.remove(session)


@contextlib.contextmanager
def raising(action: str) -> Iterator[None]:
    """Turn an exception of the file into a failure: ``learn raises ValueError: … (line 12)``.

    Raises:
        CheckFailure: if the file raises, or calls ``sys.exit``.
    """
    try:
        yield
    except FileRaised as error:
        if error.raised.type == "SystemExit":
            line = f" (line {error.raised.line})" if error.raised.line is not None else ""
            raise CheckFailure(f"the file calls sys.exit({messages.printable(error.raised.message)}){line}") from error
        raise CheckFailure(f"{action} raises {error}") from error


def prm_of(**values: Any) -> dict[str, Any]:
    """The hyperparameters of a caller: LEMUR's keys, and the given values.

    LEMUR has two keys for the horizon; a given ``epoch_max`` is the value of both.
    """
    horizon = values.get("epoch_max", HORIZON)
    keys = {"lr": 0.01, "momentum": 0.9, "dropout": 0.2, "batch": 4, "transform": "norm_32"}
    return {**keys, "epoch": horizon, "epoch_max": horizon, **values}


def build(
    session: Session,
    net: str,
    prm: Mapping[str, Any],
    *,
    channels: int = 3,
    size: int = 32,
    classes: int = 10,
    batch: int = 2,
    seed: int = 0,
    recorded: bool = False,
    initialised: bool = True,
    action: str = "Net",
) -> list[messages.Parameter]:
    """Build a ``Net`` of a name in a process; returns its parameters. A failure says that the ``action`` raises.

    Unless it is ``initialised``, zeros take the place of random weights.
    """
    with raising(action):
        built, _ = session.call(
            "build",
            messages.Built,
            net=net,
            shape=[batch, channels, size, size],
            classes=classes,
            prm=dict(prm),
            seed=seed,
            recorded=recorded,
            initialised=initialised,
        )
    return built.parameters


def random_batches(
    sizes: list[int], seed: int = 0, *, channels: int = 3, pixels: int = 32, classes: int = 10, smooth: bool = False
) -> tuple[Array, Array]:
    """Images and labels of batches of random images, one after another.

    The pixels of an image are independent, or ``smooth``: neighbours are alike, as in photographs.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    count = sum(sizes)
    side = pixels // _COARSE if smooth else pixels
    images: Array = draw.standard_normal((count, channels, side, side), dtype=np.float32)
    if smooth:
        images = images.repeat(_COARSE, axis=2).repeat(_COARSE, axis=3)
        for axis in (2, 3, 2, 3):
            images = (images + np.roll(images, 1, axis) + np.roll(images, -1, axis)) / 3
        images = np.ascontiguousarray(images, dtype=np.float32)
    labels = (np.arange(count) + int(draw.integers(classes))) % classes
    return images, labels.astype(np.int64)
