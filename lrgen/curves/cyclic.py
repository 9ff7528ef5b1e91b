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
