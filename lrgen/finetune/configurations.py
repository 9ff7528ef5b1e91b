"""The configurations of a dataset, which ``datasets.load_dataset`` loads by name from the folder of the dataset.

``datasets`` reads all configurations of a card in one way, as JSON lines or as Parquet. Formats of the other kind are
loaded from their own folders, each of which has a card.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from lrgen.finetune import formats
from lrgen.finetune.formats import messages, parquet, prompt_completion
from lrgen.finetune.formats.folder_card import NAME, Configuration, digest_of
from lrgen.finetune.rows import SPLITS

DEFAULT = "default"
_FOR_SFT = (messages.NAME, prompt_completion.NAME)  # the first that is there is the default


def of(folder: Path, preferences: Collection[str]) -> list[Configuration]:
    """Return the configurations of a folder that has its data files, the default one first.

    The default configuration is for supervised fine-tuning: it has neither incorrect completions nor preference pairs.
    Without a format for it, the configurations are those of the Parquet files, whose rows are chosen by their tasks;
    ``preferences`` are the tasks with other rows.
    """
    present = {form.NAME: files for form in formats.LINES if (files := _files(folder, form))}
    default = next((name for name in _FOR_SFT if name in present), None)
    if default is None:
        rows, digest = _files(folder, parquet), _digest(folder, parquet.NAME)
        return [
            Configuration(DEFAULT, rows, digest, default=True, without=sorted(preferences)),
            Configuration(parquet.NAME, rows, digest),
        ]
    names = sorted(present, key=lambda name: name != default)
    return [Configuration(name, present[name], _digest(folder, name), default=name == default) for name in names]


def _digest(folder: Path, name: str) -> str:
    """Return the digest of a format's folder: that of its card, which has one of its files."""
    return digest_of(folder / name / NAME)


def _files(folder: Path, form: Any) -> dict[str, str]:
    """Return the path of a format's file by split."""
    paths = {split.value: f"{form.NAME}/{form.file_of(split)}" for split in SPLITS}
    return {split: path for split, path in paths.items() if (folder / path).is_file()}
