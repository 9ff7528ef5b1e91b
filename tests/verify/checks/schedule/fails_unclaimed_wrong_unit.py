# claim: -; expect: failed in schedule: learn does not follow the file's own make_scheduler: the learning rate in learn at epoch 1, batch 2 of 7 is 0\.01, expected 0\.1 \(make_scheduler with total_steps=3, stepped once per epoch\)
"""Small CNN trained with exponential decay, stepped per batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "gamma", "step_fraction"}


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    step_size = max(1, round(prm.get("step_fraction", 1 / 3) * total_steps))
    return StepLR(optimizer, step_size=step_size, gamma=prm.get("gamma", 0.1))


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
        epochs = prm.get("epoch_max", prm.get("epoch", 90))
        self.scheduler = make_scheduler(self.optimizer, epochs, prm)

    def learn(self, train_data: DataLoader) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
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
            self.scheduler.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        return (correct / seen).item(), (loss_sum / seen).item()
