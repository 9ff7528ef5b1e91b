# claim: 013; expect: failed in schedule: learn steps the schedule once per epoch, expected once per batch: the learning rate in learn at epoch 1, batch 2 of 3 is 0\.004, expected 0\.0651358 \(A0_013 OneCycleLR_default\)
"""Small CNN trained with one-cycle over batches, stepped per epoch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "warmup_fraction"}


class OneCycle(OneCycleLR):
    """One-cycle policy that keeps its final learning rate after ``total_steps``."""

    def get_lr(self) -> list:
        if self.last_epoch >= self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup = prm.get("warmup_fraction", 0.3)
    if warmup * total_steps == 1:  # torch divides by zero when the warm-up has one step
        warmup = min(1.0, 2 / total_steps)
    return OneCycle(
        optimizer,
        max_lr=[float(group["lr"]) for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=warmup,
        anneal_strategy="cos",
        cycle_momentum=False,
        div_factor=25.0,
        final_div_factor=1e4,
    )


class ConvBlock(nn.Module):
    """3x3 convolution with stride 2, followed by batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, stride=2, padding=1, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Net(nn.Module):
    """Four strided convolutions, global average pooling and a linear classifier."""

    def __init__(
        self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device
    ) -> None:
        super().__init__()
        self.device = device
        self.stem = ConvBlock(in_shape[1], 8)
        self.blocks = nn.Sequential(
            ConvBlock(8, 16), ConvBlock(16, 32), ConvBlock(32, 32)
        )
        self.fc = nn.Linear(32, out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.fc(x.mean(dim=(2, 3)))

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None

    def learn(self, train_data: DataLoader) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if self.scheduler is None:
            epochs = self.prm.get("epoch_max", self.prm.get("epoch", 90))
            total_steps = epochs * len(train_data)
            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)
        self.train()
        correct = torch.zeros((), device=self.device)
        loss_sum = torch.zeros((), device=self.device)
        seen = 0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            logits = self(images)
            loss = self.criterion(logits, labels)
            loss.backward()
            self.optimizer.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        self.scheduler.step()
        return (correct / seen).item(), (loss_sum / seen).item()
