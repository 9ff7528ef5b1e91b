"""A published folder, from outside: is it what it says it is?

It believes nothing but the bytes: hashes, columns, splits, every line of every format, and what the answers do when
they are executed again. Foreign code runs in a sandbox, as everywhere.
"""

import hashlib
import itertools
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError, LrgenError
from lrgen.finetune import card, formats, grading, manifest, statistics
from lrgen.finetune.build import TOO_LONG, answer_key, exposure_of
from lrgen.finetune.corpus import Level
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Reference, Row, Scope, Task
from lrgen.finetune.formats import parquet
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.grading import Submission
from lrgen.finetune.rows import SCHEMA, Split, problems
from lrgen.finetune.tasks import trace as tracing
from lrgen.records import Candidate, Outcome, Status
from lrgen.store import Store
from lrgen.verify import run as verify
from lrgen.verify import trace

_MOST = 20  # problems of one kind that are told
_EXPOSURES = ("training", "validation", "tests")


@dataclass
class Checked:
    """What a check has found: ``executed`` counts the files that ran, ``traced`` the answers about learning rates whose
    code did, ``problems`` are sentences.
    """

    rows: int = 0
    executed: int = 0
    traced: int = 0
    problems: list[str] = field(default_factory=list)

    def tell(self, found: Iterable[str]) -> None:
        """Keep the first problems of one kind."""
        rest = iter(found)
        self.problems += itertools.islice(rest, _MOST)
        if more := sum(1 for _ in rest):
            self.problems.append(f"… and {more} more of this kind")


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
    """Check a dataset; of the files that its answers make, ``sample`` are executed (None: all). With a store the runs
    that the rows name are looked up.

    Raises:
        DatasetError: when the folder has no manifest of lrgen's.
        IsolationError: when there are files to execute and this machine gives no sandbox.
    """
    facts = manifest.read(folder)
    checked = Checked()
    reference = Reference(catalogue)
    checked.tell(_files(folder, facts))
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lrgen-")))
        inspection = _Inspection(facts, reference, stack.enter_context(Deduplicator(scratch / "seen")))
        for split in parquet.splits(folder):
            try:
                if not parquet.is_current(folder, split):
                    checked.problems.append(f"{parquet.file_of(split)}: the columns are not those of schema {SCHEMA}")
                checked.tell(inspection.of(parquet.read(folder, split), split, advance))
            except DatasetError as error:
                checked.problems.append(str(error))
        checked.rows = inspection.rows.total()
        checked.tell(inspection.at_last())
        checked.tell(_too_long(folder, facts))
        for form in formats.LINES:
            checked.tell(_lines(folder, form, facts))
        if store is not None:
            checked.tell(_runs(store, inspection.results))
        if checked.problems:
            return checked  # what is damaged is not executed
        files = inspection.files(sample)
        checked.executed = len(files)
        checked.tell(_executed(files, reference, scratch, workers, timeout, advance))
        checked.tell(_traced(folder, reference, sample, workers, checked))
    return checked


