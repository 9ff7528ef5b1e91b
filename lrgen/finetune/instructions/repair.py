"""Reports of faults: a request, the traceback or the log, and what was intended where the file does not say it."""

import random
import re
from collections.abc import Callable

from lrgen.finetune import intents, scenarios, wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.instructions import Instruction
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.symptoms import Symptom
from lrgen.source import diffs

_RAISED = (
    "[My|This] training [script|run] [crashes|fails] with [this traceback|the traceback below].",
    "I get [this error|the following error|this exception] [from|with] [this module|my module|the module below].",
    "`train.py` [stops|fails|ends] with {an} {error}.",
    "[Help|Please help]: {error}[ in my training module].",
    "[What does this {error} mean|Where does this {error} come from], and how do I fix it?",
    "[Bug report|Issue|Bug]: {error} [in|from] `model.py`.",
    "[Traceback and file are below|The traceback and the file are below].",
    "CI is red: {error}.",
    "[The|My] job [failed|died|did not get far].",
    "[Debug|Please debug] this[ for me].",
    "Can you [see|tell me] why this [raises|fails with] {error}?",
    "{error}, and I do not [see|understand] why.",
    "Why does [this|my module|the module below] raise {error}?",
    "[I am|We are] stuck with {error} [in|from] this [file|module].",
    "[This file|The module below] used to work; [since|after] a [refactoring|cleanup], it raises {error}.",
    "Something in this file is [wrong|broken]: {error}.",
    "[Hi, my|Hello, my|My] module [does not run|no longer runs].",
    "Regression: `model.py` [fails|raises {error}].",
    "[Please find|Find] the cause of this {error}.",
    "Fails for me with {error}[; any idea?|.]",
)
_WRONG_RATES = (
    "The learning rate [in my log|that I log] is [wrong|not what I expect].",
    "[My|The|This] schedule does not do what [its docstring|the docstring] says.",
    "Something is [wrong|off] with the learning rate [in this module|of this module|here].",
    "No error, but the learning rate is wrong.",
    "I [logged|printed|recorded] the learning rate, and it [looks wrong|does not follow the schedule that I wanted].",
    "Why does [the learning rate|my schedule] look like this from {place} on?",
    "From {place} on, the learning rate is wrong.",
    "The learning rate [departs from|stops following] the schedule at {place}.",
    "[Ticket|Issue|Bug]: learning rate wrong from {place} on.",
    "[Review comment|Review]: this schedule is not what the docstring describes.",
    "[It runs|Training runs], but the schedule is [wrong|off].",
    "[I think|I suspect] there is a bug in the learning-rate schedule [of this file|below].",
    "Can you [see|tell me] why the learning rate is [off|wrong] at {place}?",
    "[Wrong|Unexpected] learning rate at {place}.",
    "[Please check|Check] the schedule in this [file|module]; the log [disagrees with|does not match] the docstring.",
    "Our [monitoring|dashboard] shows [a strange|an unexpected] learning rate for this model.",
    "I plotted the learning rate: [it is not|that is not] the curve [in|of] the docstring.",
    "[Find|Please find] the bug: the learning rate at {place} [is not right|cannot be right].",
)
_TOO_FEW_UPDATES = (
    "The log [has|shows] only one update per epoch, but there are {updates} batches.",
    "[Bug|Issue|Ticket]: one update per epoch instead of {updates}.",
    "Why is there only one update per epoch, with {updates} batches?",
    "[Each|An] epoch should have {updates} updates, but the log [has|shows] only one.",
    "[My|The] model learns very little: one update per epoch, although there are {updates} batches.",
)
_WRONG_OPTIONS = (
    "[The run|My run|Training] does not [use|follow] the hyperparameters that I pass.",
    "A hyperparameter [seems to be|is] ignored.",
    "[I change a hyperparameter and nothing happens|I changed a hyperparameter and nothing happened|Changing a "
    "hyperparameter has no effect].",
    "[Bug|Issue]: a value in `prm` is ignored.",
    "Why is one of my hyperparameters [ignored|not used]?",
    "The [log|run] does not show the values that I passed.",
    "[The hyperparameter search|My sweep] finds no difference between values of one hyperparameter.",
    "`prm` is not [respected|honoured] everywhere in this file.",
    "[Check|Please check] where this file [loses|ignores] a hyperparameter.",
    "One entry of `prm` has no effect.",
)
_WRONG_NUMBERS = (
    "The [results|numbers|accuracies] that `learn` returns are wrong.",
    "[The log|My log] of this module makes no sense.",
    "[Please look|Look] at the log[: this cannot be right.|. What is wrong here?]",
    "[Bug|Issue]: `learn` does not return what it should.",
    "I [suspect|think there is] a bug in what `learn` returns.",
    "Can you see what is wrong with the numbers of this log?",
)
_FLAT_LOSS = (
    "Training [does not work|is broken] with this module.",
    "Something is wrong with the training loop [of this file|below].",
    "[Why does this network not train|Can you see why this network does not train]?",
    "No exception, but training has no effect.",
    "[Bug|Issue]: `learn` does not train the network.",
    "I [suspect|think there is] a bug in `learn`.",
    "The network [does not train any more|has stopped learning] since [the last change|I cleaned up the file].",
)
_OTHER_RESULTS = (
    "[Since|After] [my cleanup|the last change|a refactoring], the same run gives different results.",
    "The results [changed|are different] [after|since] [my cleanup|the last change].",
    "[Regression|Issue]: same seed, different results.",
    "[I|We] cannot reproduce our earlier results with this file.",
    "Something in the training loop is [off|not right].",
    "[Find|Please find] what changed the results of this file.",
    "This run no longer matches the earlier one.",
)
_FIX = (
    "[Please fix it|Please fix the file|Fix it][ without changing code that works].",
    "[Please find|Find] the cause and fix it.",
    "[Find and fix the bug|Find the bug and fix it].",
    "[Can|Could] you [fix|correct|repair] it?",
    "[Correct|Repair] the file.",
    "What [is|would be] the fix?",
    "[I need|I would like] a [minimal|small] fix.",
    "",
)
_AS_DIFF = (
    f"[Answer|Reply] with a unified diff of `{diffs.FILE_NAME}`.",
    f"[Show|Send] only the patch to `{diffs.FILE_NAME}`, in a form that `git apply` accepts.",
    f"[Give me|I need] the diff (`--- a/{diffs.FILE_NAME}`, `+++ b/{diffs.FILE_NAME}`) and nothing else.",
    f"[A patch|A unified diff] of `{diffs.FILE_NAME}` [is enough|will do].",
)
_AS_FILE = (
    "Answer with the [whole|complete] corrected file.",
    "Return the [complete|whole] fixed file.",
    "[Send|Show|Give] me the whole file[ again], [corrected|fixed].",
    "I will paste your answer over the old file, so [please send all of it|send the whole file].",
)
_RAN = (
    "[I ran|The run:|This was a run of] {conditions}.",
    "[Run|Setting|Conditions]: {conditions}.",
    "[I trained for|This is a run of] {conditions}.",
)
_CALLED = (
    "[I called|The call:|The call was] {conditions}.",
    "[Call|Setting]: {conditions}.",
    "I [tried|used] {conditions}.",
)
_LOGGED = ("[The log has|It logs|Below is the log,] {logs}:", "[Output|Log|The log] ({logs}):")
_EXPECTED = (
    "At {place} [I expect|I expected|the log should have] `{line}`.",
    "[Expected|Correct] at {place}: `{line}`.",
    "{reason}, {place} should [read|be] `{line}`.",
)
_BY_SCHEDULE = ("With the right schedule", "By the docstring", "According to the docstring")
_BY_OPTIONS = ("With these hyperparameters", "With these values", "With this `prm`")
_ASKS = re.compile(r"[Ff]ix|[Ff]ind|[Dd]ebug")
_VOWELS = tuple("AEIOU")
_FLAT = 4  # losses
_STATES_EXPECTED = 0.6
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


