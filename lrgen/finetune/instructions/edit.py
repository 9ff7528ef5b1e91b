"""Requests for another schedule, or other defaults, in a given file: as a diff or as the whole new file."""

import random
import re
from collections.abc import Iterator, Sequence

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.instructions import Instruction, contract, schedule
from lrgen.finetune.instructions.system import Part, system
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import listed
from lrgen.records import Hyperparameter, Practice, PracticeKind, Variant
from lrgen.source import diffs, sections
from lrgen.source.practice_words import TITLES

OF_RECIPES = (PracticeKind.CLIPPING, PracticeKind.LABEL_SMOOTHING)  # practices that replace a part of the recipe
_NAMED = 0.8  # of the requests name the new schedule

_AS_DIFF = (
    "[Answer|Reply] with a unified diff of `{name}`.",
    "[Give|Send] me the change as a patch to `{name}` [for|that applies with] `git apply`.",
    "I only need the diff (`--- a/{name}`, `+++ b/{name}`).",
    "[Only|Just] a unified diff, please; the file is `{name}`.",
    "[Return|Write] a patch for `{name}`[, nothing else].",
    "[Show|Send] the change as a unified diff from `a/{name}` to `b/{name}`.",
)
_AS_FILE = (
    "[Answer|Reply] with the [whole|complete] [new|changed] file[ and nothing else|, without Markdown].",
    "[Show|Send|Return] the [complete|whole] [updated|changed|new] file.",
    "[Give|Send] me the [whole|complete] file after the change.",
    "[I need|Please write out] the [whole|complete] [new|changed] file.",
    "No diff, please: the [whole|complete] [new|changed] file.",
)

_CHANGES = (
    "Replace {the_old} in this file by {new}.",
    "This file trains {net} with {old}. [Use|I want|Switch it to] {new} instead.",
    "[Change|Switch] the schedule [of this file ]to {new}.",
    "[Switch|Move] this [file|module] from {old} to {new}.",
    "Use {new} instead of {old}[ here| in this file].",
    "[Please ]rewrite the scheduler of this file for {new}.",
    "Train this network with {new} instead[ of {old}].",
    "[Can|Could] you change this [file|module] so that it [trains with|uses] {new}?",
    "[I want|We want] to compare {old} with {new}; change this file to the latter.",
    "We have [tried|run] {old}; [next comes|the next one is] {new}. Adapt the file.",
    "The next run of {net} uses {new}. Change this file accordingly.",
    "[Review comment|From the review]: this should be {new}, not {old}.",
    "{net}: {new} instead of {old}.",
    "What has to change in this file to train with {new}?",
    "How do I change this file from {old} to {new}?",
    "[Task|To do|Ticket]: replace {the_old} by {new} in this file.",
    "[Drop|Remove] {the_old}[ here]; the schedule should be {new}.",
    "[Port|Convert] this [file|module] to {new}.",
    "Same network, other schedule: {new}.",
    "Keep the network and [change|replace] the schedule: {new} [instead of|rather than] {old}.",
    "[Hi|Hello], this file uses {old}. Could you make it {new}?",
    "I used {old} in this file by mistake; it should be {new}.",
    "For the ablation, I need this file with {new}[ instead of {old}].",
    "{bare_old} -> {bare_new}, please.",
    "The learning rate of this file follows {old}. Make it follow {new}.",
    "[Could|Would] you try {new} in this file, in place of {old}?",
    "Here is a file with {old}. I need it with {new}.",
    "[Please ]update the schedule of this file: {new} instead of {old}.",
    "This file should train with {new}[, not {old}].",
    "[Make|Write] a version of this file with {new}.",
    "We are moving on from {the_old}; [switch|move] this file to {new}.",
    "What would this file look like with {new}?",
    "The plan says {new}, but this file trains with {old}. [Fix|Correct] the file.",
    "Let's replace {the_old} by {new}.",
    "Next experiment: {net} with {new}. Start from this file.",
    "Our paper uses {new}; this file still has {old}. Bring it up to date.",
)

