"""The digits: a fixed split of real images, the same on every machine."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lrgen import data
from lrgen.errors import UnknownNameError

# Of the arrays' bytes, in the order of their fields. A change here changes every recorded accuracy.
SHA256 = "10acc34cdf1a7dea5135a9d8e20a90ae0505ed97b31c18322f5872804afd95d8"
TRAIN, TEST = 600, 300


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def arrays(dataset: data.Dataset) -> tuple[np.ndarray, ...]:
    return dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels


def digest(dataset: data.Dataset) -> str:
    found = hashlib.sha256()
    for array in arrays(dataset):
        found.update(f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def test_the_arrays_have_their_shapes(digits):
    """Images are uint8 with three equal channels of 32 by 32, labels whole numbers."""
    assert digits.train_images.shape == (TRAIN, 3, 32, 32)
    assert digits.test_images.shape == (TEST, 3, 32, 32)
    assert digits.train_labels.shape == (TRAIN,)
    assert digits.test_labels.shape == (TEST,)
    assert [array.dtype for array in arrays(digits)] == [np.uint8, np.int64, np.uint8, np.int64]
    for images in (digits.train_images, digits.test_images):
        assert (images == images[:, :1]).all()
        assert images.min() == 0
        assert images.max() == 255


def test_the_split_is_stratified(digits):
    """Every digit has its share of both parts, to the image."""
    assert digits.classes == tuple("0123456789")
    train, test = Counter(digits.train_labels.tolist()), Counter(digits.test_labels.tolist())
    everything = Counter(load_digits().target.tolist())
    assert sorted(train) == sorted(test) == sorted(everything) == list(range(10))
    for digit, count in everything.items():
        assert train[digit] == pytest.approx(count * TRAIN / 1797, abs=1.5)
        assert test[digit] == pytest.approx(count * TEST / 1797, abs=1.5)


def test_no_image_is_in_both_parts(digits):
    """Every image is one of scikit-learn's with its label, and none is there twice or in both parts."""
    pixels, labels = load_digits(return_X_y=True)
    train, test = (nearest(images, pixels) for images in (digits.train_images, digits.test_images))
    assert len({*train, *test}) == TRAIN + TEST
    assert (labels[train] == digits.train_labels).all()
    assert (labels[test] == digits.test_labels).all()


def nearest(images: np.ndarray, pixels: np.ndarray) -> list[int]:
    """The index of the 8x8 original that each enlarged image is made from."""
    small = images[:, 0].reshape(-1, 8, 4, 8, 4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4)).reshape(-1, 64) / 255
    original = pixels / 16
    distances = (small**2).sum(axis=1)[:, None] - 2 * small @ original.T + (original**2).sum(axis=1)
    return distances.argmin(axis=1).tolist()


def test_the_arrays_are_the_same_everywhere(digits):
    """Loading twice gives the same bytes, and they are the ones that the recorded results come from."""
    assert digest(data.load("digits")) == digest(digits) == SHA256


def test_an_unknown_dataset_is_named():
    """A dataset that does not exist is refused before anything is loaded."""
    with pytest.raises(UnknownNameError, match="unknown dataset 'digit': did you mean digits?"):
        data.load("digit")
    with pytest.raises(UnknownNameError, match="unknown dataset 'mnist': known: digits"):
        data.check_name("mnist")
    data.check_name("digits")
