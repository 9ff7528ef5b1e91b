"""A composition as a sketch of its plot in characters, with its numbers."""

import random
from fractions import Fraction

import numpy as np

from lrgen.finetune.instructions.compositions import shapes
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms

_WIDTHS = (36, 40, 48, 56)
_HEIGHTS = (5, 6, 7, 8)
_MARKS = ("*", "*", "o", "#", "x")


def plot(terms: Terms, chance: random.Random) -> str:
    """Return a plot with its axes, and a line below it for each phase."""
    width, height, mark = chance.choice(_WIDTHS), chance.choice(_HEIGHTS), chance.choice(_MARKS)
    grid, top = _grid(terms, width, height, mark)
    label = terms.number(top)
    margin = max(len(label), 1)
    lines = [
        f"{label if not row else '0' if row == height - 1 else '':>{margin}} |{''.join(grid[row]).rstrip()}"
        for row in range(height)
    ]
    axis = f"{'':>{margin}} +{'-' * width}"
    total = terms.part(Fraction(1))
    ticks = f"{'':>{margin}}  0{total:>{width - 1}}"
    legend = [_legend(terms, index, chance) for index in range(len(terms.composition.phases))]
    return "\n".join(["```", *lines, axis, ticks, "```", "", *legend])


def _grid(terms: Terms, width: int, height: int, mark: str) -> tuple[list[list[str]], Fraction]:
    """The characters of one period, and the level at the top."""
    phases = terms.composition.phases
    top = max(max(phase.start, phase.end, phase.peak if phase.shape == "triangular" else phase.end) for phase in phases)
    columns = np.arange(width)
    values = np.zeros(width)
    begin = Fraction(0)
    for phase, end in zip(phases, terms.ends, strict=True):
        first, last = round(begin * width), round(end * width)
        if last > first:
            u = columns[first:last] - first
            values[first:last] = phase.multipliers(u, last - first)
        begin = end
    grid = [[" "] * width for _ in range(height)]
    for column, value in enumerate(values):
        row = round((1 - value / float(top)) * (height - 1)) if top else height - 1
        grid[min(max(row, 0), height - 1)][column] = mark
    return grid, top


def _legend(terms: Terms, index: int, chance: random.Random) -> str:
    phase, ends = terms.composition.phases[index], terms.ends
    begin = ends[index - 1] if index else Fraction(0)
    levels = terms.number(phase.start)
    if phase.shape == "triangular":
        levels = f"{levels} -> {terms.number(phase.peak)} -> {levels}"
    elif phase.shape not in ("hold", "steps"):
        levels = f"{levels} -> {terms.number(phase.end)}"
    return f"{terms.part(begin)} to {terms.part(ends[index])}: {shapes.name(phase)}, {levels}"


def unit_of_levels(terms: Terms) -> str:
    """Return what the levels of a table or a plot are."""
    if terms.levels is Levels.ABSOLUTE:
        return "learning rates"
    return f"{'percentages' if terms.levels is Levels.PERCENT else 'multiples'} of {terms.base}"


def unit_of_lengths(terms: Terms) -> str:
    """Return what the lengths of a table or a plot are."""
    return terms.steps if terms.lengths is Lengths.STEPS else f"fractions of {terms.whole}"
