"""``lrgen list``: the contents of the catalogue."""

from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.models import describe_model, recipe_summary
from lrgen.cli.options import AsJson, Families, Practices, Templates
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
    practice: Practices = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """List the numbered schedules; with a practice, the variants that have it.

    Example: lrgen list schedules --family cosine

    Example: lrgen list schedules --practice bf16
    """
    _check_unit(unit)
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    chosen = catalogue.select((), family or (), practice or ()) if family or practice else catalogue.schedules
    rows = [describe(variant) for variant in chosen if unit in (None, variant.unit.value)]
    last = ("practice", "schedule") if practice else ("equivalent_to",)
    print_rows(rows, ("key", "name", "family", "unit", *last), as_json)


@lists.command("practices")
def list_practices(templates: Templates = None, as_json: AsJson = False) -> None:
    """List the practices: what a training loop does besides the schedule.

    Example: lrgen list practices --json
    """
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    rows = [
        {
            "practice": practice.name,
            "kind": practice.kind.value,
            "schedules": len(catalogue.of_practice(practice.name)),
            "summary": practice.summary,
            "request": practice.request,
            "hyperparameters": practice.defaults,
            "source": practice.source,
            "paper": practice.paper or None,
        }
        for practice in catalogue.practices
    ]
    print_rows(rows, ("practice", "kind", "schedules", "source"), as_json)


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
