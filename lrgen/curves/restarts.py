"""Cosine decay with restarts (SGDR, https://arxiv.org/abs/1608.03983)."""

from collections.abc import Callable

import numpy as np

from lrgen.curves import Rates, whole_steps


def _cycles(step: Rates, lengths: Callable[[int], int]) -> tuple[Rates, Rates]:
    """The number of each step's cycle, and the part of it that is over; ``lengths`` of all cycles by number."""
    begins, last = [0], np.max(step, initial=0)
    while (end := begins[-1] + lengths(len(begins) - 1)) <= last:
        begins.append(end)
    cycle = np.searchsorted(begins, step, side="right") - 1
    every = np.array([lengths(number) for number in range(len(begins))])
    return cycle.astype(np.float64), (step - np.take(begins, cycle)) / np.take(every, cycle)


def warm_restarts(
    step: Rates, horizon: int, *, first_cycle: float, cycle_factor: int, min_lr_ratio: float = 0.0
) -> Rates:
    """Half a cosine in each of the cycles of T_0, mu T_0, ... steps (torch ``CosineAnnealingWarmRestarts``)."""
    length = whole_steps(first_cycle, horizon)
    _, progress = _cycles(step, lambda number: length * cycle_factor**number)
    decay: Rates = min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * progress / 2) ** 2
    return decay


def hard_restarts(step: Rates, horizon: int, *, warmup: float, cycles: int) -> Rates:
    """``t / W``, then ``cycles`` half cosines in the rest of the horizon (transformers ``cosine_with_restarts``)."""
    climb = round(warmup * horizon)
    progress = (step - climb) / max(1, horizon - climb)
    phase = (cycles * progress) % 1
    decay = np.where(progress >= 1, 0.0, np.cos(np.pi * phase / 2) ** 2)
    return np.where(step < climb, step / max(1, climb), decay)


def decayed_restarts(step: Rates, horizon: int, *, first_cycle: float, cycle_factor: int, gamma: float) -> Rates:
    """As ``warm_restarts`` to zero, under a peak of ``gamma ** n`` (timm ``CosineLRScheduler`` with a decay)."""
    length = whole_steps(first_cycle, horizon)
    cycle, progress = _cycles(step, lambda number: length * cycle_factor**number)
    decay: Rates = np.power(gamma, cycle) * np.cos(np.pi * progress / 2) ** 2
    return decay


def warmup_restarts(
    step: Rates, horizon: int, *, first_cycle: float, gamma: float, min_lr_ratio: float, cycle_warmup: float
) -> Rates:
    """A ramp and half a cosine in every cycle, under falling peaks (pytorch_optimizer
    ``CosineAnnealingWarmupRestarts``).
    """
    length = whole_steps(first_cycle, horizon)
    climb = round(cycle_warmup * length)
    cycle, place = np.divmod(step, length)
    fall = np.cos(np.pi / 2 * (place - climb) / max(1, length - climb)) ** 2
    height = np.where(place < climb, place / max(1, climb), fall)
    peak = np.maximum(min_lr_ratio, np.power(gamma, cycle))
    return height * peak + (1 - height) * min_lr_ratio


def linear_restarts(step: Rates, horizon: int, *, first_cycle: float, min_lr_ratio: float) -> Rates:
    """``1 - (1 - m) (t mod L) / L`` (ignite ``LinearCyclicalScheduler`` with ``monotonic``)."""
    length = whole_steps(first_cycle, horizon)
    left = 1 - step % length / length
    return left + (1 - left) * min_lr_ratio


def exponential_restarts(step: Rates, horizon: int, *, first_cycle: float, min_lr_ratio: float) -> Rates:
    """``m ** ((t mod L) / L)``: torch ``ExponentialLR``, made anew every L steps."""
    length = whole_steps(first_cycle, horizon)
    return np.power(min_lr_ratio, step % length / length)


def cosine_echo(step: Rates, horizon: int, *, echo_start: float, echo_peak: float, echo_warmup: float) -> Rates:
    """Half a cosine, then a climb and half a cosine of a lower peak (init2winit ``cosine_echo``)."""
    begin = round(echo_start * horizon)
    climb = round(echo_warmup * (horizon - begin))
    since = step - begin
    rest = np.cos(np.pi / 2 * (since - climb) / max(1, horizon - begin - climb)) ** 2
    echo = echo_peak * np.where(since < climb, since / max(1, climb), rest)
    return np.where(since < 0, np.cos(np.pi / 2 * step / max(1, begin)) ** 2, echo)


def jagged_cosine(
    step: Rates, horizon: int, *, warmup: float, first_cycle: float, restart_warmup: float, min_scale: float
) -> Rates:
    """``t / W`` and half a cosine, times a ramp after each restart (axolotl ``JaggedLRRestartScheduler``)."""
    restart, ramp = whole_steps(first_cycle, horizon), round(restart_warmup * horizon)
    low = 1 - np.clip((step % restart) / ramp, 0, 1) if ramp else np.zeros_like(step)
    scale = 1 - (1 - min_scale) * np.where(step < restart, 0.0, low)
    return scale * hard_restarts(step, horizon, warmup=warmup, cycles=1)


def shrinking_restarts(step: Rates, horizon: int, *, first_cycle: float, shortest_cycle: float) -> Rates:
    """Half a cosine in each of the cycles of L, L / 2, L / 4, ... steps, none below the shortest; in no library."""
    first, shortest = whole_steps(first_cycle, horizon), whole_steps(shortest_cycle, horizon)
    _, progress = _cycles(step, lambda number: max(min(first, shortest), first >> number))
    decay: Rates = np.cos(np.pi * progress / 2) ** 2
    return decay
