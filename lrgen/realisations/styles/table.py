"""A table of steps and levels, interpolated on straight lines."""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.errors import StyleError
from lrgen.realisations.branches import repeated, returning
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import FACTORS, groups_of, lambdas, returns
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.expressions import Expr
from lrgen.realisations.layout import assembled, called, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.realisations.styles.function import SETTERS, base_names, loop_over_groups
from lrgen.realisations.styles.lambda_ import BUILDERS


def check(composition: Composition) -> None:
    """Phases must be straight lines.

    Raises:
        StyleError: naming the first phase that is none.
    """
    for number, phase in enumerate(composition.phases, 1):
        if phase.shape is Shape.STEPS and not composition.fixed and phase.count > 1:
            raise StyleError(
                f"phase {number} (steps) cannot be written as table: the steps at which its stages begin depend on the "
                "horizon"
            )
        if phase.shape not in (Shape.HOLD, Shape.LINEAR, Shape.STEPS):
            raise StyleError(f"phase {number} ({phase.shape}) cannot be written as table: it is no straight line")


@dataclass(frozen=True)
class Knot:
    """A level at a step (as text), from which the line goes to the next; a jump has two at one step."""

    step: str
    level: Fraction


def _stages(phase: Phase, begin: int, n: int) -> list[tuple[int, Fraction]]:
    return [(begin + math.ceil(Fraction(k * n, phase.count)), phase.start * phase.decay**k) for k in range(phase.count)]


def knots(d: Draft, ends: list[str]) -> list[Knot]:
    """The knots of all phases."""
    points: list[Knot] = []

    def add(step: str, level: Fraction) -> None:
        if not points or points[-1] != Knot(step, level):
            points.append(Knot(step, level))

    begin = "0"
    for i, phase in enumerate(d.phases):
        if phase.shape is Shape.STEPS and phase.count > 1:
            stages = _stages(phase, d.bounds[i], d.bounds[i + 1] - d.bounds[i])
            for (step, level), (after, _) in zip(stages, [*stages[1:], (d.bounds[i + 1], phase.end)], strict=True):
                add(d.numbers.integer(step).text, level)
                add(d.numbers.integer(after).text, level)
        else:
            add(begin, phase.start)
            add(ends[i], phase.end)
        begin = ends[i]
    return points


def write(composition: Composition, choices: Choices) -> Realisation:
    """A table at module level or in the function, and a function that interpolates in it."""
    absolute = choices.odds("absolute", 0.3)
    call = choices.pick("table.call", (Call.SCHEDULER, Call.SETTER, Call.FACTOR, Call.SCHEDULER))
    if call is Call.FACTOR and composition.groups != (Fraction(1),):
        call = Call.SETTER
    if call is Call.SCHEDULER:
        absolute = False
    if absolute and call is Call.FACTOR:
        call = Call.RATE
    d = draft(composition, choices, absolute=absolute, places=("local",))
    d.level_names, d.names_ends, d.names_fractions = {}, False, False
    inner = d.fresh("inner", FACTORS if not absolute else ("lr_at", "get_lr", "learning_rate", "interpolate"))
    lines, table = _interpolation(d)
    own = [d.step, *([d.total] if d.takes_total else [])]
    head = signature(inner, [d.parameter(each, "int") for each in own], returns(d, "float"))
    function = [*head, *indented([*docstring(d), *lines])]
    interface = Interface(call, inner, takes_horizon=d.takes_total, takes_lr=not absolute)
    if call in (Call.FACTOR, Call.RATE):
        return Realisation(Style.TABLE, assembled([table, function]), interface)
    last = _setter(d, inner, own) if call is Call.SETTER else _builder(d, inner, own)
    entry = last[0].removeprefix("def ").split("(")[0]
    interface = Interface(call, entry, takes_horizon=d.takes_total, takes_lr=not absolute)
    return Realisation(Style.TABLE, assembled([table, function, last]), interface)


