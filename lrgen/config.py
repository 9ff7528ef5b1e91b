"""Settings from lrgen.toml, from the environment (``LRGEN_*``) and from flags, in increasing priority.

pydantic-settings does the same, but its import takes longer than the whole of ``lrgen list`` may take.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from lrgen import old_names
from lrgen.errors import ConfigError, shown
from lrgen.files import write_atomically

FILE_NAME = "lrgen.toml"
SEED_LIMIT = 2**63
_PREFIX = "LRGEN_"
# Classes of CIFAR-10 and superclasses of CIFAR-100.
_ANIMALS = (
    *("bird", "cat", "deer", "dog", "frog", "horse"),
    *("aquatic_mammals", "fish", "insects", "large_carnivores", "large_omnivores_and_herbivores", "medium_mammals"),
    *("non-insect_invertebrates", "reptiles", "small_mammals"),
)
_VEHICLES = ("airplane", "automobile", "ship", "truck", "vehicles_1", "vehicles_2")


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("boolean", "Input should be a number")
    return value


_T = TypeVar("_T", str, Path)


def _without_null(value: _T) -> _T:
    if "\0" in str(value):
        raise PydanticCustomError("null", "Input should have no null character")
    return value


_Integer = Annotated[int, BeforeValidator(_not_boolean)]
_Number = Annotated[float, BeforeValidator(_not_boolean)]
_Path = Annotated[Path, AfterValidator(_without_null)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelDetection(_Table):
    """The marks of a model's name in a text, for ``lrgen.extraction.detect_model``."""

    prefix: str = "model_"
    active_indicator: Annotated[str, Field(min_length=1)] = "<<<ACTIVE>>>"
    keywords: tuple[str, ...] = ("ResNet", "checkpoint", "fine-tune")


class LrExtraction(_Table):
    """The words before a learning rate in a text, for ``lrgen.extraction.extract_lr``."""

    keywords: Annotated[tuple[str, ...], Field(min_length=1)] = ("learning_rate", "lr")
    default_lr: Annotated[_Number, Field(gt=0)] = 0.1
    lr_range: tuple[_Number, _Number] = (0.001, 1.0)


class Prompt(_Table):
    """The tables ``[prompt.model_detection]`` and ``[prompt.lr_extraction]``."""

    model_detection: ModelDetection = ModelDetection()
    lr_extraction: LrExtraction = LrExtraction()


class Settings(_Table):
    """The settings of lrgen.toml; each can be set in the environment as ``LRGEN_<FIELD>``.

    ``class_groups`` maps the name of a group to its classes, of any dataset; metrics are reported for each group.
    """

    active_model: str = "ResNet"
    out: _Path = Path("generated")
    db: Annotated[str, AfterValidator(_without_null)] = "sqlite:///db/ab.nn.db"
    dataset: str = "digits"
    data_root: _Path = Path("data")
    epochs: Annotated[_Integer, Field(ge=1, le=100_000)] = 5
    batch_size: Annotated[_Integer, Field(ge=1, le=65_536)] = 24
    seed: Annotated[_Integer, Field(ge=0, lt=SEED_LIMIT)] = 0
    device: str = "auto"
    workers: Annotated[_Integer, Field(ge=0, le=4096)] = 0
    timeout: Annotated[_Number, Field(gt=0, le=10_000_000)] = 900.0
    templates: tuple[_Path, ...] = ()
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
        """The ``enable_*`` settings by name."""
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
    """Merge lrgen.toml, the environment and the flags.

    Args:
        flags: setting → value; those that are None are ignored.
        folder: the folder in which the search for lrgen.toml begins; by default the current folder.
        environ: the environment variables; by default those of the process.

    Raises:
        ConfigError: if a key is unknown or a value is invalid; the message names the source of the value.
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
        key = f"{_PREFIX}{name.upper()}" if place == "the environment" else name
        message = "Input should be a path" if first["type"] == "path_type" else first["msg"]  # else it names a class
        problem = f"{message}, got {shown(first['input'])}"
        if first["type"] == "extra_forbidden":
            problem = f"unknown key{_renamed(str(first['loc'][-1]))}"
        raise ConfigError(f"{key}: {problem} (from {place})") from error


def find_file(folder: Path) -> Path | None:
    """Return the path of the nearest lrgen.toml in a folder or its parents."""
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def write_setting(name: str, value: str, folder: Path | None = None) -> Path:
    """Write one setting to the nearest lrgen.toml, or to a new one in the folder; its other content is kept.

    Returns:
        The path of lrgen.toml.

    Raises:
        ConfigError: if the existing lrgen.toml cannot be read or has an unknown key.
        OutputError: if lrgen.toml cannot be written.
    """
    import tomlkit  # keeps comments and order; slow to import

    start = folder or Path.cwd()
    path = find_file(start) or start / FILE_NAME
    load(folder=start, environ={})  # rejects an invalid file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    document[name] = value
    write_atomically(path, tomlkit.dumps(document))
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _renamed(name: str) -> str:
    """The new name of an old hyperparameter, which is no setting; empty for any other key."""
    new, _ = old_names.RENAMED.get(name, ("", ""))
    return f"; the hyperparameter {name} is called {new} now, and is set with --set" if new else ""


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = {f"{_PREFIX}{name.upper()}": name for name in Settings.model_fields}
    return {names[key]: value for key, value in environ.items() if key in names}
