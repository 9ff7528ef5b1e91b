"""Cosine decay (Loshchilov & Hutter, https://arxiv.org/abs/1608.03983, without restarts).

Throughout, W = round(warmup_fraction T), m = min_lr_ratio and ``p = (t - W) / (T - W)`` is the progress of the decay.
"""

import numpy as np

from lrgen.curves import Rates


def cosine_decay(step: Rates, horizon: int, *, min_lr_ratio: float = 0.0) -> Rates:
    """``m + (1 - m) (1 + cos(pi t / T)) / 2`` (torch ``CosineAnnealingLR`` up to step T)."""
    return min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * step / (2 * horizon)) ** 2


def warmup_cosine(step: Rates, horizon: int, *, warmup_fraction: float, min_lr_ratio: float = 0.0) -> Rates:
    """``t / W``, then ``m + (1 - m) (1 + cos(pi p)) / 2`` (transformers ``cosine`` and ``cosine_with_min_lr``)."""
    warmup_steps = round(warmup_fraction * horizon)
    decay = min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * _progress(step, horizon, warmup_steps) / 2) ** 2
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)


def warmup_cosine_power(step: Rates, horizon: int, *, warmup_fraction: float, exponent: float) -> Rates:
    """``t / W``, then ``((1 + cos(pi p)) / 2) ** exponent`` (optax ``warmup_cosine_decay_schedule``)."""
    warmup_steps = round(warmup_fraction * horizon)
    decay = np.cos(np.pi / 2 * _progress(step, horizon, warmup_steps)) ** (2 * exponent)
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)


def k_decay(step: Rates, horizon: int, *, k: float, min_lr_ratio: float) -> Rates:
    """``m + (1 - m) (1 + cos(pi (t / T) ** k)) / 2`` (timm ``CosineLRScheduler`` with ``k_decay=k``)."""
    return 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * (step / horizon) ** k) ** 2


def cosine_then_floor(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    decay_end_fraction: float,
    min_lr_ratio: float,
    warmup_power: int,
) -> Rates:
    """``(t / W) ** warmup_power``, then cosine decay to m at step E = round(decay_end_fraction T), then m.

    YOLOX ``yolox_warm_cos_lr`` (power 2); axolotl ``get_cosine_schedule_with_warmup_decay_constant`` (power 1).
    """
    warmup_steps, decay_end = round(warmup_fraction * horizon), round(decay_end_fraction * horizon)
    warmup = (step / max(1, warmup_steps)) ** warmup_power
    decay = 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * (step - warmup_steps) / max(1, decay_end - warmup_steps)) ** 2
    return np.select([step < warmup_steps, step >= decay_end], [warmup, min_lr_ratio], decay)


def linear_cosine_envelope(step: Rates, horizon: int, *, warmup_fraction: float) -> Rates:
    """``t / W``, then ``(1 - p) (1 + cos(pi p)) / 2`` (OLMo ``CosLinearEnvelope`` with ``alpha_f=0``)."""
    warmup_steps = round(warmup_fraction * horizon)
    remaining = 1 - _progress(step, horizon, warmup_steps)
    decay = remaining * np.sin(np.pi / 2 * remaining) ** 2
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)


def cosine_linear_tail(
    step: Rates, horizon: int, *, warmup_fraction: float, min_lr_ratio: float, decay_fraction: float
) -> Rates:
    """``warmup_cosine`` up to step max(W, T - round(decay_fraction T)), then linear decay to zero.

    OLMo-core ``CosWithWarmupAndLinearDecay``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    decay_start = max(warmup_steps, horizon - round(decay_fraction * horizon))
    cosine = warmup_cosine(
        np.minimum(step, decay_start), horizon, warmup_fraction=warmup_fraction, min_lr_ratio=min_lr_ratio
    )
    if decay_start == horizon:
        return cosine
    return cosine * np.clip((horizon - step) / max(1, horizon - decay_start), 0, 1)


def cosine_waves(step: Rates, horizon: int, *, warmup_fraction: float, waves: float) -> Rates:
    """``t / W``, then ``(1 + cos(2 pi waves p)) / 2`` (transformers ``cosine`` with ``num_cycles=waves``)."""
    warmup_steps = round(warmup_fraction * horizon)
    wave = np.cos(np.pi * waves * _progress(step, horizon, warmup_steps)) ** 2
    return np.where(step < warmup_steps, step / max(1, warmup_steps), wave)


def half_cosine_tail(step: Rates, horizon: int, *, warmup_fraction: float, min_lr_ratio: float) -> Rates:
    """Linear warm-up to ``(1 + m) / 2``, then ``m + (1 - m) (1 + cos(pi (1 + p) / 2)) / 2``.

    OLMo-core ``HalfCosWithWarmup``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    midpoint = (1 + min_lr_ratio) / 2
    decay = (1 + min_lr_ratio - (1 - min_lr_ratio) * np.sin(np.pi / 2 * _progress(step, horizon, warmup_steps))) / 2
    return np.where(step < warmup_steps, midpoint * step / max(1, warmup_steps), decay)


def warmup_rate_cosine(
    step: Rates, horizon: int, *, warmup_fraction: float, warmup_lr_ratio: float, min_lr_ratio: float
) -> Rates:
    """Linear warm-up from ``warmup_lr_ratio``, then cosine decay to m; each phase reaches its end at its last step.

    transformers ``get_cosine_with_min_lr_schedule_with_warmup_lr_rate``.
    """
    warmup_steps = round(warmup_fraction * horizon)
    warmup = 1 - (1 - warmup_lr_ratio) * (1 - step / max(1, warmup_steps - 1))
    decay = 1 - (1 - min_lr_ratio) * np.sin(np.pi / 2 * _progress(step + 1, horizon, warmup_steps)) ** 2
    return np.where(step < warmup_steps, warmup, decay)


def _progress(step: Rates, horizon: int, warmup_steps: int) -> Rates:
    """Progress of the decay: 0 during the warm-up, 1 from the horizon on."""
    progress: Rates = np.clip((step - warmup_steps) / max(1, horizon - warmup_steps), 0, 1)
    return progress
