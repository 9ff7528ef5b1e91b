"""Warm restarts.

The learning rate decays in several cycles and is reset to its peak after each (SGDR,
https://arxiv.org/abs/1608.03983).
"""

import copy
import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LRScheduler

from lrgen.schedules._resumable import (
    ResumableCosineAnnealingWarmRestarts,
    ResumableLambdaLR,
)
from lrgen.schedules.lookup import check


def CosineAnnealingWarmRestarts_T0_small(
    optimizer: Optimizer, total_steps: int, first_cycle_fraction: float = 1 / 9
) -> LRScheduler:
    """Cosine warm restarts in doubling cycles.

    The learning rate decays from ``lr`` to zero along a cosine and restarts at ``lr``.
    The first cycle takes ``first_cycle_fraction`` of training, and each subsequent
    cycle is twice as long as the previous one. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in the first cycle, 0 to 1.
    """
    check(
        "CosineAnnealingWarmRestarts_T0_small",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
    )
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableCosineAnnealingWarmRestarts(
        optimizer, T_0=first_cycle_steps, T_mult=2
    )
    scheduler.schedule = ("cosine warm restarts in doubling cycles", total_steps)
    return scheduler


def CosineAnnealingWarmRestarts_T0_large(
    optimizer: Optimizer, total_steps: int, first_cycle_fraction: float = 2 / 9
) -> LRScheduler:
    """Cosine decay and warm restarts.

    The learning rate decays from ``lr`` to zero along a cosine and restarts at ``lr``.
    Each cycle takes ``first_cycle_fraction`` of training. The schedule advances once
    per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
    """
    check(
        "CosineAnnealingWarmRestarts_T0_large",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
    )
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableCosineAnnealingWarmRestarts(
        optimizer, T_0=first_cycle_steps, T_mult=1
    )
    scheduler.schedule = ("cosine decay and warm restarts", total_steps)
    return scheduler


class WarmupHardRestarts:
    """Linear warm-up from zero, then ``num_cycles`` cycles of cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, num_cycles: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.num_cycles = num_cycles

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        if progress >= 1:
            return 0.0
        return 0.5 * (1 + math.cos(math.pi * (self.num_cycles * progress % 1)))


def HF_cosine_hard_restarts(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Warm-up and one cycle of cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a cosine in a single
    cycle. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_cosine_hard_restarts", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupHardRestarts(total_steps, warmup_steps, num_cycles=1)
    )
    scheduler.schedule = ("warm-up and one cycle of cosine decay", total_steps)
    return scheduler


def HF_cosine_hard_restarts_2cycles(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Warm-up and two cycles of cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a cosine in two equal
    cycles. The second cycle starts at ``lr`` again. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check(
        "HF_cosine_hard_restarts_2cycles", total_steps, warmup_fraction=warmup_fraction
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupHardRestarts(total_steps, warmup_steps, num_cycles=2)
    )
    scheduler.schedule = ("warm-up and two cycles of cosine decay", total_steps)
    return scheduler


def HF_cosine_hard_restarts_3cycles(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Warm-up and three cycles of cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a cosine in three equal
    cycles. Each cycle starts at ``lr``. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check(
        "HF_cosine_hard_restarts_3cycles", total_steps, warmup_fraction=warmup_fraction
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupHardRestarts(total_steps, warmup_steps, num_cycles=3)
    )
    scheduler.schedule = ("warm-up and three cycles of cosine decay", total_steps)
    return scheduler


def sgdr_equal_quarters(
    optimizer: Optimizer, total_steps: int, first_cycle_fraction: float = 0.25
) -> LRScheduler:
    """Cosine decay in four equal cycles.

    The learning rate decays from ``lr`` to zero along a cosine and restarts at ``lr``.
    Each cycle takes ``first_cycle_fraction`` of training, 25% by default. Snapshot
    ensembling saves a snapshot of the model at the end of each cycle. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
    """
    check("sgdr_equal_quarters", total_steps, first_cycle_fraction=first_cycle_fraction)
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableCosineAnnealingWarmRestarts(
        optimizer, T_0=first_cycle_steps, T_mult=1
    )
    scheduler.schedule = ("cosine decay in four equal cycles", total_steps)
    return scheduler


class WarmRestarts(CosineAnnealingWarmRestarts):
    """Warm restarts with cosine annealing to ``min_lr_ratio``.

    The minimum is relative to the initial learning rate of each parameter group.
    """

    schedule: tuple[str, int]

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int, min_lr_ratio: float
    ) -> None:
        self.min_lr_ratio = min_lr_ratio
        super().__init__(optimizer, T_0, T_mult)

    def get_lr(self) -> list[float | Tensor]:
        cosine = 0.5 * (1 + math.cos(math.pi * self.T_cur / self.T_i))
        factor = self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine
        return [factor * base_lr for base_lr in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        if self.last_epoch >= 0 and lrs != [float(lr) for lr in self.get_last_lr()]:
            raise RuntimeError(f"this scheduler did not set the learning rates {lrs}")
        super().step(epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def sgdr_doubling_floor(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 1 / 15,
    min_lr_ratio: float = 0.001,
) -> LRScheduler:
    """Cosine decay in four doubling cycles.

    The learning rate decays along a cosine from ``lr`` to ``min_lr_ratio`` times ``lr``
    and restarts at ``lr``. The first cycle takes ``first_cycle_fraction`` of training,
    and each subsequent cycle is twice as long as the previous one. By default, the
    fourth cycle ends with training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in the first cycle, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "sgdr_doubling_floor",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = WarmRestarts(optimizer, first_cycle_steps, 2, min_lr_ratio)
    scheduler.schedule = ("cosine decay in four doubling cycles", total_steps)
    return scheduler


