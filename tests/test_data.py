"""The digits: a fixed split of real images, the same on every machine."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lrgen import data
from lrgen.errors import UnknownNameError

# Of the arrays' bytes, in the order of their fields. A change here changes every recorded accuracy.
SHA256 = "82845565e997c51642f7bab1df9097d602ac0c03d50774148454c0deb5b76e7c"


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
    """1,797 images as uint8 with three equal channels of 32 by 32, a fifth of them held out."""
    assert digits.train_images.shape == (1437, 3, 32, 32)
    assert digits.test_images.shape == (360, 3, 32, 32)
    assert digits.train_labels.shape == (1437,)
    assert digits.test_labels.shape == (360,)
    assert [array.dtype for array in arrays(digits)] == [np.uint8, np.int64, np.uint8, np.int64]
    for images in (digits.train_images, digits.test_images):
        assert (images == images[:, :1]).all()
        assert images.min() == 0
        assert images.max() == 255


def test_the_split_is_stratified(digits):
    """Every digit has its fifth held out, to the image."""
    assert digits.classes == tuple("0123456789")
    train, test = Counter(digits.train_labels.tolist()), Counter(digits.test_labels.tolist())
    assert sorted(train) == sorted(test) == list(range(10))
    for digit in range(10):
        assert test[digit] == pytest.approx((train[digit] + test[digit]) / 5, abs=1)


def test_no_image_is_in_both_parts(digits):
    """Training and held-out images are disjoint, and together they are all of scikit-learn's, each with its label."""
    pixels, labels = load_digits(return_X_y=True)
    train, test = (nearest(images, pixels) for images in (digits.train_images, digits.test_images))
    assert not set(train) & set(test)
    assert sorted([*train, *test]) == list(range(1797))
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
