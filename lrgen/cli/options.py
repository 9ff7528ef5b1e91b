"""The options that commands share, the values of the global options, and selections of files."""

import contextlib
import math
from pathlib import Path
from typing import Annotated

import typer

from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.errors import ConfigError, shown
from lrgen.records import Architecture
from lrgen.render import output
from lrgen.render.output import Pair

Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="Architecture or variation by name; repeatable.", metavar="NAME"),
]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="Schedule by number, range (1-50) or name; repeatable.", metavar="NUMBER|NAME"),
]
Families = Annotated[
    list[str] | None, typer.Option("--family", help="Family of schedules; repeatable.", metavar="NAME")
]
Practices = Annotated[
    list[str] | None,
    typer.Option(
        "--practice",
        help="Only schedules with this practice, or a practice of this kind; repeatable.",
        metavar="NAME|KIND",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Select every architecture with every schedule.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the rendered files. (default: generated)", metavar="DIR")
]
Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", help="Folder with families and architectures of your own; repeatable.", metavar="DIR"),
]
Database = Annotated[
    str | None,
    typer.Option("--db", help="URL of the results database. (default: sqlite:///db/ab.nn.db)", metavar="URL"),
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the image datasets. (default: data)", metavar="DIR")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value of a hyperparameter; repeatable. (default: its default)", metavar="NAME=VALUE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print only CSV.")]


class State:
    """The values of the global options, which stand before the command."""

    verbosity = 0
    debug = False


def select(
    catalogue: Catalogue,
    settings: config.Settings,
    select_all: bool,
    models: list[str] | None,
    variants: list[str] | None,
    families: list[str] | None,
    practices: list[str] | None = None,
) -> list[Pair]:
    """Every selected architecture with every selected variant."""
    chosen = architectures(catalogue, settings, select_all, models)
    return output.pairs(chosen, catalogue.select(variants or (), families or (), practices or ()))


def architectures(
    catalogue: Catalogue, settings: config.Settings, select_all: bool, models: list[str] | None
) -> list[Architecture]:
    """The named architectures; without a name the active model, or with ``select_all`` all architectures.

    Raises:
        UnknownNameError: if there is no architecture of a name.
        ConfigError: if others than the active model are selected while ``enable_multi_model_support`` is false.
    """
    names = models or ([] if select_all else [settings.active_model])
    chosen = [catalogue.architecture(name) for name in names] or catalogue.architectures
    by_name = {architecture.name: architecture for architecture in chosen}
    active = catalogue.architecture(settings.active_model).name
    if not settings.enable_multi_model_support and by_name.keys() != {active}:
        raise ConfigError(
            f"only the active model, {settings.active_model}, can be selected: enable_multi_model_support is false"
        )
    return list(by_name.values())


def hyperparameters(assignments: list[str] | None) -> dict[str, float]:
    """The values of ``--set`` as real numbers: ``warmup_fraction=0.2`` → {"warmup_fraction": 0.2}.

    Raises:
        ConfigError: if one is not of the form NAME=VALUE with a number.
    """
    return {name: float(value) for name, value in numbers(assignments).items()}


def numbers(assignments: list[str] | None) -> dict[str, int | float]:
    """The values of ``--set``, integers as integers: ``step_size=10`` → {"step_size": 10}.

    Raises:
        ConfigError: if one is not of the form NAME=VALUE with a finite number, or a name is given twice.
    """
    values: dict[str, int | float] = {}
    for assignment in assignments or ():
        name, _, text = assignment.partition("=")
        name, value = name.strip(), _number(text)
        if not name or value is None:
            raise ConfigError(f"--set takes NAME=VALUE with a number, got {shown(assignment)}")
        if name in values:
            raise ConfigError(f"--set gives {shown(name)} twice")
        values[name] = value
    return values


def _number(text: str) -> int | float | None:
    """A number that every file can take; None for any other text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            value = kind(text)
            return value if math.isfinite(value) and abs(value) < 1 << 53 else None
    return None
