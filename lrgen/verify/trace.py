"""Traces of ``make_scheduler`` of verified files on a dummy parameter, each file in a process of its own."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from lrgen.errors import CorpusError
from lrgen.verify import messages
from lrgen.verify.isolation import not_traceable
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery, leased
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, FileRaised, Place, Session

Rates = list[list[float]]

_LIMITS = Limits()
_PRM = {"momentum": 0.9, "dropout": 0.2}  # LEMUR's callers pass them, too


class SourceFile(Protocol):
    """A file whose ``make_scheduler`` is executed; ``name`` and ``path`` name it in errors."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def path(self) -> Path: ...


_File = TypeVar("_File", bound=SourceFile)


@dataclass(frozen=True)
class TraceSpec:
    """A trace to record: the horizon, the hyperparameters (including ``lr``) and the steps to report.

    ``metrics`` are the values passed to a metric-driven schedule, ``depths`` those of a layer-wise schedule's groups.
    """

    horizon: int
    prm: Mapping[str, float]
    at: tuple[int, ...]
    metrics: tuple[float, ...] | None = None
    depths: tuple[int, ...] = ()


def run(
    requests: Iterable[tuple[_File, tuple[TraceSpec, ...]]], workers: int
) -> Generator[tuple[_File, tuple[TraceSpec, ...], list[Rates]], None, None]:
    """Yield each file with its specs and their learning rates in the order of the requests, ``workers`` at a time.

    Rates are lists of parameter groups × steps of a spec.

    Raises:
        CorpusError: if the schedule of a file raises, or its process ends.
        EngineError: if no nursery can be started.
    """
    waiting: deque[tuple[_File, tuple[TraceSpec, ...], Future[list[Rates]]]] = deque()

    def first() -> tuple[_File, tuple[TraceSpec, ...], list[Rates]]:
        file, specs, traced = waiting.popleft()
        return file, specs, traced.result()

    with contextlib.ExitStack() as stack:
        nursery: Nursery | None = None
        for file, specs in requests:
            if nursery is None:
                stack.enter_context(not_traceable())
                nursery = stack.enter_context(leased())
                pool = stack.enter_context(ThreadPoolExecutor(workers))
                stack.callback(nursery.abandon)
                stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            if len(waiting) == workers:
                yield first()
            waiting.append((file, specs, pool.submit(_traced, nursery, file, specs)))
        while waiting:
            yield first()


def _traced(nursery: Nursery, file: SourceFile, specs: Iterable[TraceSpec]) -> list[Rates]:
    try:
        with nursery.session(Place(Mechanism.PROCESS, _LIMITS)) as session:
            seconds = _LIMITS.check_seconds
            session.allow(time.monotonic() + seconds, f"it takes longer than {seconds:g} s")
            session.call("load", messages.Loaded, source=file.source, path=file.path.name, absent=[])
            return [_rates(session, spec) for spec in specs]
    except (Ended, FileRaised, ValueError) as error:
        raise CorpusError(f"{file.path}: cannot trace the schedule: {error}") from error


def _rates(session: Session, spec: TraceSpec) -> Rates:
    prm = {**_PRM, **spec.prm}
    steps = max(spec.at) + 1
    groups = [{"depth": depth} for depth in spec.depths] or [{}]
    traced, arrays = session.call(
        "trace",
        messages.Trace,
        horizon=spec.horizon,
        steps=steps,
        prm=prm,
        default=spec.prm["lr"],
        groups=groups,
        metrics=None if spec.metrics is None else [value if math.isfinite(value) else None for value in spec.metrics],
    )
    if traced.raised is not None:
        raise FileRaised(traced.raised)
    if [array.shape for array in arrays] != [(len(groups), steps)]:
        raise ValueError("its process sends no trace of these steps")
    return [[float(group[step]) for step in spec.at] for group in arrays[0]]
