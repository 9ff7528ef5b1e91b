"""The header that ``datasets`` reads, with a configuration for each format, and the card of the folder of a format.

Without a configuration ``datasets`` guesses the splits by the file names, and takes ``test_families`` for a part of
``test``. It caches rows by the name of the folder and the text of the configuration alone, so that another dataset
with the same splits would give the cached rows: the description of a configuration has a digest of its files.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from lrgen.finetune import manifest

if TYPE_CHECKING:
    from lrgen.finetune.formats import Lines, Table

NAME = "README.md"
_DIGITS = 16


@dataclass(frozen=True)
class Configuration:
    """A name for ``load_dataset``, with the file of each split.

    ``without`` are tasks whose rows are left out, which Parquet files alone allow.
    """

    name: str
    files: Mapping[str, str]
    digest: str
    default: bool = False
    without: Sequence[str] = ()


def header(configurations: Iterable[Configuration], lines: Iterable[str] = ()) -> str:
    """Return the YAML header of a card; ``lines`` stand before the configurations."""
    parts = ["---", *lines, "configs:"]
    for configuration in configurations:
        parts += [f"- config_name: {configuration.name}", f"  description: files {configuration.digest}"]
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


def digest_of(*paths: Path) -> str:
    """Return a digest of the contents of files."""
    hashes = [manifest.entry(path)["sha256"] for path in paths]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:_DIGITS]


def text(form: "Lines | Table", folder: Path, files: Mapping[str, str]) -> str:
    """Return the card of the folder of a format; ``files`` are those of the splits, in order."""
    digest = digest_of(*(folder / name for name in files.values()))
    return f"""\
{header([Configuration(form.NAME, files, digest)])}
# {form.NAME}

This folder has {form.SUMMARY}, one file per split. The card of the whole dataset is in the folder above.
"""
