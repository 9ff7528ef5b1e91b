"""The figure of curricula: the examples in use over training, and how much an example counts by its loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import pacing
from lrgen.records import Practice
from lrgen.report.plots import COLOURS, line_style

_EPOCHS = 90
_COUNT = 1000  # examples of the window
_SHOWN = (1, 2, 3)  # epochs whose thresholds are drawn, counted from 0
_HIGHEST = 3.0  # loss, in units of twice that of a uniform guess


def share_in_use(practice: Practice, epochs: int = _EPOCHS) -> NDArray[np.float64]:
    """The share of the examples that a paced practice has in use in each epoch, with its defaults."""
    return pacing.SHARES[practice.constants["pacing"]](np.arange(epochs), epochs, **practice.defaults)


def window(practice: Practice, epochs: int = _EPOCHS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the examples in use begin and end in the order of their losses, as shares, in each epoch."""
    sizes = pacing.examples(share_in_use(practice, epochs), _COUNT)
    full = practice.defaults["full_fraction"]
    pairs = list(enumerate(sizes.tolist()))
    starts = [int(pacing.window_start(epoch, epochs, size, _COUNT, full_fraction=full)) for epoch, size in pairs]
    first = np.array(starts, dtype=np.float64)
    return first / _COUNT, (first + sizes) / _COUNT


def draw(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of the pacing functions, of the window, and of the weights of self-paced learning."""
    figure, (shares, windows, weights) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    paced = [practice for practice in practices if "pacing" in practice.constants]
    growing = [practice for practice in paced if not practice.constants["window"]]
    for index, practice in enumerate(growing):
        shares.plot(range(_EPOCHS), share_in_use(practice), label=practice.name, **line_style(index))
    shares.set_xlabel(f"epoch of {_EPOCHS}")
    shares.set_ylabel("share of the examples in use")
    for practice in paced:
        if practice.constants["window"]:
            first, last = window(practice)
            windows.fill_between(range(_EPOCHS), first, last, step="post", alpha=0.4, label=practice.name)
    windows.set_xlabel(f"epoch of {_EPOCHS}")
    windows.set_ylabel("in use, from easy (0) to hard (1)")
    for practice in practices:
        if "weights" in practice.constants:
            _weights(weights, practice)
    weights.set_xlabel("loss / (2 log classes)")
    weights.set_ylabel("weight of an example")
    for axis in (shares, windows, weights):
        axis.set_ylim(0, 1.05)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, fontsize=6)
    return figure


def _weights(axis: Any, practice: Practice) -> None:
    """Draw the weight of an example by its loss, at the thresholds of some epochs."""
    hard = practice.constants["weights"] == "hard"
    losses = np.linspace(0, _HIGHEST, 301)
    defaults: Mapping[str, float] = practice.defaults
    thresholds = pacing.threshold(_SHOWN, start=defaults["start_threshold"], growth=defaults["threshold_growth"])
    for index, (epoch, threshold) in enumerate(zip(_SHOWN, thresholds, strict=True)):
        of_losses = pacing.hard_weights(losses, threshold) if hard else pacing.soft_weights(losses, threshold)
        label = f"{practice.name}, epoch {epoch + 1}"
        axis.plot(losses, of_losses, color=COLOURS[index], linestyle="-" if hard else "--", label=label)
