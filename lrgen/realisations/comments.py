"""Comments and docstrings, in the words of the field."""

import itertools
import textwrap
from collections.abc import Sequence

from lrgen.curves.compositions import Phase, Shape
from lrgen.realisations.draft import Draft

_WORDS = {
    Shape.HOLD: ("constant", "hold", "plateau"),
    Shape.LINEAR: ("linear decay", "linear", "linear anneal"),
    Shape.COSINE: ("cosine decay", "cosine", "cosine annealing"),
    Shape.POLYNOMIAL: ("polynomial decay", "polynomial"),
    Shape.EXPONENTIAL: ("exponential decay", "exponential"),
    Shape.ONE_MINUS_SQRT: ("1 - sqrt decay", "1 - sqrt"),
    Shape.INVERSE_SQRT: ("inverse square root decay", "inverse square root"),
    Shape.STEPS: ("step decay", "staircase"),
    Shape.TRIANGULAR: ("triangular cycles", "triangular wave"),
    Shape.SAWTOOTH: ("sawtooth", "linear decay with restarts"),
    Shape.COSINE_CYCLES: ("cosine with restarts", "cosine annealing with restarts"),
}
_RISES = {
    Shape.LINEAR: ("linear increase", "linear ramp"),
    Shape.COSINE: ("cosine increase", "cosine ramp"),
    Shape.POLYNOMIAL: ("polynomial increase", "polynomial ramp"),
    Shape.EXPONENTIAL: ("exponential increase", "exponential ramp"),
    Shape.ONE_MINUS_SQRT: ("square root increase", "square root ramp"),
    Shape.STEPS: ("steps up", "increasing steps"),
}
_WARMUPS = {
    Shape.LINEAR: ("linear warm-up", "warm-up"),
    Shape.COSINE: ("cosine warm-up", "warm-up along a cosine"),
    Shape.POLYNOMIAL: ("polynomial warm-up", "warm-up"),
    Shape.EXPONENTIAL: ("exponential warm-up", "warm-up"),
}


def words(d: Draft, i: int, key: str) -> str:
    """A phase in two or three words."""
    phase = d.phases[i]
    options: Sequence[str] = _WORDS[phase.shape]
    if phase.rises:
        options = _RISES.get(phase.shape, options)
        if i == 0:
            options = _WARMUPS.get(phase.shape, options)
    elif i and i == len(d.phases) - 1 and phase.shape in (Shape.LINEAR, Shape.ONE_MINUS_SQRT):
        options = (*options, "cooldown")
    if phase.shape is Shape.COSINE_CYCLES and phase.count == 1:
        options = _WORDS[Shape.COSINE]
    return d.choices.pick(f"{key}.{phase.kind}.{i == 0 and phase.rises}", options)


def _levels(d: Draft, phase: Phase) -> str:
    number = d.numbers.spoken
    if phase.shape is Shape.HOLD:
        return f"at {number(phase.start)}"
    if phase.shape is Shape.STEPS:
        if phase.count == 1:
            return f"at {number(phase.start)}"
        return f"by a factor of {number(phase.decay)} in {phase.count} stages"
    if phase.shape is Shape.TRIANGULAR:
        return f"between {number(phase.start)} and {number(phase.peak)}"
    return f"from {number(phase.start)} to {number(phase.end)}"


_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_TIMES = {2: "twice", 3: "three times", 4: "four times", 5: "five times", 6: "six times"}


def _counted(part: str, count: int) -> str:
    """Several phases in a row of which a writer says the same: ``two linear phases``."""
    if count == 1:
        return part
    shape = part.removesuffix(" decay").removesuffix(" annealing").removesuffix(" anneal")
    return f"{_COUNTS.get(count, str(count))} {shape} phases"


def of_phase(d: Draft, i: int) -> str:
    """A comment above the lines of a phase; empty for most writers, and for the only phase there is."""
    if len(d.phases) == 1 or not d.choices.odds("comments", 0.3):
        return ""
    text = words(d, i, "comment")
    form = d.choices.pick("comment.form", ("words", "words", "levels"))
    if form == "levels":
        text = f"{text} {_levels(d, d.phases[i])}"
    if d.choices.odds("comment.capital", 0.4):
        text = f"{text[0].upper()}{text[1:]}" + ("." if d.choices.odds("comment.stop", 0.5) else "")
    return f"# {text}"


def sentence(d: Draft, key: str) -> str:
    """The phases in a sentence."""
    phases = d.phases
    with_levels = d.choices.odds(f"{key}.levels", 0.4)
    parts = [words(d, i, key) + (f" {_levels(d, phases[i])}" if with_levels else "") for i in range(len(phases))]
    parts = [_counted(part, len(list(alike))) for part, alike in itertools.groupby(parts)]
    if len(parts) == 1:
        text = parts[0]
    else:
        joint = d.choices.pick(f"{key}.joint", (", then ", " and then ", ", followed by "))
        text = f"{', '.join(parts[:-1])}{joint}{parts[-1]}"
    if d.composition.repeats > 1:
        repeats = d.composition.repeats
        text += f", {_TIMES.get(repeats, f'{repeats} times')}{d.choices.pick(f'{key}.times', (' over', ' in a row'))}"
        if d.composition.repeat_decay != 1:
            factor = d.numbers.spoken(d.composition.repeat_decay)
            each, before = ("the second", "first") if repeats == 2 else ("each", "one before")
            text += f", {each} {factor} times as high as the {before}"
    return f"{text[0].upper()}{text[1:]}."


def docstring(
    d: Draft,
    key: str = "docstring",
    depth: int = 1,
    lead: str = "",
    odds: float = 0.4,
    title: str = "",
    returns_multiplier: bool = False,
) -> list[str]:
    """A docstring, or nothing."""
    if not d.choices.odds(key, odds):
        return []
    text = lead + (sentence(d, key) if not lead else f"{sentence(d, key)[0].lower()}{sentence(d, key)[1:]}")
    width = 88 - 4 * depth
    if len(text) + 6 <= width:
        return [f'"""{text}"""']
    kind = title or "Learning rate schedule."
    if returns_multiplier and not d.absolute:
        kind = d.choices.pick(f"{key}.title", ("Learning rate schedule.", "Multiplier of the base learning rate."))
    text = text.removeprefix(lead)
    text = f"{text[0].upper()}{text[1:]}"
    return [f'"""{kind}', "", *textwrap.wrap(text, width), '"""']
