"""Step decay.

Piecewise constant learning rates that change at milestones.
"""

import math
from bisect import bisect_right

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.schedules._resumable import (
    ResumableLambdaLR,
    ResumableMultiStepLR,
    ResumableStepLR,
)
from lrgen.schedules.lookup import check


def StepLR_default(
    optimizer: Optimizer,
    total_steps: int,
    step_fraction: float = 1 / 3,
    gamma: float = 0.1,
) -> LRScheduler:
    """Step decay.

    The learning rate is multiplied by ``gamma`` every ``step_fraction`` of training
    (one third by default). The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("StepLR_default", total_steps, step_fraction=step_fraction, gamma=gamma)
    step_size = max(1, round(step_fraction * total_steps))
    scheduler = ResumableStepLR(optimizer, step_size=step_size, gamma=gamma)
    scheduler.schedule = ("step decay", total_steps)
    return scheduler


def MultiStepLR_milestones(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.1
) -> LRScheduler:
    """Multi-step decay at three milestones.

    The learning rate is multiplied by ``gamma`` at 30%, 60% and 80% of training. The
    schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("MultiStepLR_milestones", total_steps, gamma=gamma)
    milestones = [max(1, round(fraction * total_steps)) for fraction in (0.3, 0.6, 0.8)]
    scheduler = ResumableMultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler.schedule = ("multi-step decay at three milestones", total_steps)
    return scheduler


def StepLR_long_decay(
    optimizer: Optimizer,
    total_steps: int,
    step_fraction: float = 0.5,
    gamma: float = 0.1,
) -> LRScheduler:
    """Step decay in two stages.

    The learning rate is multiplied by ``gamma`` every ``step_fraction`` of training
    (one half by default). The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("StepLR_long_decay", total_steps, step_fraction=step_fraction, gamma=gamma)
    step_size = max(1, round(step_fraction * total_steps))
    scheduler = ResumableStepLR(optimizer, step_size=step_size, gamma=gamma)
    scheduler.schedule = ("step decay in two stages", total_steps)
    return scheduler


def MultiStepLR_four_milestones(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.1
) -> LRScheduler:
    """Multi-step decay at four milestones.

    The learning rate is multiplied by ``gamma`` at 25%, 50%, 75% and 90% of training.
    The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("MultiStepLR_four_milestones", total_steps, gamma=gamma)
    milestones = [
        max(1, round(fraction * total_steps)) for fraction in (0.25, 0.5, 0.75, 0.9)
    ]
    scheduler = ResumableMultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler.schedule = ("multi-step decay at four milestones", total_steps)
    return scheduler


class SingleStepDecay:
    """Decay by ``gamma``, once, after step ``milestone``."""

    def __init__(self, milestone: float, gamma: float) -> None:
        self.milestone = milestone
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        return 1.0 if step <= self.milestone else self.gamma


def LambdaLR_step_like(
    optimizer: Optimizer,
    total_steps: int,
    milestone_fraction: float = 0.5,
    gamma: float = 0.1,
) -> LRScheduler:
    """A single learning rate drop.

    The learning rate is ``lr`` up to and including ``milestone_fraction`` of training
    (one half by default), then ``gamma`` times ``lr``. The schedule advances once per
    epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        milestone_fraction: fraction of training after which the learning rate is
            multiplied by gamma, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "LambdaLR_step_like",
        total_steps,
        milestone_fraction=milestone_fraction,
        gamma=gamma,
    )
    milestone = milestone_fraction * total_steps
    scheduler = ResumableLambdaLR(optimizer, SingleStepDecay(milestone, gamma))
    scheduler.schedule = ("a single learning rate drop", total_steps)
    return scheduler


def multistep_wrn_60_120_160(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.2
) -> LRScheduler:
    """The multi-step decay of Wide ResNet.

    The learning rate is multiplied by ``gamma`` (0.2 by default) at 30%, 60% and 80% of
    training. These are the milestones of Wide ResNet on CIFAR: epochs 60, 120 and 160
    of 200. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("multistep_wrn_60_120_160", total_steps, gamma=gamma)
    milestones = [max(1, round(fraction * total_steps)) for fraction in (0.3, 0.6, 0.8)]
    scheduler = ResumableMultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler.schedule = ("the multi-step decay of Wide ResNet", total_steps)
    return scheduler


