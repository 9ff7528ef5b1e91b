"""``lrgen list``: what the catalogue holds."""

from dataclasses import asdict
from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.curves import describe
from lrgen.cli.options import AsJson, Families, Templates
from lrgen.cli.printing import print_rows
from lrgen.errors import UnknownNameError
from lrgen.records import Unit

OfUnit = Annotated[str | None, typer.Option("--unit", help="Only those that advance once per epoch, batch or metric.")]

lists = typer.Typer(no_args_is_help=True, help="List what the catalogue holds.")


@lists.command("models")
def list_models(templates: Templates = None, as_json: AsJson = False) -> None:
    """The architectures, with their size and reference.

    Example: lrgen list models --json
    """
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        {
            "model": one.name,
            "active": one.name == settings.active_model,
            "title": one.title,
            "parameters": one.parameters,
            "smallest_input": one.smallest_input,
            "reference": one.reference,
            "paper": one.paper,
            "recipe": asdict(one.recipe),
        }
        for one in catalogues.load(settings.templates).architectures
    ]
    columns = ("model", "active", "parameters", "smallest_input", "reference")
    print_rows(rows, columns, as_json)


@lists.command("schedules")
def list_schedules(
    unit: OfUnit = None,
    family: Families = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """The numbered schedules.

    Example: lrgen list schedules --family cosine
    """
    _check_unit(unit)
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        describe(one)
        for one in catalogues.load(settings.templates).select((), family or ())
        if unit in (None, one.unit.value)
    ]
    print_rows(rows, ("key", "name", "family", "unit", "equivalent_to"), as_json)


@lists.command("families")
def list_families(unit: OfUnit = None, templates: Templates = None, as_json: AsJson = False) -> None:
    """The families of schedules, with the number of their variants and of the distinct curves among them.

    Example: lrgen list families --unit batch
    """
    _check_unit(unit)
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = []
    for one in catalogues.load(settings.templates).families:
        own = [variant for variant in one.variants if unit in (None, variant.unit.value)]
        curves = sum(variant.equivalent_to is None for variant in own)
        if own:
            summary = {"variants": len(own), "curves": curves, "summary": one.summary}
            rows.append({"family": one.name, "title": one.title, **summary})
    print_rows(rows, ("family", "title", "variants", "curves"), as_json)


def _check_unit(unit: str | None) -> None:
    if unit is not None and unit not in list(Unit):
        raise UnknownNameError("unit", unit, list(Unit))
