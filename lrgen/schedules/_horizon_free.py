"""Horizon-free decay.

The learning rate decays with the number of steps taken and has no fixed end; range
tests increase it.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.schedules._resumable import ResumableLambdaLR
from lrgen.schedules.lookup import check


class WarmupInverseSqrt:
    """Linear warm-up from zero, then inverse square root decay."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        timescale = max(1, self.warmup_steps)
        return math.sqrt(timescale / (step - self.warmup_steps + timescale))


def HF_inverse_sqrt_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Warm-up and inverse square root decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays with the inverse square root of the
    step. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_inverse_sqrt_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, WarmupInverseSqrt(warmup_steps))
    scheduler.schedule = ("warm-up and inverse square root decay", total_steps)
    return scheduler


class Noam:
    """The Transformer schedule, scaled to a maximum of one after the warm-up."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        update = step + 1
        return min(update / self.warmup_steps, math.sqrt(self.warmup_steps / update))


def noam(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.04
) -> LRScheduler:
    """The Noam schedule.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, then decays with the inverse square root of the step. Steps are counted
    from one, so the learning rate is never zero. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("noam", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, Noam(warmup_steps))
    scheduler.schedule = ("the Noam schedule", total_steps)
    return scheduler


class RsqrtCooldown:
    """Linear warm-up, then inverse square root decay, times a linear cooldown."""

    def __init__(
        self, total_steps: int, warmup_steps: int, timescale: int, cooldown_steps: int
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.timescale = timescale
        self.cooldown_steps = cooldown_steps

    def __call__(self, step: int) -> float:
        remaining = max(0, self.total_steps - step)
        cooldown = min(1.0, remaining / self.cooldown_steps)
        if step < self.warmup_steps:
            return cooldown * step / self.warmup_steps
        return cooldown / math.sqrt(1 + (step - self.warmup_steps) / self.timescale)


def rsqrt_cooldown(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    timescale_fraction: float = 0.15,
    decay_fraction: float = 0.2,
) -> LRScheduler:
    """Inverse square root decay and a cooldown.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays as ``1 / sqrt(1 + x)``, where ``x`` is
    the time since the warm-up in units of ``timescale_fraction`` of training. Over the
    last ``decay_fraction`` of training, it is also multiplied by a linear cooldown to
    zero. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        timescale_fraction: fraction of training used as the time constant of the decay,
            0 to 1.
        decay_fraction: fraction of training spent in the cooldown, 0 to 1.
    """
    check(
        "rsqrt_cooldown",
        total_steps,
        warmup_fraction=warmup_fraction,
        timescale_fraction=timescale_fraction,
        decay_fraction=decay_fraction,
    )
    schedule = RsqrtCooldown(
        total_steps,
        warmup_steps=round(warmup_fraction * total_steps),
        timescale=max(1, round(timescale_fraction * total_steps)),
        cooldown_steps=max(1, round(decay_fraction * total_steps)),
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("inverse square root decay and a cooldown", total_steps)
    return scheduler


class TruncatedRsqrt:
    """Constant for ``flat_steps`` steps, then inverse square root decay."""

    def __init__(self, flat_steps: int) -> None:
        self.flat_steps = flat_steps

    def __call__(self, step: int) -> float:
        return math.sqrt(self.flat_steps / max(step, self.flat_steps))


def rsqrt_flat_start(
    optimizer: Optimizer, total_steps: int, flat_fraction: float = 0.1
) -> LRScheduler:
    """A truncated inverse square root schedule.

    The learning rate stays at ``lr`` for the first ``flat_fraction`` of training, then
    decays with the inverse square root of the step. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        flat_fraction: fraction of training spent in the constant phase, 0 to 1.
    """
    check("rsqrt_flat_start", total_steps, flat_fraction=flat_fraction)
    flat_steps = max(1, round(flat_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, TruncatedRsqrt(flat_steps))
    scheduler.schedule = ("a truncated inverse square root schedule", total_steps)
    return scheduler


class PowerSchedule:
    """Linear warm-up times a power law that is capped at one."""

    def __init__(
        self,
        total_steps: int,
        warmup_steps: int,
        final_lr_ratio: float,
        exponent: float,
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.final_lr_ratio = final_lr_ratio
        self.exponent = exponent

    def __call__(self, step: int) -> float:
        power_law = (
            self.final_lr_ratio * (self.total_steps / (step + 1)) ** self.exponent
        )
        warmup = step / self.warmup_steps if step < self.warmup_steps else 1.0
        return warmup * min(1.0, power_law)


def power_schedule(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    final_lr_ratio: float = 0.3,
    exponent: float = 0.51,
) -> LRScheduler:
    """The Power scheduler.

    The learning rate is ``lr`` times ``min(1, final_lr_ratio * x**-exponent)``, where
    ``x`` is the completed fraction of training. A linear warm-up from zero multiplies
    it over the first ``warmup_fraction`` of training. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
        exponent: exponent of the decay, 0 to 1.
    """
    check(
        "power_schedule",
        total_steps,
        warmup_fraction=warmup_fraction,
        final_lr_ratio=final_lr_ratio,
        exponent=exponent,
    )
    schedule = PowerSchedule(
        total_steps,
        warmup_steps=round(warmup_fraction * total_steps),
        final_lr_ratio=final_lr_ratio,
        exponent=exponent,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("the Power scheduler", total_steps)
    return scheduler


class PowerLawWithCooldown:
    """Linear warm-up, power-law decay, then a linear cooldown to zero."""

    def __init__(
        self, total_steps: int, warmup_steps: int, cooldown_start: int, exponent: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.cooldown_start = cooldown_start
        self.exponent = exponent

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.cooldown_start:
            return self.power_law(step)
        cooldown_steps = max(1, self.total_steps - self.cooldown_start)
        remaining = max(0, self.total_steps - step) / cooldown_steps
        return self.power_law(self.cooldown_start) * remaining

    def power_law(self, step: int) -> float:
        timescale = max(1, self.warmup_steps)
        return (timescale / (step - self.warmup_steps + timescale)) ** self.exponent


def power_law_linear_tail(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    exponent: float = 0.51,
    decay_fraction: float = 0.1,
) -> LRScheduler:
    """Power-law decay and a linear cooldown.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, decays as the step to the power of ``-exponent``,
    then decays linearly to zero over the last ``decay_fraction`` of training. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        exponent: exponent of the decay, 0 to 1.
        decay_fraction: fraction of training spent in the cooldown, 0 to 1.
    """
    check(
        "power_law_linear_tail",
        total_steps,
        warmup_fraction=warmup_fraction,
        exponent=exponent,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    cooldown_start = total_steps - round(decay_fraction * total_steps)
    schedule = PowerLawWithCooldown(
        total_steps,
        warmup_steps,
        cooldown_start=max(warmup_steps, cooldown_start),
        exponent=exponent,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("power-law decay and a linear cooldown", total_steps)
    return scheduler


class NoamHold:
    """Linear warm-up, a constant phase, then power-law decay."""

    def __init__(self, warmup_steps: int, hold_steps: int, exponent: float) -> None:
        self.warmup_steps = warmup_steps
        self.hold_steps = hold_steps
        self.exponent = exponent

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        steps_since_hold = max(0, step - self.warmup_steps - self.hold_steps)
        timescale = max(1, self.warmup_steps)
        return (timescale / (timescale + steps_since_hold)) ** self.exponent


def noam_hold(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    hold_fraction: float = 0.25,
    exponent: float = 0.5,
) -> LRScheduler:
    """Noam hold annealing.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, stays constant for another ``hold_fraction`` of training, then decays as
    the step to the power of ``-exponent``. The steps of the hold phase do not count
    towards the decay. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        hold_fraction: fraction of training spent in the hold phase, 0 to 1.
        exponent: exponent of the decay, 0 to 1.
    """
    check(
        "noam_hold",
        total_steps,
        warmup_fraction=warmup_fraction,
        hold_fraction=hold_fraction,
        exponent=exponent,
    )
    schedule = NoamHold(
        warmup_steps=round(warmup_fraction * total_steps),
        hold_steps=round(hold_fraction * total_steps),
        exponent=exponent,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("Noam hold annealing", total_steps)
    return scheduler


class Eden:
    """Product of a batch factor and an epoch factor; training has 20 epochs."""

    def __init__(
        self, total_steps: int, warmup_steps: int, lr_batches: float, lr_epochs: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.lr_batches = lr_batches
        self.lr_epochs = lr_epochs

    def __call__(self, step: int) -> float:
        epoch = 20 * step // self.total_steps
        factor = (1 + (step / self.lr_batches) ** 2) ** -0.25
        factor *= (1 + (epoch / self.lr_epochs) ** 2) ** -0.25
        if step < self.warmup_steps:
            factor *= 0.5 + 0.5 * step / self.warmup_steps
        return factor


def eden(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    lr_batches_fraction: float = 0.25,
    lr_epochs_fraction: float = 0.2,
) -> LRScheduler:
    """The Eden schedule.

    The learning rate is ``lr`` times a factor of the batch and a factor of the epoch.
    Both approach inverse square root decay, from about ``lr_batches_fraction`` and
    ``lr_epochs_fraction`` of training on. An epoch is defined as 5% of training. A
    linear warm-up from 50% to 100% multiplies the learning rate over the first
    ``warmup_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        lr_batches_fraction: fraction of training used as the time scale of the batch
            factor, 0.01 to 1.
        lr_epochs_fraction: fraction of training used as the time scale of the epoch
            factor, 0.01 to 1.
    """
    check(
        "eden",
        total_steps,
        warmup_fraction=warmup_fraction,
        lr_batches_fraction=lr_batches_fraction,
        lr_epochs_fraction=lr_epochs_fraction,
    )
    schedule = Eden(
        total_steps,
        warmup_steps=round(warmup_fraction * total_steps),
        lr_batches=lr_batches_fraction * total_steps,
        lr_epochs=lr_epochs_fraction * 20,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("the Eden schedule", total_steps)
    return scheduler


class ExponentialRangeTest:
    """Exponential increase from ``min_lr_ratio`` to one at the last step."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        last_step = max(1, self.total_steps - 1)
        return self.min_lr_ratio ** (1 - min(step, last_step) / last_step)


def lr_range_test_exponential(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.1
) -> LRScheduler:
    """An exponential learning rate range test.

    The learning rate increases exponentially from ``min_lr_ratio`` times ``lr`` to
    ``lr`` over training. This is a learning rate range test: the loss shows which
    learning rates suit the network. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the initial learning rate to lr, 1e-06 to 1.
    """
    check("lr_range_test_exponential", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, ExponentialRangeTest(total_steps, min_lr_ratio)
    )
    scheduler.schedule = ("an exponential learning rate range test", total_steps)
    return scheduler


class StaircaseRangeTest:
    """20 equally spaced levels from ``min_lr_ratio`` to one."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        level = min(19, 20 * step // self.total_steps)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * level / 19


def lr_range_test_linear(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.1
) -> LRScheduler:
    """A staircase learning rate range test.

    The learning rate increases from ``min_lr_ratio`` times ``lr`` to ``lr`` in 20
    equally spaced levels, each held for 5% of training. This is a learning rate range
    test: the loss shows which learning rates suit the network. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the initial learning rate to lr, 0 to 1.
    """
    check("lr_range_test_linear", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, StaircaseRangeTest(total_steps, min_lr_ratio)
    )
    scheduler.schedule = ("a staircase learning rate range test", total_steps)
    return scheduler


class InverseScaling:
    """``1 / n**power_t``, where ``n`` counts the updates from one."""

    def __init__(self, power_t: float) -> None:
        self.power_t = power_t

    def __call__(self, step: int) -> float:
        return 1 / (step + 1) ** self.power_t


def inverse_scaling(
    optimizer: Optimizer, total_steps: int, power_t: float = 0.25
) -> LRScheduler:
    """An inverse-scaling learning rate.

    The learning rate is ``lr / n**power_t``, where ``n`` counts the updates from one.
    It does not depend on the length of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        power_t: exponent of the decay, 0 to 1.
    """
    check("inverse_scaling", total_steps, power_t=power_t)
    scheduler = ResumableLambdaLR(optimizer, InverseScaling(power_t))
    scheduler.schedule = ("an inverse-scaling learning rate", total_steps)
    return scheduler
