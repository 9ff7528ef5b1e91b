"""Questions about the code of a composition, which ask for its phases in a form."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune.instructions.compositions import interfaces, rules
from lrgen.finetune.instructions.compositions.forms import Form
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import fenced
from lrgen.realisations import Realisation


def question(
    realisation: Realisation, composition: Composition, form: Form, terms: Terms, chance: random.Random
) -> str:
    """Return a question whose answer has the phases in a form, with levels and lengths as the terms have them."""
    if terms.levels is Levels.ABSOLUTE:
        levels = "learning rates"
    else:
        levels = f"{'percentages' if terms.levels is Levels.PERCENT else 'multiples'} of the base learning rate"
    lengths = terms.steps if terms.lengths is Lengths.STEPS else f"fractions of {terms.whole}"
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        opening=phrase(chance.choice(_OPENINGS), chance, entry=realisation.interface.entry),
        code=fenced(realisation.code),
        form=phrase(chance.choice(_FORMS[form]), chance),
        units=phrase(chance.choice(_UNITS), chance, levels=levels, lengths=lengths),
        rest=phrase(chance.choice(_REST[len(composition.groups) > 1, composition.repeats > 1]), chance),
        advances=rules.unit(composition, chance),
        called=interfaces.signature(realisation),
    )


_LAYOUTS = (
    "{opening} {advances}\n\n{code}\n\n{form} {units} {rest}",
    "{opening} {form} {units} {rest}\n\n{code}\n\n{advances}",
    "{code}\n\n{opening} {advances} {form} {units} {rest}",
    "{opening}\n\n{code}\n\n{advances} {form} {rest} {units}",
    "{form} {units} {rest} {advances}\n\n{code}",
    "{advances}\n\n{code}\n\n{opening} {form} {rest} {units}",
)
_OPENINGS = (
    "Which phases does this schedule have?",
    "[Explain|Describe] this learning-rate schedule phase by phase.",
    "[Split|Divide] the schedule of `{entry}` into its phases.",
    "What does `{entry}` do to the learning rate over training?",
    "I [inherited|took over] this code and need to know its phases.",
    "[Document|Please document] `{entry}`.",
    "[Read|Look at] the code and [list|give] the phases of the learning rate.",
    "Reverse-engineer this schedule.",
    "[Summarize|Summarise] what the learning rate does here.",
    "[Write|I need] a description of this schedule [for our wiki|for the README].",
    "For the [paper|report]: [what|which] schedule is this?",
    "This is how we set the learning rate[ in an older run|].",
    "[Code review|Review]: what does this schedule do?",
    "We want to rebuild this schedule in another framework.",
    "[Can|Could] you tell me the phases of this schedule?",
    "A colleague wrote `{entry}` [without any documentation|and left].",
    "Before I change `{entry}`, I want its phases on paper.",
    "From which level to which does the learning rate go, and when?",
    "[Turn|Convert] this code into a specification[ of the schedule|].",
    "[Walk|Take] me through the learning rate of this code.",
    "What would a plot of this learning rate look like, in words?",
    "The config of our new trainer describes schedules by phases.",
    "[Check|Tell me] what this schedule does[, from start to end|].",
    "[In|For] the methods section I must state this schedule exactly.",
    "Where does the learning rate rise, stay and fall here?",
    "[Hi|Hello], what is the schedule in this code?",
    "I have to explain `{entry}` to [a student|my team].",
    "The phases of this schedule, please.",
    "Extract the [learning-rate |]schedule from this code.",
    "Describe what comes out of `{entry}`.",
    "This schedule runs in production and nobody remembers it.",
    "[Identify|Name] each phase of this schedule with its numbers.",
    "What is the course of the learning rate in this code?",
    "Someone asked [how|what] we schedule the learning rate; this is the code.",
    "[Help me|Please help me] read this scheduler.",
    "TODO in the code: describe the schedule.",
    "Translate this [code|schedule] [back|] into words.",
    "Reproduction: which learning-rate schedule was used here?",
    "[State|Give] the schedule of this code exactly.",
    "Model card, training section: the learning-rate schedule.",
    "[Analyse|Analyze] this schedule.",
    "Take this schedule apart.",
)
_FORMS = {
    Form.PROSE: (
        "[Answer in prose|Write prose], a sentence or clause for each phase: shape, levels, length.",
        "One sentence per phase[, in order|], with its shape, its levels and its length.",
        "[In prose|In words]: each phase with shape, start, end and length.",
    ),
    Form.BULLETS: (
        "[Answer with|Give] a bullet for each phase: shape, levels, length.",
        "A bullet list, one phase per bullet, with shape, start and end level and length.",
        "[As bullets|In bullets], please: the shape, levels and length of every phase.",
    ),
    Form.NUMBERED: (
        "[Answer with|Give] a numbered list of the phases: shape, levels, length.",
        "Number the phases and give the shape, the levels and the length of each.",
        "A numbered list, one phase per line, with shape, levels and length.",
    ),
    Form.TABLE: (
        "[Answer with|Make] a Markdown table with a row for each phase: shape, start, end, length.",
        "As a table, one row per phase, with columns for length, shape, first and last level.",
        "[Put|Write] the phases into a table (length, shape, from, to).",
    ),
    Form.RANGES: (
        "[List|Give] the range of each phase with its shape and levels, a line each.",
        "One line per phase: from where to where, then the shape and its levels.",
        "[Answer|Reply] with ranges, each with the shape and the levels of its phase.",
    ),
    Form.JSON: (
        "[Answer with|Return] JSON: a list of phases, each with shape, length and levels, and `after_end`.",
        "As JSON, please, with an object for each phase (shape, length, levels) and `after_end`.",
    ),
    Form.YAML: (
        "[Answer with|Return] YAML: a list of phases, each with shape, length and levels, and `after_end`.",
        "As YAML, please, with an item for each phase (shape, length, levels) and `after_end`.",
    ),
}
_UNITS = (
    "Levels as {levels}, lengths as {lengths}.",
    "Give levels as {levels} and lengths as {lengths}.",
    "[State|Write] the levels as {levels}, the lengths as {lengths}.",
    "(Levels: {levels}; lengths: {lengths}.)",
)
# With parameter groups, with repeats.
_REST = {
    (False, False): (
        "Also say [what happens after the end|where it stays after the end].",
        "[Add|Include] the level after the last step.",
        "And [what follows|what comes] after the end?",
    ),
    (True, False): (
        "Also give the multipliers of the parameter groups and the level after the end.",
        "[Add|Include] the parameter groups' multipliers and what happens after the end.",
    ),
    (False, True): (
        "Also say how often [all of it|everything] repeats, and what happens after the end.",
        "[Add|Include] the repeats, with their factor if there is one, and the level after the end.",
    ),
    (True, True): (
        "Also give the repeats, the multipliers of the parameter groups and the level after the end.",
        "[Add|Include] repeats, parameter groups and what happens after the end.",
    ),
}
