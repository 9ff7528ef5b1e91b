"""The lists and the configuration that the project's first document names.

Each is read from the catalogue or from lrgen.toml when it is asked for, so that it is never out of date.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lrgen import config, data
from lrgen.api import current
from lrgen.config import Settings
from lrgen.records import Collection

if TYPE_CHECKING:
    ACTIVE_MODEL: str
    IMAGE_CLASSIFICATION_MODELS: list[str]
    ADDITIONAL_MODELS: list[str]
    ALL_MODELS: list[str]
    SCHEDULER_TYPES: dict[str, list[str]]
    CIFAR10_CLASSES: list[str]
    CIFAR10_EXTENDED_CLASSES: list[str]
    DB_CONFIG: dict[str, Any]
    FEATURES: dict[str, bool]
    PROMPT_CONFIG: dict[str, Any]


def _models(settings: Settings, *collections: Collection) -> list[str]:
    return [one.name for one in current.catalogue(settings).architectures if one.collection in collections]


def _scheduler_types(settings: Settings) -> dict[str, list[str]]:
    """Family → the names of its variants, as ``get_hyperparams`` takes them."""
    return {family.name: [one.name for one in family.variants] for family in current.catalogue(settings).families}


def _db_config(settings: Settings) -> dict[str, Any]:
    """Every query reads the database anew (``auto_refresh``); ``use_cache`` is about verifying a file again."""
    path = settings.db.removeprefix("sqlite:///")
    return {"path": path, "use_cache": settings.enable_database_caching, "auto_refresh": True}


_VALUES: dict[str, Callable[[Settings], Any]] = {
    "ACTIVE_MODEL": lambda settings: settings.active_model,
    "IMAGE_CLASSIFICATION_MODELS": lambda settings: _models(settings, Collection.CORE),
    "ADDITIONAL_MODELS": lambda settings: _models(settings, Collection.ADDITIONAL),
    "ALL_MODELS": lambda settings: _models(settings, Collection.CORE) + _models(settings, Collection.ADDITIONAL),
    "SCHEDULER_TYPES": _scheduler_types,
    "CIFAR10_CLASSES": lambda settings: list(data.CLASSES["cifar-10"]),
    "CIFAR10_EXTENDED_CLASSES": lambda settings: list(
        data.CLASSES["cifar-20"] if settings.enable_extended_classes else ()
    ),
    "DB_CONFIG": _db_config,
    "FEATURES": lambda settings: settings.features,
    "PROMPT_CONFIG": lambda settings: settings.prompt.model_dump(mode="json"),
}


def __getattr__(name: str) -> Any:
    if name in _VALUES:
        return _VALUES[name](config.load())
    raise AttributeError(f"module 'lrgen.api.const' has no attribute {name!r}")
