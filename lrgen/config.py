"""lrgen.toml < ``LRGEN_*`` < flags → one frozen Settings.

pydantic-settings would do this too, but importing it takes longer than all of ``lrgen list`` may.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lrgen.errors import ConfigError
from lrgen.files import write_atomically

FILE_NAME = "lrgen.toml"
_PREFIX = "LRGEN_"


class Settings(BaseModel):
    """What the commands need to know; each may stand in lrgen.toml, or in the environment as ``LRGEN_<FIELD>``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active_model: str = "ResNet"
    out: Path = Path("generated")
    db: str = "sqlite:///db/ab.nn.db"
    dataset: str = "digits"
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 24
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    workers: Annotated[int, Field(ge=0, le=4096)] = 0
    timeout: Annotated[float, Field(gt=0)] = 900.0
    templates: tuple[Path, ...] = ()

    @field_validator("templates", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value


def load(
    flags: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Merge the configuration file, the environment and the flags; a flag that is None was not given.

    Raises:
        ConfigError: for an unknown key or a value that cannot be used; it names where the value came from.
    """
    path = find_file(folder or Path.cwd())
    environment = os.environ if environ is None else environ
    layers = [
        (str(path), _read(path) if path else {}),
        ("the environment", _from_environment(environment)),
        ("the command line", {name: value for name, value in (flags or {}).items() if value is not None}),
    ]
    values = {name: value for _, layer in layers for name, value in layer.items()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        place = next(place for place, layer in reversed(layers) if name in layer)
        shown = f"{_PREFIX}{name.upper()}" if place == "the environment" else name
        problem = "unknown key" if first["type"] == "extra_forbidden" else f"{first['msg']}, got {first['input']!r}"
        raise ConfigError(f"{shown}: {problem} (from {place})") from error


def find_file(folder: Path) -> Path | None:
    """The nearest lrgen.toml in a folder or its parents."""
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def keep(name: str, value: str, folder: Path | None = None) -> Path:
    """Write one setting into the nearest lrgen.toml, or into a new one in the folder; all else in it stays as it is.

    Returns the path of the file.

    Raises:
        ConfigError: when the file that is there cannot be read, or holds what is no setting.
        OutputError: when it cannot be written.
    """
    import tomlkit  # keeps comments and order; only a change needs it

    here = folder or Path.cwd()
    path = find_file(here) or here / FILE_NAME
    load(folder=here, environ={})
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    document[name] = value
    write_atomically(path, tomlkit.dumps(document))
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = {f"{_PREFIX}{name.upper()}": name for name in Settings.model_fields}
    return {names[key]: value for key, value in environ.items() if key in names}
