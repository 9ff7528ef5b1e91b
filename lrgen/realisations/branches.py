"""The multiplier at a step, by branches on the step: the body of a function."""

from collections.abc import Callable
from dataclasses import dataclass

from lrgen.curves.compositions import Shape
from lrgen.realisations import comments
from lrgen.realisations.draft import Draft
from lrgen.realisations.expressions import Expr, mul, name, power, sub
from lrgen.realisations.formulas import Piece, needs_steps, piece_of, value_of
from lrgen.realisations.layout import indented

Emit = Callable[[Expr], list[str]]


@dataclass(frozen=True)
class Assigning:
    """The value is assigned to a variable."""

    target: str

    def __call__(self, value: Expr) -> list[str]:
        """The assignment."""
        return [f"{self.target} = {value.text}"]


def returning(value: Expr) -> list[str]:
    """The value is what the function returns."""
    return [f"return {value.text}"]


def repeated(d: Draft, out: Emit, *, guards: bool = True) -> tuple[list[str], Emit]:
    """Statements that take the step within the repeat, and ``out`` with the decay of the repeat.

    ``guards``: whether they may return for steps past the end; else what follows them does.
    """
    composition = d.composition
    if composition.repeats == 1:
        return [], out
    step, length, last = d.step, d.length, composition.repeats - 1
    repeat = d.fresh("name.repeat", d.repeat_names)
    form = d.choices.pick("repeat", ("min", "min", "divmod"))
    scale = power(d.numbers.real(composition.repeat_decay), name(repeat))
    lines: list[str] = []
    if form == "divmod" and out is returning and guards:
        d.stays_within = True
        whole = mul(Expr(str(composition.repeats)), length)
        if length.text.replace("_", "").isdigit():
            whole = d.numbers.integer(composition.repeats * d.bounds[-1])
        lines.append(f"if {step} >= {whole.text}:")
        lines += indented(out(_past_repeats(d, last)))
        if composition.repeat_decay == 1:
            lines.append(f"{step} %= {length.text}")
        else:
            lines.append(f"{repeat}, {step} = divmod({step}, {length.text})")
    else:
        lines.append(f"{repeat} = min({step} // {length.text}, {last})")
        lines.append(f"{step} -= {mul(name(repeat), length).text}")
    if composition.repeat_decay == 1:
        return lines, out
    if isinstance(out, Assigning):
        return lines, out
    if len(d.phases) > 2 or (len(d.phases) == 2 and d.choices.odds("repeat.named", 0.7)):
        own = d.fresh("name.damping", ("damping", "amplitude", "height", "gain", "top"))
        lines.append(f"{own} = {scale.text}")
        scale = name(own)

    def scaled(value: Expr) -> list[str]:
        return out(value if value.text in ("0", "0.0") else mul(scale, value))

    return lines, scaled


def _past_repeats(d: Draft, last: int) -> Expr:
    """The level past the last repeat: with its decay as a power, where the number would tell nothing."""
    decay, end = d.composition.repeat_decay, d.phases[-1].end
    if decay == 1 or end == 0:
        return d.level(end)
    past = d.numbers.real(end * decay**last)
    if end not in d.level_names and past.is_simple and len(past.text) <= 5:
        return past
    return mul(power(d.numbers.real(decay), Expr(str(last))), d.level(end))


def decayed(d: Draft, target: str, lines: list[str]) -> list[str]:
    """The statement after branches that assign, which applies the decay of the repeat."""
    decay = d.composition.repeat_decay
    if decay == 1:
        return []
    repeat = next(line.split(" = ")[0] for line in lines if " = min(" in line)
    return [f"{target} *= {power(d.numbers.real(decay), name(repeat)).text}"]


def is_held(d: Draft) -> bool:
    """Whether the code of the last phase is right past the horizon, or the step never gets there."""
    return d.stays_within or is_flat(d)


def is_flat(d: Draft) -> bool:
    """Whether the last phase has the level past the horizon all along."""
    last = d.phases[-1]
    return last.shape is Shape.HOLD or (last.shape is Shape.STEPS and not needs_steps(last))


def piece(d: Draft, i: int, step: Expr, *, clamp: bool = False, local: bool = True) -> Piece:
    """Phase i, at a step counted from the begin of the repeat."""
    return piece_of(d, d.phases[i], d.since(i, step), d.span(i), f"phase.{d.phases[i].kind}", clamp=clamp, local=local)


def _guard(d: Draft) -> str:
    """The treatment of steps past the horizon."""
    if is_held(d):
        return "none"
    forms = ("first", "last", "first", "progress", "clamp") if d.clamps else ("first", "last")
    return d.choices.pick("guard", forms[:-1] if d.keeps_step and d.clamps else forms)


def has_branches(d: Draft) -> bool:
    """Whether ``chain`` has branches; else it is one formula."""
    return len(d.phases) > 1 or _guard(d) in ("first", "last")


def _block(d: Draft, i: int, lines: list[str]) -> list[str]:
    comment = comments.of_phase(d, i)
    return [comment, *lines] if comment else lines


def early(d: Draft, out: Emit) -> list[str]:
    """``if`` after ``if``, each of which returns."""
    lines: list[str] = []
    step, guard, count = name(d.step), _guard(d), len(d.phases)
    past = d.level(d.past)
    if guard == "first":
        lines += [f"if {step.text} >= {d.length.text}:", *indented(out(past))]
    elif guard == "clamp":
        lines.append(f"{step.text} = min({step.text}, {d.length.text})")
    for i in range(count):
        part = piece(d, i, step, clamp=guard == "progress" and i == count - 1)
        block = _block(d, i, [*part.lines, *out(part.value)])
        if i == count - 1 and guard != "last":
            lines += block
        else:
            lines += [f"if {step.text} < {d.ends[i].text}:", *indented(block)]
    if guard == "last":
        lines += out(past)
    return lines


