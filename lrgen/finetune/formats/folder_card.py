"""The header that ``datasets`` reads, with a configuration for each format, and the card of the folder of a format.

Without a configuration ``datasets`` guesses the splits by the file names, and takes ``test_families`` for a part of
``test``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from lrgen.finetune.formats import Lines, Table

NAME = "README.md"


@dataclass(frozen=True)
class Configuration:
    """A name for ``load_dataset``, with the file of each split.

    ``without`` are tasks whose rows are left out, which Parquet files alone allow.
    """

    name: str
    files: Mapping[str, str]
    default: bool = False
    without: Sequence[str] = ()


def header(configurations: Iterable[Configuration], lines: Iterable[str] = ()) -> str:
    """Return the YAML header of a card; ``lines`` stand before the configurations."""
    parts = ["---", *lines, "configs:"]
    for configuration in configurations:
        parts.append(f"- config_name: {configuration.name}")
        if configuration.default:
            parts.append("  default: true")
        if configuration.without:
            filters = [["task", "not in", sorted(configuration.without)]]
            parts.append(f"  filters: {orjson.dumps(filters).decode()}")
        parts.append("  data_files:")
        parts += [
            line for split, path in configuration.files.items() for line in (f"  - split: {split}", f"    path: {path}")
        ]
    return "\n".join([*parts, "---", ""])


def text(form: "Lines | Table", files: Mapping[str, str]) -> str:
    """Return the card of a format's folder; ``files`` are those of the splits, in order."""
    return f"""\
{header([Configuration(form.NAME, files)])}
# {form.NAME}

This folder has {form.SUMMARY}, one file per split. The card of the whole dataset is in the folder above.
"""
