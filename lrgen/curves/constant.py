"""Constant learning rate and warm-ups."""

import math
from collections.abc import Sequence

import numpy as np

from lrgen.curves import Rates, whole_steps


def constant(step: Rates, horizon: int) -> Rates:
    """The base learning rate throughout: ``1``."""
    return np.ones_like(step)


def linear_ramp(step: Rates, horizon: int, *, warmup_fraction: float, start_factor: float) -> Rates:
    """``s + (1 - s) min(t, W) / W``, s = start_factor, W at least 1.

    torch ``LinearLR``.
    """
    return start_factor + (1 - start_factor) * np.minimum(step / whole_steps(warmup_fraction, horizon), 1)


def reduced_start(step: Rates, horizon: int, *, warmup_fraction: float, factor: float) -> Rates:
    """``factor`` for the first W steps, then 1 (torch ``ConstantLR``)."""
    return np.where(step < whole_steps(warmup_fraction, horizon), factor, 1.0)


def warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``min(1, t / W)``, W = round(warmup_fraction T); 1 for W = 0."""
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(step / warmup_steps, 1) if warmup_steps else np.ones_like(step)


def exponential_approach(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``1 - e^(-(t + 1) / P)``, also past the horizon.

    pytorch_warmup ``ExponentialWarmup``.
    """
    return -np.expm1(-(step + 1) / whole_steps(warmup_fraction, horizon))


def logarithmic_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``min(1, log(t + 1) / log(W))``; 1 for W < 2.

    DeepSpeed ``WarmupLR`` with its default ``warmup_type``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(np.log1p(step) / np.log(warmup_steps), 1) if warmup_steps > 1 else np.ones_like(step)


def rectification(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """RAdam's variance rectification, ``sqrt((r-4)/(R-4) (r-2)/(R-2) R/r)``.

    ``r`` are the degrees of freedom of update t + n and ``R`` is their limit; n is the first update for which r > 4.
    pytorch_warmup ``RAdamWarmup``.
    """
    limit = (1 + beta2) / (1 - beta2)

    def degrees_of_freedom(update: Rates) -> Rates:
        return limit + 2 * update * np.power(beta2, update) / np.expm1(update * math.log(beta2))

    updates = np.arange(1.0, 10.0)
    first = updates[degrees_of_freedom(updates) > 4][0]
    rho = degrees_of_freedom(step + first)
    return np.sqrt((rho - 4) / (limit - 4) * (rho - 2) / (limit - 2) * limit / rho)


def cosine_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``sin^2(pi x / 2)``, x the progress of the warm-up.

    transformers ``get_wsd_schedule`` with ``warmup_type="cosine"``.
    """
    return np.sin(np.pi / 2 * _warmup_progress(step, horizon, warmup_fraction)) ** 2


def power_warmup(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``x ** power``, x the progress of the warm-up.

    A power of 2 is the quadratic warm-up of axolotl.
    """
    return _warmup_progress(step, horizon, warmup_fraction) ** power


def one_minus_sqrt_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``1 - sqrt(1 - x)``, computed as ``x / (1 + sqrt(1 - x))``.

    transformers ``get_wsd_schedule`` with ``warmup_type="1-sqrt"``.
    """
    progress = _warmup_progress(step, horizon, warmup_fraction)
    multiplier: Rates = progress / (1 + np.sqrt(1 - progress))
    return multiplier


def geometric_warmup(step: Rates, horizon: int, *, warmup_fraction: float, start_factor: float) -> Rates:
    """``s ** (1 - x)``, s = start_factor, x the progress of the warm-up.

    tensor2tensor, warm-up "exp".
    """
    return np.power(start_factor, 1 - _warmup_progress(step, horizon, warmup_fraction))


def untuned_linear_warmup(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """``min(1, (t + 1) (1 - beta2) / 2)``.

    pytorch_warmup ``UntunedLinearWarmup``.
    """
    return np.minimum((step + 1) / (2 / (1 - beta2)), 1)


def ramp_times_drops(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    gamma: float,
    start_factor: float,
    milestones: Sequence[int],
    epochs: int,
) -> Rates:
    """``linear_ramp`` times step decay at milestones out of ``epochs``.

    torch ``LinearLR`` and ``MultiStepLR``.
    """
    passed = sum((step >= whole_steps(epoch / epochs, horizon)).astype(float) for epoch in milestones)
    ramp = linear_ramp(step, horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return ramp * np.power(gamma, passed)


def _warmup_progress(step: Rates, horizon: int, warmup_fraction: float) -> Rates:
    """The completed fraction of W = round(warmup_fraction T) steps; 1 for W = 0."""
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(step / warmup_steps, 1) if warmup_steps else np.ones_like(step)
