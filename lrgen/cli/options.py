"""What the commands share: their options, what the options before a command say, and what a selection means."""

from pathlib import Path
from typing import Annotated

import typer

from lrgen import config, generate
from lrgen.catalogue import Catalogue
from lrgen.generate import Pair

Models = Annotated[list[str] | None, typer.Option("--model", help="An architecture; repeatable.", metavar="NAME")]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="A schedule by number, range (1-50) or name; repeatable.", metavar="NUMBER|NAME"),
]
Families = Annotated[list[str] | None, typer.Option("--family", help="A family; repeatable.", metavar="NAME")]
All = Annotated[bool, typer.Option("--all", help="Every architecture with every variant.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the rendered files. (default: generated)", metavar="DIR")
]
Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", help="A folder of your own families and architectures; repeatable.", metavar="DIR"),
]
Database = Annotated[
    str | None, typer.Option("--db", help="Database URL. (default: sqlite:///db/ab.nn.db)", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")]


class State:
    """What the options before the command say."""

    verbosity = 0
    debug = False


def select(
    catalogue: Catalogue,
    settings: config.Settings,
    everything: bool,
    models: list[str] | None,
    variants: list[str] | None,
    families: list[str] | None,
) -> list[Pair]:
    """The grid of the selection options; without a model the active one, with --all every one."""
    names = models or ([] if everything else [settings.active_model])
    architectures = [catalogue.architecture(name) for name in names] or list(catalogue.architectures)
    unique = {one.name: one for one in architectures}.values()
    return generate.pairs(unique, catalogue.select(variants or (), families or ()))
