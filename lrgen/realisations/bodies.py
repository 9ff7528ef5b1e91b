"""The body of a function of the step, in one of its forms."""

from collections.abc import Callable

from lrgen.realisations import branches, dispatch
from lrgen.realisations.branches import Assigning, Emit, repeated, returning
from lrgen.realisations.draft import Draft
from lrgen.realisations.expressions import name

Form = Callable[[Draft, Emit], list[str]]

_RETURNING: tuple[Form, ...] = (
    branches.early,
    branches.early,
    branches.early,
    branches.descending,
    branches.chain,
    branches.consuming,
    branches.consuming,
    dispatch.bisecting,
    dispatch.by_progress,
    dispatch.looping,
    dispatch.helping,
)
_SEARCHING = (dispatch.by_progress, dispatch.looping)
_ASSIGNING: tuple[Form, ...] = (branches.chain, branches.chain, dispatch.bisecting)


def body(d: Draft, out: Emit = returning) -> list[str]:
    """Statements that compute the multiplier at ``d.step`` and return it, or give it to ``out``."""
    lines, own = repeated(d, out)
    if out is not returning:
        form = d.choices.pick("form.assigning", _ASSIGNING if len(d.phases) > 1 else _ASSIGNING[:1])
    elif branches.can_clamp(d) and not d.stays_within and d.choices.odds("form.clamped", 0.3):
        form = branches.clamped
    elif dispatch.can_ternary(d) and d.choices.odds("form.ternary", 0.5):
        form = dispatch.ternary
    elif len(d.phases) == 1:
        form = d.choices.pick("form.single", (branches.early, branches.early, branches.chain))
    else:
        form = d.choices.pick("form", _RETURNING)
        if form is branches.consuming and d.takes_total and len(d.phases) > 3:
            form = branches.early
        if form in _SEARCHING and branches.is_held(d) and (d.stays_within or len(d.phases) < 3):
            form = branches.early  # a search that leaves one phase, or none to fall through to
        if not d.hoists and dispatch.defines_functions(d, form):
            form = branches.early
    assigns = form is branches.chain and branches.has_branches(d) and d.choices.odds("chain.assigned", 0.5)
    if out is returning and assigns:
        names = ("lr", "rate", "value", "result") if d.absolute else ("factor", "scale", "value", "multiplier", "mult")
        target = d.fresh("name.value", names)
        lines += [*form(d, Assigning(target)), *own(name(target))]
    else:
        before = list(lines)
        lines += form(d, own)
        if isinstance(out, Assigning):
            lines += branches.decayed(d, out.target, before)
    d.forget_unused(lines)
    return lines
