"""Grading of completions; the files that they make are verified in one call."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrgen.errors import DatasetError
from lrgen.finetune.example import EXTRACTED, Grade, Reference, Row, Task
from lrgen.finetune.tasks import TASKS, feedback
from lrgen.records import Candidate, CompositionClaim, Outcome, ReferenceNetwork, Stage, VerifySettings
from lrgen.verify.candidate import candidate_of, schedule_of

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
"""Files are graded by all checks up to the schedule."""

Runner = Callable[[Sequence[Candidate]], Iterable[Outcome]]
"""Verifies candidates with ``SETTINGS`` and yields their outcomes in any order."""

Key = tuple[str, str, str]
"""The sha256 of a file, its architecture and its schedule."""

_PATH = Path("schedule.py")  # of the code of a schedule alone
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
    return completion if row["label"] is None else feedback.verdict(row["label"])


def grade_all(submissions: Iterable[Submission], reference: Reference, runner: Runner) -> list[Grade]:
    """Grade completions, in order; a file is executed once for each schedule that it is checked against.

    Raises:
        DatasetError: when the task of a row is unknown.
        UnknownNameError: when the architecture or variant of a row is unknown.
    """
    pending = list(submissions)
    grades: dict[int, Grade] = {}
    candidates: dict[Key, Candidate] = {}
    waiting: dict[int, Key] = {}
    for index, submission in enumerate(pending):
        made = assembled(submission, reference)
        if isinstance(made, Grade):
            grades[index] = made
        else:
            waiting[index] = key_of(made)
            candidates.setdefault(waiting[index], made)
    outcomes = (
        {key_of(outcome.candidate): outcome for outcome in runner(list(candidates.values()))} if candidates else {}
    )
    for index, key in waiting.items():
        grades[index] = grade(pending[index], reference, outcomes[key])
    return [grades[index] for index in range(len(pending))]


def assembled(submission: Submission, reference: Reference) -> Candidate | Grade:
    """Return the file that a completion makes; its grade when no file must be executed for it.

    Raises:
        DatasetError: when the task of the row is unknown.
        UnknownNameError: when the architecture or variant of the row is unknown.
    """
    task, row = _known_task(submission.row), submission.row
    try:
        text = task.assemble(row, submission.completion, reference)
        content = text.encode() if text is not None else None
    except (DatasetError, UnicodeEncodeError) as error:
        return Grade(False, str(error), EXTRACTED)
    if content is None:
        return task.grade(row, submission.completion, reference, None)
    return _candidate(row, content, reference)


def grade(submission: Submission, reference: Reference, outcome: Outcome) -> Grade:
    """Return the grade of a completion whose file was executed."""
    return _known_task(submission.row).grade(submission.row, submission.completion, reference, outcome)


def _known_task(row: Row) -> Task:
    task = task_of(row)
    if task is None:
        raise DatasetError(f"row {row['id']}: unknown task {row['task']!r}")
    return task


def key_of(candidate: Candidate) -> Key:
    """Return what decides the outcome of a file: its bytes, and what they are checked against."""
    return candidate.sha256, candidate.model_name, candidate.scheduler_type


def _candidate(row: Row, content: bytes, reference: Reference) -> Candidate:
    """Return the file of a completion as a candidate that is checked against the schedule and the network of its row.

    The bytes that the catalogue renders are recognised: their parts are executed once.
    """
    claim = json.loads(row["checker"])
    if claim.get("interface"):
        composition, interface = json.dumps(claim["composition"]), json.dumps(claim["interface"])
        name = f"{row['variant']}-{hashlib.sha256(interface.encode()).hexdigest()[:8]}"
        return schedule_of(_PATH, content, name, CompositionClaim(composition, interface))
    architecture, variant = reference.architecture(row), reference.variant(row)
    path = Path(architecture.name) / f"{variant.key}.py"
    if reference.renderer.render(architecture, variant).text.encode() == content:
        parts = reference.renderer.parts(architecture, variant)
        return candidate_of(path, content, architecture, variant, rendered=True, parts=parts)
    network = ReferenceNetwork(architecture.name, reference.renderer.network(architecture))
    return replace(candidate_of(path, content, architecture, variant), reference=network)
