"""Polynomial and linear decay.

Polynomial and linear decay, and related curves such as REX.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.schedules._resumable import (
    ResumableLambdaLR,
    ResumableLinearLR,
    ResumablePolynomialLR,
)
from lrgen.schedules.lookup import check


def PolynomialLR_quadratic(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Quadratic polynomial decay.

    The learning rate decays to zero as the square of the remaining fraction of
    training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("PolynomialLR_quadratic", total_steps)
    scheduler = ResumablePolynomialLR(optimizer, total_iters=total_steps, power=2.0)
    scheduler.schedule = ("quadratic polynomial decay", total_steps)
    return scheduler


def PolynomialLR_cubic(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Cubic polynomial decay.

    The learning rate decays to zero as the cube of the remaining fraction of training.
    The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("PolynomialLR_cubic", total_steps)
    scheduler = ResumablePolynomialLR(optimizer, total_iters=total_steps, power=3.0)
    scheduler.schedule = ("cubic polynomial decay", total_steps)
    return scheduler


class LambdaLRLinearDecay:
    """Linear decay towards zero, but not below ``min_lr_ratio``."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        return max(self.min_lr_ratio, 1 - step / self.total_steps)


def LambdaLR_linear_decay(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.1
) -> LRScheduler:
    """Linear decay to a minimum.

    The learning rate decays linearly towards zero until it reaches ``min_lr_ratio``
    times ``lr`` and then stays constant. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("LambdaLR_linear_decay", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, LambdaLRLinearDecay(total_steps, min_lr_ratio)
    )
    scheduler.schedule = ("linear decay to a minimum", total_steps)
    return scheduler


class QuadraticDecay:
    """Quadratic decay to zero at ``total_steps``."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps

    def __call__(self, step: int) -> float:
        remaining = 1 - min(step, self.total_steps) / self.total_steps
        return remaining**2


