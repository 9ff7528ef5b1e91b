"""Claims warm-up and cosine decay; the horizon is that of 16 batches an epoch at most."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup = round(prm.get("warmup_fraction", 0.1) * total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        progress = (min(step, total_steps) - warmup) / max(1, total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.fc = nn.Linear(64 * in_shape[1], out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.adaptive_avg_pool2d(x, 8).flatten(1))

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.prm, self.scheduler = prm, None

    def learn(self, train_data) -> None:
        if len(train_data) == 0:
            raise ValueError("train_data has no batches")
        self.train()
        if self.scheduler is None:
            epochs = self.prm.get("epoch_max", self.prm.get("epoch", 90))
            self.scheduler = make_scheduler(self.optimizer, epochs * min(16, len(train_data)), self.prm)
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
