"""Plots of schedules: small multiples, comparisons, and charts for a terminal.

The learning rate is drawn as a fraction of the base learning rate over the fraction of training. A metric-driven
schedule is drawn for an example loss that decreases, stalls, decreases and stalls (or the corresponding accuracy); a
layer-wise schedule has a line for each depth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen import curves
from lrgen.errors import OutputError, ParameterError
from lrgen.records import Family, Metric, Unit, Variant

HORIZON = 300
DEPTHS = (0, 1, 2, 3, 4)
SUFFIXES = (".png", ".svg", ".pdf")
# The colour-blind-safe palette of Okabe & Ito, and dashes for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PANEL = (2.1, 1.55)  # inches
_LOG_BELOW = 1 / 30  # of the peak
_LOG_FRACTION = 1 / 5  # of the steps
_DECADES = 1e-6


@dataclass(frozen=True)
class Sampled:
    """A sampled curve: learning rates of shape (groups, steps)."""

    rates: NDArray[np.float64]

    @property
    def lowest(self) -> float:
        """The start of a logarithmic axis: the lowest positive learning rate, at most six decades below its peak."""
        positive = self.rates[self.rates > 0]
        return max(float(positive.min()), _DECADES * float(self.rates.max())) if positive.size else _DECADES

    @property
    def spans_decades(self) -> bool:
        """Whether the curve needs a logarithmic axis, because a linear one would hide much of it."""
        peak = float(self.rates.max())
        highest = self.rates.max(axis=0)
        return peak > 0 and float(np.mean(highest < _LOG_BELOW * peak)) > _LOG_FRACTION


@dataclass(frozen=True)
class Curve(Sampled):
    """The sampled curve of a variant; ``metrics`` is the example metric of a metric-driven one."""

    variant: Variant
    metrics: NDArray[np.float64] | None = None


def example_metrics(variant: Variant, count: int) -> NDArray[np.float64]:
    """Return a loss that decreases from 2 to 1, stalls, decreases to 0.5 and stalls; or the accuracy 1 − loss / 2."""
    progress = np.arange(count) / max(1, count)
    loss = np.interp(progress, [0, 0.25, 0.5, 0.75, 1], [2, 1, 1, 0.5, 0.5])
    return 1 - loss / 2 if variant.metric is Metric.ACCURACY else loss


def sample(variant: Variant, horizon: int = HORIZON, prm: Mapping[str, float] | None = None) -> Curve:
    """Return the variant's learning rates at steps 0 … horizon, as fractions of the base learning rate.

    Raises:
        CatalogueError: when the variant has no curve.
        ParameterError: for a horizon that is no number of steps, or a hyperparameter that is unknown or out of range.
    """
    curves.check_horizon(variant, horizon)
    metrics = example_metrics(variant, horizon) if variant.unit is Unit.METRIC else None
    values = None if metrics is None else metrics.tolist()
    depths = DEPTHS if variant.layerwise else (0,)
    return Curve(curves.rates(variant, None, horizon, 1.0, prm, metrics=values, depths=depths), variant, metrics)


def chart(curve: Sampled, width: int = 64, height: int = 8) -> str:
    """Return the curve as text: a filled area, or for a layer-wise schedule the digit of each depth.

    The axis is logarithmic where the learning rates span decades, and shows at most six of them.
    """
    groups, count = curve.rates.shape
    columns = np.linspace(0, count - 1, min(width, count)).round().astype(int)
    top = max(float(curve.rates.max()), 1e-300)
    bottom = 0.0
    filled = curve.rates / top
    if curve.spans_decades:
        bottom = curve.lowest
        with np.errstate(divide="ignore"):
            filled = np.clip(1 - np.log(curve.rates / top) / np.log(bottom / top), 0, 1)
    grid = [[" "] * len(columns) for _ in range(height)]
    for column, step in enumerate(columns):
        for depth in range(groups):
            level = float(filled[depth, step])
            if groups == 1:
                eighths = round(level * height * 8)
                for row in range(height):
                    grid[height - 1 - row][column] = _BLOCKS[min(8, max(0, eighths - 8 * row))]
            else:
                grid[height - 1 - min(height - 1, int(level * height))][column] = str(DEPTHS[depth])
    labels = [f"{top:.3g}", *["log" if bottom and row == 1 else "" for row in range(1, height - 1)], f"{bottom:.2g}"]
    rows = [f"{label:>8} │{''.join(cells).rstrip()}" for label, cells in zip(labels, grid, strict=True)]
    end = f"T = {count - 1}"
    axis = f"{'':>8} └{'─' * len(columns)}\n{'':>10}0{end.rjust(len(columns) - 1)}"
    return "\n".join((*rows, axis))


def save(
    families: Sequence[Family],
    variants: Sequence[Variant],
    path: Path,
    *,
    horizon: int = HORIZON,
    prm: Mapping[str, float] | None = None,
    compare: bool = False,
    columns: int = 5,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Draw the variants into a file: a panel for each, grouped by family, or all of them in one panel (``compare``).

    ``advance`` is called once for each variant.

    Raises:
        OutputError: when the suffix of the file is unknown, or the file cannot be written.
        ParameterError: as in ``sample``, or when there is no variant.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}, got {path.suffix!r}")
    if not variants:
        raise ParameterError("variants: at least one schedule must be selected, got none")
    sampled = [sample(variant, horizon, prm) for variant in variants]
    plt = pyplot(path.suffix.lower())
    figure = _comparison(plt, sampled, advance) if compare else _multiples(plt, families, sampled, columns, advance)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        plt.close(figure)


def overview(families: Sequence[Family], path: Path) -> None:
    """Draw a panel for each family with a line for each of its curves, without equivalents and with the last depth."""
    plt = pyplot(path.suffix)
    columns = 4
    rows = -(-len(families) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.2 * rows), sharex=True, sharey=True)
    for axis, family in zip(axes.flat, families, strict=False):
        distinct = [variant for variant in family.variants if variant.equivalent_to is None]
        for index, variant in enumerate(distinct):
            curve = sample(variant)
            x = np.linspace(0, 1, curve.rates.shape[1])
            axis.plot(x, curve.rates[-1], linewidth=1.1, **line_style(index))
        axis.set_title(f"{family.title} ({len(distinct)})")
        axis.grid(alpha=0.25)
    for axis in axes.flat[len(families) :]:
        axis.set_axis_off()
    figure.supxlabel("fraction of training")
    figure.supylabel("learning rate / base learning rate")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def pyplot(suffix: str) -> Any:
    """Return pyplot without a display; an SVG has its text as text and is reproducible."""
    import matplotlib

    matplotlib.use({".png": "agg"}.get(suffix, suffix.lstrip(".")))
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "lrgen", "svg.fonttype": "none", "font.size": 8, "axes.titlesize": 8})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    return plt


def line_style(index: int) -> dict[str, Any]:
    """The colour and the dashes of a line."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def _multiples(
    plt: Any, families: Sequence[Family], sampled: Sequence[Curve], columns: int, advance: Callable[[], None]
) -> Any:
    """Return a figure with a panel for each curve, in rows under the title of its family."""
    groups = [(family, [curve for curve in sampled if curve.variant.family == family.name]) for family in families]
    groups = [(family, members) for family, members in groups if members]
    columns = min(columns, max(len(members) for _, members in groups))
    heights = [-(-len(members) // columns) for _, members in groups]
    width = max(columns * _PANEL[0], 3.5)
    figure = plt.figure(figsize=(width, sum(heights) * _PANEL[1] + 0.35 * len(groups)), layout="constrained")
    subfigures = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for subfigure, (family, members), rows in zip(subfigures, groups, heights, strict=True):
        subfigure.suptitle(family.title, fontsize=9, fontweight="bold", x=0.01, ha="left")
        axes = subfigure.subplots(rows, columns, squeeze=False)
        for axis, curve in zip(axes.flat, members, strict=False):
            advance()
            _panel(axis, curve)
            axis.set_title(f"{curve.variant.number:03d} {_short(curve.variant.name)}", fontsize=7)
        for axis in list(axes.flat)[len(members) :]:
            axis.set_axis_off()
    return figure


def _panel(axis: Any, curve: Curve) -> None:
    groups, count = curve.rates.shape
    x = np.linspace(0, 1, count)
    if curve.metrics is not None:
        scaled = curve.metrics / curve.metrics.max()
        axis.plot(x[:-1], scaled, color="#999999", linewidth=0.8, linestyle=":", label=curve.variant.metric)
        axis.legend(fontsize=6, frameon=False)
    for depth, rates in enumerate(curve.rates):
        style = line_style(0) if groups == 1 else {"color": str(0.75 * (1 - depth / (groups - 1))), "label": str(depth)}
        axis.plot(x, _drawable(rates, curve.spans_decades), linewidth=1.2, **style)
    if groups > 1:
        axis.legend(title="depth", fontsize=5, title_fontsize=6, frameon=False, ncols=2)
    if curve.spans_decades:
        axis.set_yscale("log")
        axis.set_ylim(curve.lowest / 1.5, 1.5)
    else:
        axis.set_ylim(-0.03, 1.08)
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1])
    axis.tick_params(labelsize=6, length=2)
    axis.grid(alpha=0.25)