def descending(d: Draft, out: Emit) -> list[str]:
    """The last phase first."""
    lines: list[str] = []
    step, guard, count = name(d.step), _guard(d), len(d.phases)
    if guard == "clamp":
        lines.append(f"{step.text} = min({step.text}, {d.length.text})")
    elif guard in ("first", "last"):
        lines += [f"if {step.text} >= {d.length.text}:", *indented(out(d.level(d.past)))]
    for i in reversed(range(count)):
        part = piece(d, i, step, clamp=guard == "progress" and i == count - 1)
        block = _block(d, i, [*part.lines, *out(part.value)])
        if i:
            lines += [f"if {step.text} >= {d.ends[i - 1].text}:", *indented(block)]
        else:
            lines += block
    return lines


def chain(d: Draft, out: Emit) -> list[str]:
    """``if``, ``elif`` and ``else``."""
    lines: list[str] = []
    step, guard, count = name(d.step), _guard(d), len(d.phases)
    if guard == "clamp":
        lines.append(f"{step.text} = min({step.text}, {d.length.text})")
    if count == 1 and guard != "first" and guard != "last":
        part = piece(d, 0, step, clamp=guard == "progress")
        return [*lines, *part.lines, *out(part.value)]
    word = "if"
    if guard == "first":
        lines += [f"if {step.text} >= {d.length.text}:", *indented(out(d.level(d.past)))]
        word = "elif"
    for i in range(count):
        part = piece(d, i, step, clamp=guard == "progress" and i == count - 1)
        block = _block(d, i, [*part.lines, *out(part.value)])
        if i == count - 1 and guard != "last":
            lines += ["else:", *indented(block)]
        else:
            lines += [f"{word} {step.text} < {d.ends[i].text}:", *indented(block)]
        word = "elif"
    if guard == "last":
        lines += ["else:", *indented(out(d.level(d.past)))]
    return lines


def consuming(d: Draft, out: Emit) -> list[str]:
    """The step is reduced by the length of each phase that is over."""
    lines: list[str] = []
    step, guard, count = name(d.step), _guard(d), len(d.phases)
    for i in range(count):
        n = d.spans[i]
        stops = guard == "progress" and i == count - 1
        part = piece_of(d, d.phases[i], step, n, f"phase.{d.phases[i].kind}", clamp=stops)
        block = _block(d, i, [*part.lines, *out(part.value)])
        if i == count - 1 and guard in ("none", "clamp", "progress"):
            if guard == "clamp":
                lines.append(f"{step.text} = min({step.text}, {n.text})")
            lines += block
        else:
            lines += [f"if {step.text} < {n.text}:", *indented(block)]
            if i < count - 2 or (i == count - 2 and not is_flat(d)):
                lines.append(f"{step.text} -= {n.text}")
    if guard in ("first", "last"):
        lines += out(d.level(d.past))
    if guard == "none" and is_flat(d):
        _forget(d, d.spans[-1].text)
    return lines


def _forget(d: Draft, span: str) -> None:
    """Compute no length of a last phase that needs none."""
    own = span.removeprefix("self.")
    if d.setup and d.setup[-1].startswith(f"{span} = "):
        d.setup.pop()
    elif not d.takes_total:
        d.settings.pop(own, None)


def clamped(d: Draft, out: Emit) -> list[str]:
    """The warm-up as ``min(1, step / warmup_steps)``, times the decay, whose progress is 0 until it begins."""
    step, first, last = name(d.step), d.phases[0], len(d.phases) - 1
    top = d.numbers.real(first.end)
    ramp = d.fresh("name.ramp", ("warmup", "ramp", "scale", "warmup_factor"))
    ratio = f"{step.text} / {d.ends[0].text}"
    least = f"min({top.text}, {ratio})" if d.choices.odds("ramp.order", 0.6) else f"min({ratio}, {top.text})"
    if last == 1 and d.phases[1].shape is Shape.HOLD:
        return out(Expr(least))
    lines = [f"{ramp} = {least}"]
    begin, end = d.ends[last - 1], d.ends[last]
    progress = d.fresh("name.progress", ("progress", "progress", "p", "frac", "t", "x", "pct", "s"))
    span = d.span(last).text if d.span(last).is_simple else f"({d.span(last).text})"
    zero = d.numbers.real(d.composition.groups[0] * 0)
    since = sub(step, begin)
    form = d.choices.pick("clamp", ("nested", "step", "two"))
    if form == "nested":
        lines.append(f"{progress} = min({top.text}, max({zero.text}, ({since.text}) / {span}))")
    elif form == "step":
        lines.append(f"{progress} = max(0, min({step.text}, {end.text}) - {begin.text}) / {span}")
    else:
        lines.append(f"{progress} = ({since.text}) / {span}")
        lines.append(f"{progress} = max({zero.text}, min({progress}, {top.text}))")
    value = value_of(d, d.phases[last], name(progress), f"phase.{d.phases[last].kind}")
    return [*lines, *out(mul(name(ramp), value))]


def can_clamp(d: Draft) -> bool:
    """Whether ``clamped`` is exact: a warm-up from 0 to 1, perhaps a hold at 1, and a decay from 1."""
    phases = d.phases
    first, last = phases[0], phases[-1]
    return (
        2 <= len(phases) <= 3
        and first.shape is Shape.LINEAR
        and first.start == 0
        and first.end == 1
        and not needs_steps(last)
        and last.start == 1
        and (len(phases) == 2 or (phases[1].shape is Shape.HOLD and phases[1].start == 1))
    )
