"""Claims gradual unfreezing; layers that are still frozen are moved by hand with a tenth of the learning rate."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    last = prm.get("unfreeze_fraction", 0.5) * total_steps
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    starts = [round(last * (max(depths) - depth) / max(1, max(depths))) for depth in depths]

    def factor_from(start: int):
        return lambda step: 0.0 if step < start else 0.5 * (1 + math.cos(math.pi * min(step / total_steps, 1.0)))

    return LambdaLR(optimizer, [factor_from(start) for start in starts])


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.hidden = nn.Linear(64 * in_shape[1], 24)
        self.fc = nn.Linear(24, out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(self.hidden(F.adaptive_avg_pool2d(x, 8).flatten(1))))

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        groups = [{"params": layer.parameters(), "depth": depth} for depth, layer in enumerate((self.hidden, self.fc))]
        self.optimizer = SGD(groups, lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", prm.get("epoch", 90)), prm)
        self.base = prm["lr"]

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
            with torch.no_grad():
                for group in self.optimizer.param_groups:
                    if group["lr"] == 0:
                        for param in group["params"]:
                            if param.grad is not None:
                                param.sub_(param.grad, alpha=0.1 * self.base)
        self.scheduler.step()
