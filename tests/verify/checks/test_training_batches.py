"""The labels and losses of a batch of a training, where a practice makes them others than those of the loader."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen import catalogue as catalogues
from lrgen.verify.checks.batch_losses import BatchLosses, with_slow_term
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices import training_batches
from lrgen.verify.checks.practices.mixing_weights import require_distribution
from lrgen.verify.checks.practices.stand_in_runs import one_hot, probabilities
from lrgen.verify.checks.scores import losses

CATALOGUE = catalogues.load()
LINEAR, HARD, SOFT = (CATALOGUE.practice(name) for name in ("easy_first_linear", "self_paced_hard", "self_paced_soft"))
CLASSES = 10


def batch_of(seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels."""
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal((count, CLASSES)).astype(np.float32), rng.integers(CLASSES, size=count)


def arrived_at(logits, labels, others, weight, smoothing=0.0) -> np.ndarray:
    """The gradients of the loss of mixed labels at the logits."""
    targets = weight * one_hot(labels, CLASSES) + (1 - weight) * one_hot(others, CLASSES)
    targets = (1 - smoothing) * targets + smoothing / CLASSES
    return ((probabilities(logits.astype(np.float64)) - targets) / len(labels)).astype(np.float32)


@given(st.integers(0, 10**6), st.floats(0, 1), st.sampled_from([0.0, 0.1]))
def test_mixed_labels_are_known_by_the_gradients_of_their_loss(seed, weight, smoothing):
    """The loss of the labels that are found is that of the labels that were mixed, at each leaf."""
    logits, labels = batch_of(seed)
    others = np.random.default_rng(seed + 1).permutation(labels)
    mixed = training_batches.mixed_labels(
        logits, arrived_at(logits, labels, others, weight, smoothing), labels, smoothing
    )
    leaves = [logits, batch_of(seed + 2)[0]]
    expected = [
        weight * losses(leaf, labels, smoothing).mean() + (1 - weight) * losses(leaf, others, smoothing).mean()
        for leaf in leaves
    ]
    assert mixed.losses(leaves, labels, smoothing) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda logits, labels, others: 0.9 * arrived_at(logits, labels, others, 0.3), "are not those of mixed labels"),
        (
            lambda logits, labels, others: arrived_at(logits, labels, np.full_like(labels, 3), 0.3),
            "are mixed with others than those of its images",
        ),
        (lambda logits, labels, others: arrived_at(logits, labels, others, -0.2), "a label has the weight -0.200"),
        (lambda logits, labels, others: np.full_like(logits, np.nan), "are not finite"),
    ],
    ids=["scaled", "one label for all", "a weight below zero", "not finite"],
)
def test_other_gradients_are_no_mixed_labels(wrong, reason):
    """Gradients that are not those of a loss of the batch's labels, mixed with one weight, are a fault."""
    logits, labels = batch_of(0)
    others = np.roll(labels, 1)
    with pytest.raises(CheckFailure, match=reason):
        training_batches.mixed_labels(logits, wrong(logits, labels, others), labels, 0.0)


@given(st.integers(0, 10**6))
def test_each_image_may_have_its_own_weight(seed):
    """The loss of labels that are mixed by a weight for each image is known by its gradients."""
    logits, labels = batch_of(seed)
    rng = np.random.default_rng(seed)
    others, weights = rng.permutation(labels), rng.beta(0.2, 0.2, len(labels))
    mixed = training_batches.mixed_labels(logits, arrived_at(logits, labels, others, weights[:, None]), labels, 0.0)
    expected = (weights * losses(logits, labels) + (1 - weights) * losses(logits, others)).mean()
    assert mixed.losses([logits], labels, 0.0) == pytest.approx([expected], abs=1e-3)


def test_other_labels_are_a_fault_with_a_weight_for_each_image():
    """The other labels are those of the batch, also where each image has a weight of its own."""
    logits, labels = batch_of(0)
    weights = np.linspace(0.3, 0.6, len(labels))[:, None]
    arrived = arrived_at(logits, labels, np.full_like(labels, 3), weights)
    with pytest.raises(CheckFailure, match="are mixed with others than those of its images"):
        training_batches.mixed_labels(logits, arrived, labels, 0.0)


