"""One-cycle and triangular schedules.

The learning rate increases to a peak and then decays, often far below its initial value
(https://arxiv.org/abs/1708.07120).
"""

import copy
import math
from itertools import pairwise
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from lrgen.schedules._resumable import ResumableLambdaLR
from lrgen.schedules.lookup import check


class OneCycleLRDefault(OneCycleLR):
    """One-cycle policy that keeps its final learning rate after ``total_steps``."""

    schedule: tuple[str, int]

    def get_lr(self) -> list[float | Tensor]:
        if self.last_epoch >= self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()

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


def OneCycleLR_default(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.3
) -> LRScheduler:
    """The one-cycle policy.

    The learning rate increases along a cosine from ``lr / 25`` to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to the initial learning
    rate divided by 10,000. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 0.9.
    """
    check("OneCycleLR_default", total_steps, warmup_fraction=warmup_fraction)
    pct_start = warmup_fraction
    if pct_start * total_steps == 1:  # OneCycleLR divides by zero here
        pct_start = min(1.0, 2 / total_steps)
    scheduler = OneCycleLRDefault(
        optimizer,
        # A resumed optimizer has the maxima already.
        max_lr=[
            float(group.get("max_lr", group["lr"])) for group in optimizer.param_groups
        ],
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy="cos",
        cycle_momentum=False,
        div_factor=25.0,
        final_div_factor=1e4,
    )
    scheduler.schedule = ("the one-cycle policy", total_steps)
    return scheduler


