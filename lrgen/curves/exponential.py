"""Exponential and rational decay."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def exponential(step: Rates, horizon: int, *, gamma: float) -> Rates:
    """``gamma ** t`` (torch ``ExponentialLR``)."""
    return np.power(gamma, step)


def exponential_to(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``final_lr_ratio ** (t / T)`` (fvcore ``ExponentialParamScheduler``; torch ``ExponentialLR`` by its root)."""
    return np.power(final_lr_ratio, step / horizon)


def warmup_exponential(step: Rates, horizon: int, *, warmup: float, min_lr_ratio: float, decay_rate: float) -> Rates:
    """``t / W``, then ``max(min_lr_ratio, decay_rate ** ((t - W) / (T - W)))``, W = round(warmup T).

    optax ``warmup_exponential_decay_schedule`` with an end value.
    """
    climb = round(warmup * horizon)
    decay = np.exp(np.log(decay_rate) / max(1, horizon - climb) * np.maximum(step - climb, 0))
    return np.where(step < climb, step / max(1, climb), np.maximum(decay, min_lr_ratio))


def half_bell(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``final_lr_ratio ** ((t / T) ** 2)`` (torch ``MultiplicativeLR`` with an exponential factor)."""
    return np.power(final_lr_ratio, np.square(step / horizon))


def exponential_rise(step: Rates, horizon: int, *, initial_lr_ratio: float) -> Rates:
    """``initial_lr_ratio ** (1 - t / T)`` (optax ``exponential_decay`` with a rate above one)."""
    return np.power(initial_lr_ratio, (horizon - step) / horizon)


def inverse_time(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``f T / (f T + (1 - f) t)``, f = final_lr_ratio (keras ``InverseTimeDecay`` at the rate ``1 / f - 1``)."""
    reached = final_lr_ratio * horizon
    return reached / (reached + (1 - final_lr_ratio) * step)


def inverse_time_staircase(step: Rates, horizon: int, *, step_fraction: float, decay_rate: float) -> Rates:
    """``1 / (1 + decay_rate floor(t / s))``, s steps a drop (keras ``InverseTimeDecay(staircase=True)``)."""
    drops = np.floor_divide(step, whole_steps(step_fraction, horizon))
    return np.reciprocal(1 + decay_rate * drops)


def inverse_power(step: Rates, horizon: int, *, growth: float, power: float) -> Rates:
    """``(1 + growth t / T) ** -power`` (Caffe ``inv``)."""
    return np.exp(-power * np.log1p(growth * step / horizon))


def tanh_decay(step: Rates, horizon: int, *, lower: float, upper: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - tanh(lower (1 - t / T) + upper t / T)) / 2``, m = min_lr_ratio (timm ``TanhLRScheduler``).

    Half of one minus a hyperbolic tangent is a logistic function of twice its argument.
    """
    argument = lower + (upper - lower) * step / horizon
    return min_lr_ratio + (1 - min_lr_ratio) / (1 + np.exp(2 * argument))


def hyperbolic(step: Rates, horizon: int, *, horizon_ratio: float, min_lr_ratio: float, log_space: bool) -> Rates:
    """``1 + (1 - m) (h(t) - h(0))`` or, in log space, ``m ** (h(0) - h(t))``; m = min_lr_ratio.

    ``h(t) = sqrt((T - t) / U * (2 - (T + t) / U))`` with ``U = T / horizon_ratio``: ``HyperbolicLR`` and
    ``ExpHyperbolicLR`` of the paper's own code.
    """
    progress = step / horizon
    first = np.sqrt(horizon_ratio * (2 - horizon_ratio))
    drop: Rates = first - np.sqrt(horizon_ratio * (1 - progress) * (2 - horizon_ratio * (1 + progress)))
    if log_space:
        return np.power(min_lr_ratio, drop)
    return 1 - (1 - min_lr_ratio) * drop


def sigmoid(step: Rates, horizon: int, *, midpoint: float, steepness: float) -> Rates:
    """``1 / (1 + exp(steepness (t / T - midpoint)))`` (Caffe ``sigmoid``), as a hyperbolic tangent."""
    return 0.5 - 0.5 * np.tanh(steepness / 2 * (step / horizon - midpoint))
