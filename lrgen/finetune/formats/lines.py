"""Shared parts of the JSON-lines formats."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from lrgen.finetune.example import Row
from lrgen.finetune.formats import folder_card
from lrgen.finetune.rows import NAMES, SPLITS

if TYPE_CHECKING:
    from lrgen.finetune.formats import Lines

_TEXTS = frozenset({"id", "task", "system", "history", "prompt", "completion", "reference", "rejected", "label"})
_META = tuple(name for name in NAMES if name not in _TEXTS)
# The keys and roles of a message, by LLaMA-Factory's names.
_TAGS = {"role_tag": "role", "content_tag": "content"} | {
    f"{role}_tag": role for role in ("user", "assistant", "system")
}


def meta(row: Row) -> str:
    """Return the columns that no format spells out, as a JSON string."""
    return orjson.dumps({name: row[name] for name in _META}).decode()


def named_lines(split: str) -> str:
    """Return the file name of a split: ``train.jsonl``."""
    return f"{split}.jsonl"


def no_extras(splits: Iterable[str]) -> dict[str, str]:
    """Return no additional files."""
    return {}


def dataset_info(name: str, splits: Iterable[str], entry: dict[str, Any]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json`` with one entry per split; the column of messages is in ``entry``."""
    common = {"formatting": "sharegpt", "tags": _TAGS}
    entries = {f"lrgen_{name}_{split}": {"file_name": named_lines(split)} | common | entry for split in splits}
    return {"dataset_info.json": orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode() + "\n"}


def encoded(line: dict[str, Any]) -> bytes:
    """Return a line as bytes."""
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def extras_of(form: "Lines", folder: Path, tasks: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the texts of all additional files of a format by name; ``tasks`` are those of each split with lines."""
    card = folder_card.text(form, folder, {split.value: form.file_of(split) for split in SPLITS if split in tasks})
    return form.extras(dict(sorted(tasks.items()))) | {folder_card.NAME: card}


class LinesWriter:
    """Writes the rows of a format, one file per split; a split without rows has no file."""

    def __init__(self, form: "Lines", folder: Path) -> None:
        self._form = form
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._tasks: dict[str, set[str]] = {}

    def write(self, row: Row) -> None:
        if not self._form.takes(row):
            return
        split = row["split"]
        if split not in self._files:
            self._folder.mkdir(exist_ok=True)
            self._files[split] = (self._folder / self._form.file_of(split)).open("wb")
        self._files[split].write(encoded(self._form.line(row)))
        self._tasks.setdefault(split, set()).add(row["task"])

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        if self._files:
            for name, text in extras_of(self._form, self._folder, self._tasks).items():
                (self._folder / name).write_text(text, encoding="utf-8")
