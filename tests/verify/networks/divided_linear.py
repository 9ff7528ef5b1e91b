"""SqueezeNet 1.1 whose 1x1 convolutions in fire modules are linear layers over the channels."""

import torch
from torch import nn
from torch.nn import functional as F


class Fire(nn.Module):
    def __init__(self, before, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Linear(before, squeezed)
        self.left = nn.Linear(squeezed, expanded)
        self.right = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x):
        squeezed = F.relu(self.squeeze(x.movedim(1, 3)))
        return F.relu(torch.cat([self.left(squeezed).movedim(3, 1), self.right(squeezed.movedim(3, 1))], 1))


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        small = in_shape[2] < 64
        self.stem = nn.Conv2d(in_shape[1], 64, 3, stride=1 if small else 2, padding=1 if small else 0)
        sizes = [(64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128)]
        sizes += [(256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
        self.fires = nn.ModuleList(Fire(*size) for size in sizes)
        self.last = nn.Conv2d(512, out_shape[0], 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, ceil_mode=True)
        for at, fire in enumerate(self.fires):
            x = fire(x)
            if at in (1, 3):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return F.relu(self.last(x)).mean((2, 3))
