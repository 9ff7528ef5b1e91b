"""Warmup-stable-decay and other multi-phase schedules.

The learning rate stays constant for a large part of training and decays in a separate
phase (WSD, https://arxiv.org/abs/2404.06395).
"""

import math
from bisect import bisect_right

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.schedules._resumable import ResumableLambdaLR
from lrgen.schedules.lookup import check


class WsdLinear:
    """Linear warm-up, a constant phase, then linear decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return 1 - progress


def wsd_linear(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.2,
) -> LRScheduler:
    """A WSD schedule (linear decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays linearly to zero over
    the last ``decay_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_linear",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdLinear(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (linear decay)", total_steps)
    return scheduler


class WsdOneMinusSqrt:
    """Linear warm-up, a constant phase, then 1-sqrt decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return 1 - math.sqrt(progress)


def wsd_one_minus_sqrt(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.2,
) -> LRScheduler:
    """A WSD schedule (1-sqrt decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays to zero over the last
    ``decay_fraction`` of training as one minus the square root of the progress through
    the decay: fast at first, slowly at the end. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_one_minus_sqrt",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdOneMinusSqrt(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (1-sqrt decay)", total_steps)
    return scheduler


class WsdCosine:
    """Linear warm-up, a constant phase, then cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def wsd_cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.5,
) -> LRScheduler:
    """A WSD schedule (cosine decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays to zero along a cosine
    over the last ``decay_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_cosine",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdCosine(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (cosine decay)", total_steps)
    return scheduler


