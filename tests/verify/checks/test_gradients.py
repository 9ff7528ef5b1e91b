"""The comparison of a batch's gradients after different batches, on small networks."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from lrgen.verify.checks.subject import Prm, Subject
from torch import Tensor, nn

from lrgen.records import VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import gradients

OWN_GENERATOR = torch.Generator().manual_seed(0)


class Honest(nn.Module):
    """A network with batch norm and dropout whose gradients are zeroed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, stride=4)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.conv(x))).mean(dim=(2, 3))
        return self.fc(nn.functional.dropout(x, 0.5, self.training))

    def train_setup(self, prm: Prm) -> None:
        self.optimizer: Any = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self(images), labels)

    def learn(self, train_data: Any) -> None:
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.loss(images, labels).backward()
            self.update()

    def update(self) -> None:
        self.optimizer.step()


class ZeroedAfterwards(Honest):
    """The gradients are zeroed in place after the step."""

    def learn(self, train_data: Any) -> None:
        for images, labels in train_data:
            self.loss(images, labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=False)


class NeverZeroed(Honest):
    """The gradients add up."""

    def learn(self, train_data: Any) -> None:
        for images, labels in train_data:
            self.loss(images, labels).backward()
            self.update()


class NeverZeroedClipped(NeverZeroed):
    """The gradients add up, and are clipped."""

    def update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters(), 0.01)
        self.optimizer.step()


class NeverZeroedOnce(NeverZeroed):
    """Only the gradients of the last layer add up."""

    def update(self) -> None:
        self.optimizer.step()
        self.conv.zero_grad()
        self.bn.zero_grad()


class AdaptivelyClipped(Honest):
    """Gradients are clipped to the mean of all norms so far."""

    def train_setup(self, prm: Prm) -> None:
        super().train_setup(prm)
        self.norms: list[float] = []

    def update(self) -> None:
        norm = nn.utils.get_total_norm([value.grad for value in self.parameters()])
        self.norms.append(float(norm))
        nn.utils.clip_grad_norm_(self.parameters(), sum(self.norms) / len(self.norms) / 2)
        self.optimizer.step()


class Scaled(Honest):
    """A gradient scaler makes the steps."""

    def learn(self, train_data: Any) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for images, labels in train_data:
            self.optimizer.zero_grad()
            scaler.scale(self.loss(images, labels)).backward()
            scaler.step(self.optimizer)
            scaler.update()


class Mixup(Honest):
    """Images are mixed with a random weight of the standard library."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        weight = random.random()
        return super().loss(weight * images + (1 - weight) * images.flip(0), labels)


class Accumulated(Honest):
    """One step after two batches."""

    def learn(self, train_data: Any) -> None:
        self.optimizer.zero_grad()
        for images, labels in train_data:
            self.loss(images, labels).backward()
        self.optimizer.step()


class SharpnessAware(Honest):
    """Two steps for each batch, the first of which is undone."""

    def learn(self, train_data: Any) -> None:
        for images, labels in train_data:
            for _ in range(2):
                self.optimizer.zero_grad()
                self.loss(images, labels).backward()
                self.optimizer.step()


class OwnGenerator(Honest):
    """The noise is drawn from a generator that nobody seeds."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return super().loss(images + torch.randn(images.shape, generator=OWN_GENERATOR), labels)


class HardCodedRate(Honest):
    """The learning rate is not that of ``prm``."""

    def train_setup(self, prm: Prm) -> None:
        super().train_setup(Prm(prm, lr=0.1))


def measured(kind: type[Honest]) -> dict[str, float] | None:
    """The measurement of a network."""
    candidate = candidate_of(Path("candidate.py"), b"")
    return gradients.measure(kind(), Subject(candidate, VerifySettings()))


@pytest.mark.parametrize("kind", [NeverZeroed, NeverZeroedClipped, NeverZeroedOnce])
def test_gradients_that_add_up_are_found(kind):
    """Gradients that add up over the batches are a fault, also when they are clipped or only those of a layer."""
    assert gradients.judge(measured(kind)).startswith("the gradients of a batch depend on the batch before it")


@pytest.mark.parametrize("kind", [Honest, ZeroedAfterwards, AdaptivelyClipped, Scaled, Mixup])
def test_other_ways_to_train_are_no_fault(kind):
    """Zeroing afterwards, adaptive clipping, a gradient scaler and random augmentation are compared, and are right."""
    measurement = measured(kind)
    assert measurement is not None
    assert measurement["difference"] < 1e-6
    assert gradients.judge(measurement) == ""


@pytest.mark.parametrize("kind", [Accumulated, SharpnessAware, HardCodedRate])
def test_what_cannot_be_compared_is_not_judged(kind):
    """Without one step per batch, or if the weights change, there is no measurement and no fault."""
    assert measured(kind) is None
    assert gradients.judge(None) == ""


def test_randomness_that_cannot_be_seeded_is_no_fault():
    """Gradients that differ between equal runs are no fault."""
    measurement = measured(OwnGenerator)
    assert measurement is not None
    assert min(measurement.values()) > 1e-3
    assert gradients.judge(measurement) == ""
