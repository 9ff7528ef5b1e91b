"""What the page says, out of the store: leaderboards, failures, and the run behind every number.

The page stays readable, and within a few megabytes, however large the store is: of each leaderboard the best are
shown, fewer of each where there are many, and what is left out is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.errors import NoResultError
from lrgen.records import Status, Training, Variant
from lrgen.store import RECORDED, Store, report_queries

# On the whole page.
MOST_BOARDS = 200
MOST_ROWS = 2_000
MOST_CELLS = 20_000
# Of one table.
LONGEST_BOARD = 200
LONGEST_HEAT_MAP = 30
LONGEST_FAILURES = 200

Row = dict[str, Any]
Ranked = tuple[Row, Row]  # a run and its best epoch


@dataclass(frozen=True)
class Entry:
    """A file on a leaderboard: its best epoch, the epochs and the run that it is one of.

    Files of one accuracy share a rank. ``recalls`` is empty where the classes are not shown.
    """

    rank: int
    run: Row
    best: Row
    epochs: tuple[Row, ...]
    recalls: tuple[Row, ...] = ()
    variant: Variant | None = None


@dataclass(frozen=True)
class Board:
    """Files whose accuracies can be compared: one dataset, one network (empty: files from elsewhere), one training."""

    dataset: str
    model: str
    training: Training
    entries: tuple[Entry, ...]
    total: int
    lowest: float | None

    @property
    def with_classes(self) -> tuple[Entry, ...]:
        """The entries of the heat map: those with the classes of the first one."""
        scored = [entry for entry in self.entries if entry.recalls]
        return tuple(entry for entry in scored if _classes(entry) == _classes(scored[0]))


@dataclass(frozen=True)
class Report:
    """Everything on the page. ``files`` counts them by the status of their newest checked run."""

    files: dict[str, int]
    runs: int
    measured: int
    newest: datetime
    conditions: dict[str, tuple[str, ...]]
    boards: tuple[Board, ...]
    boards_left_out: int
    failures: tuple[Row, ...]
    failures_left_out: int

    @property
    def shown_runs(self) -> list[Row]:
        """The runs that the page has numbers or reasons of, oldest first."""
        shown = [entry.run for board in self.boards for entry in board.entries]
        return sorted({run["id"]: run for run in (*shown, *self.failures)}.values(), key=lambda run: int(run["id"]))

    @property
    def hyperparameters(self) -> dict[int, dict[str, Any]]:
        """Of each shown run that was trained, by its id."""
        entries = (entry for board in self.boards for entry in board.entries)
        return {entry.run["id"]: entry.best["hyperparameters"] or {} for entry in entries}

    @property
    def variants(self) -> list[Variant]:
        """The schedules on the leaderboards, in the order of their numbers."""
        entries = (entry for board in self.boards for entry in board.entries)
        found = {entry.variant.number: entry.variant for entry in entries if entry.variant}
        return [found[number] for number in sorted(found)]


def gather(store: Store, catalogue: Catalogue, models: Collection[str] = (), datasets: Collection[str] = ()) -> Report:
    """All that the page says of some models and datasets, by default of all.

    Raises:
        NoResultError: when nothing was recorded of them.
    """
    best = report_queries.best_epochs(store)  # before the runs: a verification may be going on
    runs = {
        run["id"]: run
        for run in report_queries.runs(store)
        if (not models or run["model_name"] in models) and (not datasets or run["dataset"] in datasets)
    }
    if not runs:
        chosen = [f"model {name}" for name in models] + [f"dataset {name}" for name in datasets]
        what = f" of {', '.join(chosen)}" if chosen else ""
        raise NoResultError(f"there are no results{what} in {store.place}: run lrgen verify first")
    best = [row for row in best if row["run_id"] in runs]
    boards = _boards(best, runs)
    shown = _shown(store, catalogue, boards[:MOST_BOARDS])
    checked = {_file(run): run for run in runs.values() if run["status"] != RECORDED}
    ended = {file: run["status"] for file, run in checked.items()}
    files = Counter((dict.fromkeys(map(_file, runs.values()), RECORDED) | ended).values())
    failures = [run for run in checked.values() if not Status(run["status"]).ok]
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
        failures=tuple(failures[:LONGEST_FAILURES]),
        failures_left_out=max(0, len(failures) - LONGEST_FAILURES),
    )


def _file(run: Row) -> tuple[str, str]:
    return run["model_name"], run["scheduler_type"]


def _boards(best: list[Row], runs: dict[int, Row]) -> list[list[Ranked]]:
    """The runs and their best epochs, a list for each leaderboard, best first; those trained in full come first."""
    groups = defaultdict(list)
    for row in best:
        run = runs[row["run_id"]]
        groups[_board_of(run)].append((run, row))
    return [sorted(groups[key], key=_place) for key in sorted(groups)]


def _board_of(run: Row) -> tuple[str, bool, bool, str]:
    """The order of the leaderboards; files from elsewhere are no network's and stand together."""
    elsewhere = run["scheduler_type"].startswith("file-")
    overfit = run["training"] == Training.OVERFIT
    return run["dataset"], overfit, elsewhere, "" if elsewhere else run["model_name"]


def _place(pair: Ranked) -> tuple[Any, ...]:
    """The order of a leaderboard: by accuracy, then loss, then name; what was not measured comes last."""
    run, best = pair
    accuracy, loss = best["accuracy"], best["loss"]
    return accuracy is None, -(accuracy or 0.0), loss is None, loss or 0.0, _file(run)


def _shown(store: Store, catalogue: Catalogue, boards: list[list[Ranked]]) -> tuple[Board, ...]:
    """The best of each leaderboard, with their epochs and classes."""
    if not boards:
        return ()
    longest = min(LONGEST_BOARD, MOST_ROWS // len(boards))
    runs = [run["id"] for board in boards for run, _ in board[:longest]]
    epochs = _by_run(report_queries.epochs(store, runs))
    first = [(board[0][1]["run_id"], board[0][1]["epoch"]) for board in boards]
    widest = max(Counter(row["run_id"] for row in report_queries.recalls(store, first)).values(), default=1)
    with_classes = max(1, min(LONGEST_HEAT_MAP, MOST_CELLS // (widest * len(boards))))
    chosen = [(best["run_id"], best["epoch"]) for board in boards for _, best in board[: min(longest, with_classes)]]
    recalls = _by_run(report_queries.recalls(store, chosen))
    variants = {(variant.number, variant.name): variant for variant in catalogue.variants}
    shown = []
    for board in boards:
        dataset, overfit, _, model = _board_of(board[0][0])
        accuracies = [best["accuracy"] for _, best in board]
        entries = tuple(
            Entry(
                rank=accuracies.index(best["accuracy"]) + 1,
                run=run,
                best=best,
                epochs=epochs[run["id"]],
                recalls=recalls.get(run["id"], ()),
                variant=variants.get((run["variant"], run["variant_name"])),
            )
            for run, best in board[:longest]
        )
        training = Training.OVERFIT if overfit else Training.FULL
        measured = [accuracy for accuracy in accuracies if accuracy is not None]
        shown.append(Board(dataset, model, training, entries, len(board), min(measured, default=None)))
    return tuple(shown)


def _by_run(rows: list[Row]) -> dict[int, tuple[Row, ...]]:
    found = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(row)
    return {run: tuple(own) for run, own in found.items()}


def _classes(entry: Entry) -> list[str]:
    return [row["class_name"] for row in entry.recalls]
