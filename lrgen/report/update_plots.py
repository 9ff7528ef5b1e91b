"""Figures of the updates of a training loop: accumulated over batches, and clipped."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import wsd
from lrgen.records import Practice
from lrgen.report.plots import line_style

_EPOCHS, _BATCHES = 3, 11  # of the example; 11 batches leave some for the last update of an epoch
_WARMUP, _DECAY = 0.2, 0.4  # fractions of the example's WSD schedule
_DIRECTION = np.array([12, 5]) / 13  # of the example's gradient of two values
_NORMS = np.linspace(0, 0.8, 161)

Array = NDArray[np.float64]


def updates_before(every: int, epochs: int = _EPOCHS, batches: int = _BATCHES) -> NDArray[np.int64]:
    """The number of updates before each batch; the last update of an epoch has the batches that are left."""
    per_epoch = math.ceil(batches / every)
    epoch, batch = np.divmod(np.arange(epochs * batches), batches)
    updates: NDArray[np.int64] = epoch * per_epoch + batch // every
    return updates


def accumulated_rates(every: int, epochs: int = _EPOCHS, batches: int = _BATCHES) -> Array:
    """The multiplier of a WSD schedule at each batch, whose steps are the updates of ``every`` batches."""
    horizon = epochs * math.ceil(batches / every)
    steps = updates_before(every, epochs, batches).astype(np.float64)
    return wsd.warmup_stable_decay(steps, horizon, warmup_fraction=_WARMUP, decay_fraction=_DECAY, shape="linear")


def clipped(practice: Practice, gradients: Array) -> Array:
    """The gradients after clipping as the practice does; each is a row of (count, values)."""
    if "clip_value" in practice.constants:
        limit = practice.constants["clip_value"]
        return np.clip(gradients, -limit, limit)
    norms = np.linalg.norm(gradients, axis=1, keepdims=True)
    scaled: Array = gradients * np.minimum(1, practice.constants["max_norm"] / np.maximum(norms, 1e-12))
    return scaled


def accumulation(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of the learning rate over the batches of some epochs, with an update for each batch and for several."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    axis.stairs(accumulated_rates(1), baseline=None, color="0.6", linewidth=1, label="an update each batch")
    for index, practice in enumerate(practices):
        rates = accumulated_rates(practice.constants["every"])
        axis.stairs(rates, baseline=None, linewidth=1.5, label=practice.name, **line_style(index))
    for epoch in range(1, _EPOCHS):
        axis.axvline(epoch * _BATCHES, color="0.7", linewidth=0.8, linestyle=":")
    axis.set_xlabel("batch (dotted: an epoch ends)")
    axis.set_ylabel("fraction of the base rate")
    axis.set_ylim(0, 1.05)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def clipping(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of a gradient that grows: its norm after clipping, and its two values."""
    figure, (norms, values) = plt.subplots(1, 2, figsize=(6, 2.6), layout="constrained")
    gradients = _NORMS[:, np.newaxis] * _DIRECTION
    norms.plot(_NORMS, _NORMS, color="0.6", linewidth=1, label="not clipped")
    values.plot(*gradients.T, color="0.6", linewidth=1, label="not clipped")
    for index, practice in enumerate(practices):
        after = clipped(practice, gradients)
        norms.plot(_NORMS, np.linalg.norm(after, axis=1), label=practice.name, **line_style(index))
        values.plot(*after.T, label=practice.name, **line_style(index))
    norms.set_xlabel("norm before clipping")
    norms.set_ylabel("norm after clipping")
    values.set_xlabel("first value of the gradient")
    values.set_ylabel("second value")
    for axis in (norms, values):
        axis.grid(alpha=0.25)
    norms.legend(frameon=False)
    return figure
