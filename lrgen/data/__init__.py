"""Image datasets as uint8 arrays with a fixed split, and batches of them."""

from pathlib import Path

from lrgen.data import cifar, digits
from lrgen.data.dataset import Dataset
from lrgen.errors import ConfigError, UnknownNameError

__all__ = ["CLASSES", "Dataset", "check_name", "load"]

CLASSES = {"digits": digits.CLASSES, **cifar.CLASSES}


def check_name(name: str, extended: bool = True) -> None:
    """Check that a dataset exists and is enabled; ``cifar-20`` needs ``extended``.

    Raises:
        UnknownNameError: when there is no dataset of that name.
        ConfigError: when it is switched off.
    """
    if name not in CLASSES:
        raise UnknownNameError("dataset", name, CLASSES)
    if name == "cifar-20" and not extended:
        raise ConfigError("dataset: cifar-20 is switched off (enable_extended_classes)")


def load(name: str, root: Path = Path("data"), download: bool = False) -> Dataset:
    """Load a dataset: ``digits`` from scikit-learn, any other from the folder ``root``.

    Raises:
        UnknownNameError: when there is no dataset of that name.
        DataError: when it does not exist, cannot be downloaded, or differs from the published files.
    """
    check_name(name)
    return digits.load() if name == "digits" else cifar.load(name, root, download)
