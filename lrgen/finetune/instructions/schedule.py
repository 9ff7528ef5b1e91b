"""Words for a schedule: its defaults, unit, formula and end in many forms. Each form says all of it."""

import random
from collections.abc import Iterator
from fractions import Fraction

from lrgen.finetune import phrasing, wording
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import listed
from lrgen.records import Hyperparameter, PastEnd, Unit, Variant

_LONGEST = 8  # characters of a number that people write
_HORIZONS = {
    "epochs": (20, 30, 40, 50, 60, 90, 100, 120, 150, 160, 180, 200, 240, 300, 350, 400, 450, 500, 600),
    "batches": (1000, 2000, 3000, 4500, 5000, 8000, 10000, 18000, 20000, 32000, 45000, 50000, 64000, 90000, 100000),
}
_EXAMPLES = 0.4  # of the defaults in prose have their number of steps beside them
_OF_TRAINING = "fraction of training"
# By the meaning of a hyperparameter: its default in the words of a note. ``part`` is a fraction or a percentage.
_BRIEFLY = {
    "fraction of training spent in warm-up": "[warm-up {part}|warm-up over the first {part} of training|warm-up for "
    "{part} of training|{part} of training as warm-up]",
    "fraction of training spent in the decay": "decay over the last {part} of training",
    "fraction of training spent in the final decay": "final decay {part} of training",
    "fraction of training spent in each cycle": "[cycles of {part} of training|cycle length {part} of training]",
    "fraction of training spent in each half-cycle": "half-cycles of {part} of training",
    "fraction of training spent in the first cycle": "first cycle {part} of training",
    "fraction of training spent in the constant phase": "constant phase {part} of training",
    "fraction of training between two decays": "[one decay every {part} of training|interval {part} of training]",
    "fraction of training after which the annealing starts": "annealing from {part} of training on",
    "fraction of training without improvement after which the learning rate is reduced": "patience {part} of training",
    "ratio of the minimum learning rate to lr": "[minimum {part} of `lr`|floor at {part} of `lr`]",
    "ratio of the final learning rate to lr": "[final learning rate {part} of `lr`|ends at {part} of `lr`]",
    "ratio of the initial learning rate to lr": "[starts at {part} of `lr`|initial learning rate {part} of `lr`]",
    "multiplicative factor of learning rate decay": "[gamma {x}|decay factor {x}|factor {x}]",
    "exponent of the decay": "exponent {x}",
}


def numerals(parameter: Hyperparameter) -> list[str]:
    """Return the exact forms of a default: decimal, as a fraction in lowest terms, as a percentage of a whole."""
    written = str(_fraction(parameter)) if "/" in parameter.text else parameter.text
    texts = [written, *phrasing.forms(parameter.default)]
    whole = parameter.name.endswith(("_fraction", "_ratio"))
    return [
        text for text in dict.fromkeys(texts) if len(text) <= _LONGEST and (whole or not text.endswith("%"))
    ] or texts[:1]


def parts(parameter: Hyperparameter) -> list[str]:
    """Return the forms that may stand before "of training": ``10%``, ``1/10``; any form if there is none of these.

    "The last 1/2 of training" is not among them.
    """
    texts = numerals(parameter)
    return [text for text in texts if text.endswith("%") or ("/" in text and text != "1/2")] or texts


def horizon(variant: Variant, chance: random.Random) -> int | None:
    """Return a number of steps of which each fraction of training is a whole number; None if there is none."""
    fractions = [_fraction(each) for each in variant.hyperparameters if each.meaning.startswith(_OF_TRAINING)]
    exact = [
        steps
        for steps in _HORIZONS[wording.counted_in(variant)]
        if all((fraction * steps).denominator == 1 for fraction in fractions)
    ]
    return chance.choice(exact) if fractions and exact else None


def _fraction(parameter: Hyperparameter) -> Fraction:
    return Fraction(parameter.text.replace(" ", ""))


def given(variant: Variant, chance: random.Random) -> str:
    """Return the defaults in parentheses, or after a comma if the title ends with parentheses; empty without any."""
    text = chance.choice((_in_code, _as_equations, _plain, _in_words))(variant, chance)
    if not text:
        return ""
    return f", {text}" if variant.title.endswith(")") else f" ({text})"


