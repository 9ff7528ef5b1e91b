"""The stream of compositions: drawn, written in code, executed, and handed to the tasks, a chunk at a time.

A composition depends on the seed of the build and its number alone. A chunk is a shard of its own, made in one of
several worker processes: memory does not grow with the number of compositions, and an interrupted build makes only the
missing chunks.
"""

import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lrgen import realisations
from lrgen.catalogue import Catalogue
from lrgen.curves.compositions import Composition, drawing
from lrgen.errors import CorpusError
from lrgen.finetune import claims
from lrgen.finetune.composition_splits import TRAINED_PHASES, CompositionSplits
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Task, TaskInput
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.plan import Plan
from lrgen.finetune.shards import TRACE_BYTES, Counts, RowMaker, Shard, examples_of
from lrgen.realisations import Realisation, Style
from lrgen.records import Candidate, CompositionClaim, Policy, Stage, VerifySettings
from lrgen.verify import generated, run, verdicts
from lrgen.verify.candidate import schedule_of

CHUNK = 200
"""Compositions."""

ALONE = 1000
"""One in so many compositions is verified alone."""

ALONE_SETTINGS = VerifySettings(stage=Stage.SCHEDULE, policy=Policy.STRICT)

_SECONDS = 60.0
_TRACED = 400  # steps of a trace that are compared with others
_REALISATIONS = 3  # of a composition
_UNSEEN = 25  # one in so many compositions has more phases, and one has numbers outside of the trained ranges
_PHASES = {1: 1, 2: 7, 3: 9, 4: 6}  # of the others, with their weights
_MORE_PHASES = (TRAINED_PHASES + 1, TRAINED_PHASES + 2)
_LONGEST = {Style.SEQUENTIAL: 2000, Style.LOOP: 400}  # steps of a fixed horizon, which these styles are stepped through