_UNNAMED = (
    "Change the [learning-rate ]schedule of this [file|module].",
    "This file needs another schedule.",
    "[Can|Could] you give this file another schedule?",
    "The learning rate of this file should follow another rule.",
    "[Replace|Rewrite] the schedule of this file[ as follows].",
    "Keep the network of this file[,] but not its schedule.",
    "I would like another schedule in this file[, in place of {old}].",
    "The next run of {net} has another schedule[; change this file].",
)
"""Requests for a change that describe the new schedule without its name."""

_NEW_DEFAULTS = (
    "Keep the schedule of this file but change its default{s}: {changes}.",
    "Change the default{s} [in|of] this file: {changes}.",
    "[Please ]change {changes} in this file.",
    "[Only the defaults change|Same schedule, other defaults]: {changes}.",
    "We want [other|different] defaults in this file: {changes}.",
    "[Review comment|From the review|Ticket]: change {changes}.",
    "[Can|Could] you move {changes} in this file?",
    "[Tune|Adjust] this file: change {changes}.",
    "For the next run, change {changes}.",
    "The default{s} of this file should change: {changes}.",
    "I am comparing values of {names}. Change {changes}.",
    "[Task|To do]: change {changes}[ and|,] leave everything else as it is.",
)
"""Requests for other defaults, ``changes`` being "`gamma` from 0.1 to 0.2"."""

_RESULTS = (
    "The result is {new}.",
    "This makes it {new}.",
    'The schedule is then called "{new}".',
    'Call the result "{new}" in the docstring and in `scheduler.schedule`.',
    'In the docstring and in `scheduler.schedule`, it is then called "{new}".',
)


def instruction(before: VerifiedFile, after: VerifiedFile, as_diff: bool, chance: random.Random) -> Instruction:
    """Return a request with the file to change, which is the first code block."""
    stated = {Part.NETWORK, Part.ANSWER}
    if wording.training(after) == wording.training(before):
        stated.add(Part.TRAINING)
    changed = changed_defaults(before, after, chance)
    request = _defaults(after, changed, chance, stated) if changed else _change(before, after, chance, stated)
    answer = phrase(chance.choice(_AS_DIFF if as_diff else _AS_FILE), chance, name=diffs.FILE_NAME)
    return Instruction(f"{request} {answer}\n\n{wording.fenced(before.source)}", system(after, stated))


_PRACTICES = (
    "[Please ]{request}.",
    "[Can|Could] you {request}?",
    "[Task|To do|Ticket]: {request}.",
    "Keep the network and the schedule of this file, but {request}.",
    "The next run of {net} needs this: {request}.",
    "[Review comment|From the review]: {request}.",
    "[Hi|Hello], {request}, please.",
    "This file trains {net} with {schedule}. Now {request}[; the schedule stays].",
    "How do I change this file? I want to {request}.",
    "Everything in this file stays as it is, with one change: {request}.",
    "{net} with {schedule}: {request}.",
)
"""Requests for a practice in a file that has none; "this" in a request is the file."""


_OTHER_PRACTICES = (
    "Instead of {old}, {request}.",
    "This file [uses|has] {old}. Instead, {request}.",
    "[Please ]{request}, [instead of|in place of] {old}.",
    "[Task|To do|Ticket]: {request}, no longer {old}.",
    "[Review comment|From the review]: this should not be {old}; {request}.",
    "We have [tried|run] {old}; now {request}.",
    "[Hi|Hello], this file trains {net} with {before}. Could you {request}?",
    "The schedule of this file stays, {old} does not: {request}.",
    "[Can|Could] you replace {old} in this file? I want to {request}.",
    "For a comparison with {old}, {request}.",
    "How do I change this file? In place of {old}, I want to {request}.",
)
"""Requests for a practice in a file that has another one of its kind, ``old``."""

