"""Constant rates and warm-ups."""

import math
from collections.abc import Sequence

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


def exponential_approach(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``1 - e^(-(t + 1) / P)`` (pytorch_warmup ``ExponentialWarmup``); it never ends."""
    return -np.expm1(-(step + 1) / whole_steps(warmup, horizon))


def logarithmic_warmup(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """The logarithm of t + 1 to the base W, at most 1 (DeepSpeed ``WarmupLR``, its default); no climb for W < 2."""
    steps = round(warmup * horizon)
    return np.minimum(np.log1p(step) / np.log(steps), 1) if steps > 1 else np.ones_like(step)


def rectification(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """RAdam's rectification of update t + n, n the first that has more than 4 degrees of freedom (pytorch_warmup
    ``RAdamWarmup``): the root of ``(r - 4)/(R - 4) (r - 2)/(R - 2) R/r``.
    """
    limit = (1 + beta2) / (1 - beta2)

    def freedom(update: Rates) -> Rates:
        return limit + 2 * update * np.power(beta2, update) / np.expm1(update * math.log(beta2))

    updates = np.arange(1.0, 10.0)
    first = updates[freedom(updates) > 4][0]
    now = freedom(step + first)
    return np.sqrt((now - 4) / (limit - 4) * (now - 2) / (limit - 2) * limit / now)


def cosine_warmup(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """Half a cosine up to 1 (transformers ``get_wsd_schedule``, warm-up "cosine"): ``sin^2(pi x / 2)``."""
    return np.sin(np.pi / 2 * _climbed(step, horizon, warmup)) ** 2


def power_warmup(step: Rates, horizon: int, *, warmup: float, power: float) -> Rates:
    """A power of the share of the climb that is done (2 in axolotl's quadratic warm-up): ``x^power``."""
    return _climbed(step, horizon, warmup) ** power


def one_minus_sqrt_warmup(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``1 - sqrt(1 - x) = x / (1 + sqrt(1 - x))`` (transformers ``get_wsd_schedule``, warm-up "1-sqrt")."""
    done = _climbed(step, horizon, warmup)
    rate: Rates = done / (1 + np.sqrt(1 - done))
    return rate


def geometric_warmup(step: Rates, horizon: int, *, warmup: float, start_factor: float) -> Rates:
    """A straight line in the logarithm, from ``start_factor`` to 1 (tensor2tensor, warm-up "exp"): ``s^(1 - x)``."""
    return np.power(start_factor, 1 - _climbed(step, horizon, warmup))


def untuned_linear_warmup(step: Rates, horizon: int, *, beta2: float) -> Rates:
    """A line over 2 / (1 - beta2) steps, already one step up at first (pytorch_warmup ``UntunedLinearWarmup``)."""
    return np.minimum((step + 1) / (2 / (1 - beta2)), 1)


def ramp_times_drops(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    gamma: float,
    start_factor: float,
    milestones: Sequence[int],
    epochs: int,
) -> Rates:
    """A ramp (torch ``LinearLR``) times drops (``MultiStepLR``) at milestones in epochs of so many."""
    passed = sum((step >= whole_steps(epoch / epochs, horizon)).astype(float) for epoch in milestones)
    return linear_ramp(step, horizon, warmup=warmup, start_factor=start_factor) * np.power(gamma, passed)


def _climbed(step: Rates, horizon: int, warmup: float) -> Rates:
    """The share of W = round(warmup T) steps that is done; all of it when there are none."""
    steps = round(warmup * horizon)
    return np.minimum(step / steps, 1) if steps else np.ones_like(step)
