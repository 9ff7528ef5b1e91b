"""The shards of a build: the rows of each task, which an interrupted build does not make again."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lrgen.files import write_atomically
from lrgen.finetune import claims, observations
from lrgen.finetune.decontamination import Benchmarks
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Example, Row, Task, TaskInput
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import SPLITS, Rows, Split
from lrgen.finetune.splits import Assignment, Splits
from lrgen.finetune.tokens import TokenCounter

DUPLICATE = "duplicate rows"
"""The reason why a row is left out that has the id of another one."""

TRACE_BYTES = 10

_BATCH = 256  # rows tokenized at a time
_HEX_DIGITS = 12  # of an id, which decide whether a row is kept by weight


@dataclass
class Counts:
    """The number of rows, and of those left out by task and reason."""

    rows: int = 0
    too_long: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Add the counts of a shard."""
        self.rows += other.rows
        self.too_long += other.too_long
        self.left_out += other.left_out


@dataclass(frozen=True)
class Shard:
    """The files of a task: rows, rows that are too long, claims, and the counts when the others are complete."""

    rows: Path

    @property
    def long(self) -> Path:
        """Path of the rows that are too long."""
        return self.rows.with_suffix(".long.jsonl")

    @property
    def claims(self) -> Path:
        """Path of the claims of the rows."""
        return self.rows.with_suffix(".claims")

    @property
    def observed(self) -> Path:
        """Path of the observations of mutants."""
        return self.rows.with_suffix(".mutants.jsonl")

    @property
    def traces(self) -> Path:
        """Path of the digests of the traces of compositions, ``TRACE_BYTES`` each."""
        return self.rows.with_suffix(".traces")

    @property
    def marker(self) -> Path:
        """Path of the counts."""
        return self.rows.with_suffix(".done.json")

    def counts(self) -> Counts:
        """Return the counts of a complete shard."""
        values = orjson.loads(self.marker.read_bytes())
        return Counts(**values | {"left_out": Counter(values["left_out"])})

    def complete(self, counts: Counts) -> None:
        """Write the counts, which say that the other files are complete."""
        write_atomically(self.marker, orjson.dumps(vars(counts)).decode())

    def read(self) -> Iterator[Row]:
        """Yield the rows."""
        with self.rows.open("rb") as lines:
            yield from map(orjson.loads, lines)


class Quota:
    """The number of rows that a task may still have: equal shares of a total for the splits, training first.

    None: as many as there are.
    """

    def __init__(self, total: int | None, splits: Collection[Split]) -> None:
        each, rest = divmod(total or 0, max(1, len(splits)))
        names = [split.value for split in SPLITS if split in splits]
        self._rest = None if total is None else {name: each + (at < rest) for at, name in enumerate(names)}

    def rest(self, at_most: int) -> int:
        """Return the number of rows that all splits together may still have, up to a maximum."""
        return at_most if self._rest is None else min(at_most, sum(self._rest.values()))

    def takes(self, split: str) -> bool:
        """Return whether a split may have another row, which is counted."""
        if self._rest is None:
            return True
        if self._rest.get(split, 0) == 0:
            return False
        self._rest[split] -= 1
        return True

    def allows(self, split: str) -> bool:
        """Return whether a split may have another row."""
        return self._rest is None or self._rest.get(split, 0) > 0

    def return_one(self, split: str) -> None:
        """Take back a row that was counted."""
        if self._rest is not None:
            self._rest[split] += 1


