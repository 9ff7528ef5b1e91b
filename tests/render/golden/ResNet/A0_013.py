"""ResNet-20 image classifier with a one-cycle policy.

The learning rate climbs along a cosine from ``lr / 25`` to ``lr`` over the first
``warmup`` fraction of training, then falls along a cosine to a ten-thousandth of its
start. The schedule advances once per batch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "warmup", "weight_decay"}


class OneCycle(OneCycleLR):
    """One-cycle policy that stays at its last rate after ``total_steps``."""

    def get_lr(self) -> list:
        if self.last_epoch >= self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup = prm.get("warmup", 0.3)
    if warmup * total_steps == 1:  # torch would divide by the zero steps of the climb
        warmup = min(1.0, 2 / total_steps)
    return OneCycle(
        optimizer,
        max_lr=optimizer.defaults["lr"],
        total_steps=total_steps,
        pct_start=warmup,
        anneal_strategy="cos",
        cycle_momentum=False,
        div_factor=25.0,
        final_div_factor=1e4,
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut that has no parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, 3, stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.new_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        # Subsample and fill the new channels with zeros: option A of the paper.
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return F.relu(out + shortcut)


class Net(nn.Module):
    """ResNet-20: a stem, three stages of 16, 32 and 64 channels, and a classifier."""

    def __init__(
        self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device
    ) -> None:
        super().__init__()
        self.device = device
        self.conv1 = nn.Conv2d(in_shape[1], 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.stage1 = nn.Sequential(
            BasicBlock(16, 16), BasicBlock(16, 16), BasicBlock(16, 16)
        )
        self.stage2 = nn.Sequential(
            BasicBlock(16, 32, 2), BasicBlock(32, 32), BasicBlock(32, 32)
        )
        self.stage3 = nn.Sequential(
            BasicBlock(32, 64, 2), BasicBlock(64, 64), BasicBlock(64, 64)
        )
        self.fc = nn.Linear(64, out_shape[0])
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        x = x.mean(dim=(2, 3))
        return self.fc(x)

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.parameters(),
            lr=prm["lr"],
            momentum=prm["momentum"],
            weight_decay=prm.get("weight_decay", 1e-4),
        )
        self.prm = prm
        # Made by the first ``learn``: only there the batches can be counted.
        self.scheduler: LRScheduler | None = None

    def learn(self, train_data: DataLoader) -> tuple[float, float]:
        """Train for one epoch; return its mean accuracy and loss."""
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
            self.scheduler.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        return (correct / seen).item(), (loss_sum / seen).item()
