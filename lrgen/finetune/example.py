"""Tasks and their examples, and the grades of completions."""

import functools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lrgen.catalogue import Catalogue
from lrgen.curves.compositions import Composition
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.corpus import VerifiedFile
from lrgen.realisations import Interface, Style
from lrgen.records import Architecture, Comparison, Outcome, Stage, Variant
from lrgen.render.renderer import Renderer

Row = dict[str, Any]
"""An example in a dataset: a value for each column (lrgen.finetune.rows)."""

SYSTEM = "You are an expert in PyTorch and learning-rate schedules. You answer with exactly what was requested."
"""The system's message of an example whose prompt says all else."""

EXTRACTED = "extracted"
"""``Grade.check`` of a completion in the requested form."""


class Scope(StrEnum):
    """The code that an example contains, which decides by which group it is split."""

    FILE = "file"  # a whole file, in the prompt or in the completion
    SCHEDULE = "schedule"  # a schedule without a network
    NONE = "none"  # no code


@dataclass(frozen=True)
class Example:
    """A prompt with a completion that was executed, or that equals executed code byte for byte.

    Attributes:
        task: the name of the task.
        key: identifies the example within its task; the same in every build.
        prompt: the user's message.
        system: the system's message: the interface of a file, where the prompt does not state it.
        answer_scope: the code of the completion, where the prompt contains more; None: that of ``scope``.
        group: examples of a task without files that share it, as those of one pattern do, are in one split; they are
            listed in the task's ``GROUPS``. Empty: the example is a group of its own.
        completion: a correct answer; with ``label=False`` an incorrect one.
        scope: the code that the example contains.
        files: the verified files that the example is made from, the file of the completion first; empty for examples
            that contain no code.
        rejected: the worse completion of a preference pair (task prefer).
        label: whether the completion is correct (task feedback).
        evidence: how the completion was verified, as JSON values (``{"equals": …}``, ``{"failed": "schedule", …}``).
        composition: the composition that a correct completion has; None: that of its files.
        styles: the styles of the code in prompt and completion, for an example of a composition.
        interface: how the code of a completion is called, for an example of a composition that asks for code.
        history: the turns before the prompt, each a message of the user with the answer to it.
    """

    task: str
    key: str
    prompt: str
    completion: str
    scope: Scope
    files: tuple[VerifiedFile, ...] = ()
    rejected: str | None = None
    label: bool | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    system: str = SYSTEM
    answer_scope: Scope | None = None
    group: str = ""
    composition: RealisedComposition | None = None
    styles: tuple[Style, ...] = ()
    interface: Interface | None = None
    history: tuple[tuple[str, str], ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether the completion is the same for every network."""
        return (self.answer_scope or self.scope) is Scope.SCHEDULE


@dataclass(frozen=True)
class TaskInput:
    """The files that tasks make examples from; ``seed`` selects wordings, horizons and mutations.

    Tasks that ask for a file have ``rows_per_file`` examples of each. Tasks about a schedule also make examples from
    the compositions.
    """

    catalogue: Catalogue
    files: Sequence[VerifiedFile]
    seed: int
    rows_per_file: int = 2
    compositions: Sequence[RealisedComposition] = ()

    @functools.cached_property
    def plain(self) -> tuple[VerifiedFile, ...]:
        """The files without a practice, of which tasks about a schedule make examples."""
        return tuple(file for file in self.files if file.variant.practice is None)

    def chance(self, *of: object) -> random.Random:
        """Return the random generator of an example, which depends on the seed and ``of`` alone."""
        return random.Random(":".join(map(str, (self.seed, *of))))


@dataclass(frozen=True)
class Reference:
    """The catalogue that completions are graded against, with its curves and rendered files."""

    catalogue: Catalogue

    @functools.cached_property
    def renderer(self) -> Renderer:
        """The renderer of the catalogue, which caches formatted fragments."""
        return Renderer(self.catalogue)

    def architecture(self, row: Row) -> Architecture:
        """Return the architecture of a row."""
        return self.catalogue.architecture(row["architecture"])

    def composition(self, row: Row) -> Composition | None:
        """Return the composition that a row is about; None for a row about a schedule of the catalogue."""
        claim = json.loads(row["checker"])
        return Composition.from_json(claim["composition"]) if "composition" in claim else None

    def interface(self, row: Row) -> Interface | None:
        """Return how the code of an answer is called, of a row about a composition whose answer is code."""
        claim = json.loads(row["checker"]).get("interface")
        return Interface.from_json(claim) if claim else None

    def variant(self, row: Row) -> Variant:
        """Return the variant whose schedule a correct completion has."""
        return self.catalogue.variant(row["variant"])


@dataclass(frozen=True)
class Grade:
    """The grade of a completion.

    Attributes:
        passed: whether the completion is correct.
        reason: why it is incorrect; empty when it is correct.
        check: the last check that it passed: a stage of lrgen.verify when a file was executed, else ``EXTRACTED``;
            empty when the completion does not have the requested form.
        fraction: the fraction of the steps of a trace, or of the facts of an explanation, that is correct; 1 when it
            passed, and for a file that passed with a network that cannot be compared; 0 without partial credit.
    """

    passed: bool
    reason: str = ""
    check: str = ""
    fraction: float = 0.0

    @classmethod
    def correct(cls, check: str = EXTRACTED) -> "Grade":
        """Return the grade of a correct completion."""
        return cls(True, "", check, 1.0)

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> "Grade":
        """Return the grade of an executed file, which is correct when it passed all requested checks."""
        reached = ([EXTRACTED, *(report.stage.value for report in outcome.checks if report.passed)])[-1]
        if outcome.status.ok and outcome.architecture is Comparison.NOT_COMPARABLE:  # no network was verified
            return cls(False, "the network cannot be compared with the one that was asked for", Stage.CONTRACT, 1.0)
        if outcome.status.ok:
            return cls.correct(reached)
        return cls(False, f"the file {outcome.status} in {outcome.stage}: {outcome.reason}", reached)


class Task(Protocol):
    """A module of lrgen.finetune.tasks.

    ``examples(task_input)`` yields the examples in an order that depends on the input alone. A module with
    ``NEEDS_CONTEXT = True`` takes a RunContext (lrgen.finetune.mutants) as its second argument. The evidence of each
    row has at least one of the keys ``EVIDENCE``.

    ``assemble(row, completion, reference)`` returns the source of the file that a completion makes, which is then
    verified against the row's schedule; None for a task that is graded without executing a file. Of a row about a
    composition it returns the code that is called as the row's interface says. It raises DatasetError when the
    completion does not fit the prompt.

    ``grade(row, completion, reference, outcome)`` grades a completion; ``outcome`` is the outcome of the assembled
    file, None when there is none. No completion makes it raise. lrgen.finetune.grading calls both functions for many
    completions at once.
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
