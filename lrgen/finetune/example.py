"""What every task yields, and what it is given."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from lrgen.catalogue import Catalogue
from lrgen.finetune.corpus import ProvedFile


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


class Task(Protocol):
    """A module of this package.

    ``examples(material)`` yields the task's examples, one after the other, in an order that depends on the material
    alone. A module with ``NEEDS_BENCH = True`` takes a Workbench (lrgen.finetune.mutants) as well.
    """

    @property
    def NAME(self) -> str: ...  # noqa: N802  a constant of the module

    @property
    def SUMMARY(self) -> str: ...  # noqa: N802  likewise

    @property
    def examples(self) -> Callable[..., Iterator[Example]]: ...


def by_name(files: Iterable[ProvedFile]) -> dict[tuple[str, int], ProvedFile]:
    """Files by (architecture, variant number)."""
    return {(one.architecture.name, one.variant.number): one for one in files}
