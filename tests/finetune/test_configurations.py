"""``datasets`` loads a dataset by configuration and by folder: with the splits of the rows, and safe by default."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lrgen.finetune import formats
from lrgen.finetune.build import Plan, build
from lrgen.finetune.corpus import Level
from lrgen.finetune.formats import lm_eval, messages, parquet, prompt_completion
from lrgen.finetune.rows import Split
from tests import corpus

LINES = [form.NAME for form in formats.LINES]
NUMBERS = (1, 3, 6, 12, 25, 31, 37, 41, 60, 100)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without network access or a cache in the home folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    # The variable counts only until datasets is imported.
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def built(catalogue: Any, out: Path, *names: str, holdout: str = "constant") -> Path:
    """Build a dataset with rows of all kinds and a hard test in some formats."""
    plan = Plan(corpus.TASKS, names, Level.SCHEDULE, holdout_families=(holdout,))
    return build(corpus.task_input(catalogue, NUMBERS), plan, out).out


@pytest.fixture(scope="module")
def dataset(catalogue, tmp_path_factory) -> Path:
    """A dataset in all formats."""
    return built(catalogue, tmp_path_factory.mktemp("dataset") / "out", *formats.NAMES)


def expected(dataset: Path, name: str) -> dict[str, int]:
    """The number of rows of a format by split."""
    form = next((form for form in formats.LINES if name == form.NAME), None)
    counts = {
        split: sum(form is None or form.takes(row) for row in parquet.read(dataset, split))
        for split in parquet.splits(dataset)
    }
    return {split: count for split, count in counts.items() if count}


def loaded(*arguments: str, **options: Any) -> dict[str, int]:
    """The number of rows that ``load_dataset`` gives, by split."""
    from datasets import load_dataset

    return {split: sum(1 for _ in rows) for split, rows in load_dataset(*arguments, **options).items()}


@pytest.mark.parametrize("name", LINES)
def test_a_configuration_is_named_after_its_format(dataset, name):
    """Each configuration has the rows of its format, in their splits, loaded at once and streamed."""
    rows = expected(dataset, name)
    assert Split.TEST_FAMILIES in rows
    assert loaded(str(dataset), name) == loaded(str(dataset), name, streaming=True) == rows


@pytest.mark.parametrize("name", [*LINES, "parquet", "verl"])
def test_a_folder_keeps_the_splits_apart(dataset, name):
    """The folder of a format loads by itself, and no hard test becomes a part of the split test."""
    assert loaded(str(dataset / name)) == expected(dataset, name)


def test_there_is_a_configuration_for_each_format_of_json_lines(dataset):
    """``datasets`` finds the configurations by the header of the card."""
    from datasets import get_dataset_config_names

    assert get_dataset_config_names(str(dataset)) == LINES


@pytest.mark.parametrize(
    ("names", "default"),
    [
        (formats.NAMES, messages.NAME),
        (["kto", "prompt_completion", "lm_eval"], prompt_completion.NAME),
        (["dpo", "kto", "verl"], "default"),
        ([], "default"),
    ],
)
def test_the_default_configuration_is_for_supervised_fine_tuning(catalogue, tmp_path, names, default):
    """Without a name ``load_dataset`` gives neither incorrect completions nor preference pairs, whatever is written."""
    from datasets import get_dataset_default_config_name, load_dataset

    folder = built(catalogue, tmp_path / "out", *names)
    assert get_dataset_default_config_name(str(folder)) == default
    rows = load_dataset(str(folder))
    written = [row for split in parquet.splits(folder) for row in parquet.read(folder, split)]
    unsafe = {row["id"] for row in written if not messages.takes(row)}
    assert unsafe
    for split, count in expected(folder, messages.NAME).items():
        assert len(rows[split]) == count
        assert not unsafe & set(rows[split]["id"])


def test_a_dataset_of_parquet_files_alone_has_a_configuration_with_all_rows(catalogue, tmp_path):
    """``parquet`` names all rows of all tasks."""
    folder = built(catalogue, tmp_path / "out")
    assert loaded(str(folder), "parquet") == expected(folder, "parquet")


@pytest.mark.parametrize("names", [("messages",), ()])
def test_a_dataset_that_replaces_another_is_not_taken_from_the_cache(catalogue, tmp_path, names):
    """A dataset with the path and the splits of one that was loaded before gives its own rows, as do its folders."""
    from datasets import load_dataset

    for family in ("constant", "step"):
        folder = built(catalogue, tmp_path / "data", *names, holdout=family)
        for path in (folder, folder / (names or ("parquet",))[0]):
            rows = load_dataset(str(path))["test_families"]
            expected_rows = [row for row in parquet.read(folder, "test_families") if messages.takes(row)]
            assert {row["id"] for row in expected_rows} <= set(rows["id"])
        shutil.rmtree(folder)


def test_meta_has_one_type_in_all_formats(dataset):
    """``meta`` is a JSON string wherever there is one."""
    from datasets import load_dataset

    types = Counter(str(load_dataset(str(dataset), name)["test"].features.get("meta")) for name in LINES)
    assert types.keys() == {"Value('string')", "None"}
    assert types["None"] == 2  # openrlhf and lm_eval have the row as text


def test_the_columns_of_a_split_are_those_of_the_others(dataset):
    """All splits of a configuration have the same features."""
    from datasets import load_dataset

    for name in LINES:
        rows = load_dataset(str(dataset), name)
        first = next(iter(rows.values())).features
        assert all(split.features == first for split in rows.values())
        assert (Split.TRAIN in rows) == (name != lm_eval.NAME)
