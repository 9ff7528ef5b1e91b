"""The results database: what was executed, and how it ended; the only importer of SQLAlchemy.

One transaction a file: the run, a row for each evaluated epoch and one for each of its classes. Nothing is ever
deleted or overwritten.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrgen.records import Outcome
from lrgen.store import import_runs, recording
from lrgen.store.import_runs import Epoch
from lrgen.store.metrics import ClassScores
from lrgen.store.queries import Queries
from lrgen.store.recording import RECORDED, Series
from lrgen.store.rows import TASK, Conditions, insert_outcome, key_of, settings_of

__all__ = ["RECORDED", "TASK", "Conditions", "Epoch", "Series", "Store", "key_of", "settings_of"]


class Store(Queries):
    """Results in SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    def prepare(self) -> None:
        """Open the database for writing, so that one that cannot be written is known before anything is run."""
        with self.session(write=True):
            pass

    def save(self, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
        """Record how a file's verification ended, with its epochs and their classes; returns the run's id."""
        return self.save_all([outcome], conditions, classes)[0]

    def save_all(self, outcomes: Iterable[Outcome], conditions: Conditions, classes: tuple[str, ...]) -> list[int]:
        """Record several outcomes in one transaction: all of them, or none; returns the runs' ids."""
        with self.session(write=True) as connection:
            return [insert_outcome(connection, outcome, conditions, classes) for outcome in outcomes]

    def record_epoch(self, series: Series, epoch: int, accuracy: float | None, loss: float | None, **more: Any) -> int:
        """Record an epoch that a caller measured (recording.record_epoch); returns the run's id."""
        with self.session(write=True) as connection:
            return recording.record_epoch(connection, series, epoch, accuracy, loss, **more)

    def record_runs(self, runs: Mapping[Series, Sequence[Sequence[Epoch]]]) -> int:
        """Record whole runs that a caller brings, all of them or none; those that are known already stay as they are.

        Returns how many were new.
        """
        with self.session(write=True) as connection:
            return sum(import_runs.record_runs(connection, series, brought) for series, brought in runs.items())

    def record_class(self, series: Series, epoch: int, class_name: str, scores: ClassScores) -> int:
        """Record the scores of a class that a caller measured; returns the run's id."""
        with self.session(write=True) as connection:
            return recording.record_class(connection, series, epoch, class_name, scores)

    def track_classes(self, series: Series, epoch: int, classes: Sequence[str]) -> int:
        """Record which classes will be measured at an epoch, their scores NULL; returns the run's id."""
        with self.session(write=True) as connection:
            return recording.track_classes(connection, series, epoch, classes)
