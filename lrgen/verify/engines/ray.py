"""The Ray engine: an actor for each slot of a cluster, which runs files as a single machine does and keeps its nursery.

Ray places the actors and reports lost ones; the file of a lost actor is given to another.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrgen import data
from lrgen.data import Dataset
from lrgen.errors import EngineError, first_line
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify import nursery_process
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.sandbox import Mechanism

# A file whose actor is lost this many times is taken for the cause.
_ATTEMPTS = 3


def run(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    *,
    workers: int,
    limits: Limits,
    mechanism: Mechanism = Mechanism.PROCESS,
    case_seed: int | None = None,
    address: str | None = None,
    data_root: Path = Path("data"),
) -> Generator[list[Outcome], None, None]:
    """Verify files on a cluster, ``workers`` at a time, and yield lists of outcomes as they arrive.

    Without a ``case_seed`` a new one is drawn. Without an ``address`` Ray's own rules apply (``RAY_ADDRESS``, otherwise
    a cluster on this machine alone). With GPUs, an actor takes the fraction (number of GPUs) / ``workers`` of a GPU.

    Raises:
        EngineError: if Ray is not installed, or there is no cluster at the address.
    """
    ray = _connected(address)
    files = list(candidates)
    queue = deque(range(len(files)))
    attempts = [0] * len(files)
    actor_class = ray.remote(**_resources(ray, settings, workers))(_Slot)
    seed = new_case_seed() if case_seed is None else case_seed
    setup = _Setup(settings, limits, mechanism, data_root.resolve(), seed)
    busy: dict[Any, tuple[Any, int | None]] = {}  # reference to an answer → its actor, the index of its file
    try:
        for _ in range(min(workers, len(queue))):
            actor = actor_class.remote(setup)
            busy[actor.ready.remote()] = actor, None
        while busy:
            ray.wait(list(busy), num_returns=1)
            arrived, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0)
            outcomes = []
            for reference in arrived:
                actor, index = busy.pop(reference)
                try:
                    ended = ray.get(reference)
                except ray.exceptions.RayError as error:
                    _end(ray, actor)
                    if index is not None:
                        attempts[index] += 1
                        if attempts[index] < _ATTEMPTS:
                            queue.appendleft(index)
                        else:
                            outcomes.append(_lost(files[index], setup, error))
                    if queue:
                        actor = actor_class.remote(setup)
                        busy[actor.ready.remote()] = actor, None
                    continue
                if queue:
                    following = queue.popleft()
                    busy[actor.verify.remote(files[following])] = actor, following
                else:
                    _end(ray, actor)
                outcomes += [replace(outcome, candidate=files[index]) for outcome in ended if index is not None]
            if outcomes:
                yield outcomes
    finally:
        for actor, _ in busy.values():
            _end(ray, actor)


def slots(address: str | None, device: str, threads: int, per_gpu: int) -> int:
    """The number of files that the cluster runs at a time: CPUs / ``threads``, or GPUs × ``per_gpu``.

    Raises:
        EngineError: as ``run``, or if the cluster has no resource of this kind.
    """
    ray = _connected(address)
    resources = ray.cluster_resources()
    count = int(resources.get("CPU", 0)) // threads if device == "cpu" else int(resources.get("GPU", 0)) * per_gpu
    if count < 1:
        kind = "CPU" if device == "cpu" else "GPU"
        raise EngineError(f"the Ray cluster has no {kind}, its resources are: {', '.join(sorted(resources))}")
    return count


def _end(ray: Any, actor: Any) -> None:
    with contextlib.suppress(Exception):  # it may have been lost already
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


def _resources(ray: Any, settings: VerifySettings, workers: int) -> dict[str, float]:
    """The resources of its node that an actor reserves."""
    if settings.device == "cpu":
        return {"num_cpus": settings.threads}
    gpus = max(1.0, ray.cluster_resources().get("GPU", 1.0))
    return {"num_cpus": 1, "num_gpus": min(1.0, gpus / workers)}


@dataclass(frozen=True)
class _Setup:
    """The settings that an actor runs its files with."""

    settings: VerifySettings
    limits: Limits
    mechanism: Mechanism
    data_root: Path
    case_seed: int


class _Slot:
    """The actor: it verifies one file at a time."""

    def __init__(self, setup: _Setup) -> None:
        self._setup = setup
        self._dataset: Dataset | None = None
        self._kept = nursery_process.kept()
        self._kept.__enter__()  # it ends with the actor

    def ready(self) -> list[Outcome]:
        """Return no outcomes; the call succeeds once the actor has been placed."""
        return []

    def verify(self, candidate: Candidate) -> list[Outcome]:
        """The outcome of a file."""
        setup = self._setup
        if setup.settings.stage is Stage.TRAINING and self._dataset is None:
            self._dataset = data.load(setup.settings.dataset, setup.data_root)
        return list(
            local.run(
                [candidate],
                setup.settings,
                self._dataset,
                limits=setup.limits,
                mechanism=setup.mechanism,
                case_seed=setup.case_seed,
            )
        )


def _lost(candidate: Candidate, setup: _Setup, error: Exception) -> Outcome:
    reason = f"the Ray actor that ran the file was lost {_ATTEMPTS} times: {type(error).__name__}"
    isolation = str(setup.mechanism)
    return Outcome(candidate, Status.CRASHED, Stage.SYNTAX, reason, 0.0, isolation=isolation, case_seed=setup.case_seed)
