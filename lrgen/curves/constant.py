"""Constant rates and warm-ups."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def constant(step: Rates, horizon: int) -> Rates:
    """The base rate throughout: ``1``."""
    return np.ones_like(step)


def linear_ramp(step: Rates, horizon: int, *, warmup: float, start_factor: float) -> Rates:
    """From ``start_factor`` to 1 over W steps (torch ``LinearLR``): ``s + (1 - s) min(t, W) / W``."""
    return start_factor + (1 - start_factor) * np.minimum(step / whole_steps(warmup, horizon), 1)


def reduced_start(step: Rates, horizon: int, *, warmup: float, factor: float) -> Rates:
    """``factor`` for the first W steps, then 1 (torch ``ConstantLR``)."""
    return np.where(step < whole_steps(warmup, horizon), factor, 1.0)


def warmup(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """From zero to 1 over W = round(warmup T) steps, which may be none: ``min(1, t / W)``."""
    steps = round(warmup * horizon)
    return np.minimum(step / steps, 1) if steps else np.ones_like(step)
