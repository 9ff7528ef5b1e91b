"""A plain training loop for rendered files, the peer of the training check: no isolation, no checks, no records.

``python -m benchmarks.bare EPOCHS FILE...`` trains the files one after the other in this process.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from lrgen import data
from lrgen.records import VerifySettings

BATCH = VerifySettings().batch_size


class _Shuffled:
    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return -(-len(self.labels) // BATCH)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in torch.randperm(len(self.labels)).split(BATCH):
            yield self.images[indices], self.labels[indices]


def _normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return ((images - mean) / std).to(memory_format=torch.channels_last)


def train(path: Path, epochs: int, dataset: data.Dataset) -> float:
    """Train a rendered file and return its held-out accuracy."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = torch.from_numpy(dataset.train_images).float() / 255
    mean, std = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True)
    train_data = _Shuffled(_normalised(images, mean, std), torch.from_numpy(dataset.train_labels))
    test_images = _normalised(torch.from_numpy(dataset.test_images).float() / 255, mean, std)
    test_data = zip(test_images.split(4 * BATCH), torch.from_numpy(dataset.test_labels).split(4 * BATCH), strict=True)
    held_out = list(test_data)
    prm = {"lr": 0.1, "momentum": 0.9, "epoch_max": epochs}
    torch.manual_seed(0)
    net = module.Net((BATCH, 3, 32, 32), (10,), prm, torch.device("cpu"))
    net.train_setup(prm)
    accuracy = 0.0
    for _ in range(epochs):
        net.learn(train_data)
        net.eval()
        with torch.no_grad():
            correct = sum(int((net(x).argmax(dim=1) == y).sum()) for x, y in held_out)
        accuracy = max(accuracy, correct / len(dataset.test_labels))
    return accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    digits = data.load("digits")
    for file in sys.argv[2:]:
        print(file, train(Path(file), int(sys.argv[1]), digits))
