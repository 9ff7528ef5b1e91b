"""Warmup-stable-decay schedules (WSD, https://arxiv.org/abs/2404.06395) and other schedules of several phases.

A phase without steps is skipped. Without a decay phase the learning rate stays constant up to T and after it.
"""

import numpy as np

from lrgen.curves import Rates


def warmup_stable_decay(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    decay_fraction: float,
    shape: str,
    power: float = 1.0,
    min_lr_ratio: float = 0.0,
) -> Rates:
    """``min(1, t / W) f(x)``, where x increases from 0 to 1 over the last ``decay_fraction`` T steps.

    f is ``1 - x``, ``1 - sqrt(x)`` or ``(1 + cos(pi x)) / 2`` (transformers, timm), ``1 - x ** 2``
    (pytorch_optimizer), ``(1 - x) ** power`` (optax ``polynomial_schedule``), ``min_lr_ratio ** x`` (MiniCPM), or
    ``2 * 0.5 ** x - 1`` (Megatron-LM's ``exponential``).
    """
    warmup, x = _warmup_and_decay(step, horizon, warmup_fraction, decay_fraction)
    if shape == "linear":
        decay = 1 - x
    elif shape == "one_minus_sqrt":
        decay = (1 - x) / (1 + np.sqrt(x))
    elif shape == "cosine":
        decay = np.cos(np.pi * x / 2) ** 2
    elif shape == "exponential":
        decay = np.power(min_lr_ratio, x)
    elif shape == "one_minus_square":
        decay = (1 - x) * (1 + x)
    elif shape == "power":
        decay = (1 - x) ** power
    else:
        decay = np.exp2(1 - x) - 1
    return warmup * decay


def wsd_s(
    step: Rates, horizon: int, *, warmup_fraction: float, decay_fraction: float, min_lr_ratio: float, periods: int
) -> Rates:
    """Warm-up, then periods that end with linear decay to the minimum; each restarts at 1 (OLMo-core ``WSDS``)."""
    ends = np.array([round(k * horizon / periods) for k in range(1, periods + 1)])
    end = ends[np.minimum(np.searchsorted(ends, step), periods - 1)]
    decay_steps = round(decay_fraction * horizon / periods)
    start = np.maximum(end - decay_steps, round(warmup_fraction * horizon))
    x = np.clip((step - start) / np.maximum(1, end - start), 0, 1)
    multiplier: Rates = _warmup(step, horizon, warmup_fraction) * (1 - x + min_lr_ratio * x)
    return multiplier


def tri_stage(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    hold_fraction: float,
    min_lr_ratio: float,
    start_factor: float,
) -> Rates:
    """``s + (1 - s) t / W``, 1, then ``m ** x`` over the remaining steps (fairseq ``tri_stage``)."""
    start = min(horizon, round(warmup_fraction * horizon) + round(hold_fraction * horizon))
    warmup = start_factor + (1 - start_factor) * _warmup(step, horizon, warmup_fraction)
    decayed: Rates = warmup * np.power(min_lr_ratio, _progress(step, start, horizon))
    return decayed


def flat_then_cosine(step: Rates, horizon: int, *, flat_fraction: float) -> Rates:
    """1, then cosine decay to zero (fastai ``fit_flat_cos``)."""
    return np.cos(np.pi * _progress(step, round(flat_fraction * horizon), horizon) / 2) ** 2


def knee(step: Rates, horizon: int, *, warmup_fraction: float, explore_fraction: float) -> Rates:
    """``(t + 1) / (W + 1)``, 1, then linear decay to zero (``KneeLRScheduler``, whose warm-up starts at zero)."""
    warmup_steps = round(warmup_fraction * horizon)
    warmup = np.minimum(1, (step + 1) / (warmup_steps + 1))
    return warmup * (1 - _progress(step, max(warmup_steps, round(explore_fraction * horizon)), horizon))


def infinite_lr(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    plateau_ratio: float,
    decay_fraction: float,
    cooldown_fraction: float,
    annealing_ratio: float,
) -> Rates:
    """``t / W``, cosine decay to ``p = plateau_ratio``, p, then ``p a ** x`` with ``a = annealing_ratio``."""
    warmup_steps = round(warmup_fraction * horizon)
    cooldown_end = min(horizon, warmup_steps + round(cooldown_fraction * horizon))
    start = max(cooldown_end, horizon - round(decay_fraction * horizon))
    cosine = np.cos(np.pi * _progress(step, warmup_steps, cooldown_end) / 2) ** 2
    cooled = np.where(step < cooldown_end, cosine + plateau_ratio * (1 - cosine), plateau_ratio)
    annealed: Rates = cooled * np.power(annealing_ratio, _progress(step, start, horizon))
    return _warmup(step, horizon, warmup_fraction) * annealed


def cosine_warmup_stable_linear(
    step: Rates, horizon: int, *, warmup_fraction: float, decay_fraction: float, min_lr_ratio: float
) -> Rates:
    """Cosine warm-up from the minimum, 1, linear decay to it (transformers ``wsd`` with ``warmup_type="cosine"``)."""
    warmup, x = _warmup_and_decay(step, horizon, warmup_fraction, decay_fraction)
    factor = np.sin(np.pi * warmup / 2) ** 2 * (1 - x)
    return factor + min_lr_ratio * (1 - factor)


def two_plateau_ladder(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    plateau_ratio: float,
    decay_fraction: float,
    first_end_fraction: float,
    second_start_fraction: float,
) -> Rates:
    """``t / W``, 1, linear decay to ``plateau_ratio``, a second plateau, then linear decay to zero."""
    first_end = max(round(warmup_fraction * horizon), round(first_end_fraction * horizon))
    second_start = max(first_end, round(second_start_fraction * horizon))
    decay_start = max(second_start, horizon - round(decay_fraction * horizon))
    transition = 1 - (1 - plateau_ratio) * _progress(step, first_end, second_start)
    plateaus = np.where(step < second_start, transition, plateau_ratio)
    decay = np.where(step < horizon, 1 - _progress(step, decay_start, horizon), 0)
    return _warmup(step, horizon, warmup_fraction) * plateaus * decay


def _warmup_and_decay(step: Rates, horizon: int, warmup_fraction: float, decay_fraction: float) -> tuple[Rates, Rates]:
    """The warm-up and the progress of the decay, which starts after the warm-up at the earliest."""
    start = max(round(warmup_fraction * horizon), horizon - round(decay_fraction * horizon))
    return _warmup(step, horizon, warmup_fraction), _progress(step, start, horizon)


def _warmup(step: Rates, horizon: int, warmup_fraction: float) -> Rates:
    """``min(1, t / W)`` with ``W = round(warmup_fraction T)``; 1 where W is 0."""
    warmup_steps = round(warmup_fraction * horizon)
    return np.minimum(1, step / warmup_steps) if warmup_steps else np.ones_like(step)


def _progress(step: Rates, start: int, end: int) -> Rates:
    """Linear progress from 0 at ``start`` to 1 at ``end``; 0 if there is no step between them."""
    return np.clip((step - start) / max(1, end - start), 0, 1) if start < end else np.zeros_like(step)
