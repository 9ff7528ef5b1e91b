"""Constant and warm-up.

A constant learning rate, or a warm-up to a constant learning rate.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, MultiStepLR

from lrgen.schedules._resumable import (
    ResumableChainedScheduler,
    ResumableConstantLR,
    ResumableLambdaLR,
    ResumableLinearLR,
)
from lrgen.schedules.lookup import check


def LinearLR_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A linear warm-up.

    The learning rate increases linearly from a tenth of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training and then stays constant. The schedule advances once
    per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("LinearLR_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableLinearLR(optimizer, start_factor=0.1, total_iters=warmup_steps)
    scheduler.schedule = ("a linear warm-up", total_steps)
    return scheduler


def ConstantLR_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A constant warm-up at half of lr.

    The learning rate is half of ``lr`` for the first ``warmup_fraction`` of training,
    then ``lr``. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("ConstantLR_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableConstantLR(optimizer, factor=0.5, total_iters=warmup_steps)
    scheduler.schedule = ("a constant warm-up at half of lr", total_steps)
    return scheduler


class LinearWarmup:
    """Linear warm-up from zero, then a constant learning rate."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        return 1.0


def HF_constant_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A linear warm-up from zero.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training and then stays constant. The schedule advances once
    per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_constant_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, LinearWarmup(warmup_steps))
    scheduler.schedule = ("a linear warm-up from zero", total_steps)
    return scheduler


def constant(step: int) -> float:
    return 1.0


def HF_constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """A constant learning rate.

    The learning rate is constant. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
    """
    check("HF_constant", total_steps)
    scheduler = ResumableLambdaLR(optimizer, constant)
    scheduler.schedule = ("a constant learning rate", total_steps)
    return scheduler


def HF_constant_with_long_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.2
) -> LRScheduler:
    """A long linear warm-up from zero.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training (20% by default) and then stays constant. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_constant_with_long_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, LinearWarmup(warmup_steps))
    scheduler.schedule = ("a long linear warm-up from zero", total_steps)
    return scheduler


def HF_constant_with_short_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """A short linear warm-up from zero.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training (5% by default) and then stays constant. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_constant_with_short_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, LinearWarmup(warmup_steps))
    scheduler.schedule = ("a short linear warm-up from zero", total_steps)
    return scheduler


