"""Questions whether the code of a composition is correct, and the forms of their answers."""

import json
import random
from collections.abc import Sequence
from enum import Enum

from lrgen.finetune import wording
from lrgen.finetune.code_faults.faulty import Fault
from lrgen.finetune.phrasing import phrase

_OPENERS = (
    "[Please review|Review] [this|the following] learning-rate schedule[ before it is merged| before I use it|].",
    "[Can|Could] you [check|look over|review] this schedule[ before I start the run| before the job is submitted|]?",
    "Is [this code|this schedule|my schedule|the schedule below] [correct|right]?",
    "Code review[, one schedule|: a learning-rate schedule|].",
    "Does [this code|the code below|this schedule] [do|implement] what the [description|specification|plan] says?",
    "[Find the bugs|Spot the bugs|Find the mistakes] in this schedule, if there are any.",
    "[A colleague|A student|A teammate|An assistant] wrote this schedule. [Is it right|What do you say]?",
    "[I had a model write|I generated|I asked for] this schedule and [want|would like] [a second opinion|it checked].",
    "[Criticise|Critique|Assess|Examine] [this|the following] code.",
    "[Would you|Can we] [merge|accept|approve] this?",
    "LGTM?",
    "[Pull request|PR|Merge request]: [a new schedule|the learning-rate schedule][, to be reviewed|].",
    "[Does this|Will this] give the [right|intended] learning rate[ at every step|]?",
    "[Something|Nothing] may be wrong [with|in] this schedule. [Check it|Have a look].",
    "[There may be|There might be] [a bug|one or two bugs|no bug, one or two] in [this code|this schedule].",
    "[Compare|Check] [the code|this code] [with|against] [the description|what was asked for].",
    "[Before we burn GPU hours|Before the run starts|Before I launch this]: is the schedule [right|correct]?",
    "[Proofread|Desk-check|Audit] this [schedule|code], please.",
    "[What is|Is anything] wrong [here|with this schedule][, if anything|]?",
    "[Grade|Mark] this [answer|solution].",
    "[A quick check|A sanity check|A second pair of eyes] for this learning-rate schedule, please.",
    "[My|Our] [schedule|learning-rate code] is below. [Right or wrong|Correct or not]?",
    "[Verify|Check] this implementation by reading it.",
    "[I cannot run this here|I have no machine to run this on]; [please read it and tell me whether it is right.|is it "
    "correct?]",
)
_ANSWERS = (
    "[Answer|Reply] with `correct`, or with `incorrect` and, for each [fault|bug], [two more lines|two lines]: `line "
    "N: code` and the reason.",
    "[Begin|Start] with the verdict, `correct` or `incorrect`. If it is incorrect, [list|give] each faulty line as "
    "`line N: code`, followed by a line with the reason.",
    "[Verdict first|First the verdict] (`correct` or `incorrect`), then [every bug|every fault|each mistake] in two "
    "lines: `line N: code` and why it is wrong.",
    "If it is right, [answer|say] `correct`. If not, [answer|say] `incorrect`, and below it name [the line|each faulty "
    "line] (`line N: code`) with the reason in the next line.",
    "Format: `correct`, or `incorrect` followed by `line N: code` and a reason [for each fault|per fault], each on a "
    "line of its own.",
)
_AS_JSON = (
    '[Answer|Reply] in JSON: `{"verdict": "correct" or "incorrect", "faults": {listed}}`.',
    'JSON only, with the keys `verdict` ("correct" or "incorrect") and `faults`, a list of objects with `line` and '
    "`reason`[; empty if the code is correct|].",
    "Output a JSON object: `verdict` is `correct` or `incorrect`, `faults` lists each [faulty line|fault] with `line` "
    "(its number) and `reason`.",
)
_BODIES = (
    "[Description|Specification|What was asked for|Required|The task]:\n\n{words}\n\n[The code|Code|Implementation|"
    "Answer]:\n\n{code}",
    "{words}\n\n[The code|Code|This is the code]:\n\n{code}",
    "{code}\n\n[What it should do|It should implement this|Specification|Asked for]:\n\n{words}",
    "[The schedule|Wanted|This is wanted]:\n\n{words}\n\n{code}",
)


class Form(Enum):
    """The form of an answer."""

    TEXT = "text"
    JSON = "json"


def question(text: str, words: str, form: Form, chance: random.Random) -> str:
    """Return the question about code whose schedule is described by ``words``."""
    opener = phrase(chance.choice(_OPENERS), chance)
    if form is Form.JSON:
        answer = phrase(chance.choice(_AS_JSON), chance, listed='[{"line": N, "reason": "…"}]')
    else:
        answer = phrase(chance.choice(_ANSWERS), chance)
    body = phrase(chance.choice(_BODIES), chance, words=words, code=wording.fenced(text))
    if chance.random() < 0.4:
        return f"{opener}\n\n{body}\n\n{answer}"
    return f"{opener} {answer}\n\n{body}"


def answer(text: str, faults: Sequence[Fault], form: Form) -> str:
    """Return the answer: the verdict, and of each fault its line and the reason."""
    verdict = "incorrect" if faults else "correct"
    if form is Form.JSON:
        listed = [{"line": fault.lines[0], "reason": fault.reason} for fault in faults]
        return json.dumps({"verdict": verdict, "faults": listed}, indent=2)
    lines = text.splitlines()
    parts = [f"line {fault.lines[0]}: `{lines[fault.lines[0] - 1].strip()}`\n{fault.reason}" for fault in faults]
    return "\n".join([verdict, *parts])
