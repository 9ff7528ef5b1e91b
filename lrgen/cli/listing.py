"""``lrgen list``: the contents of the catalogue."""

from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.models import describe_model, recipe_summary
from lrgen.cli.options import AsJson, Families, Templates
from lrgen.cli.printing import print_rows
from lrgen.cli.show import describe
from lrgen.errors import UnknownNameError
from lrgen.records import Recipe, Unit

OfUnit = Annotated[
    str | None,
    typer.Option(
        "--unit", help="List only schedules that advance once per epoch, batch or metric.", metavar="epoch|batch|metric"
    ),
]

lists = typer.Typer(no_args_is_help=True, help="List the contents of the catalogue.")


@lists.command("models")
def list_models(templates: Templates = None, as_json: AsJson = False) -> None:
    """List the architectures: parameters, smallest input, reference and recipe.

    Example: lrgen list models --json
    """
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        describe_model(architecture) | {"active": architecture.name == settings.active_model}
        for architecture in catalogues.of(settings).architectures
    ]
    if as_json:
        print_rows(rows, (), True)
        return
    for row in rows:
        row["parameters"] = f"{row['parameters'] / 1e6:.2f} M"
        row["recipe"] = recipe_summary(Recipe(**row["recipe"]))
        row["model"] += " *" if row["active"] else ""
    print_rows(rows, ("model", "parameters", "smallest_input", "reference", "recipe"), False)


@lists.command("schedules")
def list_schedules(
    unit: OfUnit = None,
    family: Families = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """List the numbered schedules.

    Example: lrgen list schedules --family cosine
    """
    _check_unit(unit)
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        describe(variant)
        for variant in catalogues.of(settings).select((), family or ())
        if unit in (None, variant.unit.value)
    ]
    print_rows(rows, ("key", "name", "family", "unit", "equivalent_to"), as_json)


@lists.command("families")
def list_families(unit: OfUnit = None, templates: Templates = None, as_json: AsJson = False) -> None:
    """List the families of schedules, each with its numbers of variants and of distinct curves.

    Example: lrgen list families --unit batch
    """
    _check_unit(unit)
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = []
    for listed in catalogues.of(settings).families:
        own = [variant for variant in listed.variants if unit in (None, variant.unit.value)]
        curves = sum(variant.equivalent_to is None for variant in own)
        if own:
            summary = {"variants": len(own), "curves": curves, "summary": listed.summary}
            rows.append({"family": listed.name, "title": listed.title, **summary})
    print_rows(rows, ("family", "title", "variants", "curves"), as_json)


def _check_unit(unit: str | None) -> None:
    if unit is not None and unit not in list(Unit):
        raise UnknownNameError("unit", unit, list(Unit))