class RowMaker:
    """Makes rows of examples, and decides which are left out."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows = Rows(plan.seed)
        self._counter = TokenCounter(plan.tokenizer)
        self._benchmarks = Benchmarks(plan.benchmarks) if plan.benchmarks else None

    def row(self, example: Example, assignment: Assignment) -> Row:
        """Return the row of an example, whose tokens are not counted."""
        return self._rows.of(example, assignment.split, assignment.group)

    def reason(self, row: Row) -> str:
        """Return why a row is left out; empty when it is kept."""
        if self._benchmarks and self._benchmarks.overlaps(row):
            return "rows that overlap with a benchmark"
        if self._plan.limit is None:
            share = self._plan.weight(row["task"]) / self._plan.heaviest
            if int(row["id"][:_HEX_DIGITS], 16) >= share * 16**_HEX_DIGITS:
                return "rows left out by weight"
        return ""

    def count_tokens(self, batch: Sequence[Row]) -> None:
        """Count the tokens of some rows, which is faster for many at once."""
        systems = list({row["system"] for row in batch})  # often the same
        of_system = dict(zip(systems, self._counter.count(systems), strict=True))
        earlier = [row["history"] if row["history"] != "[]" else "" for row in batch]
        prompts = self._counter.count([before + row["prompt"] for row, before in zip(batch, earlier, strict=True)])
        completions = self._counter.count([row["completion"] for row in batch])
        rejected = self._counter.count([row["rejected"] or "" for row in batch])
        for row, prompt, *lengths in zip(batch, prompts, completions, rejected, strict=True):
            row["prompt_tokens"], row["completion_tokens"] = of_system[row["system"]] + prompt, max(lengths)

    def is_long(self, row: Row) -> bool:
        """Return whether a row has more tokens than a row may have."""
        limit = self._plan.max_tokens
        return limit is not None and row["prompt_tokens"] + row["completion_tokens"] > limit


class ShardMaker:
    """Makes the shards of a plan, from files whose order is that of the examples."""

    def __init__(self, task_input: TaskInput, plan: Plan, splits: Splits, context: RunContext | None) -> None:
        self._task_input, self._plan, self._splits, self._context = task_input, plan, splits, context
        self._present = {splits.of_file(file) for file in task_input.files} or set(splits.of_groups)
        self._rows = RowMaker(plan)

    def shards(self, folder: Path, advance: Callable[[int], None]) -> Iterator[Shard]:
        """Yield the shard of each task; complete shards are not made again."""
        rest, tasks = self._plan.limit, self._plan.tasks
        for number, task in enumerate(tasks):
            shard = Shard(folder / f"{number:02d}-{task.NAME}.jsonl")
            total = None
            if rest is not None:  # what a task does not use is left for the tasks after it
                weights = [self._plan.weight(later.NAME) for later in tasks[number:]]
                total = min(rest, -int(-rest * weights[0] // sum(weights))) if weights[0] else 0
            if not shard.marker.exists():
                self._make(task, shard, Quota(total, self._present), advance)
            if rest is not None:
                rest -= shard.counts().rows
            yield shard

    def _make(self, task: Task, shard: Shard, quota: Quota, advance: Callable[[int], None]) -> None:
        counts = Counts()
        surviving, hidden = self._without_rows()
        if self._context:
            self._context.observations.take()  # of an interrupted shard
        with contextlib.ExitStack() as stack:
            rows, long, claimed = (
                stack.enter_context(path.open("wb")) for path in (shard.rows, shard.long, shard.claims)
            )
            seen = stack.enter_context(Deduplicator(shard.rows.with_suffix(".seen")))
            new_rows = stack.enter_context(contextlib.closing(self._new_rows(task, seen, quota, counts)))
            while batch := list(itertools.islice(new_rows, quota.rest(_BATCH))):
                self._rows.count_tokens(batch)
                for row in batch:
                    if self._rows.is_long(row):
                        quota.return_one(row["split"])
                        counts.too_long += 1
                        long.write(encoded(row))
                    else:
                        rows.write(encoded(row))
                        claims.write(row, claimed)
                        counts.rows += 1
                advance(len(batch))
        if self._context:
            observations.write(shard.observed, self._context.observations.take())
            passed, unseen = self._without_rows()
            if passed > surviving:
                counts.left_out[f"{task.NAME}: surviving mutants"] = passed - surviving
            if unseen > hidden:
                counts.left_out[f"{task.NAME}: mutants without a symptom"] = unseen - hidden
        shard.complete(counts)

    def _without_rows(self) -> tuple[int, int]:
        """Return the numbers of mutants so far that passed the checks, and whose fault no script shows."""
        return (self._context.surviving.total(), self._context.hidden.total()) if self._context else (0, 0)

    def _new_rows(self, task: Task, seen: Deduplicator, quota: Quota, counts: Counts) -> Generator[Row, None, None]:
        """Yield the rows of a task that are new and in no benchmark, as many of each split as its quota allows."""
        for example in examples_of(task, self._task_input, self._context):
            assignment = self._splits.of(example)
            if assignment is None:
                counts.left_out[f"{task.NAME}: rows whose completion belongs to another split than their network"] += 1
            elif quota.allows(assignment.split):
                row = self._rows.row(example, assignment)
                is_known = seen.record(bytes.fromhex(row["id"]), 0) is not None
                if reason := DUPLICATE if is_known else self._rows.reason(row):
                    counts.left_out[f"{task.NAME}: {reason}"] += 1
                elif quota.takes(assignment.split):
                    yield row


def examples_of(task: Task, task_input: TaskInput, context: RunContext | None) -> Iterator[Example]:
    """Yield the examples of a task, which is given the context when it needs one."""
    if not getattr(task, "NEEDS_CONTEXT", False):
        return task.examples(task_input)
    with_context: Any = task
    examples: Iterator[Example] = with_context.examples(task_input, context)
    return examples
