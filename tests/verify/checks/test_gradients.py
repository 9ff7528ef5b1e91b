"""The comparison of a batch's gradients after different batches, on small networks."""

import textwrap

import pytest

from lrgen.verify.checks import gradients
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.examination import build, prm_of
from lrgen.verify.checks.gradients import Comparison
from lrgen.verify.checks.notes import Sampling
from tests.verify.examinations import Examine

# A network with batch norm and dropout whose gradients are zeroed; each class below is another one.
HONEST = """
import random

import torch
from torch import nn

OWN_GENERATOR = torch.Generator().manual_seed(0)


class Honest(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x))).mean(dim=(2, 3))
        return self.fc(nn.functional.dropout(x, 0.5, self.training))

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def loss(self, images, labels):
        return nn.functional.cross_entropy(self(images), labels)

    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.loss(images, labels).backward()
            self.update()

    def update(self):
        self.optimizer.step()


class NeverZeroed(Honest):
    def learn(self, train_data):
        self.train()
        for images, labels in train_data:
            self.loss(images, labels).backward()
            self.update()
"""
NETWORKS = {
    "honest": "class Net(Honest): pass",
    "zeroed afterwards": """
        class Net(Honest):
            def learn(self, train_data):
                self.train()
                for images, labels in train_data:
                    self.loss(images, labels).backward()
                    self.optimizer.step()
                    self.optimizer.zero_grad(set_to_none=False)
        """,
    "never zeroed": "class Net(NeverZeroed): pass",
    "never zeroed, clipped": """
        class Net(NeverZeroed):
            def update(self):
                nn.utils.clip_grad_norm_(self.parameters(), 0.01)
                self.optimizer.step()
        """,
    "last layer never zeroed": """
        class Net(NeverZeroed):
            def update(self):
                self.optimizer.step()
                self.conv.zero_grad()
                self.bn.zero_grad()
        """,
    "adaptively clipped": """
        class Net(Honest):
            def train_setup(self, prm):
                super().train_setup(prm)
                self.norms = []

            def update(self):
                self.norms.append(float(nn.utils.get_total_norm([value.grad for value in self.parameters()])))
                nn.utils.clip_grad_norm_(self.parameters(), sum(self.norms) / len(self.norms) / 2)
                self.optimizer.step()
        """,
    "scaled": """
        class Net(Honest):
            def learn(self, train_data):
                self.train()
                scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
                for images, labels in train_data:
                    self.optimizer.zero_grad()
                    scaler.scale(self.loss(images, labels)).backward()
                    scaler.step(self.optimizer)
                    scaler.update()
        """,
    "mixup": """
        class Net(Honest):
            def loss(self, images, labels):
                weight = random.random()
                return super().loss(weight * images + (1 - weight) * images.flip(0), labels)
        """,
    "accumulated": """
        class Net(Honest):
            def learn(self, train_data):
                self.train()
                self.optimizer.zero_grad()
                for images, labels in train_data:
                    self.loss(images, labels).backward()
                self.optimizer.step()
        """,
    "sharpness-aware": """
        class Net(Honest):
            def learn(self, train_data):
                self.train()
                for images, labels in train_data:
                    for _ in range(2):
                        self.optimizer.zero_grad()
                        self.loss(images, labels).backward()
                        self.optimizer.step()
        """,
    "own generator": """
        class Net(Honest):
            def loss(self, images, labels):
                return super().loss(images + torch.randn(images.shape, generator=OWN_GENERATOR), labels)
        """,
    "hard-coded learning rate": """
        class Net(Honest):
            def train_setup(self, prm):
                super().train_setup({**prm, "lr": 0.1})
        """,
}


@pytest.fixture
def measured(examine: Examine, request: pytest.FixtureRequest) -> Comparison | None:
    """The comparison of the network that the test is parametrized with."""
    examination = examine(HONEST + "\n\n" + textwrap.dedent(NETWORKS[request.param]))
    session = examination.session
    examination.load(session)
    parameters = build(session, "net", prm_of())
    sampling = Sampling(positions(examination.draw, [parameter.shape for parameter in parameters]))
    return gradients.measure(session, "net", sampling)


def of(*networks: str) -> pytest.MarkDecorator:
    """Parametrize a test with networks."""
    return pytest.mark.parametrize("measured", networks, indirect=True)


@of("never zeroed", "never zeroed, clipped", "last layer never zeroed")
def test_gradients_that_add_up_are_found(measured):
    """Gradients that add up over the batches are a fault, also when they are clipped or only those of a layer."""
    assert gradients.judge(measured).startswith("the gradients of a batch depend on the batch before it")


@of("honest", "zeroed afterwards", "adaptively clipped", "scaled", "mixup")
def test_other_ways_to_train_are_no_fault(measured):
    """Zeroing afterwards, adaptive clipping, a gradient scaler and random augmentation are compared, and are right."""
    assert measured is not None
    assert measured.difference < 1e-6
    assert gradients.judge(measured) == ""


@of("accumulated", "sharpness-aware", "hard-coded learning rate")
def test_what_cannot_be_compared_is_not_judged(measured):
    """Without one step per batch, or if the weights change, there is no comparison and no fault."""
    assert measured is None
    assert gradients.judge(None) == ""


@of("own generator")
def test_randomness_that_cannot_be_seeded_is_no_fault(measured):
    """Gradients that differ between equal runs are no fault."""
    assert measured is not None
    assert min(measured.difference, measured.repeated) > 1e-3
    assert gradients.judge(measured) == ""
