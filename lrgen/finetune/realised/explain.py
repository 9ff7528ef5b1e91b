"""The code of a composition → its phases, in the form that is asked for."""

import random
from collections.abc import Iterator
from dataclasses import replace

from lrgen.curves.compositions import Composition
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions.compositions import data, forms, rules
from lrgen.finetune.instructions.compositions.forms import Form
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms, can_count
from lrgen.finetune.instructions.realised import explain as instructions
from lrgen.finetune.realised import facts
from lrgen.finetune.wording import listed
from lrgen.realisations import Interface

_FORMS = (
    *(Form.PROSE,) * 3,
    *(Form.BULLETS,) * 2,
    *(Form.NUMBERED,) * 2,
    *(Form.TABLE,) * 2,
    Form.RANGES,
    Form.JSON,
    Form.YAML,
)


def examples(task_input: TaskInput, task: str) -> Iterator[Example]:
    """Yield an example of each composition."""
    for realised in task_input.compositions:
        chance = task_input.chance(task, "composition", realised.number)
        realisation = chance.choice(realised.realisations)
        composition = realised.composition
        form = chance.choice(_FORMS)
        terms = terms_of(composition, realisation.interface, form, chance)
        yield Example(
            task=task,
            key=f"composition/{realised.number}",
            prompt=instructions.question(realisation, composition, form, terms, chance),
            completion=answer(form, terms, chance, inside=not realisation.interface.takes_lr),
            scope=Scope.SCHEDULE,
            evidence={"described_by": composition.id},
            composition=realised,
            styles=(realisation.style,),
        )


def terms_of(composition: Composition, interface: Interface, form: Form, chance: random.Random) -> Terms:
    """Return terms that the code shows: no steps where it takes their number, no rates where it takes the base one.

    Levels are no percentages in JSON and YAML.
    """
    terms = Terms.drawn(composition, chance, scales=interface.takes_horizon, absolute=not interface.takes_lr)
    if interface.takes_horizon and terms.lengths is Lengths.STEPS:
        terms = replace(terms, lengths=Lengths.FRACTION)
    if not interface.takes_horizon and can_count(composition):
        terms = replace(terms, lengths=Lengths.STEPS)
    is_data = form in forms.IS_SELF_CONTAINED
    if (interface.takes_lr and terms.levels is Levels.ABSOLUTE) or (is_data and terms.levels is Levels.PERCENT):
        terms = replace(terms, levels=Levels.FACTOR)
    return terms


def answer(form: Form, terms: Terms, chance: random.Random, *, inside: bool) -> str:
    """Return the phases in a form, with the restarts, the parameter groups and the end."""
    if form is Form.JSON:
        return data.as_json(terms, chance, after=True)
    if form is Form.YAML:
        return data.as_yaml(terms, chance, after=True)
    phases = forms.phases(form, terms, chance)
    before = [rules.base_lr(terms, chance, inside), rules.horizon(terms, chance)]
    after = [rules.repeats(terms, chance), rules.groups(terms, chance), rules.end(terms, chance)]
    if chance.random() < 0.5:
        before, after = [], [*before, *after]
    separator = "\n\n" if form in forms.IN_LINES else " "
    return separator.join(filter(None, (" ".join(filter(None, before)), phases, " ".join(filter(None, after)))))


def grade(row: Row, completion: str, reference: Reference) -> Grade:
    """Grade an explanation by the fraction of the facts that it states."""
    composition = reference.composition(row)
    assert composition is not None
    stated = facts.stated(composition, completion)
    missing = [name for name, is_stated in stated.items() if not is_stated]
    if not missing:
        return Grade.correct()
    if len(missing) == len(stated):
        return Grade(False, "it states no fact about the schedule")
    return Grade(False, f"it does not state {listed(missing)}", EXTRACTED, 1 - len(missing) / len(stated))
