"""Requests for a whole file, from a line to a specification.

A note or a brief request names network and schedule, and states the defaults and the unit; the system's message has the
rest. A detailed request states all of it.
"""

import random
from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.instructions import Instruction, schedule
from lrgen.finetune.instructions.layouts import LAYOUTS
from lrgen.finetune.instructions.system import Part, system
from lrgen.finetune.phrasing import phrase
from lrgen.records import Unit

_SHORT = 1 / 3  # of requests of any length
_NOTES = 0.4  # of the short requests are notes
_NAMED = 0.8  # of the notes, and of the brief requests, name the schedule
_LONGEST = 90  # characters of a formula in a note

_NOTE = (
    "{net}: {bare}{given}, stepped {cadence}[.|]",
    "{net} with {schedule}{given}, one scheduler step {per}.",
    "{net} / {bare} / {brief} / stepped {cadence}",
    "{net}: {bare}. {defaults} Stepped {cadence}.",
    "[Add|New file]: {net} with {schedule}{given}, stepped {cadence}",
    "[Need|Wanted|To do|Request|Missing]: {net}, trained with {schedule}{given}. Step the scheduler {cadence}.",
    "# TODO: train {net} with {schedule}{given}, stepped {cadence}",
    "Network: {net}\nSchedule: {bare}\nDefaults: {brief}\nScheduler step: {cadence}",
    "Network {net}, schedule {bare}{given}, [unit {unit}|one step {per}].",
    "- [network|model]: {net}\n- [schedule|learning rate]: {bare}\n- [defaults|hyperparameters]: {brief}\n- "
    "[scheduler step|stepped]: {cadence}",
    "Next file: {net} with {schedule}{given}. [The unit is the {unit}.|It is stepped {cadence}.]",
    "[Code|File|Module] for {net} + {bare}{given}, [please, ]scheduler stepped {cadence}.",
    "Add {net} with {schedule}\n\n{defaults} The scheduler is stepped {cadence}.",
    "Train {net} with {schedule}{given}; scheduler.step() {cadence}.",
    "[A file that trains|Code to train] {net}. [Learning rate|Schedule]: {bare}{given}. Unit: {unit}.",
    "Same as [before|always], now {net} with {schedule}{given}, stepped {cadence}.",
)
"""Requests of one line or a few. ``brief`` is "none" without hyperparameters, the other fields are left empty."""

_BRIEF = (
    "[Write|Implement|Create] a PyTorch [module|file] that trains {net} [for image classification ]with {schedule}.",
    "[Please ][write|implement] {net} in PyTorch, [in one file|in a single file|as one module], trained with "
    "{schedule}.",
    "I [need|want] {net} in [one|a single] [PyTorch ]file, trained with {schedule}.",
    "I [need|want|would like] to train {net} with {schedule}. [Please write the file.|Can you write the file?]",
    "How do I train {net} in plain PyTorch with {schedule}? [Please show|Show me] the complete file.",
    "Can you write a [PyTorch ][file|module] that trains {net} with {schedule}?",
    "[Could|Would] you [please ]write a [training file|module] for {net} with {schedule}?",
    "We [are going to|want to|plan to] train {net} with {schedule}[, and the file is still missing].",
    "[Our benchmark|The benchmark|The comparison] still lacks {net} with {schedule}.",
    "Now {net}, [this time ]trained with {schedule}.",
    "[Same|The same] interface as always, this time {net} with {schedule}.",
    "[Add|Contribute] {net}, trained with {schedule}, to [the project|our model zoo|the repository].",
    "[Add|Write] a file for {net}. The learning-rate schedule is {schedule}.",
    "For [the next run|an experiment|a comparison of schedules|an ablation], I need {net} with {schedule}.",
    "Let's train {net} with {schedule}.",
    "[Task|To do|Request]: {net}, trained with {schedule}.",
    "What [would|does] a file look like that trains {net} with {schedule}?",
    "Show me {net} in PyTorch, trained with {schedule}.",
    "[Give|Send] me the [file|module|code] that trains {net} with {schedule}.",
    "I am comparing learning-rate schedules on {net}; the next one is {schedule}.",
    "There is no file yet for {net} with {schedule}. Please write it.",
    "{net} is the network and {schedule} the schedule. [Please write|Write] the file[ for them].",
    "[Hi|Hello], could you write the file for {net} with {schedule}? [Here is what matters.|]",
    "Train {net} with {schedule}, in one self-contained file.",
)
"""The first sentences of brief requests."""

