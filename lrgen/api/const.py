"""The constants of the API of the upstream generator.

Each is read from the catalogue or from lrgen.toml at every access.
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
    architectures = current.catalogue(settings).architectures
    return [architecture.name for architecture in architectures if architecture.collection in collections]


def _scheduler_types(settings: Settings) -> dict[str, list[str]]:
    """Family → the names of its schedules, which ``get_hyperparams`` accepts."""
    return {
        family.name: [variant.name for variant in family.variants] for family in current.catalogue(settings).families
    }


def _db_config(settings: Settings) -> dict[str, Any]:
    """The path of the database; ``use_cache``: results are reused; ``auto_refresh``: every query reads the database."""
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
