"""``lrgen show``: the facts about a schedule, its curve and its code."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.cli.options import AsJson, Set, Templates, hyperparameters
from lrgen.cli.printing import console, print_json
from lrgen.errors import ConfigError
from lrgen.records import Metric, PastEnd, Unit, Variant

_PAST_END = {PastEnd.HOLD: "the last learning rate is kept", PastEnd.CONTINUE: "the formula continues"}
_DRIVEN_BY = {Metric.LOSS: "mean training loss", Metric.ACCURACY: "training accuracy"}


def show(
    variant: Annotated[str, typer.Argument(help="Schedule by number or name.")],
    code: Annotated[bool, typer.Option("--code", help="Print only the source code of the schedule.")] = False,
    horizon: Annotated[int, typer.Option(help="Number of steps of the curve.")] = 100,
    values: Set = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """Show a schedule: summary, formula, paper, hyperparameters and curve.

    Example: lrgen show 62 --horizon 90 --set warmup_fraction=0.1

    Example: lrgen show wsd_one_minus_sqrt --code > schedule.py
    """
    if code and as_json:
        raise ConfigError("--code and --json exclude each other")
    settings = config.load({"templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    chosen = catalogue.variant(variant)
    if code:
        from lrgen.render.renderer import Renderer

        print(Renderer(catalogue).schedule(chosen), end="")
        return
    from lrgen.report import plots

    curve = plots.sample(chosen, horizon, hyperparameters(values))
    if as_json:
        rates: Any = curve.rates.tolist()
        drawn = {"horizon": horizon, "multipliers": rates if chosen.layerwise else rates[0]}
        print_json(describe(chosen) | {"curve": drawn | ({"depths": plots.DEPTHS} if chosen.layerwise else {})})
        return
    out = console()
    out.print(f"[bold]{chosen.key}[/] {escape(chosen.name)}")
    out.print(escape(chosen.summary.replace("``", "")), width=min(out.width, 88))
    if chosen.practice:
        out.print(escape(chosen.practice.summary.replace("``", "")), width=min(out.width, 88))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _facts(catalogue, chosen):
        table.add_row(name, escape(text))
    out.print(table)
    hyperparameters_of = (*chosen.hyperparameters, *(chosen.practice.hyperparameters if chosen.practice else ()))
    if hyperparameters_of:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("hyperparameter", "default", "range", "meaning"):
            table.add_column(heading, overflow="fold", no_wrap=heading in ("default", "range"))
        for parameter in hyperparameters_of:
            limits = f"{parameter.low:g} to {parameter.high:g}"
            table.add_row(parameter.name, parameter.text, limits, escape(parameter.meaning))
        out.print(table)
    print(plots.chart(curve))
    if curve.metrics is not None:
        print(f"driven by a {chosen.metric} that improves, stalls, improves and stalls, a quarter of the steps each")


def describe(variant: Variant) -> dict[str, Any]:
    """The catalogue entry of a schedule as JSON values."""
    return {
        "key": variant.key,
        "name": variant.name,
        "former_name": variant.former_name or None,
        "family": variant.family,
        "unit": variant.unit.value,
        "metric": variant.metric,
        "cadence": variant.cadence,
        "layerwise": variant.layerwise,
        "equivalent_to": variant.equivalent_to,
        "practice": variant.practice.name if variant.practice else None,
        "schedule": variant.schedule,
        "title": variant.full_title,
        "summary": variant.summary,
        "formula": variant.formula,
        "past_end": variant.past_end.value,
        "added_group": variant.added_group,
        "hyperparameters": variant.defaults,
        "ranges": {parameter.name: [parameter.low, parameter.high] for parameter in variant.hyperparameters},
        "meanings": {parameter.name: parameter.meaning for parameter in variant.hyperparameters},
        "source": variant.source,
        "paper": variant.paper or None,
    }


def _facts(catalogue: Catalogue, variant: Variant) -> list[tuple[str, str]]:
    advances = variant.unit.value
    if variant.unit is Unit.METRIC and variant.cadence and variant.metric:
        advances = f"metric: once per {variant.cadence.value}, driven by its {_DRIVEN_BY[variant.metric]}"
    facts = [
        ("former name", variant.former_name),
        ("family", catalogue.family(variant.family).title),
        ("unit", advances),
        ("formula", variant.formula),
        ("past the end", _PAST_END[variant.past_end]),
        ("added group", variant.added_group or ""),
        ("code", variant.source),
        ("paper", variant.paper),
        ("practice", f"{variant.practice.name} ({variant.practice.kind})" if variant.practice else ""),
        ("schedule", catalogue.variant(variant.schedule).label if variant.schedule else ""),
        ("equivalent to", catalogue.variant(variant.equivalent_to).key if variant.equivalent_to else ""),
        ("groups", "one learning rate for each depth of the network" if variant.layerwise else ""),
        ("optimizer", f"{variant.optimizer.name}, written out in the file" if variant.optimizer else ""),
    ]
    return [(name, text) for name, text in facts if text]