def _files(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """The files are those of the manifest, byte by byte."""
    if facts.get("schema") != SCHEMA:
        yield f"{manifest.NAME}: schema must be {SCHEMA}, got {facts.get('schema')!r}"
    listed, there = facts["files"], manifest.entries(folder)
    for name in sorted(listed.keys() | there.keys()):
        if name not in there:
            yield f"{name}: is missing"
        elif name not in listed:
            yield f"{name}: is not in the manifest"
        elif listed[name] != there[name]:
            yield f"{name}: is not the file that the manifest names: its sha256 or its size differs"
    for name in (card.README, card.CROISSANT, statistics.PAGE):
        if name not in listed:
            yield f"{name}: is not in the manifest"


# What rows say of one file: a submission for each task, and for right and wrong answers.
_Made = dict[tuple[str, bool], Submission]

# Which key of a row's evidence has the sha256 of the file that its answer makes.
_MAKES = ("equals", "infilled", "patched")


class _Inspection:
    """What is looked at row by row, and what is remembered between rows."""

    def __init__(self, facts: Mapping[str, Any], reference: Reference, seen: Deduplicator) -> None:
        self._facts = facts
        self._reference = reference
        self._arguments = facts["arguments"]
        self._seen = seen
        self._groups: dict[str, str] = {}
        self._splits_of_files: dict[str, int] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._made: dict[str, _Made] = {}
        self.rows: Counter[tuple[str, str]] = Counter()
        self.results: dict[tuple[str, int | None], float | None] = {}

    def of(self, rows: Iterable[Row], split: str, advance: Callable[[int], None]) -> Iterator[str]:
        """The problems of the rows of one file."""
        for row in rows:
            place = f"{split}, row {row.get('id')}"
            found = list(problems(row))
            if not found:
                self.rows[row["task"], split] += 1
                found = [*self._alone(row, split), *self._among_others(row)]
            yield from (f"{place}: {problem}" for problem in found)
            advance(1)

    def _alone(self, row: Row, split: str) -> Iterator[str]:
        """What is wrong with the row, given what the manifest says."""
        if row["split"] != split:
            yield f"stands in the file of {split} and says that it is of {row['split']}"
        if row["seed"] != self._arguments.get("seed"):
            yield f"its seed is {row['seed']}, that of the build {self._arguments.get('seed')}"
        asked = self._arguments.get("level", Level.CONTRACT)
        if row["level"] and Level(row["level"]).rank < Level(asked).rank:
            yield f"was verified up to {row['level']} only, and the build asked for {asked}"
        if row["scope"] != Scope.NONE and not (row["level"] and row["source_sha256"]):
            yield "depends on a file and names none that was verified"
        most = self._arguments.get("max_tokens")
        if most is not None and (row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0) > most:
            yield f"has more than {most} tokens"
        held_out = self._facts["held_out"]
        hard = {Split.TEST_FAMILIES: "families", Split.TEST_ARCHITECTURES: "architectures"}
        if row["family"] in held_out.get("families", ()) and row["split"] != Split.TEST_FAMILIES:
            yield f"the family {row['family']} is held out"
        if row["architecture"] in held_out.get("architectures", ()) and row["split"] not in hard:
            yield f"the architecture {row['architecture']} is held out"
        yield from _unsaid(row)
        try:
            if task := grading.task_of(row):
                yield from self._graded(task, row)
        except (LrgenError, ValueError, KeyError, TypeError, SyntaxError) as error:
            yield f"the answer is not what its evidence says: {error}"

    def _graded(self, task: Task, row: Row) -> Iterator[str]:
        """What is wrong with the row's own answers as far as it can be said without executing a file; the files that
        they make are kept.
        """
        evidence = orjson.loads(row["evidence"])
        own = Submission(row, grading.gold(row))
        text = task.assemble(row, own.completion, self._reference)
        if text is None:
            grade = task.grade(row, own.completion, self._reference, None)
            if not grade.passed:
                yield f"the answer is not what its evidence says: {grade.reason}"
            return
        named = next((evidence[key] for key in _MAKES if key in evidence), None)
        if named is not None and hashlib.sha256(text.encode()).hexdigest() != named:
            raise DatasetError(f"it does not give the file {named[:12]}… that its evidence names")
        self._keep(own, text, True)
        if row["rejected"] is not None and "failed" in evidence:
            self._keep(Submission(row, row["rejected"]), row["rejected"], False)

    def _among_others(self, row: Row) -> Iterator[str]:
        """What is wrong with the row, given the rows before it."""
        if self._seen.record(bytes.fromhex(row["id"]), 0) is not None:
            yield "is there twice"
        if row["scope"] == Scope.NONE:
            return
        if (other := self._groups.setdefault(row["group"], row["split"])) != row["split"]:
            yield f"its group {row['group']} is on two sides: {other} and {row['split']}"
        exposure = exposure_of(row["split"])
        met = self._seen.record(row["task"].encode() + b"\0" + answer_key(row["completion"]), exposure)
        if met not in (None, exposure):
            yield f"its answer is in {_EXPOSURES[met]} and in {_EXPOSURES[exposure]}"
        if row["scope"] == Scope.FILE:
            assignment = self._splits_of_files.setdefault(row["source_sha256"], exposure)
            if assignment != exposure:
                yield f"its file is shown in {_EXPOSURES[assignment]} and in {_EXPOSURES[exposure]}"
        name = (row["architecture"], row["variant"])
        if self._sources.setdefault(row["source_sha256"], name) != name:
            yield f"the file {row['source_sha256'][:12]}… is said to be two"
        self.results[row["source_sha256"], row["result_id"]] = row["accuracy"]

    def at_last(self) -> Iterator[str]:
        """The counts are those of the manifest."""
        counts = self._facts["counts"]
        splits: Counter[str] = Counter()
        tasks: Counter[str] = Counter()
        for (task, split), count in self.rows.items():
            tasks[task] += count
            splits[split] += count
        for what, found in (("splits", splits), ("tasks", tasks)):
            if counts.get(what) != dict(found):
                yield f"{manifest.NAME}: {what} are said to have {counts.get(what)} rows and have {dict(found)}"

    def _keep(self, submission: Submission, text: str, right: bool) -> None:
        """Remember a file, to be executed, and whether the answer that makes it is a right one."""
        row = submission.row
        files = self._made.setdefault(f"{answer_key(text).hex()}-{row['variant']}", {})
        files.setdefault((row["task"], right), submission)

    def files(self, sample: int | None) -> list[_Made]:
        """The files to execute, a sample of them or all."""
        return [self._made[key] for key in sorted(self._made)[:sample]]


def _unsaid(row: Row) -> Iterator[str]:
    """What a row should say of how its answer was verified, and does not."""
    evidence, task = orjson.loads(row["evidence"]), grading.task_of(row)
    if task and not any(key in evidence for key in task.EVIDENCE):
        yield f"its evidence says none of {', '.join(task.EVIDENCE)}"
    if row["label"] is not None and ("failed" in evidence) == row["label"]:
        yield f"its label is {row['label']}, and its evidence says the opposite"


def _too_long(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """What was put aside was too long, and is whole."""
    most = facts["arguments"].get("max_tokens")
    path = folder / TOO_LONG
    if not path.is_file():
        if most is not None:
            yield f"{TOO_LONG}: is missing, and the build had a limit of {most} tokens"
        return
    count = 0
    with path.open("rb") as lines:
        for count, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield f"{TOO_LONG}, line {count}: not JSON: {error}"
                return
            yield from (f"{TOO_LONG}, line {count}: {problem}" for problem in problems(row))
            if most is None or (row.get("prompt_tokens") or 0) + (row.get("completion_tokens") or 0) <= most:
                yield f"{TOO_LONG}, line {count}: is not too long"
    if count != facts["counts"].get("too_long"):
        yield f"{TOO_LONG}: has {count} rows, and the manifest says {facts.get('counts', {}).get('too_long')}"


def _lines(folder: Path, form: formats.Lines, facts: Mapping[str, Any]) -> Iterator[str]:
    """Every line of a format is what the format makes of the row."""
    if form.NAME not in facts["arguments"].get("formats", ()) and not (folder / form.NAME).exists():
        return
    for split in parquet.splits(folder):
        name = f"{form.NAME}/{form.file_of(split)}"
        expected = (encoded(form.line(row)) for row in parquet.read(folder, split) if form.takes(row))
        try:
            with (folder / name).open("rb") as lines:
                yield from _first_difference(name, expected, lines)
        except FileNotFoundError:
            if next(expected, None) is not None:
                yield f"{name}: is missing, and {parquet.NAME} has rows for it"
        except (LrgenError, KeyError, TypeError, AttributeError) as error:
            yield f"{name}: cannot be compared with {parquet.NAME}: {error}"


def _first_difference(name: str, expected: Iterable[bytes], found: Iterable[bytes]) -> Iterator[str]:
    for number, (wanted, line) in enumerate(itertools.zip_longest(expected, found), start=1):
        if wanted != line:
            yield f"{name}, line {number}: is not the row that {parquet.NAME} has"
            return


def _runs(store: Store, results: Mapping[tuple[str, int | None], float | None]) -> Iterator[str]:
    """The runs that the rows name are in the results database, and ended well."""
    runs = {(run["source_sha256"], run["id"]): run for run in store.final_runs({sha for sha, _ in results if sha})}
    for (sha256, result_id), accuracy in sorted(results.items(), key=lambda one: (one[0][0], one[0][1] or 0)):
        run = runs.get((sha256, result_id or 0))
        if run is None or not Status(run["status"]).ok:
            yield f"the run {result_id} of the file {sha256[:12]}… is not in the database, or did not end well"
        elif accuracy is not None and run["accuracy"] != accuracy:
            yield f"the run {result_id} measured an accuracy of {run['accuracy']}, and a row says {accuracy}"


def _traced(folder: Path, reference: Reference, sample: int | None, workers: int, checked: Checked) -> Iterator[str]:
    """The learning rates of answers are those that the code of their questions sets, when it is executed again."""
    waiting: deque[tuple[Row, int]] = deque()
    not_run: list[str] = []

    def requests() -> Iterator[tuple[tracing.ShownCode, tuple[trace.TraceSpec, ...]]]:
        for split in parquet.splits(folder):
            for row in parquet.read(folder, split):
                if grading.task_of(row) is not tracing:
                    continue
                try:
                    code, spec, group = tracing.asked(row, reference)
                except LrgenError as error:
                    not_run.append(f"row {row['id']}: {error}")
                    continue
                waiting.append((row, group))
                yield code, (spec,)

    with closing(trace.run(itertools.islice(requests(), sample), workers)) as traces:
        for _, _, (rates,) in traces:
            row, group = waiting.popleft()
            checked.traced += 1
            grade = tracing.compared(row, row["completion"], rates[group])
            if not grade.passed:
                yield f"row {row['id']}: executed, {grade.reason}"
    yield from not_run


def _executed(
    files: Sequence[_Made],
    reference: Reference,
    scratch: Path,
    workers: int,
    timeout: float,
    advance: Callable[[int], None],
) -> Iterator[str]:
    """Every file ends as it is said to, when it goes through the checks up to the schedule."""
    store = Store(f"sqlite:///{scratch}/runs.db")

    def runner(candidates: Sequence[Candidate]) -> Iterator[Outcome]:
        for outcome in verify.verify(candidates, grading.SETTINGS, store, workers=workers, timeout=timeout):
            advance(1)
            yield outcome

    claims = [(submission, right) for file in files for (_, right), submission in file.items()]
    grades = grading.grade_all((submission for submission, _ in claims), reference, runner)
    for (submission, right), grade in zip(claims, grades, strict=True):
        if grade.passed != right:
            reason = grade.reason or "the file that is said to fail passes"
            yield f"row {submission.row['id']}: executed, {reason}"
    store.close()