def constant_factor_then_base(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    factor: float = 1 / 3,
) -> LRScheduler:
    """A constant warm-up at one third of lr.

    The learning rate is ``factor`` times ``lr`` (one third by default) for the first
    ``warmup_fraction`` of training, then ``lr``. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        factor: ratio of the learning rate during warm-up to lr, 0.01 to 1.
    """
    check(
        "constant_factor_then_base",
        total_steps,
        warmup_fraction=warmup_fraction,
        factor=factor,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableConstantLR(optimizer, factor=factor, total_iters=warmup_steps)
    scheduler.schedule = ("a constant warm-up at one third of lr", total_steps)
    return scheduler


class ExponentialWarmup:
    """Exponential warm-up to 1 with a time constant of ``warmup_period`` steps."""

    def __init__(self, warmup_period: int) -> None:
        self.warmup_period = warmup_period

    def __call__(self, step: int) -> float:
        return 1 - math.exp(-(step + 1) / self.warmup_period)


def warmup_exponential_constant(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """An exponential warm-up.

    The learning rate approaches ``lr`` exponentially. The time constant of this warm-up
    is ``warmup_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training used as the time constant of warm-up, 0 to
            1.
    """
    check("warmup_exponential_constant", total_steps, warmup_fraction=warmup_fraction)
    warmup_period = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, ExponentialWarmup(warmup_period))
    scheduler.schedule = ("an exponential warm-up", total_steps)
    return scheduler


class LogWarmup:
    """Logarithmic warm-up from zero, then a constant learning rate."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step + 1 < self.warmup_steps:
            return math.log(step + 1, self.warmup_steps)
        return 1.0


def warmup_log_constant(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.2
) -> LRScheduler:
    """A logarithmic warm-up.

    The learning rate increases logarithmically from zero to ``lr`` over the first
    ``warmup_fraction`` of training, fast at first and slowly at the end, and then stays
    constant. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_log_constant", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, LogWarmup(warmup_steps))
    scheduler.schedule = ("a logarithmic warm-up", total_steps)
    return scheduler


class RAdamWarmup:
    """Variance rectification term of RAdam, used as a warm-up."""

    def __init__(self, beta2: float) -> None:
        self.beta2 = beta2
        self.rho_inf = 2 / (1 - beta2) - 1

    def __call__(self, step: int) -> float:
        update = step + 5  # rho first exceeds 4 at update 5
        beta2_t = self.beta2**update
        rho = self.rho_inf - 2 * update * beta2_t / (1 - beta2_t)
        numerator = (rho - 4) * (rho - 2) / rho
        denominator = (self.rho_inf - 4) * (self.rho_inf - 2) / self.rho_inf
        return math.sqrt(numerator / denominator)


def warmup_radam_untuned(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """The RAdam warm-up.

    The learning rate is ``lr`` times the variance rectification term of RAdam with a
    ``beta2`` of 0.999, starting at the first update for which the term is defined. The
    warm-up takes several thousand steps, regardless of the length of training. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
    """
    check("warmup_radam_untuned", total_steps)
    scheduler = ResumableLambdaLR(optimizer, RAdamWarmup(beta2=0.999))
    scheduler.schedule = ("the RAdam warm-up", total_steps)
    return scheduler


class CosineWarmup:
    """Cosine warm-up from zero, then a constant learning rate."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return 0.5 * (1 - math.cos(math.pi * step / self.warmup_steps))
        return 1.0


def warmup_cosine_constant(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A cosine warm-up.

    The learning rate increases from zero to ``lr`` along a cosine over the first
    ``warmup_fraction`` of training and then stays constant. The schedule advances once
    per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_cosine_constant", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, CosineWarmup(warmup_steps))
    scheduler.schedule = ("a cosine warm-up", total_steps)
    return scheduler


class QuadraticWarmup:
    """Quadratic warm-up from zero, then a constant learning rate."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step / self.warmup_steps) ** 2
        return 1.0


def warmup_quadratic_constant(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A quadratic warm-up.

    The learning rate increases quadratically from zero to ``lr`` over the first
    ``warmup_fraction`` of training and then stays constant. The schedule advances once
    per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_quadratic_constant", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, QuadraticWarmup(warmup_steps))
    scheduler.schedule = ("a quadratic warm-up", total_steps)
    return scheduler


class OneMinusSqrtWarmup:
    """1-sqrt warm-up from zero, then a constant learning rate."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return 1 - math.sqrt(1 - step / self.warmup_steps)
        return 1.0


def warmup_one_minus_sqrt_constant(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A 1-sqrt warm-up.

    The learning rate increases from zero to ``lr`` over the first ``warmup_fraction``
    of training as one minus the square root of the remaining fraction of the warm-up,
    slowly at first and steeply at the end. It then stays constant. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check(
        "warmup_one_minus_sqrt_constant", total_steps, warmup_fraction=warmup_fraction
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, OneMinusSqrtWarmup(warmup_steps))
    scheduler.schedule = ("a 1-sqrt warm-up", total_steps)
    return scheduler


def gradual_warmup_large_batch(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 5 / 90,
    gamma: float = 0.1,
) -> LRScheduler:
    """Gradual warm-up and multi-step decay.

    The learning rate increases linearly from a tenth of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training. It is multiplied by ``gamma`` at 30/90, 60/90 and
    80/90 of training, the milestones of large-minibatch training on ImageNet. The
    schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "gradual_warmup_large_batch",
        total_steps,
        warmup_fraction=warmup_fraction,
        gamma=gamma,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    milestones = [max(1, round(epoch / 90 * total_steps)) for epoch in (30, 60, 80)]
    warmup = LinearLR(optimizer, start_factor=0.1, total_iters=warmup_steps)
    decay = MultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler = ResumableChainedScheduler([warmup, decay])
    scheduler.schedule = ("gradual warm-up and multi-step decay", total_steps)
    return scheduler


class GeometricWarmup:
    """Geometric warm-up from ``start_factor``, then a constant learning rate."""

    def __init__(self, warmup_steps: int, start_factor: float) -> None:
        self.warmup_steps = warmup_steps
        self.start_factor = start_factor

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.start_factor ** (1 - step / self.warmup_steps)
        return 1.0


def warmup_exponential_ramp(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    start_factor: float = 0.01,
) -> LRScheduler:
    """A geometric warm-up.

    The learning rate increases by a constant factor per step from ``start_factor``
    times ``lr`` to ``lr`` over the first ``warmup_fraction`` of training and then stays
    constant. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        start_factor: ratio of the initial learning rate to lr, 0 to 1.
    """
    check(
        "warmup_exponential_ramp",
        total_steps,
        warmup_fraction=warmup_fraction,
        start_factor=start_factor,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, GeometricWarmup(warmup_steps, start_factor)
    )
    scheduler.schedule = ("a geometric warm-up", total_steps)
    return scheduler


class UntunedLinearWarmup:
    """Linear warm-up over ``2 / (1 - beta2)`` steps, then a constant learning rate."""

    def __init__(self, beta2: float) -> None:
        self.beta2 = beta2

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) * (1 - self.beta2) / 2)


def warmup_linear_untuned(
    optimizer: Optimizer, total_steps: int, beta2: float = 0.999
) -> LRScheduler:
    """An untuned linear warm-up.

    The learning rate increases linearly to ``lr`` over the first ``2 / (1 - beta2)``
    steps, a rule of thumb for Adam, and then stays constant. The warm-up does not
    depend on the length of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        beta2: exponential decay rate of Adam's second-moment estimate, 0 to 0.9999.
    """
    check("warmup_linear_untuned", total_steps, beta2=beta2)
    scheduler = ResumableLambdaLR(optimizer, UntunedLinearWarmup(beta2))
    scheduler.schedule = ("an untuned linear warm-up", total_steps)
    return scheduler