class DecayedRestarts:
    """Cosine decay in doubling cycles; each restart scales the peak by ``gamma``."""

    def __init__(self, first_cycle_steps: int, gamma: float) -> None:
        self.first_cycle_steps = first_cycle_steps
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        peak, cycle_steps = 1.0, self.first_cycle_steps
        while step >= cycle_steps:
            step -= cycle_steps
            cycle_steps *= 2
            peak *= self.gamma
        return peak * 0.5 * (1 + math.cos(math.pi * step / cycle_steps))


def sgdr_doubling_decayed(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 1 / 15,
    gamma: float = 0.6,
) -> LRScheduler:
    """Cosine warm restarts from decaying peaks.

    The learning rate decays from its peak to zero along a cosine and restarts. The
    first peak is ``lr``, and each restart multiplies the peak by ``gamma``. The first
    cycle takes ``first_cycle_fraction`` of training, and each subsequent cycle is twice
    as long as the previous one. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in the first cycle, 0 to 1.
        gamma: factor that multiplies the peak at each restart, 0 to 1.
    """
    check(
        "sgdr_doubling_decayed",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        gamma=gamma,
    )
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, DecayedRestarts(first_cycle_steps, gamma))
    scheduler.schedule = ("cosine warm restarts from decaying peaks", total_steps)
    return scheduler


class WarmupRestarts:
    """Warm-up and cosine decay per cycle; restarts scale the peak by ``gamma``."""

    def __init__(
        self, cycle_steps: int, warmup_steps: int, gamma: float, min_lr_ratio: float
    ) -> None:
        self.cycle_steps = cycle_steps
        self.warmup_steps = warmup_steps
        self.gamma = gamma
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        cycle, step = divmod(step, self.cycle_steps)
        if step < self.warmup_steps:
            factor = step / self.warmup_steps
        else:
            decay_steps = self.cycle_steps - self.warmup_steps
            progress = (step - self.warmup_steps) / decay_steps
            factor = 0.5 * (1 + math.cos(math.pi * progress))
        peak = max(self.min_lr_ratio, self.gamma**cycle)
        return self.min_lr_ratio + (peak - self.min_lr_ratio) * factor


