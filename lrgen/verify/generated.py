"""Execution of code that lrgen's own grammar generates, in the process of the caller: a worker that builds a dataset.

Code of anyone else is executed in a process of its own (``run``).
"""

import linecache
import random
import traceback
import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.curves.compositions import Composition
from lrgen.errors import CorpusError
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.records import Unit
from lrgen.verify import horizons

Rates = NDArray[np.float64]

TOLERANCE = 1e-9
"""Of the base learning rate."""
PATH = "schedule.py"
"""The name of the file in tracebacks."""

_MODULE = "schedule"
_ALL_STEPS = 300  # up to which each step of a trace is compared
_LOOP = 60  # steps of a training loop
_DRAWN_STEPS = 24  # beside those at the bounds, of a longer one


class Raised(Exception):
    """Generated code raised; ``text`` is the traceback as a person sees it.

    With ``wrong_form`` it has not the form that was asked for, and ``text`` says so.
    """

    def __init__(self, error: BaseException, text: str, *, wrong_form: bool = False) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.text, self.wrong_form = text, wrong_form


def prepare() -> None:
    """Prepare a worker process: one thread, because the tensors of a schedule are small."""
    import torch

    torch.set_num_threads(1)


def load(code: str | CodeType, path: str = PATH) -> dict[str, Any]:
    """Execute code as a module, and return its namespace.

    Raises:
        Raised: if it raises.
    """
    from lrgen.verify.nursery import interfaces  # imports torch

    interfaces.provide_lightning()
    namespace: dict[str, Any] = {"__name__": _MODULE}
    if isinstance(code, str):
        linecache.cache[path] = len(code), None, code.splitlines(keepends=True), path
    try:
        exec(compile(code, path, "exec") if isinstance(code, str) else code, namespace)  # our own code
    except Exception as error:
        raise _raised(error, path) from error
    return namespace


def rates(
    code: str,
    interface: Interface,
    composition: Composition,
    *,
    horizon: int | None = None,
    steps: Sequence[int] | None = None,
    base_lr: float | None = None,
    resume: Sequence[int] = (),
    namespace: dict[str, Any] | None = None,
    jumps: bool = False,
) -> Rates:
    """The learning rates of code (groups × steps), by execution.

    Args:
        composition: the unit, the groups and the defaults of ``horizon`` and ``base_lr``; its curve is not used.
        steps: the steps to report; by default 0 to the horizon, which a loop does not reach.
        namespace: of ``load``, where the code was executed before.
        jumps: whether a scheduler is set to a step, rather than stepped up to it; chained schedulers cannot be.

    Raises:
        Raised: if the code raises, or has another form.
    """
    horizon = composition.horizon if horizon is None else horizon
    last = horizon if interface.call is not Call.LOOP else horizon - 1
    wanted = list(range(last + 1)) if steps is None else [step for step in steps if step <= last or last == horizon]
    return _rates(code, interface, composition, horizon, wanted, base_lr, resume, namespace, jumps=jumps)


def _rates(
    code: str,
    interface: Interface,
    composition: Composition,
    horizon: int,
    steps: Sequence[int],
    base_lr: float | None,
    resume: Sequence[int],
    namespace: dict[str, Any] | None,
    jumps: bool,
) -> Rates:
    from lrgen.verify.nursery import interfaces  # imports torch

    namespace = load(code) if namespace is None else namespace
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = interfaces.rates(
                namespace,
                call=interface.call.value,
                entry=interface.entry,
                takes_horizon=interface.takes_horizon,
                takes_lr=interface.takes_lr,
                horizon=horizon,
                steps=steps,
                lr=float(composition.base_lr) if base_lr is None else base_lr,
                groups=len(composition.groups),
                per_batch=composition.unit is Unit.BATCH,
                resume=resume,
                jumps=jumps,
            )
    except Exception as error:
        raise _raised(error, PATH) from error
    return np.array(rows, dtype=np.float64).T


def check(realisation: Realisation, composition: Composition, chance: random.Random) -> None:
    """Compare a realisation with the curve of its composition, at drawn horizons and base learning rates.

    Steps are all those up to the end of a short horizon and some past it; of a long one those around the bounds of the
    phases and drawn ones. A scheduler is resumed once.

    Raises:
        CorpusError: at the first learning rate that differs by more than ``TOLERANCE`` of the base learning rate.
    """
    interface = realisation.interface
    namespace = load(realisation.code)
    loop = interface.call is Call.LOOP  # whose updates cost more than the steps of a schedule
    drawn = horizons.drawn(composition, chance, 1, _LOOP) if loop else horizons.drawn(composition, chance)
    for number, horizon in enumerate(drawn):
        lr = float(composition.base_lr) if not interface.takes_lr else chance.choice((0.5, 0.1, 0.03, 0.001, 3e-4))
        steps = _steps(composition, horizon, chance, ends=loop)
        long = len(steps) < horizon
        jumps = long and realisation.style is not Style.SEQUENTIAL
        resume = (chance.randrange(1, horizon + 1),) if number == 0 and not jumps else ()
        try:
            actual = _rates(realisation.code, interface, composition, horizon, steps, lr, resume, namespace, jumps)
        except Raised as error:
            raise CorpusError(
                f"composition {composition.id} as {realisation.style} at horizon {horizon}: {error}"
            ) from error
        expected = composition.rates(steps, horizon, lr)
        apart = np.abs(actual - expected) > TOLERANCE * lr if actual.shape == expected.shape else np.array([[True]])
        if apart.any() or not np.all(np.isfinite(actual)):
            group, at = map(int, np.argwhere(apart | ~np.isfinite(actual))[0])
            raise CorpusError(
                f"composition {composition.id} as {realisation.style}: at step {steps[at]} of horizon {horizon} the "
                f"rate of group {group} is {actual[group, at]:g}, but its curve gives {expected[group, at]:g}"
            )


def _steps(composition: Composition, horizon: int, chance: random.Random, *, ends: bool) -> list[int]:
    """The steps to compare: all of a short horizon, else those around the bounds and drawn ones."""
    last = horizon - 1 if ends else horizon + 3
    if horizon <= _ALL_STEPS:
        return list(range(last + 1))
    bounds = composition.bounds(horizon)
    near = {
        repeat * bounds[-1] + bound + offset
        for repeat in range(composition.repeats)
        for bound in bounds
        for offset in (-1, 0, 1, 2)
    }
    chosen = near | {chance.randrange(horizon) for _ in range(_DRAWN_STEPS)} | {last}
    return sorted(step for step in chosen if 0 <= step <= last)


def _raised(error: BaseException, path: str) -> Raised:
    """The traceback from the first frame of the code on, as Python prints it."""
    from lrgen.verify.nursery.interfaces import WrongForm

    if isinstance(error, WrongForm):
        return Raised(error, str(error), wrong_form=True)
    frames = traceback.extract_tb(error.__traceback__)
    begin = next((at for at, frame in enumerate(frames) if frame.filename == path), len(frames))
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[begin:])]
    return Raised(error, "".join([*lines, *traceback.format_exception_only(error)]).rstrip("\n"))
