# claim: 007; expect: failed in schedule: the learning rate at step \d+ .*initial learning rates (?:tensors )?\d.*, default .*, parameter group [234]\) is \d[\d.e-]*, expected \d[\d.e-]* \(A0_007 CosineAnnealingLR_with_min_lr\)
"""Small CNN trained with cosine annealing to the minimum of the first parameter group."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "min_lr_ratio"}


class CosineDecay(CosineAnnealingLR):
    """Cosine annealing that keeps ``eta_min`` after ``T_max`` steps."""

    def get_lr(self) -> list:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    eta_min = prm.get("min_lr_ratio", 0.01) * optimizer.param_groups[0]["lr"]
    return CosineDecay(optimizer, T_max=total_steps, eta_min=eta_min)


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
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        self.scheduler.step()
        return (correct / seen).item(), (loss_sum / seen).item()
