"""Exponential and rational decay.

Exponential, inverse time, hyperbolic and sigmoid decay.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.schedules._resumable import (
    ResumableExponentialLR,
    ResumableLambdaLR,
    ResumableMultiplicativeLR,
)
from lrgen.schedules.lookup import check


def ExponentialLR_default(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.95
) -> LRScheduler:
    """Exponential decay.

    The learning rate is multiplied by ``gamma`` after every epoch. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("ExponentialLR_default", total_steps, gamma=gamma)
    scheduler = ResumableExponentialLR(optimizer, gamma=gamma)
    scheduler.schedule = ("exponential decay", total_steps)
    return scheduler


class ConstantFactor:
    """Constant factor ``gamma`` per step."""

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        return self.gamma


def MultiplicativeLR_exponential(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.95
) -> LRScheduler:
    """Multiplicative decay.

    The learning rate is multiplied by ``gamma`` after every epoch. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("MultiplicativeLR_exponential", total_steps, gamma=gamma)
    scheduler = ResumableMultiplicativeLR(optimizer, ConstantFactor(gamma))
    scheduler.schedule = ("multiplicative decay", total_steps)
    return scheduler


class LambdaLRExponentialDecay:
    """Exponential decay by ``gamma`` per step."""

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        return self.gamma**step


def LambdaLR_exponential_decay(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.95
) -> LRScheduler:
    """Exponential decay in closed form.

    The learning rate after ``t`` epochs is ``lr * gamma**t``. The schedule advances
    once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("LambdaLR_exponential_decay", total_steps, gamma=gamma)
    scheduler = ResumableLambdaLR(optimizer, LambdaLRExponentialDecay(gamma))
    scheduler.schedule = ("exponential decay in closed form", total_steps)
    return scheduler


def exponential_to_one_percent(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.01
) -> LRScheduler:
    """Exponential decay to 1%.

    The learning rate decays exponentially from ``lr`` to ``final_lr_ratio`` times
    ``lr`` (1% of ``lr`` by default) at the end of training. It is multiplied by the
    same factor after every epoch. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check("exponential_to_one_percent", total_steps, final_lr_ratio=final_lr_ratio)
    gamma = final_lr_ratio ** (1 / total_steps)
    scheduler = ResumableExponentialLR(optimizer, gamma=gamma)
    scheduler.schedule = ("exponential decay to 1%", total_steps)
    return scheduler


class WarmupExponentialDecay:
    """Linear warm-up from zero, then exponential decay to ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        return max(self.min_lr_ratio, 0.003**progress)


