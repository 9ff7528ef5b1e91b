# claim: 177; expect: verified
"""Small CNN trained with schedule-free AdamW and a warm-up."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "warmup_fraction"}


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its weights instead of decaying its learning rate.

    Each step updates z, x is the average of z, and the gradients are taken between the
    two, at y = (1 - momentum) z + momentum x. The network holds y while it trains
    and x while it is evaluated.
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
        """Give the network y to train at or, when ``mode`` is false, x to evaluate."""
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
            # The weight of a step is the square of the maximum learning rate so far.
            group["lr_max"] = max(group["lr_max"], group["lr"])
            weight = group["lr_max"] ** 2
            group["weight_sum"] += weight
            share = weight / group["weight_sum"] if weight else 0.0
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
                state["x"].lerp_(state["z"], share)
                param.copy_(state["z"].lerp(state["x"], group["momentum"]))
        return loss


class Warmup:
    """Linear warm-up to one in ``warmup_steps`` steps."""

    def __init__(self, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.warmup_steps)


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup_steps = max(1, round(prm.get("warmup_fraction", 0.02) * total_steps))
    return LambdaLR(optimizer, Warmup(warmup_steps))


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
        self.optimizer = ScheduleFreeAdamW(
            self.parameters(), lr=prm["lr"], momentum=prm["momentum"]
        )
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None

    def train(self, mode: bool = True) -> "Net":
        """Switch the weights too: the network trains at y and is evaluated at x."""
        super().train(mode)
        if hasattr(self, "optimizer"):
            self.optimizer.train(mode)
        return self

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
            self.scheduler.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        return (correct / seen).item(), (loss_sum / seen).item()
