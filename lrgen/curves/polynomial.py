"""Polynomial and linear decay."""

import numpy as np

from lrgen.curves import Rates, whole_steps


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


def burn_in_polynomial(step: Rates, horizon: int, *, warmup: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``(1 - t / T) ** power`` (darknet ``get_current_rate``), W = round(warmup T)."""
    climb = round(warmup * horizon)
    base = np.where(step < climb, step / max(1, climb), np.clip(horizon - step, 0, None) / horizon)
    return np.power(base, power)


def warmup_quadratic(step: Rates, horizon: int, *, warmup: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``((T - t) / (T - W)) ** power``, W = round(warmup T).

    init2winit's ``polynomial`` after a warm-up with ``warmup_power``.
    """
    return np.power(_warmup_power(step, horizon, warmup, 1.0), power)


def k_decay(step: Rates, horizon: int, *, k: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - (t / T) ** k)``, m = min_lr_ratio (timm ``PolyLRScheduler(power=1, k_decay=k)``)."""
    return 1 - (1 - min_lr_ratio) * np.power(step / horizon, k)


def cyclic_linear(step: Rates, horizon: int, *, first_cycle: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - t / (n D))``, D steps a cycle, n the cycles begun (keras ``PolynomialDecay(cycle=True)``)."""
    cycle = whole_steps(first_cycle, horizon)
    end: Rates = cycle * np.maximum(1, -np.floor_divide(-step, cycle))
    return (end - (1 - min_lr_ratio) * step) / end


def rex(step: Rates, horizon: int, *, beta: float) -> Rates:
    """``z / (beta + (1 - beta) z)``, ``z = 1 - t / T`` (pytorch_optimizer ``REXScheduler`` at ``beta = 1 / 2``)."""
    return _rex(np.clip(horizon - step, 0, None), horizon, beta)


def warmup_rex(step: Rates, horizon: int, *, warmup: float, beta: float) -> Rates:
    """``t / W``, then ``z / (beta + (1 - beta) z)`` with ``z = (T - t) / (T - W)`` (axolotl ``RexLR``)."""
    climb = round(warmup * horizon)
    decay = _rex(np.clip(horizon - step, 0, horizon - climb), max(1, horizon - climb), beta)
    return np.where(step < climb, step / max(1, climb), decay)


def rex_floor(step: Rates, horizon: int, *, beta: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) z / (beta + (1 - beta) z)`` with ``z = 1 - t / T``, m = min_lr_ratio (init2winit ``rex``)."""
    fallen = 1 - rex(step, horizon, beta=beta)
    return 1 - (1 - min_lr_ratio) * fallen


def linear_to(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """A line from 1 to ``final_lr_ratio`` at T (torch ``LinearLR``; Ultralytics' ``lf``)."""
    return 1 + (final_lr_ratio - 1) * step / horizon


def ellipse(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - (t / T) ** 2) ** power`` (init2winit ``sqrt`` with its ``alpha`` of twice the power)."""
    progress = step / horizon
    return np.power((1 - progress) * (1 + progress), power)


def _rex(left: Rates, span: int, beta: float) -> Rates:
    """Of ``left`` steps out of ``span``, without a fraction in a fraction."""
    return left / (left + beta * (span - left))


def _warmup_power(step: Rates, horizon: int, warmup: float, power: float) -> Rates:
    climb = round(warmup * horizon)
    decay = np.clip((horizon - step) / max(1, horizon - climb), 0, 1) ** power
    return np.where(step < climb, step / max(1, climb), decay)
