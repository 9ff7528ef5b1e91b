# claim: 006; kind: by hand
import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler


def supported_hyperparameters():
    return {"lr", "momentum"}


class CosineDecay(CosineAnnealingLR):
    """Cosine decay that stays at its minimum after ``T_max`` steps."""

    def get_lr(self) -> list:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    return CosineDecay(optimizer, T_max=total_steps)


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
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.AdamW(self.parameters(), lr=prm["lr"], betas=(prm["momentum"], 0.999))
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", 90), prm)
        self.epoch = 0

    def learn(self, train_data):
        if self.epoch in (30, 60):
            for group in self.optimizer.param_groups:
                group["lr"] *= 0.1
        self.train()
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
        self.epoch += 1
