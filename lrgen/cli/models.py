"""``lrgen model``: the facts about an architecture, and the choice of the active model."""

import os
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsJson, Templates
from lrgen.cli.printing import console, print_json
from lrgen.errors import ConfigError
from lrgen.records import Architecture, Budget, Recipe

models = typer.Typer(no_args_is_help=True, help="Show an architecture, or choose the active model.")


@models.command("show")
def model_show(
    name: Annotated[
        str | None, typer.Argument(help="Architecture or variation by name. (default: the active model)")
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="Print only the source code of the network.")] = False,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """Show an architecture: summary, variations, paper, reference, layers and recipe.

    Example: lrgen model show DenseNet

    Example: lrgen model show DenseNet --code > densenet.py
    """
    if code and as_json:
        raise ConfigError("--code and --json exclude each other")
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    architecture = catalogue.architecture(settings.active_model if name is None else name)
    active = settings.active_model in (architecture.name, architecture.title)
    if code:
        from lrgen.render.renderer import Renderer

        print(Renderer(catalogue).network(architecture), end="")
        return
    if as_json:
        print_json(describe_model(architecture) | {"active": active})
        return
    out = console()
    out.print(f"[bold]{architecture.name}[/] {escape(architecture.title)}{' (the active model)' if active else ''}")
    out.print(escape(architecture.summary), width=min(out.width, 88))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for fact, text in facts(architecture):
        table.add_row(fact, escape(text))
    out.print(table)


@models.command("use")
def model_use(
    name: Annotated[str, typer.Argument(help="Architecture or variation by name.")],
    as_json: AsJson = False,
) -> None:
    """Make an architecture the active model, on which commands without --model work.

    The choice is written to lrgen.toml.

    Example: lrgen model use VGG
    """
    architecture = catalogues.of(config.load()).architecture(name)
    path = config.write_setting("active_model", architecture.name)
    effective = config.load().active_model
    if as_json:
        print_json({"active_model": effective, "path": str(path)})
        return
    print(f"{architecture.name} is the active model ({path})")
    if effective != architecture.name:
        print(f"LRGEN_ACTIVE_MODEL={os.environ['LRGEN_ACTIVE_MODEL']} overrides it in this environment")


def describe_model(architecture: Architecture) -> dict[str, Any]:
    """The facts about an architecture as JSON values."""
    return {
        "model": architecture.name,
        "variation_of": architecture.variation_of,
        "variations": [variation.name for variation in architecture.variations],
        "title": architecture.title,
        "summary": architecture.summary,
        "paper": architecture.paper,
        "reference": architecture.reference,
        "parameters": architecture.parameters,
        "reference_pixels": architecture.reference_pixels,
        "reference_classes": architecture.reference_classes,
        "smallest_input": architecture.smallest_input,
        "layers": list(architecture.layers),
        "no_decay": list(architecture.no_decay),
        "recipe": asdict(architecture.recipe),
        "budget": asdict(architecture.budget) if architecture.budget else None,
    }


def recipe_summary(recipe: Recipe) -> str:
    """A recipe in a few words: ``SGD 0.1, wd 5e-4``."""
    optimizer = {"sgd": "SGD", "adamw": "AdamW"}.get(recipe.optimizer, recipe.optimizer)
    parts = [f"{optimizer} {recipe.lr:g}"]
    parts += [f"wd {recipe.weight_decay:g}"] if recipe.weight_decay else []
    parts += [f"clip {recipe.clip_norm:g}"] if recipe.clip_norm else []
    return ", ".join(parts)


def facts(architecture: Architecture) -> list[tuple[str, str]]:
    """The name and the text of each fact about an architecture, except its summary."""
    recipe = architecture.recipe
    details = [recipe_summary(recipe)]
    if recipe.optimizer == "sgd":
        details.append(f"{'Nesterov ' if recipe.nesterov else ''}momentum {recipe.momentum:g}")
    details += [f"label smoothing {recipe.label_smoothing:g}"] if recipe.label_smoothing else []
    details += [f"dropout {recipe.dropout:g}"] if recipe.dropout else []
    pixels, classes = architecture.reference_pixels, architecture.reference_classes
    related = [("variations", ", ".join(f"{each.name} ({each.title})" for each in architecture.variations))]
    if architecture.variation_of:
        related = [("variation of", architecture.variation_of)]
    return [
        *((fact, text) for fact, text in related if text),
        ("paper", architecture.paper),
        ("reference", architecture.reference),
        ("parameters", f"{architecture.parameters:,} at {pixels} pixels and {classes} classes"),
        ("smallest input", f"{architecture.smallest_input} pixels"),
        ("layers", ", ".join(architecture.layers)),
        ("recipe", f"{', '.join(details)}, batch {recipe.batch}"),
        ("recipe from", recipe.source),
        ("on a CPU", _checked(architecture.budget)),
    ]


def _checked(budget: Budget | None) -> str:
    """The training check of an architecture without a GPU."""
    if budget is None:
        return "trained in full"
    return (
        f"overfits {budget.images} images of {budget.pixels} pixels in {budget.epochs} epochs "
        f"and at most {budget.seconds:g} s (trained in full with lrgen verify --full)"
    )