class WsdExponential:
    """Linear warm-up, a constant phase, then exponential decay to ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, decay_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return self.min_lr_ratio**progress


def wsd_exponential(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.3,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """A WSD schedule (exponential decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays exponentially to
    ``min_lr_ratio`` times ``lr`` over the last ``decay_fraction`` of training. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
        min_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "wsd_exponential",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdExponential(total_steps, warmup_steps, decay_steps, min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (exponential decay)", total_steps)
    return scheduler


class WsdOneMinusSquare:
    """Linear warm-up, a constant phase, then 1-square decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return 1 - progress**2


def wsd_one_minus_square(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.4,
) -> LRScheduler:
    """A WSD schedule (1-square decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays to zero over the last
    ``decay_fraction`` of training as one minus the square of the progress through the
    decay: slowly at first, fast at the end. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_one_minus_square",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdOneMinusSquare(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (1-square decay)", total_steps)
    return scheduler


class WsdPower1p5:
    """Linear warm-up, a constant phase, then polynomial decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return (1 - progress) ** 1.5


def wsd_power_1p5(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.35,
) -> LRScheduler:
    """A WSD schedule (polynomial decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays to zero over the last
    ``decay_fraction`` of training as a polynomial of power 1.5. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_power_1p5",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdPower1p5(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (polynomial decay)", total_steps)
    return scheduler


class PeriodicStableDecay:
    """Linear warm-up, then periods that end with linear decay to ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, decay_steps: int, min_lr_ratio: float
    ) -> None:
        self.period_ends = [round(k * total_steps / 3) for k in (1, 2, 3)]
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        step = min(step, self.period_ends[-1])
        period_end = next(end for end in self.period_ends if step <= end)
        decay_start = max(self.warmup_steps, period_end - self.decay_steps)
        if step < decay_start:
            return 1.0
        progress = (step - decay_start) / max(1, period_end - decay_start)
        return 1 - (1 - self.min_lr_ratio) * progress


def wsd_s_periodic(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.2,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """A three-period WSD-S schedule.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training. Training consists of three equal periods. In each
    period the learning rate stays at ``lr``, then decays linearly to ``min_lr_ratio``
    times ``lr`` over the last ``decay_fraction`` of the period. The next period starts
    at ``lr`` again. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of each period spent in the decay, 0 to 1.
        min_lr_ratio: ratio of the learning rate at the end of each period to lr, 0 to
            1.
    """
    check(
        "wsd_s_periodic",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps / 3)
    schedule = PeriodicStableDecay(total_steps, warmup_steps, decay_steps, min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a three-period WSD-S schedule", total_steps)
    return scheduler


class TriStage:
    """Linear warm-up, a constant phase, then exponential decay to ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, hold_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = min(warmup_steps + hold_steps, total_steps)
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return 0.01 + 0.99 * step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return self.min_lr_ratio**progress


def tri_stage(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    hold_fraction: float = 0.4,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """A tri-stage schedule.

    The learning rate increases linearly from 1% of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant for another ``hold_fraction`` of
    training, then decays exponentially to ``min_lr_ratio`` times ``lr``. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        hold_fraction: fraction of training spent in the constant phase, 0 to 1.
        min_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "tri_stage",
        total_steps,
        warmup_fraction=warmup_fraction,
        hold_fraction=hold_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    hold_steps = round(hold_fraction * total_steps)
    schedule = TriStage(total_steps, warmup_steps, hold_steps, min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a tri-stage schedule", total_steps)
    return scheduler


class FlatThenCosine:
    """Constant for ``flat_steps`` steps, then cosine decay to zero."""

    def __init__(self, total_steps: int, flat_steps: int) -> None:
        self.total_steps = total_steps
        self.flat_steps = flat_steps

    def __call__(self, step: int) -> float:
        if step < self.flat_steps:
            return 1.0
        decay_steps = max(1, self.total_steps - self.flat_steps)
        progress = (min(step, self.total_steps) - self.flat_steps) / decay_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def flat_then_cosine(
    optimizer: Optimizer, total_steps: int, flat_fraction: float = 0.75
) -> LRScheduler:
    """A constant phase and cosine decay.

    The learning rate stays at ``lr`` for the first ``flat_fraction`` of training, then
    decays to zero along a cosine. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        flat_fraction: fraction of training spent in the constant phase, 0 to 1.
    """
    check("flat_then_cosine", total_steps, flat_fraction=flat_fraction)
    flat_steps = round(flat_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, FlatThenCosine(total_steps, flat_steps))
    scheduler.schedule = ("a constant phase and cosine decay", total_steps)
    return scheduler


class ExploreExploit:
    """Linear warm-up, a constant explore phase, then linear decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, explore_end: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.explore_end = explore_end

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            # An epoch at a learning rate of zero would be wasted.
            return (step + 1) / (self.warmup_steps + 1)
        if step < self.explore_end:
            return 1.0
        exploit_steps = max(1, self.total_steps - self.explore_end)
        return 1 - (min(step, self.total_steps) - self.explore_end) / exploit_steps


def knee(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    explore_fraction: float = 0.5,
) -> LRScheduler:
    """The explore-exploit (Knee) schedule.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, stays constant until the end of the explore phase at ``explore_fraction``
    of training, then decays linearly to zero in the exploit phase. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        explore_fraction: fraction of training after which the explore phase ends, 0 to
            1.
    """
    check(
        "knee",
        total_steps,
        warmup_fraction=warmup_fraction,
        explore_fraction=explore_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    explore_end = max(warmup_steps, round(explore_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, ExploreExploit(total_steps, warmup_steps, explore_end)
    )
    scheduler.schedule = ("the explore-exploit (Knee) schedule", total_steps)
    return scheduler


class InfiniteLR:
    """Warm-up, cosine cooldown, constant phase at ``plateau_ratio``, then annealing."""

    def __init__(
        self,
        total_steps: int,
        warmup_steps: int,
        cooldown_end: int,
        anneal_start: int,
        plateau_ratio: float,
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.cooldown_end = cooldown_end
        self.anneal_start = anneal_start
        self.plateau_ratio = plateau_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.cooldown_end:
            cooldown_steps = self.cooldown_end - self.warmup_steps
            progress = (step - self.warmup_steps) / cooldown_steps
            cosine = 0.5 * (1 + math.cos(math.pi * progress))
            return self.plateau_ratio + (1 - self.plateau_ratio) * cosine
        if step < self.anneal_start:
            return self.plateau_ratio
        anneal_steps = max(1, self.total_steps - self.anneal_start)
        progress = (min(step, self.total_steps) - self.anneal_start) / anneal_steps
        return self.plateau_ratio * 0.05**progress


def infinite_lr(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    plateau_ratio: float = 0.4,
    decay_fraction: float = 0.15,
) -> LRScheduler:
    """An infinite learning rate schedule.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``plateau_ratio``
    times ``lr`` over the next 25%. It then stays constant and decays exponentially to
    5% of this value over the last ``decay_fraction`` of training. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        plateau_ratio: ratio of the learning rate on the plateau to lr, 0 to 1.
        decay_fraction: fraction of training spent in the final annealing, 0 to 1.
    """
    check(
        "infinite_lr",
        total_steps,
        warmup_fraction=warmup_fraction,
        plateau_ratio=plateau_ratio,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    cooldown_steps = round(0.25 * total_steps)
    cooldown_end = min(warmup_steps + cooldown_steps, total_steps)
    anneal_steps = round(decay_fraction * total_steps)
    anneal_start = max(cooldown_end, total_steps - anneal_steps)
    schedule = InfiniteLR(
        total_steps, warmup_steps, cooldown_end, anneal_start, plateau_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("an infinite learning rate schedule", total_steps)
    return scheduler


class CosineWarmupStableDecay:
    """Cosine warm-up, a constant phase, then linear decay to ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, decay_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            factor = 0.5 * (1 - math.cos(math.pi * step / self.warmup_steps))
        elif step < self.decay_start:
            factor = 1.0
        else:
            decay_steps = max(1, self.total_steps - self.decay_start)
            factor = 1 - (min(step, self.total_steps) - self.decay_start) / decay_steps
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * factor


def warmup_cosine_stable_linear(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    decay_fraction: float = 0.4,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """A WSD schedule (cosine warm-up).

    The learning rate increases along a cosine from ``min_lr_ratio`` times ``lr`` to
    ``lr`` over the first ``warmup_fraction`` of training, stays constant, then decays
    linearly back to ``min_lr_ratio`` times ``lr`` over the last ``decay_fraction`` of
    training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
        min_lr_ratio: ratio of the initial and final learning rate to lr, 0 to 1.
    """
    check(
        "warmup_cosine_stable_linear",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = CosineWarmupStableDecay(
        total_steps, warmup_steps, decay_steps, min_lr_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (cosine warm-up)", total_steps)
    return scheduler


def wsd_short_decay(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.05,
) -> LRScheduler:
    """A WSD schedule (short 1-sqrt decay).

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant for most of training, then decays to
    zero as one minus the square root of the progress through the decay. The decay takes
    only the last ``decay_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_short_decay",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdOneMinusSqrt(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a WSD schedule (short 1-sqrt decay)", total_steps)
    return scheduler


class WsdMegatronExponential:
    """Linear warm-up, a constant phase, then exponential decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = max(warmup_steps, total_steps - decay_steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.decay_start:
            return 1.0
        decay_steps = max(1, self.total_steps - self.decay_start)
        progress = (min(step, self.total_steps) - self.decay_start) / decay_steps
        return 2 * 0.5**progress - 1


def wsd_megatron_exponential(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.25,
) -> LRScheduler:
    """Megatron-LM's exponential WSD schedule.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant, then decays to zero over the last
    ``decay_fraction`` of training as ``2 * 0.5**p - 1``, where ``p`` is the progress
    through the decay. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "wsd_megatron_exponential",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    schedule = WsdMegatronExponential(total_steps, warmup_steps, decay_steps)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("Megatron-LM's exponential WSD schedule", total_steps)
    return scheduler


class PiecewiseLinear:
    """Linear interpolation between ``values`` at ``steps``, constant after the last."""

    def __init__(self, steps: list[int], values: list[float]) -> None:
        self.steps = steps
        self.values = values

    def __call__(self, step: int) -> float:
        right = bisect_right(self.steps, step)
        if right == len(self.steps):
            return self.values[-1]
        left = right - 1
        progress = (step - self.steps[left]) / (self.steps[right] - self.steps[left])
        return (1 - progress) * self.values[left] + progress * self.values[right]


def two_plateau_ladder(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    plateau_ratio: float = 0.3,
    decay_fraction: float = 0.15,
) -> LRScheduler:
    """A two-plateau piecewise linear schedule.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training and stays constant until 40% of training. It then
    decays linearly to ``plateau_ratio`` times ``lr`` at 50% of training, stays constant
    again, and decays linearly to zero over the last ``decay_fraction`` of training. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        plateau_ratio: ratio of the learning rate on the second plateau to lr, 0 to 1.
        decay_fraction: fraction of training spent in the final decay, 0 to 1.
    """
    check(
        "two_plateau_ladder",
        total_steps,
        warmup_fraction=warmup_fraction,
        plateau_ratio=plateau_ratio,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    first_end = max(warmup_steps, round(0.4 * total_steps))
    second_start = max(first_end, round(0.5 * total_steps))
    decay_steps = round(decay_fraction * total_steps)
    decay_start = max(second_start, total_steps - decay_steps)
    steps = [0, warmup_steps, first_end, second_start, decay_start, total_steps]
    values = [0.0, 1.0, 1.0, plateau_ratio, plateau_ratio, 0.0]
    scheduler = ResumableLambdaLR(optimizer, PiecewiseLinear(steps, values))
    scheduler.schedule = ("a two-plateau piecewise linear schedule", total_steps)
    return scheduler
