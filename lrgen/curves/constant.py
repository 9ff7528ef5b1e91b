"""Constant learning rate and warm-up to a constant learning rate.

Throughout, W = round(warmup_fraction T) and ``x = min(t / W, 1)`` is the progress of the warm-up, 1 for W = 0.
"""

import math
from collections.abc import Sequence

import numpy as np

from lrgen.curves import Rates, whole_steps


def constant(step: Rates, horizon: int) -> Rates:
    """``1``."""
    return np.ones_like(step)


def linear_warmup(step: Rates, horizon: int, *, warmup_fraction: float, start_factor: float) -> Rates:
    """``s + (1 - s) x``, s = start_factor, W at least 1.

    torch ``LinearLR``.
    """
    return start_factor + (1 - start_factor) * np.minimum(step / whole_steps(warmup_fraction, horizon), 1)


def constant_factor(step: Rates, horizon: int, *, warmup_fraction: float, factor: float) -> Rates:
    """``factor`` for the first W steps, at least one, then 1 (torch ``ConstantLR``)."""
    return np.where(step < whole_steps(warmup_fraction, horizon), factor, 1.0)


def warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``x`` (transformers ``get_constant_schedule_with_warmup``)."""
    return _warmup_progress(step, horizon, warmup_fraction)


def exponential_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``1 - exp(-(t + 1) / P)``, P = max(1, round(warmup_fraction T)).

    pytorch_warmup ``ExponentialWarmup``.
    """
    return -np.expm1(-(step + 1) / whole_steps(warmup_fraction, horizon))


def logarithmic_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``min(1, ln(t + 1) / ln(W))``; 1 for W < 2.

    DeepSpeed ``WarmupLR`` with its default ``warmup_type="log"``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(np.log1p(step) / np.log(warmup_steps), 1) if warmup_steps > 1 else np.ones_like(step)


def radam_warmup(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """Variance rectification term of RAdam, ``sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r))``.

    r is the length of the approximated moving average at update t + n, R its limit, and n the first update with r > 4.
    pytorch_warmup ``RAdamWarmup``.
    """
    limit = (1 + beta2) / (1 - beta2)

    def sma_length(update: Rates) -> Rates:
        return limit + 2 * update * np.power(beta2, update) / np.expm1(update * math.log(beta2))

    updates = np.arange(1.0, 10.0)
    first = updates[sma_length(updates) > 4][0]
    rho = sma_length(step + first)
    return np.sqrt((rho - 4) / (limit - 4) * (rho - 2) / (limit - 2) * limit / rho)


def cosine_warmup(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``(1 - cos(pi x)) / 2``, computed as ``sin(pi x / 2) ** 2``.

    transformers ``get_wsd_schedule`` with ``warmup_type="cosine"``.
    """
    return np.sin(np.pi / 2 * _warmup_progress(step, horizon, warmup_fraction)) ** 2


def power_warmup(step: Rates, horizon: int, *, warmup_fraction: float, power: float) -> Rates:
    """``x ** power``.

    axolotl ``get_cosine_schedule_with_quadratic_warmup`` has a ``power`` of 2.
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
    """``s ** (1 - x)``, s = start_factor.

    tensor2tensor ``learning_rate`` with its warm-up ``exp``.
    """
    return np.power(start_factor, 1 - _warmup_progress(step, horizon, warmup_fraction))


def untuned_linear_warmup(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """``min(1, (t + 1) (1 - beta2) / 2)``.

    pytorch_warmup ``UntunedLinearWarmup``.
    """
    return np.minimum((step + 1) / (2 / (1 - beta2)), 1)


def warmup_times_multistep(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    gamma: float,
    start_factor: float,
    milestones: Sequence[int],
    epochs: int,
) -> Rates:
    """``linear_warmup`` times step decay at milestones out of ``epochs``.

    torch ``ChainedScheduler`` of ``LinearLR`` and ``MultiStepLR``.
    """
    passed = sum((step >= whole_steps(epoch / epochs, horizon)).astype(float) for epoch in milestones)
    warmup = linear_warmup(step, horizon, warmup_fraction=warmup_fraction, start_factor=start_factor)
    return warmup * np.power(gamma, passed)


def _warmup_progress(step: Rates, horizon: int, warmup_fraction: float) -> Rates:
    """Progress of a warm-up over W = round(warmup_fraction T) steps; 1 for W = 0."""
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(step / warmup_steps, 1) if warmup_steps else np.ones_like(step)