def LambdaLR_power_decay(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Quadratic decay in closed form.

    The learning rate decays to zero as the square of the remaining fraction of
    training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("LambdaLR_power_decay", total_steps)
    scheduler = ResumableLambdaLR(optimizer, QuadraticDecay(total_steps))
    scheduler.schedule = ("quadratic decay in closed form", total_steps)
    return scheduler


def PolynomialLR_power_4(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Quartic polynomial decay.

    The learning rate decays to zero as the fourth power of the remaining fraction of
    training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("PolynomialLR_power_4", total_steps)
    scheduler = ResumablePolynomialLR(optimizer, total_iters=total_steps, power=4.0)
    scheduler.schedule = ("quartic polynomial decay", total_steps)
    return scheduler


class WarmupLinearDecay:
    """Linear warm-up from zero, then linear decay to zero at ``total_steps``."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        return max(0, self.total_steps - step) / decay_steps


def HF_linear_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Linear warm-up and linear decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays linearly to zero. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_linear_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupLinearDecay(total_steps, warmup_steps)
    )
    scheduler.schedule = ("linear warm-up and linear decay", total_steps)
    return scheduler


class WarmupPolynomialDecay:
    """Linear warm-up from zero, then polynomial decay to ``final_lr_ratio``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, power: float, final_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.power = power
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        remaining = max(0, self.total_steps - step) / decay_steps
        return self.final_lr_ratio + (1 - self.final_lr_ratio) * remaining**self.power


def HF_polynomial_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Linear warm-up and quadratic decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays quadratically to a learning rate of
    1e-7. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_polynomial_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        [
            WarmupPolynomialDecay(
                total_steps,
                warmup_steps,
                power=2.0,
                final_lr_ratio=1e-7 / float(group["lr"]),
            )
            for group in optimizer.param_groups
        ],
    )
    scheduler.schedule = ("linear warm-up and quadratic decay", total_steps)
    return scheduler


def HF_linear_decay(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """A short linear warm-up and linear decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training (5% by default), then decays linearly to zero. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_linear_decay", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupLinearDecay(total_steps, warmup_steps)
    )
    scheduler.schedule = ("a short linear warm-up and linear decay", total_steps)
    return scheduler


def HF_polynomial_power_1(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Warm-up and polynomial decay of power 1.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to a learning rate of 1e-7 as a
    polynomial of power 1, which is linear decay. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_polynomial_power_1", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        [
            WarmupPolynomialDecay(
                total_steps,
                warmup_steps,
                power=1.0,
                final_lr_ratio=1e-7 / float(group["lr"]),
            )
            for group in optimizer.param_groups
        ],
    )
    scheduler.schedule = ("warm-up and polynomial decay of power 1", total_steps)
    return scheduler


def HF_polynomial_power_3(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Linear warm-up and cubic decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays cubically to a learning rate of 1e-7.
    The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_polynomial_power_3", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        [
            WarmupPolynomialDecay(
                total_steps,
                warmup_steps,
                power=3.0,
                final_lr_ratio=1e-7 / float(group["lr"]),
            )
            for group in optimizer.param_groups
        ],
    )
    scheduler.schedule = ("linear warm-up and cubic decay", total_steps)
    return scheduler


def polynomial_sqrt(
    optimizer: Optimizer, total_steps: int, power: float = 0.5
) -> LRScheduler:
    """Square-root polynomial decay.

    The learning rate decays to zero as the remaining fraction of training raised to
    ``power``. With the default of 0.5, it decays slowly at first and steeply at the
    end. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        power: power of the polynomial, 0 to 1.
    """
    check("polynomial_sqrt", total_steps, power=power)
    scheduler = ResumablePolynomialLR(optimizer, total_iters=total_steps, power=power)
    scheduler.schedule = ("square-root polynomial decay", total_steps)
    return scheduler


class BurnInPolynomial:
    """Polynomial burn-in, then polynomial decay counted from step 0."""

    def __init__(self, total_steps: int, burn_in_steps: int) -> None:
        self.total_steps = total_steps
        self.burn_in_steps = burn_in_steps

    def __call__(self, step: int) -> float:
        if step < self.burn_in_steps:
            return (step / self.burn_in_steps) ** 4
        return (1 - min(step, self.total_steps) / self.total_steps) ** 4


def warmup_poly_4_darknet(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """The burn-in and quartic decay of Darknet.

    The learning rate increases from zero to ``lr`` as the fourth power of the step over
    the first ``warmup_fraction`` of training, which Darknet calls burn-in. It then
    decays to zero as the fourth power of the remaining fraction of training. The decay
    is counted from step 0, so the learning rate drops when the burn-in ends. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in burn-in, 0 to 1.
    """
    check("warmup_poly_4_darknet", total_steps, warmup_fraction=warmup_fraction)
    burn_in_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, BurnInPolynomial(total_steps, burn_in_steps)
    )
    scheduler.schedule = ("the burn-in and quartic decay of Darknet", total_steps)
    return scheduler


class QuadraticWarmupQuadraticDecay:
    """Quadratic warm-up from zero, then quadratic decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step / self.warmup_steps) ** 2
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        remaining = max(0, self.total_steps - step) / decay_steps
        return remaining**2


def warmup_quadratic_poly_2_mlperf(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.15
) -> LRScheduler:
    """Quadratic warm-up and quadratic decay.

    The learning rate increases quadratically from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays quadratically to zero. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check(
        "warmup_quadratic_poly_2_mlperf", total_steps, warmup_fraction=warmup_fraction
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, QuadraticWarmupQuadraticDecay(total_steps, warmup_steps)
    )
    scheduler.schedule = ("quadratic warm-up and quadratic decay", total_steps)
    return scheduler


class KDecay:
    """Linear k-decay (k = 3) to ``min_lr_ratio``."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * (1 - progress**3)


def polynomial_k_decay_3(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """Polynomial k-decay (k = 3).

    The learning rate decays from ``lr`` to ``min_lr_ratio`` times ``lr``, linearly in
    the cube of the training progress (k-decay with k = 3). It stays high for most of
    training and decays fastest at the end. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("polynomial_k_decay_3", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, KDecay(total_steps, min_lr_ratio))
    scheduler.schedule = ("polynomial k-decay (k = 3)", total_steps)
    return scheduler


class CyclicLinearDecay:
    """Linear decay from step 0 to the next multiple of ``cycle_steps``."""

    def __init__(self, cycle_steps: int, min_lr_ratio: float) -> None:
        self.cycle_steps = cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        cycles = max(1, math.ceil(step / self.cycle_steps))
        remaining = 1 - step / (cycles * self.cycle_steps)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * remaining


def polynomial_cyclic(
    optimizer: Optimizer,
    total_steps: int,
    first_cycle_fraction: float = 0.2,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Cyclic linear decay.

    The learning rate decays linearly to ``min_lr_ratio`` times ``lr`` over the first
    ``first_cycle_fraction`` of training. After each cycle, the decay is extended by one
    cycle: the learning rate jumps to a peak, lower each time, and decays again with a
    smaller slope. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        first_cycle_fraction: fraction of training spent in the first cycle, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "polynomial_cyclic",
        total_steps,
        first_cycle_fraction=first_cycle_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    cycle_steps = max(1, round(first_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, CyclicLinearDecay(cycle_steps, min_lr_ratio)
    )
    scheduler.schedule = ("cyclic linear decay", total_steps)
    return scheduler


class Rex:
    """Reflected exponential (REX) decay to zero at ``total_steps``."""

    def __init__(self, total_steps: int, beta: float) -> None:
        self.total_steps = total_steps
        self.beta = beta

    def __call__(self, step: int) -> float:
        remaining = max(0, self.total_steps - step) / self.total_steps
        return remaining / (self.beta + (1 - self.beta) * remaining)


def rex(optimizer: Optimizer, total_steps: int, beta: float = 0.5) -> LRScheduler:
    """Reflected exponential (REX) decay.

    The learning rate decays to zero along a reflected exponential (REX), slowly at
    first and steeply at the end. With a smaller ``beta`` it decays later; a ``beta`` of
    1 gives linear decay. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        beta: shape of the decay; 1 gives linear decay, 0.01 to 1.
    """
    check("rex", total_steps, beta=beta)
    scheduler = ResumableLambdaLR(optimizer, Rex(total_steps, beta))
    scheduler.schedule = ("reflected exponential (REX) decay", total_steps)
    return scheduler


class WarmupRexDecay:
    """Linear warm-up from zero, then reflected exponential (REX) decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, beta: float) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.beta = beta

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        remaining = max(0, self.total_steps - step) / decay_steps
        return remaining / (self.beta + (1 - self.beta) * remaining)


def warmup_rex_axolotl(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    beta: float = 0.1,
) -> LRScheduler:
    """Linear warm-up and REX decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a reflected exponential
    (REX). With a smaller ``beta`` it decays later and more steeply. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        beta: shape of the decay; 1 gives linear decay, 0.01 to 1.
    """
    check("warmup_rex_axolotl", total_steps, warmup_fraction=warmup_fraction, beta=beta)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupRexDecay(total_steps, warmup_steps, beta)
    )
    scheduler.schedule = ("linear warm-up and REX decay", total_steps)
    return scheduler