def warmup_exponential_floor(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """Linear warm-up and exponential decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays exponentially towards 0.3% of ``lr``.
    When it reaches ``min_lr_ratio`` times ``lr``, it stays constant. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "warmup_exponential_floor",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupExponentialDecay(total_steps, warmup_steps, min_lr_ratio)
    )
    scheduler.schedule = ("linear warm-up and exponential decay", total_steps)
    return scheduler


class AcceleratingFactor:
    """Decreasing factor per step; the product of all factors is ``final_lr_ratio``."""

    def __init__(self, total_steps: int, final_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        # MultiplicativeLR starts at step 1, and 1 + 3 + ... + (2 * step - 1) = step**2.
        return self.final_lr_ratio ** ((2 * step - 1) / self.total_steps**2)


def multiplicative_accelerating(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.02
) -> LRScheduler:
    """Accelerating multiplicative decay.

    The learning rate is multiplied after every epoch by a factor that decreases from
    epoch to epoch. It decays along one half of a Gaussian to ``final_lr_ratio`` times
    ``lr`` at the end of training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check("multiplicative_accelerating", total_steps, final_lr_ratio=final_lr_ratio)
    factor = AcceleratingFactor(total_steps, final_lr_ratio)
    scheduler = ResumableMultiplicativeLR(optimizer, factor)
    scheduler.schedule = ("accelerating multiplicative decay", total_steps)
    return scheduler


class ExponentialGrowth:
    """Exponential growth from ``initial_lr_ratio`` to 1 at ``total_steps``."""

    def __init__(self, total_steps: int, initial_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.initial_lr_ratio = initial_lr_ratio

    def __call__(self, step: int) -> float:
        remaining = 1 - min(step, self.total_steps) / self.total_steps
        return self.initial_lr_ratio**remaining


def exponential_increasing(
    optimizer: Optimizer, total_steps: int, initial_lr_ratio: float = 0.05
) -> LRScheduler:
    """An exponentially increasing learning rate.

    The learning rate increases exponentially from ``initial_lr_ratio`` times ``lr`` to
    ``lr`` at the end of training. This schedule was proposed for networks with
    normalization layers. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        initial_lr_ratio: ratio of the initial learning rate to lr, 0 to 1.
    """
    check("exponential_increasing", total_steps, initial_lr_ratio=initial_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, ExponentialGrowth(total_steps, initial_lr_ratio)
    )
    scheduler.schedule = ("an exponentially increasing learning rate", total_steps)
    return scheduler


class InverseTimeDecay:
    """Inverse time decay: ``1 / (1 + decay_rate * step / decay_steps)``."""

    def __init__(self, decay_steps: int, decay_rate: float) -> None:
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate

    def __call__(self, step: int) -> float:
        return 1 / (1 + self.decay_rate * step / self.decay_steps)


def inverse_time(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.1
) -> LRScheduler:
    """Inverse time decay.

    The learning rate decays as the inverse of a linear function of the step, from
    ``lr`` to ``final_lr_ratio`` times ``lr`` at the end of training. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0.001 to 1.
    """
    check("inverse_time", total_steps, final_lr_ratio=final_lr_ratio)
    decay_rate = 1 / final_lr_ratio - 1
    scheduler = ResumableLambdaLR(optimizer, InverseTimeDecay(total_steps, decay_rate))
    scheduler.schedule = ("inverse time decay", total_steps)
    return scheduler


class InverseTimeStaircaseDecay:
    """Inverse time decay in discrete steps, one per ``decay_steps`` steps."""

    def __init__(self, decay_steps: int, decay_rate: float) -> None:
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate

    def __call__(self, step: int) -> float:
        return 1 / (1 + self.decay_rate * (step // self.decay_steps))


def inverse_time_staircase(
    optimizer: Optimizer,
    total_steps: int,
    step_fraction: float = 0.1,
    decay_rate: float = 0.5,
) -> LRScheduler:
    """Inverse time decay in discrete steps.

    The learning rate is ``lr / (1 + decay_rate * n)``, where ``n`` is the number of
    completed intervals of ``step_fraction`` of training. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        decay_rate: increase of the divisor per interval, 0 to 1.
    """
    check(
        "inverse_time_staircase",
        total_steps,
        step_fraction=step_fraction,
        decay_rate=decay_rate,
    )
    decay_steps = max(1, round(step_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, InverseTimeStaircaseDecay(decay_steps, decay_rate)
    )
    scheduler.schedule = ("inverse time decay in discrete steps", total_steps)
    return scheduler


class InversePowerDecay:
    """Inverse power decay: ``(1 + gamma * step) ** -power``."""

    def __init__(self, gamma: float, power: float) -> None:
        self.gamma = gamma
        self.power = power

    def __call__(self, step: int) -> float:
        return (1 + self.gamma * step) ** -self.power


def inverse_power(
    optimizer: Optimizer, total_steps: int, power: float = 0.75
) -> LRScheduler:
    """Inverse power decay.

    The learning rate decays as ``(1 + 30 * progress) ** -power``, where ``progress`` is
    the completed fraction of training, steeply at first and then ever more slowly. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        power: exponent of the decay, 0 to 1.
    """
    check("inverse_power", total_steps, power=power)
    scheduler = ResumableLambdaLR(optimizer, InversePowerDecay(30 / total_steps, power))
    scheduler.schedule = ("inverse power decay", total_steps)
    return scheduler


class TanhDecay:
    """Hyperbolic tangent decay towards ``min_lr_ratio``."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        decay = 0.5 * (1 - math.tanh(-6 * (1 - progress) + 3 * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * decay


def tanh_decay(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """Hyperbolic tangent decay.

    The learning rate decays along a hyperbolic tangent, slowly at first, fastest after
    two thirds of training, and slowly again as it approaches ``min_lr_ratio`` times
    ``lr``. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the asymptotic learning rate to lr, 0 to 1.
    """
    check("tanh_decay", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, TanhDecay(total_steps, min_lr_ratio))
    scheduler.schedule = ("hyperbolic tangent decay", total_steps)
    return scheduler


class HyperbolicDecay:
    """Hyperbolic decay with infimum ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, horizon_fraction: float, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.horizon_fraction = horizon_fraction
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        decay = self.hyperbola(0) - self.hyperbola(min(step, self.total_steps))
        return 1 - (1 - self.min_lr_ratio) * decay

    def hyperbola(self, step: int) -> float:
        """Hyperbola with its vertex at ``total_steps``."""
        progress = step / self.total_steps
        elapsed = self.horizon_fraction * progress
        return math.sqrt(
            (self.horizon_fraction - elapsed) * (2 - self.horizon_fraction - elapsed)
        )


def hyperbolic(
    optimizer: Optimizer,
    total_steps: int,
    horizon_fraction: float = 0.8,
    min_lr_ratio: float = 0.01,
) -> LRScheduler:
    """Hyperbolic decay.

    The learning rate decays along a hyperbola, nearly linearly for most of training and
    steeply at the end. ``horizon_fraction`` is the ratio of the length of training to
    its upper bound. At 1, the learning rate decays to ``min_lr_ratio`` times ``lr``.
    The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        horizon_fraction: ratio of the length of training to its upper bound, 0 to 1.
        min_lr_ratio: ratio of the infimum of the learning rate to lr, 0 to 1.
    """
    check(
        "hyperbolic",
        total_steps,
        horizon_fraction=horizon_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    scheduler = ResumableLambdaLR(
        optimizer, HyperbolicDecay(total_steps, horizon_fraction, min_lr_ratio)
    )
    scheduler.schedule = ("hyperbolic decay", total_steps)
    return scheduler


class ExpHyperbolicDecay:
    """Hyperbolic decay of the log learning rate with infimum ``min_lr_ratio``."""

    def __init__(
        self, total_steps: int, horizon_fraction: float, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.horizon_fraction = horizon_fraction
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        decay = self.hyperbola(0) - self.hyperbola(min(step, self.total_steps))
        return self.min_lr_ratio**decay

    def hyperbola(self, step: int) -> float:
        """Hyperbola with its vertex at ``total_steps``."""
        progress = step / self.total_steps
        elapsed = self.horizon_fraction * progress
        return math.sqrt(
            (self.horizon_fraction - elapsed) * (2 - self.horizon_fraction - elapsed)
        )


def exp_hyperbolic(
    optimizer: Optimizer,
    total_steps: int,
    horizon_fraction: float = 0.8,
    min_lr_ratio: float = 0.001,
) -> LRScheduler:
    """Exponential hyperbolic decay.

    The logarithm of the learning rate decays along a hyperbola. ``horizon_fraction`` is
    the ratio of the length of training to its upper bound. At 1, the learning rate
    decays to ``min_lr_ratio`` times ``lr``. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        horizon_fraction: ratio of the length of training to its upper bound, 0 to 1.
        min_lr_ratio: ratio of the infimum of the learning rate to lr, 1e-06 to 1.
    """
    check(
        "exp_hyperbolic",
        total_steps,
        horizon_fraction=horizon_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    scheduler = ResumableLambdaLR(
        optimizer, ExpHyperbolicDecay(total_steps, horizon_fraction, min_lr_ratio)
    )
    scheduler.schedule = ("exponential hyperbolic decay", total_steps)
    return scheduler


class ExponentialToThirtyPercent:
    """Exponential decay to ``final_lr_ratio`` at ``total_steps``, then constant."""

    def __init__(self, total_steps: int, final_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return self.final_lr_ratio**progress


def exponential_to_thirty_percent(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.3
) -> LRScheduler:
    """Exponential decay to 30%.

    The learning rate decays exponentially from ``lr`` to ``final_lr_ratio`` times
    ``lr`` (30% of ``lr`` by default) at the end of training. The schedule advances once
    per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check("exponential_to_thirty_percent", total_steps, final_lr_ratio=final_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, ExponentialToThirtyPercent(total_steps, final_lr_ratio)
    )
    scheduler.schedule = ("exponential decay to 30%", total_steps)
    return scheduler


class SigmoidDecay:
    """Sigmoid decay with its midpoint at ``midpoint_fraction`` of ``total_steps``."""

    def __init__(self, total_steps: int, midpoint_fraction: float) -> None:
        self.total_steps = total_steps
        self.midpoint_fraction = midpoint_fraction

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return 1 / (1 + math.exp(10 * (progress - self.midpoint_fraction)))


def sigmoid_decay(
    optimizer: Optimizer, total_steps: int, midpoint_fraction: float = 0.5
) -> LRScheduler:
    """Sigmoid decay.

    The learning rate decays along a logistic sigmoid and is half of ``lr`` at
    ``midpoint_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        midpoint_fraction: fraction of training after which the learning rate is half of
            lr, 0 to 1.
    """
    check("sigmoid_decay", total_steps, midpoint_fraction=midpoint_fraction)
    scheduler = ResumableLambdaLR(
        optimizer, SigmoidDecay(total_steps, midpoint_fraction)
    )
    scheduler.schedule = ("sigmoid decay", total_steps)
    return scheduler
