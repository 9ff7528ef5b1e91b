"""Pictures of curves: small multiples for print, and a chart of characters for a terminal.

Rates are drawn as fractions of the base rate over fractions of training. A metric-driven schedule is drawn on an
example loss (or accuracy) that falls, stalls, falls again and stalls; a layer-wise one as a line for each depth.
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
# Okabe & Ito's colours, which colour-blind people can tell apart, and dashes for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PANEL = (2.1, 1.55)  # inches
_LOG_BELOW = 1 / 30  # of the peak
_LOG_SHARE = 1 / 5  # of the steps
_DECADES = 1e-6


@dataclass(frozen=True)
class Curve:
    """What is drawn of a variant: ``rates`` are groups × steps, ``metrics`` what it was fed with, if anything."""

    variant: Variant
    rates: NDArray[np.float64]
    metrics: NDArray[np.float64] | None = None

    @property
    def lowest(self) -> float:
        """Where a logarithmic axis begins: the smallest positive rate, at most six decades below the peak."""
        positive = self.rates[self.rates > 0]
        return max(float(positive.min()), _DECADES * float(self.rates.max())) if positive.size else _DECADES

    @property
    def spans_decades(self) -> bool:
        """Whether a linear axis would hide much of it."""
        peak = float(self.rates.max())
        highest = self.rates.max(axis=0)
        return peak > 0 and float(np.mean(highest < _LOG_BELOW * peak)) > _LOG_SHARE


def example_metrics(variant: Variant, count: int) -> NDArray[np.float64]:
    """A loss that falls from 2 to 1, stalls, falls to 0.5 and stalls, each for a quarter; or its accuracy."""
    at = np.arange(count) / max(1, count)
    loss = np.interp(at, [0, 0.25, 0.5, 0.75, 1], [2, 1, 1, 0.5, 0.5])
    return 1 - loss / 2 if variant.metric is Metric.ACCURACY else loss


def sample(variant: Variant, horizon: int = HORIZON, prm: Mapping[str, float] | None = None) -> Curve:
    """The variant's rates at steps 0 … horizon, as fractions of the base rate.

    Raises:
        CatalogueError: when the variant has no curve.
        ParameterError: for a horizon below 1, or a hyperparameter that is unknown or out of range.
    """
    metrics = example_metrics(variant, max(0, horizon)) if variant.unit is Unit.METRIC else None
    fed = None if metrics is None else metrics.tolist()
    depths = DEPTHS if variant.layerwise else (0,)
    return Curve(variant, curves.rates(variant, None, horizon, 1.0, prm, metrics=fed, depths=depths), metrics)


def chart(curve: Curve, width: int = 64, height: int = 8) -> str:
    """The curve in characters: a filled area, or the digits of the depths of a layer-wise one. The axis is logarithmic
    where the rates span decades, of which it shows at most six.
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
            share = float(filled[depth, step])
            if groups == 1:
                eighths = round(share * height * 8)
                for row in range(height):
                    grid[height - 1 - row][column] = _BLOCKS[min(8, max(0, eighths - 8 * row))]
            else:
                grid[height - 1 - min(height - 1, int(share * height))][column] = str(DEPTHS[depth])
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
    """Draw the variants into a file: a panel each under their families' names, or all of them in one panel.

    ``advance`` is called once for each variant.

    Raises:
        OutputError: when the file's kind is not known, or it cannot be written.
        ParameterError: as ``sample``; or when there is nothing to draw.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: a picture's name must end in {', '.join(SUFFIXES)}, got {path.suffix or 'none'!r}")
    if not variants:
        raise ParameterError("there is no schedule to draw: the selection is empty")
    drawn = [sample(one, horizon, prm) for one in variants]
    plt = _pyplot(path.suffix.lower())
    figure = _comparison(plt, drawn, advance) if compare else _multiples(plt, families, drawn, columns, advance)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        plt.close(figure)


def overview(families: Sequence[Family], path: Path) -> None:
    """One panel a family, a line for each of its curves: equivalents and further layers are left out."""
    plt = _pyplot(path.suffix)
    columns = 4
    rows = -(-len(families) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.2 * rows), sharex=True, sharey=True)
    for axis, family in zip(axes.flat, families, strict=False):
        own = [one for one in family.variants if one.equivalent_to is None]
        for index, variant in enumerate(own):
            curve = sample(variant)
            x = np.linspace(0, 1, curve.rates.shape[1])
            axis.plot(x, curve.rates[-1], linewidth=1.1, **_style(index))
        axis.set_title(f"{family.title} ({len(own)})")
        axis.grid(alpha=0.25)
    for axis in axes.flat[len(families) :]:
        axis.set_axis_off()
    figure.supxlabel("fraction of training")
    figure.supylabel("learning rate / base rate")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _pyplot(suffix: str) -> Any:
    """pyplot without a window; an SVG keeps its text as text and is the same each time."""
    import matplotlib

    matplotlib.use({".png": "agg"}.get(suffix, suffix.lstrip(".")))
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "lrgen", "svg.fonttype": "none", "font.size": 8, "axes.titlesize": 8})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    return plt


def _style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def _multiples(
    plt: Any, families: Sequence[Family], drawn: Sequence[Curve], columns: int, advance: Callable[[], None]
) -> Any:
    """Panels in rows, those of a family together under its name."""
    groups = [(one, [curve for curve in drawn if curve.variant.family == one.name]) for one in families]
    groups = [(family, own) for family, own in groups if own]
    columns = min(columns, max(len(own) for _, own in groups))
    heights = [-(-len(own) // columns) for _, own in groups]
    width = max(columns * _PANEL[0], 3.5)
    figure = plt.figure(figsize=(width, sum(heights) * _PANEL[1] + 0.35 * len(groups)), layout="constrained")
    parts = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (family, own), rows in zip(parts, groups, heights, strict=True):
        part.suptitle(family.title, fontsize=9, fontweight="bold", x=0.01, ha="left")
        axes = part.subplots(rows, columns, squeeze=False)
        for axis, curve in zip(axes.flat, own, strict=False):
            advance()
            _panel(axis, curve)
            axis.set_title(f"{curve.variant.number:03d} {_short(curve.variant.name)}", fontsize=7)
        for axis in list(axes.flat)[len(own) :]:
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
        style = _style(0) if groups == 1 else {"color": str(0.75 * (1 - depth / (groups - 1))), "label": str(depth)}
        axis.plot(x, _shown(rates, curve.spans_decades), linewidth=1.2, **style)
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


def _shown(rates: NDArray[np.float64], logarithmic: bool) -> NDArray[np.float64]:
    """A logarithmic axis leaves out the zeros."""
    return np.where(rates > 0, rates, np.nan) if logarithmic else rates


def _comparison(plt: Any, drawn: Sequence[Curve], advance: Callable[[], None]) -> Any:
    """All curves in one panel, with a legend."""
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    logarithmic = any(curve.spans_decades for curve in drawn)
    for index, curve in enumerate(drawn):
        advance()
        for depth, rates in enumerate(curve.rates):
            groups = len(curve.rates)
            label = f"{curve.variant.number:03d} {curve.variant.name}" if depth == groups - 1 else None
            fade = 1.0 if groups == 1 else 0.3 + 0.7 * depth / (groups - 1)
            x, style = np.linspace(0, 1, len(rates)), _style(index)
            axis.plot(x, _shown(rates, logarithmic), label=label, alpha=fade, linewidth=1.4, **style)
    if logarithmic:
        axis.set_yscale("log")
        axis.set_ylim(min(curve.lowest for curve in drawn) / 1.5, 1.5)
    axis.set_xlabel("fraction of training")
    axis.set_ylabel("learning rate / base rate")
    axis.grid(alpha=0.25)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _short(name: str, limit: int = 30) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