_WITHOUT_PRACTICE = (
    "[Please ]remove {the_old} from this [file|module].",
    "[Can|Could] you [remove|drop] {the_old}[ from this file]?",
    "[Task|To do|Ticket]: [remove|drop] {the_old}[ and|,] keep everything else.",
    "Train {net} with {schedule} alone, without {the_old}.",
    "We no longer need {the_old}[ here]; the schedule stays[ as it is].",
    "[Review comment|From the review]: [remove|drop] {the_old}; the rest is fine.",
    "[Hi|Hello], could you take {the_old} out of this file[, please]?",
    "This file trains {net} with {before}. I need {schedule} alone.",
    "For the ablation, I need this file without {the_old}.",
    "How do I change this file so that it trains without {the_old}?",
    "Undo {the_old} in this file[; the network and the schedule stay].",
    "{net} with {schedule}: no longer with {the_old}.",
)
"""Requests for the schedule alone in a file that has a practice."""


def practice(before: VerifiedFile, after: VerifiedFile, as_diff: bool, chance: random.Random) -> Instruction:
    """Return a request for the practice of a file, or for none, with a file that has the same schedule."""
    old, new = before.variant.practice, after.variant.practice
    request = phrase(
        chance.choice(_PRACTICES if old is None else _OTHER_PRACTICES if new else _WITHOUT_PRACTICE),
        chance,
        request=new.request if new else "",
        old=re.sub("^(and|in|using) ", "", old.title) if old else "",
        the_old=_the(old) if old else "",
        net=wording.network(after.architecture),
        schedule=after.variant.title,
        before=before.variant.full_title,
    )
    title = f'In the docstring, the file is then "{after.architecture.title} trained with {after.variant.full_title}".'
    answer = phrase(chance.choice(_AS_DIFF if as_diff else _AS_FILE), chance, name=diffs.FILE_NAME)
    text = " ".join([request, *wording.practice_of(after.variant), title, answer])
    stated = {Part.NETWORK, Part.SCHEDULE, Part.DEFAULTS, Part.TRAINING, Part.ANSWER}
    if new is None and old and old.kind in OF_RECIPES:
        stated.remove(Part.TRAINING)  # the file does not show what its recipe has without the practice
    return Instruction(f"{text}\n\n{wording.fenced(before.source)}", system(after, stated))


def _the(asked: Practice) -> str:
    """Return what a practice is called in a file that has it: ``mixed precision``, ``the curriculum``, ``CutMix``."""
    if asked.kind is PracticeKind.MIXUP:
        return asked.title.removeprefix("using ")
    return re.sub("^an? ", "the ", TITLES[asked.kind])


def changed_defaults(before: VerifiedFile, after: VerifiedFile, chance: random.Random) -> dict[str, str]:
    """Return the changed defaults of two files that differ only in defaults, by name; empty for all other files."""

    def kind(file: VerifiedFile) -> tuple[object, ...]:
        variant = file.variant
        names = [parameter.name for parameter in variant.hyperparameters]
        implementation = wording.implementation(file.source)
        return variant.formula, variant.constants, names, variant.past_end, wording.advances(variant), implementation

    if kind(before) != kind(after):
        return {}
    pairs = zip(before.variant.hyperparameters, after.variant.hyperparameters, strict=True)
    return {old.name: _from_to(old, new, chance) for old, new in pairs if old.default != new.default}


def _from_to(old: Hyperparameter, new: Hyperparameter, chance: random.Random) -> str:
    """Return two numbers in the same notation: ``from 10% to 5%``."""
    texts = [[schedule.numerals(each)[0] for each in (old, new)]]
    for mark in ("%", "/", "."):
        forms = [[text for text in schedule.numerals(each) if mark in text] for each in (old, new)]
        if all(forms):
            texts.append([form[0] for form in forms])
    return "from {} to {}".format(*chance.choice(texts))


def _defaults(after: VerifiedFile, changed: dict[str, str], chance: random.Random, stated: set[Part]) -> str:
    stated |= {Part.SCHEDULE, Part.DEFAULTS}
    request = phrase(
        chance.choice(_NEW_DEFAULTS),
        chance,
        s="s" * (len(changed) > 1),
        names=listed([f"`{name}`" for name in changed]),
        changes=listed([f"`{name}` {change}" for name, change in changed.items()]),
    )
    result = phrase(chance.choice(_RESULTS), chance, new=after.variant.title)
    about = wording.summary(after.variant) if chance.random() < 0.4 else ""
    return " ".join(text for text in (request, result, about) if text)


