"""Builds of datasets: files → examples → rows with splits → a folder in each format.

The build streams. The rows of each task are written to a shard first; an interrupted build with the same arguments,
files and code continues after the last complete shard. The folder is renamed to its final name when it is complete.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError, OutputError
from lrgen.files import write_atomically
from lrgen.finetune import card, formats, manifest, overlap, statistics
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.decontamination import Benchmarks
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Example, Row, Scope, Task, TaskInput
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.rows import SCHEMA, Rows, exposure_of
from lrgen.finetune.splits import Assignment, Splits, distinct
from lrgen.finetune.tokens import TokenCounter
from lrgen.verify import nursery_process, verdicts
from lrgen.version import __version__

TOO_LONG = "too_long.jsonl"
_BATCH = 256  # rows tokenized at a time


@dataclass(frozen=True)
class Plan:
    """The arguments of a build; ``limit`` is the maximum number of rows, divided among the tasks."""

    tasks: tuple[Task, ...]
    formats: tuple[str, ...] = ()
    level: Level = Level.TRAINING
    seed: int = 0
    limit: int | None = None
    holdout_families: tuple[str, ...] = ()
    holdout_architectures: tuple[str, ...] = ()
    tokenizer: Path | None = None
    max_tokens: int | None = None
    benchmarks: tuple[Path, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for the manifest: files by name and hash, without paths."""
        return {
            "tasks": [task.NAME for task in self.tasks],
            "formats": sorted(self.formats),
            "level": self.level.value,
            "seed": self.seed,
            "limit": self.limit,
            "holdout_families": sorted(self.holdout_families),
            "holdout_architectures": sorted(self.holdout_architectures),
            "tokenizer": _identity(self.tokenizer) if self.tokenizer else None,
            "max_tokens": self.max_tokens,
            "decontaminate": sorted(map(_identity, self.benchmarks), key=orjson.dumps),
        }


