"""ResNet-20 trained with a cooldown triggered by a loss plateau.

The learning rate stays at ``lr`` until the mean training loss has not improved for more
than ``patience_fraction`` of training, or until only ``decay_fraction`` of training
remains. It then decays linearly to zero over ``decay_fraction`` of training. The
schedule advances once per epoch, driven by the mean training loss of the epoch.
"""

import math
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "decay_fraction", "patience_fraction", "weight_decay"}


class PlateauTriggersCooldown:
    """Constant until the loss reaches a plateau, then linear decay to zero."""

    def __init__(
        self, optimizer: Optimizer, total_steps: int, patience: int, cooldown_steps: int
    ) -> None:
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.patience = patience
        self.cooldown_steps = cooldown_steps
        self.best = math.inf
        self.steps_left = total_steps
        self.patience_left = patience
        self.cooldown_left = cooldown_steps

    def step(self, metrics: float) -> None:
        self.steps_left -= 1
        if self.cooldown_left == self.cooldown_steps:
            self.check_plateau(metrics)
        else:
            self.cool_down()

    def check_plateau(self, metrics: float) -> None:
        if metrics < self.best * (1 - 1e-4):
            self.best = metrics
            self.patience_left = self.patience
        else:
            self.patience_left -= 1
        if self.patience_left < 0 or self.steps_left < self.cooldown_steps:
            self.cool_down()

    def cool_down(self) -> None:
        self.cooldown_left = max(0, self.cooldown_left - 1)
        factor = self.cooldown_left / self.cooldown_steps
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = factor * base_lr

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict[str, float]
) -> PlateauTriggersCooldown:
    patience = max(1, round(prm.get("patience_fraction", 5 / 90) * total_steps))
    cooldown_steps = max(1, round(prm.get("decay_fraction", 0.2) * total_steps))
    return PlateauTriggersCooldown(optimizer, total_steps, patience, cooldown_steps)


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

    def train_setup(self, prm: dict[str, float]) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.parameters(),
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
