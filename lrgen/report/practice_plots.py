"""Figures of practices: what a training loop does over its steps, besides the learning rate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.errors import OutputError
from lrgen.records import Practice, PracticeKind
from lrgen.report import average_plots, curriculum_plots, target_plots, update_plots
from lrgen.report.plots import line_style, pyplot

_STEPS = 12_000
_FIRST_SCALE, _GROWTH_INTERVAL = 2.0**16, 2000  # of torch.amp.GradScaler
_OVERFLOWS = (0, 1, 2, 5_200, 9_900)  # of the example


def loss_scales(
    overflows: Iterable[int],
    steps: int,
    *,
    first: float = _FIRST_SCALE,
    growth_interval: int = _GROWTH_INTERVAL,
) -> NDArray[np.float64]:
    """The scale of the loss at each step, as torch's GradScaler sets it.

    It is halved after a step whose gradients overflow, and doubled after ``growth_interval`` steps without one.
    """
    overflowing = set(overflows)
    scales = np.empty(steps)
    scale, taken = first, 0
    for step in range(steps):
        scales[step] = scale
        if step in overflowing:
            scale, taken = scale / 2, 0
        else:
            taken += 1
            if taken == growth_interval:
                scale, taken = 2 * scale, 0
    return scales


def save(practices: Sequence[Practice], folder: Path) -> None:
    """Draw a figure ``<kind>.svg`` for each kind of the practices that has one.

    Raises:
        OutputError: when a file cannot be written.
    """
    for kind, draw in DRAWINGS.items():
        members = [practice for practice in practices if practice.kind is kind]
        if not members:
            continue
        plt = pyplot(".svg")
        figure = draw(plt, members)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(folder / f"{kind}.svg", metadata={"Date": None, "Creator": None})
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
        finally:
            plt.close(figure)


def _precision(plt: Any, practices: Sequence[Practice]) -> Any:
    """The scale of the loss over the steps of an example."""
    figure, axis = plt.subplots(figsize=(6, 2.4), layout="constrained")
    scaled = [practice for practice in practices if practice.scales_loss]
    for index, practice in enumerate(scaled):
        axis.step(
            range(_STEPS), loss_scales(_OVERFLOWS, _STEPS), where="post", label=practice.name, **line_style(index)
        )
    for step in _OVERFLOWS:
        axis.axvline(step, color="0.7", linewidth=0.8, linestyle=":")
    axis.set_yscale("log", base=2)
    axis.set_xlabel("step (dotted: gradients overflow, the update is skipped)")
    axis.set_ylabel("scale of the loss")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


DRAWINGS: Mapping[PracticeKind, Callable[[Any, Sequence[Practice]], Any]] = {
    PracticeKind.PRECISION: _precision,
    PracticeKind.CURRICULUM: curriculum_plots.draw,
    PracticeKind.ACCUMULATION: update_plots.accumulation,
    PracticeKind.CLIPPING: update_plots.clipping,
    PracticeKind.EMA: average_plots.moving,
    PracticeKind.AVERAGING: average_plots.mean,
    PracticeKind.LABEL_SMOOTHING: target_plots.smoothing,
    PracticeKind.MIXUP: target_plots.mixing,
}