def _formula(file: VerifiedFile, chance: random.Random) -> str:
    return wording.formula(file.variant)


def _training(file: VerifiedFile, chance: random.Random) -> str:
    return wording.training(file)


def _practice(file: VerifiedFile, chance: random.Random) -> str:
    lead = phrase("[The training loop is meant to do this|What training should do|The intention]:", chance)
    return f"{lead} {' '.join(wording.practice_of(file.variant))}"


# The intention that the fix of a mutation needs and the file does not state.
_NEEDED: dict[str, Callable[[VerifiedFile, random.Random], str]] = {
    "wrong default": intents.defaults,
    "hyperparameter without default": intents.defaults,
    "number of steps used as a fraction": intents.defaults,
    "fraction used as a number of steps": intents.defaults,
    "not held after the horizon": intents.end,
    "missing criterion": _training,
    "off-by-one boundary": _formula,
    "missing guard against zero steps": _formula,
    **dict.fromkeys(scenarios.OF_PRACTICES, _practice),
}


def report(
    file: VerifiedFile, faulty: str, mutation: str, symptom: Symptom, as_diff: bool, chance: random.Random
) -> Instruction:
    """Return the report of a person who sees the symptom of a mutant."""
    places = _difference(symptom)
    error = _error(symptom)
    fields = {
        "updates": str(_missed_updates(symptom)),
        "error": error,
        "an": "an" if error[1:2] in _VOWELS else "a",
        "place": places[0],
        "line": places[1],
    }
    opener = phrase(chance.choice(_openers(symptom)), chance, **fields)
    observation = _observation(symptom, "It" if "learning rate" in opener else "The learning rate", chance)
    fix = "" if _ASKS.search(opener) else phrase(chance.choice(_FIX), chance)
    answer = phrase(chance.choice(_AS_DIFF if as_diff else _AS_FILE), chance)
    intent = _intent(file, mutation, symptom, chance)
    is_certain = symptom.scenario.name in ("curve", "regression")  # the boundaries of a curve stand in no docstring
    states_expected = places[1] and (is_certain or chance.random() < _STATES_EXPECTED)
    reason = chance.choice(_BY_OPTIONS if symptom.scenario.name == "options" else _BY_SCHEDULE)
    expected = phrase(chance.choice(_EXPECTED), chance, reason=reason, **fields) if states_expected else ""
    shown = symptom.traceback or symptom.printed
    log = f"```text\n{shown.rstrip()}\n```"
    if not symptom.traceback:
        log = f"{phrase(chance.choice(_LOGGED), chance, logs=symptom.scenario.logs)}\n\n{log}"
    first = " ".join(filter(None, (opener, observation)))
    request = " ".join(filter(None, (fix, answer)))
    parts = [_conditions(symptom, chance), log, " ".join(filter(None, (expected, intent)))]
    body = [*parts, wording.fenced(faulty)]
    if chance.random() < 0.3:
        body = [wording.fenced(faulty), *parts]
    texts = [f"{first} {request}", *body] if chance.random() < 0.6 else [first, *body, request]
    return Instruction("\n\n".join(filter(None, texts)), wording.interface(file))


