"""An instruction → the better of two files (DPO): one that passes before one that failed, and of two that pass the one
whose measured accuracy is higher by more than the noise over seeds.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import RunContext, failures
from lrgen.finetune.tasks import write
from lrgen.records import Outcome, Status, Training
from lrgen.report import comparison
from lrgen.report.comparison import CONFIDENCE, Difference, Verdict

NAME = "prefer"
SUMMARY = "An instruction → the better of two files: passed before failed, or measurably more accurate."
EVIDENCE = ("failed", "difference")
NEEDS_CONTEXT = True


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """One for each mistake that the checks saw, and one for each two schedules that the runs tell apart."""
    for failure in failures(task_input, context):
        file = failure.mutant.file
        key = f"{file.name}/{failure.mutant.mutation}"
        yield Example(
            task=NAME,
            key=key,
            prompt=task_input.chance(NAME, key).choice(write.DETAILED)(file),
            completion=file.source,
            scope=Scope.FILE,
            files=(file,),
            rejected=failure.mutant.text,
            evidence={
                "equals": file.sha256,
                "mutation": failure.mutant.mutation,
                "failed": failure.stage.value,
                "reason": failure.reason,
            },
        )
    for won in _measured(task_input, context):
        better, worse = won.better, won.worse
        pair = f"{better.name}/{worse.variant.key}/{won.conditions['dataset']}"
        shown = [better, worse]
        task_input.chance(NAME, pair).shuffle(shown)
        yield Example(
            task=NAME,
            key=pair,
            prompt=_asked(shown, won),
            completion=better.source,
            scope=Scope.FILE,
            files=(better, worse),
            rejected=worse.source,
            evidence=_evidence(won),
        )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The completion, which is the file."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the file passes the checks, with the learning rates of the better file's schedule: the worse of two
    files that both pass has those of another one.
    """
    assert outcome is not None
    return Grade.of_outcome(outcome)


@dataclass(frozen=True)
class _Won:
    """Two files of one network, trained alike under the same seeds, and by how much one did better; ``rates`` are the
    base rates by schedule.
    """

    better: VerifiedFile
    worse: VerifiedFile
    seeds: tuple[int, ...]
    difference: Difference
    confidence: float
    conditions: dict[str, Any]
    rates: dict[str, float]


def _measured(task_input: TaskInput, context: RunContext) -> Iterator[_Won]:
    networks: dict[str, dict[str, VerifiedFile]] = {}
    for file in task_input.files:
        networks.setdefault(file.architecture.name, {})[file.variant.key] = file
    for name, files in networks.items():
        rows = [row for row in context.accuracies(name) if _of_file(row, files)]
        for dataset in sorted({row["dataset"] for row in rows}):
            yield from _told_apart(files, [row for row in rows if row["dataset"] == dataset])


def _of_file(row: Mapping[str, Any], files: Mapping[str, VerifiedFile]) -> bool:
    """Whether a run is a training in full of the very bytes that would be published, and not a caller's number."""
    file = files.get(row["scheduler_type"])
    executed = row["status"] in set(Status) and row["training"] == Training.FULL
    return executed and file is not None and row["source_sha256"] == file.sha256


def _told_apart(files: Mapping[str, VerifiedFile], rows: Iterable[Mapping[str, Any]]) -> Iterator[_Won]:
    """Each two schedules whose difference is beyond the noise; all of them at once with ``CONFIDENCE`` (Bonferroni)."""
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
                yield _Won(files[better], files[worse], seeds, difference, confidence, pool.conditions, rates)


def _asked(shown: list[VerifiedFile], won: _Won) -> str:
    network, settings = shown[0].architecture.title, won.conditions["settings"]
    seeds = wording.listed([str(seed) for seed in won.seeds])
    schedules = wording.bullets(
        f"{file.variant.title}, with `lr` {won.rates[file.variant.key]:g}: {wording.summary(file.variant)}"
        for file in shown
    )
    return (
        f"{network} is trained on {won.conditions['dataset']} for {settings['epochs']} epochs in batches of "
        f"{settings['batch_size']}, under each of the seeds {seeds}. Two schedules are to choose from:\n\n{schedules}"
        "\n\nWrite the whole module with the one that comes to the higher held-out accuracy."
    )


def _evidence(won: _Won) -> dict[str, Any]:
    assert won.difference.mean is not None
    assert won.difference.interval is not None
    low, high = won.difference.interval
    return {
        "equals": won.better.sha256,
        "rejected": won.worse.sha256,
        "dataset": won.conditions["dataset"],
        "seeds": list(won.seeds),
        "difference": round(won.difference.mean, 6),
        "interval": [round(low, 6), round(high, 6)],
        "confidence": round(won.confidence, 6),
    }