def briefly(variant: Variant, chance: random.Random) -> str:
    """Return the defaults as in a note: ``warm-up 5%, minimum 1% of `lr```, or with steps of a horizon."""
    steps = horizon(variant, chance) if chance.random() < _EXAMPLES else None
    texts = (f"{_in_word(each, chance)}{_example(each, variant, steps)}" for each in variant.hyperparameters)
    return ", ".join(texts)


def _in_words(variant: Variant, chance: random.Random) -> str:
    return ", ".join(_in_word(each, chance) for each in variant.hyperparameters)


def _in_word(parameter: Hyperparameter, chance: random.Random) -> str:
    """Return a default in words: ``warm-up 5%``."""
    text = phrase(
        _BRIEFLY.get(parameter.meaning, "`{name}` {x}"),
        chance,
        name=parameter.name,
        x=chance.choice(numerals(parameter)),
        part=chance.choice(parts(parameter)),
    )
    return text[:1].lower() + text[1:]


def _example(parameter: Hyperparameter, variant: Variant, steps: int | None) -> str:
    """Return a fraction of training as steps of a horizon, in parentheses: `` (9 of 90 epochs)``."""
    if not (steps and parameter.default and parameter.meaning.startswith(_OF_TRAINING)):
        return ""
    return f" ({int(_fraction(parameter) * steps):,} of {steps:,} {wording.counted_in(variant)})"


def defaults(variant: Variant, chance: random.Random) -> str:
    """Return a sentence with the defaults of a schedule; empty without hyperparameters."""
    if not variant.hyperparameters:
        return ""
    several = len(variant.hyperparameters) > 1
    template, notation = chance.choice(
        (
            (f"[Default{'s' * several}|Default value{'s' * several}|By default]: {{values}}.", _in_code),
            (f"[Default{'s' * several}|By default]: {{values}}.", _as_equations),
            (
                f"[Default to|The code defaults to|Let the default{'s' * several} be|Without a value in `prm`, use] "
                "{values}.",
                _in_code,
            ),
            ("[By default|Unless `prm` says otherwise|Unless set in `prm`], {values}.", _with_is),
            ("[[Use|Take] {values} [by default|unless `prm` has another value]|Default to {values}].", _with_of),
            (
                f"The hyperparameter{'s' * several} of the schedule {'have' if several else 'has'} "
                f"{'these defaults' if several else 'this default'}: {{values}}.",
                _with_meaning,
            ),
            (f"[Default{'s' * several}|By default]: {{values}}.", briefly),
        )
    )
    return phrase(template, chance, values=notation(variant, chance))


def _in_code(variant: Variant, chance: random.Random) -> str:
    return listed([f"`{parameter.name}={_in_python(parameter, chance)}`" for parameter in variant.hyperparameters])


def _in_python(parameter: Hyperparameter, chance: random.Random) -> str:
    return chance.choice([text for text in numerals(parameter) if not text.endswith("%")])


def _as_equations(variant: Variant, chance: random.Random) -> str:
    pairs = (f"{parameter.name} = {_in_python(parameter, chance)}" for parameter in variant.hyperparameters)
    return ", ".join(pairs)


def _plain(variant: Variant, chance: random.Random) -> str:
    return ", ".join(f"{parameter.name} {_in_python(parameter, chance)}" for parameter in variant.hyperparameters)


def _with_of(variant: Variant, chance: random.Random) -> str:
    return listed([f"{_article(name)} `{name}` of {number}" for name, number in _numbers(variant, chance)])


def _with_is(variant: Variant, chance: random.Random) -> str:
    return listed([f"`{name}` is {number}" for name, number in _numbers(variant, chance)])


