"""Cosine decay with restarts (SGDR, https://arxiv.org/abs/1608.03983)."""

import numpy as np

from lrgen.curves import Rates, whole_steps


def warm_restarts(step: Rates, horizon: int, *, first_cycle: float, cycle_factor: int) -> Rates:
    """Half a cosine in each of the cycles of T_0, mu T_0, ... steps (torch ``CosineAnnealingWarmRestarts``)."""
    length = whole_steps(first_cycle, horizon)
    begins, lengths = [0], [length]
    last = np.max(step, initial=0)
    while begins[-1] + lengths[-1] <= last:
        begins.append(begins[-1] + lengths[-1])
        lengths.append(lengths[-1] * cycle_factor)
    cycle = np.searchsorted(begins, step, side="right") - 1
    progress = (step - np.take(begins, cycle)) / np.take(lengths, cycle)
    decay: Rates = np.cos(np.pi * progress / 2) ** 2
    return decay


def hard_restarts(step: Rates, horizon: int, *, warmup: float, cycles: int) -> Rates:
    """``t / W``, then ``cycles`` half cosines in the rest of the horizon (transformers ``cosine_with_restarts``)."""
    climb = round(warmup * horizon)
    progress = (step - climb) / max(1, horizon - climb)
    phase = (cycles * progress) % 1
    decay = np.where(progress >= 1, 0.0, np.cos(np.pi * phase / 2) ** 2)
    return np.where(step < climb, step / max(1, climb), decay)
