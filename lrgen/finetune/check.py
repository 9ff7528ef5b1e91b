"""Checks of a dataset folder: hashes, columns, splits, formats, and completions, which are executed again.

The check relies only on the bytes in the folder. Code of the dataset runs in a sandbox.
"""

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError, LrgenError
from lrgen.finetune import card, format_check, grading, manifest, statistics
from lrgen.finetune.build import TOO_LONG, completion_key
from lrgen.finetune.corpus import Level
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.derived import Derived
from lrgen.finetune.example import Reference, Row, Scope, Task
from lrgen.finetune.formats import parquet
from lrgen.finetune.grading import Submission
from lrgen.finetune.rows import SCHEMA, Split, exposure_of, problems
from lrgen.finetune.tasks import trace as tracing
from lrgen.records import Candidate, Outcome, Status
from lrgen.store import Store
from lrgen.verify import nursery_process, scratch, trace
from lrgen.verify import run as verify

_MAX_PROBLEMS = 20  # of one kind
_EXPOSURES = ("training", "validation", "tests")


@dataclass
class Checked:
    """The result of a check.

    Attributes:
        rows: the number of rows.
        executed: the number of executed files.
        traced: the number of completions of task trace whose code was executed.
        problems: the problems, one sentence each.
    """

    rows: int = 0
    executed: int = 0
    traced: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problems: Iterable[str]) -> None:
        """Add problems of one kind; after the first ones they are only counted."""
        rest = iter(problems)
        self.problems += itertools.islice(rest, _MAX_PROBLEMS)
        if others := sum(1 for _ in rest):
            self.problems.append(f"… and {others} more of this kind")


def check(
    folder: Path,
    catalogue: Catalogue,
    *,
    sample: int | None = None,
    store: Store | None = None,
    workers: int = 1,
    timeout: float = 900.0,
    advance: Callable[[int], None] = lambda count: None,
) -> Checked:
    """Check a dataset.

    At most ``sample`` of the files that the completions make are executed, and as many traces (None: all). With a
    store, the runs of the rows are looked up.

    Raises:
        DatasetError: when the folder has no manifest of lrgen.
        IsolationError: when files must be executed and no sandbox is available.
    """
    facts = manifest.read(folder)
    checked = Checked()
    reference = Reference(catalogue)
    checked.add(_files(folder, facts))
    with ExitStack() as stack:
        stack.enter_context(nursery_process.kept())
        run_folder = stack.enter_context(scratch.run_folder())
        inspection = _Inspection(facts, reference, stack.enter_context(Deduplicator(run_folder / "seen")))
        for split in parquet.splits(folder):
            try:
                if not parquet.is_current(folder, split):
                    checked.problems.append(f"{parquet.file_of(split)}: the columns differ from schema {SCHEMA}")
                checked.add(inspection.problems(parquet.read(folder, split), split, advance))
            except DatasetError as error:
                checked.problems.append(str(error))
        checked.rows = inspection.rows.total()
        checked.add(inspection.count_problems())
        checked.add(_too_long(folder, facts, inspection))
        checked.add(format_check.problems(folder, facts))
        if store is not None:
            checked.add(_runs(store, inspection.results))
        if checked.problems:
            return checked  # a damaged dataset is not executed
        files = inspection.files(sample)
        checked.executed = len(files)
        checked.add(_executed(files, reference, run_folder, workers, timeout, advance))
        checked.add(_traced(folder, reference, sample, workers, checked))
    return checked


