"""Choices of a writer: each is drawn by a key of its own, so a change of one leaves the others as they are."""

import functools
import zlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


@functools.cache
def _hash(key: str) -> int:
    return zlib.crc32(key.encode()) * 0x9E3779B97F4A7C15


class Choices:
    """Choices drawn from a seed.

    Two writers with the same seed choose alike wherever they ask for the same key.
    """

    __slots__ = ("_seed",)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _draw(self, key: str) -> int:
        """A number of 32 bits (splitmix64)."""
        z = (self._seed + _hash(key)) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return (z ^ (z >> 31)) & 0xFFFFFFFF

    def pick(self, key: str, options: Sequence[T]) -> T:
        """One of the options; an option that is given twice is twice as likely."""
        return options[self._draw(key) % len(options)]

    def odds(self, key: str, probability: float) -> bool:
        """Whether something of this probability occurs."""
        return self._draw(key) < probability * 0x100000000

    def other(self, key: str) -> "Choices":
        """Choices of the same writer, independent of these."""
        return Choices(self._draw(key) << 32 | self._draw(f"{key}+"))
