"""lrgen renders, proves and publishes PyTorch training modules: one architecture with one schedule each."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrgen.api import get_class_accuracies

__version__ = "0.1.0"
__all__ = ["__version__", "get_class_accuracies"]


def __getattr__(name: str) -> Any:
    """Load pandas and SQLAlchemy when one of the functions is first asked for, and not before."""
    if name in __all__:
        from lrgen import api

        return getattr(api, name)
    raise AttributeError(f"module 'lrgen' has no attribute {name!r}")
