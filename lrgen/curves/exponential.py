"""Exponential and rational decay.

Throughout, m = min_lr_ratio and f = final_lr_ratio.
"""

import numpy as np

from lrgen.curves import Rates, whole_steps


def exponential(step: Rates, horizon: int, *, gamma: float) -> Rates:
    """``gamma ** t`` (torch ``ExponentialLR``)."""
    return np.power(gamma, step)


def exponential_to(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``f ** (t / T)``.

    torch ``ExponentialLR`` and fvcore ``ExponentialParamScheduler``.
    """
    return np.power(final_lr_ratio, step / horizon)


def warmup_exponential(
    step: Rates, horizon: int, *, warmup_fraction: float, min_lr_ratio: float, decay_rate: float
) -> Rates:
    """``t / W``, then ``max(m, decay_rate ** ((t - W) / (T - W)))``, W = round(warmup_fraction T).

    optax ``warmup_exponential_decay_schedule`` with an ``end_value``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    decay = np.exp(np.log(decay_rate) / max(1, horizon - warmup_steps) * np.maximum(step - warmup_steps, 0))
    return np.where(step < warmup_steps, step / max(1, warmup_steps), np.maximum(decay, min_lr_ratio))


def half_gaussian(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``f ** ((t / T) ** 2)``.

    torch ``MultiplicativeLR`` with a factor that decays exponentially.
    """
    return np.power(final_lr_ratio, np.square(step / horizon))


def exponential_increase(step: Rates, horizon: int, *, initial_lr_ratio: float) -> Rates:
    """``initial_lr_ratio ** (1 - t / T)``.

    optax ``exponential_decay`` with a ``decay_rate`` above 1.
    """
    return np.power(initial_lr_ratio, (horizon - step) / horizon)


def inverse_time(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``1 / (1 + k t / T)``, k = 1 / f - 1, computed as ``f T / (f T + (1 - f) t)``.

    keras ``InverseTimeDecay`` with ``decay_rate=k``.
    """
    scale = final_lr_ratio * horizon
    return scale / (scale + (1 - final_lr_ratio) * step)


def inverse_time_staircase(step: Rates, horizon: int, *, step_fraction: float, decay_rate: float) -> Rates:
    """``1 / (1 + decay_rate floor(t / s))``, s = max(1, round(step_fraction T)).

    keras ``InverseTimeDecay`` with ``staircase=True``.
    """
    intervals = np.floor_divide(step, whole_steps(step_fraction, horizon))
    return np.reciprocal(1 + decay_rate * intervals)


def inverse_power(step: Rates, horizon: int, *, growth: float, power: float) -> Rates:
    """``(1 + growth t / T) ** -power`` (Caffe ``inv``)."""
    return np.exp(-power * np.log1p(growth * step / horizon))


def tanh_decay(step: Rates, horizon: int, *, lower: float, upper: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - tanh(lower (1 - t / T) + upper t / T)) / 2``.

    timm ``TanhLRScheduler``. Computed as a sigmoid: ``(1 - tanh(x)) / 2 = 1 / (1 + exp(2 x))``.
    """
    argument = lower + (upper - lower) * step / horizon
    return min_lr_ratio + (1 - min_lr_ratio) / (1 + np.exp(2 * argument))


def hyperbolic(step: Rates, horizon: int, *, horizon_fraction: float, min_lr_ratio: float, log_space: bool) -> Rates:
    """``1 + (1 - m) (h(t) - h(0))`` or, in log space, ``m ** (h(0) - h(t))``.

    ``h(t) = sqrt(u (1 - t / T) (2 - u (1 + t / T)))``, u = horizon_fraction = T / U. ``HyperbolicLR`` and
    ``ExpHyperbolicLR`` of the paper's reference implementation.
    """
    progress = step / horizon
    start = np.sqrt(horizon_fraction * (2 - horizon_fraction))
    decay: Rates = start - np.sqrt(horizon_fraction * (1 - progress) * (2 - horizon_fraction * (1 + progress)))
    if log_space:
        return np.power(min_lr_ratio, decay)
    return 1 - (1 - min_lr_ratio) * decay


def sigmoid(step: Rates, horizon: int, *, midpoint_fraction: float, steepness: float) -> Rates:
    """``1 / (1 + exp(steepness (t / T - midpoint_fraction)))``.

    Caffe ``sigmoid``, computed as a hyperbolic tangent.
    """
    return 0.5 - 0.5 * np.tanh(steepness / 2 * (step / horizon - midpoint_fraction))
