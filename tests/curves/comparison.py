"""What the comparisons share: where they look, and the one assertion.

Every number of a schedule stands in the test that compares it and is never read from the catalogue: a wrong constant
there has to show as a difference.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from lrgen import catalogue, curves
from lrgen.records import Variant

HORIZONS = (1, 2, 3, 5, 7, 10, 90, 1000)
BASE_RATES = (1e-4, 0.1, 1.0)


@cache
def variants() -> dict[int, Variant]:
    """The variants of the catalogue by number."""
    return {variant.number: variant for variant in catalogue.load().variants}


def key(number: int) -> str:
    """How a number reads in the name of a test."""
    return f"A0_{number:03d}"


def seen(horizon: int) -> int:
    """How many steps are compared: all of the horizon and half of it again, four at least."""
    return horizon + max(4, horizon // 2)


def nearest(fraction: str, horizon: int) -> int:
    """A decimal or common fraction of the horizon in whole steps, perhaps none; exact, halves to even."""
    return round(Fraction(fraction) * horizon)


def whole(fraction: str, horizon: int) -> int:
    """As ``nearest``, but at least one step."""
    return max(1, nearest(fraction, horizon))


def held(rates: Sequence[float], count: int) -> list[float]:
    """The rates, then the last of them until there are ``count``."""
    return [*rates, *[rates[-1]] * (count - len(rates))]


def trace(make: Callable[[Any, int], Any], horizon: int, lr: float, count: int) -> list[float]:
    """The rates that a scheduler of torch's interface gives to one dummy parameter."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer, horizon)
    optimizer.step()  # torch warns about the order of the calls unless it was called once
    rates = [optimizer.param_groups[0]["lr"]]
    while len(rates) < count:
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def assert_promised(
    number: int,
    horizon: int,
    lr: float,
    expected: Sequence[float] | np.ndarray,
    prm: Mapping[str, float] | None = None,
) -> None:
    """The variant's curve has the expected rates from step 0 on, to 1e-9 of the base rate."""
    promised = curves.rates(variants()[number], np.arange(len(expected)), horizon, lr, prm)
    difference = np.abs(promised - np.asarray(expected, dtype=np.float64))
    worst = int(np.argmax(difference))  # a NaN counts as the largest
    assert difference[worst] <= 1e-9 * lr, (
        f"{key(number)} at step {worst} of horizon {horizon}, base rate {lr}, {dict(prm or {})}: "
        f"the curve says {promised[worst]!r}, expected {expected[worst]!r}"
    )
