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
# Of CIFAR-10, and of the superclasses of CIFAR-100.
_ANIMALS = (
    *("bird", "cat", "deer", "dog", "frog", "horse"),
    *("aquatic_mammals", "fish", "insects", "large_carnivores", "large_omnivores_and_herbivores", "medium_mammals"),
    *("non-insect_invertebrates", "reptiles", "small_mammals"),
)
_VEHICLES = ("airplane", "automobile", "ship", "truck", "vehicles_1", "vehicles_2")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelDetection(_Table):
    """The marks by which a text names its network (lrgen.extraction.detect_model)."""

    prefix: str = "model_"
    active_indicator: Annotated[str, Field(min_length=1)] = "<<<ACTIVE>>>"
    keywords: tuple[str, ...] = ("ResNet", "checkpoint", "fine-tune")


class LrExtraction(_Table):
    """The words by which a text names its learning rate (lrgen.extraction.extract_lr)."""

    keywords: Annotated[tuple[str, ...], Field(min_length=1)] = ("learning_rate", "lr")
    default_lr: Annotated[float, Field(gt=0)] = 0.1
    lr_range: tuple[float, float] = (0.001, 1.0)


class Prompt(_Table):
    """The tables ``[prompt.model_detection]`` and ``[prompt.lr_extraction]``."""

    model_detection: ModelDetection = ModelDetection()
    lr_extraction: LrExtraction = LrExtraction()


class Settings(_Table):
    """The settings of lrgen.toml; each may also be given in the environment as ``LRGEN_<FIELD>``.

    ``class_groups`` names groups of classes, of any dataset, whose metrics are reported together.
    """

    active_model: str = "ResNet"
    out: Path = Path("generated")
    db: str = "sqlite:///db/ab.nn.db"
    dataset: str = "digits"
    data_root: Path = Path("data")
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 24
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    workers: Annotated[int, Field(ge=0, le=4096)] = 0
    timeout: Annotated[float, Field(gt=0)] = 900.0
    templates: tuple[Path, ...] = ()
    enable_huggingface_schedulers: bool = True
    enable_multi_model_support: bool = True
    enable_extended_classes: bool = True
    enable_database_caching: bool = True
    enable_fine_tuning: bool = True
    prompt: Prompt = Prompt()
    class_groups: dict[str, tuple[str, ...]] = {
        "animals": _ANIMALS,
        "vehicles": _VEHICLES,
    }

    @property
    def features(self) -> dict[str, bool]:
        """The switches, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name.startswith("enable_")}

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
        ConfigError: if a key is unknown or a value cannot be used; the message says where the value comes from.
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
        top = str(first["loc"][0])
        name = ".".join(map(str, first["loc"]))
        place = next(place for place, layer in reversed(layers) if top in layer)
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
    """Write one setting into the nearest lrgen.toml, or into a new one in the folder; the rest of it is kept.

    Returns the path of the file.

    Raises:
        ConfigError: if the existing file cannot be read, or has an unknown key.
        OutputError: if it cannot be written.
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