def _with_meaning(variant: Variant, chance: random.Random) -> str:
    texts = (
        f"`{each.name}` = {chance.choice(numerals(each))} ({wording.marked(each.meaning)})"
        for each in variant.hyperparameters
    )
    return listed(list(texts))


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def _numbers(variant: Variant, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield each hyperparameter with its default: ``10%``, or with steps of a horizon, ``10% (9 of 90 epochs)``."""
    steps = horizon(variant, chance) if chance.random() < _EXAMPLES else None
    for each in variant.hyperparameters:
        yield each.name, f"{chance.choice(numerals(each))}{_example(each, variant, steps)}"


def parameters(variant: Variant, chance: random.Random) -> list[str]:
    """Return a line for each hyperparameter, without a full stop: name, meaning, default and range."""
    template = chance.choice(
        (
            "`{name}`: {meaning}; default {x}, range {low} to {high}",
            "`{name}` (default {x}, {low} to {high}): {meaning}",
            "`{name}`, {x} by default: {meaning}, between {low} and {high}",
            "`{name}`, {meaning}: {x} by default, from {low} to {high}",
            "`{name}` = {x}: {meaning}, any value from {low} to {high}",
        )
    )
    return [
        phrase(
            template,
            chance,
            name=each.name,
            meaning=wording.marked(each.meaning),
            x=chance.choice(numerals(each)),
            low=f"{each.low:g}",
            high=f"{each.high:g}",
        )
        for each in variant.hyperparameters
    ]


def cadence(variant: Variant, chance: random.Random) -> str:
    """Return when the scheduler is stepped, after a verb: ``once per epoch``."""
    if variant.per_batch:
        text = phrase("[once per batch|after every batch|every batch|once for each batch|after each batch]", chance)
    else:
        text = phrase("[once per epoch|after every epoch|every epoch|once an epoch|at the end of each epoch]", chance)
    text = text[:1].lower() + text[1:]
    if variant.metric is None or variant.cadence is None:
        return text
    return f"{text} with {wording.DRIVEN_BY[variant.cadence, variant.metric]}"


def stepped(variant: Variant, chance: random.Random) -> str:
    """Return a sentence with the unit of a schedule."""
    template = (
        "[Step the scheduler {cadence}.|The scheduler is stepped {cadence}.|`scheduler.step` is called {cadence}."
        "|The schedule advances {cadence}.|Call `scheduler.step` {cadence}.|One step of the schedule is one {unit}: "
        "call `scheduler.step` {cadence}.]"
    )
    unit = "batch" if variant.per_batch else "epoch"
    return phrase(template, chance, cadence=cadence(variant, chance), unit=unit)


def law(variant: Variant, chance: random.Random) -> str:
    """Return the formula of a schedule in a block, with the meaning of its symbols."""
    fields = {"steps": wording.counted_in(variant), "formula": f"\n\n    {variant.formula}"}
    if variant.unit is Unit.METRIC:
        return phrase(
            "[With eta the learning rate and T the total number of {steps} (`total_steps`):{formula}"
            "|The rule, where eta is the learning rate and T = `total_steps` the number of {steps}:{formula}"
            "|In symbols:{formula}\n\nHere eta is the learning rate and T the total number of {steps}, `total_steps`.]",
            chance,
            **fields,
        )
    return phrase(
        "[With t the number of completed {steps} and T the total number (`total_steps`), the learning rate is `lr` "
        "times"
        "{formula}"
        "|After t of T {steps} (T is `total_steps`), the learning rate is `lr` times{formula}"
        "|The learning rate is `lr` multiplied by{formula}\n\nwhere t is the number of completed {steps} and T is "
        "`total_steps`."
        "|[As a formula|In symbols], where t counts the completed {steps} and T = `total_steps`, the factor on `lr` is"
        "{formula}"
        "|The factor on `lr` is{formula}\n\nHere t counts the completed {steps}, and T is their total number, "
        "`total_steps`."
        "|Let t be the number of {steps} [done|completed] so far and let T = `total_steps`. Then `lr` is multiplied by"
        "{formula}]",
        chance,
        **fields,
    )


def ending(variant: Variant, chance: random.Random) -> str:
    """Return a sentence about the learning rate after ``total_steps``."""
    if variant.past_end is PastEnd.CONTINUE:
        return phrase(
            "[[After|Past|Beyond] `total_steps` the schedule [continues by|goes on by|follows] the same rule."
            "|The same rule [holds|applies] [after|past|beyond] `total_steps`."
            "|If training goes on [after|past|beyond] `total_steps`, so does the schedule, "
            "by "
            "the same rule.]",
            chance,
        )
    return phrase(
        "[[After|Past|Beyond] `total_steps` the learning rate [remains|stays] at its final value."
        "|[Steps|Further steps] [after|past|beyond] `total_steps` [leave|keep] the learning rate at its final value."
        "|From `total_steps` on, the learning rate is constant[ at its final value]."
        "|The learning rate keeps its final value [after|past|beyond] `total_steps`.]",
        chance,
    )
