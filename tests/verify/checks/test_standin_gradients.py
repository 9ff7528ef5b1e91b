"""The gradients that the examiner computes are those that a real loop with the stand-in gives its parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.standin_gradients import ClippingError, OtherLossError, StandInGradients
from lrgen.verify.checks.updates import Gradients
from lrgen.verify.messages import CriterionReport
from lrgen.verify.nursery.standin import StandIn

CLASSES = 10
Loss = Callable[[Any, Tensor], Tensor]
PLAIN = CriterionReport(name="CrossEntropyLoss", callable=True, cross_entropy=True, label_smoothing=0.0)
OWN = CriterionReport(name="Own", callable=True, cross_entropy=False, label_smoothing=0.0)


@dataclass
class Batch:
    """A batch that went through the stand-in: what arrived, and the gradients that the parameters have."""

    seed: int
    images: np.ndarray
    labels: np.ndarray
    arrived: list[np.ndarray]
    gradients: list[np.ndarray]

    @property
    def observed(self) -> tuple[np.ndarray, float]:
        """The gradients of all sampled positions, and their norm."""
        whole = np.concatenate(self.gradients)
        return whole, float(np.linalg.norm(whole))


class Loop:
    """A network with a stand-in, trained with a loss; ``change`` is applied to the gradients before the update."""

    def __init__(self, criterion: CriterionReport = PLAIN, output: Any = None) -> None:
        self.net = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))
        self.stand_in = StandIn(self.net, torch.zeros(2, CLASSES) if output is None else output)
        counts = [parameter.numel() for parameter in self.net.parameters()]
        sampling = Sampling([np.arange(count) for count in counts])
        leaves = [list(shape) for shape in self.stand_in.shapes]
        self.standing = StandInGradients(criterion, leaves, counts, [True] * len(counts), sampling)
        self.index = 0

    def batch(
        self,
        loss: Loss,
        count: int = 6,
        seed: int = 1,
        mix: Callable[[Tensor], Tensor] = lambda images: images,
        change: Callable[[nn.Module], object] = lambda net: None,
    ) -> Batch:
        """Put a batch through the stand-in and back."""
        draw = np.random.Generator(np.random.Philox(seed))
        images = draw.standard_normal((count, 3, 8, 8), dtype=np.float32)
        labels = draw.integers(CLASSES, size=count)
        self.stand_in.begin(self.index, seed)
        self.net.zero_grad()
        loss(self.stand_in(mix(torch.from_numpy(images))), torch.from_numpy(labels)).backward()
        change(self.net)
        [(_, arrived)] = self.stand_in.incoming
        self.stand_in.incoming.clear()
        self.index += 1
        gradients = [parameter.grad.flatten().numpy().astype(np.float64) for parameter in self.net.parameters()]
        return Batch(seed, images, labels, [leaf.numpy() for leaf in arrived], gradients)

    def expected(self, batch: Batch, observed: bool = True) -> Gradients:
        """What the examiner computes for it."""
        scale, error = self.standing.of(batch.seed, batch.images, batch.labels, batch.arrived)
        return self.standing.gradients(batch.seed, scale, error, batch.observed if observed else None)


def assert_equal(expected: Gradients, batch: Batch, relative: float = 1e-5) -> None:
    """Require the gradients of a batch to be the expected ones, within the stated errors."""
    assert expected.errors is not None
    difference = np.abs(expected.values - np.concatenate(batch.gradients))
    assert np.all(difference <= expected.errors + relative * np.abs(expected.values))


def cross_entropy(smoothing: float = 0.0, factor: float = 1.0) -> Loss:
    """The cross entropy, scaled."""
    return lambda output, labels: factor * nn.functional.cross_entropy(output, labels, label_smoothing=smoothing)


@settings(max_examples=50)
@given(st.integers(0, 2**60 - 1), st.integers(1, 33), st.sampled_from([0.0, 0.1, 0.7]))
def test_the_gradients_of_a_cross_entropy_are_predicted(seed, count, smoothing):
    """For any batch, with or without label smoothing, the prediction is what arrives at the parameters."""
    loop = Loop(PLAIN.model_copy(update={"label_smoothing": smoothing}))
    batch = loop.batch(cross_entropy(smoothing), count, seed)
    assert_equal(loop.expected(batch, observed=False), batch)
    assert loop.standing.factors == {}


def test_the_loss_and_the_correct_images_are_predicted():
    """The examiner knows the loss of a batch and how many images the stand-in classifies correctly."""
    loop = Loop(PLAIN.model_copy(update={"label_smoothing": 0.1}))
    noted = []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        noted.append((cross_entropy(0.1)(output, labels), (output.argmax(dim=1) == labels).sum()))
        return noted[-1][0]

    batch = loop.batch(loss, 40)
    value, correct = loop.standing.losses(batch.seed, batch.images, batch.labels)
    assert value == pytest.approx(noted[0][0].item(), rel=1e-5)
    assert correct == noted[0][1].item() > 0


def test_auxiliary_outputs_have_constant_factors():
    """The factor of an auxiliary output is found in the first batch, and another one later is refused."""
    output = (torch.zeros(2, CLASSES), torch.zeros(2, CLASSES), torch.zeros(2, CLASSES))
    loop = Loop(output=output)

    def loss(second: float) -> Loss:
        def total(outputs: Any, labels: Tensor) -> Tensor:
            parts = [nn.functional.cross_entropy(output, labels) for output in outputs]
            return parts[0] + 0.3 * parts[1] + second * parts[2]

        return total

    for seed in (1, 2):
        batch = loop.batch(loss(0.2), seed=seed)
        assert_equal(loop.expected(batch), batch)
    assert loop.standing.factors == {1: pytest.approx(0.3), 2: pytest.approx(0.2)}
    batch = loop.batch(loss(0.1), seed=3)
    with pytest.raises(OtherLossError):
        loop.expected(batch)


def test_a_criterion_of_the_file_has_one_constant_factor():
    """A criterion of the file's own may be any multiple of the cross entropy, but always the same."""
    loop = Loop(OWN)
    for seed in (1, 2):
        batch = loop.batch(cross_entropy(factor=3.0), seed=seed)
        assert_equal(loop.expected(batch), batch)
    batch = loop.batch(cross_entropy(factor=1.5), seed=3)
    with pytest.raises(OtherLossError):
        loop.expected(batch)


