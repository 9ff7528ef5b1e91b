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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError, OutputError
from lrgen.finetune import card, formats, inputs, manifest, measures, observations, statistics, stream
from lrgen.finetune.claims import Claims
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Row, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import SCHEMA, Split
from lrgen.finetune.shards import DUPLICATE, Counts, Shard, ShardMaker
from lrgen.finetune.splits import Splits, distinct
from lrgen.verify import nursery_process, verdicts
from lrgen.version import __version__

TOO_LONG = "too_long.jsonl"
_BATCH = 256  # rows between two reports of progress


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
    workers: int = 1,
    advance: Callable[[int], None] = lambda count: None,
    stage: Callable[[str, int], None] = lambda name, rows: None,
) -> Built:
    """Build the dataset; ``ineligible`` is the number of files that were left out.

    Compositions are made in ``workers`` processes, or in this one if it is 1. ``advance`` is called with the number of
    further rows, ``stage`` when the rows are made and something else begins, with the rows that it has.

    Raises:
        DatasetError: when the plan cannot be built or gives no row.
        OutputError: when ``out`` exists already or cannot be written.
    """
    target = out.absolute()
    if target.exists() or target.is_symlink():
        raise OutputError(f"{out}: already exists")
    plan.validate()
    formats.named(plan.formats)
    files, repeated = distinct(task_input.files)
    splits = _splits(replace(task_input, files=files), plan)
    if plan.limit is not None:
        files = list(_mixed(files, splits, plan.seed))
    maker = ShardMaker(
        TaskInput(task_input.catalogue, tuple(files), plan.seed, plan.rows_per_file), plan, splits, context
    )
    partial = target.with_name(f".{target.name}.{_fingerprint(task_input, plan, context)}.partial")
    counts = Counts(left_out=Counter({"duplicate files": len(repeated)} if repeated else {}))
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with _exclusive(partial), nursery_process.kept():
            shards = list(maker.shards(partial, advance)) if task_input.files or not plan.compositions else []
            streamed = list(stream.shards(task_input.catalogue, plan, partial, context, workers, advance))
            alone = stream.verify_alone(plan, partial, workers) if streamed else 0
            shards += streamed
            for shard in shards:
                counts.add(shard.counts())
            folder = partial / "dataset"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with (
                Claims((shard.claims for shard in shards), partial / "claims") as claims,
                Deduplicator(partial / "seen") as seen,
            ):
                stage("writing rows", counts.rows)
                rows = _unclaimed(_distinct(shards, seen, counts), claims, counts)
                tally = _publish(rows, plan, folder, advance)
            if tally.total:
                _publish_long(shards, plan, folder)
                observations.merge(folder / observations.FILE, (shard.observed for shard in shards))
                streamed_facts = {
                    "compositions": plan.compositions,
                    "traces": stream.distinct_traces(streamed, partial / "traces"),
                    "verified_alone": alone,
                }
                stage("measuring what the rows repeat", 0)
                _describe(folder, task_input, plan, splits, tally, counts, ineligible, context, streamed_facts, workers)
                os.replace(folder, target)
            shutil.rmtree(partial)
        if not tally.total:
            raise DatasetError(f"{len(files)} files and {len(plan.tasks)} tasks give no row: {_summary(counts)}")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Built(out, len(files), tally, counts)


def _splits(task_input: TaskInput, plan: Plan) -> Splits:
    groups = [f"{task.NAME}/{group}" for task in plan.tasks for group in getattr(task, "GROUPS", ())]
    return Splits(
        task_input.catalogue,
        task_input.files,
        plan.split_seed,
        plan.holdout_families,
        plan.holdout_architectures,
        groups,
    )


def _mixed(files: Iterable[VerifiedFile], splits: Splits, seed: int) -> Iterator[VerifiedFile]:
    """Yield the files of all splits in turns, in an order by the seed: a small dataset draws from all of them."""
    by_split: dict[Split, list[VerifiedFile]] = {}
    for file in sorted(files, key=lambda file: hashlib.sha256(f"{seed}:{file.name}".encode()).digest()):
        by_split.setdefault(splits.of_file(file), []).append(file)
    turns = itertools.zip_longest(*(by_split[split] for split in Split if split in by_split))
    return (file for turn in turns for file in turn if file is not None)


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
    reasons = [f"{reason}: {count}" for reason, count in counts.left_out.items()]
    return (
        ", ".join([*reasons, *([f"{counts.too_long} too long"] if counts.too_long else [])])
        or "the tasks have no examples"
    )


