"""Charts of the report page as SVG paths.

A drawing is stretched to the available width, but its strokes are not. All text is HTML beside the drawing and keeps
its size on a phone.
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

SIZE = 1000  # width and height of a chart
NAMED = 5  # lines with a name
_GAP = 8.5  # between two names, in percent of the height
_MAX_POINTS = 100
_MIN_SPAN = 0.004  # of accuracies; smaller differences look equal
_ROUNDING = 1e-9
# Width and height of a curve in a table, in pixels: browsers scale the strokes of a drawing that is used twice.
CURVE = (72, 20)
_TOLERANCE = 0.1

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, at ``at`` percent from the left or the top."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A named line: its path, a dot at its best epoch, and a leader to its name at ``at`` percent from the top."""

    entry: Entry
    path: str
    dot: str
    leader: str
    at: float


@dataclass(frozen=True)
class Chart:
    """A chart of accuracies over epochs: the best files as named lines, all others as one path."""

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
    """Return the chart of some entries, which are sorted best first; None when no accuracy was measured."""
    series = [(entry, points) for entry in entries if (points := sampled_points(entry))]
    if not series:
        return None
    axes = Axes([point for _, points in series for point in points])
    ends = [axes.place(points[-1])[1] / 10 for _, points in series[:NAMED]]
    named = tuple(
        Line(
            entry,
            path=_path(map(axes.place, points)),
            dot=_path([axes.place((entry.best["epoch"], entry.best["accuracy"]))]),
            leader=_path([(0, 10 * end), (SIZE, 10 * at)]),
            at=round(at, 1),
        )
        for (entry, points), end, at in zip(series, ends, spread(ends), strict=False)
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
    """Return the curve of a variant with its default hyperparameters; None when it has no curve."""
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
    paths = [_path(simplified(list(zip(across, high * (1 - row), strict=True))), digits=1) for row in heights]
    return Shape(tuple(dict.fromkeys(paths)), curve.spans_decades)


class Axes:
    """The axes of a chart: epochs across, accuracies up to the next round numbers."""

    def __init__(self, points: Sequence[Point]) -> None:
        epochs, values = zip(*points, strict=True)
        self._first, self._last = min(epochs), max(epochs)
        self._step = _step(max(_MIN_SPAN, max(values) - min(values)))
        self._low = math.floor(min(values) / self._step + _ROUNDING)
        self._high = max(self._low + 1, math.ceil(max(values) / self._step - _ROUNDING))

    def place(self, point: Point) -> Point:
        """Return the position of a point in the chart; a single epoch lies in the middle."""
        span = self._last - self._first
        across = (point[0] - self._first) / span if span else 0.5
        return SIZE * across, SIZE * (self._high - point[1] / self._step) / (self._high - self._low)

    def across(self) -> tuple[Tick, ...]:
        """Return the ticks of the first epoch and of round epochs at some distance from it."""
        first, last = int(self._first), int(self._last)
        step = max(1, round(_step(max(1, last - first))))
        marks = [first, *(mark for mark in range(first + 1, last + 1) if mark % step == 0 and mark - first > step / 2)]
        return tuple(Tick(round(self.place((mark, 0.0))[0] / 10, 1), str(mark)) for mark in marks)

    def up(self) -> tuple[Tick, ...]:
        """Return the ticks of round accuracies."""
        digits = max(1, -math.floor(math.log10(self._step) + _ROUNDING))
        values = [number * self._step for number in range(self._low, self._high + 1)]
        return tuple(Tick(round(self.place((0.0, value))[1] / 10, 1), f"{value:.{digits}f}") for value in values)


def sampled_points(entry: Entry) -> list[Point]:
    """Return epochs and accuracies: all of them, or every n-th with the best and the last if there are many."""
    points = [(row["epoch"], row["accuracy"]) for row in entry.epochs if row["accuracy"] is not None]
    stride = max(1, -(-len(points) // _MAX_POINTS))
    return [
        point
        for number, point in enumerate(points)
        if number % stride == 0 or number == len(points) - 1 or point[0] == entry.best["epoch"]
    ]


def _step(span: float) -> float:
    """Return 1, 2 or 5 times a power of ten, such that four to ten steps make the span."""
    power = 10.0 ** math.floor(math.log10(span / 4) + _ROUNDING)
    return max(multiple * power for multiple in (1, 2, 5) if multiple * power <= span / 4 * (1 + _ROUNDING))


def spread(ends: Sequence[float]) -> list[float]:
    """Return positions for names near the ends of their lines, in the same order and without overlap."""
    order = sorted(range(len(ends)), key=lambda index: ends[index])
    positions = list(ends)
    for before, after in itertools.pairwise(order):
        positions[after] = max(positions[after], positions[before] + _GAP)
    limit = 100.0
    for index in reversed(order):
        positions[index] = min(positions[index], limit)
        limit = positions[index] - _GAP
    return positions


def simplified(points: Sequence[Point]) -> list[Point]:
    """Remove points that lie within the tolerance of the remaining line (Douglas-Peucker)."""
    keep = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        begin, end = spans.pop()
        (x0, y0), (x1, y1) = points[begin], points[end]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        distances = [abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length for x, y in points[begin + 1 : end]]
        if distances and max(distances) > _TOLERANCE:
            furthest = begin + 1 + distances.index(max(distances))
            keep.add(furthest)
            spans += [(begin, furthest), (furthest, end)]
    return [points[index] for index in sorted(keep)]


def _path(points: Iterable[Point], digits: int = 0) -> str:
    """Return an SVG path; a single point is a line without length, which is a dot because of its round cap."""
    coordinates = [f"{round(x, digits):g} {round(y, digits):g}" for x, y in points]
    return "M" + "L".join(coordinates) + ("h0" if len(coordinates) == 1 else "")