@pytest.mark.parametrize(
    ("loss", "mix"),
    [
        (cross_entropy(0.1), lambda images: images),
        (lambda output, labels: nn.functional.cross_entropy(output, (labels + 1) % CLASSES), lambda images: images),
        (lambda output, labels: nn.functional.cross_entropy(output, labels.flip(0)), lambda images: images),
        (lambda output, labels: nn.functional.cross_entropy(output[:3], labels[:3]), lambda images: images),
        (lambda output, labels: nn.functional.cross_entropy(output / 2, labels), lambda images: images),
        (lambda output, labels: output.mean(), lambda images: images),
        (cross_entropy(), lambda images: 0.9 * images + 0.1 * images.flip(0)),
        (cross_entropy(), lambda images: images.flip(0)),
        (cross_entropy(), lambda images: images.flip(3)),
    ],
    ids=[
        "smoothed", "other labels", "labels in another order", "half of the images",
        "temperature", "no cross entropy", "mixed images", "images in another order", "mirrored images",
    ],
)  # fmt: skip
def test_another_loss_is_refused(loss, mix):
    """Other labels, other images and another loss are not taken for the cross entropy of the batch."""
    loop = Loop()
    batch = loop.batch(loss, mix=mix)
    with pytest.raises(OtherLossError):
        loop.expected(batch)


@pytest.mark.parametrize(("factor", "said"), [(0.5, "0.5"), (1.01, "1.01"), (-1.0, "-1"), (6.0, "6")])
def test_a_scaled_loss_fails(factor, said):
    """A multiple of the cross entropy, where the criterion is torch's, is another learning rate, and said to be one."""
    loop = Loop()
    batch = loop.batch(cross_entropy(factor=factor))
    with pytest.raises(CheckFailure, match=f"^the gradients at the logits are {said} times"):
        loop.expected(batch)


def test_gradients_at_an_output_that_is_no_logits_are_refused():
    """An output of another shape than logits is known to have no part in the loss; if it has, it is refused."""
    loop = Loop(output=(torch.zeros(2, CLASSES), torch.zeros(2, 4, 4)))
    batch = loop.batch(lambda outputs, labels: nn.functional.cross_entropy(outputs[0], labels))
    assert_equal(loop.expected(batch), batch)
    batch = loop.batch(lambda outputs, labels: nn.functional.cross_entropy(outputs[0], labels) + outputs[1].sum())
    with pytest.raises(OtherLossError):
        loop.expected(batch)


def test_an_output_of_any_size_costs_nothing():
    """A file may say that its output is huge: nothing of that size is computed, and its gradients are refused."""
    loop = Loop()
    batch = loop.batch(cross_entropy())
    for shape in ([1 << 20], [1 << 20, 1 << 20, 1 << 20], []):
        loop.standing.leaves = [shape]
        loop.standing.losses(batch.seed, batch.images, batch.labels)
        with pytest.raises(OtherLossError):
            loop.expected(batch)


