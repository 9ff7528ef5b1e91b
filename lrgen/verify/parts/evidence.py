"""Evidence on parts: what was executed once, for every file that has the part."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from enum import StrEnum

from lrgen.records import Part, PartEvidence, Variant

Key = tuple[str, str]


class Kind(StrEnum):
    """The kinds of execution of parts."""

    CONTRACT = "contract"  # of a network
    MAKE_SCHEDULER = "make_scheduler"  # of a schedule
    LEARN = "learn"  # of training methods with a schedule
    TRAINING = "training"  # of training methods with a network


def key_of(kind: Kind, *parts: Part, curve: Variant | None = None) -> Key:
    """The key of evidence on parts, which were compared with the curve of a variant (None: with none)."""
    return kind.value, hashlib.sha256(repr((parts, curve)).encode()).hexdigest()


class Evidence:
    """The evidence of a run: that of earlier runs, and what this one adds; threads may share it."""

    def __init__(self, known: Iterable[PartEvidence] = ()) -> None:
        self._lock = threading.Lock()
        self._parts: dict[Key, Future[PartEvidence | None]] = {}
        self._new: list[PartEvidence] = []
        for evidence in known:
            self._parts[evidence.kind, evidence.key] = _of(evidence)

    def once(self, key: Key, execute: Callable[[], PartEvidence]) -> PartEvidence:
        """The evidence of a key; it is made by ``execute`` unless there is some or another thread makes it.

        Raises:
            Exception: what ``execute`` raises. Then there is no evidence, and the next caller executes the part itself.
        """
        while True:
            with self._lock:
                waiting = self._parts.get(key)
                if waiting is None:
                    mine = self._parts[key] = Future[PartEvidence | None]()
            if waiting is None:
                break
            if (evidence := waiting.result()) is not None:
                return evidence
        try:
            evidence = execute()
        except BaseException:
            with self._lock:
                del self._parts[key]
            mine.set_result(None)
            raise
        with self._lock:
            self._new.append(evidence)
        mine.set_result(evidence)
        return evidence

    def has(self, *keys: Key) -> bool:
        """Whether there is evidence on each key."""
        with self._lock:
            parts = [self._parts.get(key) for key in keys]
        return all(part is not None and part.done() and part.result() is not None for part in parts)

    def take_new(self) -> list[PartEvidence]:
        """The evidence that was added since the last call."""
        with self._lock:
            new, self._new = self._new, []
        return new


def _of(evidence: PartEvidence) -> "Future[PartEvidence | None]":
    future = Future[PartEvidence | None]()
    future.set_result(evidence)
    return future
