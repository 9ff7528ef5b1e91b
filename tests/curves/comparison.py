"""Helpers for comparing curves with reference implementations.

The numbers of a schedule are written out in the tests and never read from the catalogue, so a wrong constant in the
catalogue is a difference.
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
    return {variant.number: variant for variant in catalogue.load().schedules}


def key(number: int) -> str:
    """The key of a variant, for the ids of tests."""
    return f"A0_{number:03d}"


def seen(horizon: int) -> int:
    """The number of compared steps: the horizon and half of it again, at least four."""
    return horizon + max(4, horizon // 2)


def nearest(fraction: str, horizon: int) -> int:
    """A fraction of the horizon in steps, computed exactly and rounded half to even; may be zero."""
    return round(Fraction(fraction) * horizon)


def whole(fraction: str, horizon: int) -> int:
    """Like ``nearest``, but at least one step."""
    return max(1, nearest(fraction, horizon))


def held(rates: Sequence[float], count: int) -> list[float]:
    """The learning rates, extended to ``count`` by repeating the last one."""
    return [*rates, *[rates[-1]] * (count - len(rates))]


def trace(make: Callable[[Any, int], Any], horizon: int, lr: float, count: int) -> list[float]:
    """The learning rates that a torch scheduler sets on an optimizer with one dummy parameter."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer, horizon)
    optimizer.step()  # torch warns if the scheduler steps before the optimizer
    rates = [optimizer.param_groups[0]["lr"]]
    while len(rates) < count:
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def timm_trace(make: Callable[[Any, int], Any], horizon: int, lr: float, count: int) -> list[float]:
    """The learning rates that a timm scheduler, which takes the step as an argument, sets on such an optimizer."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer, horizon)
    rates = []
    for step in range(count):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def assert_curve(
    number: int,
    horizon: int,
    lr: float,
    expected: Sequence[float] | np.ndarray,
    prm: Mapping[str, float] | None = None,
) -> None:
    """Assert that the variant's curve has the expected learning rates from step 0 on, within 1e-9 of the base rate."""
    rates = curves.rates(variants()[number], np.arange(len(expected)), horizon, lr, prm)
    difference = np.abs(rates - np.asarray(expected, dtype=np.float64))
    worst = int(np.argmax(difference))  # a NaN counts as the largest
    assert difference[worst] <= 1e-9 * lr, (
        f"{key(number)} at step {worst} of horizon {horizon}, base learning rate {lr}, {dict(prm or {})}: "
        f"the curve is {rates[worst]!r}, expected {expected[worst]!r}"
    )
