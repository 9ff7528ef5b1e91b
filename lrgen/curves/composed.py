"""Schedules one after the other, or multiplied."""

import numpy as np

from lrgen.curves import Rates, whole_steps
from lrgen.curves.constant import linear_ramp
from lrgen.curves.cosine import half_cosine
from lrgen.curves.step import step_decay


def step_times_cosine(step: Rates, horizon: int, *, step_fraction: float, gamma: float) -> Rates:
    """The product of step decay and a half cosine."""
    return step_decay(step, horizon, step_fraction=step_fraction, gamma=gamma) * half_cosine(step, horizon)


def warmup_then_step(
    step: Rates, horizon: int, *, warmup: float, step_fraction: float, gamma: float, start_factor: float
) -> Rates:
    """A linear climb over W steps, then step decay counted from there (torch ``SequentialLR``)."""
    climb = whole_steps(warmup, horizon)
    decay = step_decay(np.maximum(step - climb, 0), horizon, step_fraction=step_fraction, gamma=gamma)
    climb_rates: Rates = linear_ramp(step, horizon, warmup=warmup, start_factor=start_factor) * decay
    return climb_rates


def cosine_then_swa(step: Rates, horizon: int, *, swa_start: float, swa_ratio: float, anneal_fraction: float) -> Rates:
    """Half a cosine until s, then from there to ``swa_ratio`` along a cosine (torch ``SWALR``)."""
    start, length = _swa_steps(horizon, swa_start, anneal_fraction)
    weight: Rates = np.cos(np.pi * np.clip((step - start) / length, 0, 1) / 2) ** 2
    base = half_cosine(np.minimum(step, start), horizon)
    return swa_ratio + (base - swa_ratio) * weight


def warmup_then_swa(
    step: Rates,
    horizon: int,
    *,
    warmup: float,
    start_factor: float,
    swa_start: float,
    swa_ratio: float,
    anneal_fraction: float,
) -> Rates:
    """A linear climb, constant until s, then along a line to ``swa_ratio`` (torch ``SWALR``)."""
    start, length = _swa_steps(horizon, swa_start, anneal_fraction)
    weight = 1 - np.clip((step - start) / length, 0, 1)
    base = linear_ramp(np.minimum(step, start), horizon, warmup=warmup, start_factor=start_factor)
    return swa_ratio + (base - swa_ratio) * weight


def _swa_steps(horizon: int, swa_start: float, anneal_fraction: float) -> tuple[int, int]:
    """Begin and length of the anneal; it begins early enough to be over at the horizon."""
    length = whole_steps(anneal_fraction, horizon)
    return min(whole_steps(swa_start, horizon), horizon - length), length