def _files(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences between the files and the manifest."""
    listed, present = facts["files"], manifest.entries(folder)
    for name in sorted(listed.keys() | present.keys()):
        if name not in present:
            yield f"{name}: is missing"
        elif name not in listed:
            yield f"{name}: is not in the manifest"
        elif listed[name] != present[name]:
            yield f"{name}: its sha256 or size differs from the manifest"
    for name in (card.README, card.CROISSANT, statistics.PAGE):
        if name not in listed:
            yield f"{name}: is not in the manifest"


# The submissions that make one file, by task and by whether the file must pass.
_Claims = dict[tuple[str, bool], Submission]

# The keys of a row's evidence that hold the sha256 of the file that its completion makes.
_FILE_KEYS = ("equals", "infilled", "patched")


class _Inspection:
    """Inspects rows one by one and keeps what must be compared between rows."""

    def __init__(self, facts: Mapping[str, Any], reference: Reference, seen: Deduplicator) -> None:
        self._facts = facts
        self._reference = reference
        self._arguments = facts["arguments"]
        self._seen = seen
        self._derived = Derived()
        self._groups: dict[str, str] = {}
        self._exposures_of_files: dict[str, int] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._claims: dict[str, _Claims] = {}
        self.rows: Counter[tuple[str, str]] = Counter()
        self.results: dict[tuple[str, int | None], float | None] = {}

    def problems(self, rows: Iterable[Row], split: str, advance: Callable[[int], None]) -> Iterator[str]:
        """Yield the problems of the rows of one file."""
        for row in rows:
            place = f"{split}, row {row.get('id')}"
            of_row = list(problems(row))
            if not of_row:
                self.rows[row["task"], split] += 1
                of_row = [*self._compare_with_build(row, split), *self._compare_with_rows(row)]
            yield from (f"{place}: {problem}" for problem in of_row)
            advance(1)

    def _compare_with_build(self, row: Row, split: str) -> Iterator[str]:
        """Yield the problems of a row, given the manifest."""
        if row["split"] != split:
            yield f"its split is {row['split']}, but it is in the file of {split}"
        if row["seed"] != self._arguments.get("seed"):
            yield f"its seed is {row['seed']}, but that of the build is {self._arguments.get('seed')}"
        required = self._arguments.get("level", Level.CONTRACT)
        if row["level"] and Level(row["level"]).rank < Level(required).rank:
            yield f"its file was verified up to {row['level']}, but the build required {required}"
        if row["scope"] != Scope.NONE and not (row["level"] and row["source_sha256"]):
            yield f"its scope is {row['scope']}, but it names no verified file"
        limit = self._arguments.get("max_tokens")
        if limit is not None and (row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0) > limit:
            yield f"has more than {limit} tokens"
        held_out = self._facts["held_out"]
        hard = {Split.TEST_FAMILIES: "families", Split.TEST_ARCHITECTURES: "architectures"}
        if row["family"] in held_out.get("families", ()) and row["split"] != Split.TEST_FAMILIES:
            yield f"the family {row['family']} is held out"
        if row["architecture"] in held_out.get("architectures", ()) and row["split"] not in hard:
            yield f"the architecture {row['architecture']} is held out"
        yield from _evidence_problems(row)
        yield from self.derived_problems(row)
        try:
            if task := grading.task_of(row):
                yield from self._graded(task, row)
        except (LrgenError, ValueError, KeyError, TypeError, SyntaxError) as error:
            yield f"its completion does not match its evidence: {error}"

    def derived_problems(self, row: Row) -> Iterator[str]:
        """Yield the columns that differ from those that follow from the row and its schedule."""
        try:
            yield from self._derived.problems(row, self._reference.variant(row) if row["variant"] else None)
        except LrgenError as error:
            yield f"its checker cannot be computed: {error}"

    def _graded(self, task: Task, row: Row) -> Iterator[str]:
        """Yield the problems of a row's completions that need no execution; keep the files that they make."""
        evidence = orjson.loads(row["evidence"])
        own = Submission(row, grading.gold(row))
        text = task.assemble(row, own.completion, self._reference)
        if text is None:
            grade = task.grade(row, own.completion, self._reference, None)
            if not grade.passed:
                yield f"its completion does not match its evidence: {grade.reason}"
            return
        named = next((evidence[key] for key in _FILE_KEYS if key in evidence), None)
        if named is not None and hashlib.sha256(text.encode()).hexdigest() != named:
            raise DatasetError(f"it does not make the file {named[:12]}… of its evidence")
        self._keep(own, text, True)
        if row["rejected"] is not None and "failed" in evidence:
            self._keep(Submission(row, row["rejected"]), row["rejected"], False)

    def _compare_with_rows(self, row: Row) -> Iterator[str]:
        """Yield the problems of a row, given the rows before it."""
        if self._seen.record(bytes.fromhex(row["id"]), 0) is not None:
            yield "is a duplicate"
        if row["scope"] == Scope.NONE:
            return
        if (other := self._groups.setdefault(row["group"], row["split"])) != row["split"]:
            yield f"its group {row['group']} is in two splits: {other} and {row['split']}"
        exposure = exposure_of(row["split"])
        known = self._seen.record(row["task"].encode() + b"\0" + completion_key(row["completion"]), exposure)
        if known not in (None, exposure):
            yield f"its completion is in {_EXPOSURES[known]} and in {_EXPOSURES[exposure]}"
        if row["scope"] == Scope.FILE:
            first = self._exposures_of_files.setdefault(row["source_sha256"], exposure)
            if first != exposure:
                yield f"its file is in {_EXPOSURES[first]} and in {_EXPOSURES[exposure]}"
        name = (row["architecture"], row["variant"])
        if self._sources.setdefault(row["source_sha256"], name) != name:
            yield f"the file {row['source_sha256'][:12]}… has two names"
        self.results[row["source_sha256"], row["result_id"]] = row["accuracy"]

    def count_problems(self) -> Iterator[str]:
        """Yield differences between the counts and the manifest."""
        counts = self._facts["counts"]
        splits: Counter[str] = Counter()
        tasks: Counter[str] = Counter()
        for (task, split), count in self.rows.items():
            tasks[task] += count
            splits[split] += count
        for kind, actual in (("splits", splits), ("tasks", tasks)):
            if counts.get(kind) != dict(actual):
                yield f"{manifest.NAME}: the counts of {kind} are {counts.get(kind)}, but the rows give {dict(actual)}"

    def _keep(self, submission: Submission, text: str, passes: bool) -> None:
        """Keep a file for execution, and whether it must pass."""
        row = submission.row
        files = self._claims.setdefault(f"{completion_key(text).hex()}-{row['variant']}", {})
        files.setdefault((row["task"], passes), submission)

    def files(self, sample: int | None) -> list[_Claims]:
        """Return the files to execute: all, or a sample."""
        return [self._claims[key] for key in sorted(self._claims)[:sample]]


def _evidence_problems(row: Row) -> Iterator[str]:
    """Yield the problems of the evidence of a row."""
    evidence, task = orjson.loads(row["evidence"]), grading.task_of(row)
    if task and not any(key in evidence for key in task.EVIDENCE):
        yield f"its evidence has none of the keys {', '.join(task.EVIDENCE)}"
    if row["label"] is not None and ("failed" in evidence) == row["label"]:
        yield f"its label {row['label']} contradicts its evidence"


def _too_long(folder: Path, facts: Mapping[str, Any], inspection: _Inspection) -> Iterator[str]:
    """Yield the problems of the rows that are too long."""
    limit = facts["arguments"].get("max_tokens")
    path = folder / TOO_LONG
    if not path.is_file():
        if limit is not None:
            yield f"{TOO_LONG}: is missing, but the build had a limit of {limit} tokens"
        return
    count = 0
    with path.open("rb") as lines:
        for count, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield f"{TOO_LONG}, line {count}: not JSON: {error}"
                return
            of_row = list(problems(row)) or inspection.derived_problems(row)
            yield from (f"{TOO_LONG}, line {count}: {problem}" for problem in of_row)
            if limit is None or (row.get("prompt_tokens") or 0) + (row.get("completion_tokens") or 0) <= limit:
                yield f"{TOO_LONG}, line {count}: is not too long"
    if count != facts["counts"].get("too_long"):
        yield f"{TOO_LONG}: has {count} rows, but the manifest says {facts.get('counts', {}).get('too_long')}"


def _runs(store: Store, results: Mapping[tuple[str, int | None], float | None]) -> Iterator[str]:
    """Yield the runs of rows that are missing from the results database or did not pass."""
    runs = {(run["source_sha256"], run["id"]): run for run in store.final_runs({sha for sha, _ in results if sha})}
    for (sha256, result_id), accuracy in sorted(results.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        run = runs.get((sha256, result_id or 0))
        if run is None or not Status(run["status"]).ok:
            yield f"the run {result_id} of the file {sha256[:12]}… is not in the database or did not pass"
        elif accuracy is not None and run["accuracy"] != accuracy:
            yield f"the run {result_id} has the accuracy {run['accuracy']}, but a row has {accuracy}"


def _traced(folder: Path, reference: Reference, sample: int | None, workers: int, checked: Checked) -> Iterator[str]:
    """Yield completions whose learning rates differ from those of the executed code."""
    waiting: deque[tuple[Row, int]] = deque()
    skipped: list[str] = []

    def requests() -> Iterator[tuple[tracing.ShownCode, tuple[trace.TraceSpec, ...]]]:
        for split in parquet.splits(folder):
            for row in parquet.read(folder, split):
                if grading.task_of(row) is not tracing:
                    continue
                try:
                    code, spec, group = tracing.trace_of(row, reference)
                except LrgenError as error:
                    skipped.append(f"row {row['id']}: {error}")
                    continue
                waiting.append((row, group))
                yield code, (spec,)

    with closing(trace.run(itertools.islice(requests(), sample), workers)) as traces:
        for _, _, (rates,) in traces:
            row, group = waiting.popleft()
            checked.traced += 1
            grade = tracing.compared(row, row["completion"], rates[group])
            if not grade.passed:
                yield f"row {row['id']}: after execution, {grade.reason}"
    yield from skipped


def _executed(
    files: Sequence[_Claims],
    reference: Reference,
    scratch: Path,
    workers: int,
    timeout: float,
    advance: Callable[[int], None],
) -> Iterator[str]:
    """Yield files whose outcome of the checks up to the schedule differs from what their row claims."""
    store = Store(f"sqlite:///{scratch}/runs.db")

    def runner(candidates: Sequence[Candidate]) -> Iterator[Outcome]:
        for outcome in verify.verify(candidates, grading.SETTINGS, store, workers=workers, timeout=timeout):
            advance(1)
            yield outcome

    claims = [(submission, passes) for file in files for (_, passes), submission in file.items()]
    grades = grading.grade_all((submission for submission, _ in claims), reference, runner)
    for (submission, passes), grade in zip(claims, grades, strict=True):
        if grade.passed != passes:
            reason = grade.reason or "the file passes, but its row claims that it fails"
            yield f"row {submission.row['id']}: after execution, {reason}"
    store.close()
