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


def warmup_two_drops(step: Rates, horizon: int, *, warmup: float, decay: float, levels: Sequence[float]) -> Rates:
    """A climb from zero over W steps, 1, and a level for each half of the last ``decay`` of T (DeepSeek LLM)."""
    climb, drops = round(warmup * horizon), [round((1 - part) * horizon) for part in (decay, decay / 2)]
    level = np.array([1.0, *levels])[np.searchsorted(drops, step, side="right")]
    return np.where(step < climb, step / max(1, climb), level)


def warmup_staircase(step: Rates, horizon: int, *, warmup: float, gamma: float, drops: int, horizons: int) -> Rates:
    """A climb ``(t + 1)/(W + 1)``, then ``gamma`` to the number of intervals since the start (timm
    ``StepLRScheduler`` with ``warmup_prefix=False``); so many drops in so many horizons.
    """
    climb = round(warmup * horizon)
    stairs = staircase(step, horizons * horizon, gamma=gamma, drops=drops)
    return np.where(step < climb, (step + 1) / (climb + 1), stairs)


def staircase(step: Rates, horizon: int, *, gamma: float, drops: int) -> Rates:
    """``gamma`` to the number of T / drops that have passed, which need not be whole steps (torchvision's recipe)."""
    return np.power(gamma, step * drops // horizon)


def halvings(step: Rates, horizon: int, *, gamma: float, halvings: int) -> Rates:
    """``gamma`` to the number of times that the remaining steps have halved, up to a limit (FractalNet)."""
    passed = sum((horizon - step <= horizon / 2.0**k).astype(float) for k in range(1, halvings + 1))
    return np.power(gamma, passed)


def piecewise(
    step: Rates,
    horizon: int,
    *,
    boundaries: Sequence[float],
    values: Sequence[float],
    rebound: float,
    min_lr_ratio: float,
) -> Rates:
    """A value for each stretch (keras ``PiecewiseConstantDecay``, whose boundaries belong to the stretch before)."""
    rate = np.full_like(step, values[0])
    for fraction, value in zip(boundaries, (*values[1:], rebound, min_lr_ratio), strict=True):
        rate = np.where(step >= whole_steps(fraction, horizon), value, rate)
    return rate


def cosine_staircase(step: Rates, horizon: int, *, min_lr_ratio: float, levels: int) -> Rates:
    """Half a cosine, its value at the beginning of each of ``levels`` stages: ``cos^2(pi j / (2 levels))``."""
    return min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi / 2 * _stage(step, horizon, levels) / levels) ** 2


def linear_staircase(step: Rates, horizon: int, *, min_lr_ratio: float, levels: int) -> Rates:
    """A line from 1 to ``min_lr_ratio``, its value at the beginning of each of ``levels`` stages."""
    return 1 - (1 - min_lr_ratio) * _stage(step, horizon, levels) / levels


def _stage(step: Rates, horizon: int, levels: int) -> Rates:
    """How many of the stages after the first have begun."""
    begins = np.arange(1, levels) * horizon / levels
    return np.searchsorted(begins, step, side="right").astype(np.float64)
