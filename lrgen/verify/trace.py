"""Traces of ``make_scheduler`` of verified files on a dummy parameter, recorded in processes that keep torch loaded.

A child reads one request per line and answers it with one line; both are JSON::

    {"name": "ResNet/A0_001", "source": "...", "specs": [{"horizon": 90, "prm": {...}, "at": [0, 30], ...}]}
    {"rates": [[[0.1, 0.01]]]}                       specs × parameter groups × steps
    {"error": "..."}
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lrgen.errors import CorpusError
from lrgen.limited import Pipes

Rates = list[list[float]]

_SECONDS = 300.0  # to answer a request, and to import torch before the first one


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

    Raises:
        CorpusError: if the schedule of a file raises or takes minutes, or its child exits.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    children: list[Pipes] = []
    waiting: deque[tuple[_File, tuple[TraceSpec, ...], Pipes]] = deque()

    def first() -> tuple[_File, tuple[TraceSpec, ...], list[Rates]]:
        file, specs, child = waiting.popleft()
        return file, specs, _receive(child, file)

    with contextlib.ExitStack() as stack:
        for index, (file, specs) in enumerate(requests):
            if len(waiting) == workers:
                yield first()
            if len(children) < workers:
                command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
                process = subprocess.Popen(
                    command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
                )
                children.append(Pipes(stack.enter_context(process)))
                stack.callback(process.kill)
            child = children[index % workers]
            _send(child, file, specs)
            waiting.append((file, specs, child))
        while waiting:
            yield first()


def _send(child: Pipes, file: SourceFile, specs: Iterable[TraceSpec]) -> None:
    request = {"name": file.name, "source": file.source, "specs": [asdict(spec) for spec in specs]}
    with contextlib.suppress(BrokenPipeError, TimeoutError):  # there will be no answer
        child.send(json.dumps(request).encode() + b"\n", time.monotonic() + _SECONDS)


def _receive(child: Pipes, file: SourceFile) -> list[Rates]:
    try:
        answer: dict[str, Any] = json.loads(child.receive_line(time.monotonic() + _SECONDS))
    except EOFError:
        answer = {"error": "its process exited"}
    except TimeoutError:
        answer = {"error": f"it takes longer than {_SECONDS:g} s"}
    if "error" in answer:
        raise CorpusError(f"{file.path}: cannot trace the schedule: {answer['error']}")
    return list(answer["rates"])


def serve() -> None:
    """Answer requests until standard input ends."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and ends its children
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the output of a file must not look like an answer
    for line in sys.stdin:
        answers.write(json.dumps(_rates(**json.loads(line))) + "\n")
        answers.flush()


def _rates(name: str, source: str, specs: list[dict[str, Any]]) -> dict[str, Any]:
    from lrgen.records import VerifySettings
    from lrgen.verify.candidate import candidate_of
    from lrgen.verify.checks import make_scheduler_trace
    from lrgen.verify.checks.subject import CheckFailure, Subject

    subject = Subject(candidate_of(Path(f"{name}.py"), source.encode()), VerifySettings())
    make = subject.load().make_scheduler
    traces = []
    for spec in specs:
        at = spec["at"]
        prm, metrics, groups = subject.prm(**spec["prm"]), spec["metrics"], make_scheduler_trace.Groups(spec["depths"])
        try:
            rates = make_scheduler_trace.trace(subject, make, spec["horizon"], max(at) + 1, prm, metrics, (), groups)
        except CheckFailure as failure:
            return {"error": str(failure)}
        traces.append([[group[step] for step in at] for group in rates])
    return {"rates": traces}
