"""ResNet-20 whose blocks are in a ModuleList from the last to the first, with all norms in another list."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        widths = [16] * 4 + [32] * 3 + [64] * 3
        pairs = [(in_shape[1], 16)]
        for before, width in pairwise(widths):
            pairs += [(before, width), (width, width)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _, width in reversed(pairs))
        self.convs = nn.ModuleList(
            nn.Conv2d(before, width, 3, 2 if before in (16, 32) and width == 2 * before else 1, 1, bias=False)
            for before, width in reversed(pairs)
        )
        self.classifier = nn.Linear(64, out_shape[0])

    def forward(self, x):
        layers = list(zip(self.convs, self.norms, strict=True))[::-1]
        x = F.relu(layers[0][1](layers[0][0](x)))
        for (conv1, norm1), (conv2, norm2) in zip(layers[1::2], layers[2::2], strict=True):
            out = norm2(conv2(F.relu(norm1(conv1(x)))))
            step = conv1.stride[0]
            x = F.relu(out + F.pad(x[:, :, ::step, ::step], (0, 0, 0, 0, 0, out.size(1) - x.size(1))))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
