"""Requests for the code at a TODO. The docstring of the file names the schedule; request and system's message
define it.
"""

import random

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.instructions import Instruction, schedule
from lrgen.finetune.instructions.system import Part, system
from lrgen.finetune.phrasing import phrase
from lrgen.source import sections

_SHOWN = (Part.NETWORK, Part.TRAINING, Part.ANSWER)
"""What the file and the request state in every case."""

_OPENERS = (
    "`make_scheduler` is missing from this file.",
    "[Complete|Finish] the code at the TODO[ so that the file does what its docstring says].",
    "[The scheduler|`make_scheduler`] of this [module|file] has been [removed|deleted].",
    "[Please ]implement the TODO[ in this file].",
    "[What is missing|What goes|Which code belongs] at the TODO[ in this file]?",
    "[Please ]write `make_scheduler(optimizer, total_steps, prm)` for this [module|file].",
    "A bad merge has [removed|dropped] `make_scheduler` from this file.",
    "This file fails with a NameError: `make_scheduler` is not defined.",
    "[Only|Just] the scheduler is [missing from|left to write in] this [file|module].",
    "The network and the training loop are done, the scheduler is not.",
    "[Can|Could] you [please ][implement|write] the scheduler of this [file|module]?",
    "The TODO in this file [is still open|has to go before we merge|blocks the review].",
    "[Review comment|From the review]: the TODO has to be implemented[ before the merge].",
    "Fill in the middle of this file, the code at the TODO.",
    "Replace the TODO [comment|line] with a working [scheduler|implementation].",
    "[Here|Below] is a training file without its scheduler.",
    "The training file below lacks its scheduler.",
    "[I|We] need the [scheduler|code] for the TODO in this file.",
    "[Hi|Hello], I have lost the scheduler code of this file[; can you write it again?|. Can you restore it?]",
    "This file calls `make_scheduler` but does not define it.",
    "[Task|To do|Next]: implement `make_scheduler` in this file.",
    "Restore `make_scheduler`[ and the helpers that it needs].",
    "Write the part of this file that creates the [learning-rate ]scheduler.",
    "Complete this file at the TODO.",
    "The docstring of this file names the schedule; write the code for it.",
    "Make this file run: [implement|write] `make_scheduler`.",
    "[Before the run can start|For the next run], I need the scheduler of this file.",
    "How would you implement the TODO in this file?",
    "Code completion: the file stops at the TODO and goes on after it.",
)

_CLOSERS = (
    "[Answer|Reply] with [the missing code only|only the missing code|the code that replaces the TODO comment and "
    "nothing else].",
    "[Give|Send] me [only the missing code|just the code for the TODO].",
    "[Only|Just] the [missing code|code for the TODO], please.",
    "[Return|Show|Write] [only ]the code that replaces the TODO [comment|line].",
    "[Return|Show] the missing code; the rest of the file stays as it is[ and is not repeated].",
    "[Do not repeat|Leave out] the rest of the file[; the imports are there already].",
    "Nothing but the [missing code|code for the TODO], please[; no explanations].",
)

_FILE_FIRST = 0.15  # of the requests follow the file


def instruction(file: VerifiedFile, chance: random.Random) -> Instruction:
    """Return a request with the incomplete file, which is the first code block."""
    code = wording.fenced(sections.parse(file.source).incomplete)
    below = chance.random() < _FILE_FIRST
    openers = [opener for opener in _OPENERS if not (below and ("elow" in opener or "Here" in opener))]
    stated = set(_SHOWN)
    sentences = [
        phrase(chance.choice(openers), chance),
        *_definition(file, chance, stated),
        phrase(chance.choice(_CLOSERS), chance),
    ]
    text = " ".join(sentences)
    return Instruction(f"{code}\n\n{text}" if below else f"{text}\n\n{code}", system(file, stated))


def _definition(file: VerifiedFile, chance: random.Random, stated: set[Part]) -> list[str]:
    """Return sentences on the schedule, and add what they state: nothing, the defaults, or all of it."""
    variant = file.variant
    level = chance.choice(("none", "defaults", "all"))
    if level == "none":
        return []
    stated.add(Part.DEFAULTS)
    fields = {
        "schedule": variant.title,
        "classes": wording.implementation(file.source),
        "cadence": schedule.cadence(variant, chance),
    }
    named = phrase(
        "[The schedule is|The schedule should be|The file trains with|We use|Schedule:] {schedule}.", chance, **fields
    )
    defaults = schedule.defaults(variant, chance)
    if level == "defaults":
        about = wording.summary(variant) if chance.random() < 0.5 else ""
        built = phrase("[The scheduler uses {classes}.|Use {classes} for the scheduler.|]", chance, **fields)
        return [text for text in (named, about, built, defaults) if text]
    stated.add(Part.SCHEDULE)
    built = phrase(
        "[The scheduler is implemented with {classes} and stepped {cadence}.|Use {classes} for the scheduler; it is "
        "stepped {cadence}.|The schedule advances {cadence}; use {classes}.]",
        chance,
        **fields,
    )
    law = schedule.law(variant, chance)
    texts = [named, wording.summary(variant), built, defaults, law] if chance.random() < 0.5 else [built, defaults, law]
    return [f"{' '.join(text for text in texts if text)}\n\n{schedule.ending(variant, chance)}"]
