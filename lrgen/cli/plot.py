"""``lrgen plot``: what schedules look like."""

from pathlib import Path
from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import Families, Set, Templates, hyperparameters
from lrgen.cli.printing import Progress
from lrgen.errors import ConfigError


def plot(
    variant: Annotated[list[str] | None, typer.Argument(help="Schedules by number, range or name.")] = None,
    family: Families = None,
    everything: Annotated[bool, typer.Option("--all", help="Every schedule.")] = False,
    horizon: Annotated[int, typer.Option(help="Steps of the curves.")] = 300,
    values: Set = None,
    compare: Annotated[bool, typer.Option("--compare", help="All in one panel, with a legend.")] = False,
    out: Annotated[Path, typer.Option("--out", help="A .png, .svg or .pdf file.", metavar="FILE")] = Path("curves.png"),
    templates: Templates = None,
) -> None:
    """Draw curves: a panel for each, by family, or all of them in one.

    Example: lrgen plot --family cosine --out cosine.svg

    Example: lrgen plot 6 37 wsd_linear --compare
    """
    if everything and (variant or family):
        raise ConfigError("--all and a selection exclude each other")
    if not (everything or variant or family):
        raise ConfigError("nothing to draw: name schedules, a --family, or --all")
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    from lrgen.report import plots

    chosen = catalogue.select(variant or (), family or ())
    with Progress("drawing", len(chosen)) as progress:
        plots.save(
            catalogue.families,
            chosen,
            out,
            horizon=horizon,
            prm=hyperparameters(values),
            compare=compare,
            advance=progress.advance,
        )
    print(f"{len(chosen)} curve{'s' * (len(chosen) != 1)} drawn in {out}")
