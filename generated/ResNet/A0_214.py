"""ResNet-20 trained with cosine decay using EMA weights.

The learning rate decays from ``lr`` to zero along a cosine. The schedule advances once
per epoch.

An exponential moving average (EMA) of the weights and buffers is updated after each
update of the optimizer, and used in evaluation. The decay of update n is the smaller
one of ``ema_decay`` and (1 + n) / (10 + n).
"""

import copy
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "ema_decay", "weight_decay"}


class CosineDecay(CosineAnnealingLR):
    """Cosine annealing that keeps ``eta_min`` after ``T_max`` steps."""

    schedule: tuple[str, int]

    def get_lr(self) -> list[float | Tensor]:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()

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
    scheduler = CosineDecay(optimizer, T_max=total_steps)
    scheduler.schedule = ("cosine decay", total_steps)
    return scheduler


class ExponentialMovingAverage:
    """Averages the parameters and buffers of a network exponentially over the updates.

    The network has the averages between two epochs, and the trained weights during one.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = net
        self.decay = decay
        self.num_updates = 0
        self.averages: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}  # empty before the first update

    def train(self) -> None:
        """Give the network the trained weights, at the start of an epoch."""
        self.averages = copy.deepcopy(self.net.state_dict())
        if self.weights:
            self.net.load_state_dict(self.weights)

    @torch.no_grad()
    def update(self) -> None:
        """Update the averages; a lower decay at first lets them forget the start."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, value in self.net.state_dict().items():
            if value.is_floating_point():
                self.averages[name].lerp_(value, 1 - decay)
            else:
                self.averages[name].copy_(value)

    def eval(self) -> None:
        """Give the network the averages, at the end of an epoch."""
        self.weights = copy.deepcopy(self.net.state_dict())
        self.net.load_state_dict(self.averages)

    def state_dict(self) -> dict[str, Any]:
        return {"num_updates": self.num_updates, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_updates = state_dict["num_updates"]
        self.weights = copy.deepcopy(state_dict["weights"])


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

        A resumed run then loads the states of the network, the optimizer, the scheduler
        and the moving average, in any order.
        """
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.param_groups(),
            lr=prm["lr"],
            momentum=prm["momentum"],
            weight_decay=prm.get("weight_decay", 1e-4),
        )
        self.ema = ExponentialMovingAverage(self, decay=prm.get("ema_decay", 0.999))
        # Callers set ``epoch_max`` or ``epoch``; 90 is torchvision's default.
        epochs = int(prm.get("epoch_max", prm.get("epoch", 90)))
        self.scheduler = make_scheduler(self.optimizer, epochs, prm)

    def learn(
        self, train_data: DataLoader[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if len(train_data) == 0:
            raise ValueError("train_data is empty")
        self.ema.train()
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
            self.ema.update()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            num_samples += len(labels)
        self.scheduler.step()
        self.ema.eval()
        return (correct / num_samples).item(), (loss_sum / num_samples).item()