def _drawable(rates: NDArray[np.float64], logarithmic: bool) -> NDArray[np.float64]:
    """Return the learning rates as drawn: without zeros on a logarithmic axis."""
    return np.where(rates > 0, rates, np.nan) if logarithmic else rates


def _comparison(plt: Any, sampled: Sequence[Curve], advance: Callable[[], None]) -> Any:
    """Return a figure with all curves in one panel, with a legend."""
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    logarithmic = any(curve.spans_decades for curve in sampled)
    for index, curve in enumerate(sampled):
        advance()
        for depth, rates in enumerate(curve.rates):
            groups = len(curve.rates)
            label = f"{curve.variant.number:03d} {curve.variant.name}" if depth == groups - 1 else None
            alpha = 1.0 if groups == 1 else 0.3 + 0.7 * depth / (groups - 1)
            x, style = np.linspace(0, 1, len(rates)), line_style(index)
            axis.plot(x, _drawable(rates, logarithmic), label=label, alpha=alpha, linewidth=1.4, **style)
    if logarithmic:
        axis.set_yscale("log")
        axis.set_ylim(min(curve.lowest for curve in sampled) / 1.5, 1.5)
    axis.set_xlabel("fraction of training")
    axis.set_ylabel("learning rate / base learning rate")
    axis.grid(alpha=0.25)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _short(name: str, limit: int = 30) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
