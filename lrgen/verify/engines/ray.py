"""The same work list on a Ray cluster: an actor for each slot, and beside each actor a harness in a process of its own.

An actor's own process has threads and must not fork; the process beside it (``python -m lrgen.verify.engines.ray``)
is a parent as on a single machine. Candidates go down as pickles, from us to us; outcomes come up as JSON. Ray places
the actors and tells when one is lost; what a lost one had before it is given to another.
"""

import contextlib
import json
import logging
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lrgen import data
from lrgen.errors import EngineError, first_line
from lrgen.records import (
    Candidate,
    CheckReport,
    EpochReport,
    Outcome,
    Stage,
    Status,
    Training,
    VerifySettings,
)
from lrgen.verify.engines import local
from lrgen.verify.protocol import Limits
from lrgen.verify.sandbox import Mechanism

# A file whose actor is lost so often has something to do with it.
_ATTEMPTS = 3
# Files that an actor is given at a time: with a GPU several, so that its child keeps the CUDA context.
_CHUNK, _CHUNK_GPU = 1, 16
_LENGTH = 8  # bytes before each pickle


@dataclass(frozen=True)
class _Setup:
    """What the harness beside an actor is started with."""

    settings: VerifySettings
    limits: Limits
    mechanism: Mechanism
    reuse: bool
    data_root: Path


def run(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    *,
    workers: int,
    limits: Limits,
    mechanism: Mechanism = Mechanism.PROCESS,
    reuse: bool = False,
    address: str | None = None,
    data_root: Path = Path("data"),
) -> Generator[list[Outcome], None, None]:
    """Verify files on a cluster, ``workers`` at a time, and yield the outcomes that have arrived, some at a time.

    Without an ``address`` Ray's own rules apply (``RAY_ADDRESS``, else a cluster on this machine alone). On a GPU the
    slots of one share it: an actor takes ``1 / slots`` of a GPU, ``slots`` being ``workers`` by the number of GPUs.

    Raises:
        EngineError: when Ray is not installed, or there is no cluster at the address.
    """
    ray = _connected(address)
    files = list(candidates)
    size = _CHUNK if settings.device == "cpu" else _CHUNK_GPU
    queue = deque(range(at, min(at + size, len(files))) for at in range(0, len(files), size))
    attempts = [0] * len(files)
    actor_class = ray.remote(**_share(ray, settings, workers))(_Slot)
    setup = _Setup(settings, limits, mechanism, reuse, data_root.resolve())
    busy: dict[Any, tuple[Any, Sequence[int]]] = {}  # a reference to an answer: whose, and about which files
    try:
        for _ in range(min(workers, len(queue))):
            actor = actor_class.remote(setup)
            busy[actor.ready.remote()] = actor, ()
        while busy:
            ray.wait(list(busy), num_returns=1)
            arrived, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0)
            outcomes = []
            for reference in arrived:
                actor, chunk = busy.pop(reference)
                try:
                    answers = ray.get(reference)
                except ray.exceptions.RayError as error:
                    _end(ray, actor)  # when it is only its harness that has ended, it still holds its place
                    for index in chunk:
                        attempts[index] += 1
                        if attempts[index] < _ATTEMPTS:
                            queue.appendleft(range(index, index + 1))
                        else:
                            outcomes.append(_lost(files[index], mechanism, error))
                    if queue:
                        actor = actor_class.remote(setup)
                        busy[actor.ready.remote()] = actor, ()
                    continue
                if queue:
                    following = queue.popleft()
                    busy[actor.verify.remote([files[index] for index in following])] = actor, following
                else:
                    _end(ray, actor)
                outcomes += [_outcome(files[index], answer) for index, answer in zip(chunk, answers, strict=True)]
            if outcomes:
                yield outcomes
    finally:
        for actor, _ in busy.values():
            _end(ray, actor)


