"""Cyclical learning rates.

The learning rate cycles between two bounds (https://arxiv.org/abs/1506.01186).
"""

import copy
import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from lrgen.schedules._resumable import ResumableCyclicLR, ResumableLambdaLR
from lrgen.schedules.lookup import check


def CyclicLR_triangular(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.1,
) -> LRScheduler:
    """A triangular cyclical learning rate.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles linearly
    between this minimum and ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "CyclicLR_triangular",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    max_lrs = [float(group["lr"]) for group in optimizer.param_groups]
    scheduler = ResumableCyclicLR(
        optimizer,
        base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs],
        max_lr=max_lrs,
        step_size_up=max(1, round(half_cycle_fraction * total_steps)),
        mode="triangular",
        cycle_momentum=False,
    )
    scheduler.schedule = ("a triangular cyclical learning rate", total_steps)
    return scheduler


def halved(cycle: float) -> float:
    return 0.5 ** (cycle - 1)


def CyclicLR_triangular2(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.1,
) -> LRScheduler:
    """Triangular cycles of halving amplitude.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles linearly
    between this minimum and ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. The amplitude is halved after each cycle. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "CyclicLR_triangular2",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    max_lrs = [float(group["lr"]) for group in optimizer.param_groups]
    scheduler = ResumableCyclicLR(
        optimizer,
        base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs],
        max_lr=max_lrs,
        step_size_up=max(1, round(half_cycle_fraction * total_steps)),
        # mode="triangular2" raises an OverflowError after 1024 cycles.
        scale_fn=halved,
        cycle_momentum=False,
    )
    scheduler.schedule = ("triangular cycles of halving amplitude", total_steps)
    return scheduler


def CyclicLR_exp_range(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.1,
    final_amplitude_ratio: float = 0.01,
) -> LRScheduler:
    """Triangular cycles of decaying amplitude.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles linearly
    between this minimum and ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. Over training, the amplitude decays exponentially to
    ``final_amplitude_ratio`` times its initial value. The schedule advances once per
    batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
        final_amplitude_ratio: ratio of the final amplitude to the initial amplitude, 0
            to 1.
    """
    check(
        "CyclicLR_exp_range",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
        final_amplitude_ratio=final_amplitude_ratio,
    )
    max_lrs = [float(group["lr"]) for group in optimizer.param_groups]
    scheduler = ResumableCyclicLR(
        optimizer,
        base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs],
        max_lr=max_lrs,
        step_size_up=max(1, round(half_cycle_fraction * total_steps)),
        mode="exp_range",
        gamma=final_amplitude_ratio ** (1 / total_steps),
        cycle_momentum=False,
    )
    scheduler.schedule = ("triangular cycles of decaying amplitude", total_steps)
    return scheduler


