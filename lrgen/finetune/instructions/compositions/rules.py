"""The sentences that complete the words for the phases: unit, restarts, parameter groups, end, and how steps count."""

import random
from fractions import Fraction

from lrgen.curves.compositions import Composition, Shape
from lrgen.curves.compositions.phases import ONE
from lrgen.finetune.instructions.compositions import numbers
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import listed
from lrgen.records import Unit

SYSTEM = (
    "Schedules are given as phases. Steps count from 0. At step u of a phase of n steps the progress is p = u / n: the "
    "phase begins exactly at its first level a and approaches its last level b, which is reached where the next phase "
    "begins. Linear: a + (b - a) p. Cosine: b + (a - b) (1 + cos(pi p)) / 2. Polynomial: b + (a - b) (1 - p)^power. "
    "Exponential: a (b / a)^p. 1-sqrt: b + (a - b) (1 - sqrt(p)). Inverse square root: "
    "a / sqrt(1 + ((a / b)^2 - 1) p). Step decay: equal stages, the first at a. Cycles of a phase are of equal length, "
    "with the progress counted within each. Past the last step, the last level is held.",
    "Conventions of this project for schedules:\n"
    "- The first step is step 0.\n"
    "- A phase of n steps has the progress p = u / n at its step u = 0, ..., n - 1. It starts at its first level a; "
    "its last level b is that of p = 1, where the next phase takes over.\n"
    "- linear: a + (b - a) p; cosine: b + (a - b) (1 + cos(pi p)) / 2; polynomial: b + (a - b) (1 - p)^power; "
    "exponential: a (b / a)^p; 1-sqrt: b + (a - b) (1 - sqrt(p)); inverse square root: "
    "a / sqrt(1 + ((a / b)^2 - 1) p).\n"
    "- Stages and cycles within a phase are equally long; a cycle has a progress of its own.\n"
    "- After the end the learning rate keeps the level that the last phase ends at.",
    "The user describes learning-rate schedules phase by phase. Read them as follows. Steps are numbered from 0. In a "
    "phase of n steps, step u (u = 0 for the first) has p = u / n, so the level at the start is attained and the level "
    "at the end belongs to the first step after the phase. From a to b, that is a + (b - a) p for a line, "
    "b + (a - b) (1 + cos(pi p)) / 2 for a cosine, b + (a - b) (1 - p)^power for a polynomial, a (b / a)^p for an "
    "exponential, b + (a - b) (1 - sqrt(p)) for 1-sqrt and a / sqrt(1 + ((a / b)^2 - 1) p) for an inverse square root. "
    "A phase with stages or cycles is divided equally. Beyond the last step nothing changes anymore: the end level of "
    "the last phase stays.",
    "Steps start at 0 and phases are half-open: one of n steps has progress p = u / n with u from 0 to n - 1. With the "
    "levels a (at p = 0) and b (approached as p goes to 1):\n\n"
    "    linear               a + (b - a) p\n"
    "    cosine               b + (a - b) (1 + cos(pi p)) / 2\n"
    "    polynomial           b + (a - b) (1 - p)^power\n"
    "    exponential          a (b / a)^p\n"
    "    1-sqrt               b + (a - b) (1 - sqrt(p))\n"
    "    inverse square root  a / sqrt(1 + ((a / b)^2 - 1) p)\n"
    "    step decay           a, times the factor after each of the equal stages but the last\n"
    "    cycles               the same with the progress within one of the equal cycles\n\n"
    "After the horizon, the level at the end of the last phase is held.",
)
"""Conventions for the system's message: what the words for phases mean at each step."""

