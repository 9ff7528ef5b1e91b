"""Decay by the number of steps taken, without a fixed end, and learning rate range tests."""

import math

import numpy as np

from lrgen.curves import Rates, whole_steps


def inverse_sqrt(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``t / W``, then ``sqrt(s / (t - W + s))`` with ``s = max(1, W)`` (transformers ``inverse_sqrt``)."""
    warmup_steps = round(warmup_fraction * horizon)
    timescale = max(1, warmup_steps)
    decay = np.sqrt(timescale / np.maximum(step - warmup_steps + timescale, 1))
    return np.where(step < warmup_steps, step / timescale, decay)


def noam(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``min(n ** -0.5, n * W ** -1.5)`` over its maximum ``W ** -0.5``, with n = t + 1 (fairseq2's ``NoamLR``)."""
    n, warmup_steps = step + 1, whole_steps(warmup_fraction, horizon)
    rates: Rates = np.minimum(n**-0.5, n * warmup_steps**-1.5) * warmup_steps**0.5
    return rates


def rsqrt_cooldown(
    step: Rates, horizon: int, *, warmup_fraction: float, timescale_fraction: float, decay_fraction: float
) -> Rates:
    """``t / W``, then ``sqrt(s / (s + t - W))``, times ``min(1, (T - t) / D)`` (Big Vision; timm's ``rsqrt``)."""
    warmup_steps = round(warmup_fraction * horizon)
    timescale = whole_steps(timescale_fraction, horizon)
    cooldown_steps = whole_steps(decay_fraction, horizon)
    decay = np.sqrt(timescale / (timescale + np.maximum(step - warmup_steps, 0)))
    cooldown = np.minimum(cooldown_steps, horizon - step)
    return np.where(step < warmup_steps, step / max(warmup_steps, 1), decay) * cooldown / cooldown_steps


def flat_rsqrt(step: Rates, horizon: int, *, flat_fraction: float) -> Rates:
    """``min(1, sqrt(k / t))`` (Mesh TensorFlow's ``truncated_rsqrt``, of T5)."""
    return np.minimum(1.0, np.sqrt(whole_steps(flat_fraction, horizon) / step))


def power(step: Rates, horizon: int, *, warmup_fraction: float, final_lr_ratio: float, exponent: float) -> Rates:
    """``min(1, a (n / T) ** -b)`` with n = t + 1, times a linear warm-up (dolomite-engine's ``PowerScheduler``)."""
    warmup_steps = round(warmup_fraction * horizon)
    law = np.minimum(1.0, final_lr_ratio * np.exp(-exponent * np.log((step + 1) / horizon)))
    return np.where(step < warmup_steps, step / max(warmup_steps, 1), 1.0) * law


def power_tail(step: Rates, horizon: int, *, warmup_fraction: float, exponent: float, decay_fraction: float) -> Rates:
    """``t / W``, then ``(t / W) ** -b``, then linear decay to zero at T (OLMo-core's ``PowerLR``).

    Without a warm-up the power law is ``(t + 1) ** -b``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    cooldown_start = max(warmup_steps, horizon - round(decay_fraction * horizon))
    since_warmup = np.clip(step, warmup_steps, cooldown_start) - warmup_steps
    law = np.exp(-exponent * np.log1p(since_warmup / max(warmup_steps, 1)))
    if cooldown_start < horizon:
        cooldown = np.minimum(1.0, (horizon - step) / (horizon - cooldown_start))
    else:
        cooldown = np.where(step < cooldown_start, 1.0, 0.0)
    return np.where(step < warmup_steps, step / max(warmup_steps, 1), law * cooldown)


def noam_hold(step: Rates, horizon: int, *, warmup_fraction: float, hold_fraction: float, exponent: float) -> Rates:
    """``(t + 1) / (W + 1)``, 1 for H steps, then ``(W / (t - H)) ** b`` (NeMo's ``NoamHoldAnnealing``).

    Without a warm-up the decay is ``(t - H + 1) ** -b``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    hold_end = warmup_steps + round(hold_fraction * horizon)
    decay = np.exp(-exponent * np.log1p(np.maximum(step - hold_end, 0) / max(warmup_steps, 1)))
    return np.where(step < warmup_steps, (step + 1) / (warmup_steps + 1), decay)


def eden(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    lr_batches_fraction: float,
    lr_epochs_fraction: float,
    epochs: int,
    warmup_start_ratio: float,
) -> Rates:
    """``((b² + B²) / B²) ** -0.25 ((e² + E²) / E²) ** -0.25``, times a warm-up from 0.5 to 1 (icefall's ``Eden``).

    b is the batch, e the epoch out of ``epochs``; B and E are fractions of the number of batches and of epochs.
    """
    by_batch = (lr_batches_fraction * horizon) / np.hypot(step, lr_batches_fraction * horizon)
    epoch, timescale = np.floor(epochs * step / horizon), epochs * lr_epochs_fraction
    by_epoch = timescale / np.hypot(epoch, timescale)
    warmup_steps = round(warmup_fraction * horizon)
    increase = warmup_start_ratio + (1 - warmup_start_ratio) * step / max(warmup_steps, 1)
    rates: Rates = np.where(step < warmup_steps, increase, 1.0) * np.sqrt(by_batch * by_epoch)
    return rates


def exponential_range_test(step: Rates, horizon: int, *, min_lr_ratio: float) -> Rates:
    """``min_lr_ratio`` times a constant factor per step, up to 1 at T - 1 (MONAI's ``ExponentialLR``)."""
    last = max(1, horizon - 1)
    return np.minimum(1.0, min_lr_ratio * np.exp(-math.log(min_lr_ratio) * step / last))


def staircase_range_test(step: Rates, horizon: int, *, min_lr_ratio: float, levels: int) -> Rates:
    """Equally spaced levels from ``min_lr_ratio`` to 1 (DeepSpeed's ``LRRangeTest`` with ``staircase=True``)."""
    level = np.minimum(np.floor(levels * step / horizon), levels - 1)
    return (min_lr_ratio * (levels - 1 - level) + level) / (levels - 1)


def inverse_scaling(step: Rates, horizon: int, *, power_t: float) -> Rates:
    """``n ** -power_t`` with n = t + 1 (scikit-learn's ``invscaling``)."""
    return np.exp(-power_t * np.log1p(step))
