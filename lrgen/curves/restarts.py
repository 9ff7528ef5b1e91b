"""Cosine decay with warm restarts (SGDR, https://arxiv.org/abs/1608.03983) and other schedules with restarts."""

from collections.abc import Callable

import numpy as np

from lrgen.curves import Rates, whole_steps


def _cycles(step: Rates, cycle_steps: Callable[[int], int]) -> tuple[Rates, Rates]:
    """The cycle of each step and the progress through it; ``cycle_steps(n)`` is the number of steps in cycle n."""
    starts, last_step = [0], np.max(step, initial=0)
    while (end := starts[-1] + cycle_steps(len(starts) - 1)) <= last_step:
        starts.append(end)
    cycle = np.searchsorted(starts, step, side="right") - 1
    lengths = np.array([cycle_steps(number) for number in range(len(starts))])
    return cycle.astype(np.float64), (step - np.take(starts, cycle)) / np.take(lengths, cycle)


def warm_restarts(
    step: Rates, horizon: int, *, first_cycle_fraction: float, cycle_factor: int, min_lr_ratio: float = 0.0
) -> Rates:
    """Cosine decay in cycles of T_0, mu T_0, mu^2 T_0, ... steps (torch ``CosineAnnealingWarmRestarts``)."""
    first_cycle_steps = whole_steps(first_cycle_fraction, horizon)
    _, progress = _cycles(step, lambda number: first_cycle_steps * cycle_factor**number)
    decay: Rates = min_lr_ratio + (1 - min_lr_ratio) * np.cos(np.pi * progress / 2) ** 2
    return decay


def hard_restarts(step: Rates, horizon: int, *, warmup_fraction: float, cycles: int) -> Rates:
    """``t / W``, then ``cycles`` cycles of cosine decay up to the horizon (transformers ``cosine_with_restarts``)."""
    warmup_steps = round(warmup_fraction * horizon)
    progress = (step - warmup_steps) / max(1, horizon - warmup_steps)
    cycle_progress = (cycles * progress) % 1
    decay = np.where(progress >= 1, 0.0, np.cos(np.pi * cycle_progress / 2) ** 2)
    return np.where(step < warmup_steps, step / max(1, warmup_steps), decay)


def decayed_restarts(
    step: Rates, horizon: int, *, first_cycle_fraction: float, cycle_factor: int, gamma: float
) -> Rates:
    """``warm_restarts`` with peaks of ``gamma ** n`` (timm ``CosineLRScheduler`` with its ``cycle_decay``)."""
    first_cycle_steps = whole_steps(first_cycle_fraction, horizon)
    cycle, progress = _cycles(step, lambda number: first_cycle_steps * cycle_factor**number)
    decay: Rates = np.power(gamma, cycle) * np.cos(np.pi * progress / 2) ** 2
    return decay


def warmup_restarts(
    step: Rates,
    horizon: int,
    *,
    first_cycle_fraction: float,
    gamma: float,
    min_lr_ratio: float,
    cycle_warmup_fraction: float,
) -> Rates:
    """Warm-up and cosine decay in each cycle, with decaying peaks.

    This is pytorch_optimizer's ``CosineAnnealingWarmupRestarts``.
    """
    cycle_steps = whole_steps(first_cycle_fraction, horizon)
    warmup_steps = round(cycle_warmup_fraction * cycle_steps)
    cycle, since_restart = np.divmod(step, cycle_steps)
    decay = np.cos(np.pi / 2 * (since_restart - warmup_steps) / max(1, cycle_steps - warmup_steps)) ** 2
    factor = np.where(since_restart < warmup_steps, since_restart / max(1, warmup_steps), decay)
    peak = np.maximum(min_lr_ratio, np.power(gamma, cycle))
    return factor * peak + (1 - factor) * min_lr_ratio


def linear_restarts(step: Rates, horizon: int, *, first_cycle_fraction: float, min_lr_ratio: float) -> Rates:
    """``1 - (1 - m) (t mod L) / L`` (ignite ``LinearCyclicalScheduler`` with ``monotonic=True``)."""
    cycle_steps = whole_steps(first_cycle_fraction, horizon)
    remaining = 1 - step % cycle_steps / cycle_steps
    return remaining + (1 - remaining) * min_lr_ratio


def exponential_restarts(step: Rates, horizon: int, *, first_cycle_fraction: float, min_lr_ratio: float) -> Rates:
    """``m ** ((t mod L) / L)`` (torch ``ExponentialLR``, restarted every L steps)."""
    cycle_steps = whole_steps(first_cycle_fraction, horizon)
    return np.power(min_lr_ratio, step % cycle_steps / cycle_steps)


def cosine_echo(
    step: Rates, horizon: int, *, echo_start_fraction: float, echo_peak_ratio: float, echo_warmup_fraction: float
) -> Rates:
    """Cosine decay, then warm-up to a lower peak and cosine decay again (init2winit ``cosine_echo``)."""
    echo_start = round(echo_start_fraction * horizon)
    warmup_steps = round(echo_warmup_fraction * (horizon - echo_start))
    since_start = step - echo_start
    decay = np.cos(np.pi / 2 * (since_start - warmup_steps) / max(1, horizon - echo_start - warmup_steps)) ** 2
    echo = echo_peak_ratio * np.where(since_start < warmup_steps, since_start / max(1, warmup_steps), decay)
    return np.where(since_start < 0, np.cos(np.pi / 2 * step / max(1, echo_start)) ** 2, echo)


def jagged_cosine(
    step: Rates,
    horizon: int,
    *,
    warmup_fraction: float,
    first_cycle_fraction: float,
    restart_warmup_fraction: float,
    restart_lr_ratio: float,
) -> Rates:
    """``t / W`` and cosine decay, times a warm-up after each restart (axolotl ``JaggedLRRestartScheduler``)."""
    cycle_steps, warmup_steps = whole_steps(first_cycle_fraction, horizon), round(restart_warmup_fraction * horizon)
    remaining = 1 - np.clip((step % cycle_steps) / warmup_steps, 0, 1) if warmup_steps else np.zeros_like(step)
    scale = 1 - (1 - restart_lr_ratio) * np.where(step < cycle_steps, 0.0, remaining)
    return scale * hard_restarts(step, horizon, warmup_fraction=warmup_fraction, cycles=1)


def shrinking_restarts(
    step: Rates, horizon: int, *, first_cycle_fraction: float, shortest_cycle_fraction: float
) -> Rates:
    """Cosine decay in cycles of L, L / 2, L / 4, ... steps, no shorter than a minimum."""
    first_cycle_steps = whole_steps(first_cycle_fraction, horizon)
    min_cycle_steps = whole_steps(shortest_cycle_fraction, horizon)
    minimum = min(first_cycle_steps, min_cycle_steps)
    _, progress = _cycles(step, lambda number: max(minimum, first_cycle_steps >> number))
    decay: Rates = np.cos(np.pi * progress / 2) ** 2
    return decay
