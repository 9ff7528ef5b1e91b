"""A dataset for the tools that read one, without network access."""

from pathlib import Path

import pytest

from lrgen.finetune.example import Row
from lrgen.finetune.rows import Split
from tests.score.rows import dataset_in


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without network access or a cache in the home folder, in an empty folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dataset(catalogue, tmp_path, offline) -> dict[Split, list[Row]]:
    """A dataset in the folder ``data``."""
    return dataset_in(tmp_path / "data", catalogue)