_UNNAMED = (
    "[Write|Implement] a PyTorch [file|module] that trains {net}. [The schedule is this.|]",
    "I [need|want] {net} in [one|a single] file, with [this learning rate|the following schedule].",
    "[Can|Could] you write a training file for {net}? [This is what the learning rate should do.|The schedule is "
    "this.]",
    "Train {net} with this schedule[, in one file].",
    "How do I train {net} in plain PyTorch with this schedule? [Please show|Show me] the complete file.",
    "We train {net} like this[; please write the file].",
    "[New|Next] file: {net}, with this schedule.",
    "[Please ]write {net} in PyTorch[, in one file]; the learning rate is as follows.",
)
"""The first sentences of brief requests that describe the schedule without its name."""

_BY_FORMULA = (
    "{net}, `lr` times `{formula}`, t and T in {steps}{given}",
    "{net}. Factor on `lr` after t of T {steps}: `{formula}`. {defaults}",
    "[Train|Code for] {net}, learning rate = `lr` * f with f = `{formula}`, where t counts {steps} and T is their "
    "total{given}.",
    "[Need|Wanted]: {net} with the factor `{formula}` on `lr` (t: completed {steps}, T: `total_steps`). {defaults}",
    "Network: {net}\nFactor on `lr`: `{formula}`\nt, T: {steps}\nDefaults: {brief}",
)
"""Notes that give the formula of the schedule instead of its name."""

_CLOSERS = (
    "[Answer|Reply] with the [whole|complete] file[ only| and nothing else].",
    "[Just the code|Only the file], please[; no explanations].",
    "[Return|Send|Show] [the complete file|the file and nothing else].",
    "No explanations, [only|just] the [code|file].",
)

_OPENERS = (
    "[Write|Implement] [a|one] Python file that [meets|satisfies|follows] this specification.",
    "[Please ][implement|write] {net} in PyTorch, in [one|a single] file, trained with {schedule}.",
    "[Write|Implement] a [module|file] that trains {net} with {schedule}.",
    "Add to the [model zoo|benchmark|repository]: {net} with {schedule}.",
    "We [want|need|would like] to train {net} with {schedule}; [please ]write the file[ for it].",
    "Please write the next file of our benchmark: it trains {net} with {schedule}.",
    "The next file of our benchmark trains {net} with {schedule}.",
    "[Task|Request|To do]: {net}, trained with {schedule}.",
    "[Below|Here] is the specification of a [training ]file for {net} with {schedule}. [Please implement it.|Implement "
    "it.]",
    "[Could|Can] you [write|implement], as [one|a single] file, {net} with {schedule}? [The details are below.|Details "
    "below.]",
    "How would you implement, in one PyTorch file, {net} with {schedule}? It has to meet these requirements.",
    "I am [comparing|benchmarking] learning-rate schedules on {net} and still need {schedule}. [Please write the "
    "file.|]",
    "For [an|the] ablation of learning-rate schedules, I need {net} in one file, trained with {schedule}.",
    "[Hi|Hello], could you write a training file for {net}? The schedule is {schedule}.",
    "[Before we can merge,|For the merge,] we need one more file: {net} with {schedule}.",
    "[Train|Implement] {net} with {schedule}. [All requirements are listed below.|The requirements follow.]",
    "[Please write|Write] a file that trains {net} with {schedule} and meets these requirements.",
    "[Your|The] task is to write a file that trains {net} with {schedule}.",
    "Please implement this [design|specification] of {net} with {schedule}.",
    "We only have a stub for {net} with {schedule}; [please ]write the [complete|whole] file.",
)
"""The first sentences of detailed requests."""


