"""``lrgen plot``: the curves of schedules as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import Families, Set, Templates, hyperparameters
from lrgen.cli.printing import Progress, counted
from lrgen.errors import ConfigError


def plot(
    variant: Annotated[list[str] | None, typer.Argument(help="Schedules by number, range (1-50) or name.")] = None,
    family: Families = None,
    select_all: Annotated[bool, typer.Option("--all", help="Select every schedule.")] = False,
    horizon: Annotated[int, typer.Option(help="Number of steps of the curves.")] = 300,
    values: Set = None,
    compare: Annotated[bool, typer.Option("--compare", help="Plot all curves in one panel, with a legend.")] = False,
    out: Annotated[Path, typer.Option("--out", help="Picture to write: .png, .svg or .pdf.", metavar="FILE")] = Path(
        "curves.png"
    ),
    templates: Templates = None,
) -> None:
    """Plot the curves of schedules: one panel each, by family, or all in one panel.

    Example: lrgen plot --family cosine --out cosine.svg

    Example: lrgen plot 6 37 wsd_linear --compare
    """
    if select_all and (variant or family):
        raise ConfigError("--all and a selection exclude each other")
    if not (select_all or variant or family):
        raise ConfigError("nothing to plot: name schedules, a --family, or --all")
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    from lrgen.report import plots

    selected = catalogue.schedules if select_all else catalogue.select(variant or (), family or ())
    curves = {chosen.schedule or chosen.number for chosen in selected}  # one with a practice has its schedule's
    chosen = tuple(schedule for schedule in catalogue.schedules if schedule.number in curves)
    with Progress("plotting", len(chosen)) as progress:
        plots.save(
            catalogue.families,
            chosen,
            out,
            horizon=horizon,
            prm=hyperparameters(values),
            compare=compare,
            advance=progress.advance,
        )
    print(f"{counted(len(chosen), 'curve')} plotted in {out}")
