"""TOML → validated tables; an unknown key is an error that names file and key."""

from pathlib import Path
from typing import Annotated, TypeVar

import tomli  # compiled: the standard library takes three times as long, and every command reads the catalogue
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lrgen.errors import CatalogueError

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Sentence = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of a catalogue file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_T = TypeVar("_T", bound=Table)


def read(path: Path, table: type[_T]) -> _T:
    try:
        return table.model_validate(tomli.loads(path.read_text(encoding="utf-8")))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        # A misspelt key is missing and unknown: what stands there says more than what does not.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in ("missing", "extra_forbidden") else f", got {first['input']!r}"
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise CatalogueError(f"{path}: {place}: {problem}{value}") from error