def _setter(d: Draft, inner: str, own: list[str]) -> list[str]:
    entry = d.fresh("entry.setter", SETTERS)
    parameters = [d.parameter("optimizer", "Optimizer"), *(d.parameter(each, "int") for each in own)]
    value = f"{inner}({', '.join(own)})"
    if not d.absolute:
        base = d.fresh("name.base", base_names(d))
        parameters.append(d.parameter(base, "float"))
        value = f"{base} * {value}"
    lr = d.fresh("name.lr", ("lr", "new_lr", "rate", "current_lr"))
    return [
        *signature(entry, parameters, returns(d, "None")),
        *indented([f"{lr} = {value}", *loop_over_groups(d, lr)]),
    ]


def _builder(d: Draft, inner: str, own: list[str]) -> list[str]:
    entry = d.fresh("entry", BUILDERS)
    parameters = [d.parameter("optimizer", "Optimizer")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
    function, within = inner, []
    if d.takes_total:
        function = f"lambda {d.step}: {inner}({', '.join(own)})"
        if groups_of(d) is not None:
            bound = d.fresh("bound", ("base", "shared", "curve", "common"))
            within = [f"{bound} = partial({inner}, {d.total}={d.total})"]
            function = bound
    definitions, argument = lambdas(d, function)
    return [
        *signature(entry, parameters, returns(d, "LambdaLR")),
        *indented([*within, *definitions, *called("return LambdaLR", ["optimizer", argument], depth=1)]),
    ]


def _interpolation(d: Draft) -> tuple[list[str], list[str]]:
    """The body of the function, and the table at module level, if it stands there."""
    before, out = repeated(d, returning, guards=False)
    lines: list[str] = []
    by_name = d.takes_total and d.choices.odds("table.names", 0.5)
    if by_name:
        lines += d.setup
        ends = [end.text for end in d.ends]
    elif d.takes_total:
        if d.composition.repeats > 1:
            lines.append(f"{d.length.text} = {d.total} // {d.composition.repeats}")
        ends = [d.fraction_of(end, d.length, "end").text for end in d.composition.ends[:-1]] + [d.length.text]
    else:
        ends = [d.numbers.integer(bound).text for bound in d.bounds[1:]]
    points = knots(d, ends)
    form = d.choices.pick("table.form", ("pairs", "bisect", "segments", "pairs", "columns"))
    at_module = not d.takes_total and d.choices.odds("table.module", 0.65)
    table: list[str] = []
    body: list[str] = []

    def define(own: str, items: list[str]) -> str:
        """The name of a list of items, each on a line of its own."""
        own = own.upper() if at_module else own
        flat = f"{own} = [{', '.join(items)}]"
        short = len(flat) <= 60 and "(" not in flat
        code = [flat] if short else [f"{own} = [", *indented([f"{item}," for item in items]), "]"]
        (table if at_module else body).extend(code)
        return own

    level = d.numbers.real
    step = d.step
    if all(phase.shape is not Shape.LINEAR for phase in d.phases):
        _constant(d, define, body, points, out)
    elif form == "segments":
        _segments(d, define, body, points, out)
    elif form == "columns":
        columns = (("xs", "ys"), ("milestones", "values"), ("boundaries", "levels"), ("knots", "levels"))
        xs_name, ys_name = d.choices.pick("name.columns", columns)
        xs = define(xs_name, [knot.step for knot in points])
        ys = define(ys_name, [level(knot.level).text for knot in points])
        index = d.fresh("name.index", ("i", "index", "k", "idx", "j"))
        body += [
            f"{index} = bisect_right({xs}, {step})",
            f"if {index} == len({xs}):",
            *indented(out(Expr(f"{ys}[-1]"))),
        ]
        weight = d.fresh("name.weight", ("w", "weight", "t", "frac", "alpha"))
        body.append(f"{weight} = ({step} - {xs}[{index} - 1]) / ({xs}[{index}] - {xs}[{index} - 1])")
        low, high = f"{ys}[{index} - 1]", f"{ys}[{index}]"
        body += out(_lerp(d, low, high, weight))
    else:
        pairs = [f"({knot.step}, {level(knot.level).text})" for knot in points]
        own = define(d.fresh("name.table", ("knots", "points", "table", "schedule", "milestones")), pairs)
        x0, y0 = d.choices.pick("name.low", (("x0", "y0"), ("start", "first"), ("s0", "v0"), ("left", "a")))
        x1, y1 = {"x0": ("x1", "y1"), "start": ("end", "last"), "s0": ("s1", "v1"), "left": ("right", "b")}[x0]
        weight = d.fresh("name.weight", ("w", "weight", "t", "frac", "alpha"))
        value = [f"{weight} = ({step} - {x0}) / ({x1} - {x0})", *out(_lerp(d, y0, y1, weight))]
        if form == "bisect":
            index = d.fresh("name.index", ("i", "index", "k", "idx", "j"))
            point = d.fresh("name.point", ("s", "x", "point"))
            body.append(f"{index} = bisect_right([{point} for {point}, _ in {own}], {step})")
            body += [f"if {index} == len({own}):", *indented(out(Expr(f"{own}[-1][1]")))]
            body.append(f"({x0}, {y0}), ({x1}, {y1}) = {own}[{index} - 1 : {index} + 1]")
            body += value
        else:
            pair = d.choices.pick("pairs", ("zip", "pairwise"))
            over = f"pairwise({own})" if pair == "pairwise" else f"zip({own}, {own}[1:])"
            body.append(f"for ({x0}, {y0}), ({x1}, {y1}) in {over}:")
            body += indented([f"if {step} < {x1}:", *indented(value)])
            body += out(Expr(f"{own}[-1][1]"))
    if lines and d.takes_total:
        return [*lines, *before, *body], table
    return [*before, *body], table


def _lerp(d: Draft, low: str, high: str, weight: str) -> Expr:
    form = d.choices.pick("lerp", ("slope", "slope", "weights"))
    if form == "weights":
        return Expr(f"(1 - {weight}) * {low} + {weight} * {high}", 0)
    return (
        Expr(f"{low} + {weight} * ({high} - {low})", 0)
        if d.choices.odds("lerp.order", 0.5)
        else Expr(f"{low} + ({high} - {low}) * {weight}", 0)
    )


def _constant(d: Draft, define, body: list[str], points: list[Knot], out) -> None:  # type: ignore[no-untyped-def]
    """A row for each constant piece: its end, and its level."""
    pieces = [after for knot, after in itertools.pairwise(points) if knot.step != after.step]
    rows = [f"({after.step}, {d.numbers.real(after.level).text})" for after in pieces]
    own = define(d.fresh("name.stages", ("stages", "table", "pieces", "schedule")), rows)
    end = d.fresh("name.end", ("end", "stop", "until"))
    level = d.fresh("name.level", ("level", "value"))
    body += [f"for {end}, {level} in {own}:", *indented([f"if {d.step} < {end}:", *indented(out(Expr(level)))])]
    body += out(_past_end(d, pieces[-1], points[-1], f"{own}[-1][1]"))


def _segments(d: Draft, define, body: list[str], points: list[Knot], out) -> None:  # type: ignore[no-untyped-def]
    """A row for each straight line: its end, and the levels at both ends."""
    real = d.numbers.real
    lines = [(knot, after) for knot, after in itertools.pairwise(points) if knot.step != after.step]
    rows = [f"({after.step}, {real(knot.level).text}, {real(after.level).text})" for knot, after in lines]
    own = define(d.fresh("name.segments", ("segments", "phases", "pieces", "table")), rows)
    begin = d.fresh("name.begin", ("begin", "start", "left"))
    end = d.fresh("name.end", ("end", "stop", "until"))
    low, high = d.choices.pick("name.levels", (("first", "last"), ("a", "b"), ("initial", "final")))
    progress = d.fresh("name.progress", ("progress", "p", "frac", "t"))
    body.append(f"{begin} = 0")
    body.append(f"for {end}, {low}, {high} in {own}:")
    value = [f"{progress} = ({d.step} - {begin}) / ({end} - {begin})", *out(_lerp(d, low, high, progress))]
    body += indented([f"if {d.step} < {end}:", *indented(value), f"{begin} = {end}"])
    body += out(_past_end(d, lines[-1][1], points[-1], high))


def _past_end(d: Draft, row: Knot, last: Knot, of_row: str) -> Expr:
    """The level past the end: that of the last row, unless a stage without a step comes after it."""
    return Expr(of_row) if row.level == last.level else d.numbers.real(last.level)
