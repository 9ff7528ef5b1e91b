"""Symptoms of mutants: tracebacks and logs of training scripts, executed on the mutant and on the correct file."""

import base64
import contextlib
import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lrgen.errors import CorpusError, StoreError
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.scenarios import Scenario
from lrgen.verify import messages
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery, leased
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, FileRaised, Place

_CACHE = "symptoms.db"
_PLACE = Place(Mechanism.PROCESS, Limits())
_SECONDS = 120.0
_GIVEN = "GIVEN: dict[str, Any] = {}\n"
_TEXT = (Path(__file__).parent / "workbench.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Symptom:
    """The output of a script that a mutant was run by.

    Attributes:
        scenario: the script.
        printed: what it printed.
        traceback: the traceback of the exception that ended it; empty without one.
        expected: what it prints with the correct file.
    """

    scenario: Scenario
    printed: str
    traceback: str
    expected: str


@dataclass(frozen=True)
class Request:
    """A mutant with the text of the correct file, and the scripts that may show its fault."""

    faulty: str
    source: str
    scenarios: Sequence[Scenario]

    @property
    def key(self) -> str:
        """The digest of all that decides the symptom."""
        parts = [self.faulty, self.source, [asdict(each) for each in self.scenarios], _TEXT, metadata.version("torch")]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def observe(requests: Iterable[Request], context: RunContext) -> Iterator[Symptom | None]:
    """Yield the symptom of each mutant in order: that of the first script that fails or prints something else.

    None for a mutant that no script shows. Symptoms are observed unless the context knows them, and are kept in its
    cache.

    Raises:
        CorpusError: if the process of a mutant ends or takes too long.
        EngineError: if no nursery can be started.
        StoreError: if the cache cannot be read or written.
    """
    pending, kept = list(requests), context.observations
    keys = [f"symptom/{request.key}" for request in pending]
    unknown = [(key, each) for key, each in zip(keys, pending, strict=True) if kept.get(key) is None]
    answers = _answers([request for _, request in unknown], context.cache, context.workers)
    for (key, _), answer in zip(unknown, answers, strict=True):
        kept.note(key, answer)
    for key, request in zip(keys, pending, strict=True):
        answer = kept.used(key)
        yield _symptom(request, answer) if answer else None


def _answers(requests: Sequence[Request], cache: Path, workers: int) -> list[dict[str, Any]]:
    """Return the answer of the workbench to each request; those that are not in the cache are executed."""
    with _Cache(cache) as known, contextlib.ExitStack() as stack:
        missing = [request for request in requests if known.get(request.key) is None]
        if missing:
            nursery = stack.enter_context(leased())
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            for request, answer in zip(missing, pool.map(lambda each: _executed(nursery, each), missing), strict=True):
                known.put(request.key, answer)
        return [known.get(request.key) or {} for request in requests]


def _symptom(request: Request, answer: dict[str, Any]) -> Symptom:
    return Symptom(request.scenarios[answer["script"]], answer["printed"], answer["raised"], answer["expected"])


def _executed(nursery: Nursery, request: Request) -> dict[str, Any]:
    """Return the answer of the workbench; empty when it has none."""
    given = {
        "faulty": request.faulty,
        "source": request.source,
        "scripts": [{"text": each.text, "light": each.light} for each in request.scenarios],
    }
    text = f"GIVEN = __import__('json').loads({json.dumps(given)!r})\n{_TEXT.replace(_GIVEN, '')}"
    try:
        with nursery.session(_PLACE) as session:
            session.allow(time.monotonic() + _SECONDS, f"it takes longer than {_SECONDS:g} s")
            session.call("load", messages.Loaded, source=text, path="workbench.py", absent=[])
            packed = session.output.rstrip().rpartition(b"\n")[2]
        answer = json.loads(zlib.decompress(base64.b64decode(packed)))
    except (Ended, FileRaised, ValueError, zlib.error) as error:
        raise CorpusError(f"a mutant cannot be observed: {error}") from error
    return answer or {}


class _Cache:
    """Answers by key, in a database of one table."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / _CACHE
            self._database = sqlite3.connect(self._path)
            self._database.execute("CREATE TABLE IF NOT EXISTS symptoms (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{folder / _CACHE}: {error}") from error

    def __enter__(self) -> "_Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, key: str) -> dict[str, Any] | None:
        row = self._database.execute("SELECT answer FROM symptoms WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: str, answer: dict[str, Any]) -> None:
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO symptoms VALUES (?, ?)", (key, json.dumps(answer)))
