"""Metric-driven schedules.

The learning rate depends on a training metric, usually the loss.
"""

import copy
import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrgen.schedules._resumable import ResumableReduceLROnPlateau
from lrgen.schedules.lookup import check


def ReduceLROnPlateau_patience_5(
    optimizer: Optimizer, total_steps: int, patience_fraction: float = 5 / 90
) -> ReduceLROnPlateau:
    """Learning rate reduction on loss plateaus.

    The learning rate is divided by 10 when the mean training loss has not improved for
    more than ``patience_fraction`` of training. The schedule advances once per epoch,
    driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check(
        "ReduceLROnPlateau_patience_5", total_steps, patience_fraction=patience_fraction
    )
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = ResumableReduceLROnPlateau(
        optimizer, mode="min", factor=0.1, patience=patience, threshold=1e-4
    )
    scheduler.schedule = ("learning rate reduction on loss plateaus", total_steps)
    return scheduler


def ReduceLROnPlateau_patience_10(
    optimizer: Optimizer, total_steps: int, patience_fraction: float = 10 / 90
) -> ReduceLROnPlateau:
    """Learning rate reduction on long plateaus.

    The learning rate is divided by 10 when the mean training loss has not improved for
    more than ``patience_fraction`` of training. The schedule advances once per epoch,
    driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check(
        "ReduceLROnPlateau_patience_10",
        total_steps,
        patience_fraction=patience_fraction,
    )
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = ResumableReduceLROnPlateau(
        optimizer, mode="min", factor=0.1, patience=patience, threshold=1e-4
    )
    scheduler.schedule = ("learning rate reduction on long plateaus", total_steps)
    return scheduler


def ReduceLROnPlateau_aggressive(
    optimizer: Optimizer, total_steps: int, patience_fraction: float = 3 / 90
) -> ReduceLROnPlateau:
    """Learning rate halving on short plateaus.

    The learning rate is halved when the mean training loss has not improved for more
    than ``patience_fraction`` of training. The schedule advances once per epoch, driven
    by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check(
        "ReduceLROnPlateau_aggressive", total_steps, patience_fraction=patience_fraction
    )
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = ResumableReduceLROnPlateau(
        optimizer, mode="min", factor=0.5, patience=patience, threshold=1e-4
    )
    scheduler.schedule = ("learning rate halving on short plateaus", total_steps)
    return scheduler


def plateau_accuracy(
    optimizer: Optimizer, total_steps: int, patience_fraction: float = 5 / 90
) -> ReduceLROnPlateau:
    """Learning rate halving on accuracy plateaus.

    The learning rate is halved when the training accuracy has not exceeded its best
    value by more than 0.001 for more than ``patience_fraction`` of training. The
    schedule advances once per epoch, driven by the training accuracy of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check("plateau_accuracy", total_steps, patience_fraction=patience_fraction)
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = ResumableReduceLROnPlateau(
        optimizer,
        mode="max",
        factor=0.5,
        patience=patience,
        threshold=1e-3,
        threshold_mode="abs",
    )
    scheduler.schedule = ("learning rate halving on accuracy plateaus", total_steps)
    return scheduler


