"""Events of an observed curve, which suggest numbers: where it begins to change, peaks, drops and rises again."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lrgen.curves import Rates

_MOST = 10  # events of a kind


@dataclass(frozen=True)
class Events:
    """The steps, ratios and horizons that an observed curve suggests.

    The first of ``ratios`` is the last learning rate. ``drops`` are the steps at which a constant learning rate drops,
    if they are few, ``quotients`` the factors of the first, and ``lowest`` is the lowest learning rate.
    """

    steps: tuple[int, ...]
    ratios: tuple[float, ...]
    horizons: tuple[int, ...]
    drops: tuple[int, ...] = ()
    quotients: tuple[float, ...] = ()
    lowest: float = 0.0

    @classmethod
    def of(cls, rates: Rates, steps: Rates, planned: int) -> "Events":
        """The events of learning rates relative to the highest, at these steps."""
        change = np.diff(rates)
        tiny = 1e-9
        changes = np.flatnonzero(np.abs(change) > tiny) + 1
        rising = np.flatnonzero((change[1:] > tiny) & (change[:-1] <= tiny)) + 1
        falling = np.flatnonzero((change[1:] < -tiny) & (change[:-1] >= -tiny)) + 1
        still = np.flatnonzero((np.abs(change[1:]) <= tiny) & (np.abs(change[:-1]) > tiny)) + 1
        peak = int(np.argmax(rates >= 1 - tiny))
        jumps = np.flatnonzero(change > 0.2) + 1
        marks = [peak, len(rates) - 1 - int(np.argmax(rates[::-1] >= 1 - tiny)) + 1, int(np.argmin(rates))]
        for kind in (changes[:3], rising[:2], falling[:2], still[:2], still[-1:], jumps[:2], changes[-1:]):
            marks += [int(mark) for mark in kind]
        at = sorted({int(steps[min(mark, len(steps) - 1)]) for mark in marks if mark > 0})
        between = [other - first for first, other in pairwise(at)]
        lengths = [*at[:5], *between[:4], *at[5:8], *(planned - step for step in at)]
        ends = [int(steps[mark]) for mark in (*still[-2:], *changes[-1:], int(np.argmin(rates)))]
        still_before = np.abs(change[changes - 2]) <= tiny
        drops = [int(mark) for mark in changes[still_before] if mark > 1 and change[mark - 1] < 0]
        flat = len(drops) <= _MOST and len(changes) < len(rates) / 2
        quotients = [float(rates[mark] / rates[mark - 1]) for mark in drops[:3] if rates[mark - 1] > 0]
        early = [float(rates[mark] / rates[mark - 1]) for mark in changes[:2] if rates[mark - 1] > 0]
        ratios = [float(rates[-1]), float(rates[0]), float(rates.min()), *quotients[:4], *early]
        if len(changes) > 1:
            ratios.append(float(rates[changes[0]]))
        return cls(
            tuple(dict.fromkeys(length for length in lengths if length > 0))[: _MOST + 2],
            tuple(dict.fromkeys(ratios)),
            tuple({end for end in ends if end > 0}),
            tuple(int(steps[mark]) for mark in drops) if flat else (),
            tuple(dict.fromkeys(round(value, 9) for value in (*early, *quotients)))[:2],
            float(rates.min()),
        )
