"""Reports of faults in the code of a composition: what was asked for, how it was run and what came of it."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune import wording
from lrgen.finetune.code_faults.faulty import Faulty
from lrgen.finetune.code_faults.runs import Run
from lrgen.finetune.example import SYSTEM
from lrgen.finetune.instructions import compositions, logs
from lrgen.finetune.instructions.compositions import interfaces
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Call, Interface
from lrgen.records import Unit
from lrgen.source import diffs

FILE = "schedule.py"

_RAISED = (
    "[Running|Calling|Importing and calling] this [schedule|code] [fails|ends] with {error}.",
    "[I get|We get|This gives me] {error} from [this schedule|the schedule below|my schedule].",
    "This [schedule|learning-rate schedule] [crashes|does not run|raises {error}][ and I do not see why].",
    "{error} [from|in] [a|my] learning-rate schedule[ that I wrote this morning].",
    "[Help, my|My|Our] schedule [raises|throws] {error}.",
    "[Can|Could] you [tell me why|see why] this raises {error}?",
    "[Why do I get|What causes] {error} here?",
    "[Traceback|Stack trace|Error] from a schedule[, below].",
    "[The job|My run|Training] [died|stopped] with {error} [in the schedule|when it computed the learning rate].",
    "[Debug|Please debug] this schedule[: {error}].",
    "It worked until I [touched|refactored|tidied] the schedule[; now: {error}|].",
    "CI [is red|fails]: {error}.",
)
_WRONG = (
    "[This schedule|My schedule|The schedule below|The learning-rate schedule below] [is wrong|does not do what it "
    "should|gives the wrong learning rates].",
    "The learning rate [is not|isn't] what [I asked for|was specified|the description says].",
    "[Why is the learning rate|Can you see why the learning rate is] [wrong|off] here?",
    "[There is a bug in|Something is wrong with|Something is off in] [this|my] schedule.",
    "[The log|My log|The curve] of this schedule [looks wrong|makes no sense|disagrees with the plan].",
    "No exception, but the [learning rates are|schedule is] wrong.",
    "[Bug report|Issue]: [the schedule does not match its description|wrong learning rates].",
    "[I plotted|I logged] the learning rate [of this code][ and it is not right|: not what I wanted].",
    "[Debug|Please debug|Look at] this schedule.",
    "A [colleague|reviewer|teammate] [says|noticed] that this [deviates from|does not follow] the [plan|spec].",
    "[Our|The] [unit test|test|sanity check] of the learning rate fails.",
    "[We|I] [diverged|trained badly] with this and [suspect|blame] the schedule.",
    "The [run|training] went [badly|wrong]; [the learning rate|the LR] [seems|looks] [off|suspicious].",
    "Wrong LR: [what|where] is the [bug|mistake|problem]?",
    "[Something changed|The curve changed] [when|after] I [cleaned this up|rewrote this].",
    "[Expected one schedule|Asked for one curve], got another.",
    "[The learning rate|LR] does not follow the [recipe|paper|plan] [that I gave|below].",
    "[I reimplemented|I ported|I copied] this schedule and [the numbers are off|it no longer agrees].",
)
_TWO = ("[There may be more than one bug.|Perhaps there is more than one mistake.|I think two things are wrong.|]",)
_SHOULD = (
    "[What it should do|The schedule should be|Specification|What was asked for|The plan|What I want|Intended|Required "
    "schedule]:\n\n{words}",
    "[It|The code] is meant to [implement|follow] this:\n\n{words}",
    "[This|The following] is what it should do:\n\n{words}",
)
_CODE = ("[The code|Code|My code|`schedule.py`|The file|This is the code|Current version]:\n\n{code}", "{code}")
_FIX = (
    "[Please fix it|Fix it|Please correct it][, and leave the rest as it is].",
    "What is wrong? [Please fix|Fix] it.",
    "[Find and fix the bug|Find the mistake and correct it].",
    "[Can|Could] you [fix|correct|repair] it?",
    "[Correct|Repair] the code.",
    "[I need|I would like] a [minimal|small] fix.",
    "",
)
_AS_DIFF = (
    f"[Answer|Reply] with a unified diff of `{FILE}`.",
    f"[Show|Send] only the patch to `{FILE}`, in a form that `git apply` accepts.",
    f"[Give me|I need] the diff (`--- a/{FILE}`, `+++ b/{FILE}`) and nothing else.",
    f"[A patch|A unified diff] of `{FILE}` [is enough|will do].",
)
_AS_CODE = (
    "Answer with the [whole|complete] corrected code[, nothing else].",
    "Return the [complete|whole] [fixed|corrected] code.",
    "[Send|Show|Give] me the whole code[ again], [corrected|fixed].",
    "[I want to paste it over the old one, so please|Please] answer with all of the code.",
)
_EXPECTED = (
    "At {place} [I expect|I expected|it should be] {value}.",
    "[Expected at {place}: {value}|At {place} it should have been {value}].",
    "{value} [would be|is] right at {place}.",
    "[By the description|By the plan], {place} should have {value}.",
    "",
)
_AGAIN = (
    "[That|This] is not [right|it][ yet].",
    "[I ran|I tried] [it|your code|this].",
    "[Thanks|Thank you][, but it is wrong|, but something is off|. It does not do what I asked for].",
    "[Hm|Hmm|No], [the learning rate is off|that is wrong|this gives something else].",
    "[Your code|This code|This version] does not [match|follow] the description.",
    "[The output|What it gives] is not what I [asked for|described].",
    "[Please check|Check] your code against this [output|log].",
    "[It runs, but|No error, but] the learning rates are wrong.",
    "[Almost|Not quite]. [See below|Look at the log].",
    "[Here is|This is] what [it does|I get].",
    "[I checked it|I plotted it] and it is [wrong|off].",
    "[Our|My] test [fails|does not pass] with [it|this].",
    "[The numbers|The values] [disagree|do not agree] with what I [wrote|specified].",
)
_AGAIN_RAISED = (
    "[It|That|Your code|This] [fails|crashes|does not run].",
    "[I get|This gives me] {error}.",
    "[Thanks|Thank you][, but it raises {error}|. It ends with {error}, though].",
    "[Running|Calling] it [fails|ends in {error}].",
    "{error}[, see below|].",
    "[Hm|No]: {error}.",
    "[The run|My script] [stopped|died] with this.",
    "[Please look at|See] the traceback.",
    "[Did you run this?|Have you tried it?] [It raises {error}.|]",
)
_STILL = (
    "[Better|That is better|The first problem is gone|One problem less|That part is fixed now], but it is [still|] not "
    "right.",
    "[Still|It is still] [wrong|off].",
    "[OK|Good], [now there is another problem|now this|next problem].",
    "[It gets further now|Progress], but [not there yet|see the output].",
    "[That fixed one thing|One bug is gone]. [There is another|Something else is wrong].",
)
_FIX_AGAIN = (
    "[Please fix it|Fix it, please|Please correct it].",
    "[Can|Could] you [fix|correct] [it|that]?",
    "[What is wrong|Where is the mistake]? [Send|Show] the corrected code.",
    "[The whole code again|All of it again], please[, corrected].",
    "[Try again|Once more], please.",
    "[Send me|I need] the [corrected|fixed] version.",
    "[Answer|Reply] with the corrected code[ only].",
)


def described(composition: Composition, interface: Interface, total: str, chance: random.Random) -> tuple[str, str]:
    """Return the words for the schedule of code, and the system's message, which may say how steps are counted.

    ``total`` is the name of the number of steps.
    """
    counting = chance.random() < 0.5
    words = compositions.words(composition, chance, interface, counting=counting, total=total)
    return words, SYSTEM if counting else f"{SYSTEM}\n\n{chance.choice(compositions.SYSTEM)}"


def report(faulty: Faulty, words: str, as_diff: bool, chance: random.Random) -> str:
    """Return the report of a person who sees the run of faulty code; ``words`` state what was asked for."""
    opener = phrase(chance.choice(_RAISED if faulty.run.rates is None else _WRONG), chance, error=error(faulty.run))
    if len(faulty.faults) > 1 and chance.random() < 0.5:
        opener = f"{opener} {phrase(chance.choice(_TWO), chance)}".strip()
    should = phrase(chance.choice(_SHOULD), chance, words=words)
    code = phrase(chance.choice(_CODE), chance, code=wording.fenced(faulty.text))
    request = [
        phrase(chance.choice(_FIX), chance),
        phrase(chance.choice(_AS_DIFF if as_diff else _AS_CODE), chance),
    ]
    parts = [code, should] if chance.random() < 0.5 else [should, code]
    parts.insert(chance.choice((1, 2)), observed(faulty, faulty.run, chance))
    asked = " ".join(filter(None, request))
    if chance.random() < 0.5:
        return "\n\n".join([f"{opener} {asked}", *parts])
    return "\n\n".join([opener, *parts, asked])


def complaint(faulty: Faulty, run: Run, again: bool, chance: random.Random) -> str:
    """Return the message of a person who ran an answer; ``again`` if it was the second one."""
    templates = _AGAIN if run.rates is not None else _AGAIN_RAISED
    opener = phrase(chance.choice(templates), chance, error=error(run))
    if again:
        opener = phrase(chance.choice(_STILL), chance)
    fix = phrase(chance.choice(_FIX_AGAIN), chance)
    seen = observed(faulty, run, chance)
    if chance.random() < 0.4:
        return f"{opener} {fix}\n\n{seen}"
    return f"{opener}\n\n{seen}\n\n{fix}"


def observed(faulty: Faulty, run: Run, chance: random.Random) -> str:
    """Return what came of a run: its log with a note, or the traceback."""
    interface = faulty.correct.interface
    if run.rates is None:
        return f"```text\n{run.raised.rstrip()}\n```" if "\n" in run.raised else run.raised
    conditions = logs.conditions(
        run,
        total=_total(faulty) if interface.takes_horizon else "",
        takes_lr=interface.takes_lr,
        is_loop=interface.call is Call.LOOP,
        chance=chance,
    )
    log = f"{conditions}\n\n```text\n{logs.log(run, faulty.composition.unit, chance)}\n```"
    note = _note(run, faulty.composition.unit, chance)
    return f"{log}\n\n{note}" if note else log


def _total(faulty: Faulty) -> str:
    """The name of the argument with the number of steps."""
    name = interfaces.total(faulty.correct, faulty.composition).strip("`")
    return name if name.isidentifier() else "total_steps"


def _note(run: Run, unit: Unit, chance: random.Random) -> str:
    """Return what a person notes in a log: that it never changes, or what it should be at the first wrong step."""
    assert run.rates is not None
    first = run.first_difference
    constant = run.rates.shape[1] > 1 and bool((run.rates == run.rates[:, :1]).all())
    if constant and chance.random() < 0.7:
        return phrase("[It never changes.|The learning rate is constant.|It stays at one value.]", chance)
    if first is None:
        return ""
    group, at = first
    place = f"{'epoch' if unit is Unit.EPOCH else 'step'} {run.conditions.steps[at]}"
    if len(run.rates) > 1:
        place += f" (group {group})"
    expected = logs.value(run.conditions.expected[first])
    return phrase(chance.choice(_EXPECTED), chance, place=place, value=expected)


def error(run: Run) -> str:
    """Return the name of the exception of a run in backticks; empty without one."""
    last = run.raised.rstrip().rpartition("\n")[2]
    name = last.partition(":")[0]
    return f"`{name}`" if name.isidentifier() else "an error"


def code_of(prompt: str) -> str:
    """Return the code of a prompt about a composition.

    Raises:
        ValueError: when it has none.
    """
    begin = prompt.index("```python\n") + len("```python\n")
    return prompt[begin : prompt.index("\n```", begin) + 1]


def corrected(faulty: Faulty, as_diff: bool) -> str:
    """Return the correct code, or the diff to it."""
    return diffs.unified(faulty.text, faulty.correct.code, FILE) if as_diff else faulty.correct.code
