"""What the clients read, which ``make integrations`` builds; no test here needs lrgen, but for that of TRL."""

from pathlib import Path

import pytest

from integrations.clients import FOLDER


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without network access, telemetry, a GPU or a cache in the home folder."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK", "AXOLOTL_DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


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
