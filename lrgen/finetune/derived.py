"""Columns that follow from a row and its schedule: those by which trainers select rows, and those for scoring."""

import json
from dataclasses import dataclass
from enum import StrEnum

from lrgen.curves.compositions import Composition, Shape
from lrgen.finetune import checker
from lrgen.finetune.example import Row, Scope
from lrgen.realisations import Interface
from lrgen.records import Variant


class Difficulty(StrEnum):
    """The difficulty of a row, by ``points``."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


_MEDIUM, _HARD = 2, 4  # points
_NATIVE = "torch.optim.lr_scheduler."  # the source of a schedule that PyTorch has


class Answer(StrEnum):
    """Files that an answer may make."""

    NETWORK = "network"  # a whole file: its network is asked for, too
    SCHEDULE = "schedule"  # a schedule within a given file
    NONE = "none"  # no file


@dataclass(frozen=True)
class Kind:
    """The column ``ability`` of the rows of a task, the points of its difficulty, and the file that an answer makes."""

    ability: str
    points: int
    answer: Answer = Answer.NONE


KINDS = {
    "write": Kind("code", 2, Answer.NETWORK),
    "infill": Kind("completion", 1, Answer.SCHEDULE),
    "edit": Kind("editing", 1, Answer.NETWORK),
    "repair": Kind("debugging", 1, Answer.NETWORK),
    "trace": Kind("reasoning", 1),
    "explain": Kind("reading", 0),
    "convert": Kind("translation", 1, Answer.NETWORK),
    "prefer": Kind("code", 2, Answer.NETWORK),
    "feedback": Kind("review", 0, Answer.NETWORK),
    "judge": Kind("review", 1),
    "prompts": Kind("extraction", 0),
    "schedule": Kind("code", 1),
    "worked": Kind("reasoning", 1),
    "inject": Kind("editing", 2),
    "critique": Kind("review", 1),
}
OTHER = Kind("other", 0)
"""The kind of a task that a program adds."""

ABILITIES = tuple(dict.fromkeys(kind.ability for kind in (*KINDS.values(), OTHER)))


class Derived:
    """Computes the columns; the cases of a schedule are computed once."""

    def __init__(self) -> None:
        self._cases: dict[int, str] = {}

    def of(self, row: Row, variant: Variant | None) -> Row:
        """Return the columns of a row, whose schedule is ``variant`` (None: it has none)."""
        kind = KINDS.get(row["task"], OTHER)
        return {
            "data_source": f"lrgen/{row['task']}",
            "ability": kind.ability,
            "difficulty": difficulty(row["task"], variant).value,
            "reference": row["completion"],
            "checker": self._checker(row, kind, variant),
        }

    def of_composition(self, row: Row, composition: Composition, interface: Interface | None) -> Row:
        """Return the columns of a row about a composition; ``interface`` is that of the code of its answer."""
        kind = KINDS.get(row["task"], OTHER)
        claim = {"composition": composition.to_json(), "interface": interface.to_json() if interface else None}
        return {
            "data_source": f"lrgen/{row['task']}",
            "ability": kind.ability,
            "difficulty": _graded(kind.points + _points_of(composition)).value,
            "reference": row["completion"],
            "checker": json.dumps(claim | {"cases": checker.cases_of(composition)}),
        }

    def _checker(self, row: Row, kind: Kind, variant: Variant | None) -> str:
        if variant is None or kind.answer is Answer.NONE:
            return "{}"
        whole = kind.answer is Answer.NETWORK and row["scope"] == Scope.FILE
        claim = {"claim": variant.key, "architecture": row["architecture"] if whole else None}
        return f'{json.dumps(claim)[:-1]}, "cases": {self._cases_of(variant)}}}'

    def _cases_of(self, variant: Variant) -> str:
        if variant.number not in self._cases:
            self._cases[variant.number] = json.dumps(checker.cases(variant))
        return self._cases[variant.number]


def difficulty(task: str, variant: Variant | None) -> Difficulty:
    """Return the difficulty of the rows of a task about a schedule.

    A task has 0 to 2 points (``KINDS``). A point each is added for a schedule that PyTorch does not have, one that
    advances per batch, one with two or more hyperparameters, and one that is layer-wise or driven by a metric. Up to 1
    point is easy, up to 3 are medium.
    """
    points = KINDS.get(task, OTHER).points
    if variant is not None:
        points += sum(
            (
                not variant.source.startswith(_NATIVE),
                variant.per_batch,
                len(variant.hyperparameters) > 1,
                variant.layerwise or variant.metric is not None,
            )
        )
    return _graded(points)


def _points_of(composition: Composition) -> int:
    """The points of a composition: for three phases or more, for repeats, for groups, and for an unusual shape."""
    unusual = any(phase.shape not in (Shape.HOLD, Shape.LINEAR, Shape.COSINE) for phase in composition.phases)
    return sum((len(composition.phases) > 2, composition.repeats > 1, len(composition.groups) > 1, unusual))


def _graded(points: int) -> Difficulty:
    return Difficulty.EASY if points < _MEDIUM else Difficulty.MEDIUM if points < _HARD else Difficulty.HARD
