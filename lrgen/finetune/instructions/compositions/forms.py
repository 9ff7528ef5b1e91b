"""The forms in which a composition is put into words."""

import random
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction

from lrgen.curves.compositions import Composition, Shape
from lrgen.finetune.instructions.compositions import data, formula, shapes, sketch
from lrgen.finetune.instructions.compositions.terms import Lengths, Terms
from lrgen.finetune.phrasing import phrase


class Form(StrEnum):
    """The form of the words for the phases."""

    PROSE = "prose"  # one sentence, or a sentence for each phase
    BULLETS = "bullets"
    NUMBERED = "numbered"
    RANGES = "ranges"  # a line for each phase: from which step to which
    TABLE = "table"
    KNOTS = "knots"  # points, and the curve between two of them
    SHORT = "short"  # as in a note or a commit message
    SKETCH = "sketch"  # a plot in characters
    FORMULA = "formula"
    YAML = "yaml"
    JSON = "json"


def possible(composition: Composition) -> tuple[Form, ...]:
    """Return the forms that have words for a composition."""
    return tuple(form for form in Form if form is not Form.KNOTS or _has_knots(composition))


def phases(form: Form, terms: Terms, chance: random.Random) -> str:
    """Return the words for the phases; what they leave unsaid is said by ``rules``."""
    return _WRITERS[form](terms, chance)


# Prose.

_SUBJECTS = ("the learning rate", "the learning rate", "the LR")
_LINKS = ("then", "after that,", "next,", "", "afterwards,", "then")


def _prose(terms: Terms, chance: random.Random) -> str:
    return chance.choice((_sentences, _sentences, _one_sentence, _nouns))(terms, chance)


def _clause(terms: Terms, index: int, chance: random.Random, *, leads: bool = False) -> tuple[str, str]:
    return shapes.predicate(terms, index, chance), terms.span(index, chance, leads=leads)


def _sentences(terms: Terms, chance: random.Random) -> str:
    """A sentence for each phase, most with a link to the one before."""
    count = len(terms.composition.phases)
    noun = chance.choice(_SUBJECTS)
    links = chance.sample(_LINKS, len(_LINKS))  # none twice in a row
    texts = []
    for index in range(count):
        leads = chance.random() < 0.35
        does, span = _clause(terms, index, chance, leads=leads)
        subject = noun if index == 0 else chance.choice((noun, "it"))
        if leads:
            text = f"{span}, {subject} {does}"
        else:
            link = "" if index == 0 else "finally," if index == count - 1 and count > 2 else links[index % len(links)]
            text = f"{link} {subject} {_with(does, span)}".strip()
        texts.append(f"{_capital(text)}.")
    return " ".join(texts)


def _one_sentence(terms: Terms, chance: random.Random) -> str:
    clauses = []
    for index in range(len(terms.composition.phases)):
        does, span = _clause(terms, index, chance)
        clauses.append(_with(does, span))
    link = chance.choice(("; then it ", ", and then it ", ", then it ", "; after that it "))
    return f"{_capital(chance.choice(('the learning rate', 'the LR')))} {link.join(clauses)}."


def _nouns(terms: Terms, chance: random.Random) -> str:
    """``A linear warm-up …, then a cosine decay …``, without articles."""
    parts = [
        _with(shapes.noun(terms, index, chance), terms.span(index, chance))
        for index in range(len(terms.composition.phases))
    ]
    link = chance.choice(("; then ", ", then ", "; after that ", " -> ", ", followed by "))
    return f"{_capital(link.join(parts))}."


# Lists and tables.