def slots(address: str | None, device: str, threads: int, share: int) -> int:
    """How many files the cluster takes at a time: its processors by threads, or its GPUs times the ``share`` of each.

    Raises:
        EngineError: as ``run``; or when the cluster has nothing of the kind.
    """
    ray = _connected(address)
    resources = ray.cluster_resources()
    found = int(resources.get("CPU", 0)) // threads if device == "cpu" else int(resources.get("GPU", 0)) * share
    if found < 1:
        kind = "processor" if device == "cpu" else "GPU"
        raise EngineError(f"the Ray cluster has no {kind}: it has {', '.join(sorted(resources))}")
    return found


def _end(ray: Any, actor: Any) -> None:
    with contextlib.suppress(Exception):  # it may be gone already
        ray.kill(actor)


def _connected(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise EngineError("--engine ray needs Ray: pip install 'lrgen[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EngineError(f"there is no Ray cluster at {address}: {first_line(error)}") from error
    return ray


def _share(ray: Any, settings: VerifySettings, workers: int) -> dict[str, float]:
    """What an actor takes of its node."""
    if settings.device == "cpu":
        return {"num_cpus": settings.threads}
    gpus = max(1.0, ray.cluster_resources().get("GPU", 1.0))
    return {"num_cpus": 1, "num_gpus": min(1.0, gpus / workers)}


class _Slot:
    """The actor: hands files to the harness beside it, and its answers back."""

    def __init__(self, setup: _Setup) -> None:
        command = [sys.executable, "-m", "lrgen.verify.engines.ray"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell(setup)

    def ready(self) -> list[dict[str, Any]]:
        """Nothing was asked, and nothing is answered: the actor has been placed."""
        return []

    def verify(self, candidates: list[Candidate]) -> list[dict[str, Any]]:
        """How the files ended, in their order."""
        self._tell(candidates)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the harness beside the actor has ended with {self._process.wait()}")
        answers: list[dict[str, Any]] = json.loads(line)
        return answers

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        _write(self._process.stdin, what)


def _beside() -> None:
    """The process beside an actor: until its input ends, files in and answers out."""
    import os

    local.die_with_parent()  # an actor that is killed takes what it was computing along
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    setup: _Setup = _read(requests)
    settings = setup.settings
    dataset = data.load(settings.dataset, setup.data_root) if settings.stage is Stage.TRAINING else None
    while (candidates := _read(requests)) is not None:
        limits, mechanism = setup.limits, setup.mechanism
        found = {
            id(outcome.candidate): _answer(outcome)
            for outcome in local.run(
                candidates, settings, dataset, limits=limits, mechanism=mechanism, reuse=setup.reuse
            )
        }
        answers.write(json.dumps([found[id(candidate)] for candidate in candidates]).encode() + b"\n")
        answers.flush()


def _write(stream: Any, what: object) -> None:
    content = pickle.dumps(what)
    stream.write(len(content).to_bytes(_LENGTH, "big") + content)
    stream.flush()


def _read(stream: BinaryIO) -> Any:
    """The next pickle that our own driver has sent; None at the end."""
    length = stream.read(_LENGTH)
    return pickle.loads(stream.read(int.from_bytes(length, "big"))) if length else None


def _answer(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON, without its candidate."""
    return {name: value for name, value in asdict(outcome).items() if name not in ("candidate", "reused")}


def _outcome(candidate: Candidate, answer: dict[str, Any]) -> Outcome:
    """The outcome that an answer tells of a candidate."""
    return Outcome(
        **answer
        | {
            "candidate": candidate,
            "status": Status(answer["status"]),
            "stage": Stage(answer["stage"]) if answer["stage"] else None,
            "training": Training(answer["training"]) if answer["training"] else None,
            "checks": tuple(CheckReport(**check | {"stage": Stage(check["stage"])}) for check in answer["checks"]),
            "epochs": tuple(
                EpochReport(**epoch | {"confusion": tuple(map(tuple, epoch["confusion"]))})
                for epoch in answer["epochs"]
            ),
        }
    )


def _lost(candidate: Candidate, mechanism: Mechanism, error: Exception) -> Outcome:
    reason = f"was lost {_ATTEMPTS} times with what ran it: {type(error).__name__}"
    return Outcome(candidate, Status.CRASHED, None, reason, 0.0, isolation=mechanism.value)


if __name__ == "__main__":
    _beside()
