"""Composed and layer-wise schedules.

Schedules in sequence, products of schedules, and schedules per layer.
"""

import copy
import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    StepLR,
)
from torch.optim.optimizer import ParamsT

from lrgen.schedules._resumable import (
    ResumableChainedScheduler,
    ResumableLambdaLR,
    ResumableSequentialLR,
)
from lrgen.schedules.lookup import check


class CosineDecay(CosineAnnealingLR):
    """Cosine annealing that stays at zero after ``T_max`` steps."""

    def get_lr(self) -> list[float | Tensor]:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def ChainedScheduler_step_then_cosine(
    optimizer: Optimizer,
    total_steps: int,
    step_fraction: float = 1 / 3,
    gamma: float = 0.1,
) -> LRScheduler:
    """Step decay multiplied by cosine decay.

    The learning rate decays to zero along a cosine and is also multiplied by ``gamma``
    after every ``step_fraction`` of training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "ChainedScheduler_step_then_cosine",
        total_steps,
        step_fraction=step_fraction,
        gamma=gamma,
    )
    step_size = max(1, round(step_fraction * total_steps))
    step_decay = StepLR(optimizer, step_size=step_size, gamma=gamma)
    cosine_decay = CosineDecay(optimizer, T_max=total_steps)
    scheduler = ResumableChainedScheduler([step_decay, cosine_decay])
    scheduler.schedule = ("step decay multiplied by cosine decay", total_steps)
    return scheduler


def SequentialLR_warmup_decay(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    step_fraction: float = 0.3,
    gamma: float = 0.1,
) -> LRScheduler:
    """Linear warm-up and step decay.

    The learning rate increases linearly from 10% of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training, then is multiplied by ``gamma`` after every
    ``step_fraction`` of training. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        step_fraction: fraction of training between two decays, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "SequentialLR_warmup_decay",
        total_steps,
        warmup_fraction=warmup_fraction,
        step_fraction=step_fraction,
        gamma=gamma,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    step_size = max(1, round(step_fraction * total_steps))
    warmup = LinearLR(optimizer, start_factor=0.1, total_iters=warmup_steps)
    decay = StepLR(optimizer, step_size=step_size, gamma=gamma)
    scheduler = ResumableSequentialLR(
        optimizer, [warmup, decay], milestones=[warmup_steps]
    )
    scheduler.schedule = ("linear warm-up and step decay", total_steps)
    return scheduler


class CosineAnnealToConstant:
    """Cosine decay until step ``anneal_start``, then a second cosine to a constant."""

    def __init__(
        self,
        total_steps: int,
        anneal_start: int,
        anneal_steps: int,
        final_lr_ratio: float,
    ) -> None:
        self.total_steps = total_steps
        self.anneal_start = anneal_start
        self.anneal_steps = anneal_steps
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        decay = self.cosine(min(step, self.anneal_start) / self.total_steps)
        anneal_progress = max(0, step - self.anneal_start) / self.anneal_steps
        weight = self.cosine(min(1.0, anneal_progress))
        return weight * decay + (1 - weight) * self.final_lr_ratio

    def cosine(self, progress: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * progress))


