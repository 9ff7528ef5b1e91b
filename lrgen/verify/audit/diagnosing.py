"""The diagnosis of files that the checks refuse, and of scripts without a network."""

import ast
import contextlib
import queue
import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lrgen.records import Candidate, Diagnosis, Policy, Stage, VerifySettings
from lrgen.verify import isolation, messages
from lrgen.verify.audit.collection import File
from lrgen.verify.audit.functions import Maker, maker_of
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import diagnosis, observation
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.messages import printable
from lrgen.verify.nursery_process import Nursery, leased
from lrgen.verify.session import Ended, FileRaised, Place

_SECONDS = 20.0  # of a file


def has_network(tree: ast.Module) -> bool:
    """Whether a file defines a class Net."""
    return any(isinstance(node, ast.ClassDef) and node.name == "Net" for node in tree.body)


def run(files: Iterable[File], workers: int) -> Generator[tuple[File, Diagnosis | str], None, None]:
    """Yield each file with its diagnosis, or with the reason why it has none, ``workers`` at a time.

    Raises:
        EngineError: if no nursery can be started.
        IsolationError: if this machine has no sandbox.
    """
    waiting = list(files)
    if not waiting:
        return
    place = Place(isolation.available(), Limits(check_seconds=_SECONDS))
    ended: queue.SimpleQueue[tuple[File, Diagnosis | str | BaseException]] = queue.SimpleQueue()
    with contextlib.ExitStack() as stack:
        stack.enter_context(isolation.not_traceable())
        nursery = stack.enter_context(leased())
        pool = stack.enter_context(ThreadPoolExecutor(max(1, workers)))
        stack.callback(nursery.abandon)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

        def work(file: File) -> None:
            try:
                ended.put((file, diagnosed(nursery, place, file)))
            except BaseException as error:  # noqa: BLE001  the caller gets it
                ended.put((file, error))

        for file in waiting:
            pool.submit(work, file)
        for _ in waiting:
            file, result = ended.get()
            if isinstance(result, BaseException):
                raise result
            yield file, result


def diagnosed(nursery: Nursery, place: Place, file: File) -> Diagnosis | str:
    """The diagnosis of a file, or the reason why it has none."""
    assert file.tree is not None
    candidate = candidate_of(file.path, file.content)
    maker: Maker | str = ""
    if not has_network(file.tree):
        maker = maker_of(file.tree)
        if isinstance(maker, str):
            return maker
    settings = VerifySettings(stage=Stage.SCHEDULE, policy=Policy.LEMUR)
    examination = _examination(candidate, settings, nursery, place, file.tree)
    examination.begin(Stage.SCHEDULE, None)
    try:
        examination.loaded = examination.load(examination.session)
        if isinstance(maker, Maker):
            return _of_maker(examination, maker, file.tree)
        observed = observation.observe(examination)
        if isinstance(observed, str):
            return f"learn raises {observed}"
        if not np.all(np.isfinite(observed.rates)) or np.any(observed.rates < 0):
            return "a learning rate is negative or not finite"
        return diagnosis.diagnose(observed, file.tree, file.label)
    except (CheckFailure, FileRaised) as failure:
        return printable(str(failure))
    except Ended as end:
        return printable(end.reason)
    except Exception as error:  # noqa: BLE001  whatever a file's answers do to the diagnosis ends that file alone
        return printable(f"the answers of the file cannot be used: {type(error).__name__}: {error}")
    finally:
        examination.close()


def _examination(
    candidate: Candidate, settings: VerifySettings, nursery: Nursery, place: Place, tree: ast.Module
) -> Examination:
    return Examination(candidate, settings, nursery, place, draw_for(0, candidate.sha256), tree=tree)


def _of_maker(examination: Examination, maker: Maker, tree: ast.Module) -> Diagnosis | str:
    """The diagnosis of a script: its scheduler on a dummy parameter, stepped once an epoch."""
    examination.session.allow(time.monotonic() + _SECONDS, f"{maker.name} takes longer than {_SECONDS:g} s")
    losses, _ = observation.metrics()
    traced, arrays = examination.session.call(
        "schedule",
        messages.Trace,
        name=maker.name,
        optimizer=maker.optimizer,
        keywords=maker.keywords,
        base_lr=BASE_LR,
        metrics=losses[:-1].tolist(),
    )
    if len(arrays) != 1 or arrays[0].ndim != 1 or not 0 < len(arrays[0]) <= observation.EPOCHS:
        return f"{maker.name} raises {FileRaised(traced.raised)}" if traced.raised else f"{maker.name} gives no rates"
    rates = arrays[0].astype(np.float64)
    if not np.all(np.isfinite(rates)) or np.any(rates < 0):
        return "a learning rate is negative or not finite"
    return diagnosis.of_steps(rates, maker.name, losses if traced.takes_metric else None, tree)
