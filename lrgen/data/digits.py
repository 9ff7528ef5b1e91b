"""scikit-learn's handwritten digits, which are part of its package."""

import numpy as np
from PIL import Image

from lrgen.data.dataset import Dataset

CLASSES = tuple(str(digit) for digit in range(10))


def load() -> Dataset:
    """Return the digits, resized from 8 to 32 pixels and repeated over 3 channels.

    The split is fixed and stratified: of the 1,797 images, 300 are held out and 600 are used for training. With so few
    images, fifty files can be trained in a quarter of an hour on two cores.
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
        classes=CLASSES,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )
