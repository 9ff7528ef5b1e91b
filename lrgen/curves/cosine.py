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
