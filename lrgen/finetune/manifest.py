"""``manifest.json``: what a dataset was made of and with, and the size and the sha256 of every file in it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError
from lrgen.files import write_atomically

NAME = "manifest.json"
_PARTS = ("files", "arguments", "counts", "held_out")


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder as it lies there."""
    whole = dict(facts) | {"files": entries(folder)}
    write_atomically(folder / NAME, orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n")


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every file but the manifest, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {path.relative_to(folder).as_posix(): entry(path) for path in paths}


def entry(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file, whatever its size."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        DatasetError: when there is none, or it is not one.
    """
    path = folder / NAME
    try:
        manifest = orjson.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}: not a dataset of lrgen's") from error
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{path}: not JSON: {error}") from error
    for part in _PARTS:
        if not isinstance(manifest, dict) or not isinstance(manifest.get(part), dict):
            raise DatasetError(f"{path}: has no {part}: not a dataset of lrgen's")
    found: dict[str, Any] = manifest
    return found
