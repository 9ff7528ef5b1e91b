"""Warm-up, a plateau and a decay of its own (WSD, https://arxiv.org/abs/2404.06395), and other schedules of phases.

A phase of no steps does not occur: without a decay the rate stays on the plateau, also at T.
"""

import numpy as np

from lrgen.curves import Rates


def warmup_stable_decay(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    decay: float,
    shape: str,
    power: float = 1.0,
    min_lr_ratio: float = 0.0,
) -> Rates:
    """``min(1, t / W) f(x)``, x from 0 to 1 over the last ``decay`` T steps.

    f is ``1 - x``, ``1 - sqrt(x)`` or half a cosine (transformers, timm), ``1 - x ** 2`` (pytorch_optimizer),
    ``(1 - x) ** power`` (optax ``polynomial_schedule``), ``min_lr_ratio ** x`` (MiniCPM), or ``2 * 0.5 ** x - 1``
    (Megatron's ``exponential``).
    """
    climb, x = _climb_and_decay(step, horizon, warmup, decay)
    if shape == "linear":
        fall = 1 - x
    elif shape == "one_minus_sqrt":
        fall = (1 - x) / (1 + np.sqrt(x))
    elif shape == "cosine":
        fall = np.cos(np.pi * x / 2) ** 2
    elif shape == "exponential":
        fall = np.power(min_lr_ratio, x)
    elif shape == "one_minus_square":
        fall = (1 - x) * (1 + x)
    elif shape == "power":
        fall = (1 - x) ** power
    else:
        fall = np.exp2(1 - x) - 1
    return climb * fall


def wsd_s(step: Rates, horizon: int, *, warmup: float, decay: float, min_lr_ratio: float, periods: int) -> Rates:
    """A climb, and a line to a floor at the end of each of some periods, the step after at 1 (OLMo-core ``WSDS``)."""
    ends = np.array([round(k * horizon / periods) for k in range(1, periods + 1)])
    end = ends[np.minimum(np.searchsorted(ends, step), periods - 1)]
    fall = round(decay * horizon / periods)
    start = np.maximum(end - fall, round(warmup * horizon))
    x = np.clip((step - start) / np.maximum(1, end - start), 0, 1)
    multiplier: Rates = _climb(step, horizon, warmup) * (1 - x + min_lr_ratio * x)
    return multiplier


def tri_stage(
    step: Rates, horizon: int, *, warmup: float, hold: float, min_lr_ratio: float, start_factor: float
) -> Rates:
    """``s + (1 - s) t / W``, a hold, then ``m ** x`` in the steps that are left (fairseq ``tri_stage``)."""
    start = min(horizon, round(warmup * horizon) + round(hold * horizon))
    climb = start_factor + (1 - start_factor) * _climb(step, horizon, warmup)
    decayed: Rates = climb * np.power(min_lr_ratio, _progress(step, start, horizon))
    return decayed


def flat_then_cosine(step: Rates, horizon: int, *, flat: float) -> Rates:
    """1, then half a cosine to zero (fastai ``fit_flat_cos``)."""
    return np.cos(np.pi * _progress(step, round(flat * horizon), horizon) / 2) ** 2


def knee(step: Rates, horizon: int, *, warmup: float, explore: float) -> Rates:
    """``(t + 1) / (W + 1)``, 1, then a line to zero (``KneeLRScheduler``, but for its warm-up from zero)."""
    steps = round(warmup * horizon)
    climb = np.minimum(1, (step + 1) / (steps + 1))
    return climb * (1 - _progress(step, max(steps, round(explore * horizon)), horizon))


def infinite_lr(
    step: Rates, horizon: int, *, warmup: float, plateau: float, decay: float, cooldown: float, final_factor: float
) -> Rates:
    """``t / W``, half a cosine to ``plateau``, constant, then ``plateau f ** x`` with ``f = final_factor``."""
    climb = round(warmup * horizon)
    cool = min(horizon, climb + round(cooldown * horizon))
    start = max(cool, horizon - round(decay * horizon))
    cosine = np.cos(np.pi * _progress(step, climb, cool) / 2) ** 2
    cooled = np.where(step < cool, cosine + plateau * (1 - cosine), plateau)
    annealed: Rates = cooled * np.power(final_factor, _progress(step, start, horizon))
    return _climb(step, horizon, warmup) * annealed


def cosine_warmup_stable_linear(
    step: Rates, horizon: int, *, warmup: float, decay: float, min_lr_ratio: float
) -> Rates:
    """Half a cosine from the floor, 1, a line to the floor (transformers ``wsd`` with ``warmup_type="cosine"``)."""
    climb, x = _climb_and_decay(step, horizon, warmup, decay)
    height = np.sin(np.pi * climb / 2) ** 2 * (1 - x)
    return height + min_lr_ratio * (1 - height)


def two_plateau_ladder(
    step: Rates, horizon: int, *, warmup: float, plateau: float, decay: float, first_end: float, second_start: float
) -> Rates:
    """``t / W``, 1, a line to ``plateau``, constant, then a line to zero."""
    first = max(round(warmup * horizon), round(first_end * horizon))
    second = max(first, round(second_start * horizon))
    last = max(second, horizon - round(decay * horizon))
    lowered = np.where(step < second, 1 - (1 - plateau) * _progress(step, first, second), plateau)
    ended = np.where(step < horizon, 1 - _progress(step, last, horizon), 0)
    return _climb(step, horizon, warmup) * lowered * ended


def _climb_and_decay(step: Rates, horizon: int, warmup: float, decay: float) -> tuple[Rates, Rates]:
    """The climb to 1, and how much of the decay is done; the climb comes first where the two would overlap."""
    start = max(round(warmup * horizon), horizon - round(decay * horizon))
    return _climb(step, horizon, warmup), _progress(step, start, horizon)


def _climb(step: Rates, horizon: int, warmup: float) -> Rates:
    """``min(1, t / W)`` with W = round(warmup T), which may be none."""
    steps = round(warmup * horizon)
    return np.minimum(1, step / steps) if steps else np.ones_like(step)


def _progress(step: Rates, start: int, end: int) -> Rates:
    """From 0 at ``start`` to 1 at ``end``; 0 throughout if there is nothing in between."""
    return np.clip((step - start) / max(1, end - start), 0, 1) if start < end else np.zeros_like(step)
