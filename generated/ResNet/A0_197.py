"""ResNet-20 trained with elliptic decay and step pacing.

The learning rate decays to zero as ``(1 - progress**2) ** power``, where ``progress``
is the completed fraction of training, slowly at first and steeply at the end. The
default ``power`` of 0.5 gives a quarter of an ellipse; with a larger ``power`` it
decays earlier. The schedule advances once per batch.

Each epoch trains on the examples that have the lowest losses before it:
``start_fraction`` of the examples at first, and all of them after ``full_fraction`` of
training. An example's difficulty is its loss.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {
        "lr",
        "momentum",
        "full_fraction",
        "power",
        "start_fraction",
        "weight_decay",
    }


class EllipticDecay:
    """Elliptic decay: ``(1 - progress**2) ** power``."""

    def __init__(self, total_steps: int, power: float) -> None:
        self.total_steps = total_steps
        self.power = power

    def __call__(self, step: int) -> float:
        progress = min(step, self.total_steps) / self.total_steps
        return (1 - progress**2) ** self.power


class ResumableLambdaLR(LambdaLR):
    """Accepts only the state of the same schedule over the same horizon."""

    schedule: tuple[str, int]

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
    scheduler = ResumableLambdaLR(
        optimizer, EllipticDecay(total_steps, prm.get("power", 0.5))
    )
    scheduler.schedule = ("elliptic decay", total_steps)
    return scheduler


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
        """Create the criterion and the optimizer; ``learn`` creates the scheduler.

        A resumed run creates the scheduler itself, with ``make_scheduler``. It loads
        the states of the network, the optimizer and the scheduler, in any order.
        """
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.param_groups(),
            lr=prm["lr"],
            momentum=prm["momentum"],
            weight_decay=prm.get("weight_decay", 1e-4),
        )
        # The horizon of the schedule is unknown until ``learn`` counts the batches.
        self.prm = prm
        self.scheduler: LRScheduler | None = None
        # Callers set ``epoch_max`` or ``epoch``; 90 is torchvision's default.
        self.epochs = int(prm.get("epoch_max", prm.get("epoch", 90)))
        self.start_fraction = prm.get("start_fraction", 0.5)
        if not 0.0 < self.start_fraction <= 1.0:
            raise ValueError(
                f"start_fraction must be in (0, 1], got {self.start_fraction}"
            )
        self.full_fraction = prm.get("full_fraction", 0.4)
        if not 0.0 < self.full_fraction <= 1.0:
            raise ValueError(
                f"full_fraction must be in (0, 1], got {self.full_fraction}"
            )

    def examples_in_use(self, epoch: int, num_examples: int, batch_size: int) -> int:
        """Return the number of examples of an epoch: at least a batch, finally all.

        A rounding error of the share adds no example.
        """
        if epoch >= self.full_fraction * self.epochs:
            return num_examples
        examples = math.ceil(self.start_fraction * num_examples - 1e-9)
        return min(num_examples, max(batch_size, examples))

    def updates_in(self, epoch: int, num_examples: int, batch_size: int) -> int:
        """Return the number of batches that the examples of an epoch fill."""
        examples = self.examples_in_use(epoch, num_examples, batch_size)
        return math.ceil(examples / batch_size)

    def epoch_after(self, updates: int, num_examples: int, batch_size: int) -> int:
        """Return the epoch that begins after so many updates."""
        epoch = 0
        while updates > 0:
            updates -= self.updates_in(epoch, num_examples, batch_size)
            epoch += 1
        return epoch

    def curriculum(
        self, batches: list[tuple[Tensor, Tensor]], epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield shuffled batches of the examples with the lowest losses."""
        images = torch.cat([images for images, _ in batches])
        labels = torch.cat([labels for _, labels in batches])
        losses = []
        self.eval()
        with torch.no_grad():
            for inputs, targets in batches:
                logits = self(inputs.to(self.device))
                targets = targets.to(self.device)
                losses.append(
                    nn.functional.cross_entropy(logits, targets, reduction="none")
                )
        self.train()
        order = torch.cat(losses).to(labels.device).argsort(stable=True)
        batch_size = len(batches[0][1])
        count = self.examples_in_use(epoch, len(order), batch_size)
        chosen = order[:count]
        chosen = chosen[torch.randperm(count).to(chosen.device)]
        # Batches of nearly equal sizes: a last one of a single example has no variance.
        for indices in chosen.tensor_split(
            self.updates_in(epoch, len(order), batch_size)
        ):
            yield images[indices], labels[indices]

    def learn(
        self, train_data: DataLoader[tuple[Tensor, Tensor]]
    ) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if len(train_data) == 0:
            raise ValueError("train_data is empty")
        batches = list(train_data)
        num_examples = sum(len(labels) for _, labels in batches)
        batch_size = len(batches[0][1])
        if self.scheduler is None:
            if "initial_lr" in self.optimizer.param_groups[0]:
                raise RuntimeError("the optimizer was resumed without the scheduler")
            # An epoch has as many updates as the examples in use fill batches.
            total_steps = sum(
                self.updates_in(epoch, num_examples, batch_size)
                for epoch in range(self.epochs)
            )
            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)
        epoch = self.epoch_after(self.scheduler.last_epoch, num_examples, batch_size)
        self.train()
        correct = torch.zeros((), device=self.device)
        loss_sum = torch.zeros((), device=self.device)
        num_samples = 0
        for images, labels in self.curriculum(batches, epoch):
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
