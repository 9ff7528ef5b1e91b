"""The classes and images of a training are disguised: permuted and transformed, as the training seed alone says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import data
from lrgen.records import Budget
from lrgen.verify.checks import images as checked
from lrgen.verify.checks.images import Disguise, disguise_of, training_data

SEEDS = st.integers(0, 2**63)
SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))


def pictures(shape: tuple[int, int, int], count: int = 5) -> np.ndarray:
    """Random images."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@settings(max_examples=100, deadline=None)
@given(SEEDS, SHAPES, st.integers(2, 100))
def test_a_disguise_can_be_undone(seed, shape, classes):
    """The classes are permuted, and different images stay different: each step of the transformation has an inverse."""
    disguise = disguise_of(seed, classes, shape)
    assert sorted(disguise.classes) == list(range(classes))
    images = pictures(shape)
    changed = disguise.images(images)
    back = 255 - changed if disguise.inverted else changed
    back = back[:, :, :, ::-1] if disguise.mirrored else back
    back = np.rot90(back, -disguise.turns, axes=(2, 3))[:, np.argsort(disguise.channels)]
    assert np.array_equal(back, images)


@settings(max_examples=100, deadline=None)
@given(SEEDS, SHAPES)
def test_a_disguise_keeps_the_shape_and_the_type(seed, shape):
    """Images stay uint8 of their shape, also where they are not square."""
    images = pictures(shape)
    changed = disguise_of(seed, 10, shape).images(images)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert changed.flags.c_contiguous


@settings(max_examples=50, deadline=None)
@given(SEEDS, SHAPES)
def test_a_disguise_depends_on_the_seed_alone(seed, shape):
    """Two runs with one seed have the same disguise."""
    assert disguise_of(seed, 10, shape) == disguise_of(seed, 10, shape)


def test_disguises_differ_between_seeds():
    """Every turn, mirror, polarity and mix of channels occurs, and no permutation of ten classes is common."""
    drawn = [disguise_of(seed, 10, (3, 8, 8)) for seed in range(300)]
    assert {disguise.turns for disguise in drawn} == {0, 1, 2, 3}
    assert {disguise.mirrored for disguise in drawn} == {disguise.inverted for disguise in drawn} == {False, True}
    assert len({disguise.channels for disguise in drawn}) == 6
    assert len({disguise.classes for disguise in drawn}) == 300


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 12))
def test_a_confusion_matrix_is_recorded_with_the_classes_of_the_dataset(seed, classes):
    """The count of an image and its prediction is found at their own classes, whatever the permutation."""
    disguise = disguise_of(seed, classes, (1, 8, 8))
    draw = np.random.default_rng(1)
    labels, predictions = draw.integers(0, classes, (2, 50))
    seen = np.zeros((classes, classes), dtype=int)
    np.add.at(seen, (disguise.labels(labels), disguise.labels(predictions)), 1)
    expected = np.zeros((classes, classes), dtype=int)
    np.add.at(expected, (labels, predictions), 1)
    assert np.array_equal(disguise.original(seen.tolist()), expected)


def test_the_images_to_overfit_are_evaluated_as_well():
    """With a budget the evaluated images are the training ones, of the budget's size, and not augmented."""
    digits = replace(data.load("digits"), crop=4, flip=True)
    prepared = training_data(digits, Budget(images=30, pixels=16, batch=10, epochs=1), 0)
    assert prepared.images is prepared.held_out
    assert prepared.images.shape == (30, 3, 16, 16)
    assert np.bincount(prepared.labels).tolist() == [3] * 10
    assert (prepared.crop, prepared.flip) == (0, False)


def test_the_images_to_overfit_cover_all_classes():
    """The first images of each class are taken, class by class."""
    labels = np.array([0, 0, 1, 2, 2, 1, 0])
    assert checked.first_of_each(labels, 2, 3).tolist() == [0, 2, 3, 1, 5, 4]


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 4, 4)])
def test_an_image_without_a_disguise_stays_as_it_is(shape):
    """The disguise of no turn, mirror or inversion is the identity."""
    images = pictures(shape)
    assert np.array_equal(Disguise((0, 1)).images(images), images)
