# claim: -; kind: plateau
import torch
import torch.nn as nn
import torch.optim as optim


def supported_hyperparameters():
    return {"lr", "momentum"}


class Plateau:
    def __init__(self, optimizer, patience=2):
        self.optimizer, self.patience, self.best, self.bad = optimizer, patience, float("inf"), 0

    def step(self, *, loss):
        self.bad = 0 if loss < self.best else self.bad + 1
        self.best = min(self.best, loss)
        if self.bad > self.patience:
            self.bad = 0
            for group in self.optimizer.param_groups:
                group["lr"] *= 0.5


def make_scheduler(optimizer, total_steps, prm):
    return Plateau(optimizer)


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
        self.optimizer = optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", 90), prm)

    def learn(self, train_data):
        self.train()
        total = 0.0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.scheduler.step(loss=total / max(1, len(train_data)))
