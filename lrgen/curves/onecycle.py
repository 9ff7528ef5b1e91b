"""The one-cycle policy (Smith & Topin, https://arxiv.org/abs/1708.07120)."""

from itertools import pairwise

import numpy as np

from lrgen.curves import Rates, whole_steps


def one_cycle(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    anneal: str,
    div_factor: float,
    final_div_factor: float,
    three_phase: bool = False,
) -> Rates:
    """Climb from ``1 / div_factor`` to 1, then fall to ``1 / (div_factor final_div_factor)`` (torch ``OneCycleLR``).

    The climb ends at step ``warmup T - 1``, which need not be whole, and the fall at ``T - 1``; the rate stays there.
    A climb of no steps at all, which torch divides by, takes one step. With three phases the climb is taken back, in
    as many steps, before the fall.
    """
    t = np.minimum(step, horizon - 1)
    top = warmup * horizon - 1
    if top == 0:
        top = 1.0
    start = 1 / div_factor
    end = start / final_div_factor
    climb = start + (1 - start) * _shape(t / top, anneal)
    turn, height = (2 * top, start) if three_phase else (top, 1.0)
    fall = height + (end - height) * _shape((t - turn) / max(horizon - 1 - turn, 1e-300), anneal)
    if three_phase:
        back = 1 + (start - 1) * _shape((t - top) / top, anneal)
        fall = np.where(t <= turn, back, fall)
    return np.where(t <= top, climb, fall)


def triangle(step: Rates, horizon: int, *, warmup: float, min_lr_ratio: float) -> Rates:
    """From ``min_lr_ratio`` to 1 at ``round(warmup T)`` and back at T (AllenNLP's ``SlantedTriangular``)."""
    peak = round(warmup * horizon)
    return _lines(step, (0, min_lr_ratio), (peak, 1.0), (horizon, min_lr_ratio))


def late_triangle(step: Rates, horizon: int, *, peak_at: float, min_lr_ratio: float) -> Rates:
    """From ``min_lr_ratio`` to 1 at ``round(peak_at T)``, then to zero at T."""
    return _lines(step, (0, min_lr_ratio), (round(peak_at * horizon), 1.0), (horizon, 0.0))


def dawnbench(step: Rates, horizon: int, *, warmup: float, decay: float, knee_lr_ratio: float, corners: str) -> Rates:
    """From zero to 1, to ``knee_lr_ratio``, to zero (ignite's ``PiecewiseLinear``)."""
    peak = round(warmup * horizon)
    knee = max(peak, horizon - round(decay * horizon))
    return _lines(step, (0, 0.0), (peak, 1.0), (knee, knee_lr_ratio), (horizon, 0.0))


def annihilation(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    decay: float,
    div_factor: float,
    final_div_factor: float,
    corners: str,
) -> Rates:
    """From ``1 / div_factor`` to 1 and back, then to ``1 / (div_factor final_div_factor)``.

    This is optax's ``linear_onecycle_schedule``, which cuts the ends of its phases where they are rounded here.
    """
    peak = round(warmup * horizon)
    back = max(peak, horizon - round(decay * horizon))
    low = 1 / div_factor
    return _lines(step, (0, low), (peak, 1.0), (back, low), (horizon, low / final_div_factor))


def two_peaks(
    step: Rates, horizon: int, *, valley_at: float, min_lr_ratio: float, second_peak: float, corners: str
) -> Rates:
    """Two triangles with their peaks in their middles, 1 and ``second_peak`` high."""
    valley = round(valley_at * horizon)
    middles = valley // 2, (valley + horizon) // 2
    low = min_lr_ratio
    return _lines(step, (0, low), (middles[0], 1.0), (valley, low), (middles[1], second_peak), (horizon, 0.0))


def fit_one_cycle(step: Rates, horizon: int, *, warmup: float, div_factor: float, final_div_factor: float) -> Rates:
    """From ``1 / div_factor`` to 1 at ``warmup T``, then to ``1 / final_div_factor`` at T (fastai)."""
    x = step / horizon
    climb = 1 - (1 - 1 / div_factor) * _shape(1 - x / max(warmup, 1e-300), "cos")
    fall = 1 / final_div_factor + (1 - 1 / final_div_factor) * _shape((1 - x) / (1 - warmup), "cos")
    return np.where(x < warmup, climb, fall)


def cycle_then_decay(
    step: Rates, horizon: int, *, half_cycle: float, min_lr_ratio: float, decay_rate: float, interval: float
) -> Rates:
    """From ``min_lr_ratio`` to 1 and back, then ``min_lr_ratio / (1 + decay_rate n / s)`` (DeepSpeed's ``OneCycle``).

    The decay divides its n steps by the interval s.
    """
    half, s = whole_steps(half_cycle, horizon), whole_steps(interval, horizon)
    cycle = _lines(step, (0, min_lr_ratio), (half, 1.0), (2 * half, min_lr_ratio))
    n = np.maximum(step - 2 * half, 0)
    return np.where(step < 2 * half, cycle, min_lr_ratio * s / (s + decay_rate * n))


def _lines(step: Rates, *corners: tuple[int, float]) -> Rates:
    """Straight lines from corner to corner; of corners at the same step the last one counts from there on."""
    rates = np.full_like(step, corners[0][1])
    for (start, first), (end, last) in pairwise(corners):
        progress = np.clip((step - start) / (end - start), 0, 1) if end > start else np.ones_like(step)
        rates = np.where(step >= start, first + (last - first) * progress, rates)
    return rates


def _shape(x: Rates, anneal: str) -> Rates:
    """From 0 at x = 0 to 1 at x = 1, along a line or half a cosine."""
    x = np.clip(x, 0, 1)
    return np.sin(np.pi * x / 2) ** 2 if anneal == "cos" else x
