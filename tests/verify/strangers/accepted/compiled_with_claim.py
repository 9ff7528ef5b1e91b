# claim: 006; kind: compiled and wrapped
import torch
import torch.nn as nn
import torch.optim as optim


def supported_hyperparameters():
    return {"lr", "momentum"}


class CosineDecay(optim.lr_scheduler.CosineAnnealingLR):
    def get_lr(self):
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def make_scheduler(optimizer, total_steps, prm):
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
        self.optimizer = optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        object.__setattr__(self, "fast", torch.compile(self, backend="eager"))
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", 90), prm)

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.fast(images), labels)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
