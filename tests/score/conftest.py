"""A dataset for the tools that read one, without network access."""

from pathlib import Path

import pytest

from lrgen.finetune import manifest
from lrgen.finetune.example import Row
from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import explain
from tests import corpus


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without network access or a cache in the home folder, in an empty folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dataset(catalogue, tmp_path, offline) -> dict[Split, list[Row]]:
    """A dataset in the folder ``data`` that explains schedules, whose answers are graded without executing a file."""
    rows = {}
    (tmp_path / "data").mkdir()
    writer = parquet.ParquetWriter(tmp_path / "data" / parquet.NAME)
    for split, number in ((Split.TRAIN, 1), (Split.TEST, 2)):
        examples = explain.examples(corpus.task_input(catalogue, [number]))
        rows[split] = [Rows(0).of(example, split, split.value) for example in examples]
        for row in rows[split]:
            writer.write(row)
    writer.close()
    facts = {"schema": rows[Split.TEST][0]["schema"], "arguments": {}, "counts": {}, "held_out": {}}
    manifest.write(tmp_path / "data", facts)
    return rows
