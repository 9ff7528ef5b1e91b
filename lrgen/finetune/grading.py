"""Grading of completions; the files that they make are verified in one call."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrgen.errors import DatasetError
from lrgen.finetune.example import Grade, Reference, Row, Task
from lrgen.finetune.tasks import TASKS, judge
from lrgen.records import Candidate, Outcome, Stage, VerifySettings
from lrgen.verify.candidate import candidate_of

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
"""Files are graded by all checks up to the schedule."""

Runner = Callable[[Sequence[Candidate]], Iterable[Outcome]]
"""Verifies candidates with ``SETTINGS`` and yields their outcomes in any order."""

_BY_NAME = {task.NAME: task for task in TASKS}


@dataclass(frozen=True)
class Submission:
    """A completion of the prompt of a row."""

    row: Row
    completion: str


def task_of(row: Row) -> Task | None:
    """Return the task of a row; None when its name is unknown."""
    return _BY_NAME.get(row["task"])


def gold(row: Row) -> str:
    """Return the correct completion of a row; for a labelled row, the verdict on its completion."""
    completion: str = row["completion"]
    return completion if row["label"] is None else judge.verdict(row["label"])


def grade_all(submissions: Iterable[Submission], reference: Reference, runner: Runner) -> list[Grade]:
    """Grade completions, in order; a file is executed once for each schedule that it is checked against.

    Raises:
        DatasetError: when the task of a row is unknown.
        UnknownNameError: when the architecture or variant of a row is unknown.
    """
    pending = list(submissions)
    grades: dict[int, Grade] = {}
    candidates: dict[tuple[str, str, str], Candidate] = {}
    waiting: dict[int, tuple[str, str, str]] = {}
    for index, submission in enumerate(pending):
        task, row = _known_task(submission.row), submission.row
        try:
            text = task.assemble(row, submission.completion, reference)
            content = text.encode() if text is not None else None
        except (DatasetError, UnicodeEncodeError) as error:
            grades[index] = Grade(False, str(error))
            continue
        if content is None:
            grades[index] = task.grade(row, submission.completion, reference, None)
        else:
            candidate = _candidate(row, content, reference)
            waiting[index] = _key(candidate)
            candidates.setdefault(waiting[index], candidate)
    outcomes = {_key(outcome.candidate): outcome for outcome in runner(list(candidates.values()))} if candidates else {}
    for index, key in waiting.items():
        row = pending[index].row
        grades[index] = _known_task(row).grade(row, pending[index].completion, reference, outcomes[key])
    return [grades[index] for index in range(len(pending))]


def _known_task(row: Row) -> Task:
    task = task_of(row)
    if task is None:
        raise DatasetError(f"row {row['id']}: unknown task {row['task']!r}")
    return task


def _key(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.sha256, candidate.model_name, candidate.scheduler_type


def _candidate(row: Row, content: bytes, reference: Reference) -> Candidate:
    """Return the file of a completion as a candidate that is checked against the schedule of its row."""
    architecture, variant = reference.architecture(row), reference.variant(row)
    return candidate_of(Path(architecture.name) / f"{variant.key}.py", content, architecture, variant)
