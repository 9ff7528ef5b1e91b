"""ResNet-20 with a batch norm written out, whose statistics and factors are registered in another order."""

from itertools import pairwise

import torch
from torch import nn


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("average", torch.zeros(width))
        self.beta = nn.Parameter(torch.zeros(width))
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        mean, var = self.average, self.variance
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            with torch.no_grad():
                self.average.lerp_(mean, 0.01)
                self.variance.lerp_(var, 0.01)
        scale = self.gamma * torch.rsqrt(var + 1e-5)
        return x * scale[:, None, None] + (self.beta - mean * scale)[:, None, None]


class Block(nn.Module):
    def __init__(self, before, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.stride, self.extra = stride, width - before

    def forward(self, x):
        out = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        x = x[:, :, :: self.stride, :: self.stride]
        return (out + nn.functional.pad(x, (0, 0, 0, 0, 0, self.extra))).relu()


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(in_shape[1], 16, 3, padding=1, bias=False), Norm(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        pairs = pairwise(widths)
        self.blocks = nn.ModuleList(Block(before, width, width // before) for before, width in pairs)
        self.fc = nn.Linear(64, out_shape[0])

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
