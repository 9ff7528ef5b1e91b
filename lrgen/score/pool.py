"""A process of its own that scores completions for a trainer.

A trainer computes on a GPU, has threads, and may fork workers: nothing may be forked from it, and a reward must not
hold it up. The pool is started on first use by exec, loads torch in its own processes, and ends with its owner. One
line of JSON is a request, one line the verdict on a completion; a verdict that comes after its deadline is dropped.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from lrgen.errors import ScoreError, shown
from lrgen.finetune.example import Row
from lrgen.records import Policy, Stage
from lrgen.score.verdict import Verdict

_ATTEMPTS = 2  # a process may have ended unnoticed
_CLOSING_SECONDS = 1.0  # until a process is killed; what it has started ends with it
_COLUMNS = (
    "id",
    "task",
    "split",
    "family",
    "architecture",
    "variant",
    "scope",
    "label",
    "evidence",
    "checker",
    "prompt",
)


@dataclass(frozen=True)
class PoolSettings:
    """The way a pool grades: the options of ``lrgen score``."""

    stage: Stage = Stage.SCHEDULE
    policy: Policy = Policy.STRICT
    seconds: float = 30.0
    case_seed: int | None = None
    workers: int | None = None


@dataclass
class Pool:
    """A process that scores; ``score`` may be called from several threads.

    A process that is forked from the owner starts a pool of its own.
    """

    settings: PoolSettings = field(default_factory=PoolSettings)
    _process: subprocess.Popen[bytes] | None = None
    _owner: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: dict[int, SimpleQueue[dict[str, Any] | None]] = field(default_factory=dict)
    _next: int = 0

    def __post_init__(self) -> None:
        pool = weakref.ref(self)

        def forget() -> None:  # in a forked process, where no thread will ever release the lock
            if (forked := pool()) is not None:
                forked._lock, forked._process, forked._waiting = threading.Lock(), None, {}

        os.register_at_fork(after_in_child=forget)

    def score(
        self, rows: Sequence[Row], completions: Sequence[str], deadline: float | None = None
    ) -> list[Verdict | None]:
        """The verdict on each completion; None where there is none within ``deadline`` seconds.

        Raises:
            ScoreError: if the pool cannot be started, or refuses the rows.
            ValueError: if there are not as many completions as rows.
        """
        if len(rows) != len(completions):
            raise ValueError(f"completions: expected {len(rows)}, one for each row, got {len(completions)}")
        verdicts: list[Verdict | None] = [None] * len(rows)
        ends = None if deadline is None else monotonic() + deadline
        for _ in range(_ATTEMPTS):
            waiting = [index for index, verdict in enumerate(verdicts) if verdict is None]
            if not waiting or not self._collect(rows, completions, waiting, verdicts, ends):
                break
        return verdicts

    def _collect(
        self,
        rows: Sequence[Row],
        completions: Sequence[str],
        waiting: Sequence[int],
        verdicts: list[Verdict | None],
        ends: float | None,
    ) -> bool:
        """Fill in the verdicts on those that wait, until ``ends``; whether the process has ended before."""
        with self._request([rows[at] for at in waiting], [completions[at] for at in waiting]) as answers:
            for _ in waiting:
                try:
                    answer = answers.get(timeout=None if ends is None else max(0.0, ends - monotonic()))
                except Empty:
                    return False
                if answer is None:
                    return True
                if "error" in answer:
                    raise ScoreError(answer["error"])
                if answer["verdict"] is not None:
                    verdicts[waiting[answer["index"]]] = Verdict(**answer["verdict"])
        return False

    @property
    def pid(self) -> int | None:
        """The id of the process; None if none was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, if it does not run, without waiting for it.

        Raises:
            ScoreError: if it cannot be started.
        """
        with self._lock:
            self._ensure()

    def close(self) -> None:
        """End the process; the next call of ``score`` starts another one."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def _request(self, rows: Sequence[Row], completions: Sequence[str]) -> Iterator[SimpleQueue[dict[str, Any] | None]]:
        answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        samples = [[_handed(row), text] for row, text in zip(rows, completions, strict=True)]
        with self._lock:
            process = self._ensure()
            self._next += 1
            number = self._next
            self._waiting[number] = answers
            self._send(process, {"request": number, "samples": samples})
        try:
            yield answers
        finally:
            with self._lock:
                if self._waiting.pop(number, None) is not None and self._process is process:
                    self._send(process, {"forget": number})

    def _send(self, process: "subprocess.Popen[bytes]", message: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: its reader says so
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()

    def _ensure(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._owner, self._waiting = os.getpid(), {}  # the reader of an earlier process has the earlier requests
        options = json.dumps({**asdict(self.settings), "owner": self._owner})
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-m", "lrgen.score.pool_process", options]
        started = Future[subprocess.Popen[bytes]]()
        threading.Thread(target=self._run, args=(command, environment, self._waiting, started), daemon=True).start()
        try:
            self._process = started.result()
        except OSError as error:
            raise ScoreError(f"the pool cannot be started: {error}") from error
        atexit.register(self.close)
        return self._process

    def _run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        waiting: Mapping[int, SimpleQueue[dict[str, Any] | None]],
        started: "Future[subprocess.Popen[bytes]]",
    ) -> None:
        """Start a process, and hand its answers to those who wait for them, until it ends.

        The kernel ends a process with the thread that has started it, so that has to be one that lasts.
        """
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            answers = waiting.get(message["request"])
            if answers is not None:
                answers.put(message)
        with self._lock:  # a request is either among those that wait, or starts another process
            if self._process is process:
                self._process = None
            for answers in waiting.values():
                answers.put(None)


def _handed(row: Row) -> dict[str, Any]:
    """The columns that scoring needs; the answer of the row is its ``reference``, or its ``completion``.

    Raises:
        ScoreError: if one is missing.
    """
    handed = {name: row.get(name) for name in _COLUMNS} | {"completion": row.get("reference", row.get("completion"))}
    missing = [name for name, value in handed.items() if not isinstance(value, str) and name != "label"]
    if missing:
        raise ScoreError(
            f"row {shown(str(row.get('id')))}: the column {missing[0]} is missing or no text; rows have the "
            "columns of a dataset of schema 4"
        )
    return handed
