"""Broken files run through the checks: what each fails for, in the harness's own words."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrgen.finetune import mutations as breakages
from lrgen.finetune.corpus import ProvedFile
from lrgen.finetune.example import Material
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import run, verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.sandbox import Isolation

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
_AT_ONCE = 64
_TIMEOUT = 900.0
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
    everything = _broken(material, bench.breakages)
    with contextlib.closing(verdicts.cache_in(bench.cache)) as known:
        while some := list(itertools.islice(everything, _AT_ONCE)):
            for one, outcome in zip(some, ends_of(some, known, bench.workers), strict=True):
                if outcome.status is Status.FAILED and outcome.stage:
                    yield Failure(one, outcome.stage, outcome.reason)
                elif outcome.status.ok:
                    bench.unseen[one.mistake] += 1


def ends_of(broken: Iterable[Broken], known: Store, workers: int) -> list[Outcome]:
    """How each file ends, in their order. They are lrgen's own but for a line: those that are run need no sandbox."""
    candidates = [candidate(one) for one in broken]
    outcomes = run.verify(candidates, SETTINGS, known, workers=workers, timeout=_TIMEOUT, isolation=Isolation.PROCESS)
    ended = {id(outcome.candidate): outcome for outcome in outcomes}
    return [ended[id(one)] for one in candidates]


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
