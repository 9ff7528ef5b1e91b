"""Piecewise constant decay."""

from collections.abc import Sequence

import numpy as np

from lrgen.curves import Rates, whole_steps


def step_decay(step: Rates, horizon: int, *, step_fraction: float, gamma: float) -> Rates:
    """``gamma ** floor(t / s)`` (torch ``StepLR``)."""
    return np.power(gamma, step // whole_steps(step_fraction, horizon))


def multistep(step: Rates, horizon: int, *, milestones: Sequence[float], gamma: float) -> Rates:
    """``gamma`` to the number of milestones that have passed (torch ``MultiStepLR``)."""
    passed = sum((step >= whole_steps(fraction, horizon)).astype(float) for fraction in milestones)
    return np.power(gamma, passed)


def single_drop(step: Rates, horizon: int, *, drop_at: float, gamma: float) -> Rates:
    """1 up to and including ``drop_at`` of the horizon, ``gamma`` strictly after it."""
    return np.where(step > drop_at * horizon, gamma, 1.0)
