"""The datasets: a fixed split of the digits, the same on every machine, and CIFAR from its published files."""

import hashlib
import json
import pickle
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lrgen import data
from lrgen.errors import ConfigError, DataError, UnknownNameError
from tests.paths import TINY

# The digest of the arrays, in the order of their fields. When it changes, so does every recorded accuracy.
SHA256 = "10acc34cdf1a7dea5135a9d8e20a90ae0505ed97b31c18322f5872804afd95d8"
TRAIN, TEST = 600, 300


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def arrays(dataset: data.Dataset) -> tuple[np.ndarray, ...]:
    return dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels


def digest(dataset: data.Dataset) -> str:
    sha256 = hashlib.sha256()
    for array in arrays(dataset):
        sha256.update(f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def test_the_arrays_have_the_documented_shapes_and_types(digits):
    """Images are uint8 with three equal channels of 32×32 pixels; labels are int64."""
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
    """Every digit occurs in both splits in proportion, within one image."""
    assert digits.classes == tuple("0123456789")
    train, test = Counter(digits.train_labels.tolist()), Counter(digits.test_labels.tolist())
    total = Counter(load_digits().target.tolist())
    assert sorted(train) == sorted(test) == sorted(total) == list(range(10))
    for digit, count in total.items():
        assert train[digit] == pytest.approx(count * TRAIN / 1797, abs=1.5)
        assert test[digit] == pytest.approx(count * TEST / 1797, abs=1.5)


def test_no_image_is_in_both_splits(digits):
    """Every image and its label come from scikit-learn, and no image occurs twice."""
    pixels, labels = load_digits(return_X_y=True)
    train, test = (nearest(images, pixels) for images in (digits.train_images, digits.test_images))
    assert len({*train, *test}) == TRAIN + TEST
    assert (labels[train] == digits.train_labels).all()
    assert (labels[test] == digits.test_labels).all()


def nearest(images: np.ndarray, pixels: np.ndarray) -> list[int]:
    """Return the index of the 8×8 original of each resized image."""
    small = images[:, 0].reshape(-1, 8, 4, 8, 4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4)).reshape(-1, 64) / 255
    original = pixels / 16
    distances = (small**2).sum(axis=1)[:, None] - 2 * small @ original.T + (original**2).sum(axis=1)
    return distances.argmin(axis=1).tolist()


def test_the_arrays_are_the_same_everywhere(digits):
    """Loading the digits twice gives the same bytes, and their digest is the recorded one."""
    assert digest(data.load("digits")) == digest(digits) == SHA256


def test_an_unknown_dataset_is_named():
    """The error about an unknown dataset names it, with a similar name or all known names."""
    with pytest.raises(UnknownNameError, match=r"^unknown dataset 'digit': did you mean digits\?$"):
        data.load("digit")
    with pytest.raises(
        UnknownNameError, match="^unknown dataset 'mnist': known: digits, cifar-10, cifar-20, cifar-100$"
    ):
        data.check_name("mnist")
    data.check_name("digits")


# CIFAR: a few images in the published format; their md5 sums replace those of the published files.

IMAGES = {"train": 40, "test": 20}


