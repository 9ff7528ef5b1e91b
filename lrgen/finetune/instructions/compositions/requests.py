"""Requests for the code of a composition: words, the style that is asked for, and how the code is called."""

import random
import re

from lrgen.curves.compositions import Composition
from lrgen.finetune.example import SYSTEM
from lrgen.finetune.instructions import Instruction
from lrgen.finetune.instructions.compositions import interfaces, rules
from lrgen.finetune.instructions.compositions.words import words
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Realisation

_IN_SYSTEM = 0.45  # of the conventions are in the system's message
_ONLY = 0.35  # of the requests ask for code alone


def of_style(composition: Composition, realisation: Realisation, chance: random.Random) -> Instruction:
    """Return a request for the code of a composition in the style of a realisation."""
    return _request(composition, realisation, chance, interfaces.style(realisation, chance))


def of_any_style(composition: Composition, realisation: Realisation, chance: random.Random) -> Instruction:
    """Return a request that is answered by any code that is called as the realisation is."""
    return _request(composition, realisation, chance, phrase(chance.choice(_ANY), chance))


def _request(composition: Composition, realisation: Realisation, chance: random.Random, style: str) -> Instruction:
    counting = chance.random() >= _IN_SYSTEM
    system = SYSTEM if counting else f"{SYSTEM}\n\n{chance.choice(rules.SYSTEM)}"
    described = words(
        composition,
        chance,
        realisation.interface,
        counting=counting,
        total=interfaces.total(realisation, composition),
    )
    only = phrase(chance.choice(_CODE), chance) if chance.random() < _ONLY else ""
    called = interfaces.interface(realisation, composition, chance)
    layout = chance.choice(_LAYOUTS)
    openings = _OPENINGS if "{opening}\n\n{words}" in layout else _FREE
    prompt = phrase(
        layout,
        chance,
        opening=phrase(chance.choice(openings), chance, unit=composition.unit.value),
        words=_WORDS,
        style=style,
        interface=called,
        only=only,
    )
    return Instruction(_LOOSE.sub(" ", _TRAILING.sub("", prompt)).strip().replace(_WORDS, described), system)


_WORDS = "\0"  # in place of the words, whose spaces are kept
_TRAILING = re.compile(r" +$", re.MULTILINE)
_LOOSE = re.compile(r" {2,}")

_ANY = (
    "[Any style is fine|How it is implemented is up to you].",
    "[Use what you like|Choose the implementation] as long as `scheduler.step()` works.",
    "Whether that is a lambda, a class or built-in schedulers [does not matter|is your choice].",
    "",
    "",
)
_CODE = (
    "[Only|Just] the code, please.",
    "Code only[, no explanation|].",
    "[Answer|Reply] with the code[ alone| and its imports|].",
    "No training script, [just|only] this piece of code.",
    "[Include the imports|With imports], nothing else.",
    "No explanation needed.",
)
_LAYOUTS = (
    "{opening}\n\n{words}\n\n{style} {interface} {only}",
    "{opening}\n\n{words}\n\n{interface} {style} {only}",
    "{opening} {style} {interface}\n\n{words}\n\n{only}",
    "{opening} {interface}\n\n{words}\n\n{style} {only}",
    "{words}\n\n{opening} {style} {interface} {only}",
    "{style} {interface} {only}\n\n{words}",
    "{opening} {style}\n\n{words}\n\n{interface} {only}",
    "{interface} {style} {only}\n\n[Schedule|The schedule|Learning rate|What it should do]:\n\n{words}",
    "{opening}\n\n{words}\n\n[Interface|How it is called]: {interface} {style} {only}",
    "{words}\n\n{interface} {style} {only}",
)
# Openings that may stand apart from the words.
_FREE = (
    "[Write|Implement] this learning-rate schedule in PyTorch.",
    "[Turn|Translate] this description into code.",
    "[Can|Could] you [write|code] this schedule[ for me|]?",
    "[Implement|Write] the scheduler for this training plan.",
    "How would you [write|implement] this schedule?",
    "I have the schedule on paper and need it in code.",
    "Learning-rate schedule [wanted|needed], stepped per {unit}.",
    "[We are|I am] reproducing a run with this schedule.",
    "My [advisor|colleague] [suggested|proposed] this schedule.",
    "[Help me|Please help me] write this schedule.",
    "[Give|Write] me the code of a schedule with these phases.",
    "No scheduler in PyTorch does exactly this.",
    "The ablation needs one more schedule.",
    "This [replaces|is to replace] the cosine schedule that we have now.",
    "[Port|Move] this schedule from the config into code.",
    "A schedule [with exactly these numbers|exactly like this], please.",
    "[Make|Build] the schedule that is described here.",
    "Programming exercise: a learning-rate schedule.",
    "Next piece of the training code: the learning-rate schedule.",
    "[Hi|Hello], could you implement this schedule?",
    "[Take|Use] these phases and write the [schedule|code].",
    "We agreed on this schedule in the meeting.",
    "I sketched the schedule [in a notebook|on a whiteboard], now I need the code.",
    "For [fine-tuning|pre-training|training from scratch] we want this schedule.",
    "Reviewers asked for the exact schedule, so it goes into the repository.",
    "[Convert|Put] this into a PyTorch schedule.",
    "[We|I] train with a schedule that [is not|was never] in code yet.",
    "The trainer lacks this schedule.",
    "I keep getting the boundaries of this schedule wrong.",
    "Someone has to write our schedule [in PyTorch|for the new trainer].",
)
_OPENINGS = (
    *_FREE,
    "[I need|We need] the following learning-rate schedule[ in PyTorch|].",
    "[Please write|Please implement] the schedule below.",
    "[Here is|This is] the schedule [from|in] [the paper|our plan|the experiment sheet].",
    "The learning rate of the next run should [follow this plan|look like this].",
    "[Our|The] recipe [says|specifies] the following about the learning rate.",
    "[Task|Ticket|To do]: implement the schedule below.",
    "From the [training log|config] of an old run I [reconstructed|worked out] this schedule.",
    "Code for this schedule[, please|]:",
    "Specification of a learning-rate schedule:",
    "[For|In] our trainer we need a schedule that does this.",
    "The config file of another framework describes the schedule as follows.",
    "[Which code|What code] gives this learning rate?",
    "Below is what the learning rate must do[ at every step|].",
    "Write [the|a] schedule [to|that follows] this spec.",
    "[I'd like|I would like] to train with the schedule below.",
    "The design document has this section on the learning rate.",
    "Learning rate, stepped once per {unit}:",
    "[Complete|Fill in] the missing piece, the schedule:",
    "Schedule for the [baseline|large|small|long] run:",
    "[Convert|Put] the following into a PyTorch schedule.",
)
