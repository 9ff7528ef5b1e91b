"""ResNet-20 image classifier with cooldown at the first plateau.

The learning rate stays at ``lr`` until the mean training loss has not improved for more
than ``patience`` of training, or until only ``decay`` of training is left. Then it
falls linearly to zero over ``decay`` of training and stays there. The schedule advances
once per epoch, by the epoch's mean training loss.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "decay", "patience", "weight_decay"}


class PlateauTriggersCooldown:
    """Keeps the rates until the loss no longer falls, then takes them to zero."""

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
            self.watch(metrics)
        else:
            self.cool()

    def watch(self, metrics: float) -> None:
        if metrics < self.best * (1 - 1e-4):
            self.best = metrics
            self.patience_left = self.patience
        else:
            self.patience_left -= 1
        if self.patience_left < 0 or self.steps_left < self.cooldown_steps:
            self.cool()

    def cool(self) -> None:
        self.cooldown_left = max(0, self.cooldown_left - 1)
        scale = self.cooldown_left / self.cooldown_steps
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = scale * base_lr

    def state_dict(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state: dict) -> None:
        vars(self).update(state)


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict
) -> PlateauTriggersCooldown:
    patience = max(1, round(prm.get("patience", 5 / 90) * total_steps))
    cooldown_steps = max(1, round(prm.get("decay", 0.2) * total_steps))
    return PlateauTriggersCooldown(optimizer, total_steps, patience, cooldown_steps)


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
        epochs = prm.get("epoch_max", prm.get("epoch", 90))
        self.scheduler = make_scheduler(self.optimizer, epochs, prm)

    def learn(self, train_data: DataLoader) -> tuple[float, float]:
        """Train for one epoch; return its mean accuracy and loss."""
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
        mean_loss = (loss_sum / seen).item()
        self.scheduler.step(mean_loss)
        return (correct / seen).item(), mean_loss