def random_images(count: int, seed: int) -> np.ndarray:
    """Return images in the layout of the files: uint8 of shape (count, 3072), all red pixels first."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def write(path: Path, content: dict[str, Any]) -> str:
    """Pickle with protocol 2, as Python 2 did, and return the file's md5 sum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar_10(tmp_path, monkeypatch) -> Path:
    """Five training batches and a test batch of CIFAR-10."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    sums = []
    for position, name in enumerate(names):
        count = IMAGES["test"] if name == "test_batch" else IMAGES["train"] // 5
        labels = [(position + index) % 10 for index in range(count)]
        content = {"batch_label": name, "data": random_images(count, position), "labels": labels, "filenames": []}
        sums.append(write(folder / name, content))
    meta = {"label_names": list(data.CLASSES["cifar-10"]), "num_cases_per_batch": 8, "num_vis": 3072}
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": write(folder / "batches.meta", meta)})
    monkeypatch.setattr(CIFAR10, "train_list", [list(pair) for pair in zip(names[:5], sums[:5], strict=True)])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], sums[5]]])
    return tmp_path


@pytest.fixture
def cifar_100(tmp_path, monkeypatch) -> Path:
    """CIFAR-100 with fine and coarse labels."""
    from torchvision.datasets import CIFAR100

    folder = tmp_path / "cifar-100-python"
    sums = {}
    for seed, (name, count) in enumerate(IMAGES.items()):
        fine, coarse = [(7 * index + seed) % 100 for index in range(count)], [index % 20 for index in range(count)]
        content = {"data": random_images(count, seed), "fine_labels": fine, "coarse_labels": coarse, "filenames": []}
        sums[name] = write(folder / name, content)
    names = {"fine_label_names": list(data.CLASSES["cifar-100"]), "coarse_label_names": list(data.CLASSES["cifar-20"])}
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": write(folder / "meta", names)})
    monkeypatch.setattr(CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", sums["test"]]])
    return tmp_path


def test_cifar_10_is_read_from_its_published_files(cifar_10):
    """The five batches are read in order, channels first, with their labels; the augmentation is the usual one."""
    dataset = data.load("cifar-10", cifar_10)
    batches = np.concatenate([random_images(8, position) for position in range(5)])
    assert (dataset.train_images == batches.reshape(-1, 3, 32, 32)).all()
    assert (dataset.test_images == random_images(20, 5).reshape(-1, 3, 32, 32)).all()
    assert dataset.train_labels.tolist() == [(position + index) % 10 for position in range(5) for index in range(8)]
    assert dataset.test_labels.tolist() == [(5 + index) % 10 for index in range(20)]
    assert [array.dtype for array in arrays(dataset)] == [np.uint8, np.int64, np.uint8, np.int64]
    assert dataset.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert (dataset.crop, dataset.flip) == (4, True)


def test_cifar_20_is_cifar_100_by_its_superclasses(cifar_100):
    """cifar-20 has the images of cifar-100 with the 20 coarse labels of the same files."""
    fine, coarse = data.load("cifar-100", cifar_100), data.load("cifar-20", cifar_100)
    assert (fine.train_images == coarse.train_images).all()
    assert (fine.test_images == random_images(20, 1).reshape(-1, 3, 32, 32)).all()
    assert fine.train_labels.tolist() == [7 * index % 100 for index in range(40)]
    assert coarse.train_labels.tolist() == [index % 20 for index in range(40)]
    assert coarse.test_labels.tolist() == [index % 20 for index in range(20)]
    assert (len(fine.classes), len(coarse.classes)) == (100, 20)
    assert {"aquatic_mammals", "people", "vehicles_1"} <= set(coarse.classes)
    assert (fine.name, coarse.name) == ("cifar-100", "cifar-20")


def test_the_error_about_a_missing_dataset_names_the_options(tmp_path):
    """Nothing is downloaded without the option; the error names the missing folder and both options."""
    with pytest.raises(
        DataError, match=r"^cifar-10: no folder cifar-10-batches-py in .* \(--data-root DIR .*, --download "
    ):
        data.load("cifar-10", tmp_path)
    assert list(tmp_path.iterdir()) == []


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_bit, Path.unlink], ids=["a bit", "a file"])
@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_file_that_differs_from_the_published_one_is_not_read(cifar_10, file, damage: Callable[[Path], None]):
    """A wrong bit or a missing file stops the load, because unpickling a foreign file could run any code."""
    damage(cifar_10 / "cifar-10-batches-py" / file)
    with pytest.raises(
        DataError, match=r"/cifar-10-batches-py: differs from the published files of cifar-10 \(md5 sums\): "
    ):
        data.load("cifar-10", cifar_10)


def test_the_classes_must_be_those_of_the_files(cifar_100, monkeypatch):
    """The names of the classes in lrgen must equal those of the files, in the same order."""
    monkeypatch.setitem(data.cifar.CLASSES, "cifar-20", data.CLASSES["cifar-20"][::-1])
    with pytest.raises(
        DataError,
        match="/cifar-100-python: the classes must be those of cifar-20, got aquatic_mammals, fish, flowers, …$",
    ):
        data.load("cifar-20", cifar_100)


def test_torchvision_does_the_download(tmp_path, monkeypatch):
    """``download`` passes the root to torchvision; without a network, its error becomes a DataError."""
    from torchvision.datasets import CIFAR100
    from torchvision.datasets import cifar as torchvision_cifar

    requests = []

    def fetch(url: str, root: str, **options: str) -> None:
        requests.append((url, root, options["md5"]))
        raise OSError("no network")

    monkeypatch.setattr(torchvision_cifar, "download_and_extract_archive", fetch)
    with pytest.raises(
        DataError, match=f"^{re.escape(str(tmp_path))}: cifar-20 cannot be downloaded or read: no network$"
    ):
        data.load("cifar-20", tmp_path, download=True)
    assert requests == [(CIFAR100.url, str(tmp_path), CIFAR100.tgz_md5)]


def test_the_superclasses_can_be_switched_off():
    """Without the extended classes, cifar-20 is an error and the other datasets are not."""
    with pytest.raises(ConfigError, match=r"^dataset: cifar-20 is switched off \(enable_extended_classes\)$"):
        data.check_name("cifar-20", extended=False)
    for name in ("digits", "cifar-10", "cifar-100"):
        data.check_name(name, extended=False)


def test_a_network_is_trained_on_cifar_10(cifar_10, lrgen, monkeypatch):
    """``verify --dataset cifar-10 --data-root`` trains a network, and the store has the names of the classes."""
    from torchvision.datasets import CIFAR10

    folder, sums = cifar_10 / "cifar-10-batches-py", {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        labels = [index % 10 for index in range(100)]
        images = random_images(100, 0) // 8
        for image, label in zip(images, labels, strict=True):
            image[300 * label : 300 * label + 300] += 200  # a bright stripe whose position is the class
        sums[name] = write(folder / name, {"data": images, "labels": labels})
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in sums if name != "test_batch"])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(data.cifar, "CROP", 0)
    selection = ("--templates", TINY, "--model", "Tiny", "--variant", "7")
    code, out, err = lrgen("verify", *selection, "--dataset", "cifar-10", "--data-root", cifar_10, "--epochs", "3")
    assert code == 0, out + err
    code, out, _ = lrgen("results", "classes", "Tiny", "A0_007", "--json")
    rows = json.loads(out)
    assert [row["class_name"] for row in rows] == list(data.CLASSES["cifar-10"])
    assert [row["support"] for row in rows] == [10] * 10
