"""The results database: runs of files, their outcomes and scores; the only package that imports SQLAlchemy.

One transaction records one file: the run, a row for each evaluated epoch, and a row for each class of an epoch. Rows
are never deleted or overwritten.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrgen.records import Outcome, PartEvidence
from lrgen.store import import_runs, parts, recording
from lrgen.store.database import StoredRow
from lrgen.store.import_runs import Epoch
from lrgen.store.metrics import ClassScores
from lrgen.store.queries import Queries
from lrgen.store.recording import RECORDED, Series
from lrgen.store.rows import TASK, Conditions, insert_outcome, key_of, settings_of

__all__ = ["RECORDED", "TASK", "Conditions", "Epoch", "Series", "Store", "StoredRow", "key_of", "settings_of"]


class Store(Queries):
    """Results in SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    def prepare(self) -> None:
        """Open the database for writing, which raises an error before a long run if that is not possible."""
        with self.session(write=True):
            pass

    def save(self, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
        """Record the outcome of a file's verification with its epochs and their classes; return the run's id."""
        return self.save_all([outcome], conditions, classes)[0]

    def save_all(self, outcomes: Iterable[Outcome], conditions: Conditions, classes: tuple[str, ...]) -> list[int]:
        """Record several outcomes in one transaction, all or none; return the runs' ids."""
        with self.session(write=True) as connection:
            return [insert_outcome(connection, outcome, conditions, classes) for outcome in outcomes]

    def save_parts(self, evidence: Iterable[PartEvidence], conditions: Conditions) -> None:
        """Record evidence on the parts of rendered files."""
        new = list(evidence)
        if new:
            with self.session(write=True) as connection:
                parts.save(connection, new, conditions)

    def parts(self, conditions: Conditions, case_seed: int | None = None) -> list[PartEvidence]:
        """Return the evidence on parts under the same conditions; with a ``case_seed`` that of this seed alone."""
        return parts.known(self, conditions, case_seed)

    def record_epoch(
        self, series: Series, epoch: int, accuracy: float | None, loss: float | None, **values: Any
    ) -> int:
        """Record a caller's epoch, with the ``values`` of ``recording.record_epoch``; return the run's id."""
        with self.session(write=True) as connection:
            return recording.record_epoch(connection, series, epoch, accuracy, loss, **values)

    def record_runs(self, runs: Mapping[Series, Sequence[Sequence[Epoch]]]) -> int:
        """Record a caller's complete runs, all or none; known runs stay unchanged.

        Returns the number of new runs.
        """
        with self.session(write=True) as connection:
            return sum(import_runs.record_runs(connection, series, series_runs) for series, series_runs in runs.items())

    def record_class(self, series: Series, epoch: int, class_name: str, scores: ClassScores) -> int:
        """Record a caller's scores of one class; return the run's id."""
        with self.session(write=True) as connection:
            return recording.record_class(connection, series, epoch, class_name, scores)

    def track_classes(self, series: Series, epoch: int, classes: Sequence[str]) -> int:
        """Record the classes of an epoch before their scores are known; return the run's id."""
        with self.session(write=True) as connection:
            return recording.track_classes(connection, series, epoch, classes)
