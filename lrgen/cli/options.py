"""What the commands share: their options, what the options before a command say, and what a selection means."""

from pathlib import Path
from typing import Annotated

import typer

from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.errors import ConfigError
from lrgen.records import Architecture
from lrgen.render import output
from lrgen.render.output import Pair

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
DataRoot = Annotated[Path | None, typer.Option(help="Folder that holds the datasets. (default: data)", metavar="DIR")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="A hyperparameter that differs from its default; repeatable.", metavar="NAME=VALUE"),
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
    """The grid of the selection options."""
    chosen = architectures(catalogue, settings, everything, models)
    return output.pairs(chosen, catalogue.select(variants or (), families or ()))


def architectures(
    catalogue: Catalogue, settings: config.Settings, everything: bool, models: list[str] | None
) -> list[Architecture]:
    """The networks that are named; without a name the active one, or every one.

    Raises:
        ConfigError: others than the active one are switched off.
    """
    names = models or ([] if everything else [settings.active_model])
    chosen = [catalogue.architecture(name) for name in names] or catalogue.architectures
    found = {one.name: one for one in chosen}
    if not settings.enable_multi_model_support and found.keys() != {settings.active_model}:
        raise ConfigError(
            f"only the active model, {settings.active_model}, can be selected: enable_multi_model_support is off"
        )
    return list(found.values())


def hyperparameters(given: list[str] | None) -> dict[str, float]:
    """The values of ``--set``: ``warmup_fraction=0.2`` → {"warmup_fraction": 0.2}."""
    found = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"--set takes NAME=VALUE with a number, got {one!r}")
    return found
