"""``lrgen compose``: a schedule of phases, drawn at random: in words, as a formula, as a plot, in code."""

import random
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrgen.cli.options import AsJson
from lrgen.cli.printing import WIDTH, print_json
from lrgen.errors import StyleError, UnknownNameError
from lrgen.records import Unit

if TYPE_CHECKING:
    from lrgen.curves.compositions import Composition
    from lrgen.realisations import Realisation

_UNITS = (Unit.EPOCH.value, Unit.BATCH.value)
_SEEDS = 1_000_000
_POINTS = 100


def compose(
    seed: Annotated[int | None, typer.Option(help="Seed that determines the schedule. (default: drawn)")] = None,
    phases: Annotated[int | None, typer.Option(help="Number of phases. (default: drawn)")] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="What a step of the schedule is. (default: drawn)", metavar="|".join(_UNITS)),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(help="Style of the code, such as lambda or subclass. (default: drawn)", metavar="NAME"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compose a schedule that is in no catalogue: words, formula, plot and code.

    Example: lrgen compose --seed 7 --phases 3 --style subclass
    """
    from lrgen.curves.compositions import draw
    from lrgen.curves.compositions.formula import formula
    from lrgen.finetune.instructions.compositions import interfaces, words
    from lrgen.realisations import Style

    if unit is not None and unit not in _UNITS:
        raise UnknownNameError("unit", unit, _UNITS)
    if style is not None and style not in list(Style):
        raise UnknownNameError("style", style, list(Style))
    number = random.randrange(_SEEDS) if seed is None else seed
    chance = random.Random(f"compose {number}")
    composition = draw(chance, phases=phases, unit=Unit(unit) if unit else None)
    realisation, refusal = _written(composition, Style(style) if style else None, chance)
    text = words(composition, chance, realisation.interface, total=interfaces.total(realisation, composition))
    if as_json:
        print_json(_describe(number, composition, text, realisation, refusal))
        return
    count = len(composition.phases)
    kind = f"{composition.horizon} steps" if composition.fixed else f"any number of steps, here {composition.horizon}"
    print(f"{composition.id}  seed {number}, {count} phase{'s' * (count > 1)}, by {composition.unit}, {kind}\n")
    print(_wrapped(text), end="\n\n")
    print(formula(composition), end="\n\n")
    print(_plot(composition), end="\n\n")
    if refusal:
        print("\n".join(textwrap.wrap(f"{refusal}; written in style {realisation.style} instead", WIDTH)), end="\n\n")
    print(f"style {realisation.style} (also: {', '.join(_others(composition, realisation))})\n")
    print(realisation.code, end="")


def _written(composition: "Composition", style: Any, chance: random.Random) -> "tuple[Realisation, str]":
    """The code in the style, or in another one with the sentence that says why."""
    from lrgen import realisations

    refusal = ""
    if style is not None:
        try:
            return realisations.write(composition, style, chance), ""
        except StyleError as error:
            refusal = str(error)
    return realisations.write(composition, chance.choice(realisations.styles_of(composition)), chance), refusal


def _others(composition: "Composition", realisation: "Realisation") -> list[str]:
    from lrgen.realisations import styles_of

    return [style.value for style in styles_of(composition) if style is not realisation.style]


def _plot(composition: "Composition") -> str:
    """The multipliers of the base learning rate over the horizon."""
    import numpy as np

    from lrgen.report import plots

    return plots.chart(plots.Sampled(composition.multipliers(np.arange(composition.horizon + 1))[np.newaxis]))


def _wrapped(text: str) -> str:
    """The text with lines of at most the width of the output."""
    return "\n".join("\n".join(textwrap.wrap(line, WIDTH)) if len(line) > WIDTH else line for line in text.split("\n"))


def _describe(
    seed: int, composition: "Composition", text: str, realisation: "Realisation", refusal: str
) -> dict[str, Any]:
    """The composition as JSON values."""
    from lrgen.curves.compositions.formula import formula

    steps = sorted({round(point * composition.horizon / _POINTS) for point in range(_POINTS + 1)})
    formulated = formula(composition)
    return {
        "seed": seed,
        "id": composition.id,
        "structure": list(composition.structure),
        "composition": composition.to_json(),
        "words": text,
        "formula": {
            "definitions": dict(formulated.definitions),
            "factor": formulated.factor,
            "cases": [{"if": condition, "multiplier": expression} for condition, expression in formulated.cases],
        },
        "curve": {"steps": steps, "multipliers": composition.multipliers(steps).tolist()},
        "style": realisation.style.value,
        "other_styles": _others(composition, realisation),
        "refusal": refusal or None,
        "interface": realisation.interface.to_json(),
        "code": realisation.code,
    }
