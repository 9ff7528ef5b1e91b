"""The multiplier at a step, by branches: the body of a function in the several forms that people write."""

from collections.abc import Callable
from fractions import Fraction

from lrgen.curves.compositions import Shape
from lrgen.realisations.draft import Draft
from lrgen.realisations.expressions import Expr, mul, name, power

Emit = Callable[[Expr], list[str]]


def returning(value: Expr) -> list[str]:
    return [f"return {value.text}"]


def assigning(target: str) -> Emit:
    return lambda value: [f"{target} = {value.text}"]


def indented(lines: list[str], depth: int = 1) -> list[str]:
    return [f"{'    ' * depth}{line}" if line else line for line in lines]


def body(draft: Draft, emit: Emit | None = None) -> list[str]:
    """Statements that compute the multiplier at ``draft.step`` and return it, or give it to ``emit``."""
    lines: list[str] = []
    composition = draft.composition
    step = name(draft.step)
    scale: Expr | None = None
    out = emit or returning
    if composition.repeats > 1:
        last = composition.repeats - 1
        repeat = draft.choices.pick("name.repeat", ("restart", "restart", "period", "repeat", "lap"))
        lines.append(f"{repeat} = min({step.text} // {draft.length.text}, {last})")
        lines.append(f"{step.text} -= {repeat} * {draft.length.text}")
        if composition.repeat_decay != 1:
            scale = power(draft.numbers.real(composition.repeat_decay), name(repeat))
    plain = out

    def scaled(value: Expr) -> list[str]:
        return plain(value if scale is None else mul(scale, value))

    if emit is None:
        return lines + _early(draft, step, scaled)
    return lines + _chain(draft, step, scaled)


def _early(draft: Draft, step: Expr, out: Emit) -> list[str]:
    lines: list[str] = []
    past = draft.numbers.level(draft.past)
    hold_last = draft.phases[-1].shape is Shape.HOLD
    guard = draft.choices.pick("guard", ("first", "last"))
    if not hold_last and guard == "first":
        lines += [f"if {step.text} >= {draft.length.text}:", *indented(out(past))]
    for i in range(len(draft.phases)):
        piece = draft.piece(i, step)
        block = [*piece.lines, *out(piece.value)]
        if i == len(draft.phases) - 1 and (hold_last or guard == "first"):
            lines += block
        else:
            lines += [f"if {step.text} < {draft.ends[i].text}:", *indented(block)]
    if not hold_last and guard == "last":
        lines += out(past)
    return lines


def _chain(draft: Draft, step: Expr, out: Emit) -> list[str]:
    lines: list[str] = []
    hold_last = draft.phases[-1].shape is Shape.HOLD
    for i in range(len(draft.phases)):
        piece = draft.piece(i, step)
        last = i == len(draft.phases) - 1
        if last and hold_last and i == 0:
            return out(piece.value)
        word = "if" if i == 0 else "elif"
        lines.append("else:" if last and hold_last else f"{word} {step.text} < {draft.ends[i].text}:")
        lines += indented([*piece.lines, *out(piece.value)])
    if not hold_last:
        lines += ["else:", *indented(out(draft.numbers.level(draft.past)))]
    return lines


def one(draft: Draft) -> Expr:
    return draft.numbers.real(Fraction(1))
