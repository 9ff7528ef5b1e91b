"""lrgen renders, proves and publishes PyTorch training modules: one architecture with one schedule each."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrgen.api import get_active_model, get_class_accuracies, set_active_model

__version__ = "0.1.0"
__all__ = ["__version__", "get_active_model", "get_class_accuracies", "set_active_model"]


def __getattr__(name: str) -> Any:
    """Load what the functions need when one of them is first asked for, and not before."""
    if name in __all__:
        from lrgen import api

        return getattr(api, name)
    raise AttributeError(f"module 'lrgen' has no attribute {name!r}")
