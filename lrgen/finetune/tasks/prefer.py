"""An instruction → the better of two files (DPO).

A verified file is preferred to a mutant that failed. Of two verified files, the more accurate one is preferred when the
difference is significant over seeds.
"""

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrgen.finetune import wording
from lrgen.finetune.code_faults.faulty import correct_code, faulty
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import SYSTEM, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import system, write
from lrgen.finetune.instructions.compositions import requests
from lrgen.finetune.mutants import RunContext, failures
from lrgen.finetune.phrasing import phrase
from lrgen.records import Outcome, Status, Training
from lrgen.report import comparison
from lrgen.report.comparison import CONFIDENCE, Difference, Verdict

NAME = "prefer"
SUMMARY = "An instruction → the better of two files: the one that passes, or the significantly more accurate one."
EVIDENCE = ("failed", "difference")
NEEDS_CONTEXT = True


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield an example of each detected mutant, and of each pair of schedules with a significant difference.

    Of each composition, one realisation is preferred to a mutant.
    """
    for failure in failures(NAME, task_input, context, two_faults=True):
        file = failure.mutant.file
        key = f"{file.name}/{failure.mutant.mutation}"
        instruction = write.any_length(file, task_input.chance(NAME, key))
        yield Example(
            task=NAME,
            key=key,
            prompt=instruction.prompt,
            completion=file.source,
            scope=Scope.FILE,
            files=(file,),
            rejected=failure.mutant.text,
            evidence={"equals": file.sha256} | failure.evidence,
            system=instruction.system,
        )
    for realised in task_input.compositions:
        yield from _of_composition(task_input, realised)
    for preference in _significant(task_input, context):
        better, worse = preference.better, preference.worse
        pair = f"{better.name}/{worse.variant.key}/{preference.conditions['dataset']}"
        shown = [better, worse]
        task_input.chance(NAME, pair).shuffle(shown)
        yield Example(
            task=NAME,
            key=pair,
            prompt=_prompt(shown, preference, task_input.chance(NAME, pair)),
            completion=better.source,
            scope=Scope.FILE,
            files=(better, worse),
            rejected=worse.source,
            evidence=_evidence(preference),
            system=_system(shown),
        )


def _of_composition(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    """Yield correct code with a mutant of it, which has one fault or two."""
    key = f"{realised.composition.id}/{realised.number}"
    chance = task_input.chance(NAME, key)
    correct = correct_code(realised, chance)
    if correct is None:
        return
    mutant = faulty(realised.composition, correct, chance, count=chance.choice((1, 2)), shown=False)
    if mutant is None:
        return
    instruction = requests.of_style(realised.composition, correct, chance)
    yield Example(
        task=NAME,
        key=key,
        prompt=instruction.prompt,
        completion=correct.code,
        scope=Scope.SCHEDULE,
        rejected=mutant.text,
        evidence={"generated": realised.composition.id, **mutant.evidence},
        system=instruction.system,
        composition=realised,
        styles=(correct.style,),
        interface=correct.interface,
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, which is the file."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the preferred file.

    The rejected file of a pair that passes has another schedule.
    """
    assert outcome is not None
    return Grade.of_outcome(outcome)


@dataclass(frozen=True)
class _Preference:
    """Two files of one architecture, trained under the same conditions and seeds, with the difference in accuracy.

    ``rates`` are the base learning rates by schedule.
    """

    better: VerifiedFile
    worse: VerifiedFile
    seeds: tuple[int, ...]
    difference: Difference
    confidence: float
    conditions: dict[str, Any]
    rates: dict[str, float]


def _significant(task_input: TaskInput, context: RunContext) -> Iterator[_Preference]:
    networks: dict[str, dict[str, VerifiedFile]] = {}
    for file in task_input.plain:  # the candidates are schedules alone
        networks.setdefault(file.architecture.name, {})[file.variant.key] = file
    for name, files in networks.items():
        rows = [row for row in context.accuracies(name) if _of_file(row, files)]
        for dataset in sorted({row["dataset"] for row in rows}):
            yield from _pairs(files, [row for row in rows if row["dataset"] == dataset])


def _of_file(row: Mapping[str, Any], files: Mapping[str, VerifiedFile]) -> bool:
    """Return whether a run trained a file's exact bytes in full; results that callers reported do not count."""
    file = files.get(row["scheduler_type"])
    executed = row["status"] in set(Status) and row["training"] == Training.FULL
    return executed and file is not None and row["source_sha256"] == file.sha256