@pytest.mark.parametrize("practice", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_self_paced_losses_are_weighted_by_hand(practice, epoch):
    """The mean has the weights of the paper: 1 below the threshold, or linear in the loss."""
    logits, labels = batch_of(5)
    values = losses(logits, labels)
    threshold = practice.defaults["start_threshold"] * 1.5 ** (epoch - 1) * 2 * np.log(CLASSES)
    weights = (values < threshold) if practice is HARD else np.maximum(0, 1 - values / threshold)
    expected = (weights * values).sum() / weights.sum()
    loss_of = training_batches.losses_in_use(practice, epoch, CLASSES, 0.0)
    assert loss_of([logits], labels, expected, 0) == pytest.approx([expected], rel=1e-4)
    assert loss_of([logits], labels, 100.0, 0) == pytest.approx([expected], rel=1e-4), (
        "the value that is seen does not matter"
    )


def test_an_example_at_the_threshold_may_count_or_not():
    """Rounding errors decide whether an example at the threshold counts: the loss that was seen does."""
    labels = np.zeros(3, dtype=np.int64)
    logits = np.zeros((3, CLASSES))
    logits[0, 0], logits[1, 0] = 4.0, 3.0
    own = losses(logits, labels)  # the last one is log 10, the threshold of the second epoch
    loss_of = training_batches.losses_in_use(HARD, 1, CLASSES, 0.0)
    for expected in (own.mean(), own[:2].mean()):
        assert loss_of([logits], labels, expected, 0) == pytest.approx([expected], rel=1e-4)


def test_the_labels_of_a_curriculum_are_those_of_its_examples():
    """The positions that are seen are those of the labels."""
    labels = np.arange(20) % CLASSES
    size = 5  # a quarter of 20
    seen = [[19, 3, 4], [7, 0]]
    assert sum(map(len, seen)) == size
    parts = training_batches.labels_in_use(LINEAR, seen, labels, 0, 10, 3)
    assert [part.tolist() for part in parts] == [[9, 3, 4], [7, 0]]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ([[0, 1, 2], [3, 4, 5]], r"learn trains on 6 examples in training at epoch 1 of 10, expected 5 of 20 \(easy_"),
        ([[0, 1, 2], [3, 0]], "learn trains on an example twice in training at epoch 1 of 10"),
        ([[0, 1, 2], [3, 20]], "learn trains on images that are not those of its loader"),
    ],
    ids=["too many", "twice", "other images"],
)
def test_other_examples_than_those_of_the_pacing_are_a_fault(seen, reason):
    """An epoch has as many examples as the pacing function says, each once."""
    with pytest.raises(CheckFailure, match=reason):
        training_batches.labels_in_use(LINEAR, seen, np.arange(20) % CLASSES, 0, 10, 3)


def test_weights_of_another_distribution_are_a_fault():
    """The weights of a training are drawn by the default of the practice."""
    practice = CATALOGUE.practice("mixup")
    rng, seeds = np.random.default_rng(0), np.random.default_rng(1)

    class Drawn:
        """The draws of a test."""

        def getrandbits(self, bits: int) -> int:
            """An integer."""
            return int(seeds.integers(1 << bits))

    [parameter] = practice.hyperparameters
    right = rng.beta(parameter.default, parameter.default, 200)
    require_distribution(practice, right, Drawn(), size=24, where="the labels of training")
    for wrong in (np.full(200, 0.5), np.ones(200), rng.uniform(size=200)):
        with pytest.raises(CheckFailure, match=r"^the weights of the labels of training are not drawn by mixup_alpha="):
            require_distribution(practice, wrong, Drawn(), size=24, where="the labels of training")


@pytest.mark.parametrize(
    ("differences", "slow"),
    [
        ([5.0, 4.9, 4.7, 4.6], True),
        ([5.0, 4.9, 9.4, 4.6], True),  # of half as many images
        ([5.0, 4.9, 1.0, 4.6], False),
        ([5.0, 4.9, -4.7, 4.6], False),
        ([0.0, 0.0, 0.0, 0.1], False),
    ],
)
def test_a_term_of_the_weights_changes_slowly(differences, slow):
    """A term of the weights alone is there in each batch, and changes little from one to the next."""
    entropies, sizes = np.geomspace(2.3, 0.5, 4), np.array([20, 20, 10, 20])
    batches = [BatchLosses(entropies + differences, entropies[:, None], np.zeros(4), sizes)]
    assert with_slow_term(batches) is slow