class WarmupMultiStepDecay:
    """Linear warm-up from zero, then multi-step decay at two milestones."""

    def __init__(
        self, warmup_steps: int, first_milestone: int, second_milestone: int
    ) -> None:
        self.warmup_steps = warmup_steps
        self.first_milestone = first_milestone
        self.second_milestone = second_milestone

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step < self.first_milestone:
            return 1.0
        return 0.316 if step < self.second_milestone else 0.1


def multistep_deepseek_80_90(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.2,
) -> LRScheduler:
    """The multi-step decay of DeepSeek LLM.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training and stays constant until the last ``decay_fraction``
    of training. It is 31.6% of ``lr`` in the first half of this decay phase and 10% of
    ``lr`` in the second half. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the decay, 0 to 1.
    """
    check(
        "multistep_deepseek_80_90",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    first_milestone = round((1 - decay_fraction) * total_steps)
    second_milestone = round((1 - decay_fraction / 2) * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupMultiStepDecay(warmup_steps, first_milestone, second_milestone)
    )
    scheduler.schedule = ("the multi-step decay of DeepSeek LLM", total_steps)
    return scheduler


class WarmupStaircaseDecay:
    """Linear warm-up, then decay by ``gamma`` every 2.4 epochs of 350."""

    def __init__(self, total_steps: int, warmup_steps: int, gamma: float) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        # 350 / 2.4 = 875 / 6; integer arithmetic avoids rounding errors.
        return self.gamma ** (875 * step // (6 * self.total_steps))


def step_efficientnet_0p97(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 5 / 350,
    gamma: float = 0.97,
) -> LRScheduler:
    """The staircase decay of EfficientNet.

    The learning rate increases linearly towards ``lr`` over the first
    ``warmup_fraction`` of training. It is then multiplied by ``gamma`` at equal
    intervals, counted from the start of training: every 2.4 epochs in the original
    recipe of 350 epochs. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "step_efficientnet_0p97",
        total_steps,
        warmup_fraction=warmup_fraction,
        gamma=gamma,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupStaircaseDecay(total_steps, warmup_steps, gamma)
    )
    scheduler.schedule = ("the staircase decay of EfficientNet", total_steps)
    return scheduler


def fractal_halving_milestones(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.1
) -> LRScheduler:
    """The multi-step decay of FractalNet.

    The learning rate is multiplied by ``gamma`` whenever the number of remaining epochs
    halves, four times in total: at 50%, 75%, 87.5% and 93.75% of training. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("fractal_halving_milestones", total_steps, gamma=gamma)
    milestones = [total_steps - total_steps // 2**halving for halving in range(1, 5)]
    scheduler = ResumableMultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler.schedule = ("the multi-step decay of FractalNet", total_steps)
    return scheduler


class PiecewiseConstant:
    """Piecewise constant decay: ``values[i]`` until step ``boundaries[i]``."""

    def __init__(self, boundaries: list[int], values: list[float]) -> None:
        self.boundaries = boundaries
        self.values = values

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]


def piecewise_constant_values(
    optimizer: Optimizer,
    total_steps: int,
    rebound_ratio: float = 0.6,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """A piecewise constant learning rate.

    The learning rate is ``lr`` for the first 10% of training, 0.3 times ``lr`` until
    50%, ``rebound_ratio`` times ``lr`` until 60%, then ``min_lr_ratio`` times ``lr``.
    The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        rebound_ratio: ratio of the learning rate in the third interval to lr, 0 to 1.
        min_lr_ratio: ratio of the learning rate in the last interval to lr, 0 to 1.
    """
    check(
        "piecewise_constant_values",
        total_steps,
        rebound_ratio=rebound_ratio,
        min_lr_ratio=min_lr_ratio,
    )
    boundaries = [max(1, round(fraction * total_steps)) for fraction in (0.1, 0.5, 0.6)]
    values = [1.0, 0.3, rebound_ratio, min_lr_ratio]
    scheduler = ResumableLambdaLR(optimizer, PiecewiseConstant(boundaries, values))
    scheduler.schedule = ("a piecewise constant learning rate", total_steps)
    return scheduler


def step_half_every_tenth(
    optimizer: Optimizer,
    total_steps: int,
    step_fraction: float = 0.1,
    gamma: float = 0.5,
) -> LRScheduler:
    """Step decay in ten stages.

    The learning rate is multiplied by ``gamma`` (0.5 by default) every
    ``step_fraction`` of training (one tenth by default). The schedule advances once per
    epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "step_half_every_tenth", total_steps, step_fraction=step_fraction, gamma=gamma
    )
    step_size = max(1, round(step_fraction * total_steps))
    scheduler = ResumableStepLR(optimizer, step_size=step_size, gamma=gamma)
    scheduler.schedule = ("step decay in ten stages", total_steps)
    return scheduler


def multistep_50_75(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.1
) -> LRScheduler:
    """Multi-step decay at 50% and 75%.

    The learning rate is multiplied by ``gamma`` at 50% and 75% of training. These are
    the milestones of DenseNet on CIFAR. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("multistep_50_75", total_steps, gamma=gamma)
    milestones = [max(1, round(fraction * total_steps)) for fraction in (0.5, 0.75)]
    scheduler = ResumableMultiStepLR(optimizer, milestones=milestones, gamma=gamma)
    scheduler.schedule = ("multi-step decay at 50% and 75%", total_steps)
    return scheduler


class StaircaseDecay:
    """Decay by ``gamma``, 300 times over ``total_steps`` at equal intervals."""

    def __init__(self, total_steps: int, gamma: float) -> None:
        self.total_steps = total_steps
        self.gamma = gamma

    def __call__(self, step: int) -> float:
        return self.gamma ** (300 * step // self.total_steps)


def step_mobilenetv3_0p973(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.973
) -> LRScheduler:
    """The staircase decay of MobileNetV3.

    The learning rate is multiplied by ``gamma`` 300 times at equal intervals over
    training, which is once every two epochs in the original recipe of 600 epochs. Over
    fewer epochs, several of these decays are applied at once. The schedule advances
    once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check("step_mobilenetv3_0p973", total_steps, gamma=gamma)
    scheduler = ResumableLambdaLR(optimizer, StaircaseDecay(total_steps, gamma))
    scheduler.schedule = ("the staircase decay of MobileNetV3", total_steps)
    return scheduler


class CosineStaircase:
    """Cosine decay in 8 stages, constant within each stage."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        stage = min(8 * step // self.total_steps, 7)
        cosine_decay = 0.5 * (1 + math.cos(math.pi * stage / 8))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine_decay


def cosine_staircase(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.0
) -> LRScheduler:
    """Cosine decay in eight stages.

    The learning rate decays from ``lr`` towards ``min_lr_ratio`` times ``lr`` in eight
    stages of equal length. Within each stage it is constant, at the value of cosine
    decay at the start of the stage. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the learning rate at the end of the full cosine decay to
            lr, 0 to 1.
    """
    check("cosine_staircase", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, CosineStaircase(total_steps, min_lr_ratio))
    scheduler.schedule = ("cosine decay in eight stages", total_steps)
    return scheduler


class LinearStaircase:
    """Linear decay in 10 stages, constant within each stage."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        stage = min(10 * step // self.total_steps, 9)
        linear_decay = 1 - stage / 10
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * linear_decay


def linear_staircase(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.0
) -> LRScheduler:
    """Linear decay in ten stages.

    The learning rate decays from ``lr`` towards ``min_lr_ratio`` times ``lr`` in ten
    stages of equal length. Within each stage it is constant, at the value of linear
    decay at the start of the stage. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the learning rate at the end of the full linear decay to
            lr, 0 to 1.
    """
    check("linear_staircase", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, LinearStaircase(total_steps, min_lr_ratio))
    scheduler.schedule = ("linear decay in ten stages", total_steps)
    return scheduler
