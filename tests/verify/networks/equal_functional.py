"""ResNet-20 in functional style: parameters and statistics belong to Net, and all kernels precede all norms."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.shapes = [(16, in_shape[1])]
        for before, width in pairwise(WIDTHS):
            self.shapes += [(width, before), (width, width)]
        self.kernels = nn.ParameterList(
            nn.Parameter(torch.randn(width, before, 3, 3) * (2 / (9 * before)) ** 0.5) for width, before in self.shapes
        )
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width, _ in self.shapes)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(width)) for width, _ in self.shapes)
        for at, (width, _) in enumerate(self.shapes):
            self.register_buffer(f"var{at}", torch.ones(width))
            self.register_buffer(f"mean{at}", torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(out_shape[0]))
        self.weight = nn.Parameter(torch.randn(out_shape[0], 64) * 0.1)

    def conv(self, x, at, stride=1):
        x = F.conv2d(x, self.kernels[at], stride=stride, padding=1)
        mean, var = getattr(self, f"mean{at}"), getattr(self, f"var{at}")
        return F.batch_norm(x, mean, var, self.scales[at], self.shifts[at], self.training)

    def forward(self, x):
        x = F.relu(self.conv(x, 0))
        for block in range(9):
            stride = 2 if block in (3, 6) else 1
            out = self.conv(F.relu(self.conv(x, 2 * block + 1, stride)), 2 * block + 2)
            x = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
            x = F.relu(x + out)
        return F.linear(x.mean((-2, -1)), self.weight, self.bias)

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
