"""The one-cycle policy (Smith & Topin, https://arxiv.org/abs/1708.07120) and triangular schedules."""

from itertools import pairwise

import numpy as np

from lrgen.curves import Rates, whole_steps


def one_cycle(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    anneal: str,
    div_factor: float,
    final_div_factor: float,
    three_phase: bool = False,
) -> Rates:
    """From ``1 / div_factor`` to 1, then to ``1 / (div_factor final_div_factor)`` (torch ``OneCycleLR``).

    The peak is at step ``warmup_fraction T - 1``, which need not be whole, and the decay ends at step ``T - 1``. A
    warm-up of zero steps, by which torch divides, takes one step instead. With three phases, the curve returns to its
    initial value in as many steps as the warm-up takes, before the final decay.
    """
    t = np.minimum(step, horizon - 1)
    peak = warmup_fraction * horizon - 1
    if peak == 0:
        peak = 1.0
    initial = 1 / div_factor
    final = initial / final_div_factor
    warmup = initial + (1 - initial) * _annealed(t / peak, anneal)
    decay_start, start_value = (2 * peak, initial) if three_phase else (peak, 1.0)
    progress = (t - decay_start) / max(horizon - 1 - decay_start, 1e-300)
    decay = start_value + (final - start_value) * _annealed(progress, anneal)
    if three_phase:
        return_to_initial = 1 + (initial - 1) * _annealed((t - peak) / peak, anneal)
        decay = np.where(t <= decay_start, return_to_initial, decay)
    return np.where(t <= peak, warmup, decay)


def triangle(step: Rates, horizon: int, *, warmup_fraction: float, min_lr_ratio: float) -> Rates:
    """From ``min_lr_ratio`` to 1 at ``round(warmup_fraction T)`` and back at T (allennlp ``SlantedTriangular``)."""
    peak = round(warmup_fraction * horizon)
    return _interpolated(step, (0, min_lr_ratio), (peak, 1.0), (horizon, min_lr_ratio))


def late_triangle(step: Rates, horizon: int, *, peak_fraction: float, min_lr_ratio: float) -> Rates:
    """From ``min_lr_ratio`` to 1 at ``round(peak_fraction T)``, then to 0 at T."""
    return _interpolated(step, (0, min_lr_ratio), (round(peak_fraction * horizon), 1.0), (horizon, 0.0))


def dawnbench(
    step: Rates, horizon: int, *, warmup_fraction: float, decay_fraction: float, knee_lr_ratio: float, milestones: str
) -> Rates:
    """From 0 to 1, then to ``knee_lr_ratio``, then to 0 (ignite ``PiecewiseLinear``)."""
    peak = round(warmup_fraction * horizon)
    knee = max(peak, horizon - round(decay_fraction * horizon))
    return _interpolated(step, (0, 0.0), (peak, 1.0), (knee, knee_lr_ratio), (horizon, 0.0))


def annihilation(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    decay_fraction: float,
    div_factor: float,
    final_div_factor: float,
    milestones: str,
) -> Rates:
    """From ``1 / div_factor`` to 1 and back, then to ``1 / (div_factor final_div_factor)``.

    optax ``linear_onecycle_schedule``, which truncates the end steps of its phases that are rounded here.
    """
    peak = round(warmup_fraction * horizon)
    cycle_end = max(peak, horizon - round(decay_fraction * horizon))
    initial = 1 / div_factor
    return _interpolated(step, (0, initial), (peak, 1.0), (cycle_end, initial), (horizon, initial / final_div_factor))


def two_peaks(
    step: Rates,
    horizon: int,
    *,
    valley_fraction: float,
    min_lr_ratio: float,
    second_peak_ratio: float,
    milestones: str,
) -> Rates:
    """Two triangular cycles with peaks of 1 and ``second_peak_ratio`` at their midpoints."""
    valley = round(valley_fraction * horizon)
    first_peak, second_peak = valley // 2, (valley + horizon) // 2
    return _interpolated(
        step,
        (0, min_lr_ratio),
        (first_peak, 1.0),
        (valley, min_lr_ratio),
        (second_peak, second_peak_ratio),
        (horizon, 0.0),
    )


def fit_one_cycle(
    step: Rates, horizon: int, *, warmup_fraction: float, div_factor: float, final_div_factor: float
) -> Rates:
    """From ``1 / div_factor`` to 1 at ``warmup_fraction T``, then to ``1 / final_div_factor`` at T (fastai)."""
    progress = step / horizon
    warmup = 1 - (1 - 1 / div_factor) * _annealed(1 - progress / max(warmup_fraction, 1e-300), "cos")
    remaining = (1 - progress) / (1 - warmup_fraction)
    decay = 1 / final_div_factor + (1 - 1 / final_div_factor) * _annealed(remaining, "cos")
    return np.where(progress < warmup_fraction, warmup, decay)


def cycle_then_decay(
    step: Rates,
    horizon: int,
    *,
    half_cycle_fraction: float,
    min_lr_ratio: float,
    decay_rate: float,
    interval_fraction: float,
) -> Rates:
    """From ``min_lr_ratio`` to 1 and back, then ``min_lr_ratio / (1 + decay_rate n / s)`` (DeepSpeed ``OneCycle``).

    n is the number of steps since the end of the cycle and s = max(1, round(interval_fraction T)).
    """
    half_cycle_steps, interval_steps = (
        whole_steps(half_cycle_fraction, horizon),
        whole_steps(interval_fraction, horizon),
    )
    cycle_steps = 2 * half_cycle_steps
    cycle = _interpolated(step, (0, min_lr_ratio), (half_cycle_steps, 1.0), (cycle_steps, min_lr_ratio))
    n = np.maximum(step - cycle_steps, 0)
    decay = min_lr_ratio * interval_steps / (interval_steps + decay_rate * n)
    return np.where(step < cycle_steps, cycle, decay)


def _interpolated(step: Rates, *milestones: tuple[int, float]) -> Rates:
    """Linear interpolation between (step, multiplier) milestones; of several at one step, the last applies."""
    multiplier = np.full_like(step, milestones[0][1])
    for (start, initial), (end, final) in pairwise(milestones):
        progress = np.clip((step - start) / (end - start), 0, 1) if end > start else np.ones_like(step)
        multiplier = np.where(step >= start, initial + (final - initial) * progress, multiplier)
    return multiplier


def _annealed(x: Rates, anneal: str) -> Rates:
    """Annealing from 0 at x = 0 to 1 at x = 1: along a cosine for ``anneal="cos"``, else linear."""
    x = np.clip(x, 0, 1)
    return np.sin(np.pi * x / 2) ** 2 if anneal == "cos" else x
