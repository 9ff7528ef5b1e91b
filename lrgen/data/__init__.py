"""Datasets as uint8 arrays with a fixed split; the checks turn them into normalised batches on the device."""

from pathlib import Path

from lrgen.data import cifar, digits
from lrgen.data.dataset import Dataset
from lrgen.errors import ConfigError, UnknownNameError

__all__ = ["CLASSES", "Dataset", "check_name", "load"]

CLASSES = {"digits": digits.CLASSES, **cifar.CLASSES}


def check_name(name: str, extended: bool = True) -> None:
    """Refuse a dataset that does not exist, and without ``extended`` the one with the 20 superclasses.

    Raises:
        UnknownNameError: there is none of that name.
        ConfigError: it is switched off.
    """
    if name not in CLASSES:
        raise UnknownNameError("dataset", name, CLASSES)
    if name == "cifar-20" and not extended:
        raise ConfigError("dataset: cifar-20 is switched off (enable_extended_classes)")


def load(name: str, root: Path = Path("data"), download: bool = False) -> Dataset:
    """Load a dataset: ``digits`` from scikit-learn's package, the others from the ``root``.

    Raises:
        UnknownNameError: when there is no dataset of that name.
        DataError: when it is not there, cannot be downloaded, or is not what was published.
    """
    check_name(name)
    return digits.load() if name == "digits" else cifar.load(name, root, download)
