"""Shapes of the tensors of two networks: equal, explained by another factorisation, or neither.

Queries, keys and values may be three matrices or one, a 1x1 convolution may be a linear layer. The weights of such a
network cannot be copied tensor by tensor, although it may compute the same.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

Shape = tuple[int, ...]
Rows = tuple[Shape, int]  # the shape of a row, and the number of rows


def difference(
    own: Iterable[Sequence[int]], expected: Iterable[Sequence[int]]
) -> tuple[Counter[Shape], Counter[Shape]]:
    """The shapes that one of two networks has more often than the other: those of the first, and of the second."""
    first, second = Counter(map(tuple, own)), Counter(map(tuple, expected))
    return first - second, second - first


def explains(own: Counter[Shape], expected: Counter[Shape]) -> bool:
    """Whether tensors of these shapes are the others, reshaped, split, or stacked.

    Without the pairs that have as many numbers, there must be as many rows of each shape.
    """
    first, second = _without_pairs(own, expected)
    return any(_rows(first, divide) == _rows(second, divide) for divide in _DIVISIONS)


def _without_pairs(own: Counter[Shape], expected: Counter[Shape]) -> tuple[Counter[Shape], Counter[Shape]]:
    first, second = Counter(own), Counter(expected)
    for shape in own:
        for other in expected:
            if math.prod(other) == math.prod(shape):
                both = min(first[shape], second[other])
                first[shape] -= both
                second[other] -= both
    return +first, +second


def _rows(shapes: Counter[Shape], divide: Callable[[Shape], Rows]) -> Counter[Shape]:
    """The number of rows of each shape."""
    rows: Counter[Shape] = Counter()
    for shape, count in shapes.items():
        row, number = divide(tuple(length for length in shape if length != 1))
        rows[row] += number * count
    return rows


def _by_first(shape: Shape) -> Rows:
    return shape[1:], math.prod(shape[:1])


def _by_last(shape: Shape) -> Rows:
    return (shape[-1:], math.prod(shape[:-1])) if len(shape) > 1 else ((), math.prod(shape))


def _by_longest(shape: Shape) -> Rows:
    lengths = sorted(shape)
    return tuple(lengths[:-1]), math.prod(lengths[-1:])


_DIVISIONS = (_by_first, _by_last, _by_longest)