def sgdr_warmup_every_cycle(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 0.2,
    gamma: float = 0.75,
    min_lr_ratio: float = 0.02,
) -> LRScheduler:
    """Warm-up and cosine decay in each cycle.

    In each cycle, the learning rate increases linearly from ``min_lr_ratio`` times
    ``lr`` to its peak over the first 15% of the cycle, then decays back to this minimum
    along a cosine. The first peak is ``lr``, and each restart multiplies the peak by
    ``gamma``. Each cycle takes ``first_cycle_fraction`` of training. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        gamma: factor that multiplies the peak at each restart, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "sgdr_warmup_every_cycle",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        gamma=gamma,
        min_lr_ratio=min_lr_ratio,
    )
    cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    warmup_steps = round(0.15 * cycle_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupRestarts(cycle_steps, warmup_steps, gamma, min_lr_ratio)
    )
    scheduler.schedule = ("warm-up and cosine decay in each cycle", total_steps)
    return scheduler


class LinearRestarts:
    """Linear decay from one towards ``min_lr_ratio`` in each cycle."""

    def __init__(self, cycle_steps: int, min_lr_ratio: float) -> None:
        self.cycle_steps = cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = step % self.cycle_steps / self.cycle_steps
        return 1 - (1 - self.min_lr_ratio) * progress


def linear_sawtooth(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 0.2,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Linear decay and warm restarts.

    The learning rate decays linearly from ``lr`` towards ``min_lr_ratio`` times ``lr``
    and restarts at ``lr``. Each cycle takes ``first_cycle_fraction`` of training. The
    schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        min_lr_ratio: ratio of the lower bound of the learning rate to lr, 0 to 1.
    """
    check(
        "linear_sawtooth",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, LinearRestarts(cycle_steps, min_lr_ratio))
    scheduler.schedule = ("linear decay and warm restarts", total_steps)
    return scheduler


class CosineEcho:
    """Cosine decay, then warm-up to ``echo_peak_ratio`` and a second cosine decay."""

    def __init__(
        self,
        total_steps: int,
        echo_start: int,
        warmup_steps: int,
        echo_peak_ratio: float,
    ) -> None:
        self.total_steps = total_steps
        self.echo_start = echo_start
        self.warmup_steps = warmup_steps
        self.echo_peak_ratio = echo_peak_ratio

    def __call__(self, step: int) -> float:
        if step < self.echo_start:
            return 0.5 * (1 + math.cos(math.pi * step / self.echo_start))
        step = min(step, self.total_steps) - self.echo_start
        if step < self.warmup_steps:
            return self.echo_peak_ratio * step / self.warmup_steps
        echo_steps = self.total_steps - self.echo_start
        decay_steps = max(1, echo_steps - self.warmup_steps)
        progress = (step - self.warmup_steps) / decay_steps
        return self.echo_peak_ratio * 0.5 * (1 + math.cos(math.pi * progress))


def cosine_echo(
    optimizer: Optimizer,
    total_steps: int,
    echo_start_fraction: float = 0.6,
    echo_peak_ratio: float = 0.3,
    echo_warmup_fraction: float = 0.1,
) -> LRScheduler:
    """Cosine decay and a lower second cycle.

    The learning rate decays from ``lr`` to zero along a cosine over the first
    ``echo_start_fraction`` of training. The rest of training is an echo of this cycle
    with a lower peak: the learning rate increases linearly from zero to
    ``echo_peak_ratio`` times ``lr`` over the first ``echo_warmup_fraction`` of the
    echo, then decays to zero along a cosine again. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        echo_start_fraction: fraction of training spent in the first decay, 0 to 1.
        echo_peak_ratio: ratio of the second peak to lr, 0 to 1.
        echo_warmup_fraction: fraction of the echo spent in its warm-up, 0 to 1.
    """
    check(
        "cosine_echo",
        total_steps,
        echo_start_fraction=echo_start_fraction,
        echo_peak_ratio=echo_peak_ratio,
        echo_warmup_fraction=echo_warmup_fraction,
    )
    echo_start = round(echo_start_fraction * total_steps)
    warmup_steps = round(echo_warmup_fraction * (total_steps - echo_start))
    scheduler = ResumableLambdaLR(
        optimizer, CosineEcho(total_steps, echo_start, warmup_steps, echo_peak_ratio)
    )
    scheduler.schedule = ("cosine decay and a lower second cycle", total_steps)
    return scheduler


