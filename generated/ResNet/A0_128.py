"""ResNet-20 trained with two triangular cycles, the second lower.

Over the first ``valley_fraction`` of training, the learning rate increases linearly
from ``min_lr_ratio`` times ``lr`` to ``lr`` and decays linearly back. Over the rest of
training, it increases linearly to ``second_peak_ratio`` times ``lr`` and decays
linearly to zero. Each cycle peaks at its midpoint. The schedule advances once per
batch.
"""

from itertools import pairwise

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {
        "lr",
        "momentum",
        "min_lr_ratio",
        "second_peak_ratio",
        "valley_fraction",
        "weight_decay",
    }


class PiecewiseLinear:
    """Linear interpolation between milestones, given as (step, multiplier) pairs."""

    def __init__(self, milestones: list[tuple[int, float]]) -> None:
        self.milestones = milestones

    def __call__(self, step: int) -> float:
        for (start, initial), (end, final) in pairwise(self.milestones):
            if step < end:
                return initial + (final - initial) * (step - start) / (end - start)
        return self.milestones[-1][1]


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict[str, float]
) -> LRScheduler:
    valley = round(prm.get("valley_fraction", 0.6) * total_steps)
    min_lr_ratio = prm.get("min_lr_ratio", 0.1)
    milestones = [
        (0, min_lr_ratio),
        (valley // 2, 1.0),
        (valley, min_lr_ratio),
        ((valley + total_steps) // 2, prm.get("second_peak_ratio", 0.5)),
        (total_steps, 0.0),
    ]
    return LambdaLR(optimizer, PiecewiseLinear(milestones))


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
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None

    def learn(
        self, train_data: DataLoader[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if self.scheduler is None:
            # Callers set ``epoch_max`` or ``epoch``; 90 is torchvision's default.
            epochs = int(self.prm.get("epoch_max", self.prm.get("epoch", 90)))
            total_steps = epochs * len(train_data)
            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)
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
            self.scheduler.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            num_samples += len(labels)
        return (correct / num_samples).item(), (loss_sum / num_samples).item()
