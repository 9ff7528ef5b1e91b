"""lrgen renders, verifies and publishes PyTorch training modules: one architecture with one schedule each."""

import importlib

from lrgen.version import __version__

TYPE_CHECKING = False  # as in typing, whose import takes longer than all before the command line handles an interrupt
if TYPE_CHECKING:
    from typing import Any

    from lrgen.api.architectures import get_active_model, get_architecture, list_architectures, set_active_model
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
    from lrgen.api.files import render_file, verify_file
    from lrgen.api.results import (
        generate_class_data_for_epoch,
        get_best_schedulers,
        get_class_accuracies,
        get_results,
        init_class_data,
        init_database,
        save_class_accuracy,
        save_scheduler_result,
        unique_nn,
        unique_nn_cls,
    )
    from lrgen.api.schedules import get_hyperparams, get_schedule, list_schedules, validate_hyperparams
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
    "get_architecture",
    "get_best_schedulers",
    "get_class_accuracies",
    "get_hyperparams",
    "get_results",
    "get_schedule",
    "init_class_data",
    "init_database",
    "list_architectures",
    "list_schedules",
    "render_file",
    "save_class_accuracy",
    "save_scheduler_result",
    "set_active_model",
    "unique_nn",
    "unique_nn_cls",
    "validate_hyperparams",
    "verify_file",
]

# The module that defines each name; names in capitals are defined in lrgen.api.const.
_MODULES = {
    "lrgen.api.architectures": ("get_active_model", "get_architecture", "list_architectures", "set_active_model"),
    "lrgen.api.files": ("render_file", "verify_file"),
    "lrgen.api.results": (
        *("generate_class_data_for_epoch", "get_best_schedulers", "get_class_accuracies", "get_results"),
        *("init_class_data", "init_database", "save_class_accuracy", "save_scheduler_result"),
        *("unique_nn", "unique_nn_cls"),
    ),
    "lrgen.api.schedules": ("get_hyperparams", "get_schedule", "list_schedules", "validate_hyperparams"),
    "lrgen.extraction": ("detect_model", "extract_lr"),
}


def __getattr__(name: str) -> "Any":
    """Import the module of a name at the first access to the name."""
    if name in ("errors", "schedules"):  # ``except lrgen.errors.StoreError`` needs no further import
        return importlib.import_module(f"lrgen.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'lrgen' has no attribute {name!r}")
    path = next((module for module, names in _MODULES.items() if name in names), "lrgen.api.const")
    return getattr(importlib.import_module(path), name)


def __dir__() -> list[str]:
    return sorted(__all__)