_UNITS = {
    Unit.EPOCH: (
        "The schedule [advances|is stepped] once per epoch.",
        "The schedule is stepped after each epoch.",
        "A step is an epoch.",
        "The unit is the epoch.",
        "Steps are [counted in epochs|epochs].",
        "There is one step per epoch.",
    ),
    Unit.BATCH: (
        "The schedule [advances|is stepped] once per batch.",
        "The schedule is stepped after every optimizer update, not [once |]per epoch.",
        "A step is one batch.",
        "The unit is the batch[, not the epoch|].",
        "Steps are [counted in batches|batches].",
        "There is one step per batch.",
    ),
}
_COUNTING = (
    "Steps count from 0; at step u of a phase of n steps the progress is u / n, so a phase starts exactly at its first "
    "level and the next phase takes over where its last level would be reached.",
    "The first step is step 0. A phase of n steps has progress p = u / n at its u-th step (u from 0), so its last "
    "level falls on the first step after it.",
    "Counting from step 0, progress within a phase is (steps since its start) / (its number of steps): 0 at its first "
    "step, and not yet 1 at its last one.",
    "Phases are half-open intervals of steps, counted from 0; the progress in one is p = (t - start) / (end - start).",
    "Let t be the step, from 0. [In|Within] a phase from s to e the progress is p = (t - s) / (e - s), and [at t = e "
    "the next one starts|step e belongs to the next one].",
)
_COUNTING_OF_ONE = (
    "Steps count from 0; at step u of the n steps of {whole} the progress is u / n[, which is not yet 1 at the "
    "last step|].",
    "At step t = 0, 1, ..., n - 1 of {whole} the progress is p = t / n.",
    "Counting from step 0, the progress is p = (steps since the start of {whole}) / (its number of steps): 0 at the "
    "first step, and not yet 1 at the last one.",
)
_FORMULAS = {
    Shape.POLYNOMIAL: (
        "[Polynomial|The polynomial], from a to b: b + (a - b) * (1 - p)**{power}",
        "polynomial means b + (a - b) * (1 - p)^{power}",
    ),
    Shape.EXPONENTIAL: (
        "exponential (geometric), from a to b: a * (b / a)**p",
        "exponential, or geometric, means a * (b / a)^p",
    ),
    Shape.ONE_MINUS_SQRT: (
        "1-sqrt, from a to b: b + (a - b) * (1 - sqrt(p))",
        "1-sqrt means b + (a - b) (1 - sqrt(p))",
    ),
    Shape.INVERSE_SQRT: (
        "inverse square root, from a to b: a / sqrt(1 + ((a / b)**2 - 1) * p)",
        "the inverse square root is a / sqrt(1 + k p), with k = (a / b)^2 - 1 [such|so] that it arrives at b",
    ),
    Shape.COSINE: ("cosine, from a to b: b + (a - b) * (1 + cos(pi * p)) / 2",),
}
_ENDS = (
    "[After|Past] the [end|last {step}], the learning rate [stays|remains] at {final}.",
    "[Afterwards|Past the end], the learning rate [stays|is held] at {final}.",
    "If training [goes on|continues], the learning rate [stays|is kept] at {final}.",
    "From the end on, the learning rate is constant at {final}.",
    "Any {step} past the end gets {final}.",
    "[All {steps}|{capital_steps}] past the end get {final}.",
)
_REPEATS = (
    "[This|All of this] runs {times} in a row, each {period} taking {part}{decay}.",
    "[There are|Training consists of] {count} such {period}s of equal length ({part} each){decay}.",
    "Then [the schedule|everything] restarts: {count} {period}s in all, {part} each{decay}.",
    "This is one {period}; training has {count} of them, {part} each{decay}.",
)
_DECAYS = (
    ", and the learning rates of each {period} are {factor} times those of the one before",
    ", with all levels multiplied by {factor} from one {period} to the next",
    "; every {period} scales the learning rates of the one before by {factor}",
)
_GROUPS = (
    "[The parameter groups|Parameter groups] have the multipliers {listed}[, in order|].",
    "Multipliers [of|for] the {count} parameter groups: {listed}.",
    "[There are|The optimizer has] {count} parameter groups, whose learning rates are {listed} times that of the "
    "schedule[, in order|].",
    "{each}.",
)
_ROUNDING = (
    "[A boundary that is no whole number of steps|A boundary between two steps] is rounded to the nearest step.",
    "Boundaries are rounded to the nearest [whole |]step.",
    "Round boundaries to the nearest {step}.",
)
_ROUNDING_OF_ARGUMENT = (*_ROUNDING, "[Phase boundaries|The boundaries] are at round(fraction * {total}).")
_PERIODS = (
    "The length of a {period} is {total} divided by {repeats}, rounded down{within}.",
    "A {period} takes {total} divided by {repeats}, rounded down{within}.",
)
_PERIODS_OF_ARGUMENT = (
    "A {period} has {total} // {repeats} steps{within}.",
    "Each {period} takes {total} // {repeats} steps{within}.",
)


def unit(composition: Composition, chance: random.Random) -> str:
    """Return a sentence on when the schedule advances."""
    return phrase(chance.choice(_UNITS[composition.unit]), chance)


def groups(terms: Terms, chance: random.Random) -> str:
    """Return a sentence on the multipliers of the parameter groups; empty where all have the learning rate itself."""
    multipliers = terms.composition.groups
    if multipliers == (ONE,):
        return ""
    texts = [numbers.plain(multiplier) for multiplier in multipliers]
    if len(set(texts)) == 1:
        all_of_them = f"All {numbers.counted(len(texts))} parameter groups have" if len(texts) > 1 else "Each group has"
        return f"{all_of_them} this learning rate{'' if texts[0] == '1' else f' times {texts[0]}'}."
    each = ", ".join(f"{'parameter ' if not index else ''}group {index}: {text}x" for index, text in enumerate(texts))
    return phrase(
        chance.choice(_GROUPS), chance, listed=listed(texts), count=numbers.counted(len(multipliers)), each=each
    )


