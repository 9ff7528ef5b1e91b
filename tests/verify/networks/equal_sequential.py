"""ResNet-20 as one nn.Sequential, in which a shortcut is a module around another one."""

import torch
from torch import nn
from torch.nn import functional as F


def conv(before, width, stride=1):
    return [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)]


class Residual(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.body = nn.Sequential(*conv(before, width, stride), nn.ReLU(), *conv(width, width))
        self.stride, self.padding = stride, (0, 0, 0, 0, 0, width - before)

    def forward(self, x):
        return F.relu(self.body(x) + F.pad(x[:, :, :: self.stride, :: self.stride], self.padding))


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        layers = [*conv(in_shape[1], 16), nn.ReLU()]
        before = 16
        for width in (16, 32, 64):
            for block in range(3):
                layers.append(Residual(before, width, 2 if block == 0 and width > 16 else 1))
                before = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, out_shape[0]))

    def forward(self, x):
        return self.layers(x)

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
