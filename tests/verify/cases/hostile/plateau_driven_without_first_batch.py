"""Claims decay on plateaus of the training loss; the mean loss leaves out the first batch of each epoch with
more than one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    patience = max(1, round(prm.get("patience_fraction", 3 / 90) * total_steps))
    return ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=patience, threshold=1e-4)


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
        total, count, done = 0.0, 0, 0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self(images), labels)
            loss.backward()
            self.optimizer.step()
            done += 1
            if done > 1 or len(train_data) == 1:
                total, count = total + loss.item() * len(labels), count + len(labels)
        self.scheduler.step(total / count)
