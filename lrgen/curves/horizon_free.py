"""Decay that does not depend on how many steps are still to come."""

import math

import numpy as np

from lrgen.curves import Rates, whole_steps


def inverse_sqrt(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``t / W``, then ``sqrt(s / (t - W + s))`` with ``s = max(1, W)`` (transformers ``inverse_sqrt``)."""
    climb = round(warmup * horizon)
    timescale = max(1, climb)
    decay = np.sqrt(timescale / np.maximum(step - climb + timescale, 1))
    return np.where(step < climb, step / timescale, decay)


def noam(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``min(n ** -0.5, n * W ** -1.5)`` over its peak ``W ** -0.5``, at update n = t + 1 (fairseq2's ``NoamLR``)."""
    n, climb = step + 1, whole_steps(warmup, horizon)
    rates: Rates = np.minimum(n**-0.5, n * climb**-1.5) * climb**0.5
    return rates


def rsqrt_cooldown(step: Rates, horizon: int, *, warmup: float, timescale: float, decay: float) -> Rates:
    """A climb, then ``sqrt(s / (s + t - W))``, times a line to zero at T (Big Vision, timm ``stable_fn='rsqrt'``)."""
    climb, s, cooldown = round(warmup * horizon), whole_steps(timescale, horizon), whole_steps(decay, horizon)
    decayed = np.sqrt(s / (s + np.maximum(step - climb, 0)))
    return np.where(step < climb, step / max(climb, 1), decayed) * np.minimum(cooldown, horizon - step) / cooldown


def flat_rsqrt(step: Rates, horizon: int, *, flat: float) -> Rates:
    """``min(1, sqrt(k / t))`` (T5)."""
    return np.minimum(1.0, np.sqrt(whole_steps(flat, horizon) / step))


def power(step: Rates, horizon: int, *, warmup: float, amplitude: float, exponent: float) -> Rates:
    """``min(1, a (n / T) ** -b)`` at update n = t + 1, under a linear climb (dolomite-engine's ``PowerScheduler``)."""
    climb = round(warmup * horizon)
    law = np.minimum(1.0, amplitude * np.exp(-exponent * np.log((step + 1) / horizon)))
    return np.where(step < climb, step / max(climb, 1), 1.0) * law


def power_tail(step: Rates, horizon: int, *, warmup: float, exponent: float, decay: float) -> Rates:
    """``t / W``, then ``(t / W) ** -b``, then a line from there to zero at T (OLMo-core's ``PowerLR``).

    Without a climb the power law counts from 1, as if W were 1 and t one step later.
    """
    climb = round(warmup * horizon)
    tail = max(climb, horizon - round(decay * horizon))
    since = np.clip(step, climb, tail) - climb
    law = np.exp(-exponent * np.log1p(since / max(climb, 1)))
    line = np.minimum(1.0, (horizon - step) / (horizon - tail)) if tail < horizon else np.where(step < tail, 1.0, 0.0)
    return np.where(step < climb, step / max(climb, 1), law * line)


def noam_hold(step: Rates, horizon: int, *, warmup: float, hold: float, exponent: float) -> Rates:
    """``(t + 1) / (W + 1)``, 1 for H steps, then ``(W / (t - H)) ** b`` (NeMo's ``NoamHoldAnnealing``).

    Without a climb the decay counts from 1, as if W were 1 and t one step later.
    """
    climb, end = round(warmup * horizon), round(warmup * horizon) + round(hold * horizon)
    decay = np.exp(-exponent * np.log1p(np.maximum(step - end, 0) / max(climb, 1)))
    return np.where(step < climb, (step + 1) / (climb + 1), decay)


def eden(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    lr_batches: float,
    lr_epochs: float,
    epochs: int,
    warmup_start: float,
) -> Rates:
    """icefall's ``Eden``: ``((b² + B²) / B²) ** -0.25 ((e² + E²) / E²) ** -0.25``, under a climb from 0.5 to 1.

    The batch b is the step, its scale B a fraction of the horizon; the epoch e is one of as many as there are
    ``epochs``, its scale E that many times ``lr_epochs``.
    """
    by_batch = (lr_batches * horizon) / np.hypot(step, lr_batches * horizon)
    epoch, scale = np.floor(epochs * step / horizon), epochs * lr_epochs
    by_epoch = scale / np.hypot(epoch, scale)
    climb = round(warmup * horizon)
    rise = np.where(step < climb, warmup_start + (1 - warmup_start) * step / max(climb, 1), 1.0)
    rates: Rates = rise * np.sqrt(by_batch * by_epoch)
    return rates


def exponential_range_test(step: Rates, horizon: int, *, min_lr_ratio: float) -> Rates:
    """``min_lr_ratio`` times a constant factor a step, to 1 at T - 1 (MONAI's ``ExponentialLR``)."""
    last = max(1, horizon - 1)
    return np.minimum(1.0, min_lr_ratio * np.exp(-math.log(min_lr_ratio) * step / last))


def staircase_range_test(step: Rates, horizon: int, *, min_lr_ratio: float, levels: int) -> Rates:
    """From ``min_lr_ratio`` to 1 in equal levels (DeepSpeed's ``LRRangeTest`` as a staircase)."""
    level = np.minimum(np.floor(levels * step / horizon), levels - 1)
    return (min_lr_ratio * (levels - 1 - level) + level) / (levels - 1)


def inverse_scaling(step: Rates, horizon: int, *, power_t: float) -> Rates:
    """``t ** -power_t`` with t counted from 1 (scikit-learn's ``invscaling``)."""
    return np.exp(-power_t * np.log1p(step))
