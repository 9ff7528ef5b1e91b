"""ResNet-20 image classifier with greedy adaptation to the loss.

The learning rate begins at ``start`` of ``lr``. It is divided by 0.8, up to ``lr``,
when more than ``patience`` of training in a row brought a better mean training loss,
and multiplied by 0.8, down to ``min_lr_ratio`` of ``lr``, when as many did not. A rate
that stays at that bound begins anew. The schedule advances once per epoch, by the
epoch's mean training loss.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "min_lr_ratio", "patience", "start", "weight_decay"}


class GreedyLR:
    """Raises the rates while the loss keeps falling, lowers them while it does not."""

    def __init__(
        self,
        optimizer: Optimizer,
        start: float,
        min_lr_ratio: float,
        patience: int,
        warmup: int,
        cooldown: int,
        reset_after: int,
    ) -> None:
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.start = start
        self.min_lr_ratio = min_lr_ratio
        self.patience = patience
        self.warmup = warmup
        self.cooldown = cooldown
        self.reset_after = reset_after
        self.streak = 0  # improvements in a row, negative without
        self.steps_to_skip = 0
        self.begin()

    def begin(self) -> None:
        self.best = math.inf
        self.reductions_at_min = 0
        self.set_rates(self.start)

    def set_rates(self, scale: float) -> None:
        self.scale = scale
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = scale * base_lr

    def step(self, metrics: float) -> None:
        if self.steps_to_skip > 0:
            self.steps_to_skip -= 1
            return
        if metrics < self.best - 1e-6:
            self.best = metrics
            self.streak = max(self.streak, 0) + 1
        else:
            self.streak = min(self.streak, 0) - 1
        if self.streak > self.patience:
            self.increase()
        elif self.streak < -self.patience:
            self.reduce()

    def increase(self) -> None:
        self.set_rates(min(self.scale / 0.8, 1.0))
        self.streak = 0
        self.steps_to_skip = self.warmup
        self.reductions_at_min = 0

    def reduce(self) -> None:
        self.set_rates(max(self.scale * 0.8, self.min_lr_ratio))
        self.streak = 0
        self.steps_to_skip = self.cooldown
        if self.scale == self.min_lr_ratio:
            self.reductions_at_min += 1
        if self.reductions_at_min == self.reset_after:
            self.begin()

    def state_dict(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state: dict) -> None:
        vars(self).update(state)


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> GreedyLR:
    return GreedyLR(
        optimizer,
        start=prm.get("start", 0.5),
        min_lr_ratio=prm.get("min_lr_ratio", 0.1),
        patience=max(1, round(prm.get("patience", 0.01) * total_steps)),
        warmup=round(0.01 * total_steps),
        cooldown=round(0.02 * total_steps),
        reset_after=max(1, round(0.05 * total_steps)),
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
