"""Polynomial and linear decay."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def polynomial(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - t / T) ** power`` (torch ``PolynomialLR``), zero past T."""
    return np.clip(1 - step / horizon, 0, None) ** power


def linear_floor(step: Rates, horizon: int, *, min_lr_ratio: float) -> Rates:
    """``max(min_lr_ratio, 1 - t / T)``."""
    return np.maximum(min_lr_ratio, 1 - step / horizon)


def warmup_linear(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``t / W``, then ``(T - t) / (T - W)``, W = round(warmup_fraction T).

    transformers ``get_linear_schedule_with_warmup``.
    """
    return _warmup_power(step, horizon, warmup_fraction, 1.0)


def warmup_polynomial(
    step: Rates, horizon: int, *, warmup_fraction: float, power: float, end_lr: float, base_lr: float
) -> Rates:
    """``t / W``, then ``e + (1 - e) ((T - t) / (T - W)) ** power``.

    ``e = end_lr / base_lr``, since ``end_lr`` is an absolute learning rate. transformers
    ``get_polynomial_decay_schedule_with_warmup``.
    """
    decayed = _warmup_power(step, horizon, warmup_fraction, power)
    floor = end_lr / base_lr
    return np.where(step < round(warmup_fraction * horizon), decayed, floor + (1 - floor) * decayed)


def burn_in_polynomial(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``(1 - t / T) ** power``.

    W = round(warmup_fraction T); darknet ``get_current_rate``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    base = np.where(step < warmup_steps, step / max(1, warmup_steps), np.clip(horizon - step, 0, None) / horizon)
    return np.power(base, power)


def warmup_quadratic(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``((T - t) / (T - W)) ** power``.

    W = round(warmup_fraction T); init2winit ``polynomial`` with ``warmup_power``.
    """
    return np.power(_warmup_power(step, horizon, warmup_fraction, 1.0), power)


def k_decay(step: Rates, horizon: int, *, k: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - (t / T) ** k)``, m = min_lr_ratio.

    timm ``PolyLRScheduler`` with ``power=1`` and ``k_decay=k``.
    """
    return 1 - (1 - min_lr_ratio) * np.power(step / horizon, k)


def cyclic_linear(step: Rates, horizon: int, *, first_cycle_fraction: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - t / (n D))``, m = min_lr_ratio.

    D is the number of steps per cycle and n = max(1, ceil(t / D)). keras ``PolynomialDecay`` with ``cycle=True``.
    """
    cycle = whole_steps(first_cycle_fraction, horizon)
    end: Rates = cycle * np.maximum(1, -np.floor_divide(-step, cycle))
    return (end - (1 - min_lr_ratio) * step) / end


def rex(step: Rates, horizon: int, *, beta: float) -> Rates:
    """``z / (beta + (1 - beta) z)``, z = 1 - t / T.

    pytorch_optimizer ``REXScheduler`` for a ``beta`` of 1/2.
    """
    return _rex(np.clip(horizon - step, 0, None), horizon, beta)


def warmup_rex(step: Rates, horizon: int, *, warmup_fraction: float, beta: float) -> Rates:
    """``t / W``, then ``z / (beta + (1 - beta) z)``, z = (T - t) / (T - W).

    axolotl ``RexLR``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    decay = _rex(np.clip(horizon - step, 0, horizon - warmup_steps), max(1, horizon - warmup_steps), beta)
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)


def rex_floor(step: Rates, horizon: int, *, beta: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) z / (beta + (1 - beta) z)``, z = 1 - t / T, m = min_lr_ratio.

    init2winit ``rex``.
    """
    decay = 1 - rex(step, horizon, beta=beta)
    return 1 - (1 - min_lr_ratio) * decay


def linear_to(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``1 - (1 - f) t / T``, f = final_lr_ratio.

    torch ``LinearLR``; Ultralytics ``lf``.
    """
    return 1 + (final_lr_ratio - 1) * step / horizon


def ellipse(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - (t / T) ** 2) ** power``.

    init2winit ``sqrt`` with ``alpha = 2 power``.
    """
    progress = step / horizon
    return np.power((1 - progress) * (1 + progress), power)


def _rex(remaining: Rates, decay_steps: int, beta: float) -> Rates:
    """``rex`` with ``remaining`` out of ``decay_steps`` steps to go.

    Numerator and denominator are multiplied by ``decay_steps``.
    """
    return remaining / (remaining + beta * (decay_steps - remaining))


def _warmup_power(step: Rates, horizon: int, warmup_fraction: float, power: float) -> Rates:
    """``t / W``, then ``((T - t) / (T - W)) ** power``, zero past T."""
    warmup_steps = round(warmup_fraction * horizon)
    decay = np.clip((horizon - step) / max(1, horizon - warmup_steps), 0, 1) ** power
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)
