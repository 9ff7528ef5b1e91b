"""Mutants of verified files, run through the checks: a mutant fails with a reason, or survives.

The mutations of a file are dealt to the tasks that use mutants: no mutation of a file occurs in two of them.
"""

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrgen.finetune import mutations, practice_mutations
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import TaskInput
from lrgen.finetune.observations import Observations
from lrgen.records import Candidate, Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import run, verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.isolation import Isolation

SETTINGS = VerifySettings(stage=Stage.SCHEDULE)
TASKS = ("repair", "prefer", "judge", "feedback")
"""The tasks that mutations are dealt to."""

_BATCH = 64  # mutants verified in one call
_TIMEOUT = 900.0
_CASE_SEED = 0  # the same build gives the same reasons
_TWO_FAULTS = 0.4  # of the mutants of a task that has some with two faults


@dataclass(frozen=True)
class RunContext:
    """The settings and counters of tasks that execute code.

    Attributes:
        cache: the folder that keeps the outcomes of mutants between builds.
        workers: the number of files that are executed in parallel.
        mutations: the number of mutants of each file, for each task that uses mutants.
        traces: the number of questions about each schedule.
        accuracies: returns the rows of ``Store.best_of_runs`` for an architecture.
        surviving: the number of mutants that passed the checks, by mutation; updated while mutants are run.
        hidden: the number of mutants whose fault no script shows, by mutation; updated likewise.
        observations: what is known of mutants, and what was observed; updated while mutants are run.
    """

    cache: Path
    workers: int = 1
    mutations: int = 1
    traces: int = 20
    accuracies: Callable[[str], Iterable[Mapping[str, Any]]] = lambda architecture: ()
    surviving: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    observations: Observations = field(default_factory=Observations)


@dataclass(frozen=True)
class Mutant:
    """A verified file with one or two mutations, whose names are joined in ``mutation``."""

    file: VerifiedFile
    mutation: str
    text: str


@dataclass(frozen=True)
class Failure:
    """A mutant that failed, with the check and the reason."""

    mutant: Mutant
    stage: Stage
    reason: str

    @property
    def evidence(self) -> dict[str, Any]:
        """The failure as evidence of an example."""
        return {"mutation": self.mutant.mutation, "failed": self.stage.value, "reason": self.reason}


def failures(
    task: str,
    task_input: TaskInput,
    context: RunContext,
    *,
    kinds: Collection[str] | None = None,
    two_faults: bool = False,
) -> Iterator[Failure]:
    """Run the mutants that are dealt to a task and yield those that the checks detect; count the surviving ones.

    Args:
        task: one of ``TASKS``.
        kinds: the names of the mutations that the task uses; by default all.
        two_faults: whether a part of the mutants has two mutations.
    """
    mutants = (
        mutant for file in task_input.files for mutant in _mutants(task, task_input, file, context, kinds, two_faults)
    )
    with contextlib.closing(verdicts.cache_in(context.cache)) as known:
        while batch := list(itertools.islice(mutants, _BATCH)):
            for mutant, (status, stage, reason) in zip(batch, _observed(batch, known, context), strict=True):
                if status is Status.FAILED and stage:
                    yield Failure(mutant, Stage(stage), reason)
                elif status.ok:
                    context.surviving[mutant.mutation] += 1


def _observed(batch: Sequence[Mutant], known: Store, context: RunContext) -> Iterator[tuple[Status, str, str]]:
    """Yield the status, the stage and the reason of each mutant; those that are not known are executed."""
    keys = [f"verdict/{candidate(mutant).sha256}" for mutant in batch]
    unknown = [(key, mutant) for key, mutant in zip(keys, batch, strict=True) if not context.observations.get(key)]
    outcomes = outcomes_of([mutant for _, mutant in unknown], known, context.workers)
    for (key, _), outcome in zip(unknown, outcomes, strict=True):
        context.observations.note(key, [outcome.status.value, outcome.stage.value, outcome.reason])
    for key in keys:
        status, stage, reason = context.observations.used(key)
        yield Status(status), stage, reason


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


def candidate(mutant: Mutant) -> Candidate:
    """Return a mutant as a candidate that is checked against the schedule of the original file."""
    file = mutant.file
    return candidate_of(Path(f"{file.name}.py"), mutant.text.encode(), file.architecture, file.variant)


def dealt(task: str, task_input: TaskInput, file: VerifiedFile, possible: Mapping[str, list[str]]) -> list[str]:
    """Return the mutations of a file that are dealt to a task, in the order of their use.

    Mutations of the schedule alternate with those of the code around it. In a file with a practice, each two of them
    follow one of the practice: the file without it has the others as well.
    """
    chance = task_input.chance("mutants", file.name)
    turn = (TASKS.index(task) + chance.randrange(len(TASKS))) % len(TASKS)

    def hand(group: Iterable[tuple[str, Any]]) -> list[str]:
        names = sorted({name for name, _ in group if name in possible})
        return chance.sample(names, len(names))[turn :: len(TASKS)]

    hands = [hand(mutations.OF_SCHEDULE), hand(mutations.OF_FRAME)]
    chance.shuffle(hands)
    hands.insert(0, hand(practice_mutations.OF_PRACTICES))
    return list(filter(None, itertools.chain.from_iterable(itertools.zip_longest(*hands))))


def _mutants(
    task: str,
    task_input: TaskInput,
    file: VerifiedFile,
    context: RunContext,
    kinds: Collection[str] | None,
    two_faults: bool,
) -> Iterator[Mutant]:
    """Yield the mutants of a file: first one of each mutation, then others of the same mutations."""
    possible = mutations.mutate(file.source)
    names = [name for name in dealt(task, task_input, file, possible) if kinds is None or name in kinds]
    chance = task_input.chance("mutants", task, file.name)
    texts = {name: chance.sample(possible[name], len(possible[name])) for name in names}
    rounds = itertools.zip_longest(*([(name, text) for text in texts[name]] for name in names))
    single = filter(None, itertools.chain.from_iterable(rounds))
    for name, text in itertools.islice(single, context.mutations):
        both = _second(names, name, text, chance) if two_faults and chance.random() < _TWO_FAULTS else None
        yield Mutant(file, *(both or (name, text)))


def _second(names: list[str], first: str, text: str, chance: random.Random) -> tuple[str, str] | None:
    """Return a mutant of a mutant with both names; None when no other mutation applies, or the first is no Python."""
    try:
        possible = mutations.mutate(text)
    except SyntaxError:
        return None
    others = [name for name in names if name != first and name in possible]
    if not others:
        return None
    name = chance.choice(others)
    return f"{first}, {name}", chance.choice(possible[name])
