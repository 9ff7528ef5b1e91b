"""Figures of what a network is trained towards: smoothed labels, and the weights of mixed ones."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Practice
from lrgen.report.plots import line_style

_CLASSES = 10
_LABEL = 3  # the class of the example
_HIGHEST = 4.0  # density

Array = NDArray[np.float64]


def smoothed_target(smoothing: float, classes: int = _CLASSES, label: int = _LABEL) -> Array:
    """The probabilities of the classes that a smoothed label stands for, of shape (classes,)."""
    target = np.full(classes, smoothing / classes)
    target[label] += 1 - smoothing
    return target


def smoothed_loss(probability: Array, smoothing: float, classes: int = _CLASSES) -> Array:
    """The loss by the probability of the labelled class; the other classes share the rest evenly."""
    target = smoothed_target(smoothing, classes, 0)
    loss: Array = -target[0] * np.log(probability) - (1 - target[0]) * np.log((1 - probability) / (classes - 1))
    return loss


def beta_density(weight: Array, alpha: float) -> Array:
    """The density of the beta distribution with both parameters ``alpha`` at weights within (0, 1)."""
    constant = math.exp(math.lgamma(2 * alpha) - 2 * math.lgamma(alpha))
    density: Array = constant * (weight * (1 - weight)) ** (alpha - 1)
    return density


def smoothing(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of the target of a label, and of its loss, with and without smoothing."""
    figure, (targets, losses) = plt.subplots(1, 2, figsize=(6, 2.4), layout="constrained")
    probabilities = np.linspace(0.5, 0.999, 500)
    values = {"not smoothed": 0.0} | {each.name: each.defaults["label_smoothing"] for each in practices}
    width = 0.8 / len(values)
    for index, (name, value) in enumerate(values.items()):
        style = {"color": "0.6", "linewidth": 1} if not value else line_style(index - 1)
        places = np.arange(_CLASSES) + (index + 0.5) * width - 0.4
        targets.bar(places, smoothed_target(value), width, color=style["color"], label=name)
        losses.plot(probabilities, smoothed_loss(probabilities, value), label=name, **style)
        if value:
            losses.axvline(smoothed_target(value)[_LABEL], color="0.7", linewidth=0.8, linestyle=":")
    targets.set_xlabel(f"class (labelled: {_LABEL})")
    targets.set_xticks(range(_CLASSES))
    targets.set_ylabel("target")
    targets.legend(frameon=False)
    losses.set_xlabel("probability (dotted: target)")
    losses.set_ylabel("loss")
    losses.set_ylim(0)
    for axis in (targets, losses):
        axis.grid(alpha=0.25)
    return figure


def mixing(plt: Any, practices: Sequence[Practice]) -> Any:
    """A figure of the density of the weight of an image."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    weights = np.linspace(0.001, 0.999, 999)
    for index, practice in enumerate(practices):
        name = practice.constants["alpha"]
        alpha = practice.defaults[name]
        label = f"{practice.name}, {name} = {alpha:g}"
        axis.plot(weights, beta_density(weights, alpha), label=label, **line_style(index))
    axis.set_xlabel("weight of the image and of its label")
    axis.set_ylabel("density")
    axis.set_ylim(0, _HIGHEST)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, loc="upper center")
    return figure
