"""The Ray engine: an actor for each slot of a cluster, and beside each actor a harness in its own process.

The harness (``engines.process``) keeps its nursery while Ray's threads come and go. Ray places the actors and reports
lost ones; the file of a lost actor is given to another.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from lrgen.errors import EngineError, first_line
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.engines.process import Harness, Setup, outcome_of
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
    setup = Setup(settings, limits, mechanism, data_root.resolve(), seed)
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
                    answers = ray.get(reference)
                except ray.exceptions.RayError as error:
                    _end(ray, actor)  # if only its harness has exited, the actor still holds its resources
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
                    busy[actor.verify.remote([files[following]])] = actor, following
                else:
                    _end(ray, actor)
                outcomes += [outcome_of(files[index], answer) for answer in answers if index is not None]
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


class _Slot:
    """The actor: it passes files to the harness beside it and returns the answers."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._harness = setup, Harness()

    def ready(self) -> list[dict[str, Any]]:
        """Return no answers; the call succeeds once the actor has been placed."""
        return []

    def verify(self, candidates: list[Candidate]) -> list[dict[str, Any]]:
        """The outcomes of the files in their order, as JSON."""
        return self._harness.answers(self._setup, candidates)


def _lost(candidate: Candidate, setup: Setup, error: Exception) -> Outcome:
    reason = f"the Ray actor that ran the file was lost {_ATTEMPTS} times: {type(error).__name__}"
    isolation = str(setup.mechanism)
    return Outcome(candidate, Status.CRASHED, Stage.SYNTAX, reason, 0.0, isolation=isolation, case_seed=setup.case_seed)
