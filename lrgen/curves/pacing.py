"""Pacing functions of curricula: the share of the examples in use as training goes on.

Each function of a share computes it for an array of steps, in updates or in epochs::

    share(step, horizon, *, start_fraction, full_fraction) -> share in [start_fraction, 1]

``start_fraction`` (b in the papers) is the share at step 0. ``full_fraction`` (a) is the fraction of the horizon T
after which all examples are in use. In the formulas x is ``min(1, t / (a T))``. ``polynomial``, ``step``,
``exponential`` and ``logarithmic`` are those of "When Do Curricula Work?" (https://arxiv.org/abs/2012.03107),
``competence`` is that of https://arxiv.org/abs/1903.09848, ``staircase`` that of "On The Power of Curriculum Learning
in Training Deep Networks" (https://arxiv.org/abs/1904.03626). Where their code rounds the number of examples down,
``examples`` rounds it up, so that no step is left without a batch.

Self-paced learning has no share: ``threshold``, ``hard_weights`` and ``soft_weights`` say how much an example counts.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrgen.curves import Rates
from lrgen.errors import ParameterError

STEEPNESS = 10  # of the exponential and of the logarithmic pacing, as in the paper
_ROUNDING = 1e-9  # a share times a number of examples is an integer within this

Counts = NDArray[np.int64]


def linear(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """``b + (1 - b) x``."""
    return polynomial(step, horizon, start_fraction=start_fraction, full_fraction=full_fraction, power=1)


def quadratic(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """``b + (1 - b) x ** 2``: slow at first."""
    return polynomial(step, horizon, start_fraction=start_fraction, full_fraction=full_fraction, power=2)


def root(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """``b + (1 - b) sqrt(x)``: fast at first."""
    return polynomial(step, horizon, start_fraction=start_fraction, full_fraction=full_fraction, power=0.5)


def polynomial(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float, power: float) -> Rates:
    """``b + (1 - b) x ** power``."""
    if not power > 0:
        raise ParameterError(f"power must be above 0, got {power}")
    return _grown(start_fraction, progress(step, horizon, full_fraction) ** power)


def competence(
    step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float, power: float = 2
) -> Rates:
    """``(b ** p + (1 - b ** p) x) ** (1 / p)``: the share grows in inverse proportion to itself if p is 2."""
    if not power > 0:
        raise ParameterError(f"power must be above 0, got {power}")
    _check_start(start_fraction)
    return _grown(start_fraction**power, progress(step, horizon, full_fraction)) ** (1 / power)


def step(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """b, then 1 from ``a T`` on."""
    return _grown(start_fraction, np.floor(progress(step, horizon, full_fraction)))


def staircase(step: ArrayLike, horizon: int, *, start_fraction: float, step_length: float, growth: float) -> Rates:
    """``min(1, b growth ** floor(t / (l T)))``, where l is ``step_length``: fixed exponential pacing."""
    if not growth > 1:
        raise ParameterError(f"growth must be above 1, got {growth}")
    _check_start(start_fraction)
    stairs = np.floor(_steps(step) / _length("step_length", step_length, horizon))
    needed = np.ceil(np.log(1 / start_fraction) / np.log(growth)) + 1  # more of them would overflow
    share: Rates = np.minimum(1, start_fraction * growth ** np.minimum(stairs, needed))
    return share


def exponential(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """``b + (1 - b) (exp(10 x) - 1) / (exp(10) - 1)``: most examples come in last."""
    x = progress(step, horizon, full_fraction)
    return _grown(start_fraction, np.expm1(STEEPNESS * x) / np.expm1(STEEPNESS))


def logarithmic(step: ArrayLike, horizon: int, *, start_fraction: float, full_fraction: float) -> Rates:
    """``b + (1 - b) (1 + log(x + exp(-10)) / 10)``, at most 1: most examples come in first."""
    x = progress(step, horizon, full_fraction)
    return _grown(start_fraction, np.clip(1 + np.log(x + np.exp(-STEEPNESS)) / STEEPNESS, 0, 1))


SHARES: dict[str, Callable[..., Rates]] = {
    function.__name__: function for function in (linear, quadratic, root, step, exponential, logarithmic)
}
"""The functions of a share that need a start and an end alone, by name."""


def window_start(step: ArrayLike, horizon: int, size: int, count: int, *, full_fraction: float) -> Counts:
    """``floor(x (N - g))``: the position in the order at which a window of g of N examples begins.

    The window slides from the start of the order towards its end; a window of all examples begins at 0. The one-pass
    curriculum (https://dl.acm.org/doi/10.1145/1553374.1553380) replaces one set of examples by the next in this way.
    """
    if not 1 <= size <= count:
        raise ParameterError(f"size must lie in [1, {count}], got {size}")
    start: Counts = np.floor(progress(step, horizon, full_fraction) * (count - size) + _ROUNDING).astype(np.int64)
    return start


def examples(share: ArrayLike, count: int, batch: int = 1) -> Counts:
    """The number of examples of a share: rounded up, at least a batch, at most all of them.

    Args:
        share: in [0, 1].
        count: of all examples, at least 1.
        batch: examples of a batch.

    Raises:
        ParameterError: if a share or a number is out of its range.
    """
    shares = np.asarray(share, dtype=np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        raise ParameterError(f"share must lie in [0, 1], got {shares[~((shares >= 0) & (shares <= 1))].flat[0]}")
    if count < 1:
        raise ParameterError(f"count must be at least 1, got {count}")
    if batch < 1:
        raise ParameterError(f"batch must be at least 1, got {batch}")
    rounded = np.ceil(shares * count - _ROUNDING).astype(np.int64)
    return np.minimum(count, np.maximum(batch, rounded))


def updates(sizes: Sequence[int] | Counts, batch: int) -> int:
    """The updates of epochs with these numbers of examples: the horizon of a schedule that advances once per batch."""
    if batch < 1:
        raise ParameterError(f"batch must be at least 1, got {batch}")
    return int(sum(-(-int(size) // batch) for size in sizes))


def threshold(step: ArrayLike, *, start: float, growth: float) -> Rates:
    """``start (1 + growth) ** (t - 1)``: the loss below which an example counts (self-paced learning, Kumar et al.).

    At step 0 it is infinite: learning begins with all examples.

    https://papers.nips.cc/paper/2010/hash/e57c6b956a6521b28495f2886ca0977a-Abstract.html

    Raises:
        ParameterError: if the start is not above 0, the growth is below 0, or a step is below 0.
    """
    if not start > 0:
        raise ParameterError(f"start must be above 0, got {start}")
    if not growth >= 0:
        raise ParameterError(f"growth must be at least 0, got {growth}")
    with np.errstate(over="ignore"):
        rising: Rates = np.where(_steps(step) > 0, start * (1 + growth) ** (_steps(step) - 1), np.inf)
    return rising


def hard_weights(losses: ArrayLike, threshold: float) -> Rates:
    """``1`` for a loss below the threshold, else 0; an example with the lowest loss always counts."""
    values = np.asarray(losses, dtype=np.float64)
    counting = (values < threshold) | (values <= values.min(initial=np.inf))
    weights: Rates = counting.astype(np.float64)
    return weights


def soft_weights(losses: ArrayLike, threshold: float) -> Rates:
    """``max(0, 1 - loss / threshold)``: the linear weights of self-paced learning (Jiang et al., 2014).

    Where all losses are at or above the threshold, those of the lowest loss are 1.
    https://dl.acm.org/doi/10.1145/2647868.2654918
    """
    values = np.asarray(losses, dtype=np.float64)
    weights: Rates = np.maximum(0, 1 - values / threshold)
    return weights if weights.any() else hard_weights(values, -np.inf)


def progress(step: ArrayLike, horizon: int, full_fraction: float) -> Rates:
    """``min(1, t / (a T))``.

    Raises:
        ParameterError: if a step, the horizon or the fraction is out of its range.
    """
    return np.minimum(1, _steps(step) / _length("full_fraction", full_fraction, horizon))


def _length(name: str, fraction: float, horizon: int) -> float:
    """A fraction of the horizon, in steps."""
    if not horizon >= 1:
        raise ParameterError(f"horizon must be at least 1, got {horizon}")
    return _fraction(name, fraction) * horizon


def _steps(step: ArrayLike) -> Rates:
    steps = np.asarray(step, dtype=np.float64)
    if not np.all(steps >= 0):
        raise ParameterError(f"steps must be at least 0, got {np.min(steps)}")
    return steps


def _grown(start: float, grown: Rates) -> Rates:
    """A share that has grown from its start, as a fraction of what there is to grow."""
    _check_start(start)
    share: Rates = start + (1 - start) * grown
    return share


def _check_start(start: float) -> None:
    _fraction("start_fraction", start)


def _fraction(name: str, value: float) -> float:
    if not 0 < value <= 1:  # also true of NaN
        raise ParameterError(f"{name} must lie above 0 and be at most 1, got {value}")
    return value