def _pairs(files: Mapping[str, VerifiedFile], rows: Iterable[Mapping[str, Any]]) -> Iterator[_Preference]:
    """Yield the significantly different pairs, with a joint ``CONFIDENCE`` over all pairs (Bonferroni)."""
    rows = list(rows)
    pool = comparison.pool(rows)
    failed = {row["scheduler_type"] for row in rows if not Status(row["status"]).ok}
    values: dict[str, dict[int, float]] = {}
    for run in pool.runs:
        if run.schedule not in failed:
            values.setdefault(run.schedule, {})[run.seed] = run.accuracy
    rates = {row["scheduler_type"]: json.loads(row["settings"])["prm"]["lr"] for row in rows}
    repeated = sorted(schedule for schedule, by_seed in values.items() if len(by_seed) > 1)
    pairs = list(itertools.combinations(repeated, 2))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(pairs))
    for pair in pairs:
        for better, worse in (pair, pair[::-1]):
            difference = comparison.paired(values[better], values[worse], confidence)
            if difference.verdict is Verdict.BETTER:
                seeds = tuple(sorted(values[better].keys() & values[worse].keys()))
                yield _Preference(files[better], files[worse], seeds, difference, confidence, pool.conditions, rates)


_TRAINED = (
    "{network} is [trained|to be trained] on {dataset} for {epochs} epochs with batch size {batch}, once with each of "
    "the seeds {seeds}.",
    "[The setting|Setting|Experiment]: {network} on {dataset}, {epochs} epochs, batch size {batch}, seeds {seeds}.",
    "[I|We] train {network} on {dataset}: {epochs} epochs, batch size {batch}, seeds {seeds}.",
)
_CANDIDATES = "[There are two candidate schedules|Two schedules are being considered|The candidates]:\n\n{schedules}"
_WANTED = (
    "[Write|Give me|Please write] the whole [module|file] with the schedule that reaches the higher [mean ]held-out "
    "accuracy.",
    "Which one reaches the higher held-out accuracy[ on average]? Answer with the whole [module|file] that uses it.",
    "[Take|Choose|Pick] the one that reaches the higher [mean ]held-out accuracy, and write the whole [module|file].",
)


def _prompt(shown: list[VerifiedFile], preference: _Preference, chance: random.Random) -> str:
    settings = preference.conditions["settings"]
    schedules = wording.bullets(
        f"{file.variant.title}, with `lr` {preference.rates[file.variant.key]:g}: {wording.summary(file.variant)}"
        for file in shown
    )
    return phrase(
        f"{chance.choice(_TRAINED)} {_CANDIDATES}\n\n{chance.choice(_WANTED)}",
        chance,
        network=wording.network(shown[0].architecture),
        dataset=preference.conditions["dataset"],
        epochs=str(settings["epochs"]),
        batch=str(settings["batch_size"]),
        seeds=wording.listed([str(seed) for seed in preference.seeds]),
        schedules=schedules,
    )


def _system(shown: list[VerifiedFile]) -> str:
    """Return the system's message with the interface and the definition of both files; it does not tell the better."""
    contracts = [[*wording.contract(file), wording.stepping(file.variant)] for file in shown]
    common = [line for line in contracts[0] if line in contracts[1]]
    own = [
        f"With {file.variant.title}: {' '.join(line for line in lines if line not in common)}"
        for file, lines in zip(shown, contracts, strict=True)
    ]
    interface = f"The file has the interface of every file of the project:\n\n{wording.bullets(common + own)}"
    network = f"Network: {wording.specified(shown[0].architecture)}"
    schedules = [text for file in shown for text in (*system.definition(file), system.defaults(file)) if text]
    recipes = [wording.training(file) for file in shown]
    training = [f"Training with {file.variant.title}: {text}" for file, text in zip(shown, recipes, strict=True)]
    if recipes[0] == recipes[1]:
        training = [f"Training: {recipes[0]}"]
    return "\n\n".join([SYSTEM, interface, network, *schedules, *training])


def _evidence(preference: _Preference) -> dict[str, Any]:
    assert preference.difference.mean is not None
    assert preference.difference.interval is not None
    low, high = preference.difference.interval
    return {
        "equals": preference.better.sha256,
        "rejected": preference.worse.sha256,
        "dataset": preference.conditions["dataset"],
        "seeds": list(preference.seeds),
        "difference": round(preference.difference.mean, 6),
        "interval": [round(low, 6), round(high, 6)],
        "confidence": round(preference.confidence, 6),
    }