def _items(terms: Terms, chance: random.Random) -> list[str]:
    """A line for each phase: what, and over which steps."""
    style = chance.randrange(5)
    subject = chance.choice(_SUBJECTS)
    lines = []
    for index, phase in enumerate(terms.composition.phases):
        text = shapes.noun(terms, index, chance) if style < 4 else shapes.predicate(terms, index, chance)
        length, span = terms.length(phase.length), terms.span(index, chance, leads=style == 4)
        is_list = any(mark in text for mark in ",:")
        lines.append(
            (
                f"{text}{';' if is_list else ','} {length}",
                f"{length}: {text.replace(': ', ', ')}",
                f"{_capital(text[:-1])}; {length})" if text.endswith(")") else f"{_capital(text)} ({length})",
                f"{_capital(text)}, {span}",
                f"{_capital(span)}, {'it' if index else subject} {text}",
            )[style]
        )
    return lines


def _bullets(terms: Terms, chance: random.Random) -> str:
    mark = chance.choice(("- ", "* ", "- ", "• "))
    return "\n".join(f"{mark}{line}" for line in _items(terms, chance))


def _numbered(terms: Terms, chance: random.Random) -> str:
    lines = _items(terms, chance)
    styles = ("{}. ", "{}) ", "({}) ", "{}. ", *(() if any(":" in line for line in lines) else ("Phase {}: ",)))
    style = chance.choice(styles)
    return "\n".join(style.format(index) + line for index, line in enumerate(lines, start=1))


def _ranges(terms: Terms, chance: random.Random) -> str:
    """``steps 0-499: linear from 0 to 0.1``; in fractions ``0 to 5%``."""
    begins = (Fraction(0), *terms.ends[:-1])
    closed = terms.lengths is Lengths.STEPS and chance.random() < 0.5
    style = chance.choice((" - ", "-", " to ", " → "))
    lines = []
    for index, (begin, end) in enumerate(zip(begins, terms.ends, strict=True)):
        span = f"{terms.part(begin)}{style}{terms.part(end)}"
        if closed:
            last = end * terms.per_period - 1
            span = f"{terms.part(begin)}{style}{terms.count(last)}" if last > begin * terms.per_period else f"{last}"
        lines.append(f"{span}: {shapes.noun(terms, index, chance)}")
    unit = _capital(terms.steps if terms.lengths is Lengths.STEPS else sketch.unit_of_lengths(terms))
    inclusive = " (both included)" if closed else " (the end is excluded)"
    return f"{unit}{inclusive}:\n\n" + "\n".join(f"- {line}" for line in lines)


_COLUMNS = (
    ("Phase", "Shape", "From", "To"),
    ("#", "Curve", "Start", "End"),
    ("Phase", "Type", "First level", "Last level"),
    ("No.", "Schedule", "Start level", "End level"),
)


def _table(terms: Terms, chance: random.Random) -> str:
    head = chance.choice(_COLUMNS)
    in_steps = terms.lengths is Lengths.STEPS
    spans = chance.random() < 0.4
    where = terms.steps.capitalize() if in_steps else "Part" if not spans else "Span"
    begins = (Fraction(0), *terms.ends[:-1])
    rows: list[tuple[str, ...]] = []
    triples = zip(terms.composition.phases, begins, terms.ends, strict=True)
    for index, (phase, begin, end) in enumerate(triples, start=1):
        span = f"{terms.part(begin)} to {terms.part(end)}" if spans else terms.part(phase.length)
        last = terms.number(phase.end)
        if phase.shape is Shape.TRIANGULAR:
            last = f"{terms.number(phase.peak)} (peak), back to {terms.number(phase.start)}"
        rows.append((str(index), span, shapes.name(phase), terms.number(phase.start), last))
    columns: tuple[str, ...] = (head[0], where, *head[1:])
    if chance.random() < 0.3:
        columns, rows = columns[1:], [row[1:] for row in rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (columns, *rows))
    first, _, rest = table.partition("\n")
    note = f"Levels are {sketch.unit_of_levels(terms)}, and lengths are {sketch.unit_of_lengths(terms)}."
    return f"{first}\n|{'---|' * len(columns)}\n{rest}\n\n{note}"


