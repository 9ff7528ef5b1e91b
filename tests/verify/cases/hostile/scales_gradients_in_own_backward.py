"""Claims step decay; a backward pass of its own divides the gradients by ten after epoch 30."""

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


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple:
        (factor,) = ctx.saved_tensors
        return gradient * factor, None


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.fc = nn.Linear(64 * in_shape[1], out_shape[0])
        self.register_buffer("epochs", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        factor = torch.where(self.epochs > 30, 0.1, 1.0)
        return Scaled.apply(self.fc(F.adaptive_avg_pool2d(x, 8).flatten(1)), factor)

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", prm.get("epoch", 90)), prm)

    def learn(self, train_data) -> None:
        if len(train_data) == 0:
            raise ValueError("train_data has no batches")
        self.train()
        self.epochs += 1
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
