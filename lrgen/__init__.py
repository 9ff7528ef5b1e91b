"""lrgen renders, proves and publishes PyTorch training modules: one architecture with one schedule each."""

import importlib
from typing import TYPE_CHECKING, Any

from lrgen.version import __version__

if TYPE_CHECKING:
    from lrgen.api.const import (
        ACTIVE_MODEL,
        ADDITIONAL_MODELS,
        ALL_MODELS,
        CIFAR10_CLASSES,
        CIFAR10_EXTENDED_CLASSES,
        DB_CONFIG,
        FEATURES,
        IMAGE_CLASSIFICATION_MODELS,
        PROMPT_CONFIG,
        SCHEDULER_TYPES,
    )
    from lrgen.api.functions import (
        generate_class_data_for_epoch,
        get_active_model,
        get_best_schedulers,
        get_class_accuracies,
        get_hyperparams,
        init_class_data,
        init_database,
        save_class_accuracy,
        save_scheduler_result,
        set_active_model,
        unique_nn,
        unique_nn_cls,
        validate_hyperparams,
    )
    from lrgen.extraction import detect_model, extract_lr

__all__ = [
    "ACTIVE_MODEL",
    "ADDITIONAL_MODELS",
    "ALL_MODELS",
    "CIFAR10_CLASSES",
    "CIFAR10_EXTENDED_CLASSES",
    "DB_CONFIG",
    "FEATURES",
    "IMAGE_CLASSIFICATION_MODELS",
    "PROMPT_CONFIG",
    "SCHEDULER_TYPES",
    "__version__",
    "detect_model",
    "extract_lr",
    "generate_class_data_for_epoch",
    "get_active_model",
    "get_best_schedulers",
    "get_class_accuracies",
    "get_hyperparams",
    "init_class_data",
    "init_database",
    "save_class_accuracy",
    "save_scheduler_result",
    "set_active_model",
    "unique_nn",
    "unique_nn_cls",
    "validate_hyperparams",
]


def __getattr__(name: str) -> Any:
    """Load what the names stand for when one of them is first asked for, and not before."""
    if name == "errors":
        return importlib.import_module("lrgen.errors")
    if name not in __all__:
        raise AttributeError(f"module 'lrgen' has no attribute {name!r}")
    where = {"detect_model": "extraction", "extract_lr": "extraction"}
    home = where.get(name, "api.const" if name.isupper() else "api.functions")
    return getattr(importlib.import_module(f"lrgen.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