@dataclass
class Counts:
    """The number of rows, and of those left out by reason."""

    rows: int = 0
    too_long: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Add the counts of a shard."""
        self.rows += other.rows
        self.too_long += other.too_long
        self.left_out += other.left_out


@dataclass(frozen=True)
class Built:
    """The result of a build."""

    out: Path
    files: int
    tally: statistics.Tally
    counts: Counts


def build(
    task_input: TaskInput,
    plan: Plan,
    out: Path,
    *,
    context: RunContext | None = None,
    ineligible: int = 0,
    advance: Callable[[int], None] = lambda count: None,
) -> Built:
    """Build the dataset; ``ineligible`` is the number of files that were left out.

    Raises:
        DatasetError: when the plan cannot be built or gives no row.
        OutputError: when ``out`` exists already or cannot be written.
    """
    target = out.absolute()
    if target.exists() or target.is_symlink():
        raise OutputError(f"{out}: already exists")
    if plan.max_tokens is not None and plan.tokenizer is None:
        raise DatasetError(f"max_tokens {plan.max_tokens}: a limit on tokens requires a tokenizer")
    formats.named(plan.formats)
    files, repeated = distinct(task_input.files)
    if plan.limit is not None:  # a small dataset draws from all files
        files.sort(key=lambda file: hashlib.sha256(f"{plan.seed}:{file.name}".encode()).digest())
    task_input = TaskInput(task_input.catalogue, tuple(files), plan.seed)
    maker = _Maker(task_input, plan, context)
    partial = target.with_name(f".{target.name}.{_fingerprint(task_input, plan, context)}.partial")
    counts = Counts(left_out=Counter({"duplicate files": len(repeated)} if repeated else {}))
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _exclusive(partial), nursery_process.kept():
            shards = list(maker.shards(partial, advance))
            for shard in shards:
                counts.add(_counts(shard))
            if counts.rows:
                folder = partial / "dataset"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                tally = _publish(shards, plan, folder, advance)
                _describe(folder, task_input, plan, maker.splits, tally, counts, ineligible)
                os.replace(folder, target)
            shutil.rmtree(partial)
        if not counts.rows:
            raise DatasetError(f"{len(files)} files and {len(plan.tasks)} tasks give no row: {_summary(counts)}")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Built(out, len(files), tally, counts)


class _Maker:
    """Makes the shards: a file of rows, a file of rows that are too long, and the counts when both are complete."""

    def __init__(self, task_input: TaskInput, plan: Plan, context: RunContext | None) -> None:
        self._task_input = task_input
        self._plan = plan
        self._context = context
        self._rows = Rows(plan.seed)
        self._counter = TokenCounter(plan.tokenizer) if plan.tokenizer else None
        self._benchmarks = Benchmarks(plan.benchmarks) if plan.benchmarks else None
        self.splits = Splits(
            task_input.catalogue, task_input.files, plan.seed, plan.holdout_families, plan.holdout_architectures
        )

    def shards(self, folder: Path, advance: Callable[[int], None]) -> Iterator[Path]:
        """Yield the shard of each task; complete shards are not made again."""
        rest = self._plan.limit
        for number, task in enumerate(self._plan.tasks):
            shard = folder / f"{number:02d}-{task.NAME}.jsonl"
            quota = None if rest is None else -(-rest // (len(self._plan.tasks) - number))
            if not _marker(shard).exists():
                self._make(task, shard, quota, advance)
            if rest is not None:
                rest -= _counts(shard).rows
            yield shard

    def _make(self, task: Task, shard: Path, quota: int | None, advance: Callable[[int], None]) -> None:
        counts = Counts()
        surviving = self._context.surviving.total() if self._context else 0
        with contextlib.ExitStack() as stack:
            rows, long = (stack.enter_context(path.open("wb")) for path in (shard, _long(shard)))
            seen = stack.enter_context(Deduplicator(shard.with_suffix(".seen")))
            new_rows = stack.enter_context(contextlib.closing(self._new_rows(task, seen, counts)))
            while batch := list(itertools.islice(new_rows, _BATCH if quota is None else min(_BATCH, quota))):
                self._measure(batch)
                kept = [row for row in batch if not self._is_long(row)]
                rows.writelines(map(encoded, kept))
                long.writelines(encoded(row) for row in batch if self._is_long(row))
                counts.rows += len(kept)
                counts.too_long += len(batch) - len(kept)
                quota = None if quota is None else quota - len(kept)
                advance(len(kept))
        if self._context and (passed := self._context.surviving.total() - surviving):
            counts.left_out["surviving mutants"] = passed
        write_atomically(_marker(shard), orjson.dumps(vars(counts)).decode())

    def _new_rows(self, task: Task, seen: Deduplicator, counts: Counts) -> Generator[Row, None, None]:
        """Yield the rows of a task that are new, in one split and in no benchmark."""
        for example in examples_of(task, self._task_input, self._context):
            assignment = self.splits.of(example)
            if assignment is None:
                counts.left_out["trained completions about held-out architectures"] += 1
                continue
            row = self._rows.of(example, assignment.split, assignment.group)
            if reason := self._reason(example, row, assignment, seen):
                counts.left_out[reason] += 1
            else:
                yield row

    def _reason(self, example: Example, row: Row, assignment: Assignment, seen: Deduplicator) -> str:
        """Return why a row is left out; empty when it is kept."""
        if seen.record(bytes.fromhex(row["id"]), 0) is not None:
            return "duplicate rows"
        if self._benchmarks and self._benchmarks.overlaps(row):
            return "rows that overlap with a benchmark"
        if example.scope is not Scope.NONE:
            exposure = exposure_of(assignment.split)
            if seen.record(completion_key(row["completion"]), exposure) not in (None, exposure):
                return "completions in another split"
        return ""

    def _measure(self, batch: Sequence[Row]) -> None:
        if self._counter is None:
            return
        prompts = self._counter.count([row["prompt"] for row in batch])
        completions = self._counter.count([row["completion"] for row in batch])
        rejected = self._counter.count([row["rejected"] or "" for row in batch])
        for row, prompt, *lengths in zip(batch, prompts, completions, rejected, strict=True):
            row["prompt_tokens"], row["completion_tokens"] = prompt, max(lengths)

    def _is_long(self, row: Row) -> bool:
        limit = self._plan.max_tokens
        return limit is not None and row["prompt_tokens"] + row["completion_tokens"] > limit


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Lock a folder against other builds."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{folder}: another build of the same dataset is running") from error
        yield


def _summary(counts: Counts) -> str:
    reasons = [f"{count} {reason}" for reason, count in counts.left_out.items()]
    return (
        ", ".join([*reasons, *([f"{counts.too_long} too long"] if counts.too_long else [])])
        or "the tasks have no examples"
    )


def completion_key(completion: str) -> bytes:
    """Return a digest of a completion; it is shorter than an id."""
    return hashlib.sha256(completion.encode()).digest()[:10]


def shard_rows(shards: Iterable[Path]) -> Iterator[Row]:
    """Yield the rows of the shards, in order."""
    for shard in shards:
        with shard.open("rb") as lines:
            yield from map(orjson.loads, lines)


def examples_of(task: Task, task_input: TaskInput, context: RunContext | None) -> Iterator[Example]:
    """Yield the examples of a task, which is given the context when it needs one."""
    if not getattr(task, "NEEDS_CONTEXT", False):
        return task.examples(task_input)
    with_context: Any = task
    examples: Iterator[Example] = with_context.examples(task_input, context)
    return examples


def _publish(shards: Sequence[Path], plan: Plan, folder: Path, advance: Callable[[int], None]) -> statistics.Tally:
    """Write all formats in one pass."""
    tally = statistics.Tally()
    writers = formats.writers(formats.named(plan.formats), folder)
    for count, row in enumerate(shard_rows(shards), start=1):
        for writer in writers:
            writer.write(row)
        tally.add(row)
        if count % _BATCH == 0:
            advance(0)
    for writer in writers:
        writer.close()
    if plan.max_tokens is not None:
        with (folder / TOO_LONG).open("wb") as long:
            for shard in shards:
                with _long(shard).open("rb") as lines:
                    shutil.copyfileobj(lines, long)
    return tally


def _describe(
    folder: Path,
    task_input: TaskInput,
    plan: Plan,
    splits: Splits,
    tally: statistics.Tally,
    counts: Counts,
    ineligible: int,
) -> None:
    """Write the statistics, the card, the Croissant metadata and the manifest."""
    facts = {
        "schema": SCHEMA,
        "lrgen": __version__,
        "versions": _versions(plan),
        "arguments": plan.arguments(),
        "held_out": splits.held_out,
        "corpus": {
            "files": len(task_input.files),
            "ineligible": ineligible,
            "sha256": _corpus_digest(task_input.files),
        },
        "counts": tally.counts() | {"too_long": counts.too_long, "left_out": dict(sorted(counts.left_out.items()))},
    }
    overlaps = overlap.measure(folder, tally.samples)
    statistics.write(folder, tally)
    card.write(folder, facts, tally, overlaps, {task.NAME: task.SUMMARY for task in plan.tasks})
    manifest.write(folder, facts)


def _fingerprint(task_input: TaskInput, plan: Plan, context: RunContext | None) -> str:
    """Return a digest of all inputs that determine the bytes of a dataset."""
    package = Path(__file__).parent
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(path.read_bytes())
    inputs: list[Any] = [
        plan.arguments(),
        _versions(plan),
        _corpus_digest(task_input.files),
        task_input.catalogue.digest,
    ]
    inputs.append(verdicts.check_version())
    if context:
        networks = sorted({file.architecture.name for file in task_input.files})
        inputs += [context.mutations, context.traces, repr([list(context.accuracies(name)) for name in networks])]
    return hashlib.sha256(orjson.dumps([*inputs, code.hexdigest()])).hexdigest()[:12]


def _corpus_digest(files: Iterable[VerifiedFile]) -> str:
    rows = [(file.name, file.sha256, file.result_id, file.level, file.accuracy, file.trace) for file in files]
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


def _versions(plan: Plan) -> dict[str, str]:
    """Return the versions of the libraries that the bytes of a dataset depend on."""
    libraries = ["pyarrow", "matplotlib", *(["tokenizers"] if plan.tokenizer else [])]
    return {"lrgen": __version__} | {name: metadata.version(name) for name in libraries}


def _identity(path: Path) -> dict[str, str]:
    try:
        return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error


def _marker(shard: Path) -> Path:
    return shard.with_suffix(".done.json")


def _long(shard: Path) -> Path:
    return shard.with_suffix(".long.jsonl")


def _counts(shard: Path) -> Counts:
    values = orjson.loads(_marker(shard).read_bytes())
    return Counts(values["rows"], values["too_long"], Counter(values["left_out"]))
