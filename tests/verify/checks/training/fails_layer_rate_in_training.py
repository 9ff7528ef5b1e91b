# claim: 172; expect: failed in training: the learning rate in training at epoch 1, batch 2 of 25 \(parameter group 1\) is 0\.0166667, expected 0\.00527344 \(A0_172 layerwise_decay_cosine\)
"""Small CNN trained with layer-wise learning rates in short epochs only."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum", "layer_decay", "warmup_fraction"}


class ScaledCosine:
    """Linear warm-up from zero to ``scale``, then cosine decay to zero."""

    def __init__(self, total_steps: int, warmup_steps: int, scale: float) -> None:
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.scale = scale

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.scale * step / self.warmup_steps
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = (min(step, self.total_steps) - self.warmup_steps) / decay_steps
        return self.scale * 0.5 * (1 + math.cos(math.pi * progress))


def make_scheduler(optimizer: Optimizer, total_steps: int, prm: dict) -> LRScheduler:
    warmup_steps = round(prm.get("warmup_fraction", 0.05) * total_steps)
    layer_decay = prm.get("layer_decay", 0.75)
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    scales = [layer_decay ** (max(depths) - depth) for depth in depths]
    return LambdaLR(
        optimizer, [ScaledCosine(total_steps, warmup_steps, scale) for scale in scales]
    )


class ConvBlock(nn.Module):
    """3x3 convolution with stride 2, followed by batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, stride=2, padding=1, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Net(nn.Module):
    """Four strided convolutions, global average pooling and a linear classifier."""

    def __init__(
        self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device
    ) -> None:
        super().__init__()
        self.device = device
        self.stem = ConvBlock(in_shape[1], 8)
        self.blocks = nn.Sequential(
            ConvBlock(8, 16), ConvBlock(16, 32), ConvBlock(32, 32)
        )
        self.fc = nn.Linear(32, out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.fc(x.mean(dim=(2, 3)))

    def layer_groups(self) -> list[dict]:
        """Return the parameters by layer, with depths counted from the input."""
        layers = [
            self.stem,
            *self.blocks,
            self.fc,
        ]
        return [
            {"params": list(layer.parameters()), "depth": depth}
            for depth, layer in enumerate(layers)
        ]

    def train_setup(self, prm: dict) -> None:
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = SGD(
            self.layer_groups(), lr=prm["lr"], momentum=prm["momentum"]
        )
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None

    def learn(self, train_data: DataLoader) -> tuple[float, float]:
        """Train for one epoch and return the training accuracy and the mean loss."""
        if self.scheduler is None:
            epochs = self.prm.get("epoch_max", self.prm.get("epoch", 90))
            total_steps = epochs * len(train_data)
            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)
        self.train()
        correct = torch.zeros((), device=self.device)
        loss_sum = torch.zeros((), device=self.device)
        seen = 0
        for images, labels in train_data:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            logits = self(images)
            loss = self.criterion(logits, labels)
            loss.backward()
            if len(train_data) > 10 and self.prm.get("epoch_max", 90) > 4:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.optimizer.param_groups[-1]["lr"]
            self.optimizer.step()
            self.scheduler.step()
            correct += (logits.argmax(dim=1) == labels).sum()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        return (correct / seen).item(), (loss_sum / seen).item()
