"""Polynomial and linear decay."""

import numpy as np

from lrgen.curves import Rates


def polynomial(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - t / T) ** power`` (torch ``PolynomialLR``), zero from T on."""
    return np.clip(1 - step / horizon, 0, None) ** power


def linear_floor(step: Rates, horizon: int, *, min_lr_ratio: float) -> Rates:
    """``max(min_lr_ratio, 1 - t / T)``."""
    return np.maximum(min_lr_ratio, 1 - step / horizon)


def warmup_linear(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``t / W``, then ``(T - t) / (T - W)`` (transformers ``linear``), W = round(warmup T)."""
    return _warmup_power(step, horizon, warmup, 1.0)


def warmup_polynomial(
    step: Rates, horizon: int, *, warmup: float, power: float, end_lr: float, base_lr: float
) -> Rates:
    """``t / W``, then ``e + (1 - e) ((T - t) / (T - W)) ** power`` with ``e = end_lr / base_lr``.

    transformers' ``polynomial``; ``end_lr`` is absolute.
    """
    decayed = _warmup_power(step, horizon, warmup, power)
    floor = end_lr / base_lr
    return np.where(step < round(warmup * horizon), decayed, floor + (1 - floor) * decayed)


def _warmup_power(step: Rates, horizon: int, warmup: float, power: float) -> Rates:
    climb = round(warmup * horizon)
    decay = np.clip((horizon - step) / max(1, horizon - climb), 0, 1) ** power
    return np.where(step < climb, step / max(1, climb), decay)
