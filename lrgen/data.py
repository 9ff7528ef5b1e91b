"""Datasets as uint8 arrays with a fixed split; the checks turn them into normalised batches on the device."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lrgen.errors import UnknownNameError

DATASETS = ("digits",)


@dataclass(frozen=True)
class Dataset:
    """Images as uint8 of shape (N, channels, height, width), labels as int64 of shape (N,).

    In training an image is shifted by up to ``crop`` pixels and, with ``flip``, mirrored half of the time.
    """

    name: str
    classes: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    crop: int = 0
    flip: bool = False


def check_name(name: str) -> None:
    """Raise UnknownNameError for a dataset that does not exist."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def load(name: str) -> Dataset:
    """Load a dataset.

    Raises:
        UnknownNameError: when there is no dataset of that name.
    """
    check_name(name)
    return _digits()


def _digits() -> Dataset:
    """scikit-learn's handwritten digits, which ship inside the package, enlarged to 32 pixels and 3 channels.

    Of the 1,797 images a fixed stratified choice of 300 is held out, and 600 others are trained on: as many as fifty
    files can be trained on in a quarter of an hour with two cores.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    small = (pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = [Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR) for image in small]
    images = np.repeat(np.stack([np.asarray(image) for image in large])[:, None], 3, axis=1)
    rest, test = train_test_split(np.arange(len(labels)), test_size=300, random_state=0, stratify=labels)
    train, _ = train_test_split(rest, train_size=600, random_state=0, stratify=labels[rest])
    labels = labels.astype(np.int64)
    return Dataset(
        name="digits",
        classes=tuple(str(digit) for digit in range(10)),
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )
