"""Validated tables from TOML files; an error names the file and the key."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli  # compiled: the standard library takes three times as long, and every command reads the catalogue
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lrgen.errors import CatalogueError, shown
from lrgen.files import read_bytes

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Sentence = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of a catalogue file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_T = TypeVar("_T", bound=Table)


def read(path: Path, table: type[_T]) -> _T:
    """Read and validate a catalogue file.

    Raises:
        CatalogueError: if the file is not TOML or does not fit the table; it names the file, the key and the value.
        OutputError: if the file cannot be read.
    """
    try:
        values = tomli.loads(read_bytes(path).decode())
    except RecursionError as error:
        raise CatalogueError(f"{path}: not valid TOML: nested too deeply") from error
    except ValueError as error:
        raise CatalogueError(f"{path}: not valid TOML: {error}") from error
    return validated(values, table, str(path))


def validated(values: dict[str, Any], table: type[_T], origin: str) -> _T:
    """Validate the values of a table; ``origin`` says in an error where they are from.

    Raises:
        CatalogueError: if they do not fit the table; it names the origin, the key and the value.
    """
    try:
        return table.model_validate(values)
    except ValidationError as error:
        # A misspelt key is both missing and unknown; the unknown key is the helpful one.
        first = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in ("missing", "extra_forbidden") else f", got {shown(first['input'])}"
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise CatalogueError(f"{origin}: {place}: {problem}{value}") from error
