"""Questions of task trace about the code of compositions: how it is called, the steps, the form of the answer."""

import random
from collections.abc import Sequence

from lrgen.finetune import wording
from lrgen.finetune.instructions.realised import calls
from lrgen.finetune.instructions.realised.calls import Setting
from lrgen.finetune.instructions.trace import Form
from lrgen.finetune.phrasing import phrase

_HEADER = "| step | learning rate |"


def question(setting: Setting, steps: Sequence[int], form: Form, chance: random.Random) -> str:
    """Return a question about code."""
    fields = {"steps": _steps(steps, chance), "group": setting.of_group(chance), "unit": setting.unit}
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        code=wording.fenced(setting.realisation.code),
        opening=phrase(chance.choice(_OPENINGS), chance, **fields),
        short=phrase(chance.choice(_SHORT), chance, **fields),
        call=calls.sentences(setting, chance),
        request=phrase(chance.choice(_REQUESTS), chance, **fields),
        answer=phrase(chance.choice(form.requests), chance, header=_HEADER),
    )


def _steps(steps: Sequence[int], chance: random.Random) -> str:
    """Return the steps after a preposition: ``step 5``, ``steps 1, 5 and 9``."""
    texts = [str(step) for step in steps]
    if len(texts) == 1:
        return f"step {texts[0]}"
    return f"steps {chance.choice((wording.listed(texts), wording.listed(texts), ', '.join(texts)))}"


_LAYOUTS = (
    "{opening}\n\n{code}\n\n{call} {request} {answer}",
    "{opening}\n\n{code}\n\n{request} {call}\n\n{answer}",
    "{short}\n\n{code}\n\n{call} {answer}",
    "{short} {answer}\n\n{code}\n\n{call}",
    "{call} {request}\n\n{code}\n\n{answer}",
    "{opening} {answer}\n\n{code}\n\n{call} {request}",
    "{code}\n\n{call} {request} {answer}",
    "{opening}\n\n{call}\n\n{code}\n\n{request} {answer}",
)

# A request before the code that does not name the steps.
_OPENINGS = (
    "What does the learning rate do under this code?",
    "[Read|Study] [this|the] code and [work out|determine] the learning rate that it [sets|gives].",
    "[Trace|Evaluate] this schedule.",
    "I want to [check|verify] a schedule on paper before [training with it|the run starts].",
    "[Can|Could] you evaluate this [schedule|code] for me?",
    "[We|I] need some values of this schedule for a [unit|regression] test.",
    "Predict the learning rate without running the code.",
    "The log of a run shows learning rates that I cannot place. This is [its schedule|the schedule of that run].",
    "[A quick|Quick] sanity check of a schedule[ before I start the job|].",
    "[While reviewing|Reviewing] this, I want the numbers[ at a few points|].",
    "Simulate this schedule.",
    "Here is [the|a] schedule [from our training code|that a colleague wrote|from an old project].",
    "Compute learning rates from [this|the] code.",
    "[For the documentation|For a report], I need some learning rates of this schedule.",
    "[Which|What] learning rates should appear in the log with this code?",
    "I am plotting this schedule and need points [of it|on the curve].",
    "Follow this code step by step.",
    "[Task|Exercise]: learning rates [from code|of a schedule].",
    "Does the learning rate develop as planned? [Please give|Give] me the numbers.",
    "Determine the learning rate from the source alone.",
    "I am porting this schedule and need reference values[ to compare with|].",
    "A resumed run has to continue with the right learning rate. [This|The code] is the schedule.",
    "[Numbers|Values], please: the learning rate of this code.",
    "Debugging a [run|job]: which learning rates did it use?",
    "[This|The] schedule was written by hand. Let us see what it gives.",
    "[How high|How large] is the learning rate of this schedule at some steps?",
    "I do not trust this schedule [around its boundaries|near the ends of its phases].",
    "[Check|Spot-check] the schedule below.",
    "Evaluate the following code by hand.",
    "Our dashboard plots [this|the] schedule wrongly; I need the true values.",
    "[What|Which] values [belong|go] in a test of this schedule?",
    "[Before|Prior to] merging this schedule, [I want|we want] a few of its values.",
    "Suppose that a run uses this schedule.",
    "[Given|From] the code below, find the learning rate [at some steps|at the steps named below].",
    "Two of us disagree about this schedule[; please settle it|].",
    "[I would like to|I'd like to] know what this code sets.",
    "Learning rates of this code, please.",
    "[Sample|Tabulate] this schedule[ at a few steps|].",
    "The plan says one thing about this schedule, the code another. What does the code do?",
    "[Replay|Play through] this schedule.",
    "Act as the interpreter for this schedule.",
)

# A request that names the steps, before the code.
_SHORT = (
    "LR{group} at {steps}?",
    "Learning rate{group} at {steps}[, please|]:",
    "What is the [lr|learning rate]{group} at {steps}?",
    "Give me the [lr|learning rate]{group} at {steps}.",
    "[Need|I need] the learning rate{group} at {steps}.",
    "At {steps}, what is the learning rate{group}?",
    "Compute the learning rate{group} at {steps}.",
    "Evaluate this schedule at {steps} and report the learning rate{group}.",
    "Which learning rate{group} does the code below [give|set] at {steps}?",
    "[Tabulate|List] the learning rate{group} at {steps}.",
)

_REQUESTS = (
    "What is the learning rate{group} at {steps}?",
    "[Give|State] the learning rate{group} at {steps}.",
    "Which learning rate [results|do you get]{group} at {steps}?",
    "[I need|We need] the learning rate{group} at {steps}.",
    "[Compute|Calculate|Work out] the learning rate{group} at {steps}.",
    "How high is the learning rate{group} at {steps}?",
    "[Please report|Report] the learning rate{group} at {steps}.",
)
