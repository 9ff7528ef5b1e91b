"""Questions of task explain, each of which asks for all that an explanation is graded by."""

import random

from lrgen.finetune import wording
from lrgen.finetune.phrasing import phrase
from lrgen.records import Variant


def of_schedule(code: str, variant: Variant, chance: random.Random) -> str:
    """Return a question about a schedule without a network; its code does not show when it advances."""
    unit = phrase(chance.choice(_UNITS), chance, advances=wording.advances(variant))
    return _question(code, variant, chance, _OPENINGS, _LAYOUTS, unit=unit)


def of_file(code: str, variant: Variant, chance: random.Random) -> str:
    """Return a question about a whole file: its network and optimizer, its schedule and when it advances."""
    return _question(code, variant, chance, _OPENINGS_OF_FILES, _LAYOUTS_OF_FILES)


def _question(
    code: str,
    variant: Variant,
    chance: random.Random,
    openings: tuple[str, ...],
    layouts: tuple[str, ...],
    **fields: str,
) -> str:
    rule = "formula" if variant.metric is None else "rule"
    asked = ("name", rule, "hyperparameters", "end")
    items = [phrase(chance.choice(_ITEMS[name]), chance) for name in asked]
    inline = [f"{item[0].lower()}{item[1:]}" for item in items]
    listed = f"{', '.join(inline[:-1])}, and {inline[-1]}"
    return phrase(
        chance.choice(layouts),
        chance,
        code=wording.fenced(code),
        opening=phrase(chance.choice(openings), chance),
        items=phrase(chance.choice(_SENTENCES), chance, items=listed),
        bullets=wording.bullets(items),
        numbered="\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1)),
        questions=" ".join(phrase(chance.choice(_QUESTIONS[name]), chance) for name in asked),
        terse=phrase(chance.choice(_TERSE[rule]), chance),
        network=phrase(chance.choice(_NETWORK), chance),
        **fields,
    )


# When a schedule without a network advances.
_UNITS = (
    "It [is stepped|advances|is advanced] {advances}.",
    "`scheduler.step` is called {advances}.",
    "[The training loop|Our loop] steps it {advances}.",
    "For context: it [is stepped|advances] {advances}.",
    "(Stepped {advances}.)",
)

# What is asked for, as phrases.
_ITEMS = {
    "name": (
        "the [schedule's name|name of the schedule] as recorded in `scheduler.schedule`",
        "the name that the code gives the schedule",
        "the name of the schedule [from|in] `scheduler.schedule`",
        "[what the code calls the schedule|what the schedule is called in the code]",
    ),
    "formula": (
        "the formula of the learning rate in terms of the step `t` and the horizon `T`",
        "a formula for the learning rate at step `t` of `T`",
        "the learning rate as a formula (`t`: completed steps, `T`: `total_steps`)",
        "the multiplier of `lr` as a formula in `t` and `T` (`total_steps`)",
    ),
    "rule": (
        "the rule by which the learning rate changes, with all its numbers",
        "when the learning rate changes and by how much (all numbers, please)",
        "the exact update rule of the learning rate with its constants",
    ),
    "hyperparameters": (
        "the hyperparameters of the schedule with their meanings and defaults",
        "each hyperparameter that the schedule reads from `prm` (with its default)",
        "the meaning and the default of each hyperparameter of the schedule",
        "the schedule's hyperparameters and their defaults",
    ),
    "end": (
        "[what happens|what the learning rate does] after `total_steps`",
        "the behaviour [past|after] `total_steps`",
        "the learning rate [past|beyond] the horizon",
        "what the schedule does if training goes on after `total_steps`",
    ),
}

_SENTENCES = (
    "[I need|Tell me|Please state|State] {items}.",
    "[Include|Cover|The answer should have] {items}.",
    "[I am interested in|What I am after is] {items}.",
    "[Needed|Required|Wanted]: {items}.",
    "[Please write down|Write down] {items}.",
)

_QUESTIONS = {
    "name": (
        "[What is the schedule called in the code?|What does the code call the schedule?]",
        "Which name does `scheduler.schedule` record?",
        "What is the schedule's name in `scheduler.schedule`?",
    ),
    "formula": (
        "What is the formula of the learning rate in `t` and `T`?",
        "Which formula gives the learning rate at step `t` of `T`?",
        "Which formula gives the learning rate as a function of `t` and `T`?",
    ),
    "rule": (
        "By which rule does the learning rate change, with which numbers?",
        "When exactly does the learning rate change, and by which factor?",
    ),
    "hyperparameters": (
        "Which hyperparameters does the schedule [read|have], and what are their defaults?",
        "What are the schedule's hyperparameters and [their defaults|the default of each]?",
    ),
    "end": (
        "What happens after `total_steps`?",
        "What does the learning rate do past the [end|horizon]?",
        "And what happens after `total_steps`?",
    ),
}