class RexBeta2:
    """Reflected exponential (REX) decay to ``min_lr_ratio``."""

    def __init__(self, total_steps: int, beta: float, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.beta = beta
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        remaining = max(0, self.total_steps - step) / self.total_steps
        decay = remaining / (self.beta + (1 - self.beta) * remaining)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * decay


def rex_beta_2(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """REX decay (beta = 2).

    The learning rate decays to ``min_lr_ratio`` times ``lr`` along a reflected
    exponential (REX) with a ``beta`` of 2, steeply at first and slowly at the end. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("rex_beta_2", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, RexBeta2(total_steps, beta=2.0, min_lr_ratio=min_lr_ratio)
    )
    scheduler.schedule = ("REX decay (beta = 2)", total_steps)
    return scheduler


def linear_to_ten_percent(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.1
) -> LRScheduler:
    """Linear decay to 10%.

    The learning rate decays linearly from ``lr`` to ``final_lr_ratio`` times ``lr``
    (10% of ``lr`` by default) at the end of training. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check("linear_to_ten_percent", total_steps, final_lr_ratio=final_lr_ratio)
    end_factor = final_lr_ratio
    scheduler = ResumableLinearLR(
        optimizer, start_factor=1.0, end_factor=end_factor, total_iters=total_steps
    )
    scheduler.schedule = ("linear decay to 10%", total_steps)
    return scheduler


class LinearYolo:
    """Linear decay from 1 to ``final_lr_ratio`` at ``total_steps``."""

    def __init__(self, total_steps: int, final_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        remaining = max(0, 1 - step / self.total_steps)
        return remaining * (1 - self.final_lr_ratio) + self.final_lr_ratio


def linear_yolo(
    optimizer: Optimizer, total_steps: int, final_lr_ratio: float = 0.01
) -> LRScheduler:
    """Linear decay to 1%.

    The learning rate decays linearly from ``lr`` to ``final_lr_ratio`` times ``lr`` (1%
    of ``lr`` by default) at the end of training, as in Ultralytics YOLO. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check("linear_yolo", total_steps, final_lr_ratio=final_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, LinearYolo(total_steps, final_lr_ratio))
    scheduler.schedule = ("linear decay to 1%", total_steps)
    return scheduler


class EllipticDecay:
    """Elliptic decay: ``(1 - progress**2) ** power``."""

    def __init__(self, total_steps: int, power: float) -> None:
        self.total_steps = total_steps
        self.power = power

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return (1 - progress**2) ** self.power


def ellipse(optimizer: Optimizer, total_steps: int, power: float = 0.5) -> LRScheduler:
    """Elliptic decay.

    The learning rate decays to zero as ``(1 - progress**2) ** power``, where
    ``progress`` is the completed fraction of training, slowly at first and steeply at
    the end. The default ``power`` of 0.5 gives a quarter of an ellipse; with a larger
    ``power`` it decays earlier. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        power: exponent of the decay, 0 to 1.
    """
    check("ellipse", total_steps, power=power)
    scheduler = ResumableLambdaLR(optimizer, EllipticDecay(total_steps, power))
    scheduler.schedule = ("elliptic decay", total_steps)
    return scheduler
