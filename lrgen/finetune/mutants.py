"""Broken files run through the checks: what each fails for, in the harness's own words."""

import contextlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from lrgen.errors import OutputError
from lrgen.finetune import mutations as breakages
from lrgen.finetune.corpus import ProvedFile
from lrgen.finetune.example import Material
from lrgen.records import Candidate, Stage, Status, VerifySettings
from lrgen.verify import run
from lrgen.verify.candidate import candidate_of

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
_AT_ONCE = 64
_GROUPS = (breakages.OF_SCHEDULE, breakages.OF_FRAME)


@dataclass(frozen=True)
class Workbench:
    """What a task that runs something is given beside its material.

    Attributes:
        cache: the folder that keeps how broken files ended, from one build to the next.
        workers: how many files are run at a time.
        breakages: how many kinds of mistakes are tried on each file.
        traces: how many questions are asked about each schedule.
        accuracies: the rows of ``Store.best_of_runs`` for an architecture.
        unseen: how many broken files passed the checks, by the mistake; counted as they are run.
    """

    cache: Path
    workers: int = 1
    breakages: int = 2
    traces: int = 20
    accuracies: Callable[[str], Iterable[Mapping[str, Any]]] = lambda architecture: ()
    unseen: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Broken:
    """A verified file with a mistake in it."""

    file: ProvedFile
    mistake: str
    text: str


@dataclass(frozen=True)
class Failure:
    """A broken file that was run, the check that it did not pass, and why."""

    broken: Broken
    stage: Stage
    reason: str


def failures(material: Material, bench: Workbench) -> Iterator[Failure]:
    """Each file with a few mistakes of different kinds, as far as the checks see them."""
    ends = _Ends(bench.cache)
    everything = _broken(material, bench.breakages)
    while some := list(itertools.islice(everything, _AT_ONCE)):
        found = ends.of([candidate(one) for one in some], bench.workers)
        for one, end in zip(some, found, strict=True):
            if end["status"] == Status.FAILED:
                yield Failure(one, Stage(end["stage"]), end["reason"])
            elif Status(end["status"]).ok:
                bench.unseen[one.mistake] += 1


def _broken(material: Material, count: int) -> Iterator[Broken]:
    """``count`` kinds of mistakes in each file, by turns in its schedule and in what is around it."""
    for file in material.files:
        chance = material.chance("broken", file.name)
        possible = breakages.broken(file.source)
        groups = [[name for name in possible if name in dict(group)] for group in _GROUPS]
        drawn = itertools.zip_longest(*(chance.sample(group, len(group)) for group in groups))
        for mistake in itertools.islice(filter(None, itertools.chain.from_iterable(drawn)), count):
            yield Broken(file, mistake, chance.choice(possible[mistake]))


def candidate(broken: Broken) -> Candidate:
    """A broken file as it is verified: against the schedule of the original."""
    file = broken.file
    return candidate_of(Path(f"{file.name}.py"), broken.text.encode(), file.architecture, file.variant)


class _Ends:
    """How broken files ended, kept as lines of JSON."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "broken.jsonl"
        self._version = f"{run.check_version()} {SETTINGS.stage} torch {metadata.version('torch')}"
        self._known: dict[str, dict[str, str]] = {}
        for line in self._lines():
            with contextlib.suppress(ValueError):  # of a build that was killed
                end = json.loads(line)
                self._known[end.pop("key")] = end

    def of(self, candidates: list[Candidate], workers: int) -> list[dict[str, str]]:
        """How each file ends; those that are not known are run."""
        keys = [self._key(candidate) for candidate in candidates]
        missing = {key: one for key, one in zip(keys, candidates, strict=True) if key not in self._known}
        if missing:
            self._run(missing, workers)
        return [self._known[key] for key in keys]

    def _run(self, missing: dict[str, Candidate], workers: int) -> None:
        from lrgen.verify.engines import local  # torch, which known ends do not need

        key_of = {id(candidate): key for key, candidate in missing.items()}
        with contextlib.closing(local.run(missing.values(), SETTINGS, None, workers=workers)) as outcomes:
            for outcome in outcomes:
                key = key_of[id(outcome.candidate)]
                end = {"status": outcome.status.value, "stage": outcome.stage or "", "reason": outcome.reason}
                self._known[key] = end
                if outcome.status.final:
                    self._append({"key": key, **end})

    def _key(self, candidate: Candidate) -> str:
        held_to = f"{candidate.model_name} {candidate.scheduler_type}"
        return hashlib.sha256(f"{candidate.sha256} {held_to} {self._version}".encode()).hexdigest()[:32]

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be read: {error.strerror}") from error

    def _append(self, end: dict[str, str]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(end))  # on a line of its own, whatever a killed build has left
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error