def _distinct(shards: Iterable[Shard], seen: Deduplicator, counts: Counts) -> Iterator[Row]:
    """Yield the rows of all shards whose id is new, and count the others."""
    for shard in shards:
        for row in shard.read():
            if seen.record(bytes.fromhex(row["id"]), 0) is None:
                yield row
            else:
                counts.rows -= 1
                counts.left_out[f"{row['task']}: {DUPLICATE}"] += 1


def _unclaimed(rows: Iterable[Row], claims: Claims, counts: Counts) -> Iterator[Row]:
    """Yield the rows whose completion belongs to their split, and count the others."""
    for row in rows:
        if place := claims.elsewhere(row):
            counts.rows -= 1
            counts.left_out[f"{row['task']}: rows of {row['split']} whose completion is in {place}"] += 1
        else:
            yield row


def _publish(rows: Iterable[Row], plan: Plan, folder: Path, advance: Callable[[int], None]) -> statistics.Tally:
    """Write all formats in one pass."""
    tally = statistics.Tally()
    writers = formats.writers(formats.named(plan.formats), folder)
    for count, row in enumerate(rows, start=1):
        for writer in writers:
            writer.write(row)
        tally.add(row)
        if count % _BATCH == 0:
            advance(_BATCH)
    for writer in writers:
        writer.close()
    return tally


def _publish_long(shards: Iterable[Shard], plan: Plan, folder: Path) -> None:
    """Write the rows that are too long."""
    if plan.max_tokens is None:
        return
    with (folder / TOO_LONG).open("wb") as long:
        for shard in shards:
            with shard.long.open("rb") as lines:
                shutil.copyfileobj(lines, long)


def _describe(
    folder: Path,
    task_input: TaskInput,
    plan: Plan,
    splits: Splits,
    tally: statistics.Tally,
    counts: Counts,
    ineligible: int,
    context: RunContext | None,
    streamed: dict[str, int],
    workers: int,
) -> None:
    """Write the inputs, the statistics, the card, the Croissant metadata and the manifest."""
    facts = {
        "schema": SCHEMA,
        **facts_of_code(task_input.catalogue),
        "arguments": plan.arguments(),
        "held_out": splits.held_out,
        "corpus": {
            "files": len(task_input.files) - counts.left_out["duplicate files"],
            "ineligible": ineligible,
            "sha256": inputs.digest(task_input.files),
        }
        | streamed,
        "counts": tally.counts() | {"too_long": counts.too_long, "left_out": dict(sorted(counts.left_out.items()))},
    }
    measured = measures.measure(folder, tally.samples, tally.total, workers)
    inputs.write(folder, task_input.files, context.accuracies if context else lambda network: ())
    statistics.write(folder, tally)
    card.write(folder, facts, tally, measured, {task.NAME: task.SUMMARY for task in plan.tasks})
    manifest.write(folder, facts)


def facts_of_code(catalogue: Catalogue) -> dict[str, Any]:
    """Return the version of lrgen, a digest of the code and the catalogue, and the versions that decide the bytes."""
    code = hashlib.sha256(f"{catalogue.digest} {verdicts.check_version()}".encode())
    own = Path(__file__).parent
    for path in sorted([*own.rglob("*.py"), *(own.parent / "realisations").rglob("*.py")]):
        code.update(path.read_bytes())
    versions = {name: metadata.version(name) for name in ("pyarrow", "matplotlib", "tokenizers", "torch")}
    return {"lrgen": __version__, "code": code.hexdigest()[:16], "versions": versions}


def _fingerprint(task_input: TaskInput, plan: Plan, context: RunContext | None) -> str:
    """Return a digest of all inputs that determine the bytes of a dataset."""
    networks = sorted({file.architecture.name for file in task_input.files})
    runs = [repr(list(context.accuracies(name))) for name in networks] if context else []
    facts = [plan.arguments(), inputs.digest(task_input.files), facts_of_code(task_input.catalogue), runs]
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()[:12]
