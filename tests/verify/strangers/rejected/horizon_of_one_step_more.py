# claim: 037; kind: horizon
import torch
import torch.nn as nn
import torch.optim as optim
import math
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def supported_hyperparameters():
    return {"lr", "momentum"}


class WarmupCosine:
    """Linear warm-up from zero, then cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        return 0.5 * (1 + math.cos(math.pi * progress))


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup_steps = round(prm.get("warmup_fraction", 0.1) * total_steps)
    return LambdaLR(optimizer, WarmupCosine(total_steps, warmup_steps))


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device

        self.body = nn.Sequential(
            nn.Conv2d(in_shape[1], 16, 3, stride=4),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(16, out_shape[0])

    def forward(self, x):
        return self.head(self.body(x))

    def train_setup(self, prm):
        self.to(self.device)
        self.prm = prm
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = None

    def learn(self, train_data):
        self.train()
        if self.scheduler is None:
            self.scheduler = make_scheduler(
                self.optimizer, self.prm.get("epoch_max", 90) * len(train_data) + 1, self.prm
            )
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
