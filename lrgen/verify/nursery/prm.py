"""Hyperparameters that record which of them were read."""

from collections.abc import Iterator
from typing import Any


class Prm(dict[str, Any]):
    """Hyperparameters that record which of them were read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read.add(key)
        return super().pop(key, *default)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, which copies do as well: all values count as read."""
        self.read.update(self.keys())
        return super().__iter__()

    def items(self) -> Any:
        self.read.update(self.keys())
        return super().items()

    def values(self) -> Any:
        self.read.update(self.keys())
        return super().values()

    def setdefault(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().setdefault(key, default)

    def __or__(self, other: Any) -> Any:
        return {**self, **other}

    def __ror__(self, other: Any) -> Any:
        return {**other, **self}

    def copy(self) -> dict[str, Any]:
        return dict(self)


def read_of(prm: dict[str, Any]) -> list[str]:
    """The hyperparameters that were read, of a dict that records it."""
    return sorted(name for name in prm.read if isinstance(name, str)) if isinstance(prm, Prm) else []