def faulty_file(prompt: str) -> str:
    """Return the faulty file of a report.

    Raises:
        ValueError: when it has none.
    """
    begin = prompt.index('```python\n"""') + len("```python\n")
    return prompt[begin : prompt.index("\n```", begin) + 1]


def _openers(symptom: Symptom) -> tuple[str, ...]:
    if symptom.traceback:
        return _RAISED
    if symptom.scenario.name == "results":
        if _exceeds_one(symptom.printed):
            return _WRONG_NUMBERS
        return _FLAT_LOSS if _never_changes(symptom.printed) else _OTHER_RESULTS
    if _missed_updates(symptom):
        return _TOO_FEW_UPDATES
    return _WRONG_OPTIONS if symptom.scenario.name == "options" else _WRONG_RATES


def _missed_updates(symptom: Symptom) -> int:
    """Return how many updates an epoch should have if each epoch of a log has only one; otherwise 0."""
    rates, expected = (_rates(text.splitlines()) for text in (symptom.printed, symptom.expected))
    counts = {len(of_line) for of_line in expected}
    is_short = {len(of_line) for of_line in rates} == {1} and len(counts) == 1 and len(rates) == len(expected)
    return max(counts) if is_short and max(counts) > 1 else 0


def _error(symptom: Symptom) -> str:
    """Return the name of the exception of a traceback."""
    last = symptom.traceback.rstrip().rpartition("\n")[2]
    return f"`{last.partition(':')[0]}`" if last else ""


def _difference(symptom: Symptom) -> tuple[str, str]:
    """Return the place of the first line that differs, and what it should be: ``epoch 3`` and ``0.1 0.1``."""
    if symptom.traceback:
        return "", ""
    printed, expected = symptom.printed.splitlines(), symptom.expected.splitlines()
    for line, other in zip(printed, expected, strict=False):
        if line != other:
            place, _, rest = other.partition(": ")
            return place, "" if symptom.scenario.name == "results" else rest.partition(", loss")[0]
    place = (expected if len(expected) > len(printed) else printed)[-1].partition(": ")[0]
    return place, ""