def _has_knots(composition: Composition) -> bool:
    """Whether each phase begins where the one before ends, and none has stages or cycles."""
    smooth = all(not phase.shape.is_cyclic and phase.shape is not Shape.STEPS for phase in composition.phases)
    pairs = zip(composition.phases, composition.phases[1:], strict=False)
    return smooth and all(before.end == after.start for before, after in pairs)


def _knots(terms: Terms, chance: random.Random) -> str:
    """The points at the bounds, and the curves between them."""
    style = chance.choice(("{at}: {level}", "({at}, {level})", "{at} -> {level}", "{level} at {at}"))
    phases = terms.composition.phases
    levels = [phase.start for phase in phases] + [phases[-1].end]
    points = [
        style.format(at=terms.part(at), level=terms.number(level))
        for at, level in zip((Fraction(0), *terms.ends), levels, strict=True)
    ]
    names = [shapes.name(phase) for phase in phases]
    unit = sketch.unit_of_lengths(terms)
    head = phrase(
        "[Knots|Control points|Points] of the schedule ({at}: {levels}): {points}.",
        chance,
        at=unit,
        levels=sketch.unit_of_levels(terms),
        points=", ".join(points),
    )
    between = names[0] if len(set(names)) == 1 else f"in order, {', '.join(names)}"
    return f"{head} Between them: {between}."


def _short(terms: Terms, chance: random.Random) -> str:
    """``warmup 500 0→1 | cosine 9,500 1→0.1``."""
    arrow, bar = chance.choice((("->", " | "), ("→", " | "), ("->", ", "), ("→", " / "), ("→", ", ")))
    over = chance.choice(("for", "over"))
    parts = []
    for phase in terms.composition.phases:
        levels = terms.number(phase.start)
        if phase.shape is Shape.TRIANGULAR:
            levels = f"{levels}{arrow}{terms.number(phase.peak)}{arrow}{levels}"
        elif phase.shape not in (Shape.HOLD, Shape.STEPS):
            levels = f"{levels}{arrow}{terms.number(phase.end)}"
        parts.append(f"{shapes.name(phase)} {levels} {over} {terms.part(phase.length)}")
    if len(parts) == 1:
        return f"{shapes.name(phase)} {levels} {terms.span(0, chance)} (levels: {sketch.unit_of_levels(terms)})"
    units = f"(levels: {sketch.unit_of_levels(terms)}; lengths: {sketch.unit_of_lengths(terms)})"
    return f"{bar.join(parts)} {units}"


def _sketch(terms: Terms, chance: random.Random) -> str:
    note = phrase(
        "({levels} over {lengths}[. The plot is a sketch; the numbers are exact|; the plot is approximate].)",
        chance,
        levels=_capital(sketch.unit_of_levels(terms)),
        lengths=sketch.unit_of_lengths(terms),
    ).replace("..)", ".)")
    return f"{sketch.plot(terms, chance)}\n\n{note}"


_WRITERS: dict[Form, Callable[[Terms, random.Random], str]] = {
    Form.PROSE: _prose,
    Form.BULLETS: _bullets,
    Form.NUMBERED: _numbered,
    Form.RANGES: _ranges,
    Form.TABLE: _table,
    Form.KNOTS: _knots,
    Form.SHORT: _short,
    Form.SKETCH: _sketch,
    Form.FORMULA: formula.cases,
    Form.YAML: data.as_yaml,
    Form.JSON: data.as_json,
}
IN_LINES = frozenset(Form) - {Form.PROSE, Form.KNOTS, Form.SHORT}
"""The forms that take lines of their own."""
IS_SELF_CONTAINED = frozenset({Form.YAML, Form.JSON})
"""The forms that say the unit, the horizon, the restarts and the groups themselves."""


def _with(text: str, span: str) -> str:
    """A phase with its span, behind a comma where the words for the phase have one."""
    return f"{text}{',' if any(mark in text for mark in ',;:') else ''} {span}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
