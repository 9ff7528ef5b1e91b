"""Half a period of a cosine (Loshchilov & Hutter, https://arxiv.org/abs/1608.03983, without restarts)."""

import numpy as np

from lrgen.curves import Rates


def half_cosine(step: Rates, horizon: int, *, min_lr_ratio: float = 0.0) -> Rates:
    """``m + (1 - m) (1 + cos(pi t / T)) / 2`` (torch ``CosineAnnealingLR`` up to T)."""
    return min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * step / (2 * horizon)) ** 2


def warmup_cosine(step: Rates, horizon: int, *, warmup: float, min_lr_ratio: float = 0.0) -> Rates:
    """``t / W``, then half a cosine to the floor (transformers ``cosine`` and ``cosine_with_min_lr``)."""
    climb = round(warmup * horizon)
    progress = np.clip((step - climb) / max(1, horizon - climb), 0, 1)
    decay = min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * progress / 2) ** 2
    return np.where(step < climb, step / max(1, climb), decay)


def _progress(step: Rates, horizon: int, climb: int) -> Rates:
    """The part of the way from the end of the climb to the horizon, 0 before it."""
    progress: Rates = np.clip((step - climb) / max(1, horizon - climb), 0, 1)
    return progress


def warmup_cosine_power(step: Rates, horizon: int, *, warmup: float, exponent: float) -> Rates:
    """``t / W``, then a power of half a cosine (optax ``cosine_decay_schedule`` with its ``exponent``)."""
    climb = round(warmup * horizon)
    decay = np.cos(np.pi / 2 * _progress(step, horizon, climb)) ** (2 * exponent)
    return np.where(step < climb, step / max(1, climb), decay)


def k_decay(step: Rates, horizon: int, *, k: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 + cos(pi (t / T)^k)) / 2`` (timm ``CosineLRScheduler`` with its ``k_decay``)."""
    return 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * (step / horizon) ** k) ** 2


def cosine_then_floor(
    step: Rates, horizon: int, *, warmup: float, decay_end: float, min_lr_ratio: float, warmup_power: int
) -> Rates:
    """``(t / W)^q``, half a cosine to the floor at E, the floor (YOLOX ``yoloxwarmcos``; axolotl's constant end)."""
    climb, end = round(warmup * horizon), round(decay_end * horizon)
    decay = 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * (step - climb) / max(1, end - climb)) ** 2
    climbing, over = step < climb, step >= end
    return np.select([climbing, over], [(step / max(1, climb)) ** warmup_power, min_lr_ratio], decay)


def linear_cosine_envelope(step: Rates, horizon: int, *, warmup: float) -> Rates:
    """``t / W``, then ``(1 - p) (1 + cos(pi p)) / 2`` (OLMo ``CosLinearEnvelope`` with a floor of zero)."""
    climb = round(warmup * horizon)
    left = 1 - _progress(step, horizon, climb)
    return np.where(step < climb, step / max(1, climb), left * np.sin(np.pi / 2 * left) ** 2)


def cosine_linear_tail(step: Rates, horizon: int, *, warmup: float, min_lr_ratio: float, decay: float) -> Rates:
    """A climb and half a cosine, cut at B for a line to zero (OLMo-core ``CosWithWarmupAndLinearDecay``)."""
    climb = round(warmup * horizon)
    begin = max(climb, horizon - round(decay * horizon))
    cosine = warmup_cosine(np.minimum(step, begin), horizon, warmup=warmup, min_lr_ratio=min_lr_ratio)
    return cosine * np.clip((horizon - step) / max(1, horizon - begin), 0, 1) if begin < horizon else cosine


def cosine_waves(step: Rates, horizon: int, *, warmup: float, waves: float) -> Rates:
    """``t / W``, then ``(1 + cos(2 pi n p)) / 2`` (transformers ``cosine`` with its ``num_cycles`` n)."""
    climb = round(warmup * horizon)
    swing = np.cos(np.pi * waves * _progress(step, horizon, climb)) ** 2
    return np.where(step < climb, step / max(1, climb), swing)


def half_cosine_tail(step: Rates, horizon: int, *, warmup: float, min_lr_ratio: float) -> Rates:
    """A climb to ``(1 + m) / 2``, then the second half of a cosine from 1 to m (OLMo-core ``HalfCosWithWarmup``)."""
    climb = round(warmup * horizon)
    tail = (1 + min_lr_ratio - (1 - min_lr_ratio) * np.sin(np.pi / 2 * _progress(step, horizon, climb))) / 2
    return np.where(step < climb, (1 + min_lr_ratio) / 2 * step / max(1, climb), tail)


def warmup_rate_cosine(
    step: Rates, horizon: int, *, warmup: float, warmup_lr_ratio: float, min_lr_ratio: float
) -> Rates:
    """A climb from r, then half a cosine to m, each at its end in its last step (transformers
    ``cosine_warmup_with_min_lr``).
    """
    climb = round(warmup * horizon)
    rise = 1 - (1 - warmup_lr_ratio) * (1 - step / max(1, climb - 1))
    fall = 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * _progress(step + 1, horizon, climb)) ** 2
    return np.where(step < climb, rise, fall)
