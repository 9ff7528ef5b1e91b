"""A composition in words: one of many forms, and the sentences that complete it."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune.instructions.compositions import forms, rules
from lrgen.finetune.instructions.compositions.forms import Form
from lrgen.finetune.instructions.compositions.terms import Terms
from lrgen.realisations import Interface

_OF_SEVERAL = (Form.BULLETS, Form.NUMBERED, Form.RANGES, Form.TABLE)  # a list of one phase is no list
_WEIGHTS = {Form.PROSE: 6, Form.BULLETS: 3, Form.NUMBERED: 2, Form.TABLE: 2, Form.SHORT: 2, Form.RANGES: 2}


def words(
    composition: Composition,
    chance: random.Random,
    interface: Interface | None = None,
    *,
    form: Form | None = None,
    counting: bool = True,
    total: str = "`total_steps`",
) -> str:
    """Return a composition in words, which determine the learning rate at each step.

    Args:
        interface: of the code that they are for: whether it takes the number of steps and the base learning rate. The
            default is code that takes both, the first only of a composition that is not fixed.
        form: drawn by default.
        counting: whether they say how steps and progress are counted; else a message of the system does (``SYSTEM``).
        total: the name of the number of steps, where the code takes it.
    """
    scales = (interface.takes_horizon if interface else True) and not composition.fixed
    inside = interface is not None and not interface.takes_lr
    terms = Terms.drawn(composition, chance, scales=scales, absolute=inside, total=total)
    possible = forms.possible(composition)
    if len(composition.phases) == 1:
        possible = tuple(each for each in possible if each not in _OF_SEVERAL)
    chosen = form or chance.choices(possible, [_WEIGHTS.get(each, 1) for each in possible])[0]
    return text(chosen, terms, chance, inside=inside, counting=counting)


def text(form: Form, terms: Terms, chance: random.Random, *, inside: bool, counting: bool) -> str:
    """Return the words of a form with given terms."""
    composition = terms.composition
    phases = forms.phases(form, terms, chance)
    is_whole, scales = form in forms.IS_SELF_CONTAINED, terms.scales
    before = [rules.base_lr(terms, chance, inside), "" if is_whole and not scales else rules.horizon(terms, chance)]
    after = [
        "" if is_whole else rules.repeats(terms, chance),
        "" if is_whole else rules.groups(terms, chance),
        rules.end(terms, chance),
        "" if is_whole else rules.unit(composition, chance),
        rules.rounding(terms, chance),
        rules.counting(terms, chance) if counting and form is not Form.FORMULA else "",
    ]
    if chance.random() < 0.5 or form is Form.SHORT:
        after[:0], before = before, []
    head, tail = " ".join(filter(None, before)), " ".join(filter(None, after))
    if form not in forms.IN_LINES:
        period = "" if phases.endswith(".") or "\n" in phases else "."
        return " ".join(filter(None, (head, f"{phases}{period}", tail)))
    return "\n\n".join(filter(None, (head, phases, tail)))