def plateau_cooldown_floor(
    optimizer: Optimizer,
    total_steps: int,
    patience_fraction: float = 3 / 90,
    cooldown_fraction: float = 2 / 90,
    min_lr_ratio: float = 0.001,
) -> ReduceLROnPlateau:
    """Learning rate halving and cooldowns.

    The learning rate is halved when the mean training loss has not improved for more
    than ``patience_fraction`` of training, down to a minimum of ``min_lr_ratio`` times
    ``lr``. During the cooldown after each reduction, ``cooldown_fraction`` of training,
    epochs without improvement are not counted. The schedule advances once per epoch,
    driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
        cooldown_fraction: fraction of training spent in the cooldown after each
            reduction, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 1.
    """
    check(
        "plateau_cooldown_floor",
        total_steps,
        patience_fraction=patience_fraction,
        cooldown_fraction=cooldown_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = ResumableReduceLROnPlateau(
        optimizer,
        mode="min",
        factor=0.5,
        patience=max(1, round(patience_fraction * total_steps)),
        threshold=1e-4,
        cooldown=round(cooldown_fraction * total_steps),
        min_lr=[min_lr_ratio * group["lr"] for group in optimizer.param_groups],
    )
    scheduler.schedule = ("learning rate halving and cooldowns", total_steps)
    return scheduler


class WarmupThenPlateau(ReduceLROnPlateau):
    """Linear warm-up regardless of the loss, then reduction on plateaus."""

    schedule: tuple[str, int]

    def __init__(self, optimizer: Optimizer, warmup_steps: int, patience: int) -> None:
        super().__init__(optimizer, factor=0.1, patience=patience, threshold=1e-4)
        self.warmup_steps = warmup_steps
        # An epoch at a learning rate of zero would be wasted.
        self.set_lr(1 / (warmup_steps + 1))

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        if self.last_epoch < self.warmup_steps:
            self.last_epoch += 1
            self.set_lr((self.last_epoch + 1) / (self.warmup_steps + 1))
        else:
            super().step(metrics)

    def set_lr(self, ratio: float) -> None:
        for group in self.optimizer.param_groups:
            lr = ratio * group.setdefault("initial_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._last_lr = copy.deepcopy(lrs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def warmup_then_plateau(
    optimizer: Optimizer,
    total_steps: int,
    warmup_fraction: float = 0.1,
    patience_fraction: float = 10 / 90,
) -> ReduceLROnPlateau:
    """Warm-up, then ReduceLROnPlateau.

    The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
    training, regardless of the loss. After the warm-up it is divided by 10 when the
    mean training loss has not improved for more than ``patience_fraction`` of training.
    The schedule advances once per epoch, driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        warmup_fraction: fraction of training spent in warm-up, 0 to 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check(
        "warmup_then_plateau",
        total_steps,
        warmup_fraction=warmup_fraction,
        patience_fraction=patience_fraction,
    )
    warmup_steps = round(warmup_fraction * total_steps)
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = WarmupThenPlateau(optimizer, warmup_steps, patience)
    scheduler.schedule = ("warm-up, then ReduceLROnPlateau", total_steps)
    return scheduler


class SmoothedPlateau(ReduceLROnPlateau):
    """Reduction on plateaus of an exponential moving average of the batch losses."""

    schedule: tuple[str, int]

    def __init__(self, optimizer: Optimizer, ema_decay: float, patience: int) -> None:
        super().__init__(optimizer, factor=0.5, patience=patience, threshold=1e-4)
        self.ema_decay = ema_decay
        self.mean = self.weight = 0.0

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        if math.isfinite(metrics):
            weight = self.ema_decay * self.weight
            self.mean = (weight * self.mean + float(metrics)) / (weight + 1)
            self.weight = weight + 1
            super().step(self.mean)
        else:
            super().step(math.nan)  # counts as no improvement

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def plateau_smoothed(
    optimizer: Optimizer,
    total_steps: int,
    patience_fraction: float = 0.05,
    ema_decay: float = 0.98,
) -> ReduceLROnPlateau:
    """Learning rate halving on a smoothed loss.

    The learning rate is halved when a bias-corrected exponential moving average of the
    batch losses, with decay ``ema_decay``, has not improved for more than
    ``patience_fraction`` of training. A loss that is not finite is excluded from the
    average and counts as no improvement. The schedule advances once per batch, driven
    by the mean training loss of the batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
        ema_decay: decay rate of the exponential moving average, 0 to 1.
    """
    check(
        "plateau_smoothed",
        total_steps,
        patience_fraction=patience_fraction,
        ema_decay=ema_decay,
    )
    patience = max(1, round(patience_fraction * total_steps))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = SmoothedPlateau(optimizer, ema_decay, patience)
    scheduler.schedule = ("learning rate halving on a smoothed loss", total_steps)
    return scheduler


class GreedyLR(ReduceLROnPlateau):
    """Increases the learning rate while the loss improves, reduces it otherwise."""

    schedule: tuple[str, int]

    def __init__(
        self,
        optimizer: Optimizer,
        initial_lr_ratio: float,
        min_lr_ratio: float,
        patience: int,
        warmup: int,
        cooldown: int,
        reset_after: int,
    ) -> None:
        super().__init__(optimizer, patience=patience, cooldown=cooldown)
        self.initial_lr_ratio = initial_lr_ratio
        self.min_lr_ratio = min_lr_ratio
        self.warmup = warmup
        self.reset_after = reset_after
        # Number of consecutive epochs with improvement, negative for those without.
        self.streak = 0
        self.epochs_to_skip = 0
        self.reset()
        self.set_lr(self.lr_ratio)

    def reset(self) -> None:
        self.best = math.inf
        self.reductions_at_min = 0
        self.lr_ratio = self.initial_lr_ratio

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        self.last_epoch += 1
        if self.epochs_to_skip > 0:
            self.epochs_to_skip -= 1
        elif metrics < self.best - 1e-6:
            self.best = float(metrics)
            self.streak = max(self.streak, 0) + 1
        else:
            self.streak = min(self.streak, 0) - 1
        if self.streak > self.patience:
            self.increase_lr()
        elif self.streak < -self.patience:
            self.reduce_lr()
        self.set_lr(self.lr_ratio)

    def increase_lr(self) -> None:
        self.lr_ratio = min(self.lr_ratio / 0.8, 1.0)
        self.streak = 0
        self.epochs_to_skip = self.warmup
        self.reductions_at_min = 0

    def reduce_lr(self) -> None:
        self.lr_ratio = max(self.lr_ratio * 0.8, self.min_lr_ratio)
        self.streak = 0
        self.epochs_to_skip = self.cooldown
        if self.lr_ratio == self.min_lr_ratio:
            self.reductions_at_min += 1
        if self.reductions_at_min == self.reset_after:
            self.reset()

    def set_lr(self, ratio: float) -> None:
        for group in self.optimizer.param_groups:
            lr = ratio * group.setdefault("initial_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._last_lr = copy.deepcopy(lrs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def greedy(
    optimizer: Optimizer,
    total_steps: int,
    initial_lr_ratio: float = 0.5,
    patience_fraction: float = 0.01,
    min_lr_ratio: float = 0.1,
) -> ReduceLROnPlateau:
    """The GreedyLR schedule.

    The learning rate starts at ``initial_lr_ratio`` times ``lr``. It is divided by 0.8,
    up to a maximum of ``lr``, when the mean training loss has improved in each epoch
    for more than ``patience_fraction`` of training. It is multiplied by 0.8, down to a
    minimum of ``min_lr_ratio`` times ``lr``, when the loss has not improved for as
    long. A learning rate that stays at the minimum is reset to its initial value. The
    schedule advances once per epoch, driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        initial_lr_ratio: ratio of the initial learning rate to lr, 0.1 to 1.
        patience_fraction: fraction of training with or without improvement after which
            the learning rate changes, 0 to 1.
        min_lr_ratio: ratio of the minimum learning rate to lr, 0 to 0.1.
    """
    check(
        "greedy",
        total_steps,
        initial_lr_ratio=initial_lr_ratio,
        patience_fraction=patience_fraction,
        min_lr_ratio=min_lr_ratio,
    )
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = GreedyLR(
        optimizer,
        initial_lr_ratio=initial_lr_ratio,
        min_lr_ratio=min_lr_ratio,
        patience=max(1, round(patience_fraction * total_steps)),
        warmup=round(0.01 * total_steps),
        cooldown=round(0.02 * total_steps),
        reset_after=max(1, round(0.05 * total_steps)),
    )
    scheduler.schedule = ("the GreedyLR schedule", total_steps)
    return scheduler


class PlateauTriggersCooldown(ReduceLROnPlateau):
    """Constant until the loss reaches a plateau, then linear decay to zero."""

    schedule: tuple[str, int]

    def __init__(
        self, optimizer: Optimizer, total_steps: int, patience: int, cooldown_steps: int
    ) -> None:
        super().__init__(optimizer, patience=patience, threshold=1e-4)
        self.cooldown_steps = cooldown_steps
        # Without a plateau the learning rate reaches zero at the end of training.
        self.cooldown_start = total_steps - cooldown_steps
        self.set_lr(1.0)

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        self.last_epoch += 1
        if self.last_epoch <= self.cooldown_start and self.is_plateau(float(metrics)):
            self.cooldown_start = self.last_epoch - 1
        steps_left = self.cooldown_start + self.cooldown_steps - self.last_epoch
        self.set_lr(min(1.0, max(0, steps_left) / self.cooldown_steps))

    def is_plateau(self, loss: float) -> bool:
        if loss < self.best * (1 - self.threshold):
            self.best = loss
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        return self.num_bad_epochs > self.patience

    def set_lr(self, ratio: float) -> None:
        for group in self.optimizer.param_groups:
            lr = ratio * group.setdefault("initial_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._last_lr = copy.deepcopy(lrs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def plateau_triggers_cooldown(
    optimizer: Optimizer,
    total_steps: int,
    patience_fraction: float = 5 / 90,
    decay_fraction: float = 0.2,
) -> ReduceLROnPlateau:
    """A cooldown triggered by a loss plateau.

    The learning rate stays at ``lr`` until the mean training loss has not improved for
    more than ``patience_fraction`` of training, or until only ``decay_fraction`` of
    training remains. It then decays linearly to zero over ``decay_fraction`` of
    training. The schedule advances once per epoch, driven by the mean training loss of
    the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        patience_fraction: fraction of training without improvement after which the
            decay starts, 0 to 1.
        decay_fraction: fraction of training spent in the final decay, 0 to 1.
    """
    check(
        "plateau_triggers_cooldown",
        total_steps,
        patience_fraction=patience_fraction,
        decay_fraction=decay_fraction,
    )
    patience = max(1, round(patience_fraction * total_steps))
    cooldown_steps = max(1, round(decay_fraction * total_steps))
    scheduler = PlateauTriggersCooldown(
        optimizer, total_steps, patience, cooldown_steps
    )
    scheduler.schedule = ("a cooldown triggered by a loss plateau", total_steps)
    return scheduler


class AccumulatedPlateau(ReduceLROnPlateau):
    """Reduction on plateaus of the mean loss of every ``window`` batches."""

    schedule: tuple[str, int]

    def __init__(self, optimizer: Optimizer, window: int, patience: int) -> None:
        super().__init__(optimizer, factor=0.5, patience=patience, threshold=1e-4)
        self.window = window
        self.losses: list[float] = []

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        self.losses = [*self.losses, float(metrics)]
        if len(self.losses) < self.window:
            self.last_epoch += 1
        else:
            super().step(sum(self.losses) / self.window)
            self.losses = []

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def plateau_accumulated(
    optimizer: Optimizer,
    total_steps: int,
    window_fraction: float = 0.01,
    patience_fraction: float = 0.05,
) -> ReduceLROnPlateau:
    """Learning rate halving on averaged losses.

    The batch losses are averaged over consecutive windows of ``window_fraction`` of
    training. The learning rate is halved when this average has not improved for more
    than ``patience_fraction`` of training. The schedule advances once per batch, driven
    by the mean training loss of the batch.

    Args:
        total_steps: the planned number of batches, at least 1.
        window_fraction: fraction of training spent in each averaging window, 0 to 1.
        patience_fraction: fraction of training without improvement after which the
            learning rate is reduced, 0 to 1.
    """
    check(
        "plateau_accumulated",
        total_steps,
        window_fraction=window_fraction,
        patience_fraction=patience_fraction,
    )
    window = max(1, round(window_fraction * total_steps))
    patience = max(1, round(patience_fraction * total_steps / window))
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = AccumulatedPlateau(optimizer, window, patience)
    scheduler.schedule = ("learning rate halving on averaged losses", total_steps)
    return scheduler


class NewBob(ReduceLROnPlateau):
    """Multiplies the learning rate by ``gamma`` after ``patience + 1`` bad epochs.

    An epoch whose relative improvement is below ``min_improvement`` is bad.
    """

    schedule: tuple[str, int]

    def __init__(
        self, optimizer: Optimizer, gamma: float, min_improvement: float, patience: int
    ) -> None:
        super().__init__(optimizer, patience=patience)
        self.gamma = gamma
        self.min_improvement = min_improvement
        self.previous_loss = math.nan  # no comparison in the first epoch
        self.lr_ratio = 1.0
        self.set_lr(self.lr_ratio)

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        self.last_epoch += 1
        loss, previous = float(metrics), self.previous_loss
        self.previous_loss = loss
        # A loss of zero cannot improve.
        improvement = (previous - loss) / previous if previous else 0.0
        if improvement < self.min_improvement:
            self.num_bad_epochs += 1
        if self.num_bad_epochs > self.patience:
            self.num_bad_epochs = 0
            self.lr_ratio *= self.gamma
        self.set_lr(self.lr_ratio)

    def set_lr(self, ratio: float) -> None:
        for group in self.optimizer.param_groups:
            lr = ratio * group.setdefault("initial_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._last_lr = copy.deepcopy(lrs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def newbob(
    optimizer: Optimizer,
    total_steps: int,
    gamma: float = 0.8,
    threshold: float = 0.0025,
    patience_fraction: float = 0.01,
) -> ReduceLROnPlateau:
    """NewBob annealing.

    The learning rate is multiplied by ``gamma`` when the mean training loss improves by
    less than ``threshold`` relative to the previous epoch. Such epochs, consecutive or
    not, are tolerated for ``patience_fraction`` of training before each reduction. The
    schedule advances once per epoch, driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        gamma: multiplicative factor of learning rate decay, 0 to 1.
        threshold: minimum relative improvement of the loss per epoch, 0 to 1.
        patience_fraction: fraction of training with smaller improvements after which
            the learning rate is reduced, 0 to 1.
    """
    check(
        "newbob",
        total_steps,
        gamma=gamma,
        threshold=threshold,
        patience_fraction=patience_fraction,
    )
    patience = round(patience_fraction * total_steps)
    scheduler = NewBob(optimizer, gamma, threshold, patience)
    scheduler.schedule = ("NewBob annealing", total_steps)
    return scheduler


class BoldDriver(ReduceLROnPlateau):
    """Increases the learning rate after an improvement, halves it after a setback."""

    schedule: tuple[str, int]

    def __init__(
        self, optimizer: Optimizer, initial_lr_ratio: float, growth: float
    ) -> None:
        super().__init__(optimizer)
        self.growth = growth
        self.previous_loss = math.inf
        self.lr_ratio = initial_lr_ratio
        self.set_lr(self.lr_ratio)

    def step(self, metrics: float) -> None:  # type: ignore[override]  # as in torch
        for group, last_lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            lr = float(group["lr"])
            if lr != float(last_lr):
                raise RuntimeError(f"this scheduler did not set the learning rate {lr}")
        self.last_epoch += 1
        loss = float(metrics)
        if loss < self.previous_loss:
            self.lr_ratio = min((1 + self.growth) * self.lr_ratio, 1.0)
        elif loss > self.previous_loss or math.isnan(loss):
            self.lr_ratio *= 0.5
        if not math.isnan(loss):
            self.previous_loss = loss
        self.set_lr(self.lr_ratio)

    def set_lr(self, ratio: float) -> None:
        for group in self.optimizer.param_groups:
            lr = ratio * group.setdefault("initial_lr", float(group["lr"]))
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        self._last_lr = copy.deepcopy(lrs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("schedule") != self.schedule:
            saved = state_dict.get("schedule")
            raise ValueError(f"expected a state of {self.schedule}, got {saved}")
        super().load_state_dict(copy.deepcopy(state_dict))
        # The constructor has overwritten the learning rates of a resumed optimizer.
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = copy.deepcopy(lr)


def bold_driver(
    optimizer: Optimizer,
    total_steps: int,
    initial_lr_ratio: float = 0.5,
    growth: float = 0.05,
) -> ReduceLROnPlateau:
    """The bold driver heuristic.

    The learning rate starts at ``initial_lr_ratio`` times ``lr``. It is multiplied by
    one plus ``growth``, up to ``lr``, when the mean training loss is lower than in the
    previous epoch, and halved when it is higher. The schedule advances once per epoch,
    driven by the mean training loss of the epoch.

    Args:
        total_steps: the planned number of epochs, at least 1.
        initial_lr_ratio: ratio of the initial learning rate to lr, 0.01 to 1.
        growth: relative increase after an improvement, 0 to 1.
    """
    check("bold_driver", total_steps, initial_lr_ratio=initial_lr_ratio, growth=growth)
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = BoldDriver(optimizer, initial_lr_ratio, growth)
    scheduler.schedule = ("the bold driver heuristic", total_steps)
    return scheduler
