"""CIFAR-10, CIFAR-100, and CIFAR-100 with the labels of its 20 superclasses, from the published files.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). torchvision downloads the files, compares
their md5 sums and reads them. It does not read the superclasses (``coarse_labels``); they come from the same files.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.data.dataset import Dataset
from lrgen.errors import DataError, first_line


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CIFAR_10 = _names("airplane automobile bird cat deer dog frog horse ship truck")
CIFAR_20 = _names("""
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
""")
CIFAR_100 = _names("""
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
""")
CLASSES = {"cifar-10": CIFAR_10, "cifar-20": CIFAR_20, "cifar-100": CIFAR_100}
# The augmentation of He et al., Deep Residual Learning for Image Recognition (2016), section 4.2.
CROP, FLIP = 4, True


def load(name: str, root: Path, download: bool) -> Dataset:
    """Read a dataset from the folder ``cifar-10-batches-py`` or ``cifar-100-python`` in the root.

    Raises:
        DataError: when it does not exist, cannot be downloaded, or differs from the published files.
    """
    try:
        from torchvision.datasets import CIFAR10, CIFAR100
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that was built for another torch
        raise DataError(f"{name} needs torchvision, which cannot be imported: {first_line(error)}") from error
    kind: Any = CIFAR10 if name == "cifar-10" else CIFAR100
    folder = root / kind.base_folder
    if not download and not folder.is_dir():
        raise DataError(
            f"{name}: no folder {kind.base_folder} in {root} (--data-root DIR names another folder, --download "
            "downloads the dataset)"
        )
    try:
        parts = [kind(str(root), train=train, download=download) for train in (True, False)]
    except RuntimeError as error:
        raise DataError(
            f"{folder}: differs from the published files of {name} (md5 sums): {first_line(error)}"
        ) from error
    except OSError as error:
        raise DataError(f"{root}: {name} cannot be downloaded or read: {error}") from error
    classes = tuple(parts[0].classes)
    labels = [np.asarray(part.targets, dtype=np.int64) for part in parts]
    if name == "cifar-20":
        labels = [_coarse(folder, files) for files in (kind.train_list, kind.test_list)]
        classes = tuple(_unpickled(folder / kind.meta["filename"])["coarse_label_names"])
    if classes != CLASSES[name]:
        raise DataError(f"{folder}: the classes must be those of {name}, got {', '.join(classes[:3])}, …")
    images = [np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)) for part in parts]
    return Dataset(name, classes, images[0], labels[0], images[1], labels[1], crop=CROP, flip=FLIP)


def _coarse(folder: Path, files: list[list[str]]) -> NDArray[np.int64]:
    return np.concatenate([_unpickled(folder / file)["coarse_labels"] for file, _ in files]).astype(np.int64)


def _unpickled(path: Path) -> Any:
    """Return the content of a file, whose md5 sum torchvision has just compared with the published one."""
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")
