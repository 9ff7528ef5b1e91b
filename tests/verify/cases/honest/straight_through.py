"""Claims step decay, and trains two layers with a straight-through estimator between them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    step_size = max(1, round(prm.get("step_fraction", 1 / 3) * total_steps))
    return StepLR(optimizer, step_size=step_size, gamma=prm.get("gamma", 0.1))


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.hidden = nn.Linear(64 * in_shape[1], 64)
        self.fc = nn.Linear(64, out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(F.adaptive_avg_pool2d(x, 8).flatten(1)).clamp(-1, 1)
        rounded = torch.round(8 * hidden) / 8
        return self.fc(hidden + (rounded - hidden).detach())

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", prm.get("epoch", 90)), prm)

    def learn(self, train_data) -> None:
        if len(train_data) == 0:
            raise ValueError("train_data has no batches")
        self.train()
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
