"""The content of the report page: leaderboards, failures, and the run behind every number.

The page stays readable and within a few megabytes for a store of any size. Each leaderboard shows its best files,
fewer of them when there are many leaderboards, and counts the rest.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.errors import NoResultError
from lrgen.records import Status, Training, Variant
from lrgen.store import RECORDED, Store, StoredRow, report_queries
from lrgen.store.queries import COUNTED

# Limits of the whole page.
MAX_BOARDS = 200
MAX_ROWS = 2_000
MAX_CELLS = 20_000
# Limits of one table.
MAX_BOARD_ROWS = 200
MAX_HEAT_MAP_ROWS = 30
MAX_FAILURES = 200

Ranked = tuple[StoredRow, StoredRow]  # a run and its best epoch


@dataclass(frozen=True)
class Entry:
    """A file on a leaderboard: its run, the epochs of the run, and the best of these.

    Files of equal accuracy share a rank. ``recalls`` is empty where the classes are not shown. ``schedule`` is the
    variant itself, or the one whose schedule a ``variant`` with a practice uses.
    """

    rank: int
    run: StoredRow
    best: StoredRow
    epochs: tuple[StoredRow, ...]
    recalls: tuple[StoredRow, ...] = ()
    variant: Variant | None = None
    schedule: Variant | None = None


@dataclass(frozen=True)
class Board:
    """Files with comparable accuracies: one dataset, one training, one network (empty: files from elsewhere)."""

    dataset: str
    model: str
    training: Training
    entries: tuple[Entry, ...]
    total: int
    lowest: float | None

    @property
    def with_classes(self) -> tuple[Entry, ...]:
        """The entries of the heat map, which have the same classes as the first of them."""
        scored = [entry for entry in self.entries if entry.recalls]
        return tuple(entry for entry in scored if _classes(entry) == _classes(scored[0]))


@dataclass(frozen=True)
class Report:
    """The content of the page; ``files`` counts files by the status of their newest checked run."""

    files: dict[str, int]
    runs: int
    measured: int
    newest: datetime
    conditions: dict[str, tuple[str, ...]]
    boards: tuple[Board, ...]
    boards_left_out: int
    failures: tuple[StoredRow, ...]
    failures_left_out: int

    @property
    def shown_runs(self) -> list[StoredRow]:
        """The runs whose numbers or reasons are on the page, oldest first."""
        shown = [entry.run for board in self.boards for entry in board.entries]
        return sorted({run["id"]: run for run in (*shown, *self.failures)}.values(), key=lambda run: int(run["id"]))

    @property
    def hyperparameters(self) -> dict[int, dict[str, Any]]:
        """The hyperparameters of each shown run with training, by the run's id."""
        entries = (entry for board in self.boards for entry in board.entries)
        return {entry.run["id"]: entry.best["hyperparameters"] or {} for entry in entries}

    @property
    def variants(self) -> list[Variant]:
        """The schedules on the leaderboards, also those of files with a practice, in the order of their numbers."""
        entries = (entry for board in self.boards for entry in board.entries)
        by_number = {entry.schedule.number: entry.schedule for entry in entries if entry.schedule}
        return [by_number[number] for number in sorted(by_number)]


def gather(
    store: Store,
    catalogue: Catalogue,
    models: Collection[str] = (),
    datasets: Collection[str] = (),
    practices: Collection[str] = (),
) -> Report:
    """Gather the content of the page for some models, datasets and practices, by default for all.

    Raises:
        UnknownNameError: if there is no such practice and no such kind.
        NoResultError: when the store has no results for them.
    """
    keys = {variant.key for variant in catalogue.select((), (), practices)}
    best = report_queries.best_epochs(store)  # read before the runs, because a verification may be adding some
    runs = {
        run["id"]: run
        for run in report_queries.runs(store)
        if (not models or run["model_name"] in models)
        and (not datasets or run["dataset"] in datasets)
        and (not practices or run["scheduler_type"] in keys)
    }
    if not runs:
        selection = [f"model {name}" for name in models] + [f"dataset {name}" for name in datasets]
        selection += [f"practice {name}" for name in practices]
        suffix = f" of {', '.join(selection)}" if selection else ""
        raise NoResultError(f"there are no results{suffix} in {store.place}: run lrgen verify first")
    best = [row for row in best if row["run_id"] in runs]
    boards = _boards(best, runs)
    shown = _shown(store, catalogue, boards[:MAX_BOARDS])
    checked = {_file(run): run for run in runs.values() if run["status"] != RECORDED}
    statuses = {file: run["status"] for file, run in checked.items()}
    files = Counter((dict.fromkeys(map(_file, runs.values()), RECORDED) | statuses).values())
    failures = [run for run in checked.values() if run["status"] not in COUNTED]
    failures.sort(key=lambda run: -run["id"])
    return Report(
        files={status: files[status] for status in (*Status, RECORDED) if status in files},
        runs=len(runs),
        measured=len(best),
        newest=max(run["timestamp"] for run in runs.values()),
        conditions={
            name: tuple(sorted({run[name] for run in runs.values() if run[name]}))
            for name in ("dataset", "device", "lrgen", "torch", "check_version")
        },
        boards=shown,
        boards_left_out=len(boards) - len(shown),
        failures=tuple(failures[:MAX_FAILURES]),
        failures_left_out=max(0, len(failures) - MAX_FAILURES),
    )


