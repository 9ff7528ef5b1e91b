"""Cyclical learning rates (Smith, https://arxiv.org/abs/1506.01186)."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def cyclic(
    step: Rates,
    horizon: int,
    *,
    min_lr_ratio: float,
    half_cycle_fraction: float,
    mode: str,
    final_amplitude_ratio: float = 1.0,
) -> Rates:
    """Triangular cycles between ``min_lr_ratio`` and 1 (torch ``CyclicLR``).

    The amplitude is constant (``triangular``), is halved after each cycle (``triangular2``), or decays to
    ``final_amplitude_ratio`` over the horizon (``exp_range``).
    """
    half_cycle_steps = whole_steps(half_cycle_fraction, horizon)
    height = 1 - np.abs((step / half_cycle_steps) % 2 - 1)
    if mode == "triangular2":
        height = height * 0.5 ** (step // (2 * half_cycle_steps))
    elif mode == "exp_range":
        height = height * np.power(final_amplitude_ratio, step / horizon)
    return min_lr_ratio + (1 - min_lr_ratio) * height


def asymmetric_triangles(
    step: Rates, horizon: int, *, min_lr_ratio: float, cycle_fraction: float, rise_fraction: float
) -> Rates:
    """Asymmetric triangular cycles between ``min_lr_ratio`` and 1 (torch ``CyclicLR`` with ``step_size_down``).

    The height is the minimum of both phases, each of which takes at least one step.
    """
    cycle_steps = round(cycle_fraction * horizon)
    step_size_up = whole_steps(rise_fraction, cycle_steps)
    step_size_down = max(1, cycle_steps - step_size_up)
    since_start = np.mod(step, step_size_up + step_size_down)
    height = np.minimum(since_start / step_size_up, (step_size_up + step_size_down - since_start) / step_size_down)
    return min_lr_ratio + (1 - min_lr_ratio) * height


def wave(step: Rates, horizon: int, *, min_lr_ratio: float, half_cycle_fraction: float, shape: str) -> Rates:
    """Sinusoidal, parabolic or triangular cycles between ``min_lr_ratio`` and 1.

    The first two are Smith's Hann and Welch windows and start at the minimum. The triangles start at the maximum, as
    ignite's ``LinearCyclicalScheduler`` does.
    """
    half_cycle_steps = whole_steps(half_cycle_fraction, horizon)
    phase = np.mod(step, 2 * half_cycle_steps) / half_cycle_steps
    if shape == "sine":
        height = np.sin(np.pi * phase / 2) ** 2
    elif shape == "parabola":
        height = phase * (2 - phase)
    else:
        height = np.maximum(1 - phase, phase - 1)
    return min_lr_ratio + (1 - min_lr_ratio) * height


def cosine_wave(step: Rates, horizon: int, *, min_lr_ratio: float, half_cycle_fraction: float) -> Rates:
    """A cosine wave between 1 and ``min_lr_ratio`` (torch ``CosineAnnealingLR``, also past its ``T_max``)."""
    half_cycle_steps = whole_steps(half_cycle_fraction, horizon)
    cycle_steps = 2 * half_cycle_steps
    return 1 - (1 - min_lr_ratio) * np.sin(np.pi * np.mod(step, cycle_steps) / cycle_steps) ** 2


def decay_then_cycles(
    step: Rates,
    horizon: int,
    *,
    decay_start_fraction: float,
    cycle_start_fraction: float,
    decayed_lr_ratio: float,
    max_lr_ratio: float,
    min_lr_ratio: float,
    cycle_fraction: float,
) -> Rates:
    """1, linear decay to ``decayed_lr_ratio``, then triangular cycles from ``max_lr_ratio`` (``fge.py``)."""
    decay_start, cycle_start = round(decay_start_fraction * horizon), round(cycle_start_fraction * horizon)
    decay_progress = np.clip((step - decay_start) / max(cycle_start - decay_start, 1), 0, 1)
    decay = 1 - (1 - decayed_lr_ratio) * decay_progress
    cycle_steps = whole_steps(cycle_fraction, horizon)
    since_start = np.mod(step - cycle_start, cycle_steps)
    depth = 2 * np.minimum(since_start, cycle_steps - since_start) / cycle_steps
    return np.where(step < cycle_start, decay, max_lr_ratio * (1 - depth) + min_lr_ratio * depth)


def halving_sine(step: Rates, horizon: int, *, min_lr_ratio: float, cycle_fraction: float) -> Rates:
    """A rectified sine whose amplitude is halved after each cycle (``SinDecay2`` of ParameterSchedulers.jl)."""
    height, cycle_steps = _rectified_sine(step, horizon, cycle_fraction)
    return min_lr_ratio + (1 - min_lr_ratio) * height * np.exp2(-np.floor(step / cycle_steps))


def decaying_sine(
    step: Rates, horizon: int, *, min_lr_ratio: float, cycle_fraction: float, final_amplitude_ratio: float
) -> Rates:
    """A rectified sine whose amplitude decays exponentially (``SinExp`` of ParameterSchedulers.jl)."""
    height, _ = _rectified_sine(step, horizon, cycle_fraction)
    return min_lr_ratio + (1 - min_lr_ratio) * height * np.power(final_amplitude_ratio, step / horizon)


def _rectified_sine(step: Rates, horizon: int, cycle_fraction: float) -> tuple[Rates, int]:
    """``|sin(pi t / c)|`` and the number of steps c of a cycle, at least two."""
    cycle_steps = max(2, round(cycle_fraction * horizon))
    return np.sin(np.pi * np.mod(step, cycle_steps) / cycle_steps), cycle_steps