def repeats(terms: Terms, chance: random.Random) -> str:
    """Return a sentence on the periods of a composition that repeats; empty for others."""
    composition = terms.composition
    if composition.repeats == 1:
        return ""
    decay = ""
    if composition.repeat_decay != 1:
        factor = numbers.plain(composition.repeat_decay)
        decay = chance.choice(_DECAYS).replace("{period}", terms.period).replace("{factor}", factor)
    part = terms.counted(terms.per_period)
    if terms.lengths is not Lengths.STEPS:
        fraction = Fraction(1, composition.repeats)
        part = f"{numbers.spoken(fraction) or numbers.ratio(fraction)} of training"
    return phrase(
        chance.choice(_REPEATS),
        chance,
        times=numbers.times(composition.repeats),
        count=numbers.counted(composition.repeats),
        period=terms.period,
        part=part,
        decay=decay,
    )


def end(terms: Terms, chance: random.Random) -> str:
    """Return a sentence on the learning rate after the last step."""
    composition = terms.composition
    final = composition.phases[-1].end * composition.repeat_decay ** (composition.repeats - 1)
    text = terms.level(final)
    if composition.phases[-1].shape is Shape.STEPS and "/" in text:
        text = "the level of the last stage"
    return phrase(chance.choice(_ENDS), chance, final=text, **_steps(terms))


def _steps(terms: Terms) -> dict[str, str]:
    return {"step": terms.step, "steps": terms.steps, "capital_steps": terms.steps.capitalize()}


def horizon(terms: Terms, chance: random.Random) -> str:
    """Return a sentence on the number of steps: the one there is, or the argument that the lengths scale with."""
    composition = terms.composition
    total = terms.counted(composition.horizon)
    if not terms.scales:
        verb = "There are" if terms.step.startswith("training") else "[Training has|There are]"
        return phrase(f"[{verb} {{total}}[ in all|]|The [horizon|total] is {{total}}].", chance, total=total)
    if terms.lengths is Lengths.STEPS:
        return phrase(
            "Lengths are [given for|those of] [a run of|] {total}; for another {argument} they scale in proportion.",
            chance,
            total=total,
            argument=f"value of {terms.total}" if terms.total.startswith("`") else terms.total.removeprefix("the "),
        )
    return ""


def rounding(terms: Terms, chance: random.Random) -> str:
    """Return a sentence on boundaries between steps, for code that takes the number of steps."""
    if not terms.scales:
        return ""
    fields = {"total": terms.total, "step": terms.step, "period": terms.period}
    is_argument = terms.total.startswith("`")
    if terms.composition.repeats > 1:
        periods = _PERIODS_OF_ARGUMENT if is_argument else _PERIODS
        is_whole = len(terms.composition.phases) == 1
        fields["within"] = "" if is_whole else f"; boundaries within it are rounded to the nearest {terms.step}"
        return phrase(chance.choice(periods), chance, repeats=str(terms.composition.repeats), **fields)
    if len(terms.composition.phases) == 1:
        return ""
    return phrase(chance.choice(_ROUNDING_OF_ARGUMENT if is_argument else _ROUNDING), chance, **fields)


def base_lr(terms: Terms, chance: random.Random, inside: bool) -> str:
    """Return a sentence on the base learning rate; ``inside``: the code contains it."""
    lr = numbers.plain(terms.composition.base_lr)
    base = terms.base[:1].upper() + terms.base[1:]
    if inside:
        return phrase("[{base} is {lr}|{lr} is {inner}].", chance, base=base, inner=terms.base, lr=lr)
    if terms.levels is Levels.ABSOLUTE:
        return phrase(
            "[Learning rates|Values] are [given|stated] for a base [learning rate|LR] of {lr}, and scale with it.",
            chance,
            lr=lr,
        )
    return ""


def counting(terms: Terms, chance: random.Random) -> str:
    """Return how steps and progress are counted, and the formulas of the less common shapes."""
    composition = terms.composition
    shapes = {phase.shape for phase in composition.phases}
    formulas = []
    for shape, templates in _FORMULAS.items():
        if shape in shapes and (shape is not Shape.COSINE or chance.random() < 0.5):
            powers = {numbers.plain(phase.power) for phase in composition.phases if phase.shape is shape}
            power = powers.pop() if len(powers) == 1 else "power"
            formulas.append(phrase(chance.choice(templates), chance, power=power))
    if len(composition.phases) == 1:
        text = phrase(chance.choice(_COUNTING_OF_ONE), chance, whole=terms.whole)
    else:
        text = phrase(chance.choice(_COUNTING), chance)
    if not formulas:
        return text
    first, *others = formulas
    return f"{text} {'; '.join([first, *(other[:1].lower() + other[1:] for other in others)])}."
