"""``datasets`` loads each configuration and each folder, at once and streamed, with the splits of the files."""

from pathlib import Path

import pyarrow.parquet
import pytest
from datasets import get_dataset_config_names, load_dataset

from integrations.clients import lines

NAMES = (
    *("messages", "prompt_completion", "dpo", "kto", "dpo_messages", "kto_messages", "nngpt", "openrlhf", "lm_eval"),
)
SPLITS = ("train", "validation", "test", "test_families")


def counts(dataset: Path, name: str) -> dict[str, int]:
    """Return the number of lines by split."""
    files = {split: "dev" if (name, split) == ("nngpt", "validation") else split for split in SPLITS}
    numbers = {split: len(lines(dataset, name, file)) for split, file in files.items()}
    return {split: number for split, number in numbers.items() if number}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_configuration(dataset, name, streaming):
    """A configuration has the lines of its format by split."""
    loaded = load_dataset(str(dataset), name, streaming=streaming)
    assert {split: sum(1 for _ in rows) for split, rows in loaded.items()} == counts(dataset, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder(dataset, name):
    """The folder of a format has the same splits."""
    assert {split: len(rows) for split, rows in load_dataset(str(dataset / name)).items()} == counts(dataset, name)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["parquet", "verl"])
def test_a_folder_of_parquet_files(dataset, name, streaming):
    """So has a folder of Parquet files, which have all rows."""
    loaded = load_dataset(str(dataset / name), streaming=streaming)
    files = {path.stem: pyarrow.parquet.ParquetFile(path) for path in (dataset / name).glob("*.parquet")}
    assert {split: sum(1 for _ in rows) for split, rows in loaded.items()} == {
        split: file.metadata.num_rows for split, file in files.items()
    }


def test_the_default_is_for_supervised_fine_tuning(dataset):
    """The configurations are the formats; without a name it is ``messages``, whose rows are in neither dpo nor kto."""
    assert tuple(get_dataset_config_names(str(dataset))) == NAMES
    loaded = load_dataset(str(dataset))
    for split, rows in loaded.items():
        assert rows["id"][:] == [line["id"] for line in lines(dataset, "messages", split)]
        others = {line["id"] for name in ("dpo", "kto") for line in lines(dataset, name, split)}
        assert others
        assert not others & set(rows["id"])
