"""Questions of task worked: code, how it is called, one step, and the form of the working."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrgen.finetune import wording
from lrgen.finetune.instructions.realised import calls
from lrgen.finetune.instructions.realised.calls import Setting
from lrgen.finetune.phrasing import phrase
from lrgen.verify.working import Executed, Kind, text

Statements = Sequence[Executed]


@dataclass(frozen=True)
class Form:
    """A form of the working.

    Attributes:
        requests: templates of the sentences that ask for it.
        write: writes the statements before the step, those of the step, and the learning rate with its expression.
    """

    requests: Sequence[str]
    write: Callable[[Statements, Statements, str, str, random.Random], str]


def question(setting: Setting, step: int, form: Form, chance: random.Random) -> str:
    """Return a question about code."""
    group = setting.of_group(chance)
    fields = {"step": str(step), "group": group, "unit": setting.unit}
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        code=wording.fenced(setting.realisation.code),
        opening=phrase(chance.choice(_OPENINGS), chance, **fields),
        call=calls.sentences(setting, chance),
        request=phrase(chance.choice(_REQUESTS), chance, **fields),
        values=phrase(chance.choice(_VALUES), chance),
        answer=phrase(chance.choice(form.requests), chance),
        last=phrase(chance.choice(_LAST), chance),
    )


_LAYOUTS = (
    "{opening}\n\n{code}\n\n{call} {request} {values} {answer} {last}",
    "{opening}\n\n{code}\n\n{call}\n\n{request} {values}\n\n{answer} {last}",
    "{code}\n\n{call} {request} {values} {answer} {last}",
    "{call} {request}\n\n{code}\n\n{values} {answer} {last}",
    "{opening} {values} {answer} {last}\n\n{code}\n\n{call} {request}",
    "{opening}\n\n{call}\n\n{code}\n\n{request} {values} {answer} {last}",
)

_OPENINGS = (
    "Work through this code [by hand|on paper].",
    "[I want|I'd like] to understand [how this schedule gets to its value|where a learning rate comes from].",
    "[Walk|Take] me through [this|the] schedule for one {unit}.",
    "[Show|Write out] the [calculation|working] behind a learning rate.",
    "Step through [this|the] code [like a debugger|as a debugger would].",
    "[Which|What] values do the variables of this code have on the way to the learning rate?",
    "[The log|Our log] shows a learning rate at {unit} {step} that surprises me. This is the [schedule|code].",
    "Trace the execution of [this|the] code for one step.",
    "Explain one value of this schedule, number by number.",
    "[Exercise|Task]: evaluate this schedule by hand.",
    "[A student|A colleague] asks how this code gets to its learning rate.",
    "Do the arithmetic of [this|the] schedule for step {step}.",
    "[For a code review|Reviewing this], I want to see one value worked out.",
    "Follow the code [below|] to the learning rate[, one statement at a time|].",
    "[Simulate|Dry-run] this [schedule|code] for a single {unit}.",
    "[Before|Prior to] the run I want to check one point of this schedule by hand.",
    "[Please|Could you] derive the learning rate [below|] from the code, with [all|the] numbers.",
    "How does this code compute the learning rate at step {step}?",
    "[Which|What] branch does this code take at step {step}, and with which numbers?",
    "[I am writing|We are writing] [a tutorial|documentation] and need a worked example of this schedule.",
    "[Compute|Calculate] one learning rate of this schedule and show [your work|the working].",
    "[This|The] schedule [has been ported|was ported] to another framework; I compare it variable by variable.",
    "My own calculation for step {step} disagrees with the code. Where [am I wrong|do I go wrong]?",
    "I need the intermediate values of this schedule at one step[, for a unit test|].",
    "[Evaluate|Unroll] this code at step {step}.",
    "Reason through the schedule below.",
    "[What happens|What does the code do] at step {step}?",
    "[No interpreter at hand|I have no Python here]: please evaluate this by hand.",
    "Substitute the numbers into this code.",
    "Here is [the|a] schedule [from our training code|of a run|that we use].",
    "[Let us|Let's] check this schedule at {unit} {step}.",
    "Derive [a|one] learning rate from the source below.",
    "[Rubber duck|Sanity check]: go through this schedule with me.",
    "Given the code below, work out a learning rate.",
    "[What|Which] learning rate results at step {step}, and why?",
    "Read this code and evaluate it for one step.",
    "I cannot follow this schedule[ at step {step}|]. Go through it with numbers.",
    "[Verify|Check] this schedule [by calculation|by hand] at one step.",
    "Put numbers to this schedule.",
    "[Give|Show] me a worked example for this schedule.",
    "Replay this code for step {step}.",
    "A unit test fails at step {step}. [I need|We need] the correct intermediate values.",
)

_REQUESTS = (
    "What is the learning rate{group} at step {step}?",
    "[Work out|Compute|Calculate] the learning rate{group} at step {step}.",
    "[Derive|Evaluate] the learning rate{group} at step {step}.",
    "Go through the code for step {step}, up to the learning rate{group}.",
    "How does the learning rate{group} at step {step} come about?",
    "I need the learning rate{group} at step {step} with [its|the] working.",
)

_VALUES = (
    "Give the value of each variable that gets a number on the way, and of each condition.",
    "[State|Show] every variable that is assigned a number on the way, with its value, and which conditions hold.",
    "[Name|List] each numeric variable on the way with its value, and say whether each condition is true.",
    "Each variable that the code sets to a number and each condition that it tests [must|should] appear, with its "
    "value.",
    "Show all variables that are set to a number on the way, and the outcome of each condition.",
)

_LAST = (
    "[The last line|Your last line] is the learning rate, `lr = value`, with six significant digits.",
    "End with a line `lr = value`[, rounded to|, with] six significant digits.",
    "[Finish|Conclude] with `lr = value` on a line of its own; six significant digits.",
    "Values have up to six significant digits; the last line is `lr = value`.",
    "Round to six significant digits, and close with the line `lr = value`.",
)


def _true(value: object, words: tuple[str, str]) -> str:
    return words[0 if value else 1]


def _parts(executed: Executed, *, both: bool) -> list[str]:
    """Return the expression (with ``both``), its numbers and its value, without what would repeat itself."""
    value = text(executed.value)
    parts = [executed.expression, executed.numbers] if both else [executed.numbers]
    return [*(part for part in dict.fromkeys(parts) if part and not _is_number(part, value)), value]


def _is_number(part: str, value: str) -> bool:
    """Return whether an expression is a number, that of the value."""
    try:
        return float(part) == float(value)
    except ValueError:
        return False


def _assignment(executed: Executed, *, both: bool) -> str:
    """Return ``progress = (step - warmup) / decay = (620 - 50) / 950 = 0.6``."""
    return " = ".join([executed.target, *_parts(executed, both=both)])


def _returned(executed: Executed, *, both: bool) -> str:
    return " = ".join(_parts(executed, both=both))


def _lines(before: Statements, at_step: Statements, rate: str, product: str, chance: random.Random) -> str:
    """One line for each statement."""
    both = chance.random() < 0.5
    words = chance.choice((("true", "false"), ("True", "False"), ("true", "false, skipped")))
    arrow = chance.choice((": ", " → ", " is "))
    lines = []
    for executed in (*before, *at_step):
        match executed.kind:
            case Kind.ASSIGNED:
                lines.append(_assignment(executed, both=both))
            case Kind.BRANCH:
                given = f"{executed.expression}: {executed.numbers}" if both else executed.numbers
                lines.append(f"{given}{arrow}{_true(executed.value, words)}")
            case Kind.ENTERED:
                lines.append(f"{executed.target}({executed.numbers}):")
            case Kind.RETURNED:
                lines.append(f"{executed.target} returns {_returned(executed, both=both)}")
    return "\n".join([*lines, f"lr = {product}{rate}"]) + "\n"


def _numbered(before: Statements, at_step: Statements, rate: str, product: str, chance: random.Random) -> str:
    """A numbered list in sentences."""
    taken, skipped = chance.choice(
        (
            ("so this branch is taken", "so this branch is skipped"),
            ("the condition holds", "the condition does not hold"),
            ("true", "false"),
        )
    )
    mark = chance.choice(("{}. ", "{}) ", "- ", "* "))
    lines = []
    for executed in (*before, *at_step):
        numbers = executed.numbers
        match executed.kind:
            case Kind.ASSIGNED:
                lines.append(" = ".join([f"`{executed.target}`", *_parts(executed, both=False)]))
            case Kind.BRANCH:
                truth = "true" if executed.value else "false"
                ending = "" if taken == "true" else f", {taken if executed.value else skipped}"
                lines.append(f"`{executed.expression}`: {numbers} is {truth}{ending}")
            case Kind.ENTERED:
                lines.append(f"`{executed.target}` is called with {numbers}")
            case Kind.RETURNED:
                lines.append(f"`{executed.target}` returns {_returned(executed, both=False)}")
    own_lines = [f"{mark.format(number)}{line}" for number, line in enumerate(lines, start=1)]
    return "\n".join([*own_lines, "", f"lr = {product}{rate}"]) + "\n"


def _table(before: Statements, at_step: Statements, rate: str, product: str, chance: random.Random) -> str:
    """A table of expressions, their numbers and values."""
    heads = chance.choice((("expression", "with numbers", "value"), ("code", "numbers", "result")))
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|"]
    for executed in (*before, *at_step):
        match executed.kind:
            case Kind.ASSIGNED:
                expression = f"{executed.target} = {executed.expression}" if executed.expression else executed.target
            case Kind.BRANCH:
                expression = executed.expression
            case Kind.ENTERED:
                continue
            case Kind.RETURNED:
                expression = f"return {executed.expression}"
        value = str(executed.value).lower() if executed.kind is Kind.BRANCH else text(executed.value)
        cells = [f"`{expression}`" if "|" not in expression else expression, executed.numbers or value, value]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"lr = {product}{rate}"]) + "\n"


def _sections(before: Statements, at_step: Statements, rate: str, product: str, chance: random.Random) -> str:
    """Two parts: what is computed once, and what for the step."""
    first, second = chance.choice(
        (("Once:", "At this step:"), ("Set-up", "This step"), ("When it is created:", "For the step:"))
    )
    indent = chance.choice(("  ", "- ", "    "))
    lines = []
    for heading, statements in ((first, before), (second, at_step)):
        if statements:
            lines.append(heading)
        for executed in statements:
            match executed.kind:
                case Kind.ASSIGNED:
                    line = _assignment(executed, both=True)
                case Kind.BRANCH:
                    line = f"{executed.numbers} ({executed.expression}): {str(executed.value).lower()}"
                case Kind.ENTERED:
                    line = f"{executed.target} with {executed.numbers}"
                case Kind.RETURNED:
                    line = f"{executed.target} gives {_returned(executed, both=False)}"
            lines.append(f"{indent}{line}")
    return "\n".join([*lines, f"lr = {product}{rate}"]) + "\n"


def _commented(before: Statements, at_step: Statements, rate: str, product: str, chance: random.Random) -> str:
    """Python with the values in comments."""
    lines = []
    for executed in (*before, *at_step):
        value = text(executed.value)
        match executed.kind:
            case Kind.ASSIGNED if not executed.expression:
                line = f"{executed.target} = {value}"
            case Kind.ASSIGNED:
                line = f"{executed.target} = {executed.expression}"
                if not _is_number(executed.expression, value):
                    line += f"  # {' = '.join(_parts(executed, both=False))}"
            case Kind.BRANCH:
                line = f"{executed.expression}  # {executed.numbers}: {executed.value}"
            case Kind.ENTERED:
                line = f"# {executed.target}: {executed.numbers}"
            case Kind.RETURNED:
                line = f"return {executed.expression}"
                if not _is_number(executed.expression, value):
                    line += f"  # {_returned(executed, both=False)}"
        lines.append(line)
    return "\n".join([*lines, f"lr = {product}{rate}"]) + "\n"


FORMS = (
    Form(
        (
            "One line per statement[, in the order of execution|].",
            "[Write|Give] a line for each statement that is executed.",
            "[Put each|Each] assignment and each condition on a line of its own, without [other|more] text.",
            "Answer in lines, one for each thing that is computed.",
        ),
        _lines,
    ),
    Form(
        (
            "[Write|Answer with] a list, one item per [statement|line of code].",
            "[Use|Give me] a list of the steps of the calculation, one value per item.",
            "As a list[, please|]: variables, conditions and results in order.",
        ),
        _numbered,
    ),
    Form(
        (
            "[Use|Make] a table: the expression, the same with numbers, its value.",
            "Put them into a Markdown table of expression, numbers and value.",
            "A table with three columns (code, numbers, result) [is best|would be good].",
        ),
        _table,
    ),
    Form(
        (
            "Separate what is computed once from what is computed at this step; one value per line.",
            "[First|Begin with] what the code sets up, then the step itself, a line for each value.",
            "Two parts, set-up and step, with one line per value.",
        ),
        _sections,
    ),
    Form(
        (
            "[Repeat|Copy] the executed lines of code with their values as comments.",
            "Write the lines of code that run, each with its value in a comment.",
            "Annotate the executed statements: code, then a comment with the numbers.",
        ),
        _commented,
    ),
)
