"""The arguments of a build."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError, UnknownNameError
from lrgen.finetune import manifest
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import Task
from lrgen.realisations import Style


@dataclass(frozen=True)
class Plan:
    """The arguments of a build.

    Attributes:
        formats: the names of the formats; Parquet is always written.
        level: the last check that every file has passed.
        seed: selects wordings, mutations and traces.
        split_seed: assigns groups to splits; datasets with equal split seeds can be joined.
        limit: the maximum number of rows, divided among the tasks by weight, and among the splits of a task equally.
        weights: the weights of tasks other than 1. Without a limit, a task keeps its weight's fraction of the largest
            weight of its rows.
        rows_per_file: the number of rows of each file, in the tasks that ask for a file.
        mutants_per_file: the number of mutants of each file, in each task about mutants.
        traces_per_file: the number of questions about the learning rates of each schedule.
        tokenizer: a ``tokenizer.json`` to count tokens with; None: the one in the package.
        max_tokens: the maximum number of tokens of a row.
        benchmarks: JSONL files; rows that overlap with them are left out.
        compositions: the number of drawn compositions, of which the tasks about a schedule make examples.
        styles: the styles that compositions are written in; none: all.
        holdout_styles: the styles that are tested alone.
    """

    tasks: tuple[Task, ...]
    formats: tuple[str, ...] = ()
    level: Level = Level.TRAINING
    seed: int = 0
    split_seed: int = 0
    limit: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    rows_per_file: int = 2
    mutants_per_file: int = 1
    traces_per_file: int = 20
    holdout_families: tuple[str, ...] = ()
    holdout_architectures: tuple[str, ...] = ()
    tokenizer: Path | None = None
    max_tokens: int | None = None
    benchmarks: tuple[Path, ...] = ()
    compositions: int = 0
    styles: tuple[str, ...] = ()
    holdout_styles: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for the manifest: files by name and hash, without paths."""
        return {
            "tasks": [task.NAME for task in self.tasks],
            "formats": sorted(self.formats),
            "level": self.level.value,
            "seed": self.seed,
            "split_seed": self.split_seed,
            "limit": self.limit,
            "weights": dict(sorted(self.weights.items())),
            "rows_per_file": self.rows_per_file,
            "mutants_per_file": self.mutants_per_file,
            "traces_per_file": self.traces_per_file,
            "holdout_families": sorted(self.holdout_families),
            "holdout_architectures": sorted(self.holdout_architectures),
            "tokenizer": identity(self.tokenizer) if self.tokenizer else None,
            "max_tokens": self.max_tokens,
            "decontaminate": sorted(map(identity, self.benchmarks), key=orjson.dumps),
            "compositions": self.compositions,
            "styles": sorted(self.styles),
            "holdout_styles": sorted(self.holdout_styles),
        }

    @classmethod
    def of_arguments(
        cls, arguments: Mapping[str, Any], tasks: Sequence[Task], tokenizer: Path | None, benchmarks: Sequence[Path]
    ) -> "Plan":
        """Return the plan of a manifest's ``arguments``; ``tasks`` are all that exist.

        Raises:
            DatasetError: when an argument is missing, or a file is not the one of the build.
        """
        by_name = {task.NAME: task for task in tasks}
        values = dict(arguments)
        counted_with, decontaminated = values.pop("tokenizer", None), values.pop("decontaminate", [])
        _require_same("--tokenizer", [tokenizer] if tokenizer else [], [counted_with] if counted_with else [])
        _require_same("--decontaminate", benchmarks, decontaminated)
        try:
            return cls(
                tasks=tuple(by_name[name] for name in values.pop("tasks")),
                level=Level(values.pop("level")),
                formats=tuple(values.pop("formats")),
                styles=tuple(values.pop("styles")),
                holdout_styles=tuple(values.pop("holdout_styles")),
                holdout_families=tuple(values.pop("holdout_families")),
                holdout_architectures=tuple(values.pop("holdout_architectures")),
                tokenizer=tokenizer,
                benchmarks=tuple(benchmarks),
                **values,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{manifest.NAME}: the arguments are not those of a build: {error}") from error

    def weight(self, task: str) -> float:
        """Return the weight of a task."""
        return self.weights.get(task, 1.0)

    @property
    def heaviest(self) -> float:
        """The largest weight of a task."""
        return max(self.weight(task.NAME) for task in self.tasks)

    def validate(self) -> None:
        """Check the weights and the numbers of rows.

        Raises:
            DatasetError: when a weight is negative, infinite or of another task, or all are zero.
        """
        names = [task.NAME for task in self.tasks]
        for name, weight in self.weights.items():
            if name not in names:
                raise DatasetError(f"weight of task {name}: it is not among the tasks {', '.join(names)}")
            if not (0 <= weight < math.inf):
                raise DatasetError(f"weight of task {name}: expected a number of at least 0, got {weight:g}")
        if not self.heaviest:
            raise DatasetError("the weights of all tasks are 0: there would be no row")
        if self.compositions < 0:
            raise DatasetError(f"compositions: expected a number of at least 0, got {self.compositions}")
        if self.compositions and self.limit is not None:
            raise DatasetError(
                f"limit {self.limit} with {self.compositions} compositions: a limit is for the rows of files; the "
                "number of compositions decides how many rows they give"
            )
        for style in (*self.styles, *self.holdout_styles):
            if style not in list(Style):
                raise UnknownNameError("style", style, list(Style))
        if self.holdout_styles and not set(self.styles or Style) - set(self.holdout_styles):
            raise DatasetError(f"held-out styles {', '.join(sorted(self.holdout_styles))}: none is left for training")


def _require_same(option: str, given: Sequence[Path], wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise DatasetError unless the given files are those of the build."""
    if sorted(map(identity, given), key=orjson.dumps) != sorted(wanted, key=orjson.dumps):
        names = ", ".join(str(each.get("name")) for each in wanted)
        shown = f"with {names}: pass {option} {names}" if names else f"without {option}"
        raise DatasetError(f"the dataset was built {shown}")


def identity(path: Path) -> dict[str, Any]:
    """Return the name and sha256 of a file.

    Raises:
        DatasetError: when it cannot be read.
    """
    try:
        return {"name": path.name} | manifest.entry(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
