"""Many completions graded at once: the files that they make go through the checks in one call of a harness."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrgen.errors import DatasetError
from lrgen.finetune.example import Grade, Reference, Row, Task
from lrgen.finetune.tasks import TASKS, judge
from lrgen.records import Candidate, Outcome, Stage, VerifySettings
from lrgen.verify.candidate import candidate_of

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
"""The checks that grade a file: all up to the schedule."""

Runner = Callable[[Sequence[Candidate]], Iterable[Outcome]]
"""Verifies files with ``SETTINGS`` and yields an outcome for each of them, in any order."""

_BY_NAME = {task.NAME: task for task in TASKS}


@dataclass(frozen=True)
class Submission:
    """A completion that answers the question of a row."""

    row: Row
    completion: str


def task_of(row: Row) -> Task | None:
    """The task of a row; None when lrgen has none of that name."""
    return _BY_NAME.get(row["task"])


def gold(row: Row) -> str:
    """The row's own right answer: its completion, or where a row is labelled the verdict on its completion."""
    completion: str = row["completion"]
    return completion if row["label"] is None else judge.verdict(row["label"])


def grade_all(submissions: Iterable[Submission], reference: Reference, runner: Runner) -> list[Grade]:
    """The grades of completions, in their order; the same file is executed once for each schedule that it must have.

    Raises:
        DatasetError: when lrgen has no task of a row's name.
        UnknownNameError: when the catalogue has not the network or the schedule of a row.
    """
    everything = list(submissions)
    grades: dict[int, Grade] = {}
    candidates: dict[tuple[str, str, str], Candidate] = {}
    waiting: dict[int, tuple[str, str, str]] = {}
    for index, (task, one) in enumerate((_known_task(one.row), one) for one in everything):
        try:
            text = task.assemble(one.row, one.completion, reference)
            content = text.encode() if text is not None else None
        except (DatasetError, UnicodeEncodeError) as error:
            grades[index] = Grade(False, str(error))
            continue
        if content is None:
            grades[index] = task.grade(one.row, one.completion, reference, None)
        else:
            candidate = _candidate(one.row, content, reference)
            waiting[index] = _key(candidate)
            candidates.setdefault(waiting[index], candidate)
    outcomes = {_key(outcome.candidate): outcome for outcome in runner(list(candidates.values()))} if candidates else {}
    for index, key in waiting.items():
        one = everything[index]
        grades[index] = _known_task(one.row).grade(one.row, one.completion, reference, outcomes[key])
    return [grades[index] for index in range(len(everything))]


def _known_task(row: Row) -> Task:
    task = task_of(row)
    if task is None:
        raise DatasetError(f"row {row['id']}: lrgen has no task {row['task']!r} to grade it by")
    return task


def _key(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.sha256, candidate.model_name, candidate.scheduler_type


def _candidate(row: Row, content: bytes, reference: Reference) -> Candidate:
    """The file that a completion makes, as it is verified: against the schedule of its row."""
    architecture, variant = reference.architecture(row), reference.variant(row)
    return candidate_of(Path(architecture.name) / f"{variant.key}.py", content, architecture, variant)
