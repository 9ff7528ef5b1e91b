"""The local engine: worker threads that examine files, and one nursery that the files' processes are forked from."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, wait

from lrgen import curves
from lrgen.data import Dataset
from lrgen.records import Candidate, Outcome, VerifySettings
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.examiner import Examiner
from lrgen.verify.isolation import not_traceable
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery, leased
from lrgen.verify.parts.evidence import Evidence
from lrgen.verify.parts.shared import SharedProcesses
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place

_PAUSE = 0.1  # seconds between two looks at files that are ending


def run(
    candidates: Iterable[Candidate],
    settings: VerifySettings,
    dataset: Dataset | None,
    *,
    workers: int = 1,
    limits: Limits | None = None,
    mechanism: Mechanism = Mechanism.PROCESS,
    case_seed: int | None = None,
    nursery: Nursery | None = None,
    evidence: Evidence | None = None,
) -> Generator[Outcome, None, None]:
    """Verify files, ``workers`` at a time, and yield each outcome as soon as its file has ended.

    Closing the iterator, or an interrupt, ends the processes that still run.

    Args:
        case_seed: of the drawn cases; by default a new one from the operating system.
        nursery: of the caller; by default the run leases one.
        evidence: on parts of rendered files, which are then executed once; by default each file is executed whole.

    Raises:
        EngineError: if the nursery cannot be started.
    """
    files = list(candidates)
    waiting = queue.SimpleQueue[Candidate]()
    for candidate in files:
        waiting.put(candidate)
        if candidate.variant is not None:
            curves.exists(candidate.variant)  # loads the formula
    if not files:
        return
    place = Place(mechanism, limits or Limits(), settings.device)
    seed = new_case_seed() if case_seed is None else case_seed
    with contextlib.ExitStack() as stack:
        stack.enter_context(not_traceable())
        used = nursery or stack.enter_context(leased())
        shared = stack.enter_context(contextlib.closing(SharedProcesses(used, place)))
        examiner = Examiner(settings, dataset, used, place, seed, evidence, shared)
        yield from _outcomes(waiting, len(files), examiner, workers)


def _outcomes(
    waiting: "queue.SimpleQueue[Candidate]", count: int, examiner: Examiner, workers: int
) -> Generator[Outcome, None, None]:
    ended: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    stopping = threading.Event()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while not stopping.is_set():
                candidate = waiting.get_nowait()
                try:
                    ended.put(examiner.examine(candidate))
                except BaseException as error:  # noqa: BLE001  the caller gets it
                    ended.put(error)
                    return

    pool = ThreadPoolExecutor(max(1, min(workers, count)))
    working = []
    try:
        for _ in range(max(1, min(workers, count))):
            working.append(pool.submit(work))
        for _ in range(count):
            outcome = ended.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        stopping.set()
        examiner.nursery.abandon()
        while wait(working, _PAUSE).not_done:  # a file may have begun another process meanwhile
            examiner.nursery.abandon()
        pool.shutdown(wait=True)
