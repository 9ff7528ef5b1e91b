# claim: 160; expect: failed in schedule: learn never changes the learning rate, scheduler\.step\(\) may be missing: the learning rate in learn at epoch \d+, batch \d+ of \d+ (?:\(.*\) )?is \d[\d.e-]*, expected \d[\d.e-]* \(A0_160 plateau_smoothed\)
"""Small CNN trained with decay on plateaus of a smoothed loss, stepped once per epoch.

Its horizon is counted in batches.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "patience_fraction", "ema_decay"}


class SmoothedPlateau:
    """Drives ``plateau`` by an exponentially weighted mean of the batch losses."""

    def __init__(self, plateau: ReduceLROnPlateau, ema_decay: float) -> None:
        self.plateau = plateau
        self.ema_decay = ema_decay
        self.mean = self.weight = 0.0

    def step(self, metrics: float) -> None:
        if math.isfinite(metrics):
            weight = self.ema_decay * self.weight
            self.mean = (weight * self.mean + metrics) / (weight + 1)
            self.weight = weight + 1
            self.plateau.step(self.mean)
        else:
            self.plateau.step(math.nan)  # no improvement

    def state_dict(self) -> dict:
        return {
            "mean": self.mean,
            "weight": self.weight,
            "plateau": self.plateau.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.mean = state["mean"]
        self.weight = state["weight"]
        self.plateau.load_state_dict(state["plateau"])


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict
) -> SmoothedPlateau:
    patience = max(1, round(prm.get("patience_fraction", 0.05) * total_steps))
    plateau = ReduceLROnPlateau(
        optimizer, mode="min", factor=0.5, patience=patience, threshold=1e-4
    )
    return SmoothedPlateau(plateau, prm.get("ema_decay", 0.98))


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
        self.scheduler: SmoothedPlateau | None = None

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
        self.scheduler.step((loss_sum / seen).item())
        return (correct / seen).item(), (loss_sum / seen).item()