def _observation(symptom: Symptom, it: str, chance: random.Random) -> str:
    """Return what a person notes in a log: a learning rate that never changes, one that is 0, a flat loss, a jump."""
    if symptom.traceback:
        return ""
    if symptom.scenario.name == "results":
        return _of_results(symptom, chance)
    if flat := _flat_loss(symptom):
        return phrase(
            "[The loss is flat from {place} on.|The loss stops [falling|moving] at {place}.|After {place} the loss is "
            "flat.]",
            chance,
            place=flat,
        )
    lines = symptom.printed.splitlines()
    rates, expected = (_rates(text.splitlines()) for text in (symptom.printed, symptom.expected))
    if symptom.scenario.name == "options" or not rates or not all(rates) or len(rates) != len(expected):
        return ""
    places = [line.partition(": ")[0] for line in lines]
    if len({tuple(of_line) for of_line in rates}) == 1 and len(set(rates[0])) == 1:
        return phrase("{it} [never changes|is constant|stays at one value].", chance, it=it)
    zero = next((at for at in range(len(rates)) if not any(map(any, rates[at:]))), None)
    if zero and any(map(any, expected[zero:])):
        return phrase(
            "[{it} is 0 from {place} on.|{it} is 0 from {place} on, so the weights do not change.|Nothing is learned "
            "from {place} on: the learning rate is 0.]",
            chance,
            it=it,
            place=places[zero],
        )
    for at in range(1, len(rates)):
        before, after = rates[at - 1][0], rates[at][0]
        if before > 0 and after > 2 * before and expected[at][0] <= expected[at - 1][0]:
            return phrase(
                "[{it} jumps[ from {before}] to {after} at {place}.|There is a jump at {place}.]",
                chance,
                it=it,
                before=f"{before:.4g}",
                after=f"{after:.4g}",
                place=places[at],
            )
    return ""


def _rates(lines: list[str]) -> list[list[float]]:
    """Return the learning rates of each line of a log."""
    return [
        [float(number) for number in _NUMBER.findall(line.partition(": ")[2].partition(", loss")[0])] for line in lines
    ]


def _flat_loss(symptom: Symptom) -> str:
    """Return the place from which on the loss of a regression stays the same, unlike that of the correct file."""
    lines = symptom.printed.splitlines()
    losses, expected = (re.findall(r"loss (\S+)$", text, re.MULTILINE) for text in (symptom.printed, symptom.expected))
    if not losses or len(losses) != len(expected):
        return ""
    begin = next(at for at in range(len(losses)) if len(set(losses[at:])) == 1)
    is_long = 2 <= begin <= len(losses) - _FLAT and len(set(expected[begin:])) >= _FLAT
    return lines[begin].partition(": ")[0] if is_long else ""


def _of_results(symptom: Symptom, chance: random.Random) -> str:
    if _exceeds_one(symptom.printed):
        return phrase("[An accuracy above 1?|The accuracy should be a fraction.|The accuracy exceeds 1.]", chance)
    if _never_changes(symptom.printed):
        return phrase("[The loss is flat.|The loss does not change.|Loss and weights stay the same.]", chance)
    return phrase(
        "[The log used to end with|The last line used to be|Before, the log ended with] `{line}`.",
        chance,
        line=symptom.expected.splitlines()[-1],
    )


def _exceeds_one(printed: str) -> bool:
    return any(float(accuracy) > 1 for accuracy in re.findall(r"accuracy (\S+),", printed))


def _never_changes(printed: str) -> bool:
    return len(set(re.findall(r"weights (\S+)", printed))) == 1


def _conditions(symptom: Symptom, chance: random.Random) -> str:
    if chance.random() < 0.3:
        introduction = phrase("[My script|The script|`train.py`|This is `train.py`]:", chance)
        return f"{introduction}\n\n{wording.fenced(symptom.scenario.text)}"
    templates = _CALLED if symptom.scenario.name == "curve" else _RAN
    return phrase(chance.choice(templates), chance, conditions=symptom.scenario.conditions)


def _intent(file: VerifiedFile, mutation: str, symptom: Symptom, chance: random.Random) -> str:
    if needed := _NEEDED.get(mutation):
        return needed(file, chance)
    if not symptom.traceback and chance.random() < 0.5:
        return chance.choice((_meant, intents.unit, intents.end))(file, chance)
    return ""


def _meant(file: VerifiedFile, chance: random.Random) -> str:
    return phrase(
        "[The schedule is meant to be {title}.|I want to train {network} with {title}.|The file should train {network} "
        "with {title}.]",
        chance,
        network=wording.network(file.architecture),
        title=file.variant.title,
    )