CLIPS = {
    "norm": lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.3),
    "value": lambda net: nn.utils.clip_grad_value_(net.parameters(), 0.05),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clipped_gradients_are_predicted(name):
    """Clipping by norm or by value is found where it first shows, and holds from then on."""
    loop = Loop()
    for seed in range(12):
        batch = loop.batch(cross_entropy(), count=1 + seed, seed=seed, change=CLIPS[name])
        assert_equal(loop.expected(batch), batch, relative=1e-4)
    assert (loop.standing.clip_norm is not None) == (name == "norm")
    assert (loop.standing.clip_value is not None) == (name == "value")
    assert loop.standing.clip_norm in (None, pytest.approx(0.3, rel=1e-4))
    assert loop.standing.clip_value in (None, pytest.approx(0.05, rel=1e-4))


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_clipping_that_barely_shows_is_predicted(kind):
    """A limit just below the first norm, or the first largest value, is clipping from the first update on."""
    loop = Loop()
    whole, norm = loop.batch(cross_entropy(), seed=0).observed
    limit = 0.9995 * (norm if kind == "norm" else float(np.abs(whole).max()))
    clip = nn.utils.clip_grad_norm_ if kind == "norm" else nn.utils.clip_grad_value_
    for seed in range(8):
        batch = loop.batch(cross_entropy(), seed=seed, change=lambda net: clip(net.parameters(), limit))
        assert_equal(loop.expected(batch), batch, relative=1e-4)


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_clipping_that_begins_later_is_refused(kind):
    """A single update with smaller gradients is no clipping where larger ones came before: it is another rate."""

    def half(net: nn.Module) -> None:
        gradients = [parameter.grad for parameter in net.parameters()]
        if kind == "norm":
            nn.utils.clip_grad_norm_(net.parameters(), 0.5 * float(torch.cat([g.flatten() for g in gradients]).norm()))
        else:
            nn.utils.clip_grad_value_(net.parameters(), 0.5 * max(float(g.abs().max()) for g in gradients))

    loop = Loop()
    for seed in range(3):
        loop.expected(loop.batch(cross_entropy(), seed=seed))
    with pytest.raises(ClippingError):
        loop.expected(loop.batch(cross_entropy(), seed=0, change=half))


@pytest.mark.parametrize(
    "change",
    [
        lambda net: [parameter.grad.mul_(0.5) for parameter in net.parameters()],
        lambda net: [parameter.grad.mul_(2.0) for parameter in net.parameters()],
        lambda net: net[0].weight.grad.zero_(),
        lambda net: net[0].weight.grad.neg_(),
        lambda net: [parameter.grad.sign_() for parameter in net.parameters()],
        lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.01 * float(net[0].bias.grad.abs().sum())),
    ],
    ids=["halved", "doubled", "one parameter zeroed", "one parameter negated", "signs", "clipped to another norm"],
)
def test_changed_gradients_are_refused(change):
    """Gradients that the file changes otherwise than by one clipping are refused, at the second batch at the latest."""
    loop = Loop()
    with pytest.raises(ClippingError):
        [loop.expected(loop.batch(cross_entropy(), seed=seed, change=change)) for seed in range(4)]


def test_a_frozen_parameter_has_no_gradient():
    """A parameter that is not trained has no gradient, and does not count in the norm."""
    loop = Loop()
    loop.net[0].weight.requires_grad_(False)
    loop.stand_in = StandIn(loop.net, torch.zeros(2, CLASSES))
    trained = [False, True, True, True]
    loop.standing = StandInGradients(PLAIN, loop.standing.leaves, loop.standing.counts, trained, loop.standing.sampling)
    loop.net[0].weight.grad = torch.zeros(5, 7)
    batch = loop.batch(cross_entropy(), change=lambda net: setattr(net[0].weight, "grad", torch.zeros(5, 7)))
    expected = loop.expected(batch)
    assert expected.present.tolist() == trained
    assert not np.any(expected.values[:35])
    assert_equal(expected, batch)


def test_a_factor_that_almost_cancels_is_as_exact_as_its_error():
    """Where the products that a factor is the sum of cancel, the gradients differ by its error, and by no more."""
    standing = StandInGradients(PLAIN, [[CLASSES]], [100], [True], Sampling([np.arange(100)]))
    [exact] = [standing.gradients(1, 1e-3, 0.0).values]
    observed = 1.004 * exact, float(np.linalg.norm(1.004 * exact))
    assert standing.gradients(1, 1e-3, 5e-6, observed).values == pytest.approx(exact)
    with pytest.raises(ClippingError):
        standing.gradients(1, 1e-3, 1e-6, observed)
