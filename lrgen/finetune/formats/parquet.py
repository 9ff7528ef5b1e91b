"""All columns of all rows; equal rows give equal bytes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrgen.errors import DatasetError
from lrgen.finetune.example import Row
from lrgen.finetune.formats import folder_card
from lrgen.finetune.rows import FIELDS, SCHEMA, SPLITS, TYPES

if TYPE_CHECKING:
    from lrgen.finetune.formats import Table

NAME = "parquet"
SUMMARY = "all columns of all rows (pandas, datasets, DuckDB)"
_ROWS = 2000  # of a row group, at most
_CHARS = 8 << 20


def file_of(split: str) -> str:
    """Return the file name of a split: ``train.parquet``."""
    return f"{split}.parquet"


def schema() -> Any:
    """Return the columns as a pyarrow schema."""
    import pyarrow

    fields = [pyarrow.field(field.name, pyarrow.type_for_alias(TYPES[field.type]), field.nullable) for field in FIELDS]
    return pyarrow.schema(fields, metadata={"lrgen_schema": str(SCHEMA)})


def record(row: Row, index: int) -> Row:
    """Return the columns of a row: all of them."""
    return row


class ParquetWriter:
    """Writes the rows of a format, one file per split; a split without rows has no file."""

    def __init__(self, form: "Table", folder: Path) -> None:
        self._form = form
        self._folder = folder
        self._schema = form.schema()
        self._counts: dict[str, int] = {}
        self._files: dict[str, Any] = {}
        self._waiting: dict[str, list[Row]] = {}
        self._chars: dict[str, int] = {}

    def write(self, row: Row) -> None:
        split = row["split"]
        waiting = self._waiting.setdefault(split, [])
        index = self._counts[split] = self._counts.get(split, -1) + 1
        waiting.append(self._form.record(row, index))
        self._chars[split] = self._chars.get(split, 0) + row["prompt_chars"] + row["completion_chars"]
        if len(waiting) == _ROWS or self._chars[split] > _CHARS:
            self._flush(split)

    def close(self) -> None:
        for split in SPLITS:
            if self._waiting.get(split):
                self._flush(split)
        for file in self._files.values():
            file.close()
        if self._files:
            path = self._folder / folder_card.NAME
            path.write_text(self._card(), encoding="utf-8")

    def _card(self) -> str:
        files = {split.value: file_of(split) for split in SPLITS if split in self._files}
        return folder_card.text(self._form, self._folder, files)

    def _flush(self, split: str) -> None:
        import pyarrow
        from pyarrow import parquet

        if split not in self._files:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / file_of(split)
            self._files[split] = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._files[split].write_table(pyarrow.Table.from_pylist(self._waiting[split], schema=self._schema))
        self._waiting[split] = []
        self._chars[split] = 0


def splits(folder: Path) -> list[str]:
    """Return the splits of a dataset, in order."""
    return [split.value for split in SPLITS if (folder / NAME / file_of(split)).is_file()]


def read(folder: Path, split: str, columns: tuple[str, ...] | None = None, name: str = NAME) -> Iterator[Row]:
    """Yield the rows of a split, of this or of another format with Parquet files.

    Raises:
        DatasetError: when the file is missing or is not Parquet.
    """
    with _opened(folder, split, name) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=columns and list(columns)):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _opened(folder: Path, split: str, name: str) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet

    path = folder / name / file_of(split)
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{path}: cannot be read as Parquet: {error}") from error
