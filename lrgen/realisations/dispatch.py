"""The multiplier at a step, by a search for its phase: bisection, a loop over phases, a function for each phase."""

from collections.abc import Callable

from lrgen.curves.compositions import Shape
from lrgen.realisations import comments
from lrgen.realisations.branches import Emit, is_held
from lrgen.realisations.draft import Draft
from lrgen.realisations.expressions import Expr, div, name, sub
from lrgen.realisations.formulas import needs_steps, piece_of, progress_name, value_of
from lrgen.realisations.layout import indented, wrapped

_BOUNDS = ("bounds", "boundaries", "milestones", "ends", "edges")


def _list(d: Draft, own: str, items: list[str]) -> list[str]:
    """A list of numbers that have no other name; a constant of the module where settings stand there."""
    bracket = d.choices.pick("brackets", ("[]", "()", "[]"))
    comma = "," if bracket == "()" and len(items) == 1 else ""
    return wrapped(f"{own} = {bracket[0]}", items, comma + bracket[1])


def bisecting(d: Draft, out: Emit) -> list[str]:
    """The number of the phase by bisection, then a branch for each."""
    count = len(d.phases)
    own = d.fresh("name.bounds", _BOUNDS)
    items = [end.text for end in d.ends]
    held = is_held(d)
    if held:
        items = items[:-1]
    if d.prefix:
        bounds = f"self.{own}"
        d.setup.append(f"{bounds} = [{', '.join(items)}]")
        lines = []
    else:
        bounds = own
        lines = _list(d, own, items)
    index = d.fresh("name.index", ("phase", "index", "i", "segment", "k", "idx"))
    by_match = d.choices.odds("match", 0.45)
    lines.append(f"{index} = bisect_right({bounds}, {d.step})")
    blocks: list[list[str]] = []
    for i in range(count):
        phase = d.phases[i]
        part = piece_of(d, phase, d.since(i, name(d.step)), d.span(i), f"phase.{phase.kind}")
        comment = comments.of_phase(d, i)
        blocks.append([*([comment] if comment else []), *part.lines, *out(part.value)])
    if not held:
        blocks.append(out(d.level(d.past)))
    if by_match:
        lines.append(f"match {index}:")
        for i, block in enumerate(blocks):
            case = "_" if i == len(blocks) - 1 else str(i)
            lines += indented([f"case {case}:", *indented(block)])
        return lines
    returns = blocks[0][-1].startswith("return")
    for i, block in enumerate(blocks):
        if i == len(blocks) - 1:
            lines += block if returns else ["else:", *indented(block)]
        else:
            word = "if" if i == 0 or returns else "elif"
            lines += [f"{word} {index} == {i}:", *indented(block)]
    return lines


_FUNCTIONS = {"cos": "cosine", "sqrt": "sqrt_decay", "exp": "exponential"}


def _helper(d: Draft, i: int, suffix: str) -> str:
    """The name of a function for a phase, which is none of a function of ``math``."""
    own = _FUNCTIONS.get(d.labels[i], d.labels[i])
    own = own if own not in d.used else f"{own}_{suffix}"
    d.used.add(own)
    return own


