"""ResNet-20 trained with cosine decay to 10% and soft self-pacing.

The learning rate decays along a cosine from ``lr`` to ``min_lr_ratio`` times ``lr``
(10% of ``lr`` by default). The schedule advances once per epoch.

All examples count alike in the first epoch. After it, the weight of an example in an
update is one minus the ratio of its loss to a threshold, and 0 above the threshold. The
threshold is ``start_threshold`` times twice the loss of a uniform guess in the second
epoch, and is multiplied by 1 + ``threshold_growth`` after each epoch.
"""

import copy
import math
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {
        "lr",
        "momentum",
        "min_lr_ratio",
        "start_threshold",
        "threshold_growth",
        "weight_decay",
    }


class CosineDecay(CosineAnnealingLR):
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


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict[str, float]
) -> LRScheduler:
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    scheduler = CosineDecay(optimizer, total_steps, prm.get("min_lr_ratio", 0.1))
    scheduler.schedule = ("cosine decay to 10%", total_steps)
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
        self.start_threshold = prm.get("start_threshold", 1.0)
        if not self.start_threshold > 0.0:
            raise ValueError(
                f"start_threshold must be above 0, got {self.start_threshold}"
            )
        self.threshold_growth = prm.get("threshold_growth", 0.5)
        if not self.threshold_growth >= 0.0:
            raise ValueError(
                f"threshold_growth must be at least 0, got {self.threshold_growth}"
            )

    def self_paced_loss(self, logits: Tensor, labels: Tensor, epoch: int) -> Tensor:
        """Return the weighted mean of the losses; a higher loss has a lower weight."""
        if epoch == 0:
            # The losses of a new network say little about the examples.
            return self.criterion(logits, labels)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        # In units of twice the loss of a uniform guess.
        growth = (1.0 + self.threshold_growth) ** (epoch - 1)
        threshold = self.start_threshold * growth * 2.0 * math.log(logits.shape[1])
        weights = (1.0 - losses.detach() / threshold).clamp(min=0.0)
        if not weights.any():
            # The easiest example of a batch always counts.
            weights = (losses == losses.min()).float()
        return (weights * losses).sum() / weights.sum()

    def learn(
        self, train_data: DataLoader[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if len(train_data) == 0:
            raise ValueError("train_data is empty")
        epoch = self.scheduler.last_epoch
        self.train()
        correct = torch.zeros((), device=self.device)
        loss_sum = torch.zeros((), device=self.device)
        num_samples = 0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            logits = self(images)
            loss = self.self_paced_loss(logits, labels, epoch)
            loss.backward()
            self.optimizer.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            num_samples += len(labels)
        self.scheduler.step()
        return (correct / num_samples).item(), (loss_sum / num_samples).item()
