"""Requests for a schedule in a script that has none, or another one."""

import random

from lrgen.finetune import wording
from lrgen.finetune.phrasing import phrase
from lrgen.records import Unit
from lrgen.source import diffs

FILE = "train.py"

_ADD = (
    "[Add|Please add] [a|the following|this] learning-rate schedule to [this|the|my] [training script|script].",
    "[My|This] [script|training script|training code] has no schedule[ yet]. [Add one|Please add this one|Put this one "
    "in].",
    "[Can|Could] you [put|build|work] [this|the following] schedule into [my training script|`{file}`]?",
    "[I train|We train] with a constant learning rate[ so far]; [I want|we want] [this|the following] schedule.",
    "[The learning rate is constant here|Here the learning rate never changes]. [Make it follow|It should follow] this "
    "[plan|schedule].",
    "[Insert|Integrate] the schedule [described below|below] [in|into] this [script|training loop].",
    "[How do I add|What do I have to change to get] this schedule [in|to] my [script|training code]?",
    "[This loop|The training loop below] needs a learning-rate schedule.",
    "Learning-rate schedule for [an existing|this] training script[, please].",
    "[Extend|Change] [`{file}`|this script] so that the learning rate follows [the plan|the description] below.",
    "[Ticket|Task|TODO]: schedule the learning rate in `{file}`.",
    "[Feature request|Request]: [a learning-rate schedule|LR schedule] in this script.",
    "[Someone else|A colleague] wrote this script; [I need|we need] [a schedule|this schedule] in it.",
    "[Take my script and|Here is my script; please] add the schedule.",
    "I found this script and want to [use|train with] the schedule below[ in it].",
    "[The run|Training] is unstable with a constant LR. [Please add|Add] this schedule.",
)
_REPLACE = (
    "[Replace|Please replace] the learning-rate schedule of this script[ by the one below| by this one].",
    "[My|This] script has [a|another] schedule; [change it to|I want] [the following|this one].",
    "[Swap|Exchange] the schedule [in `{file}`|of this script] for [the one below|this one].",
    "[Can|Could] you [switch|change] [this script|my training script|`{file}`] to [another|this] schedule?",
    "[The schedule in this script|The old schedule] [must go|has to go]; use this one[ instead|].",
    "[Remove|Drop] the [old|current] learning-rate schedule and [implement|put in] this one.",
    "[Another|A new] schedule for [an existing|this] script[: the old one goes|].",
    "[We|I] no longer want [the|this] schedule here. [Train with|Use] the following [instead].",
    "[Change|Update] how the learning rate is scheduled [here|in this script].",
    "[Migrate|Move] this script to a new learning-rate schedule.",
    "[Ticket|Task|TODO]: new schedule in `{file}`[, old one out|].",
    "Instead of the schedule [it has|in there], [`{file}`|this script] should [use|follow] this:",
    "[What do I have to change|How do I change this script] to train with the schedule below instead of the old one?",
    "[Refactor|Rework] the learning rate [of this script|here]: [other|new] schedule, nothing else.",
    "[The paper|Our recipe] uses another schedule than this script. [Fix that|Please change it].",
    "[New|Next] experiment: same script, other learning rate.",
)
_UNCHANGED = (
    "[Leave|Keep] [everything else|all else|the rest] [as it is|unchanged|untouched].",
    "[Do not change|Don't touch] [anything else|any other line].",
    "[All other lines|The other lines] [stay|must stay] as they are.",
    "[Nothing else|No other behaviour] [may change|should change].",
    "[Only|Just] the schedule: [the rest stays|no other changes].",
)
_AS_DIFF = (
    f"[Answer|Reply] with a unified diff of `{FILE}`.",
    f"[Show|Send] only the patch to `{FILE}`, in a form that `git apply` accepts.",
    f"[Give me|I need] the diff (`--- a/{FILE}`, `+++ b/{FILE}`) and nothing else.",
    f"[A patch|A unified diff] of `{FILE}` [is enough|will do].",
)
_AS_SCRIPT = (
    "[Answer with|Return|Give me] the [whole|complete|full] script.",
    "[Send|Show] me the whole script with the [change|schedule].",
    "[The full script|The whole file], please.",
    f"[Write|Print] all of `{FILE}`.",
)
_SCHEDULE = (
    "[The schedule|Schedule|The learning rate|What I want]:\n\n{words}",
    "{words}",
    "[Description|Specification] of the schedule:\n\n{words}",
)
_CODE = ("{code}", "[The script|`{file}`|My script|Script|Code]:\n\n{code}")
_TOTAL = {
    Unit.BATCH: (
        "`total_steps` is `{epochs} * len({loader})`.",
        "The total number of steps is `{epochs} * len({loader})`.",
        "[Here `total_steps`|`total_steps`] = `{epochs}` times `len({loader})`.",
    ),
    Unit.EPOCH: (
        "`total_steps` is `{epochs}` here.",
        "The total number of steps is `{epochs}`.",
        "[In this script `total_steps`|`total_steps`] = `{epochs}`.",
    ),
}
_BASE = (
    "The base learning rate is `{lr}`.",
    "`{lr}` is the base learning rate.",
    "The base learning rate [stays|is still] `{lr}`.",
)


def request(
    text: str, words: str, *, replaces: bool, unit: Unit, names: dict[str, str], as_diff: bool, chance: random.Random
) -> str:
    """Return the request for a schedule in a script.

    Args:
        text: the script.
        words: state the schedule.
        replaces: whether the script has a schedule.
        names: those of the script: ``epochs``, ``loader`` and ``lr``.
    """
    opener = phrase(chance.choice(_REPLACE if replaces else _ADD), chance, file=FILE)
    facts = [phrase(chance.choice(_BASE), chance, **names)]
    if "total_steps" in words:
        facts.insert(chance.randrange(2), phrase(chance.choice(_TOTAL[unit]), chance, **names))
    schedule = f"{phrase(chance.choice(_SCHEDULE), chance, words=words)}\n\n{' '.join(facts)}"
    code = phrase(chance.choice(_CODE), chance, code=wording.fenced(text), file=FILE)
    unchanged = phrase(chance.choice(_UNCHANGED), chance)
    answer = phrase(chance.choice(_AS_DIFF if as_diff else _AS_SCRIPT), chance)
    parts = [schedule, code] if chance.random() < 0.6 else [code, schedule]
    if chance.random() < 0.5:
        return "\n\n".join([f"{opener} {unchanged} {answer}", *parts])
    return "\n\n".join([opener, *parts, f"{unchanged} {answer}"])


def answer(text: str, changed: str, as_diff: bool) -> str:
    """Return the changed script, or the diff to it."""
    return diffs.unified(text, changed, FILE) if as_diff else changed