def _pair(d: Draft, pairs: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Names of the begin and the end of a phase that belong together."""
    free = [pair for pair in pairs if d.used.isdisjoint(pair)] or [("begin_", "end_")]
    chosen = d.choices.pick("name.pair", free)
    d.used.update(chosen)
    return chosen


def by_progress(d: Draft, out: Emit) -> list[str]:
    """Bisection over the begins, one progress for all phases, then a branch for each.

    A last phase that is held is the branch for all later steps.
    """
    searched = d.phases[:-1] if is_held(d) else d.phases
    edges = d.fresh("name.edges", ("edges", "knots", "starts", "boundaries"))
    index = d.fresh("name.index", ("phase", "index", "i", "segment", "k", "idx"))
    zero = ["0", *(end.text for end in d.ends[: len(searched)])]
    lines = _list(d, edges, zero)
    if d.prefix:
        lines = []
        d.setup.append(f"self.{edges} = [{', '.join(zero)}]")
        edges = f"self.{edges}"
    lines += [f"if {d.step} >= {edges}[-1]:", *indented(out(d.level(d.past)))]
    lines.append(f"{index} = bisect_right({edges}, {d.step}) - 1")
    begin, end = _pair(d, (("begin", "end"), ("start", "end"), ("start", "stop"), ("left", "right"), ("lo", "hi")))
    lines.append(f"{begin}, {end} = {edges}[{index} : {index} + 2]")
    stepped = any(map(needs_steps, searched))
    u, n = sub(name(d.step), name(begin)), sub(name(end), name(begin))
    if stepped:
        own = d.fresh("name.u", ("elapsed", "since", "done", "u"))
        span = d.fresh("name.n", ("span", "length", "duration", "n"))
        lines += [f"{own} = {u.text}", f"{span} = {n.text}"]
        u, n = name(own), name(span)
    uses_progress = any(p.shape is not Shape.HOLD and not needs_steps(p) for p in searched)
    progress = progress_name(d)
    if uses_progress:
        lines.append(f"{progress} = {div(u, n).text}")
    count = len(searched)
    for i, phase in enumerate(searched):
        if needs_steps(phase):
            part = piece_of(d, phase, u, n, f"phase.{phase.kind}")
            block = [*part.lines, *out(part.value)]
        else:
            block = out(value_of(d, phase, name(progress), f"phase.{phase.kind}"))
        comment = comments.of_phase(d, i)
        if comment:
            block = [comment, *block]
        if i == count - 1:
            lines += block
        else:
            lines += [f"if {index} == {i}:", *indented(block)]
    return lines


def looping(d: Draft, out: Emit) -> list[str]:
    """A list of ends and curves, and a loop that finds the phase."""
    progress, step = progress_name(d), name(d.step)
    searched = d.phases[:-1] if is_held(d) else d.phases  # a held phase is what the loop leaves
    stepped = any(map(needs_steps, searched))
    phases = d.fresh("name.phases", ("phases", "segments", "schedule", "stages", "pieces"))
    parameters = "u, n" if stepped else progress
    typed = ", ".join(d.parameter(each, "int" if stepped else "float") for each in parameters.split(", "))
    functions: list[str] = []
    above: list[str] = []
    by_name = stepped or (d.hoists and d.choices.odds("curves.named", 0.5))
    items: list[str] = []
    for i, phase in enumerate(searched):
        key = f"phase.{phase.kind}"
        if stepped:
            part = piece_of(d, phase, name("u"), name("n"), key, local=False)
            lines, value = part.lines, part.value
        else:
            lines, value = [], value_of(d, phase, name(progress), key)
        unused = value.text == d.level(phase.start).text and not lines
        if by_name or lines:
            own = _helper(d, i, "curve")
            head = f"def {own}({typed}) -> float:" if d.hints else f"def {own}({parameters}):"
            above += [head, *indented([*lines, f"return {value.text}"]), ""]
            functions.append(own)
        elif unused and not stepped:
            functions.append(f"lambda _: {value.text}")
        else:
            functions.append(f"lambda {parameters}: {value.text}")
        items.append(f"({d.ends[i].text}, {functions[-1]})")
    lines = [*above, f"{phases} = [", *indented([f"{item}," for item in items]), "]"]
    begin, end = _pair(
        d, (("begin", "end"), ("start", "end"), ("start", "stop"), ("start", "until"), ("left", "right"))
    )
    curve = d.fresh("name.curve", ("curve", "shape", "fn", "interpolate", "f"))
    lines.append(f"{begin} = 0")
    lines.append(f"for {end}, {curve} in {phases}:")
    u, n = sub(step, name(begin)), sub(name(end), name(begin))
    argument = f"{u.text}, {n.text}" if stepped else div(u, n).text
    lines += indented(
        [
            f"if {step.text} < {end}:",
            *indented(out(Expr(f"{curve}({argument})"))),
            f"{begin} = {end}",
        ]
    )
    return [*lines, *out(d.level(d.past))]


def defines_functions(d: Draft, form: Callable[[Draft, Emit], list[str]]) -> bool:
    """Whether a form always defines functions, which belong outside of the function that is called at each step."""
    return form is helping or (form is looping and any(map(needs_steps, d.phases)))


def helping(d: Draft, out: Emit) -> list[str]:
    """A function for each phase, of the steps since its begin."""
    lines: list[str] = []
    step = name(d.step)
    own_step = d.choices.pick("name.own_step", [n for n in ("s", "t", "k", "u", "elapsed") if n not in d.used])
    d.used.add(own_step)
    calls: list[Expr] = []
    for i, phase in enumerate(d.phases):
        if phase.shape is Shape.HOLD:
            calls.append(d.level(phase.start))
            continue
        part = piece_of(d, phase, name(own_step), d.span(i), f"phase.{phase.kind}", local=False)
        own = _helper(d, i, "value")
        head = f"def {own}({own_step}: int) -> float:" if d.hints else f"def {own}({own_step}):"
        lines += [head, *indented([*part.lines, f"return {part.value.text}"]), ""]
        calls.append(Expr(f"{own}({d.since(i, step).text})"))
    held = is_held(d)
    for i, value in enumerate(calls):
        if i == len(calls) - 1 and held:
            lines += out(value)
        else:
            lines += [f"if {step.text} < {d.ends[i].text}:", *indented(out(value))]
    if not held:
        lines += out(d.level(d.past))
    return lines


def ternary(d: Draft, out: Emit) -> list[str]:
    """Two phases, of which the first has no statements, in one conditional expression."""
    first = piece_of(d, d.phases[0], name(d.step), d.ends[0], f"phase.{d.phases[0].kind}", local=False)
    second = d.level(d.phases[1].start)
    return out(Expr(f"{first.value.text} if {d.step} < {d.ends[0].text} else {second.text}", -1))


def can_ternary(d: Draft) -> bool:
    """Whether there are two phases, and the second is constant."""
    return len(d.phases) == 2 and d.phases[1].shape is Shape.HOLD and d.phases[0].shape is Shape.HOLD