@dataclass(frozen=True)
class Stream:
    """The compositions of a plan."""

    plan: Plan

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        return -(-self.plan.compositions // CHUNK)

    def numbers(self, chunk: int) -> range:
        """Return the numbers of the compositions of a chunk."""
        return range(chunk * CHUNK, min((chunk + 1) * CHUNK, self.plan.compositions))

    def composition(self, number: int) -> Composition:
        """Draw the composition of a number."""
        chance = self._chance(number)
        outside, longer = number % _UNSEEN == 0, number % _UNSEEN == 1
        weights = list(_PHASES.values())
        phases = chance.choice(_MORE_PHASES) if longer else chance.choices(list(_PHASES), weights)[0]
        return drawing.draw(chance, phases=phases, outside=outside)

    def realised(self, number: int) -> RealisedComposition:
        """Return the composition of a number with its realisations, which are executed.

        Raises:
            CorpusError: when a realisation differs from the curve.
        """
        composition = self.composition(number)
        chance = self._chance(number, "realisations")
        styles = self._styles(composition)
        chosen = chance.sample(styles, min(_REALISATIONS, len(styles)))
        written = tuple(realisations.write(composition, style, chance) for style in chosen)
        for each in written:
            generated.check(each, composition, chance)
        return RealisedComposition(composition, written, number)

    def _styles(self, composition: Composition) -> list[Style]:
        """Return the styles that a composition is written in, none of which takes long to execute."""
        wanted = self.plan.styles or tuple(Style)
        return [
            style
            for style in realisations.styles_of(composition)
            if style in wanted
            and not (composition.fixed and composition.horizon > _LONGEST.get(style, composition.horizon))
        ]

    def _chance(self, *of: object) -> random.Random:
        return random.Random(":".join(map(str, (self.plan.seed, "composition", *of))))


class ChunkMaker:
    """Makes the rows of chunks in one process."""

    def __init__(self, catalogue: Catalogue, plan: Plan, context: RunContext | None) -> None:
        self._catalogue, self._plan, self._context = catalogue, plan, context
        self._stream = Stream(plan)
        self._splits = CompositionSplits(plan.split_seed, map(Style, plan.holdout_styles))
        self._rows = RowMaker(plan)

    def make(self, chunk: int, shard: Shard) -> None:
        """Write the shard of a chunk."""
        counts = Counts()
        compositions = tuple(map(self._stream.realised, self._stream.numbers(chunk)))
        task_input = TaskInput(self._catalogue, (), self._plan.seed, self._plan.rows_per_file, compositions)
        drawn = {each.number: each.composition for each in compositions}
        batch = []
        for task in self._plan.tasks:
            for example in examples_of(task, task_input, self._context):
                if example.composition is None:
                    continue
                row = self._rows.row(example, self._splits.of(example, drawn[example.composition.number]))
                if reason := self._rows.reason(row):
                    counts.left_out[f"{task.NAME}: {reason}"] += 1
                else:
                    batch.append(row)
        self._rows.count_tokens(batch)
        with shard.rows.open("wb") as rows, shard.long.open("wb") as long, shard.claims.open("wb") as claimed:
            for row in batch:
                if self._rows.is_long(row):
                    counts.too_long += 1
                    long.write(encoded(row))
                else:
                    rows.write(encoded(row))
                    claims.write(row, claimed)
                    counts.rows += 1
        shard.traces.write_bytes(b"".join(trace_of(each.composition) for each in compositions))
        shard.complete(counts)


def trace_of(composition: Composition) -> bytes:
    """Return a digest of the learning rates over the planned number of steps, in fractions of the base rate.

    Rates that agree to seven digits at ``_TRACED`` steps have the same digest.
    """
    steps = np.unique(np.linspace(0, composition.horizon, _TRACED).astype(np.int64))
    rates = np.round(composition.rates(steps, base_lr=1.0), 7) + 0.0
    return hashlib.sha256(rates.tobytes()).digest()[:TRACE_BYTES]


def distinct_traces(shards: Iterable[Shard], scratch: Path) -> int:
    """Return the number of distinct traces of the compositions of some shards."""
    count = 0
    with Deduplicator(scratch) as seen:
        for shard in shards:
            content = shard.traces.read_bytes()
            for at in range(0, len(content), TRACE_BYTES):
                count += seen.record(content[at : at + TRACE_BYTES], 0) is None
    return count


def shards(
    catalogue: Catalogue,
    plan: Plan,
    folder: Path,
    context: RunContext | None,
    workers: int,
    advance: Callable[[int], None],
) -> Iterator[Shard]:
    """Yield the shard of each chunk, in order, after all were made; complete ones are not made again.

    Raises:
        CorpusError: when a realisation differs from the curve of its composition, or a worker ends.
        OutputError: when a shard cannot be written.
    """
    made = {chunk: Shard(folder / f"composition-{chunk:05d}.jsonl") for chunk in range(Stream(plan).chunks)}
    missing = {chunk: shard for chunk, shard in made.items() if not shard.marker.exists()}
    if len(missing) < len(made):
        advance(sum(shard.counts().rows for chunk, shard in made.items() if chunk not in missing))
    if workers <= 1 or len(missing) <= 1:
        maker = ChunkMaker(catalogue, plan, context) if missing else None
        for chunk, shard in missing.items():
            assert maker is not None
            maker.make(chunk, shard)
            advance(shard.counts().rows)
    else:
        _in_workers(catalogue, plan, missing, context, min(workers, len(missing)), advance)
    yield from made.values()


def _in_workers(
    catalogue: Catalogue,
    plan: Plan,
    missing: dict[int, Shard],
    context: RunContext | None,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    names = tuple(task.NAME for task in plan.tasks)
    folder = None if context is None else context.cache
    arguments = (catalogue, replace(plan, tasks=()), names, folder)
    with contextlib.ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, arguments)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        running: dict[Future[None], Shard] = {}
        waiting = iter(missing.items())
        while True:
            for chunk, shard in waiting:
                running[pool.submit(_make, chunk, shard)] = shard
                if len(running) == 2 * workers:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                shard = running.pop(future)
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise CorpusError(f"a worker that makes compositions has ended: {error}") from error
                advance(shard.counts().rows)


_maker: ChunkMaker | None = None  # of a worker process


def _begin(catalogue: Catalogue, plan: Plan, names: tuple[str, ...], cache: Path | None) -> None:
    """Prepare a worker process; tasks are modules, which it imports itself."""
    global _maker  # noqa: PLW0603  the state of the process
    from lrgen.finetune.tasks import TASKS

    generated.prepare()
    by_name: dict[str, Task] = {task.NAME: task for task in TASKS}
    context = None if cache is None else RunContext(cache)
    _maker = ChunkMaker(catalogue, replace(plan, tasks=tuple(by_name[name] for name in names)), context)


def _make(chunk: int, shard: Shard) -> None:
    assert _maker is not None
    _maker.make(chunk, shard)


def verify_alone(plan: Plan, folder: Path, workers: int) -> int:
    """Verify the realisations of one in ``ALONE`` compositions, each in a process of its own, and return their number.

    Raises:
        CorpusError: when one does not pass.
        IsolationError: when this machine has no sandbox.
    """
    stream = Stream(plan)
    candidates = [
        candidate_of(realised.composition, each)
        for realised in map(stream.realised, range(0, plan.compositions, ALONE))
        for each in realised.realisations
    ]
    with contextlib.closing(verdicts.cache_in(folder)) as store:
        for outcome in run.verify(
            candidates, ALONE_SETTINGS, store, workers=workers, timeout=_SECONDS, case_seed=plan.seed
        ):
            if not outcome.status.ok:
                raise CorpusError(
                    f"composition {outcome.candidate.scheduler_type} is {outcome.status} in {outcome.stage} when it "
                    f"is verified alone: {outcome.reason}"
                )
    return len(candidates)


def candidate_of(composition: Composition, realisation: Realisation) -> Candidate:
    """Return a realisation as the code of a schedule alone."""
    claim = CompositionClaim(json.dumps(composition.to_json()), json.dumps(realisation.interface.to_json()))
    name = f"{composition.id}-{realisation.style}"
    return schedule_of(Path(f"{name}.py"), realisation.code.encode(), name, claim)
