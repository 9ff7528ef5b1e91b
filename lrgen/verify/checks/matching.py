"""The tensors of one network that take the place of those of another, found by what they do.

Tensors that cannot be distinguished have one colour, and tensors of one colour get the same weights. Their place in the
computation then shows in numbers (sums over their gradients), which do not depend on the names, the order or the style
of a network. Tensors of a colour whose numbers differ get new colours. If all numbers are equal, as those of parallel
branches, the first of each network become a pair, which distinguishes the others.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]  # tensors × modes × numbers, the first of which is a norm
Measure = Callable[[list[int]], Numbers]  # the numbers of the tensors of a network that are given these colours

# Difference of the numbers of a pair, relative to its norm. The smallest that gives pairs distinguishes the most.
_SAME = (1e-5, 1e-4, 1e-3, 1e-2)
_NOTHING = 1e-6  # of the largest norm
_ROUNDS = 24


def colours_of(keys: Sequence[Hashable], known: dict[Hashable, int]) -> list[int]:
    """A colour for each key; equal keys have equal colours."""
    return [known.setdefault(key, len(known)) for key in keys]


def match(
    own: list[int], expected: list[int], measure_own: Measure, measure_expected: Measure, weighted: int | None = None
) -> tuple[list[int], list[int]] | None:
    """The colours of the tensors of two networks by what they do; pairs have equal colours.

    Args:
        own: the colours of the tensors of the first network.
        expected: those of the second.
        measure_own: gives the first network weights by colour, and measures them.
        measure_expected: the same for the second network.
        weighted: the number of tensors that get weights, which are the first of each network; by default all.

    Returns:
        None if no pairs can be formed. Once they can, rounding errors end the search: in a deep network a pair of
        tensors that do the same may change what others do by more than rounding.
    """
    for index in range(_ROUNDS):
        if len(set(expected[:weighted])) == len(expected[:weighted]):
            break
        refined = refine(own, expected, measure_own(own), measure_expected(expected))
        if refined is None and index == 0:
            return None
        if refined is None:
            break
        if len(set(refined[1])) == len(set(expected)):
            refined = _separated(*refined)
        own, expected = refined
    return own, expected


def refine(
    own: list[int], expected: list[int], own_numbers: Numbers, expected_numbers: Numbers
) -> tuple[list[int], list[int]] | None:
    """New colours, by the old ones and by numbers; None unless both networks have as many tensors of each."""
    numbers = np.concatenate([own_numbers, expected_numbers])
    if not np.isfinite(numbers).all():
        return None
    numbers = _without_rounding(numbers)
    members = list(_by_colour([*own, *expected]).values())
    for same in _SAME:
        groups = [group for alike in members for group in _groups(alike, numbers, same)]
        if all(sum(at < len(own) for at in group) * 2 == len(group) for group in groups):
            colour = {at: number for number, group in enumerate(groups) for at in group}
            new = [colour[at] for at in range(len(colour))]
            return new[: len(own)], new[len(own) :]
    return None


def in_order(own: list[int], expected: list[int]) -> list[int] | None:
    """The pairs of equal colours, in their order within a colour; None unless there are as many of each."""
    places = _by_colour(own)
    if sorted(own) != sorted(expected):
        return None
    taken: dict[int, int] = defaultdict(int)
    pairs = []
    for colour in expected:
        pairs.append(places[colour][taken[colour]])
        taken[colour] += 1
    return pairs


def _by_colour(colours: list[int]) -> dict[int, list[int]]:
    places: dict[int, list[int]] = defaultdict(list)
    for at, colour in enumerate(colours):
        places[colour].append(at)
    return places


def _groups(members: list[int], numbers: Numbers, same: float) -> list[list[int]]:
    """The members whose numbers are the same, but for rounding."""
    rest = sorted(members, key=lambda at: float(numbers[at, 0, 0]))
    groups = []
    while rest:
        first = numbers[rest[0]]
        distances = np.abs(numbers[rest] - first).max(axis=2)
        near = (distances <= same * first[:, 0]).all(axis=1)
        groups.append([at for at, alike in zip(rest, near, strict=True) if alike])
        rest = [at for at, alike in zip(rest, near, strict=True) if not alike]
    return groups


def _without_rounding(numbers: Numbers) -> Numbers:
    """The numbers, with zeros for tensors whose gradient is a rounding error, as that of a bias before batch norm."""
    norms = numbers[:, :, 0]
    return np.where((norms > _NOTHING * norms.max(axis=0, initial=0))[:, :, None], numbers, 0)


def _separated(own: list[int], expected: list[int]) -> tuple[list[int], list[int]]:
    """Give the first tensors of the first colour that several have a colour of their own."""
    shared = next(colour for colour in expected if expected.count(colour) > 1)
    new = max(expected) + 1
    own, expected = list(own), list(expected)
    own[own.index(shared)] = expected[expected.index(shared)] = new
    return own, expected