_TERSE = {
    "formula": (
        "Name in `scheduler.schedule`, formula in t and T, `prm` defaults, behaviour past `total_steps`?",
        "[Which schedule|What schedule] is this (name from the code)? Formula, defaults, behaviour after "
        "`total_steps`?",
        "Name from the code, formula, hyperparameters with defaults, behaviour past the end[, please|].",
        "Schedule → name [as in the code|recorded by the code]; lr(t) with T steps; defaults; after T?",
    ),
    "rule": (
        "Name in `scheduler.schedule`, update rule with all numbers, `prm` defaults, behaviour past `total_steps`?",
        "[Which schedule|What schedule] is this (name from the code)? Rule, constants, defaults, behaviour after "
        "`total_steps`?",
        "Name from the code, rule with its constants, hyperparameters with defaults, behaviour past the "
        "end[, please|].",
    ),
}

_OPENINGS = (
    "[Explain|Please explain] this learning-rate schedule.",
    "What does the learning rate do here?",
    "I found this `make_scheduler` in a repository[ without documentation|].",
    "[Document|Please document] this scheduler.",
    "[Describe|Summarize] the schedule that this code implements.",
    "Which schedule is this?",
    "[Could|Can] you [explain|walk me through] this scheduler?",
    "[I inherited|We inherited] this [scheduler|code] and [would like|need] to understand it.",
    "[Write|I need] [documentation|a README section|a wiki page] for this schedule.",
    "What is this code doing to the learning rate?",
    "[Code review|Review question]: what does this scheduler do?",
    "[I am reviewing|I'm looking at] a pull request with this scheduler.",
    "Turn this code into a description [of the schedule|of what it does].",
    "[Read|Look at] this `make_scheduler` and [tell me|say] which schedule it builds.",
    "For [our|the] wiki: [describe|explain] this schedule.",
    "We are writing [a paper|a report|a model card] and must state the [learning-rate|] schedule that was used.",
    "New to this [project|code base]: what does [this|the] scheduler do?",
    "[Help me|Please help me] understand this scheduler.",
    "The code below sets the learning rate.",
    "This is [the scheduler of|how we scheduled the learning rate in] an older [experiment|run].",
    "Reverse-engineer this schedule.",
    "What exactly is this schedule?",
    "[Give|Write] a precise description of this schedule.",
    "What would you write in the methods section about this schedule?",
    "[I want|I would like] to reimplement this schedule in [JAX|another framework] and need [its definition|a "
    "specification].",
    "Specify the schedule that this code implements.",
    "Explain the code [below|] to [someone|a colleague] who [has to tune|tunes] it.",
    "From the code [alone|below], [state|work out] which schedule it is.",
    "Before I change [this scheduler|it], I need to know what it does.",
    "TODO: document `make_scheduler`.",
)

_LAYOUTS = (
    "{opening} {unit} {items}\n\n{code}",
    "{opening}\n\n{code}\n\n{unit} {items}",
    "{opening} {unit}\n\n{code}\n\n[Please cover|Cover|Answer with|I need]:\n\n{bullets}",
    "{opening}\n\n{code}\n\n{unit} {questions}",
    "{opening} {unit} {questions}\n\n{code}",
    "{code}\n\n{opening} {unit} {items}",
    "{opening} {unit}\n\n{numbered}\n\n{code}",
    "{items} {unit}\n\n{code}",
    "{questions} {unit}\n\n{code}",
    "{terse} {unit}\n\n{code}",
    "{code}\n\n{unit} {terse}",
)

_NETWORK = (
    "[State|Name] the network, the optimizer and whether the schedule advances per epoch or per batch.",
    "Say which network is trained with which optimizer, and when the schedule advances.",
    "[Begin|Start] with the network and the optimizer; say how often the schedule advances.",
    "Which network and which optimizer is it, and is the schedule stepped per epoch or per batch?",
    "Name the network, its optimizer and the unit in which the schedule advances.",
)

_OPENINGS_OF_FILES = (
    "Which learning-rate schedule does this file use?",
    "[Explain|Describe] how the learning rate [evolves|changes] in this [training module|file].",
    "Explain how this network is trained, in particular its learning-rate schedule.",
    "[Summarize|Describe] the training setup of this [file|module].",
    "[I am new to|I don't know] this [code base|file].",
    "[Write|Draft] the [training|optimization] section of a [model card|report] for this [file|module].",
    "[Document|Please document] this [training file|module].",
    "What would you write about this file in a [methods section|paper]?",
    "[Review|Code review]: how is this network trained?",
    "[We|I] found this file in [an archive|an old experiment] and [want|need] to know what it trains.",
    "[Read|Go through] this module and explain its schedule.",
    "What happens to the learning rate when this file trains?",
    "[Give|Write] a summary of this training code[ for a new colleague|].",
    "[Can|Could] you explain the schedule in this file?",
    "A run of this file has to be reproduced in another framework.",
)

_LAYOUTS_OF_FILES = (
    "{opening} {network} {items}\n\n{code}",
    "{opening}\n\n{code}\n\n{network} {items}",
    "{opening} {network}\n\n{code}\n\n[On the schedule|For the schedule]:\n\n{bullets}",
    "{opening}\n\n{code}\n\n{network} {questions}",
    "{code}\n\n{opening} {network} {items}",
    "{opening} {network}\n\n[The schedule|About the schedule]:\n\n{numbered}\n\n{code}",
    "{network} {questions}\n\n{code}",
    "{terse} {network}\n\n{code}",
)
