# claim: -; kind: accumulation
import torch
import torch.nn as nn
import torch.optim as optim


def supported_hyperparameters():
    return {"lr", "momentum"}


def make_scheduler(optimizer, total_steps, prm):
    return optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total_steps))


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
        self.prm = prm
        self.scheduler = None

    def learn(self, train_data):
        if self.scheduler is None:
            self.scheduler = make_scheduler(
                self.optimizer, self.prm.get("epoch_max", 10) * max(1, len(train_data) // 2), self.prm
            )
        self.train()
        self.optimizer.zero_grad()
        for index, (images, labels) in enumerate(train_data):
            images, labels = images.to(self.device), labels.to(self.device)
            loss = self.criterion(self(images), labels) / 2
            loss.backward()
            if (index + 1) % 2 == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.scheduler.step()