def short(file: VerifiedFile, chance: random.Random) -> Instruction:
    """Return a note or a brief request."""
    return _note(file, chance) if chance.random() < _NOTES else _brief(file, chance)


def detailed(file: VerifiedFile, chance: random.Random) -> Instruction:
    """Return a request that states network, schedule, defaults, training, interface and the form of the answer."""
    opener = phrase(
        chance.choice(_OPENERS), chance, net=wording.network(file.architecture), schedule=file.variant.full_title
    )
    body = chance.choice(LAYOUTS)(file, chance)
    closer = phrase(chance.choice(_CLOSERS), chance)
    text = f"{opener} {closer}\n\n{body}" if chance.random() < 0.3 else f"{opener}\n\n{body}\n\n{closer}"
    return Instruction(text, system(file, set(Part)))


def any_length(file: VerifiedFile, chance: random.Random) -> Instruction:
    """Return a short or, twice as often, a detailed request."""
    return short(file, chance) if chance.random() < _SHORT else detailed(file, chance)


def _note(file: VerifiedFile, chance: random.Random) -> Instruction:
    variant = file.variant
    cadence = schedule.cadence(variant, chance)
    by_formula = variant.unit is not Unit.METRIC and len(variant.formula) <= _LONGEST and chance.random() > _NAMED
    text = phrase(
        chance.choice(_BY_FORMULA if by_formula else _NOTE),
        chance,
        net=wording.network(file.architecture),
        schedule=variant.full_title,
        bare=wording.bare(variant),
        given=schedule.given(variant, chance),
        defaults=schedule.defaults(variant, chance),
        brief=schedule.briefly(variant, chance) or "none",
        formula=variant.formula,
        steps=wording.counted_in(variant),
        cadence=cadence,
        per=f"{'per batch' if variant.per_batch else 'per epoch'}{wording.driven(variant)}",
        unit="batch" if variant.per_batch else "epoch",
    )
    return Instruction(text.replace("  ", " ").strip(), system(file, {Part.DEFAULTS}))


def _brief(file: VerifiedFile, chance: random.Random) -> Instruction:
    stated = {Part.DEFAULTS}
    named = chance.random() < _NAMED
    opener = phrase(
        chance.choice(_BRIEF if named else _UNNAMED),
        chance,
        net=wording.network(file.architecture),
        schedule=file.variant.full_title,
    )
    sentences = list(_sentences(file, chance, stated, named))
    if chance.random() < 0.5:
        stated.add(Part.ANSWER)
        sentences.append(phrase(chance.choice(_CLOSERS), chance))
    return Instruction(" ".join([opener, *sentences]), system(file, stated))


def _sentences(file: VerifiedFile, chance: random.Random, stated: set[Part], named: bool) -> Iterator[str]:
    """Yield the sentences of a brief request after the first, and add what they state."""
    variant = file.variant
    network, formula = chance.random() < 0.4, chance.random() < 0.3
    if network and named:
        yield wording.described(file.architecture)
    if not named or formula or chance.random() < 0.6:
        yield wording.summary(variant)
    classes = wording.implementation(file.source)
    yield phrase(
        "[Implement the scheduler with {classes} and step it {cadence}.|Use {classes} and step the scheduler {cadence}."
        "|The schedule advances {cadence}; implement it with {classes}.|The scheduler uses {classes} and is stepped "
        "{cadence}.]",
        chance,
        classes=classes,
        cadence=schedule.cadence(variant, chance),
    )
    if text := schedule.defaults(variant, chance):
        yield text
    if formula:
        stated.add(Part.SCHEDULE)
        yield f"{schedule.law(variant, chance)}\n\n{schedule.ending(variant, chance)}"
    if network:
        stated.add(Part.NETWORK)
        if not named:
            yield wording.described(file.architecture)
    if chance.random() < 0.3:
        stated.add(Part.TRAINING)
        yield wording.training(file)
