"""The one-cycle policy (Smith & Topin, https://arxiv.org/abs/1708.07120)."""

import numpy as np

from lrgen.curves import Rates


def one_cycle(
    step: Rates, horizon: int, *, warmup: float, anneal: str, div_factor: float, final_div_factor: float
) -> Rates:
    """Climb from ``1 / div_factor`` to 1, then fall to ``1 / (div_factor final_div_factor)`` (torch ``OneCycleLR``).

    The climb ends at step ``warmup T - 1``, which need not be whole, and the fall at ``T - 1``; the rate stays there.
    A climb of no steps at all, which torch divides by, takes one step.
    """
    t = np.minimum(step, horizon - 1)
    top = warmup * horizon - 1
    if top == 0:
        top = 1.0
    start = 1 / div_factor
    end = start / final_div_factor
    climb = start + (1 - start) * _shape(t / top, anneal)
    fall = 1 + (end - 1) * _shape((t - top) / max(horizon - 1 - top, 1e-300), anneal)
    return np.where(t <= top, climb, fall)


def _shape(x: Rates, anneal: str) -> Rates:
    """From 0 at x = 0 to 1 at x = 1, along a line or half a cosine."""
    x = np.clip(x, 0, 1)
    return np.sin(np.pi * x / 2) ** 2 if anneal == "cos" else x
