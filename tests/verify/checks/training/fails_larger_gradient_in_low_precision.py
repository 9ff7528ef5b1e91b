# claim: 006; expect: failed in training: the gradient in training at epoch 1, batch \d+ of 25 is not that of the criterion with the labels of the batch: its norm is \d\.\d+, expected \d\.\d+
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
            nn.Conv2d(in_shape[1], 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.head = nn.Linear(64 * 16, out_shape[0])

    def forward(self, x):
        return self.head(self.body(x))

    def train_setup(self, prm):
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = make_scheduler(self.optimizer, prm.get("epoch_max", 90), prm)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                loss = self.criterion(self(images), labels)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            if len(train_data) > 20:
                for parameter in self.parameters():
                    parameter.grad *= 1.04
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.scheduler.step()
