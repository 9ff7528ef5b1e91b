"""Processes that rendered files share, one after another, once their parts have been executed."""

import threading
from dataclasses import dataclass, field

from lrgen.verify import messages
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.session import Ended, FileRaised, Place, Session

FILES = 100  # in one process


@dataclass
class SharedProcesses:
    """The processes of a run; ``close`` ends them."""

    nursery: Nursery
    place: Place
    _idle: list[tuple[Session, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> tuple[Session, int]:
        """A process, and the number of files that it has had; the caller gives it back or closes it."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self.nursery.session(self.place), 0

    def give_back(self, session: Session, files: int) -> None:
        """Take a process back that has had ``files`` files, all of which have passed."""
        try:
            session.allow(float("inf"), "")
            session.call("forget", messages.Nothing)
        except (Ended, FileRaised):
            files = FILES
        if files >= FILES:
            session.close()
            return
        with self._lock:
            self._idle.append((session, files))

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.close()
