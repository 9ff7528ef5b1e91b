"""The arrays and names of a dataset."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Images are uint8 of shape (N, channels, height, width), labels int64 of shape (N,).

    In training, an image is shifted by up to ``crop`` pixels and, with ``flip``, mirrored with probability 0.5.
    """

    name: str
    classes: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    crop: int = 0
    flip: bool = False
