"""Numbers as lines. A drawing is stretched to the room that it is given and its strokes are
not; all text stands beside it, as text of the page, and keeps its size on a phone.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.errors import CatalogueError
from lrgen.records import Variant
from lrgen.report import plots
from lrgen.report.contents import Entry

SIZE = 1000  # of a chart, both ways
NAMED = 5
_GAP = 8.5  # between two names, in percent of the height
_MOST_POINTS = 100
_LEAST_SPAN = 0.004  # of accuracies; what differs less looks equal
_ROUNDING = 1e-9
# Pixels of a curve in a table, since a browser scales the strokes of what is drawn a second time.
CURVE = (72, 20)
_TOLERANCE = 0.1

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, ``at`` percent from the left or the top."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A named line: its path, a dot at its best epoch, and the way to its name, ``at`` percent from the top."""

    entry: Entry
    path: str
    dot: str
    leader: str
    at: float


@dataclass(frozen=True)
class Chart:
    """Accuracies over epochs: the best few by name, all others as one path."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    grid: str
    others: str
    named: tuple[Line, ...]


@dataclass(frozen=True)
class Shape:
    """A schedule's curve: a path for each group of parameters."""

    paths: tuple[str, ...]
    logarithmic: bool


def accuracies(entries: Sequence[Entry]) -> Chart | None:
    """The accuracy after each epoch of the entries, best first; None when none was measured."""
    series = [(entry, points) for entry in entries if (points := _measured(entry))]
    if not series:
        return None
    axes = _Axes([point for _, points in series for point in points])
    ends = [axes.place(points[-1])[1] / 10 for _, points in series[:NAMED]]
    named = tuple(
        Line(
            entry,
            path=_path(map(axes.place, points)),
            dot=_path([axes.place((entry.best["epoch"], entry.best["accuracy"]))]),
            leader=_path([(0, 10 * end), (SIZE, 10 * at)]),
            at=round(at, 1),
        )
        for (entry, points), end, at in zip(series, ends, _apart(ends), strict=False)
    )
    up = axes.up()
    return Chart(
        across=axes.across(),
        up=up,
        grid="".join(f"M0 {10 * tick.at:.0f}h{SIZE}" for tick in up),
        others="".join(_path(map(axes.place, points)) for _, points in series[NAMED:]),
        named=named,
    )


def shape(variant: Variant) -> Shape | None:
    """The curve that the catalogue promises at the variant's defaults; None when it has none."""
    try:
        curve = plots.sample(variant)
    except CatalogueError:
        return None
    peak = max(float(curve.rates.max()), 1e-300)
    heights = curve.rates / peak
    if curve.spans_decades:
        lowest = curve.lowest / peak
        heights = 1 - np.log(np.maximum(heights, lowest)) / math.log(lowest)
    wide, high = CURVE
    across = np.linspace(0, wide, heights.shape[1]).tolist()
    paths = [_path(_simplified(list(zip(across, high * (1 - row), strict=True))), digits=1) for row in heights]
    return Shape(tuple(dict.fromkeys(paths)), curve.spans_decades)


class _Axes:
    """The epochs of some points across and their accuracies up, to the next round number."""

    def __init__(self, points: Sequence[Point]) -> None:
        epochs, values = zip(*points, strict=True)
        self._first, self._last = min(epochs), max(epochs)
        self._step = _step(max(_LEAST_SPAN, max(values) - min(values)))
        self._low = math.floor(min(values) / self._step + _ROUNDING)
        self._high = max(self._low + 1, math.ceil(max(values) / self._step - _ROUNDING))

    def place(self, point: Point) -> Point:
        """Where a point lies on the grid; a single epoch in the middle."""
        span = self._last - self._first
        across = (point[0] - self._first) / span if span else 0.5
        return SIZE * across, SIZE * (self._high - point[1] / self._step) / (self._high - self._low)

    def across(self) -> tuple[Tick, ...]:
        """The first epoch, and round ones that stand clear of it."""
        first, last = int(self._first), int(self._last)
        step = max(1, round(_step(max(1, last - first))))
        marks = [first, *(mark for mark in range(first + 1, last + 1) if mark % step == 0 and mark - first > step / 2)]
        return tuple(Tick(round(self.place((mark, 0.0))[0] / 10, 1), str(mark)) for mark in marks)

    def up(self) -> tuple[Tick, ...]:
        """The round accuracies."""
        digits = max(1, -math.floor(math.log10(self._step) + _ROUNDING))
        values = [number * self._step for number in range(self._low, self._high + 1)]
        return tuple(Tick(round(self.place((0.0, value))[1] / 10, 1), f"{value:.{digits}f}") for value in values)


def _measured(entry: Entry) -> list[Point]:
    """Epochs and accuracies; of very many every n-th, the best and the last."""
    points = [(row["epoch"], row["accuracy"]) for row in entry.epochs if row["accuracy"] is not None]
    stride = max(1, -(-len(points) // _MOST_POINTS))
    return [
        point
        for number, point in enumerate(points)
        if number % stride == 0 or number == len(points) - 1 or point[0] == entry.best["epoch"]
    ]


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, of which four to ten make the span."""
    power = 10.0 ** math.floor(math.log10(span / 4) + _ROUNDING)
    return max(multiple * power for multiple in (1, 2, 5) if multiple * power <= span / 4 * (1 + _ROUNDING))


def _apart(ends: Sequence[float]) -> list[float]:
    """Where names stand so that none covers another: near the ends of their lines, in the order of those."""
    order = sorted(range(len(ends)), key=lambda index: ends[index])
    places = list(ends)
    for before, after in itertools.pairwise(order):
        places[after] = max(places[after], places[before] + _GAP)
    limit = 100.0
    for index in reversed(order):
        places[index] = min(places[index], limit)
        limit = places[index] - _GAP
    return places


def _simplified(points: Sequence[Point]) -> list[Point]:
    """Fewer points of the same line: those dropped lie within the tolerance of it (Douglas-Peucker)."""
    keep = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        begin, end = spans.pop()
        (x0, y0), (x1, y1) = points[begin], points[end]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        off = [abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length for x, y in points[begin + 1 : end]]
        if off and max(off) > _TOLERANCE:
            furthest = begin + 1 + off.index(max(off))
            keep.add(furthest)
            spans += [(begin, furthest), (furthest, end)]
    return [points[index] for index in sorted(keep)]


def _path(points: Iterable[Point], digits: int = 0) -> str:
    """An SVG path; a single point is a line without length, which a round cap makes a dot."""
    drawn = [f"{round(x, digits):g} {round(y, digits):g}" for x, y in points]
    return "M" + "L".join(drawn) + ("h0" if len(drawn) == 1 else "")