def CyclicLR_small_cycle(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.05,
) -> LRScheduler:
    """Short triangular cycles.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles linearly
    between this minimum and ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "CyclicLR_small_cycle",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    max_lrs = [float(group["lr"]) for group in optimizer.param_groups]
    scheduler = ResumableCyclicLR(
        optimizer,
        base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs],
        max_lr=max_lrs,
        step_size_up=max(1, round(half_cycle_fraction * total_steps)),
        mode="triangular",
        cycle_momentum=False,
    )
    scheduler.schedule = ("short triangular cycles", total_steps)
    return scheduler


def cyclic_asymmetric(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    cycle_fraction: float = 0.2,
    rise_fraction: float = 0.15,
) -> LRScheduler:
    """Asymmetric triangular cycles.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles linearly
    between this minimum and ``lr``. Each cycle takes ``cycle_fraction`` of training;
    its increasing phase takes ``rise_fraction`` of the cycle. The schedule advances
    once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        rise_fraction: fraction of each cycle spent in the increasing phase, 0 to 1.
    """
    check(
        "cyclic_asymmetric",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        cycle_fraction=cycle_fraction,
        rise_fraction=rise_fraction,
    )
    max_lrs = [float(group["lr"]) for group in optimizer.param_groups]
    cycle_steps = round(cycle_fraction * total_steps)
    step_size_up = max(1, round(rise_fraction * cycle_steps))
    scheduler = ResumableCyclicLR(
        optimizer,
        base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs],
        max_lr=max_lrs,
        step_size_up=step_size_up,
        step_size_down=max(1, cycle_steps - step_size_up),
        cycle_momentum=False,
    )
    scheduler.schedule = ("asymmetric triangular cycles", total_steps)
    return scheduler


class SineWave:
    """Sinusoidal cycles between ``min_lr_ratio`` and one, starting at the minimum."""

    def __init__(self, half_cycle_steps: int, min_lr_ratio: float) -> None:
        self.half_cycle_steps = half_cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        height = 0.5 * (1 - math.cos(math.pi * step / self.half_cycle_steps))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * height


def cyclic_sinusoidal(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.1,
) -> LRScheduler:
    """A sinusoidal cyclical learning rate.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and oscillates
    sinusoidally between this minimum and ``lr``. Each half-cycle takes
    ``half_cycle_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "cyclic_sinusoidal",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    half_cycle_steps = max(1, round(half_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, SineWave(half_cycle_steps, min_lr_ratio))
    scheduler.schedule = ("a sinusoidal cyclical learning rate", total_steps)
    return scheduler


class ParabolicWave:
    """Parabolic cycles between ``min_lr_ratio`` and one, starting at the minimum."""

    def __init__(self, half_cycle_steps: int, min_lr_ratio: float) -> None:
        self.half_cycle_steps = half_cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        from_peak = step / self.half_cycle_steps % 2 - 1
        height = 1 - from_peak**2
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * height


def cyclic_parabolic(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 0.1,
) -> LRScheduler:
    """A parabolic cyclical learning rate.

    The learning rate starts at ``min_lr_ratio`` times ``lr`` and cycles between this
    minimum and ``lr``. Each cycle is a parabola (Welch window). Each half-cycle takes
    ``half_cycle_fraction`` of training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "cyclic_parabolic",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    half_cycle_steps = max(1, round(half_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, ParabolicWave(half_cycle_steps, min_lr_ratio)
    )
    scheduler.schedule = ("a parabolic cyclical learning rate", total_steps)
    return scheduler


class CosineWave(CosineAnnealingLR):
    """Cosine annealing that increases the learning rate again beyond ``T_max``.

    The minimum is relative to the initial learning rate of each parameter group.
    """

    schedule: tuple[str, int]

    def __init__(self, optimizer: Optimizer, T_max: int, min_lr_ratio: float) -> None:
        self.min_lr_ratio = min_lr_ratio
        super().__init__(optimizer, T_max)

    def get_lr(self) -> list[float | Tensor]:
        cosine = 0.5 * (1 + math.cos(math.pi * self.last_epoch / self.T_max))
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


def cyclic_cosine_smooth(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.1,
    half_cycle_fraction: float = 1 / 6,
) -> LRScheduler:
    """Cosine cycles starting at the peak.

    The learning rate starts at ``lr`` and follows a cosine wave between ``lr`` and
    ``min_lr_ratio`` times ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "cyclic_cosine_smooth",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    half_cycle_steps = max(1, round(half_cycle_fraction * total_steps))
    scheduler = CosineWave(optimizer, half_cycle_steps, min_lr_ratio)
    scheduler.schedule = ("cosine cycles starting at the peak", total_steps)
    return scheduler


class LinearDecayThenCycles:
    """Constant phase, linear decay to 0.01, then triangular cycles."""

    def __init__(
        self,
        decay_start: int,
        cycle_start: int,
        cycle_steps: int,
        max_lr_ratio: float,
        min_lr_ratio: float,
    ) -> None:
        self.decay_start = decay_start
        self.cycle_start = cycle_start
        self.cycle_steps = cycle_steps
        self.max_lr_ratio = max_lr_ratio
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.decay_start:
            return 1.0
        if step < self.cycle_start:
            decay_steps = self.cycle_start - self.decay_start
            return 1 - 0.99 * (step - self.decay_start) / decay_steps
        progress = (step - self.cycle_start) % self.cycle_steps / self.cycle_steps
        amplitude = self.max_lr_ratio - self.min_lr_ratio
        return self.min_lr_ratio + amplitude * abs(1 - 2 * progress)


def fge_saw(
    optimizer: Optimizer,
    total_steps: int,
    max_lr_ratio: float = 0.5,
    min_lr_ratio: float = 0.05,
    cycle_fraction: float = 0.1,
) -> LRScheduler:
    """Fast geometric ensembling (FGE) cycles.

    The learning rate stays at ``lr`` for the first 40% of training, then decays
    linearly to 1% of ``lr`` at 70% of training. From there on, it cycles linearly from
    ``max_lr_ratio`` times ``lr`` to ``min_lr_ratio`` times ``lr`` and back. Each cycle
    takes ``cycle_fraction`` of training. Fast geometric ensembling takes a member of
    the ensemble at each minimum. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        max_lr_ratio: ratio of the maximum learning rate of the cycles to lr, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate of the cycles to lr, 0 to 1.
        cycle_fraction: fraction of training spent in each cycle, 0 to 1.
    """
    check(
        "fge_saw",
        total_steps,
        max_lr_ratio=max_lr_ratio,
        min_lr_ratio=min_lr_ratio,
        cycle_fraction=cycle_fraction,
    )
    schedule = LinearDecayThenCycles(
        decay_start=round(0.4 * total_steps),
        cycle_start=round(0.7 * total_steps),
        cycle_steps=max(1, round(cycle_fraction * total_steps)),
        max_lr_ratio=max_lr_ratio,
        min_lr_ratio=min_lr_ratio,
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("fast geometric ensembling (FGE) cycles", total_steps)
    return scheduler


class TriangleWave:
    """Triangular cycles between one and ``min_lr_ratio``, starting at the maximum."""

    def __init__(self, half_cycle_steps: int, min_lr_ratio: float) -> None:
        self.half_cycle_steps = half_cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        height = abs(step / self.half_cycle_steps % 2 - 1)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * height


def cyclic_high_start(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.2,
    half_cycle_fraction: float = 0.125,
) -> LRScheduler:
    """Triangular cycles starting at the peak.

    The learning rate starts at ``lr`` and cycles linearly between ``lr`` and
    ``min_lr_ratio`` times ``lr``. Each half-cycle takes ``half_cycle_fraction`` of
    training. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        half_cycle_fraction: fraction of training spent in each half-cycle, 0 to 1.
    """
    check(
        "cyclic_high_start",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        half_cycle_fraction=half_cycle_fraction,
    )
    half_cycle_steps = max(1, round(half_cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(
        optimizer, TriangleWave(half_cycle_steps, min_lr_ratio)
    )
    scheduler.schedule = ("triangular cycles starting at the peak", total_steps)
    return scheduler


class HalvingSine:
    """Rectified sine above ``min_lr_ratio`` with amplitude halved after each cycle."""

    def __init__(self, cycle_steps: int, min_lr_ratio: float) -> None:
        self.cycle_steps = cycle_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        sine = abs(math.sin(math.pi * step / self.cycle_steps))
        amplitude = 0.5 ** (step // self.cycle_steps)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * amplitude * sine


def cyclic_sinusoidal_halving(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.05,
    cycle_fraction: float = 0.2,
) -> LRScheduler:
    """Sinusoidal cycles of halving amplitude.

    The learning rate follows a rectified sine between ``min_lr_ratio`` times ``lr`` and
    ``lr``. Each cycle takes ``cycle_fraction`` of training. The amplitude is halved
    after each cycle. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        cycle_fraction: fraction of training spent in each cycle, 0 to 1.
    """
    check(
        "cyclic_sinusoidal_halving",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        cycle_fraction=cycle_fraction,
    )
    # A cycle of one step would stay at the minimum.
    cycle_steps = max(2, round(cycle_fraction * total_steps))
    scheduler = ResumableLambdaLR(optimizer, HalvingSine(cycle_steps, min_lr_ratio))
    scheduler.schedule = ("sinusoidal cycles of halving amplitude", total_steps)
    return scheduler


class DecayingSine:
    """Rectified sine above ``min_lr_ratio`` with exponentially decaying amplitude."""

    def __init__(
        self,
        total_steps: int,
        cycle_steps: int,
        min_lr_ratio: float,
        final_amplitude_ratio: float,
    ) -> None:
        self.total_steps = total_steps
        self.cycle_steps = cycle_steps
        self.min_lr_ratio = min_lr_ratio
        self.final_amplitude_ratio = final_amplitude_ratio

    def __call__(self, step: int) -> float:
        sine = abs(math.sin(math.pi * step / self.cycle_steps))
        amplitude = self.final_amplitude_ratio ** (step / self.total_steps)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * amplitude * sine


def cyclic_sinusoidal_exponential(
    optimizer: Optimizer,
    total_steps: int,
    min_lr_ratio: float = 0.05,
    cycle_fraction: float = 0.125,
    final_amplitude_ratio: float = 0.1,
) -> LRScheduler:
    """Sinusoidal cycles of decaying amplitude.

    The learning rate follows a rectified sine between ``min_lr_ratio`` times ``lr`` and
    ``lr``. Each cycle takes ``cycle_fraction`` of training. Over training, the
    amplitude decays exponentially to ``final_amplitude_ratio`` times its initial value.
    The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
        cycle_fraction: fraction of training spent in each cycle, 0 to 1.
        final_amplitude_ratio: ratio of the final amplitude to the initial amplitude, 0
            to 1.
    """
    check(
        "cyclic_sinusoidal_exponential",
        total_steps,
        min_lr_ratio=min_lr_ratio,
        cycle_fraction=cycle_fraction,
        final_amplitude_ratio=final_amplitude_ratio,
    )
    # A cycle of one step would stay at the minimum.
    cycle_steps = max(2, round(cycle_fraction * total_steps))
    schedule = DecayingSine(
        total_steps, cycle_steps, min_lr_ratio, final_amplitude_ratio
    )
    scheduler = ResumableLambdaLR(optimizer, schedule)
    scheduler.schedule = ("sinusoidal cycles of decaying amplitude", total_steps)
    return scheduler
