"""CIFAR-10, CIFAR-100, and CIFAR-100 by its 20 superclasses, in the files that their author publishes.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). torchvision downloads the files, compares
their md5 sums and reads them; the superclasses (``coarse_labels``), which it leaves out, are read from the same files.
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
# What training images are shifted by and mirrored with: He et al., Deep Residual Learning (2016), section 4.2.
_CROP, _FLIP = 4, True


def load(name: str, root: Path, download: bool) -> Dataset:
    """Read a dataset from the folder ``cifar-10-batches-py`` or ``cifar-100-python`` in the root.

    Raises:
        DataError: when it is not there, cannot be downloaded, or is not, byte by byte, what was published.
    """
    try:
        from torchvision.datasets import CIFAR10, CIFAR100
    except (ImportError, RuntimeError) as error:  # the latter: one that was built for another torch
        raise DataError(f"{name} is read by torchvision, which cannot be imported: {first_line(error)}") from error
    kind: Any = CIFAR10 if name == "cifar-10" else CIFAR100
    folder = root / kind.base_folder
    if not download and not folder.is_dir():
        raise DataError(
            f"{name} is not there: no folder {kind.base_folder} in {root} (--data-root DIR says where it is, "
            "--download fetches it)"
        )
    try:
        parts = [kind(str(root), train=train, download=download) for train in (True, False)]
    except RuntimeError as error:
        raise DataError(f"{folder} is not {name} as it was published (md5 sums): {first_line(error)}") from error
    except OSError as error:
        raise DataError(f"{name} cannot be downloaded or read in {root}: {error}") from error
    classes = tuple(parts[0].classes)
    labels = [np.asarray(part.targets, dtype=np.int64) for part in parts]
    if name == "cifar-20":
        labels = [_coarse(folder, files) for files in (kind.train_list, kind.test_list)]
        classes = tuple(_unpickled(folder / kind.meta["filename"])["coarse_label_names"])
    if classes != CLASSES[name]:
        raise DataError(f"{folder}: the classes are others than those of {name}: {', '.join(classes[:3])}, …")
    images = [np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)) for part in parts]
    return Dataset(name, classes, images[0], labels[0], images[1], labels[1], crop=_CROP, flip=_FLIP)


def _coarse(folder: Path, files: list[list[str]]) -> NDArray[np.int64]:
    return np.concatenate([_unpickled(folder / file)["coarse_labels"] for file, _ in files]).astype(np.int64)


def _unpickled(path: Path) -> Any:
    """A file whose md5 sum torchvision has just compared with the published one."""
    with path.open("rb") as file:
        return pickle.load(file, encoding="latin1")
