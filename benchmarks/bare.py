"""The same training as the training check, as one would write it by hand: no isolation, no checks, no record.

``python -m benchmarks.bare EPOCHS FILE...`` trains the files one after the other in this process.
"""

import importlib.util
import sys
from pathlib import Path

import torch

from lrgen import data
from lrgen.checks.subject import Batches
from lrgen.records import VerifySettings

BATCH = VerifySettings().batch_size


def train(path: Path, epochs: int, dataset: data.Dataset) -> float:
    """Train a rendered file and return its held-out accuracy."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = torch.from_numpy(dataset.train_images).float() / 255
    mean, std = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True)
    train_images = ((images - mean) / std).to(memory_format=torch.channels_last)
    train_data = Batches(train_images, torch.from_numpy(dataset.train_labels), BATCH, seed=0)
    test_images = (torch.from_numpy(dataset.test_images).float() / 255 - mean) / std
    test_images = test_images.to(memory_format=torch.channels_last)
    test_data = Batches(test_images, torch.from_numpy(dataset.test_labels), 4 * BATCH)
    prm = {"lr": 0.1, "momentum": 0.9, "epoch_max": epochs}
    torch.manual_seed(0)
    net = module.Net((BATCH, 3, 32, 32), (10,), prm, torch.device("cpu"))
    net.train_setup(prm)
    accuracy = 0.0
    for _ in range(epochs):
        net.learn(train_data)
        net.eval()
        with torch.no_grad():
            right = sum(int((net(x).argmax(dim=1) == y).sum()) for x, y in test_data)
        accuracy = max(accuracy, right / len(dataset.test_labels))
    return accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    digits = data.load("digits")
    for file in sys.argv[2:]:
        print(file, train(Path(file), int(sys.argv[1]), digits))
