"""The work of ``lrgen score``: the completions of a model for the rows of a dataset, or the dataset's own answers."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.errors import ScoreError, UnknownNameError
from lrgen.files import read_bytes
from lrgen.finetune import grading, manifest
from lrgen.finetune.example import Reference, Row
from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import SCHEMA
from lrgen.finetune.tasks import TASKS
from lrgen.records import Policy, Stage
from lrgen.score import completions, evalplus, ladder, results, summary
from lrgen.score.completions import Completion, Skipped
from lrgen.score.results import Conditions
from lrgen.score.scorer import Scorer, ScoreSettings, sha256_of
from lrgen.score.verdict import Verdict
from lrgen.verify import verdicts
from lrgen.verify.case_seed import new_case_seed
from lrgen.verify.plan import VerifyPlan
from lrgen.version import __version__

_CHOSEN = ("id", "task", "split", "family", "architecture")  # columns that are read of all rows


@dataclass(frozen=True)
class Selection:
    """The rows of a dataset that are scored: of these splits and tasks, all where none is named.

    ``count`` is the number of them that are drawn, the same ones each time; None: all.
    """

    folder: Path
    splits: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    count: int | None = None


@dataclass(frozen=True)
class Scored:
    """A run of ``lrgen score``.

    ``left`` completions have no verdict, because the deadline came first. ``problems`` are the dataset's own answers
    that do not pass, and its rejected ones that do.
    """

    verdicts: tuple[Verdict, ...]
    summary: dict[str, Any]
    skipped: tuple[Skipped, ...] = ()
    left: int = 0
    problems: tuple[str, ...] = ()


class _DeadlineError(Exception):
    """The time of the run is over."""


@dataclass(frozen=True)
class Rows:
    """The selected rows of a dataset, which are read when they are needed."""

    folder: Path
    splits: tuple[str, ...]
    tasks: tuple[str, ...]
    ids: tuple[str, ...]
    seen: summary.Seen

    def read(self, ids: Iterable[str]) -> dict[str, Row]:
        """Read the rows of these ids."""
        wanted = set(ids)
        rows = (row for split in self.splits for row in parquet.read(self.folder, split))
        return {row["id"]: row for row in rows if row["id"] in wanted}


def rows_of(selection: Selection) -> Rows:
    """The selected rows.

    Raises:
        DatasetError: if the folder is no dataset, or a file of it cannot be read.
        ScoreError: if it has another schema than this version of lrgen, or nothing is selected.
        UnknownNameError: if it has no such split, or there is no such task.
    """
    folder = selection.folder
    facts = manifest.read(folder)
    if facts.get("schema") != SCHEMA:
        raise ScoreError(
            f"{folder}: the dataset has schema {facts.get('schema')}, this version of lrgen scores schema {SCHEMA}: "
            "build it again"
        )
    present = parquet.splits(folder)
    for split in selection.splits:
        if split not in present:
            raise UnknownNameError("split", split, present)
    names = [task.NAME for task in TASKS]
    for task in selection.tasks:
        if task not in names:
            raise UnknownNameError("task", task, names)
    splits = tuple(split for split in present if not selection.splits or split in selection.splits)
    chosen = [
        row["id"]
        for split in splits
        for row in parquet.read(folder, split, _CHOSEN)
        if not selection.tasks or row["task"] in selection.tasks
    ]
    if not chosen:
        raise ScoreError(f"{folder}: no row of the dataset is selected")
    if selection.count is not None and selection.count < len(chosen):
        drawn = set(sorted(chosen, key=_place)[: selection.count])
        chosen = [row_id for row_id in chosen if row_id in drawn]
    training = list(parquet.read(folder, "train", _CHOSEN)) if "train" in present else []
    seen = summary.Seen({row["family"] for row in training}, {row["architecture"] for row in training})
    return Rows(folder, splits, tuple(sorted(set(selection.tasks))), tuple(chosen), seen)


def _place(row_id: str) -> bytes:
    """Return the place of a row in the order in which rows are drawn."""
    return hashlib.sha256(row_id.encode()).digest()


def scorer_of(catalogue: Catalogue, plan: VerifyPlan, out: Path, seconds: float | None = None) -> Scorer:
    """The scorer of a run into a folder; outcomes of files are cached there.

    Without a case seed in the plan, it is that of the results in the folder, or a new one.

    Raises:
        ScoreError: if the results in the folder cannot be read.
    """
    recorded = results.conditions_of(out) if plan.case_seed is None else None
    case_seed = recorded.case_seed if recorded else plan.case_seed
    [verification] = plan.settings
    training = verification.stage is Stage.TRAINING
    settings = ScoreSettings(
        case_seed=new_case_seed() if case_seed is None else case_seed,
        stage=verification.stage,
        policy=verification.policy or Policy.STRICT,
        seconds=seconds or (plan.timeout if training else ScoreSettings.seconds),
        workers=plan.workers,
        isolation=plan.isolation,
        engine=plan.engine,
        address=plan.address,
    )
    return Scorer(Reference(catalogue), settings, verdicts.cache_in(out))


def conditions_of(rows: Rows, scorer: Scorer) -> Conditions:
    """The conditions of a run."""
    settings = scorer.settings
    return Conditions(
        lrgen=__version__,
        ladder=ladder.VERSION,
        dataset=hashlib.sha256(read_bytes(rows.folder / manifest.NAME)).hexdigest(),
        splits=",".join(rows.splits),
        tasks=",".join(rows.tasks) or "all",
        rows=len(rows.ids),
        stage=settings.stage.value,
        policy=settings.policy.value,
        case_seed=settings.case_seed,
    )


def score(
    rows: Rows,
    path: Path,
    out: Path,
    scorer: Scorer,
    *,
    ks: Sequence[int] = (),
    deadline: float | None = None,
    started: Callable[[int, int], None] = lambda total, reused: None,
    advance: Callable[[int], None] = lambda count: None,
) -> Scored:
    """Score the completions at a path; the results are written to ``out`` as they come, and continued if there are any.

    Args:
        ks: the numbers k of pass@k that were given by hand.
        deadline: the seconds after which the run stops; what is left is scored by the next one.
        started: called once, with the number of completions and of those that have a verdict.
        advance: called with the number of completions that were graded since.

    Raises:
        ScoreError: if the path has no completion of a row, ``out`` has other results, or no row reaches a k.
    """
    ends = None if deadline is None else time.monotonic() + deadline
    given, skipped = completions.read(path, rows.ids)
    counts: dict[str, int] = {}
    for completion in given:
        counts[completion.row_id] = completion.sample + 1
    summary.ks_of(counts.values(), ks)  # before the work
    known = rows.read(counts)

    def within(count: int) -> None:
        advance(count)
        if ends is not None and time.monotonic() > ends:
            raise _DeadlineError

    conditions = conditions_of(rows, scorer)
    with results.Results(out, conditions) as written:
        waiting = [
            completion
            for completion in given
            if written.verdict(completion.row_id, completion.sample, sha256_of(completion.text)) is None
        ]
        started(len(given), len(given) - len(waiting))
        with contextlib.suppress(_DeadlineError):
            for verdict in scorer.score(((known[each.row_id], each) for each in waiting), within):
                written.add(verdict)
        order = [
            (each.row_id, each.sample)
            for each in given
            if written.verdict(each.row_id, each.sample, sha256_of(each.text)) is not None
        ]
        graded = written.finish(order)
        numbers = summary.summarise(graded, conditions, len(rows.ids), rows.seen, ks if graded else ())
        written.write(results.SUMMARY, numbers)
        evalplus.write(written, graded, numbers["k"], evalplus.file_name(path))
    return Scored(tuple(graded), numbers, tuple(skipped), len(given) - len(order))


def gold(
    rows: Rows,
    out: Path,
    scorer: Scorer,
    *,
    started: Callable[[int, int], None] = lambda total, reused: None,
    advance: Callable[[int], None] = lambda count: None,
) -> Scored:
    """Score the dataset's own answers, which all must pass; a rejected answer of a preference row must not.

    The verdicts are written to ``out`` as they come, a rejected answer as the second sample of its row: a run that was
    stopped is continued.

    Raises:
        ScoreError: if ``out`` has other results.
    """
    conditions = conditions_of(rows, scorer)
    with results.Results(out, conditions) as written:
        total = reused = 0
        for _, completion in _own(rows):
            total += 1
            reused += written.verdict(completion.row_id, completion.sample, sha256_of(completion.text)) is not None
        started(total, reused)
        waiting = (
            (row, completion)
            for row, completion in _own(rows)
            if written.verdict(completion.row_id, completion.sample, sha256_of(completion.text)) is None
        )
        for verdict in scorer.score(waiting, advance):
            written.add(verdict)
        verdicts = written.finish((completion.row_id, completion.sample) for _, completion in _own(rows))
        graded = [verdict for verdict in verdicts if verdict.sample == 0]
        numbers = summary.summarise(graded, conditions, len(rows.ids), rows.seen)
        written.write(results.SUMMARY, numbers)
    return Scored(tuple(graded), numbers, problems=tuple(filter(None, map(_problem, verdicts))))


def _own(rows: Rows) -> Iterator[tuple[Row, Completion]]:
    """Yield each answer of the dataset with its row; a rejected one is the second sample of its row."""
    wanted = set(rows.ids)
    for split in rows.splits:
        for row in parquet.read(rows.folder, split):
            if row["id"] in wanted:
                yield row, Completion(row["id"], 0, grading.gold(row), f"row {row['id']}")
                if row["rejected"] is not None:
                    yield row, Completion(row["id"], 1, row["rejected"], f"row {row['id']}")


def _problem(verdict: Verdict) -> str | None:
    """Return what is wrong with an answer of the dataset; None if nothing is."""
    if verdict.sample == 0 and not verdict.passed:
        return f"row {verdict.row_id} ({verdict.task}): its own answer does not pass: {verdict.reason}"
    if verdict.sample == 1 and verdict.passed:
        return f"row {verdict.row_id} ({verdict.task}): its rejected answer passes"
    return None