class JaggedCosine:
    """Warm-up and cosine decay with a short linear warm-up after each restart."""

    def __init__(
        self,
        total_steps: int,
        warmup_steps: int,
        cycle_steps: int,
        restart_warmup_steps: int,
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.cycle_steps = cycle_steps
        self.restart_warmup_steps = restart_warmup_steps

    def __call__(self, step: int) -> float:
        step = min(step, self.total_steps)
        return self.warmup_cosine(step) * self.restart_scale(step)

    def warmup_cosine(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (step - self.warmup_steps) / decay_steps
        return 0.5 * (1 + math.cos(math.pi * progress))

    def restart_scale(self, step: int) -> float:
        restarts, since_restart = divmod(step, self.cycle_steps)
        if restarts == 0 or since_restart >= self.restart_warmup_steps:
            return 1.0
        progress = since_restart / self.restart_warmup_steps
        return 1e-3 + (1 - 1e-3) * progress


def jagged_relora(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    first_cycle_fraction: float = 0.25,
    restart_warmup_fraction: float = 0.02,
) -> LRScheduler:
    """Jagged cosine decay for ReLoRA restarts.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a cosine. After every
    ``first_cycle_fraction`` of training, it restarts at 0.1% of this curve and
    increases linearly back to it over ``restart_warmup_fraction`` of training. ReLoRA
    restarts the learning rate in this way when it resets the optimizer state. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in the initial warm-up, 0 to 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        restart_warmup_fraction: fraction of training spent in the warm-up after each
            restart, 0 to 1.
    """
    check(
        "jagged_relora",
        total_steps,
        warmup_fraction=warmup_fraction,
        first_cycle_fraction=first_cycle_fraction,
        restart_warmup_fraction=restart_warmup_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    restart_warmup_steps = round(restart_warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        JaggedCosine(total_steps, warmup_steps, cycle_steps, restart_warmup_steps),
    )
    scheduler.schedule = ("jagged cosine decay for ReLoRA restarts", total_steps)
    return scheduler


class ShrinkingRestarts:
    """Cosine decay in cycles that halve down to ``min_cycle_steps``."""

    def __init__(self, first_cycle_steps: int, min_cycle_steps: int) -> None:
        self.first_cycle_steps = first_cycle_steps
        self.min_cycle_steps = min_cycle_steps

    def __call__(self, step: int) -> float:
        cycle_steps = self.first_cycle_steps
        while step >= cycle_steps > self.min_cycle_steps:
            step -= cycle_steps
            cycle_steps = max(self.min_cycle_steps, cycle_steps // 2)
        progress = step % cycle_steps / cycle_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def sgdr_shrinking(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 0.5,
    shortest_cycle_fraction: float = 1 / 16,
) -> LRScheduler:
    """Cosine warm restarts in halving cycles.

    The learning rate decays from ``lr`` to zero along a cosine and restarts at ``lr``.
    The first cycle takes ``first_cycle_fraction`` of training, and each subsequent
    cycle is half as long as the previous one, but no shorter than
    ``shortest_cycle_fraction`` of training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in the first cycle, 0 to 1.
        shortest_cycle_fraction: minimum fraction of training spent in each cycle, 0 to
            1.
    """
    check(
        "sgdr_shrinking",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        shortest_cycle_fraction=shortest_cycle_fraction,
    )
    first_cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    min_cycle_steps = max(1, round(shortest_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, ShrinkingRestarts(first_cycle_steps, min_cycle_steps)
    )
    scheduler.schedule = ("cosine warm restarts in halving cycles", total_steps)
    return scheduler


class ExponentialRestarts:
    """Exponential decay from one towards ``min_lr_ratio`` in each cycle."""

    def __init__(self, cycle_steps: int, min_lr_ratio: float) -> None:
        self.cycle_steps = cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = step % self.cycle_steps / self.cycle_steps
        return self.min_lr_ratio**progress


def exponential_restarts(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 0.2,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Exponential decay and warm restarts.

    The learning rate decays exponentially from ``lr`` towards ``min_lr_ratio`` times
    ``lr`` and restarts at ``lr``. Each cycle takes ``first_cycle_fraction`` of
    training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        first_cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        min_lr_ratio: ratio of the lower bound of the learning rate to lr, 0 to 1.
    """
    check(
        "exponential_restarts",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, ExponentialRestarts(cycle_steps, min_lr_ratio)
    )
    scheduler.schedule = ("exponential decay and warm restarts", total_steps)
    return scheduler
