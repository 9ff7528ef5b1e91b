"""``lrgen model``: what an architecture is, and which one is the active one."""

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

models = typer.Typer(no_args_is_help=True, help="Look at an architecture, or choose the active one.")


@models.command("show")
def model_show(
    name: Annotated[str | None, typer.Argument(help="An architecture. (default: the active one)")] = None,
    code: Annotated[bool, typer.Option("--code", help="Print the network alone, ready to paste elsewhere.")] = False,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """What an architecture is: its paper, reference, layers and recipe.

    Example: lrgen model show DenseNet

    Example: lrgen model show DenseNet --code > densenet.py
    """
    if code and as_json:
        raise ConfigError("--code and --json exclude each other")
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    one = catalogue.architecture(name or settings.active_model)
    active = one.name == settings.active_model
    if code:
        from lrgen.render.renderer import Renderer

        print(Renderer(catalogue).network(one), end="")
        return
    if as_json:
        print_json(describe_model(one) | {"active": active})
        return
    out = console()
    out.print(f"[bold]{one.name}[/] {escape(one.title)}{' (the active model)' if active else ''}")
    out.print(escape(one.summary), width=min(out.width, 88))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for fact, text in facts(one):
        table.add_row(fact, escape(text))
    out.print(table)


@models.command("use")
def model_use(
    name: Annotated[str, typer.Argument(help="An architecture.")],
    as_json: AsJson = False,
) -> None:
    """Make an architecture the active one: commands without --model work on it. It is kept in lrgen.toml.

    Example: lrgen model use VGG
    """
    one = catalogues.of(config.load()).architecture(name)
    path = config.keep("active_model", one.name)
    now = config.load().active_model
    if as_json:
        print_json({"active_model": now, "path": str(path)})
        return
    print(f"{one.name} is the active model ({path})")
    if now != one.name:
        print(f"LRGEN_ACTIVE_MODEL={os.environ['LRGEN_ACTIVE_MODEL']} overrules it in this environment")


def describe_model(one: Architecture) -> dict[str, Any]:
    """An architecture as JSON."""
    return {
        "model": one.name,
        "title": one.title,
        "summary": one.summary,
        "paper": one.paper,
        "reference": one.reference,
        "parameters": one.parameters,
        "reference_pixels": one.reference_pixels,
        "reference_classes": one.reference_classes,
        "smallest_input": one.smallest_input,
        "layers": list(one.layers),
        "recipe": asdict(one.recipe),
        "budget": asdict(one.budget) if one.budget else None,
    }


def in_short(recipe: Recipe) -> str:
    """A recipe in a few words: ``SGD 0.1, wd 5e-4``."""
    optimizer = {"sgd": "SGD", "adamw": "AdamW"}.get(recipe.optimizer, recipe.optimizer)
    parts = [f"{optimizer} {recipe.lr:g}"]
    parts += [f"wd {recipe.weight_decay:g}"] if recipe.weight_decay else []
    parts += [f"clip {recipe.clip_norm:g}"] if recipe.clip_norm else []
    return ", ".join(parts)


def facts(one: Architecture) -> list[tuple[str, str]]:
    """What is told of an architecture, besides its summary: (what, text)."""
    recipe = one.recipe
    details = [in_short(recipe)]
    if recipe.optimizer == "sgd":
        details.append(f"{'Nesterov ' if recipe.nesterov else ''}momentum {recipe.momentum:g}")
    details += [f"label smoothing {recipe.label_smoothing:g}"] if recipe.label_smoothing else []
    details += [f"dropout {recipe.dropout:g}"] if recipe.dropout else []
    size = f"{one.parameters:,} at {one.reference_pixels} pixels and {one.reference_classes} classes"
    return [
        ("paper", one.paper),
        ("reference", one.reference),
        ("parameters", size),
        ("smallest input", f"{one.smallest_input} pixels"),
        ("layers", ", ".join(one.layers)),
        ("recipe", f"{', '.join(details)}, batch {recipe.batch}"),
        ("recipe from", recipe.source),
        ("on a CPU", _checked(one.budget)),
    ]


def _checked(budget: Budget | None) -> str:
    """What the training check asks of it without a GPU."""
    if budget is None:
        return "is trained in full by lrgen verify"
    return (
        f"overfits {budget.images} images of {budget.pixels} pixels in {budget.epochs} epochs, "
        f"at most {budget.seconds:g} s (lrgen verify --full: trained in full)"
    )
