"""Polynomial and linear decay.

Throughout, W = round(warmup_fraction T) and m = min_lr_ratio.
"""

import numpy as np

from lrgen.curves import Rates, whole_steps


def polynomial(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - t / T) ** power``, 0 past T (torch ``PolynomialLR``)."""
    return np.clip(1 - step / horizon, 0, None) ** power


def linear_floor(step: Rates, horizon: int, *, min_lr_ratio: float) -> Rates:
    """``max(m, 1 - t / T)``."""
    return np.maximum(min_lr_ratio, 1 - step / horizon)


def warmup_linear(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``t / W``, then ``(T - t) / (T - W)``.

    transformers ``get_linear_schedule_with_warmup``.
    """
    return _warmup_power(step, horizon, warmup_fraction, 1.0)


def warmup_polynomial(
    step: Rates, horizon: int, *, warmup_fraction: float, power: float, end_lr: float, base_lr: float
) -> Rates:
    """``t / W``, then ``e + (1 - e) ((T - t) / (T - W)) ** power``, e = end_lr / base_lr.

    ``end_lr`` is a learning rate, not a multiplier. transformers ``get_polynomial_decay_schedule_with_warmup``.
    """
    multiplier = _warmup_power(step, horizon, warmup_fraction, power)
    end = end_lr / base_lr
    return np.where(step < round(warmup_fraction * horizon), multiplier, end + (1 - end) * multiplier)


def burn_in_polynomial(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``(1 - t / T) ** power`` (darknet ``get_current_rate``)."""
    warmup_steps = round(warmup_fraction * horizon)
    base = np.where(step < warmup_steps, step / max(1, warmup_steps), np.clip(horizon - step, 0, None) / horizon)
    return np.power(base, power)


def warmup_quadratic(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``(t / W) ** power``, then ``((T - t) / (T - W)) ** power``.

    init2winit ``polynomial`` with ``warmup_power``.
    """
    return np.power(_warmup_power(step, horizon, warmup_fraction, 1.0), power)


def k_decay(step: Rates, horizon: int, *, k: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - (t / T) ** k)``.

    timm ``PolyLRScheduler`` with ``power=1`` and ``k_decay=k``.
    """
    return 1 - (1 - min_lr_ratio) * np.power(step / horizon, k)


def cyclic_linear(step: Rates, horizon: int, *, first_cycle_fraction: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 - t / (n D))``, n = max(1, ceil(t / D)).

    D = max(1, round(first_cycle_fraction T)) is the length of a cycle. keras ``PolynomialDecay`` with ``cycle=True``.
    """
    cycle = whole_steps(first_cycle_fraction, horizon)
    end: Rates = cycle * np.maximum(1, -np.floor_divide(-step, cycle))
    return (end - (1 - min_lr_ratio) * step) / end


def rex(step: Rates, horizon: int, *, beta: float) -> Rates:
    """``z / (beta + (1 - beta) z)``, z = 1 - t / T.

    pytorch_optimizer ``REXScheduler`` has a ``beta`` of 1/2.
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
    """``m + (1 - m) z / (beta + (1 - beta) z)``, z = 1 - t / T (init2winit ``rex``)."""
    decay = 1 - rex(step, horizon, beta=beta)
    return 1 - (1 - min_lr_ratio) * decay


def linear_to(step: Rates, horizon: int, *, final_lr_ratio: float) -> Rates:
    """``f + (1 - f) (1 - t / T)``, f = final_lr_ratio.

    torch ``LinearLR``; Ultralytics ``lf``.
    """
    return 1 + (final_lr_ratio - 1) * step / horizon


def ellipse(step: Rates, horizon: int, *, power: float) -> Rates:
    """``(1 - (t / T) ** 2) ** power`` (init2winit ``sqrt`` with an ``alpha`` of 2 power)."""
    progress = step / horizon
    return np.power((1 - progress) * (1 + progress), power)


def _rex(remaining: Rates, decay_steps: int, beta: float) -> Rates:
    """``z / (beta + (1 - beta) z)``, z = remaining / decay_steps.

    Numerator and denominator are multiplied by ``decay_steps``, so that whole numbers are divided only once.
    """
    return remaining / (remaining + beta * (decay_steps - remaining))


def _warmup_power(step: Rates, horizon: int, warmup_fraction: float, power: float) -> Rates:
    """``t / W``, then ``((T - t) / (T - W)) ** power``, 0 past T."""
    warmup_steps = round(warmup_fraction * horizon)
    decay = np.clip((horizon - step) / max(1, horizon - warmup_steps), 0, 1) ** power
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)
