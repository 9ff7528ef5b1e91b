"""ResNet-20 trained with Schedule-Free AdamW and linear warm-up.

The learning rate increases linearly to ``lr`` over the first ``warmup_fraction`` of
training, then stays constant. Instead of decaying the learning rate, Schedule-Free
AdamW averages the weights for evaluation. The schedule advances once per batch.
"""

from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "warmup_fraction", "weight_decay"}


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages the weights instead of decaying the learning rate.

    The steps update z, x is a weighted average of z, and gradients are computed at
    y = (1 - momentum) * z + momentum * x. The parameters hold y during training and
    x during evaluation.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float,
        weight_decay: float = 0.0,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"beta2": beta2, "eps": eps, "steps": 0}
        super().__init__(params, defaults | {"lr_max": 0.0, "weight_sum": 0.0})

    @torch.no_grad()
    def train(self, mode: bool) -> None:
        """Set the parameters to y for training or, if ``mode`` is false, to x."""
        for group in self.param_groups:
            for param in group["params"]:
                if param in self.state:
                    x, z = self.state[param]["x"], self.state[param]["z"]
                    param.copy_(z.lerp(x, group["momentum"]) if mode else x)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Steps are weighted by the square of the maximum learning rate so far.
            group["lr_max"] = max(group["lr_max"], group["lr"])
            weight = group["lr_max"] ** 2
            group["weight_sum"] += weight
            coefficient = weight / group["weight_sum"] if weight else 0.0
            group["steps"] += 1
            bias_correction = 1 - group["beta2"] ** group["steps"]
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["x"], state["z"] = param.clone(), param.clone()
                    state["exp_avg_sq"] = torch.zeros_like(param)
                state["exp_avg_sq"].lerp_(param.grad.square(), 1 - group["beta2"])
                scale = (state["exp_avg_sq"] / bias_correction).sqrt() + group["eps"]
                update = param.grad / scale + group["weight_decay"] * param
                state["z"].sub_(update, alpha=group["lr"])
                state["x"].lerp_(state["z"], coefficient)
                param.copy_(state["z"].lerp(state["x"], group["momentum"]))
        return loss


class Warmup:
    """Linear warm-up to one over ``warmup_steps`` steps, then constant."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.warmup_steps)


def make_scheduler(
    optimizer: Optimizer, total_steps: int, prm: dict[str, float]
) -> LRScheduler:
    warmup_steps = max(1, round(prm.get("warmup_fraction", 0.02) * total_steps))
    return LambdaLR(optimizer, Warmup(warmup_steps))


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
        self.optimizer = ScheduleFreeAdamW(
            self.parameters(),
            lr=prm["lr"],
            momentum=prm["momentum"],
            weight_decay=prm.get("weight_decay", 1e-4),
        )
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the network and of its schedule-free optimizer."""
        super().train(mode)
        if hasattr(self, "optimizer"):  # not before ``train_setup``
            self.optimizer.train(mode)
        return self

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
