"""The marks of the plots on the page of scores: a value with its interval on a horizontal axis."""

import math
from dataclasses import dataclass

from lrgen.report.drawing import Tick

WIDTH = 1000


@dataclass(frozen=True)
class Mark:
    """An interval as an SVG path, and its value as a point of a line with round caps."""

    interval: str
    dot: str


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from ``low`` to ``high`` with ticks."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def mark(self, value: float, interval: tuple[float, float]) -> Mark:
        """Return a value with its interval, in a drawing that is one high."""
        begin, end = (round(self._place(edge)) for edge in interval)
        return Mark(f"M{begin} 0.5H{end}", f"M{round(self._place(value))} 0.5h0")

    @property
    def grid(self) -> str:
        """The path of the lines at the ticks."""
        return "".join(f"M{10 * tick.at:g} 0v1" for tick in self.ticks)

    def _place(self, value: float) -> float:
        return WIDTH * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)


def rates() -> Axis:
    """Return the axis of rates, from 0 to 1."""
    return Axis(0, 1, tuple(Tick(100 * value, f"{value:g}") for value in (0, 0.25, 0.5, 0.75, 1)))


def differences(intervals: list[tuple[float, float]]) -> Axis:
    """Return an axis around 0 that has the intervals of some differences."""
    largest = max((abs(edge) for interval in intervals for edge in interval), default=0.0)
    end = next(end for end in (0.1, 0.2, 0.5, 1.0, math.inf) if largest <= end)
    ticks = tuple(Tick(50 + 50 * fraction, f"{fraction * end:+g}" if fraction else "0") for fraction in (-1, 0, 1))
    return Axis(-end, end, ticks)
