"""Step decay: piecewise constant learning rates."""

from collections.abc import Sequence

import numpy as np

from lrgen.curves import Rates, whole_steps


def step_decay(step: Rates, horizon: int, *, step_fraction: float, gamma: float) -> Rates:
    """``gamma ** floor(t / s)``, s = max(1, round(step_fraction T)) (torch ``StepLR``)."""
    return np.power(gamma, step // whole_steps(step_fraction, horizon))


def multistep(step: Rates, horizon: int, *, milestones: Sequence[float], gamma: float) -> Rates:
    """``gamma ** n``, n = number of milestones <= t (torch ``MultiStepLR``)."""
    passed = sum((step >= whole_steps(fraction, horizon)).astype(float) for fraction in milestones)
    return np.power(gamma, passed)


def single_drop(step: Rates, horizon: int, *, milestone_fraction: float, gamma: float) -> Rates:
    """``1 if t <= milestone_fraction T else gamma``."""
    return np.where(step > milestone_fraction * horizon, gamma, 1.0)


def warmup_two_drops(
    step: Rates, horizon: int, *, warmup_fraction: float, decay_fraction: float, decay_ratios: Sequence[float]
) -> Rates:
    """``t / W``, then 1, then the two ``decay_ratios`` (DeepSeek LLM).

    Each ratio applies to half of the last ``decay_fraction`` of training.
    """
    warmup_steps = round(warmup_fraction * horizon)
    milestones = [round((1 - fraction) * horizon) for fraction in (decay_fraction, decay_fraction / 2)]
    stages = np.array([1.0, *decay_ratios])[np.searchsorted(milestones, step, side="right")]
    return np.where(step < warmup_steps, step / max(1, warmup_steps), stages)


def warmup_staircase(
    step: Rates, horizon: int, *, warmup_fraction: float, gamma: float, drops: int, horizons: int
) -> Rates:
    """``(t + 1) / (W + 1)``, then ``staircase``, counted from step 0.

    There are ``drops`` decays per ``horizons`` horizons. timm ``StepLRScheduler`` with ``warmup_prefix=False``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    decay = staircase(step, horizons * horizon, gamma=gamma, drops=drops)
    return np.where(step < warmup_steps, (step + 1) / (warmup_steps + 1), decay)


def staircase(step: Rates, horizon: int, *, gamma: float, drops: int) -> Rates:
    """``gamma ** floor(drops t / T)``.

    torch ``StepLR`` with an interval of T / drops, which need not be a whole number of steps.
    """
    return np.power(gamma, step * drops // horizon)


def halvings(step: Rates, horizon: int, *, gamma: float, halvings: int) -> Rates:
    """``gamma ** n``, n = number of k in 1, ..., halvings with T - t <= T / 2^k.

    FractalNet's recipe has four halvings.
    """
    passed = sum((horizon - step <= horizon / 2.0**k).astype(float) for k in range(1, halvings + 1))
    return np.power(gamma, passed)


def piecewise(
    step: Rates,
    horizon: int,
    *,
    boundaries: Sequence[float],
    values: Sequence[float],
    rebound_ratio: float,
    min_lr_ratio: float,
) -> Rates:
    """One value per interval; ``rebound_ratio`` and ``min_lr_ratio`` apply to the last two.

    keras ``PiecewiseConstantDecay``, in which a boundary belongs to the interval before it instead.
    """
    multiplier = np.full_like(step, values[0])
    for fraction, value in zip(boundaries, (*values[1:], rebound_ratio, min_lr_ratio), strict=True):
        multiplier = np.where(step >= whole_steps(fraction, horizon), value, multiplier)
    return multiplier


def cosine_staircase(step: Rates, horizon: int, *, min_lr_ratio: float, stages: int) -> Rates:
    """``m + (1 - m) (1 + cos(pi j / stages)) / 2``, j = index of the current stage, m = min_lr_ratio.

    Cosine decay, sampled at the start of each stage; computed as a squared cosine.
    """
    return min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi / 2 * _stage(step, horizon, stages) / stages) ** 2


def linear_staircase(step: Rates, horizon: int, *, min_lr_ratio: float, stages: int) -> Rates:
    """``m + (1 - m) (1 - j / stages)``, j = index of the current stage, m = min_lr_ratio.

    Linear decay, sampled at the start of each stage.
    """
    return 1 - (1 - min_lr_ratio) * _stage(step, horizon, stages) / stages


def _stage(step: Rates, horizon: int, stages: int) -> Rates:
    """Index of the current stage, from 0."""
    starts = np.arange(1, stages) * horizon / stages
    return np.searchsorted(starts, step, side="right").astype(np.float64)