def _change(before: VerifiedFile, after: VerifiedFile, chance: random.Random, stated: set[Part]) -> str:
    named = chance.random() < _NAMED
    templates: Sequence[str] = _CHANGES if named else _UNNAMED
    if named and re.search(r", | to ", before.variant.title):
        templates = [text for text in _CHANGES if not re.search(r"old\} (by|in|to|with|for)\b", text)]
    request = phrase(
        chance.choice(templates),
        chance,
        net=wording.network(after.architecture),
        old=before.variant.title,
        new=after.variant.title,
        the_old=re.sub("^an? ", "the ", before.variant.title),
        bare_old=wording.bare(before.variant),
        bare_new=wording.bare(after.variant),
    )
    return " ".join([request, *_sentences(before, after, chance, stated, named)])


def _sentences(
    before: VerifiedFile, after: VerifiedFile, chance: random.Random, stated: set[Part], named: bool
) -> Iterator[str]:
    """Yield sentences on the new schedule, and add what they state: the defaults, the differences, or all of it."""
    variant = after.variant
    level = chance.choice(("defaults", "differences", "all") if named else ("differences", "all"))
    stated.add(Part.DEFAULTS)
    if level != "defaults":
        yield wording.summary(variant)
        yield from _differences(before, after, chance)
        stated.add(Part.TRAINING)
    elif chance.random() < 0.5:
        yield schedule.stepped(variant, chance)
    if text := schedule.defaults(variant, chance):
        yield text
    if level == "all":
        stated.add(Part.SCHEDULE)
        yield f"{schedule.law(variant, chance)}\n\n{schedule.ending(variant, chance)}"


def _differences(before: VerifiedFile, after: VerifiedFile, chance: random.Random) -> Iterator[str]:
    """Yield sentences on the class, unit, training and hyperparameters of the new schedule where they differ."""
    old, new = before.variant, after.variant
    classes = wording.implementation(after.source)
    if classes != wording.implementation(before.source):
        yield phrase("[Implement it with {classes}.|Use {classes} for it.]", chance, classes=classes)
    if wording.stepping(new) != wording.stepping(old):
        yield contract.stepping(new, chance)
    yield from _advances(before.variant, after.variant, chance)
    if wording.training(after) != wording.training(before):
        lead = phrase("[The training setup changes, too.|Training changes as well.]", chance)
        yield f"{lead} {wording.training(after)}"
    names = sections.parse(after.source).hyperparameters
    removed = [f"`{name}`" for name in sections.parse(before.source).hyperparameters if name not in names]
    if removed:
        yield phrase(
            "[Remove|Drop] {names} from `supported_hyperparameters`[; {they} no longer needed].",
            chance,
            names=listed(removed),
            they="they are" if len(removed) > 1 else "it is",
        )


def _advances(old: Variant, new: Variant, chance: random.Random) -> Iterator[str]:
    """Yield a sentence on the unit of the new schedule, or else on its metric, if it differs."""
    unit, other = (f"once per {each.cadence or each.unit}" for each in (new, old))
    if unit != other:
        template = (
            "[The schedule advances {unit}{driven}, not {other}.|The scheduler is now stepped {unit}{driven}, no "
            "longer {other}.]"
        )
        driven = wording.driven(new)
        yield phrase(template, chance, unit=unit, other=other, driven=driven)
        return
    metric, former = (wording.driven(each).removeprefix(", driven by ") for each in (new, old))
    if metric == former:
        return
    if not metric:
        yield f"The schedule is no longer driven by {former}."
    elif not former:
        yield f"The schedule is now driven by {metric}."
    else:
        yield phrase(
            "[The schedule is now driven by {metric}, no longer by {former}.|It is {metric} that counts now, not "
            "{former}.]",
            chance,
            metric=metric,
            former=former,
        )
