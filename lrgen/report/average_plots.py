"""Figures of averages of weights: how much the weights of each step count in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrgen.records import Practice
from lrgen.report.plots import line_style

_UPDATES = (1000, 3000, 10_000)  # after which the moving average is drawn
_EPOCHS, _ENDS = 90, (70, 76, 90)  # of training; after which the mean is drawn
_SHOWN_FROM = 60  # epoch

Array = NDArray[np.float64]


def moving_decays(decay: float, count: int) -> Array:
    """The decay of each of the first ``count`` updates of a moving average: at most (1 + n) / (10 + n)."""
    updates = np.arange(1, count + 1)
    return np.minimum(decay, (1 + updates) / (10 + updates))


def mean_decays(start: int, count: int) -> Array:
    """The decay of each of the first ``count`` epochs, with which the recurrence is the mean after ``start`` epochs."""
    averaged = np.arange(1, count + 1) - start
    return np.where(averaged > 0, 1 - 1 / np.maximum(averaged, 1), 0)


def weights_in_average(decays: ArrayLike) -> Array:
    """The share of each step's weights in ``average = decay * average + (1 - decay) * weights`` after the last one.

    The first value is that of the weights before the first step, with which the average begins; the sum is 1.
    """
    decays = np.asarray(decays, dtype=np.float64)
    added = np.concatenate(([1.0], 1 - decays))
    kept = np.cumprod(np.concatenate(([1.0], decays[::-1])))[::-1]
    return added * kept


def moving(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of how much the weights after each update count in moving averages, after several numbers of updates."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    for practice in practices:
        for index, count in enumerate(_UPDATES):
            weights = weights_in_average(moving_decays(practice.defaults["ema_decay"], count))
            axis.plot(range(count + 1), weights, label=f"{practice.name}, after {count:,} updates", **line_style(index))
    axis.set_xlabel("update")
    axis.set_ylabel("weight in the average")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def mean(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of how much the weights at the end of each epoch count in means, after several epochs."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    for practice in practices:
        start = int(practice.defaults["average_start_fraction"] * _EPOCHS)
        for index, count in enumerate(_ENDS):
            weights = weights_in_average(mean_decays(start, count))
            label = f"{practice.name}, after epoch {count}"
            shown = np.pad(weights, (0, _EPOCHS - count))[_SHOWN_FROM:]
            axis.step(range(_SHOWN_FROM, _EPOCHS + 1), shown, where="mid", label=label, **line_style(index))
    axis.set_xlabel(f"epoch of {_EPOCHS}")
    axis.set_ylabel("weight in the average")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure
