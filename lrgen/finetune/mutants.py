"""Mutants of verified files, run through the checks: a mutant fails with a reason, or survives."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrgen.finetune import mutations
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import TaskInput
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import run, verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.isolation import Isolation

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
_BATCH = 64  # mutants verified in one call
_TIMEOUT = 900.0
_CASE_SEED = 0  # the same build gives the same reasons


@dataclass(frozen=True)
class RunContext:
    """The settings and counters of tasks that execute code.

    Attributes:
        cache: the folder that keeps the outcomes of mutants between builds.
        workers: the number of files that are executed in parallel.
        mutations: the number of mutations that are applied to each file.
        traces: the number of questions about each schedule.
        accuracies: returns the rows of ``Store.best_of_runs`` for an architecture.
        surviving: the number of mutants that passed the checks, by mutation; updated while mutants are run.
    """

    cache: Path
    workers: int = 1
    mutations: int = 2
    traces: int = 20
    accuracies: Callable[[str], Iterable[Mapping[str, Any]]] = lambda architecture: ()
    surviving: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Mutant:
    """A verified file with one mutation."""

    file: VerifiedFile
    mutation: str
    text: str


@dataclass(frozen=True)
class Failure:
    """A mutant that failed, with the check and the reason."""

    mutant: Mutant
    stage: Stage
    reason: str


def failures(task_input: TaskInput, context: RunContext) -> Iterator[Failure]:
    """Run mutants of each file and yield those that the checks detect; count the surviving ones."""
    mutants = _mutants(task_input, context.mutations)
    with contextlib.closing(verdicts.cache_in(context.cache)) as known:
        while batch := list(itertools.islice(mutants, _BATCH)):
            for mutant, outcome in zip(batch, outcomes_of(batch, known, context.workers), strict=True):
                if outcome.status is Status.FAILED and outcome.stage:
                    yield Failure(mutant, outcome.stage, outcome.reason)
                elif outcome.status.ok:
                    context.surviving[mutant.mutation] += 1


def outcomes_of(mutants: Iterable[Mutant], known: Store, workers: int) -> list[Outcome]:
    """Verify mutants and return their outcomes in order.

    A mutant differs from a file that lrgen rendered in a few lines of its own, so it needs no sandbox.
    """
    candidates = [candidate(mutant) for mutant in mutants]
    outcomes = run.verify(
        candidates,
        SETTINGS,
        known,
        workers=workers,
        timeout=_TIMEOUT,
        isolation=Isolation.PROCESS,
        case_seed=_CASE_SEED,
    )
    by_candidate = {id(outcome.candidate): outcome for outcome in outcomes}
    return [by_candidate[id(each)] for each in candidates]


def _mutants(task_input: TaskInput, count: int) -> Iterator[Mutant]:
    """Yield ``count`` mutants of each file, alternating between mutations of the schedule and of the code around it."""
    for file in task_input.files:
        chance = task_input.chance("mutants", file.name)
        possible = mutations.mutate(file.source)
        groups = [
            [name for name in possible if name in dict(group)] for group in (mutations.OF_SCHEDULE, mutations.OF_FRAME)
        ]
        drawn = itertools.zip_longest(*(chance.sample(group, len(group)) for group in groups))
        for mutation in itertools.islice(filter(None, itertools.chain.from_iterable(drawn)), count):
            yield Mutant(file, mutation, chance.choice(possible[mutation]))


def candidate(mutant: Mutant) -> Candidate:
    """Return a mutant as a candidate that is checked against the schedule of the original file."""
    file = mutant.file
    return candidate_of(Path(f"{file.name}.py"), mutant.text.encode(), file.architecture, file.variant)
