"""A specification and a file → a verdict; for a faulty file also the line and the reason."""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from lrgen.finetune import faults, intents, wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import RunContext, failures
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.tasks.feedback import label_of, verdict
from lrgen.records import Outcome

NAME = "judge"
SUMMARY = (
    "A specification and a file → correct, or incorrect with the line and the reason; half of the files are correct."
)
EVIDENCE = ("passed", "failed")
NEEDS_CONTEXT = True

_LINE = re.compile(r"\blines?\b[^\w\n]*(\d{1,6})", re.IGNORECASE)
_QUOTED = re.compile(r"`+([^`\n]+)`+")
_RIGHT_VERDICT = 0.5  # of an answer with a wrong line

_OPENERS = (
    "[Please r|R]eview [this|the following] [file|module|training module][ for me][ before I merge it].",
    "[Can|Could] you [check|review|look over] [this file|this module|my module][ before I start the run| before I "
    "submit the job| before it goes into the sweep]?",
    "Code review: does [this file|this module] do what was [asked for|specified]?",
    "Is [this|this file|this module|the module below|the file below] correct[ as it stands]?",
    "[A colleague|A teammate|A student|A contractor] [wrote|sent me|submitted] this [module|file]. Is it [right|"
    "correct]?",
    "[PR|Pull request], one new file[, ready for review].",
    "Your opinion on this [submission|file|module], please.",
    "I had a model write this [file|module] and [want|would like] a second opinion.",
    "[Before this goes on the cluster|Before I spend GPU hours on this|Before I press the button]: is it correct?",
    "[Grade|Mark|Assess] the [solution|submission|file] below[ against its specification].",
    "Does the [code|file|module] below [meet|satisfy|follow] its specification?",
    "[Acceptance check|Sign-off|Final check] of a training module.",
    "LGTM or not?",
    "[Find the bug|Spot the bug], if there is one.",
    "There may or may not be a bug in this [module|file].",
    "[Compare the [file|module|implementation] below with|Check the [file|module|implementation] below against] its "
    "[specification|description].",
    "[The spec|The specification] and the [file|implementation] are below: do they agree?",
    "[I think|I believe] this [file|module] is [fine|done], but please [check|verify] it.",
    "[Something|Someone says that something] may be wrong with this [module|file].",
    "[Hi, could|Hello, could|Could] you tell me whether this [file|module] is right?",
    "Would you [approve|accept|merge] this [file|module|change]?",
    "[Go through|Read through] this [training module|PyTorch module|PyTorch file][ line by line].",
    "We got this [file|module] back from [review|a contractor|an assistant]; [can we use it|is it usable]?",
    "[Quick question|Question]: is the [schedule|code|module] below [right|implemented correctly]?",
    "Audit: one training module.",
)
_ANSWERS = (
    "[Answer|Reply|Respond] with `correct`, or with `incorrect` and, on the next two lines, the [faulty line|line at "
    "fault] as `line N: code` and the reason.",
    "[Begin|Start] with the verdict, `correct` or `incorrect`. If the file is incorrect, [add|give] the faulty line "
    "(`line N: code`) and the reason on [the next two lines|two more lines].",
    "First line: `correct` or `incorrect`. For an incorrect file, the second line [is|gives] the faulty line as `line "
    "N: code`, and the third line the reason.",
    "[State|Give] the verdict (`correct` or `incorrect`), and for an incorrect file the faulty line (`line N: code`) "
    "and the reason, each on its own line.",
    "If [all is well|the file is right|nothing is wrong], just [say|write] `correct`. Otherwise write `incorrect`, "
    "then the faulty line as `line N: code`, then [the reason|what is wrong with it], one per line.",
    "Format: `correct` alone; or `incorrect`, then `line N: code` for the faulty line, then a sentence with the "
    "reason, each on its own line.",
)
_MISSING = (
    "If a line is missing, [name|give] the line before it.",
    "For a missing line, [name|give] the line before it.",
    "[Report a missing line|A missing line is reported] at the line before it.",
    "Where a line is missing, N is the line before it.",
)
_TASKS = (
    "[The specification|The spec|What was asked for|The request|Requirements]:\n\n{specification}\n\n"
    "[The file|The module|The code|What came back|The implementation]:\n\n{file}",
    "[It should do this|It is meant to do this|This is what it should do|This was the request]:\n\n{specification}"
    "\n\n{file}",
    "{file}\n\n[The specification|The spec|What was asked for|It is supposed to do this]:\n\n{specification}",
)


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield for each mutant a question about the mutant and one about the file, in other words."""
    for failure in failures(NAME, task_input, context):
        file, faulty = failure.mutant.file, failure.mutant.text
        key = f"{file.name}/{failure.mutant.mutation}"
        chance = task_input.chance(NAME, key)
        lines = faults.lines(file, faulty)
        at = lines[0]
        code = faulty.splitlines()[at - 1].strip()
        reason = faults.reason(file, faulty, failure.mutant.mutation, chance)
        mutant = hashlib.sha256(faulty.encode()).hexdigest()
        for text, label, answer, evidence in (
            (faulty, False, f"\nline {at}: `{code}`\n{reason}", failure.evidence | {"mutant": mutant, "lines": lines}),
            (file.source, True, "", {"passed": file.sha256}),
        ):
            yield Example(
                task=NAME,
                key=f"{key}/{verdict(label)}",
                prompt=_prompt(file, text, chance),
                completion=f"{verdict(label)}{answer}",
                scope=Scope.FILE,
                files=(file,),
                evidence=evidence,
                system=wording.interface(file),
            )


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: a verdict makes no file."""


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the verdict and the line by the evidence; a right verdict with a wrong line is half of the answer.

    The line is the first one that the completion names, by its number or by its code. The reason is not graded.
    """
    evidence = orjson.loads(row["evidence"])
    expected, label = "failed" not in evidence, label_of(completion)
    if label is None:
        return Grade(False, "it does not begin with a verdict")
    if label is not expected:
        return Grade(False, f"expected the verdict {verdict(expected)}", EXTRACTED)
    if expected or _names_line(completion, evidence, row["prompt"]):
        return Grade.correct()
    return Grade(
        False,
        f"the fault is not at the line that it names, but at line {evidence['lines'][0]}",
        EXTRACTED,
        _RIGHT_VERDICT,
    )


def judged(prompt: str) -> str:
    """Return the file that a question is about."""
    begin = prompt.index("```python\n") + len("```python\n")
    return prompt[begin : prompt.index("\n```", begin) + 1]


def _names_line(completion: str, evidence: Mapping[str, Any], prompt: str) -> bool:
    """Return whether the first line that a completion names, or its code, is at the fault."""
    number, quoted = _LINE.search(completion), _QUOTED.search(completion)
    if number and int(number[1]) in evidence["lines"]:
        return True
    text = judged(prompt).splitlines()
    code = {text[at - 1].strip() for at in evidence["lines"] if at <= len(text)}
    elsewhere = {line.strip() for at, line in enumerate(text, start=1) if at not in evidence["lines"]}
    return quoted is not None and quoted[1].strip() in code - elsewhere


def named_lines(completion: str, text: str) -> list[int]:
    """Return the numbers of the lines that a completion names, in order; without numbers, those of code it quotes."""
    if numbers := _LINE.findall(completion):
        return [int(number) for number in numbers]
    at: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        at.setdefault(line.strip(), []).append(number)
    places = (at.get(code.strip(), []) for code in _QUOTED.findall(completion))
    return [numbers[0] for numbers in places if len(numbers) == 1]


def _prompt(file: VerifiedFile, text: str, chance: random.Random) -> str:
    answer = f"{phrase(chance.choice(_ANSWERS), chance)} {phrase(chance.choice(_MISSING), chance)}"
    request = [phrase(chance.choice(_OPENERS), chance), answer]
    task = phrase(
        chance.choice(_TASKS),
        chance,
        specification=intents.specification(file, chance),
        file=wording.fenced(text),
    )
    if chance.random() < 0.3:
        return f"{request[0]}\n\n{task}\n\n{request[1]}"
    return f"{' '.join(request)}\n\n{task}"