def OneCycleLR_aggressive(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """A linear one-cycle policy with an early peak.

    The learning rate increases linearly from ``lr / 10`` to ``lr`` over the first
    ``warmup_fraction`` of training, then decays linearly to the initial learning rate
    divided by 10,000. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 0.9.
    """
    check("OneCycleLR_aggressive", total_steps, warmup_fraction=warmup_fraction)
    pct_start = warmup_fraction
    if pct_start * total_steps == 1:  # OneCycleLR divides by zero here
        pct_start = min(1.0, 2 / total_steps)
    scheduler = OneCycleLRDefault(
        optimizer,
        # A resumed optimizer has the maxima already.
        max_lr=[
            float(group.get("max_lr", group["lr"])) for group in optimizer.param_groups
        ],
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy="linear",
        cycle_momentum=False,
        div_factor=10.0,
        final_div_factor=1e4,
    )
    scheduler.schedule = ("a linear one-cycle policy with an early peak", total_steps)
    return scheduler


def OneCycleLR_linear_anneal(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.3
) -> LRScheduler:
    """A linear one-cycle policy.

    The learning rate increases linearly from ``lr / 25`` to ``lr`` over the first
    ``warmup_fraction`` of training, then decays linearly to the initial learning rate
    divided by 10,000. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 0.9.
    """
    check("OneCycleLR_linear_anneal", total_steps, warmup_fraction=warmup_fraction)
    pct_start = warmup_fraction
    if pct_start * total_steps == 1:  # OneCycleLR divides by zero here
        pct_start = min(1.0, 2 / total_steps)
    scheduler = OneCycleLRDefault(
        optimizer,
        # A resumed optimizer has the maxima already.
        max_lr=[
            float(group.get("max_lr", group["lr"])) for group in optimizer.param_groups
        ],
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy="linear",
        cycle_momentum=False,
        div_factor=25.0,
        final_div_factor=1e4,
    )
    scheduler.schedule = ("a linear one-cycle policy", total_steps)
    return scheduler


def onecycle_three_phase(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.45
) -> LRScheduler:
    """A three-phase one-cycle policy.

    The learning rate increases linearly from ``lr / 10`` to ``lr`` over the first
    ``warmup_fraction`` of training and decays linearly back to ``lr / 10`` in as many
    steps. In the third phase, it decays linearly to the initial learning rate divided
    by 10,000. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in each of the first two phases, 0
            to 0.5.
    """
    check("onecycle_three_phase", total_steps, warmup_fraction=warmup_fraction)
    pct_start = warmup_fraction
    if pct_start * total_steps == 1:  # OneCycleLR divides by zero here
        pct_start = 2 / total_steps
    scheduler = OneCycleLRDefault(
        optimizer,
        # A resumed optimizer has the maxima already.
        max_lr=[
            float(group.get("max_lr", group["lr"])) for group in optimizer.param_groups
        ],
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy="linear",
        cycle_momentum=False,
        div_factor=10.0,
        final_div_factor=1e4,
        three_phase=True,
    )
    scheduler.schedule = ("a three-phase one-cycle policy", total_steps)
    return scheduler


class SlantedTriangle:
    """Linear warm-up from ``min_lr_ratio`` to 1, then linear decay back."""

    def __init__(
        self, total_steps: int, warmup_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            factor = step / self.warmup_steps
        else:
            decay_steps = max(1, self.total_steps - self.warmup_steps)
            factor = max(0, self.total_steps - step) / decay_steps
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * factor


def slanted_triangular(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    min_lr_ratio: float = 1 / 32,
) -> LRScheduler:
    """Slanted triangular learning rates.

    The learning rate increases linearly from ``min_lr_ratio`` times ``lr`` to ``lr``
    over the first ``warmup_fraction`` of training, then decays linearly back to its
    initial value. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the initial and final learning rate to lr, 0 to 1.
    """
    check(
        "slanted_triangular",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    schedule = SlantedTriangle(total_steps, warmup_steps, min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("slanted triangular learning rates", total_steps)
    return scheduler


class PiecewiseLinear:
    """Linear interpolation between milestones, given as (step, multiplier) pairs."""

    def __init__(self, milestones: list[tuple[int, float]]) -> None:
        self.milestones = milestones

    def __call__(self, step: int) -> float:
        for (start, initial), (end, final) in pairwise(self.milestones):
            if step < end:
                return initial + (final - initial) * (step - start) / (end - start)
        return self.milestones[-1][1]


def piecewise_linear_dawnbench(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.2,
    decay_fraction: float = 0.2,
    knee_lr_ratio: float = 0.1,
) -> LRScheduler:
    """Warm-up and two-stage linear decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays linearly to ``knee_lr_ratio`` times
    ``lr``. Over the last ``decay_fraction`` of training, it decays linearly to zero.
    The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the final decay, 0 to 1.
        knee_lr_ratio: ratio of the learning rate at the start of the final decay to lr,
            0 to 1.
    """
    check(
        "piecewise_linear_dawnbench",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
        knee_lr_ratio=knee_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    knee = max(warmup_steps, total_steps - decay_steps)
    milestones = [
        (0, 0.0),
        (warmup_steps, 1.0),
        (knee, knee_lr_ratio),
        (total_steps, 0.0),
    ]
    scheduler = ResumableLambdaLR(optimizer, PiecewiseLinear(milestones))
    scheduler.schedule = ("warm-up and two-stage linear decay", total_steps)
    return scheduler


class LatePeakTriangle:
    """Linear increase from ``min_lr_ratio`` to 1, then linear decay to zero."""

    def __init__(self, total_steps: int, peak_step: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.peak_step = peak_step
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.peak_step:
            factor = step / self.peak_step
            return self.min_lr_ratio + (1 - self.min_lr_ratio) * factor
        decay_steps = max(1, self.total_steps - self.peak_step)
        return max(0, self.total_steps - step) / decay_steps


def late_peak_triangle(
    optimizer: Optimizer,
    total_steps: int,
    peak_fraction: float = 0.7,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """A triangular schedule with a late peak.

    The learning rate increases linearly from ``min_lr_ratio`` times ``lr`` to ``lr``
    over the first ``peak_fraction`` of training, then decays linearly to zero. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        peak_fraction: fraction of training after which the learning rate peaks, 0 to 1.
        min_lr_ratio: ratio of the initial learning rate to lr, 0 to 1.
    """
    check(
        "late_peak_triangle",
        total_steps,
        peak_fraction=peak_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    peak_step = round(peak_fraction * total_steps)
    schedule = LatePeakTriangle(total_steps, peak_step, min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a triangular schedule with a late peak", total_steps)
    return scheduler


def two_peak_onecycle(
    optimizer: Optimizer,
    total_steps: int,
    valley_fraction: float = 0.6,
    min_lr_ratio: float = 0.1,
    second_peak_ratio: float = 0.5,
) -> LRScheduler:
    """Two triangular cycles, the second lower.

    Over the first ``valley_fraction`` of training, the learning rate increases linearly
    from ``min_lr_ratio`` times ``lr`` to ``lr`` and decays linearly back. Over the rest
    of training, it increases linearly to ``second_peak_ratio`` times ``lr`` and decays
    linearly to zero. Each cycle peaks at its midpoint. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        valley_fraction: fraction of training spent in the first cycle, 0 to 1.
        min_lr_ratio: ratio of the learning rate at the start and between the cycles to
            lr, 0 to 1.
        second_peak_ratio: ratio of the second peak to lr, 0 to 1.
    """
    check(
        "two_peak_onecycle",
        total_steps,
        valley_fraction=valley_fraction,
        min_lr_ratio=min_lr_ratio,
        second_peak_ratio=second_peak_ratio,
    )
    valley_step = round(valley_fraction * total_steps)
    milestones = [
        (0, min_lr_ratio),
        (valley_step // 2, 1.0),
        (valley_step, min_lr_ratio),
        ((valley_step + total_steps) // 2, second_peak_ratio),
        (total_steps, 0.0),
    ]
    scheduler = ResumableLambdaLR(optimizer, PiecewiseLinear(milestones))
    scheduler.schedule = ("two triangular cycles, the second lower", total_steps)
    return scheduler


def anneal_cosine(start: float, end: float, progress: float) -> float:
    """Cosine annealing from ``start`` to ``end`` as ``progress`` goes from 0 to 1."""
    return start + (end - start) * 0.5 * (1 - math.cos(math.pi * progress))


class OnecycleFastai:
    """Cosine warm-up over ``warmup_fraction`` of the steps, then cosine decay."""

    def __init__(self, total_steps: int, warmup_fraction: float) -> None:
        self.total_steps = total_steps
        self.warmup_fraction = warmup_fraction

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        if progress < self.warmup_fraction:
            return anneal_cosine(1 / 25, 1.0, progress / self.warmup_fraction)
        decay_fraction = 1 - self.warmup_fraction
        decay_progress = (progress - self.warmup_fraction) / decay_fraction
        return anneal_cosine(1.0, 1e-5, decay_progress)


def onecycle_fastai(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.25
) -> LRScheduler:
    """Fastai's one-cycle policy.

    The learning rate increases along a cosine from ``lr / 25`` to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``lr / 1e5`` at the
    end of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 0.9.
    """
    check("onecycle_fastai", total_steps, warmup_fraction=warmup_fraction)
    scheduler = ResumableLambdaLR(
        optimizer, OnecycleFastai(total_steps, warmup_fraction)
    )
    scheduler.schedule = ("fastai's one-cycle policy", total_steps)
    return scheduler


def onecycle_linear_annihilation(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.3,
    decay_fraction: float = 0.15,
) -> LRScheduler:
    """A linear one-cycle policy with annihilation.

    The learning rate increases linearly from ``lr / 25`` to ``lr`` over the first
    ``warmup_fraction`` of training, then decays linearly back to its initial value. In
    the annihilation phase, the last ``decay_fraction`` of training, it decays linearly
    to the initial learning rate divided by 10,000. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_fraction: fraction of training spent in the annihilation phase, 0 to 1.
    """
    check(
        "onecycle_linear_annihilation",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    cycle_end = max(warmup_steps, total_steps - decay_steps)
    initial = 1 / 25
    final = initial / 1e4
    milestones = [
        (0, initial),
        (warmup_steps, 1.0),
        (cycle_end, initial),
        (total_steps, final),
    ]
    scheduler = ResumableLambdaLR(optimizer, PiecewiseLinear(milestones))
    scheduler.schedule = ("a linear one-cycle policy with annihilation", total_steps)
    return scheduler


class CycleThenDecay:
    """Triangular cycle from ``min_lr_ratio`` to 1 and back, then inverse time decay."""

    def __init__(
        self,
        half_cycle_steps: int,
        interval_steps: int,
        min_lr_ratio: float,
        decay_rate: float,
    ) -> None:
        self.half_cycle_steps = half_cycle_steps
        self.interval_steps = interval_steps
        self.min_lr_ratio = min_lr_ratio
        self.decay_rate = decay_rate

    def __call__(self, step: int) -> float:
        if step < 2 * self.half_cycle_steps:
            progress = 1 - abs(step / self.half_cycle_steps - 1)
            return self.min_lr_ratio + (1 - self.min_lr_ratio) * progress
        intervals = (step - 2 * self.half_cycle_steps) / self.interval_steps
        return self.min_lr_ratio / (1 + self.decay_rate * intervals)


def onecycle_deepspeed(
    optimizer: Optimizer,
    total_steps: int,
    half_cycle_fraction: float = 0.3,
    min_lr_ratio: float = 0.1,
    decay_rate: float = 0.5,
) -> LRScheduler:
    """A triangular cycle and inverse time decay.

    The learning rate increases linearly from ``min_lr_ratio`` times ``lr`` to ``lr``
    over ``half_cycle_fraction`` of training and decays linearly back in as many steps.
    After this cycle, it follows inverse time decay: it is divided by ``1 + decay_rate *
    x``, where ``x`` is the time since the cycle in units of 5% of training. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
        min_lr_ratio: ratio of the learning rate at both ends of the cycle to lr, 0 to
            1.
        decay_rate: increase of the divisor per 5% of training, 0 to 1.
    """
    check(
        "onecycle_deepspeed",
        total_steps,
        half_cycle_fraction=half_cycle_fraction,
        min_lr_ratio=min_lr_ratio,
        decay_rate=decay_rate,
    )
    schedule = CycleThenDecay(
        half_cycle_steps=max(1, round(half_cycle_fraction * total_steps)),
        interval_steps=max(1, round(0.05 * total_steps)),
        min_lr_ratio=min_lr_ratio,
        decay_rate=decay_rate,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("a triangular cycle and inverse time decay", total_steps)
    return scheduler
