"""The same work list on a Ray cluster: an actor for each slot, and beside each actor a harness in a process of its own.

An actor's own process has threads and must not fork; the harness (``engines.process``) is a parent as on a single
machine. Ray places the actors and tells when one is lost; what a lost one had before it is given to another.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import EngineError, first_line
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify.engines.process import Harness, Setup, outcome_of
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism

# A file whose actor is lost so often has something to do with it.
_ATTEMPTS = 3
# Files that an actor is given at a time: with a GPU several, so that its child keeps the CUDA context.
_CHUNK, _CHUNK_GPU = 1, 16


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
    setup = Setup(settings, limits, mechanism, data_root.resolve(), reuse)
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
                outcomes += [outcome_of(files[index], answer) for index, answer in zip(chunk, answers, strict=True)]
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

    def __init__(self, setup: Setup) -> None:
        self._setup, self._harness = setup, Harness()

    def ready(self) -> list[dict[str, Any]]:
        """Nothing was asked, and nothing is answered: the actor has been placed."""
        return []

    def verify(self, candidates: list[Candidate]) -> list[dict[str, Any]]:
        """How the files ended, in their order."""
        return self._harness.answers(self._setup, candidates)


def _lost(candidate: Candidate, mechanism: Mechanism, error: Exception) -> Outcome:
    reason = f"was lost {_ATTEMPTS} times with what ran it: {type(error).__name__}"
    return Outcome(candidate, Status.CRASHED, Stage.SYNTAX, reason, 0.0, isolation=mechanism.value)
