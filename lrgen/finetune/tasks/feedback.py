"""An instruction → a file that is labelled correct or incorrect (KTO): verified files, and mutants that failed."""

import re
from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.code_faults.faulty import correct_code, faulty
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import write
from lrgen.finetune.instructions.compositions import requests
from lrgen.finetune.mutants import RunContext, failures
from lrgen.records import Outcome

NAME = "feedback"
SUMMARY = "An instruction and a file that is labelled correct or incorrect; half of the files are correct."
EVIDENCE = ("equals", "failed", "generated")
NEEDS_CONTEXT = True

_CORRECT = 0.5  # of the examples of compositions
_VERDICTS = {True: "correct", False: "incorrect"}
_LABELS = {
    **{"correct": True, "good": True, "yes": True, "true": True},
    **{"incorrect": False, "wrong": False, "bad": False, "no": False, "false": False},
}
_WORD = re.compile(r"[a-z]+")


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield for each mutant the file and the mutant, each pair with the same prompt."""
    for failure in failures(NAME, task_input, context, two_faults=True):
        file, mutant = failure.mutant.file, failure.mutant
        key = f"{file.name}/{mutant.mutation}"
        instruction = write.any_length(file, task_input.chance(NAME, key))
        completions = ((file.source, True, {"equals": file.sha256}), (mutant.text, False, failure.evidence))
        for completion, label, evidence in completions:
            yield Example(
                task=NAME,
                key=f"{key}/{verdict(label)}",
                prompt=instruction.prompt,
                completion=completion,
                scope=Scope.FILE,
                files=(file,),
                label=label,
                evidence=evidence,
                system=instruction.system,
            )
    for realised in task_input.compositions:
        yield from _of_composition(task_input, realised)


def _of_composition(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    """Yield an example of correct code or of a mutant, half of each."""
    key = f"{realised.composition.id}/{realised.number}"
    chance = task_input.chance(NAME, key)
    correct = correct_code(realised, chance)
    if correct is None:
        return
    text, label, evidence = correct.code, chance.random() < _CORRECT, {"generated": realised.composition.id}
    if not label:
        mutant = faulty(realised.composition, correct, chance, count=chance.choice((1, 1, 1, 2)), shown=False)
        if mutant is None:
            return
        text, evidence = mutant.text, mutant.evidence
    instruction = requests.of_style(realised.composition, correct, chance)
    yield Example(
        task=NAME,
        key=key,
        prompt=instruction.prompt,
        completion=text,
        scope=Scope.SCHEDULE,
        label=label,
        evidence=evidence,
        system=instruction.system,
        composition=realised,
        styles=(correct.style,),
        interface=correct.interface,
    )


def verdict(label: bool) -> str:
    """Return the verdict on a file with this label."""
    return _VERDICTS[label]


def label_of(verdict: str) -> bool | None:
    """Return the label of a verdict: correct or incorrect, good or bad, yes or no, true or false. None for others."""
    word = _WORD.search(verdict.lower())
    return _LABELS.get(word[0]) if word else None


def question(prompt: str, file: str) -> str:
    """Return the question whether a file is correct, which ``grade`` reads the answer to."""
    return (
        f"{prompt}\n\nThis file was written in reply:\n\n{wording.fenced(file)}\n\nIs it correct? Begin your answer "
        f"with `{verdict(True)}` or `{verdict(False)}`."
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file of the row, which the completion is a verdict on."""
    file: str = row["completion"]
    return file


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the verdict, the first word of the completion, by the outcome of the checks."""
    assert outcome is not None
    label = label_of(completion)
    if label is None:
        return Grade(False, "it does not begin with a verdict")
    if label == outcome.status.ok:
        return Grade.correct()
    actual = "the file passes" if outcome.status.ok else Grade.of_outcome(outcome).reason
    return Grade(False, f"expected the verdict {verdict(not label)}: {actual}", EXTRACTED)