def _file(run: StoredRow) -> tuple[str, str]:
    return run["model_name"], run["scheduler_type"]


def _boards(best: list[StoredRow], runs: dict[int, StoredRow]) -> list[list[Ranked]]:
    """Return each leaderboard's runs with their best epochs, best first; leaderboards of full training come first."""
    groups = defaultdict(list)
    for row in best:
        run = runs[row["run_id"]]
        groups[_board_of(run)].append((run, row))
    return [sorted(groups[key], key=_position) for key in sorted(groups)]


def _board_of(run: StoredRow) -> tuple[str, bool, bool, str]:
    """Return the sort key of a run's leaderboard; files from elsewhere share one leaderboard per dataset."""
    elsewhere = run["scheduler_type"].startswith("file-")
    overfit = run["training"] == Training.OVERFIT
    return run["dataset"], overfit, elsewhere, "" if elsewhere else run["model_name"]


def _position(pair: Ranked) -> tuple[Any, ...]:
    """Return the sort key within a leaderboard: accuracy, loss, name; unmeasured values come last."""
    run, best = pair
    accuracy, loss = best["accuracy"], best["loss"]
    return accuracy is None, -(accuracy or 0.0), loss is None, loss or 0.0, _file(run)


def _shown(store: Store, catalogue: Catalogue, boards: list[list[Ranked]]) -> tuple[Board, ...]:
    """Return the best files of each leaderboard, with their epochs and classes."""
    if not boards:
        return ()
    rows_per_board = min(MAX_BOARD_ROWS, MAX_ROWS // len(boards))
    runs = [run["id"] for board in boards for run, _ in board[:rows_per_board]]
    epochs = _by_run(report_queries.epochs(store, runs))
    first = [(board[0][1]["run_id"], board[0][1]["epoch"]) for board in boards]
    class_count = max(Counter(row["run_id"] for row in report_queries.recalls(store, first)).values(), default=1)
    heat_map_rows = max(1, min(MAX_HEAT_MAP_ROWS, MAX_CELLS // (class_count * len(boards))))
    chosen = [
        (best["run_id"], best["epoch"]) for board in boards for _, best in board[: min(rows_per_board, heat_map_rows)]
    ]
    recalls = _by_run(report_queries.recalls(store, chosen))
    variants = {(variant.number, variant.name): variant for variant in catalogue.variants}
    schedules = {variant.number: variant for variant in catalogue.schedules}
    shown = []
    for board in boards:
        dataset, overfit, _, model = _board_of(board[0][0])
        accuracies = [best["accuracy"] for _, best in board]
        named = [variants.get((run["variant"], run["variant_name"])) for run, _ in board[:rows_per_board]]
        entries = tuple(
            Entry(
                rank=accuracies.index(best["accuracy"]) + 1,
                run=run,
                best=best,
                epochs=epochs[run["id"]],
                recalls=recalls.get(run["id"], ()),
                variant=variant,
                schedule=schedules.get(variant.schedule, variant) if variant and variant.schedule else variant,
            )
            for (run, best), variant in zip(board[:rows_per_board], named, strict=True)
        )
        training = Training.OVERFIT if overfit else Training.FULL
        measured = [accuracy for accuracy in accuracies if accuracy is not None]
        shown.append(Board(dataset, model, training, entries, len(board), min(measured, default=None)))
    return tuple(shown)


def _by_run(rows: list[StoredRow]) -> dict[int, tuple[StoredRow, ...]]:
    by_run = defaultdict(list)
    for row in rows:
        by_run[row["run_id"]].append(row)
    return {run_id: tuple(run_rows) for run_id, run_rows in by_run.items()}


def _classes(entry: Entry) -> list[str]:
    return [row["class_name"] for row in entry.recalls]
