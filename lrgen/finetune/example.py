"""What a task is: how it makes examples, puts a completion back into a file, and grades it."""

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lrgen.catalogue import Catalogue
from lrgen.finetune.corpus import ProvedFile
from lrgen.records import Architecture, Outcome, Variant
from lrgen.render.renderer import Renderer

Row = dict[str, Any]
"""A published example: a value for each column (lrgen.finetune.rows)."""

EXTRACTED = "extracted"
"""``Grade.check`` of a completion that has the form that was asked for."""


class Scope(StrEnum):
    """What an example shows and answers, and so what must not stand on both sides of a split."""

    FILE = "file"  # a whole file, in the question or in the answer
    SCHEDULE = "schedule"  # a schedule alone, of whatever network
    NONE = "none"  # neither


@dataclass(frozen=True)
class Example:
    """One training example. Its answer was executed, or is equal, byte by byte, to what was.

    Attributes:
        task: the name of the task.
        key: tells it from every other example of the task; the same in every build.
        prompt: what the user says.
        completion: the right answer.
        scope: what the answer depends on.
        files: the verified files that it stands on, the one that the answer is or belongs to first; empty when it
            stands on none (the prompts of the first document).
        rejected: the worse answer of a pair (task prefer).
        label: whether the completion is a good one (task judge).
        evidence: how the answer was verified, as plain values (``{"applies_to": …}``, ``{"failed": "schedule", …}``).
    """

    task: str
    key: str
    prompt: str
    completion: str
    scope: Scope
    files: tuple[ProvedFile, ...] = ()
    rejected: str | None = None
    label: bool | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Material:
    """What the tasks draw from. ``seed`` decides which phrasings, horizons and breakages are chosen."""

    catalogue: Catalogue
    files: Sequence[ProvedFile]
    seed: int

    def chance(self, *of: object) -> random.Random:
        """A source of chance for one example: the same in every build with this seed, whatever else is built."""
        return random.Random(":".join(map(str, (self.seed, *of))))


@dataclass(frozen=True)
class Reference:
    """What completions are graded against: a catalogue, with its curves and the files that it renders."""

    catalogue: Catalogue

    @functools.cached_property
    def renderer(self) -> Renderer:
        """A renderer that keeps what it has formatted."""
        return Renderer(self.catalogue)

    def architecture(self, row: Row) -> Architecture:
        """The network of a row."""
        return self.catalogue.architecture(row["architecture"])

    def variant(self, row: Row) -> Variant:
        """The schedule that the answer of a row must have."""
        return self.catalogue.variant(row["variant"])


@dataclass(frozen=True)
class Grade:
    """Whether a completion is right, and how far it came.

    Attributes:
        passed: whether it is right as a whole.
        reason: why it is not, in a sentence; empty when it is.
        check: the last check that it passed: a stage of lrgen.verify where a file was executed, else ``EXTRACTED``;
            empty when no answer of the form that was asked for was found.
        fraction: how much of what lies beyond ``check`` is right, from 0 to 1: of the steps of a trace, of the facts
            of an explanation; 0 where that is not counted. 1 when it passed.
    """

    passed: bool
    reason: str = ""
    check: str = ""
    fraction: float = 0.0

    @classmethod
    def right(cls, check: str = EXTRACTED) -> "Grade":
        """The grade of a completion that is right."""
        return cls(True, "", check, 1.0)

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> "Grade":
        """The grade of a file by the checks: it is right when it passed all of those that were asked for."""
        reached = ([EXTRACTED, *(report.stage.value for report in outcome.checks if report.passed)])[-1]
        if outcome.status.ok:
            return cls.right(reached)
        return cls(False, f"its file {outcome.status} in {outcome.stage}: {outcome.reason}", reached)


class Task(Protocol):
    """A module of lrgen.finetune.tasks.

    ``examples(material)`` yields the task's examples, one after the other, in an order that depends on the material
    alone. A module with ``NEEDS_BENCH = True`` takes a Workbench (lrgen.finetune.mutants) as well. ``EVIDENCE`` are
    the keys of which a row's evidence must have one.

    ``assemble(row, completion, reference)`` is the source of the file that a completion makes, which is then verified
    against the row's schedule; None where a task is not graded by executing a file. It raises DatasetError when the
    completion does not fit the question.

    ``grade(row, completion, reference, outcome)`` grades a completion; ``outcome`` is how the assembled file ended,
    None when there was none to assemble. It never raises because of a completion. lrgen.finetune.grading calls both
    for many completions at once.
    """

    @property
    def NAME(self) -> str: ...  # noqa: N802  a constant of the module

    @property
    def SUMMARY(self) -> str: ...  # noqa: N802  likewise

    @property
    def EVIDENCE(self) -> tuple[str, ...]: ...  # noqa: N802  likewise

    @property
    def examples(self) -> Callable[..., Iterator[Example]]: ...

    @property
    def assemble(self) -> Callable[[Row, str, Reference], str | None]: ...

    @property
    def grade(self) -> Callable[[Row, str, Reference, Outcome | None], Grade]: ...


def by_name(files: Iterable[ProvedFile]) -> dict[tuple[str, int], ProvedFile]:
    """Files by (architecture, variant number)."""
    return {(one.architecture.name, one.variant.number): one for one in files}
