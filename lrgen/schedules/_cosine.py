"""Cosine decay.

The learning rate decays along a cosine, as in SGDR without restarts
(https://arxiv.org/abs/1608.03983).
"""

import copy
import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from lrgen.schedules._resumable import ResumableLambdaLR
from lrgen.schedules.lookup import check


class CosineAnnealingLRDefault(CosineAnnealingLR):
    """Cosine annealing that keeps ``eta_min`` after ``T_max`` steps."""

    schedule: tuple[str, int]

    def get_lr(self) -> list[float | Tensor]:
        if self.last_epoch > self.T_max:
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


def CosineAnnealingLR_default(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Cosine decay.

    The learning rate decays from ``lr`` to zero along a cosine. The schedule advances
    once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("CosineAnnealingLR_default", total_steps)
    scheduler = CosineAnnealingLRDefault(optimizer, T_max=total_steps)
    scheduler.schedule = ("cosine decay", total_steps)
    return scheduler


class CosineAnnealingLRWithMinLr(CosineAnnealingLR):
    """Cosine annealing to ``min_lr_ratio`` that stays there after ``T_max`` steps.

    The minimum is relative to the initial learning rate of each parameter group.
    """

    schedule: tuple[str, int]

    def __init__(self, optimizer: Optimizer, T_max: int, min_lr_ratio: float) -> None:
        self.min_lr_ratio = min_lr_ratio
        super().__init__(optimizer, T_max)

    def get_lr(self) -> list[float | Tensor]:
        progress = min(self.last_epoch, self.T_max) / self.T_max
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
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


def CosineAnnealingLR_with_min_lr(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """Cosine decay to 1%.

    The learning rate decays along a cosine from ``lr`` to ``min_lr_ratio`` times ``lr``
    (1% of ``lr`` by default). The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("CosineAnnealingLR_with_min_lr", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = CosineAnnealingLRWithMinLr(optimizer, total_steps, min_lr_ratio)
    scheduler.schedule = ("cosine decay to 1%", total_steps)
    return scheduler


class LambdaLRCosineLike:
    """Cosine decay to zero at ``total_steps``."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def LambdaLR_cosine_like(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Cosine decay in closed form.

    The learning rate decays from ``lr`` to zero along a cosine, which is evaluated in
    closed form at each step. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
    """
    check("LambdaLR_cosine_like", total_steps)
    scheduler = ResumableLambdaLR(optimizer, LambdaLRCosineLike(total_steps))
    scheduler.schedule = ("cosine decay in closed form", total_steps)
    return scheduler


def CosineAnnealingLR_high_min(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.1
) -> LRScheduler:
    """Cosine decay to 10%.

    The learning rate decays along a cosine from ``lr`` to ``min_lr_ratio`` times ``lr``
    (10% of ``lr`` by default). The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("CosineAnnealingLR_high_min", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = CosineAnnealingLRWithMinLr(optimizer, total_steps, min_lr_ratio)
    scheduler.schedule = ("cosine decay to 10%", total_steps)
    return scheduler


class HFCosineWarmup:
    """Linear warm-up from zero, then cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def HF_cosine_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.1
) -> LRScheduler:
    """Linear warm-up and cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero along a cosine. The schedule
    advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("HF_cosine_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, HFCosineWarmup(total_steps, warmup_steps))
    scheduler.schedule = ("linear warm-up and cosine decay", total_steps)
    return scheduler


class HFCosineMinLrWarmup:
    """Linear warm-up from zero, then cosine decay to ``min_lr_ratio``."""

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
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def HF_cosine_min_lr_warmup(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    min_lr_ratio: float = 0.01,
) -> LRScheduler:
    """Linear warm-up and cosine decay to 1%.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``min_lr_ratio``
    times ``lr``. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "HF_cosine_min_lr_warmup",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, HFCosineMinLrWarmup(total_steps, warmup_steps, min_lr_ratio)
    )
    scheduler.schedule = ("linear warm-up and cosine decay to 1%", total_steps)
    return scheduler


def warmup_cosine_to_ten_percent(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """Linear warm-up and cosine decay to 10%.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``min_lr_ratio``
    times ``lr``. The default ratio of 0.1 is common in language model pretraining. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "warmup_cosine_to_ten_percent",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, HFCosineMinLrWarmup(total_steps, warmup_steps, min_lr_ratio)
    )
    scheduler.schedule = ("linear warm-up and cosine decay to 10%", total_steps)
    return scheduler


class WarmupCosineSquared:
    """Linear warm-up from zero, then the square of a cosine decay."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return cosine**2


def warmup_cosine_squared(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """Linear warm-up and squared cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero as the square of a cosine
    decay. Compared with plain cosine decay, it spends fewer steps at high learning
    rates and more at low ones. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_cosine_squared", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupCosineSquared(total_steps, warmup_steps)
    )
    scheduler.schedule = ("linear warm-up and squared cosine decay", total_steps)
    return scheduler


class WarmupCosineSqrt:
    """Linear warm-up from zero, then the square root of a cosine decay."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return math.sqrt(cosine)


def warmup_cosine_sqrt(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """Linear warm-up and square-root cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero as the square root of a cosine
    decay. Compared with plain cosine decay, it stays high for longer and drops more
    steeply at the end. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_cosine_sqrt", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupCosineSqrt(total_steps, warmup_steps)
    )
    scheduler.schedule = ("linear warm-up and square-root cosine decay", total_steps)
    return scheduler


class CosineKDecay2:
    """Cosine k-decay (k = 2) to ``min_lr_ratio``."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress**2))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def cosine_k_decay_2(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """Cosine k-decay (k = 2).

    The learning rate decays from ``lr`` to ``min_lr_ratio`` times ``lr`` along a cosine
    of the squared training progress (k-decay with k = 2). It stays high for longer than
    with plain cosine decay. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("cosine_k_decay_2", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(optimizer, CosineKDecay2(total_steps, min_lr_ratio))
    scheduler.schedule = ("cosine k-decay (k = 2)", total_steps)
    return scheduler


class CosineKDecayHalf:
    """Cosine k-decay (k = 0.5) to ``min_lr_ratio``."""

    def __init__(self, total_steps: int, min_lr_ratio: float) -> None:
        self.total_steps = total_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        cosine = 0.5 * (1 + math.cos(math.pi * math.sqrt(progress)))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def cosine_k_decay_half(
    optimizer: Optimizer, total_steps: int, min_lr_ratio: float = 0.01
) -> LRScheduler:
    """Cosine k-decay (k = 0.5).

    The learning rate decays from ``lr`` to ``min_lr_ratio`` times ``lr`` along a cosine
    of the square root of the training progress (k-decay with k = 0.5). It drops earlier
    than with plain cosine decay. The schedule advances once per epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check("cosine_k_decay_half", total_steps, min_lr_ratio=min_lr_ratio)
    scheduler = ResumableLambdaLR(
        optimizer, CosineKDecayHalf(total_steps, min_lr_ratio)
    )
    scheduler.schedule = ("cosine k-decay (k = 0.5)", total_steps)
    return scheduler


class QuadraticWarmupCosine:
    """Quadratic warm-up, then cosine decay to ``min_lr_ratio`` at ``decay_end``."""

    def __init__(self, warmup_steps: int, decay_end: int, min_lr_ratio: float) -> None:
        self.warmup_steps = warmup_steps
        self.decay_end = decay_end
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step / self.warmup_steps) ** 2
        if step >= self.decay_end:
            return self.min_lr_ratio
        progress = (step - self.warmup_steps) / (self.decay_end - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def cosine_quadratic_warmup_floor(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    decay_end_fraction: float = 0.85,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Quadratic warm-up and cosine decay to a minimum.

    The learning rate increases quadratically from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``min_lr_ratio``
    times ``lr``. The decay ends at ``decay_end_fraction`` of training; after that, the
    learning rate is constant. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_end_fraction: fraction of training after which the decay ends, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "cosine_quadratic_warmup_floor",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_end_fraction=decay_end_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_end = round(decay_end_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, QuadraticWarmupCosine(warmup_steps, decay_end, min_lr_ratio)
    )
    scheduler.schedule = (
        "quadratic warm-up and cosine decay to a minimum",
        total_steps,
    )
    return scheduler


class WarmupCosineConstant:
    """Linear warm-up, then cosine decay to ``min_lr_ratio`` at ``decay_end``."""

    def __init__(self, warmup_steps: int, decay_end: int, min_lr_ratio: float) -> None:
        self.warmup_steps = warmup_steps
        self.decay_end = decay_end
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step >= self.decay_end:
            return self.min_lr_ratio
        progress = (step - self.warmup_steps) / (self.decay_end - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def warmup_cosine_then_constant(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    decay_end_fraction: float = 0.6,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """Warm-up, cosine decay and a plateau.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays along a cosine to ``min_lr_ratio``
    times ``lr``. The decay ends at ``decay_end_fraction`` of training; after that, the
    learning rate is constant. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        decay_end_fraction: fraction of training after which the decay ends, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "warmup_cosine_then_constant",
        total_steps,
        warmup_fraction=warmup_fraction,
        decay_end_fraction=decay_end_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_end = round(decay_end_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupCosineConstant(warmup_steps, decay_end, min_lr_ratio)
    )
    scheduler.schedule = ("warm-up, cosine decay and a plateau", total_steps)
    return scheduler


class WarmupLinearCosine:
    """Linear warm-up, then the product of linear and cosine decay."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return (1 - progress) * cosine


def warmup_linear_cosine_envelope(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """Linear warm-up and linear cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then decays to zero as the product of a linear
    decay and a cosine decay. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_linear_cosine_envelope", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupLinearCosine(total_steps, warmup_steps)
    )
    scheduler.schedule = ("linear warm-up and linear cosine decay", total_steps)
    return scheduler


class WarmupCosineLinearDecay:
    """Linear warm-up, cosine decay until ``decay_start``, then linear decay to zero."""

    def __init__(
        self, total_steps: int, warmup_steps: int, decay_start: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.decay_start = decay_start
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        step = min(step, self.total_steps)
        if step < self.warmup_steps:
            return step / self.warmup_steps
        if step <= self.decay_start:
            return self.cosine_decay(step)
        remaining = (self.total_steps - step) / (self.total_steps - self.decay_start)
        return self.cosine_decay(self.decay_start) * remaining

    def cosine_decay(self, step: int) -> float:
        cosine_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (step - self.warmup_steps) / cosine_steps
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def warmup_cosine_linear_tail(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    min_lr_ratio: float = 0.3,
    decay_fraction: float = 0.15,
) -> LRScheduler:
    """Warm-up, cosine decay and linear decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then follows a cosine decay towards
    ``min_lr_ratio`` times ``lr``. Over the last ``decay_fraction`` of training, it
    decays linearly to zero instead. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the learning rate at the end of the full cosine decay to
            lr, 0 to 1.
        decay_fraction: fraction of training spent in the linear decay, 0 to 1.
    """
    check(
        "warmup_cosine_linear_tail",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
        decay_fraction=decay_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)
    decay_start = max(warmup_steps, total_steps - decay_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        WarmupCosineLinearDecay(total_steps, warmup_steps, decay_start, min_lr_ratio),
    )
    scheduler.schedule = ("warm-up, cosine decay and linear decay", total_steps)
    return scheduler


class WarmupCosineWaves:
    """Linear warm-up from zero, then ``num_cycles`` periods of a cosine."""

    def __init__(self, total_steps: int, warmup_steps: int, num_cycles: float) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.num_cycles = num_cycles

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        cosine_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / cosine_steps
        return 0.5 * (1 + math.cos(2 * math.pi * self.num_cycles * progress))


def warmup_multi_wave_cosine(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.05
) -> LRScheduler:
    """Linear warm-up and 2.5 cosine waves.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training, then oscillates between ``lr`` and zero for 2.5
    periods of a cosine and ends at zero. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("warmup_multi_wave_cosine", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupCosineWaves(total_steps, warmup_steps, num_cycles=2.5)
    )
    scheduler.schedule = ("linear warm-up and 2.5 cosine waves", total_steps)
    return scheduler


def cosine_long_warmup(
    optimizer: Optimizer, total_steps: int, warmup_fraction: float = 0.3
) -> LRScheduler:
    """A long linear warm-up and cosine decay.

    The learning rate increases linearly from zero to ``lr`` over the first
    ``warmup_fraction`` of training (30% by default), then decays to zero along a
    cosine. The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
    """
    check("cosine_long_warmup", total_steps, warmup_fraction=warmup_fraction)
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(optimizer, HFCosineWarmup(total_steps, warmup_steps))
    scheduler.schedule = ("a long linear warm-up and cosine decay", total_steps)
    return scheduler


class WarmupHalfCosine:
    """Linear warm-up to the midpoint of a cosine decay, then its second half."""

    def __init__(
        self, total_steps: int, warmup_steps: int, min_lr_ratio: float
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            midpoint = 0.5 * (1 + self.min_lr_ratio)
            return midpoint * step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        cosine = 0.5 * (1 + math.cos(0.5 * math.pi * (1 + progress)))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def warmup_half_cosine_tail(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.05,
    min_lr_ratio: float = 0.1,
) -> LRScheduler:
    """Linear warm-up and half of a cosine decay.

    The learning rate increases linearly from zero to the midpoint between ``lr`` and
    ``min_lr_ratio`` times ``lr`` over the first ``warmup_fraction`` of training, then
    decays to ``min_lr_ratio`` times ``lr`` along the second half of a cosine decay. The
    schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "warmup_half_cosine_tail",
        total_steps,
        warmup_fraction=warmup_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer, WarmupHalfCosine(total_steps, warmup_steps, min_lr_ratio)
    )
    scheduler.schedule = ("linear warm-up and half of a cosine decay", total_steps)
    return scheduler


class WarmupCosineWithWarmupRate:
    """Linear warm-up from ``warmup_lr_ratio``, then cosine decay to ``min_lr_ratio``.

    Each phase reaches its final value at its last step: the maximum at the last step
    of the warm-up, the minimum at the last step of training.
    """

    def __init__(
        self,
        total_steps: int,
        warmup_steps: int,
        warmup_lr_ratio: float,
        min_lr_ratio: float,
    ) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.warmup_lr_ratio = warmup_lr_ratio
        self.min_lr_ratio = min_lr_ratio

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            progress = step / max(1, self.warmup_steps - 1)
            return self.warmup_lr_ratio + (1 - self.warmup_lr_ratio) * progress
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps + 1) / decay_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * cosine


def warmup_cosine_with_warmup_rate(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    warmup_lr_ratio: float = 0.1,
    min_lr_ratio: float = 0.05,
) -> LRScheduler:
    """Linear warm-up from 10% and cosine decay.

    The learning rate increases linearly from ``warmup_lr_ratio`` times ``lr`` to ``lr``
    over the first ``warmup_fraction`` of training, then decays along a cosine to
    ``min_lr_ratio`` times ``lr``. Each phase reaches its final value at its last step.
    The schedule advances once per batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        warmup_lr_ratio: ratio of the initial learning rate to lr, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "warmup_cosine_with_warmup_rate",
        total_steps,
        warmup_fraction=warmup_fraction,
        warmup_lr_ratio=warmup_lr_ratio,
        min_lr_ratio=min_lr_ratio,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    scheduler = ResumableLambdaLR(
        optimizer,
        WarmupCosineWithWarmupRate(
            total_steps, warmup_steps, warmup_lr_ratio, min_lr_ratio
        ),
    )
    scheduler.schedule = ("linear warm-up from 10% and cosine decay", total_steps)
    return scheduler
