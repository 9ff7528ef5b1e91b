"""Cyclical rates (Smith, https://arxiv.org/abs/1506.01186)."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def cyclic(
    step: Rates, horizon: int, *, min_lr_ratio: float, half_cycle: float, mode: str, final_amplitude: float = 1.0
) -> Rates:
    """A triangle wave between ``min_lr_ratio`` and 1 (torch ``CyclicLR``).

    Its height is constant (``triangular``), halves in each cycle (``triangular2``) or falls to ``final_amplitude``
    of itself over the horizon (``exp_range``).
    """
    half = whole_steps(half_cycle, horizon)
    wave = 1 - np.abs((step / half) % 2 - 1)
    if mode == "triangular2":
        wave = wave * 0.5 ** (step // (2 * half))
    elif mode == "exp_range":
        wave = wave * np.power(final_amplitude, step / horizon)
    return min_lr_ratio + (1 - min_lr_ratio) * wave


def asymmetric_triangles(step: Rates, horizon: int, *, min_lr_ratio: float, cycle: float, rise: float) -> Rates:
    """Triangles between ``min_lr_ratio`` and 1 whose climb is a part of the cycle (torch ``CyclicLR``).

    Of the two lines of a triangle the lower one is the rate; both take a step at least.
    """
    length = round(cycle * horizon)
    up = whole_steps(rise, length)
    down = max(1, length - up)
    place = np.mod(step, up + down)
    return min_lr_ratio + (1 - min_lr_ratio) * np.minimum(place / up, (up + down - place) / down)


def wave(step: Rates, horizon: int, *, min_lr_ratio: float, half_cycle: float, shape: str) -> Rates:
    """Between ``min_lr_ratio`` and 1 along a sine or parabolic arches, from below, or along lines, from above.

    The first two are Smith's other windows; the lines are ignite's ``LinearCyclicalScheduler`` from 1 to the bound.
    """
    half = whole_steps(half_cycle, horizon)
    phase = np.mod(step, 2 * half) / half
    if shape == "sine":
        height = np.sin(np.pi * phase / 2) ** 2
    elif shape == "parabola":
        height = phase * (2 - phase)
    else:
        height = np.maximum(1 - phase, phase - 1)
    return min_lr_ratio + (1 - min_lr_ratio) * height


def bouncing_cosine(step: Rates, horizon: int, *, min_lr_ratio: float, half_cycle: float) -> Rates:
    """A whole cosine wave between 1 and ``min_lr_ratio`` (torch ``CosineAnnealingLR``, also past its ``T_max``)."""
    half = whole_steps(half_cycle, horizon)
    return 1 - (1 - min_lr_ratio) * np.sin(np.pi * np.mod(step, 2 * half) / (2 * half)) ** 2


def anneal_then_saw(
    step: Rates,
    horizon: int,
    *,
    anneal_start: float,
    saw_start: float,
    annealed_ratio: float,
    peak: float,
    min_lr_ratio: float,
    cycle: float,
) -> Rates:
    """1, a line to ``annealed_ratio``, then cycles from ``peak`` to ``min_lr_ratio`` and back (FGE's training).

    No line of a cycle is longer than half of it: the distance to the nearer end of the cycle says how far down it is.
    """
    start, turn = round(anneal_start * horizon), round(saw_start * horizon)
    anneal = 1 - (1 - annealed_ratio) * np.clip((step - start) / max(turn - start, 1), 0, 1)
    length = whole_steps(cycle, horizon)
    place = np.mod(step - turn, length)
    down = 2 * np.minimum(place, length - place) / length
    return np.where(step < turn, anneal, peak * (1 - down) + min_lr_ratio * down)


def halving_sine(step: Rates, horizon: int, *, min_lr_ratio: float, cycle: float) -> Rates:
    """Arches of a sine on a floor, each half as high as the one before (``SinDecay2`` of ParameterSchedulers.jl)."""
    arch, length = _arches(step, horizon, cycle)
    return min_lr_ratio + (1 - min_lr_ratio) * arch * np.exp2(-np.floor(step / length))


def decaying_sine(step: Rates, horizon: int, *, min_lr_ratio: float, cycle: float, final_amplitude: float) -> Rates:
    """Arches of a sine on a floor, ``final_amplitude`` as high after T steps (``SinExp`` of ParameterSchedulers.jl)."""
    arch, _ = _arches(step, horizon, cycle)
    return min_lr_ratio + (1 - min_lr_ratio) * arch * np.power(final_amplitude, step / horizon)


def _arches(step: Rates, horizon: int, cycle: float) -> tuple[Rates, int]:
    """``|sin(pi t / c)|`` and the length c of an arch, two steps at least."""
    length = max(2, round(cycle * horizon))
    return np.sin(np.pi * np.mod(step, length) / length), length