def cosine_anneal_to_constant(
    optimizer: Optimizer,
    total_steps: int,
    anneal_start_fraction: float = 0.75,
    final_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Cosine decay, then a constant learning rate.

    The learning rate decays along a cosine that would reach zero at the end of
    training. From ``anneal_start_fraction`` of training on, it is annealed along a
    second cosine to a constant, ``final_lr_ratio`` times ``lr``, over 10% of training.
    Stochastic weight averaging (SWA) uses such a constant learning rate; here no
    weights are averaged. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        anneal_start_fraction: fraction of training after which the annealing starts, 0
            to 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "cosine_anneal_to_constant",
        total_steps,
        anneal_start_fraction=anneal_start_fraction,
        final_lr_ratio=final_lr_ratio,
    )
    anneal_steps = max(1, round(0.1 * total_steps))
    anneal_start = max(1, round(anneal_start_fraction * total_steps))
    anneal_start = min(anneal_start, total_steps - anneal_steps)
    schedule = CosineAnnealToConstant(
        total_steps, anneal_start, anneal_steps, final_lr_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("cosine decay, then a constant learning rate", total_steps)
    return scheduler


class WarmupAnnealToConstant:
    """Linear warm-up; from ``anneal_start`` on, linear decay to a lower constant."""

    def __init__(
        self,
        warmup_steps: int,
        anneal_start: int,
        anneal_steps: int,
        final_lr_ratio: float,
    ) -> None:
        self.warmup_steps = warmup_steps
        self.anneal_start = anneal_start
        self.anneal_steps = anneal_steps
        self.final_lr_ratio = final_lr_ratio

    def __call__(self, step: int) -> float:
        warmup_progress = min(1.0, min(step, self.anneal_start) / self.warmup_steps)
        warmup = 0.1 + (1 - 0.1) * warmup_progress
        anneal_progress = min(1.0, max(0, step - self.anneal_start) / self.anneal_steps)
        return warmup + anneal_progress * (self.final_lr_ratio - warmup)


def warmup_anneal_to_constant(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.2,
    anneal_start_fraction: float = 0.75,
    final_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Linear warm-up and annealing to a constant.

    The learning rate increases linearly from 10% of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training and stays constant until ``anneal_start_fraction``
    of training. It is then annealed linearly to a constant, ``final_lr_ratio`` times
    ``lr``, over 10% of training. Stochastic weight averaging (SWA) uses such a constant
    learning rate; here no weights are averaged. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        anneal_start_fraction: fraction of training after which the annealing starts, 0
            to 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "warmup_anneal_to_constant",
        total_steps,
        warmup_fraction=warmup_fraction,
        anneal_start_fraction=anneal_start_fraction,
        final_lr_ratio=final_lr_ratio,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    anneal_steps = max(1, round(0.1 * total_steps))
    anneal_start = max(1, round(anneal_start_fraction * total_steps))
    anneal_start = min(anneal_start, total_steps - anneal_steps)
    schedule = WarmupAnnealToConstant(
        warmup_steps, anneal_start, anneal_steps, final_lr_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("linear warm-up and annealing to a constant", total_steps)
    return scheduler


class ChebyshevFractal:
    """Reciprocal Chebyshev nodes in fractal order, each for 1/16 of training."""

    def __init__(self, total_steps: int, min_curvature_ratio: float) -> None:
        self.total_steps = total_steps
        center = (1 + min_curvature_ratio) / 2
        radius = (1 - min_curvature_ratio) / 2
        order = [0]
        while len(order) < 16:
            # Each node precedes its mirror image, so large steps do not accumulate.
            order = [k for node in order for k in (node, 2 * len(order) - 1 - node)]
        nodes = [center - radius * math.cos(math.pi * (k + 0.5) / 16) for k in order]
        self.multipliers = [min(nodes) / node for node in nodes]

    def __call__(self, step: int) -> float:
        index = 16 * step // self.total_steps
        return self.multipliers[min(index, 15)]


def chebyshev_fractal(
    optimizer: Optimizer, total_steps: int, min_curvature_ratio: float = 0.05
) -> LRScheduler:
    """The fractal Chebyshev schedule.

    The learning rate takes 16 values, each for one sixteenth of training. They are the
    reciprocals of the Chebyshev nodes of the interval from ``min_curvature_ratio`` to
    one, scaled to a maximum of ``lr``, in a fractal order in which small steps
    compensate for large ones. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_curvature_ratio: ratio of the minimum curvature to the maximum curvature, 0
            to 1.
    """
    check("chebyshev_fractal", total_steps, min_curvature_ratio=min_curvature_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, ChebyshevFractal(total_steps, min_curvature_ratio)
    )
    scheduler.schedule = ("the fractal Chebyshev schedule", total_steps)
    return scheduler


class NoisyCosine:
    """Cosine decay with uniform noise between ``noise_start`` and ``noise_end``."""

    def __init__(
        self, total_steps: int, noise_start: float, noise_end: float, noise_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.noise_start = noise_start
        self.noise_end = noise_end
        self.noise_ratio = noise_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        if self.noise_start <= step < self.noise_end:
            return cosine * (1 + self.noise(step))
        return cosine

    def noise(self, step: int) -> float:
        # Seeded with the step, so that a resumed run has the same noise.
        generator = torch.Generator().manual_seed(42 + step)
        return 2 * (torch.rand(1, generator=generator).item() - 0.5) * self.noise_ratio


def cosine_noise_window(
    optimizer: Optimizer,
    total_steps: int,
    noise_start_fraction: float = 0.5,
    noise_ratio: float = 0.67,
) -> LRScheduler:
    """Cosine decay and learning rate noise.

    The learning rate decays to zero along a cosine. From ``noise_start_fraction`` to
    90% of training, uniform noise changes the learning rate of each epoch by at most
    ``noise_ratio`` of its value. The noise is seeded with the epoch and is the same in
    every run. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        noise_start_fraction: fraction of training after which the noise starts, 0.5 to
            1.
        noise_ratio: ratio of the maximum noise to the learning rate, 0 to 1.
    """
    check(
        "cosine_noise_window",
        total_steps,
        noise_start_fraction=noise_start_fraction,
        noise_ratio=noise_ratio,
    )
    noise_start = noise_start_fraction * total_steps
    noise_end = 0.9 * total_steps
    schedule = NoisyCosine(total_steps, noise_start, noise_end, noise_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("cosine decay and learning rate noise", total_steps)
    return scheduler


def warmup_times_exponential(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.2,
    final_lr_ratio: float = 0.02,
) -> LRScheduler:
    """Warm-up multiplied by exponential decay.

    The learning rate is the product of two factors: a linear warm-up from 10% of ``lr``
    to ``lr`` over the first ``warmup_fraction`` of training, and exponential decay from
    one to ``final_lr_ratio`` over all of training. The schedule advances once per
    epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "warmup_times_exponential",
        total_steps,
        warmup_fraction=warmup_fraction,
        final_lr_ratio=final_lr_ratio,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    gamma = final_lr_ratio ** (1 / total_steps)
    warmup = LinearLR(optimizer, start_factor=0.1, total_iters=warmup_steps)
    decay = ExponentialLR(optimizer, gamma=gamma)
    scheduler = ResumableChainedScheduler([warmup, decay])
    scheduler.schedule = ("warm-up multiplied by exponential decay", total_steps)
    return scheduler


class WarmupHoldStepCosine:
    """Cosine decay from ``scale`` to zero over ``steps`` steps."""

    def __init__(self, scale: float, steps: int) -> None:
        self.scale = scale
        self.steps = steps

    def __call__(self, step: int) -> float:
        progress = min(step, self.steps) / max(1, self.steps)
        return self.scale * 0.5 * (1 + math.cos(math.pi * progress))


def warmup_hold_step_cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    milestone_fraction: float = 0.3,
    gamma: float = 0.3,
) -> LRScheduler:
    """Warm-up, step decay and cosine decay.

    The learning rate increases linearly from 10% of ``lr`` to ``lr`` over the first
    ``warmup_fraction`` of training, stays constant until ``milestone_fraction`` of
    training and is then multiplied by ``gamma``. From 60% of training on, it decays to
    zero along a cosine. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        milestone_fraction: fraction of training after which the learning rate is
            multiplied by gamma, 0 to 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
    """
    check(
        "warmup_hold_step_cosine",
        total_steps,
        warmup_fraction=warmup_fraction,
        milestone_fraction=milestone_fraction,
        gamma=gamma,
    )
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    milestone = max(warmup_steps, round(milestone_fraction * total_steps))
    cosine_start = max(milestone, round(0.6 * total_steps))
    # CosineAnnealingLR would start from the base learning rate, not the reduced one.
    cosine = WarmupHoldStepCosine(gamma, total_steps - cosine_start)
    schedulers: list[LRScheduler] = [
        LinearLR(optimizer, start_factor=0.1, total_iters=warmup_steps),
        ConstantLR(optimizer, factor=1.0),
        ConstantLR(optimizer, factor=gamma, total_iters=total_steps),
        LambdaLR(optimizer, cosine),
    ]
    scheduler = ResumableSequentialLR(
        optimizer, schedulers, milestones=[warmup_steps, milestone, cosine_start]
    )
    scheduler.schedule = ("warm-up, step decay and cosine decay", total_steps)
    return scheduler


def cosine_anneal_to_half(
    optimizer: Optimizer,
    total_steps: int,
    anneal_start_fraction: float = 0.75,
    final_lr_ratio: float = 0.5,
) -> LRScheduler:
    """Cosine decay, then half the base learning rate.

    The learning rate decays along a cosine that would reach zero at the end of
    training. From ``anneal_start_fraction`` of training on, it is annealed along a
    second cosine to a constant, ``final_lr_ratio`` times ``lr``, over 5% of training.
    Stochastic weight averaging (SWA) uses such a constant learning rate; here no
    weights are averaged. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        anneal_start_fraction: fraction of training after which the annealing starts, 0
            to 1.
        final_lr_ratio: ratio of the final learning rate to lr, 0 to 1.
    """
    check(
        "cosine_anneal_to_half",
        total_steps,
        anneal_start_fraction=anneal_start_fraction,
        final_lr_ratio=final_lr_ratio,
    )
    anneal_steps = max(1, round(0.05 * total_steps))
    anneal_start = max(1, round(anneal_start_fraction * total_steps))
    anneal_start = min(anneal_start, total_steps - anneal_steps)
    schedule = CosineAnnealToConstant(
        total_steps, anneal_start, anneal_steps, final_lr_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("cosine decay, then half the base learning rate", total_steps)
    return scheduler


def end_slope(
    width: float, next_width: float, secant: float, next_secant: float
) -> float:
    """One-sided three-point estimate of the slope, at most zero."""
    slope = (2 * width + next_width) * secant - width * next_secant
    return min(0.0, slope / (width + next_width))


def pchip_slopes(knots: list[float], values: list[float]) -> list[float]:
    """Slopes of the monotone cubic Hermite spline through decreasing values (PCHIP)."""
    widths = [right - left for left, right in pairwise(knots)]
    secants = [
        (right - left) / width for (left, right), width in zip(pairwise(values), widths)
    ]
    slopes = [end_slope(widths[0], widths[1], secants[0], secants[1])]
    for (width, next_width), (secant, next_secant) in zip(
        pairwise(widths), pairwise(secants)
    ):
        if secant == 0 or next_secant == 0:
            slopes.append(0.0)
        else:
            # Weighted harmonic mean of the secants on both sides.
            weight, next_weight = width + 2 * next_width, 2 * width + next_width
            slopes.append(
                3 * (width + next_width) / (weight / secant + next_weight / next_secant)
            )
    slopes.append(end_slope(widths[-1], widths[-2], secants[-1], secants[-2]))
    return slopes


class WarmupSpline:
    """Linear warm-up, then a monotone cubic spline through ``values`` at ``knots``."""

    def __init__(
        self,
        total_steps: int,
        warmup_steps: int,
        knots: list[float],
        values: list[float],
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.knots = knots
        self.values = values
        self.slopes = pchip_slopes(knots, values)

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        right = bisect_right(self.knots, progress, hi=len(self.knots) - 1)
        left = right - 1
        width = self.knots[right] - self.knots[left]
        x = (progress - self.knots[left]) / width
        return (
            (1 + 2 * x) * (1 - x) ** 2 * self.values[left]
            + x * (1 - x) ** 2 * width * self.slopes[left]
            + x**2 * (3 - 2 * x) * self.values[right]
            - x**2 * (1 - x) * width * self.slopes[right]
        )


def spline(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    first_knot_ratio: float = 0.7,
    second_knot_ratio: float = 0.2,
) -> LRScheduler:
    """Warm-up and monotone spline decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a monotone cubic spline
    with two inner knots. It is ``first_knot_ratio`` times ``lr`` at the first knot,
    after 40% of the decay, and ``second_knot_ratio`` times that value at the second
    knot, after 75%. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        first_knot_ratio: ratio of the learning rate at the first knot to lr, 0 to 1.
        second_knot_ratio: ratio of the learning rate at the second knot to that at the
            first, 0 to 1.
    """
    check(
        "spline",
        total_steps,
        warmup_fraction=warmup_fraction,
        first_knot_ratio=first_knot_ratio,
        second_knot_ratio=second_knot_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    first_value = first_knot_ratio
    second_value = second_knot_ratio * first_value
    knots = [0.0, 0.4, 0.75, 1.0]
    values = [1.0, first_value, second_value, 0.0]
    scheduler = ResumableLambdaLR(
        optimizer, WarmupSpline(total_steps, warmup_steps, knots, values)
    )
    scheduler.schedule = ("warm-up and monotone spline decay", total_steps)
    return scheduler


class LayerwiseDecayCosine:
    """Linear warm-up from zero to ``scale``, then cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, scale: float) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.scale = scale

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.scale * step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        return self.scale * 0.5 * (1 + math.cos(math.pi * progress))


def layerwise_decay_cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    layer_decay: float = 0.75,
) -> LRScheduler:
    """Layer-wise LR decay and cosine decay.

    The learning rate of the last layer increases linearly from zero to ``lr`` over the
    first ``warmup_fraction`` of training, then decays to zero along a cosine. Each
    earlier layer has ``layer_decay`` times the learning rate of the next one. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        layer_decay: ratio of the learning rate of each layer to that of the next, 0 to
            1.
    """
    check(
        "layerwise_decay_cosine",
        total_steps,
        warmup_fraction=warmup_fraction,
        layer_decay=layer_decay,
    )
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    warmup_steps = round(warmup_fraction * total_steps)
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    scales = [layer_decay ** (max(depths) - depth) for depth in depths]
    scheduler = ResumableLambdaLR(
        optimizer,
        [LayerwiseDecayCosine(total_steps, warmup_steps, scale) for scale in scales],
    )
    scheduler.schedule = ("layer-wise LR decay and cosine decay", total_steps)
    return scheduler


class ScaledTriangle:
    """Slanted triangle between ``min_lr_ratio * scale`` and ``scale``."""

    def __init__(
        self, total_steps: int, warmup_steps: int, min_lr_ratio: float, scale: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.min_lr_ratio = min_lr_ratio
        self.scale = scale

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            factor = step / self.warmup_steps
        else:
            decay_steps = max(1, self.total_steps - self.warmup_steps)
            factor = max(0, self.total_steps - step) / decay_steps
        return self.scale * (self.min_lr_ratio + (1 - self.min_lr_ratio) * factor)


def discriminative_slanted_triangular(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    min_lr_ratio: float = 1 / 32,
    layer_decay: float = 10 / 26,
) -> LRScheduler:
    """A layer-wise slanted triangular schedule.

    The learning rate of the last layer increases linearly from ``min_lr_ratio`` times
    ``lr`` to ``lr`` over the first ``warmup_fraction`` of training, then decays
    linearly back to its initial value. Each earlier layer has ``layer_decay`` times the
    learning rate of the next one. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the initial and final learning rate to the maximum, 0 to
            1.
        layer_decay: ratio of the learning rate of each layer to that of the next, 0 to
            1.
    """
    check(
        "discriminative_slanted_triangular",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
        layer_decay=layer_decay,
    )
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    warmup_steps = round(warmup_fraction * total_steps)
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    scales = [layer_decay ** (max(depths) - depth) for depth in depths]
    scheduler = ResumableLambdaLR(
        optimizer,
        [
            ScaledTriangle(total_steps, warmup_steps, min_lr_ratio, scale)
            for scale in scales
        ],
    )
    scheduler.schedule = ("a layer-wise slanted triangular schedule", total_steps)
    return scheduler


class UnfrozenCosine:
    """Cosine decay from one to zero, but zero before ``unfreeze_step``."""

    def __init__(self, total_steps: int, unfreeze_step: int) -> None:
        self.total_steps = total_steps
        self.unfreeze_step = unfreeze_step

    def __call__(self, step: int) -> float:
        if step < self.unfreeze_step:
            return 0.0
        progress = min(step / self.total_steps, 1.0)
        return 0.5 * (1 + math.cos(math.pi * progress))


def gradual_unfreezing(
    optimizer: Optimizer, total_steps: int, unfreeze_fraction: float = 0.5
) -> LRScheduler:
    """Gradual unfreezing and cosine decay.

    The learning rate decays from ``lr`` to zero along a cosine, and is zero for layers
    that are still frozen. The last layer is trained from the start; the earlier layers
    are unfrozen one by one at equal intervals, ending with the first layer at
    ``unfreeze_fraction`` of training. Frozen layers only have a learning rate of zero:
    they still get gradients, and batch norm still updates its statistics. The schedule
    advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        unfreeze_fraction: fraction of training after which the first layer is unfrozen,
            0 to 1.
    """
    check("gradual_unfreezing", total_steps, unfreeze_fraction=unfreeze_fraction)
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    last_unfreeze_step = unfreeze_fraction * total_steps
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    deepest = max(depths)
    unfreeze_steps = [
        round(last_unfreeze_step * (deepest - depth) / max(1, deepest))
        for depth in depths
    ]
    scheduler = ResumableLambdaLR(
        optimizer, [UnfrozenCosine(total_steps, step) for step in unfreeze_steps]
    )
    scheduler.schedule = ("gradual unfreezing and cosine decay", total_steps)
    return scheduler


class FreezingCosine:
    """Cosine decay from one to zero at ``freeze_step``, then zero."""

    def __init__(self, freeze_step: float) -> None:
        self.freeze_step = freeze_step

    def __call__(self, step: int) -> float:
        if step >= self.freeze_step:
            return 0.0
        return 0.5 * (1 + math.cos(math.pi * step / self.freeze_step))


def freezeout_cubic(
    optimizer: Optimizer, total_steps: int, t_0: float = 0.8
) -> LRScheduler:
    """Cubic FreezeOut and cosine annealing.

    The learning rate of each layer is annealed from ``lr`` to zero along its own
    cosine, after which the layer is frozen. The first layer is frozen at ``t_0**3`` of
    training, the last layer at the end, and the layers between them at the cubes of
    evenly spaced values. Frozen layers only have a learning rate of zero: they still
    get gradients, and batch norm still updates its statistics. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        t_0: cube root of the fraction of training after which the first layer is
            frozen, 0 to 1.
    """
    check("freezeout_cubic", total_steps, t_0=t_0)
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    deepest = max(depths)
    # The last layer has t_i = 1, even if it is the only one.
    relative_depths = [depth / deepest if deepest else 1.0 for depth in depths]
    fractions = [t_0 + (1 - t_0) * relative_depth for relative_depth in relative_depths]
    scheduler = ResumableLambdaLR(
        optimizer, [FreezingCosine(t_i**3 * total_steps) for t_i in fractions]
    )
    scheduler.schedule = ("cubic FreezeOut and cosine annealing", total_steps)
    return scheduler


class ScheduleFreeSGD(Optimizer):
    """Schedule-Free SGD of Defazio et al. (2024), in their notation.

    A step updates z, x is a weighted average of z, and gradients are computed at
    y = (1 - momentum) * z + momentum * x. The parameters hold y after ``train()``
    and x, which is evaluated and saved, after ``eval()``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"lr_max": 0.0, "weight_sum": 0.0})

    @torch.no_grad()
    def train(self) -> None:
        """Set the parameters to y."""
        for group in self.param_groups:
            for param in group["params"]:
                if param in self.state:
                    x, z = self.state[param]["x"], self.state[param]["z"]
                    param.copy_(z.lerp(x, group["momentum"]))

    @torch.no_grad()
    def eval(self) -> None:
        """Set the parameters to x."""
        for group in self.param_groups:
            for param in group["params"]:
                if param in self.state:
                    param.copy_(self.state[param]["x"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr = float(group["lr"])  # a scheduler may set a tensor
            # The average weights a step by the square of the maximum lr so far.
            group["lr_max"] = max(group["lr_max"], lr)
            weight = group["lr_max"] ** 2
            group["weight_sum"] += weight
            c = weight / group["weight_sum"] if weight else 0.0
            for param in group["params"]:
                if param.grad is None:
                    continue
                grad, state = param.grad, self.state[param]
                if not state:
                    state["x"], state["z"] = param.clone(), param.clone()
                update = grad + group["weight_decay"] * param
                state["z"].sub_(update, alpha=lr)
                state["x"].lerp_(state["z"], c)
                param.copy_(state["z"].lerp(state["x"], group["momentum"]))
        return loss


class Warmup:
    """Linear warm-up to one over ``warmup_steps`` steps, then constant."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.warmup_steps)


def schedule_free_sgd(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.03
) -> LRScheduler:
    """Schedule-Free SGD and linear warm-up.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, then stays constant. Instead of decaying the learning rate, Schedule-Free
    SGD averages the weights for evaluation. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("schedule_free_sgd", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, Warmup(warmup_steps))
    scheduler.schedule = ("Schedule-Free SGD and linear warm-up", total_steps)
    return scheduler


class ScheduleFreeAdamW(Optimizer):
    """Schedule-Free AdamW of Defazio et al. (2024), in their notation.

    A step updates z, x is a weighted average of z, and gradients are computed at
    y = (1 - momentum) * z + momentum * x. The parameters hold y after ``train()``
    and x, which is evaluated and saved, after ``eval()``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"beta2": beta2, "eps": eps, "step": 0}
        super().__init__(params, defaults | {"lr_max": 0.0, "weight_sum": 0.0})

    @torch.no_grad()
    def train(self) -> None:
        """Set the parameters to y."""
        for group in self.param_groups:
            for param in group["params"]:
                if param in self.state:
                    x, z = self.state[param]["x"], self.state[param]["z"]
                    param.copy_(z.lerp(x, group["momentum"]))

    @torch.no_grad()
    def eval(self) -> None:
        """Set the parameters to x."""
        for group in self.param_groups:
            for param in group["params"]:
                if param in self.state:
                    param.copy_(self.state[param]["x"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr = float(group["lr"])  # a scheduler may set a tensor
            # The average weights a step by the square of the maximum lr so far.
            group["lr_max"] = max(group["lr_max"], lr)
            weight = group["lr_max"] ** 2
            group["weight_sum"] += weight
            c = weight / group["weight_sum"] if weight else 0.0
            group["step"] += 1
            beta2 = group["beta2"]
            bias_correction2 = 1 - beta2 ** group["step"]
            for param in group["params"]:
                if param.grad is None:
                    continue
                grad, state = param.grad, self.state[param]
                if not state:
                    state["x"], state["z"] = param.clone(), param.clone()
                    state["exp_avg_sq"] = torch.zeros_like(param)
                exp_avg_sq = state["exp_avg_sq"]
                exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                denom = (exp_avg_sq / bias_correction2).sqrt() + group["eps"]
                update = grad / denom + group["weight_decay"] * param
                state["z"].sub_(update, alpha=lr)
                state["x"].lerp_(state["z"], c)
                param.copy_(state["z"].lerp(state["x"], group["momentum"]))
        return loss


def schedule_free_adamw(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.02
) -> LRScheduler:
    """Schedule-Free AdamW and linear warm-up.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, then stays constant. Instead of decaying the learning rate, Schedule-Free
    AdamW averages the weights for evaluation. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("schedule_free_adamw", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = max(1, round(warmup_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, Warmup(warmup_steps))
    scheduler.schedule = ("Schedule-Free AdamW and linear warm-up", total_steps)
    return scheduler
