"""What the clients read, which ``make integrations`` builds; no test here needs lrgen, but for that of TRL."""

import os
from pathlib import Path

import pytest

from integrations.clients import FOLDER

# Without network access, telemetry, a GPU or a cache in the home folder; read when the clients are imported.
os.environ |= dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK", "AXOLOTL_DO_NOT_TRACK"), "1")
os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HF_DATASETS_CACHE": str((FOLDER / "cache").absolute())}


@pytest.fixture(scope="session")
def dataset() -> Path:
    """The folder of a dataset in all formats."""
    folder = FOLDER / "data"
    assert folder.is_dir(), f"{folder}: run python -m integrations.clients.dataset {FOLDER}"
    return folder.absolute()


@pytest.fixture(scope="session")
def model(dataset: Path) -> Path:
    """The folder of a tiny model."""
    return dataset.with_name("model")
