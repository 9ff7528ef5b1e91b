"""``manifest.json``: the arguments and versions of a build, and the size and sha256 of each file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError
from lrgen.files import write_atomically
from lrgen.finetune.rows import SCHEMA

NAME = "manifest.json"
_PARTS = ("files", "arguments", "counts", "held_out")


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of the files in a folder."""
    whole = dict(facts) | {"files": entries(folder)}
    write_atomically(folder / NAME, orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n")


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the size and sha256 of each file except the manifest, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {path.relative_to(folder).as_posix(): entry(path) for path in paths}


def entry(path: Path) -> dict[str, Any]:
    """Return the size and sha256 of a file; the file is read in chunks."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def read(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder.

    Raises:
        DatasetError: when it is missing, not a manifest of lrgen, or has rows of another schema.
    """
    path = folder / NAME
    try:
        manifest = orjson.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}: not an lrgen dataset") from error
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{path}: not JSON: {error}") from error
    for part in _PARTS:
        if not isinstance(manifest, dict) or not isinstance(manifest.get(part), dict):
            raise DatasetError(f"{path}: has no {part}: not an lrgen dataset")
    if (schema := manifest.get("schema")) != SCHEMA:
        raise DatasetError(
            f"{path}: its rows have schema {schema}, but this version of lrgen reads schema {SCHEMA}: build it "
            "again with lrgen dataset build"
        )
    typed: dict[str, Any] = manifest
    return typed
