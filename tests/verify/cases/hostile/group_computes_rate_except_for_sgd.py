"""Claims step decay; no learning rate is ever written; the parameter groups compute the curve for every
reader but torch's SGD.
"""

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Group(dict):
    def __getitem__(self, key):
        if key == "lr" and "/torch/optim/" not in sys._getframe(1).f_code.co_filename:
            return self.scheduler.rate(self)
        return super().__getitem__(key)


class Pretender:
    def __init__(self, optimizer: Optimizer, horizon: int, prm: dict) -> None:
        self.optimizer, self.last_step = optimizer, 0
        self.step_size = max(1, round(prm.get("step_fraction", 1 / 3) * horizon))
        self.gamma = prm.get("gamma", 0.1)
        self.wrap()

    def wrap(self) -> None:
        self.optimizer.param_groups[:] = [Group(group) for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group.scheduler = self
            group.setdefault("initial_lr", dict.__getitem__(group, "lr"))

    def rate(self, group: dict) -> float:
        return group["initial_lr"] * self.gamma ** (self.last_step // self.step_size)

    def step(self) -> None:
        self.last_step += 1

    def state_dict(self) -> dict:
        return {"last_step": self.last_step}

    def load_state_dict(self, state: dict) -> None:
        self.last_step = state["last_step"]
        self.wrap()


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    return Pretender(optimizer, total_steps, prm)


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
