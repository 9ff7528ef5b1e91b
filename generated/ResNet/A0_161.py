"""ResNet-20 trained with the GreedyLR schedule.

The learning rate starts at ``initial_lr_ratio`` times ``lr``. It is divided by 0.8, up
to a maximum of ``lr``, when the mean training loss has improved in each epoch for more
than ``patience_fraction`` of training. It is multiplied by 0.8, down to a minimum of
``min_lr_ratio`` times ``lr``, when the loss has not improved for as long. A learning
rate that stays at the minimum is reset to its initial value. The schedule advances once
per epoch, driven by the mean training loss of the epoch.
"""

import copy
import math
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {
        "lr",
        "momentum",
        "initial_lr_ratio",
        "min_lr_ratio",
        "patience_fraction",
        "weight_decay",
    }


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


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict[str, float]
) -> ReduceLROnPlateau:
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    for group in optimizer.param_groups:
        # The default learning rate may be one tensor that all groups have.
        group["lr"] = copy.deepcopy(group["lr"])
    scheduler = GreedyLR(
        optimizer,
        initial_lr_ratio=prm.get("initial_lr_ratio", 0.5),
        min_lr_ratio=prm.get("min_lr_ratio", 0.1),
        patience=max(1, round(prm.get("patience_fraction", 0.01) * total_steps)),
        warmup=round(0.01 * total_steps),
        cooldown=round(0.02 * total_steps),
        reset_after=max(1, round(0.05 * total_steps)),
    )
    scheduler.schedule = ("the GreedyLR schedule", total_steps)
    return scheduler


class BasicBlock(nn.Module):
    """Basic block: two 3x3 convolutions with a parameter-free shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, 3, stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.extra_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        # Option A of the paper: subsample, and pad the extra channels with zeros.
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.extra_channels))
        return F.relu(out + shortcut)


class Net(nn.Module):
    """ResNet-20: a stem, three stages of 16, 32 and 64 channels, and a classifier."""

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        prm: dict[str, float],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.device = device
        self.conv1 = nn.Conv2d(in_shape[1], 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(
            BasicBlock(16, 16), BasicBlock(16, 16), BasicBlock(16, 16)
        )
        self.layer2 = nn.Sequential(
            BasicBlock(16, 32, stride=2), BasicBlock(32, 32), BasicBlock(32, 32)
        )
        self.layer3 = nn.Sequential(
            BasicBlock(32, 64, stride=2), BasicBlock(64, 64), BasicBlock(64, 64)
        )
        self.fc = nn.Linear(64, out_shape[0])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = x.mean(dim=(2, 3))
        return self.fc(x)

    def param_groups(self) -> list[dict[str, Any]]:
        """Return two parameter groups; norms and biases have no weight decay."""
        decay = [param for param in self.parameters() if param.dim() >= 2]
        no_decay = [param for param in self.parameters() if param.dim() < 2]
        return [{"params": decay}, {"params": no_decay, "weight_decay": 0.0}]

    def train_setup(self, prm: dict[str, float]) -> None:
        """Create the criterion, the optimizer and the scheduler.

        A resumed run then loads the states of the network, the optimizer and the
        scheduler, in any order.
        """
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.param_groups(),
            lr=prm["lr"],
            momentum=prm["momentum"],
            weight_decay=prm.get("weight_decay", 1e-4),
        )
        # Callers set ``epoch_max`` or ``epoch``; 90 is torchvision's default.
        epochs = int(prm.get("epoch_max", prm.get("epoch", 90)))
        self.scheduler = make_scheduler(self.optimizer, epochs, prm)

    def learn(
        self, train_data: DataLoader[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if len(train_data) == 0:
            raise ValueError("train_data is empty")
        self.train()
        correct = torch.zeros((), device=self.device)
        loss_sum = torch.zeros((), device=self.device)
        num_samples = 0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            logits = self(images)
            loss = self.criterion(logits, labels)
            loss.backward()
            self.optimizer.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            num_samples += len(labels)
        mean_loss = (loss_sum / num_samples).item()
        self.scheduler.step(mean_loss)
        return (correct / num_samples).item(), mean_loss
