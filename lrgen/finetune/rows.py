"""The schema of the rows of a dataset."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import orjson

from lrgen.curves.compositions import Composition
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.derived import ABILITIES, Derived, Difficulty
from lrgen.finetune.example import Example, Row, Scope
from lrgen.records import Unit
from lrgen.version import __version__

SCHEMA = 4
COMPOSITION = "composition"
"""The family of the rows of compositions."""
LICENCE = "MIT"
_ID_DIGITS = 24


class Split(StrEnum):
    """The splits of a dataset, from training to the hardest test."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    TEST_NUMBERS = "test_numbers"
    TEST_STYLES = "test_styles"
    TEST_PAIRS = "test_pairs"
    TEST_PHASES = "test_phases"
    TEST_ARCHITECTURES = "test_architectures"
    TEST_FAMILIES = "test_families"
    TEST_FAMILIES_ARCHITECTURES = "test_families_architectures"


SPLITS = tuple(Split)

_TESTED = 2


def exposure_of(split: str) -> int:
    """Return the kind of a split: training (0), validation (1) or test (2).

    A completion may occur in one of them alone; the test splits may share theirs.
    """
    return {Split.TRAIN: 0, Split.VALIDATION: 1}.get(Split(split), _TESTED)


@dataclass(frozen=True)
class Field:
    """A column; text columns are never null but may be empty."""

    name: str
    type: type
    meaning: str
    nullable: bool = False


FIELDS = (
    Field(
        "id",
        str,
        "the first 24 hexadecimal digits of the sha256 of task, prompt, completion, rejected, label and history",
    ),
    Field("task", str, "the name of the task"),
    Field("data_source", str, "`lrgen/` and the name of the task"),
    Field("ability", str, f"what the task exercises, one word: {', '.join(f'`{word}`' for word in ABILITIES)}"),
    Field("difficulty", str, "`easy`, `medium` or `hard`, by the points of the task and of the schedule"),
    Field("split", str, "the split of the row"),
    Field(
        "group", str, "rows of a group share a split: architecture/families, families, phases, or the example itself"
    ),
    Field("architecture", str, "the architecture of the file of the completion"),
    Field("variant", str, "the schedule: of that file, `A0_001` …, or the id of a composition"),
    Field("variant_name", str, "the name of the schedule"),
    Field("family", str, "the family of the schedule, or `composition`"),
    Field("unit", str, "the unit that advances the schedule: `epoch`, `batch` or `metric`"),
    Field("scope", str, "the code in prompt and completion: a whole `file`, a `schedule` only, or `none`"),
    Field("level", str, "the last check that all files of the row passed: `contract`, `schedule` or `training`"),
    Field("source_sha256", str, "the sha256 of that file"),
    Field("result_id", int, "the id of the run in `lrgen_runs` that verified that file", nullable=True),
    Field(
        "accuracy",
        float,
        "the held-out accuracy of the best epoch, 0–1, if that file was trained in full",
        nullable=True,
    ),
    Field("hyperparameters", str, "JSON: the training hyperparameters of that file and the defaults of its schedule"),
    Field("system", str, "the system's message: what the prompt leaves unsaid about the form of the answer"),
    Field("history", str, "JSON: the turns before the prompt, each a user's message with its answer; `[]` without any"),
    Field("prompt", str, "the user's message"),
    Field("completion", str, "the completion"),
    Field("reference", str, "the completion again: trainers do not hand on a column of that name to a reward"),
    Field("rejected", str, "the rejected completion of a preference pair", nullable=True),
    Field("label", bool, "whether the completion is correct, in rows for KTO", nullable=True),
    Field("evidence", str, "JSON: how the completion was verified"),
    Field(
        "checker", str, "JSON: the schedule, the architecture if one is asked for, and cases; `{}` without a schedule"
    ),
    Field("prompt_tokens", int, "the number of tokens of the system's message and the prompt", nullable=True),
    Field(
        "completion_tokens",
        int,
        "the number of tokens of the longer completion",
        nullable=True,
    ),
    Field("prompt_chars", int, "the number of characters of the prompt"),
    Field("completion_chars", int, "the number of characters of the longer completion"),
    Field("licence", str, "the SPDX identifier"),
    Field("generator", str, "the program that wrote the row, with its version"),
    Field("schema", int, "the version of this schema"),
    Field("seed", int, "the seed of the build"),
)
NAMES = tuple(field.name for field in FIELDS)
TYPES = {str: "string", int: "int64", float: "float64", bool: "bool"}
# The values of text columns that allow only a few.
_VALUES: dict[str, frozenset[str]] = {
    "split": frozenset(SPLITS),
    "ability": frozenset(ABILITIES),
    "difficulty": frozenset(Difficulty),
    "scope": frozenset(Scope),
    "level": frozenset({*Level, ""}),
    "unit": frozenset({*Unit, ""}),
    "licence": frozenset({LICENCE}),
}
_WITHOUT_FILE: Row = {
    "architecture": "",
    "variant": "",
    "variant_name": "",
    "family": "",
    "unit": "",
    "source_sha256": "",
    "result_id": None,
    "accuracy": None,
    "hyperparameters": "{}",
}


class Rows:
    """Makes rows of examples; the columns of a file are computed once."""

    def __init__(self, seed: int) -> None:
        self._common = {
            "licence": LICENCE,
            "generator": f"lrgen {__version__}",
            "schema": SCHEMA,
            "seed": seed,
        }
        self._of_files: dict[str, Row] = {}
        self._derived = Derived()

    def of(self, example: Example, split: Split, group: str) -> Row:
        """Return the row of an example, with the columns in schema order and tokens not yet counted."""
        longest = max(len(example.completion), len(example.rejected or ""))
        values = {
            "id": id_of(
                example.task, example.prompt, example.completion, example.rejected, example.label, example.history
            ),
            "task": example.task,
            "split": split.value,
            "group": group,
            "scope": example.scope.value,
            "level": _lowest(example.files),
            "system": example.system,
            "prompt": example.prompt,
            "completion": example.completion,
            "rejected": example.rejected,
            "label": example.label,
            "evidence": json.dumps(example.evidence, sort_keys=True) if example.evidence else "{}",
            "prompt_tokens": None,
            "completion_tokens": None,
            "prompt_chars": len(example.prompt),
            "completion_chars": longest,
            "history": orjson.dumps(example.history).decode(),
            **(self._of_file(example.files[0]) if example.files else _WITHOUT_FILE),
            **self._common,
        }
        if example.composition is not None:
            composition = example.composition.composition
            values |= _of_composition(composition)
            values |= self._derived.of_composition(values, composition, example.interface)
        else:
            values |= self._derived.of(values, example.files[0].variant if example.files else None)
        return {name: values[name] for name in NAMES}

    def _of_file(self, file: VerifiedFile) -> Row:
        known = self._of_files.get(file.name)
        if known is None:
            variant = file.variant
            known = self._of_files[file.name] = {
                "architecture": file.architecture.name,
                "variant": variant.key,
                "variant_name": variant.name,
                "family": variant.family,
                "unit": variant.unit.value,
                "source_sha256": file.sha256,
                "result_id": file.result_id,
                "accuracy": file.accuracy,
                "hyperparameters": json.dumps(_hyperparameters(file), sort_keys=True),
            }
        return known


def id_of(
    task: str,
    prompt: str,
    completion: str,
    rejected: str | None,
    label: bool | None,
    history: Iterable[Iterable[str]] = (),
) -> str:
    """Return the id of a row; rows with equal ids have equal texts and labels."""
    turns = (text for turn in history for text in turn)
    parts = (task, prompt, completion, rejected or "", "" if label is None else str(label), *turns)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_ID_DIGITS]


def _id(row: Row) -> str:
    task, prompt, completion, rejected, label = (
        row[name] for name in ("task", "prompt", "completion", "rejected", "label")
    )
    return id_of(task, prompt, completion, rejected, label, orjson.loads(row["history"]))


def problems(row: Row) -> Iterator[str]:
    """Yield the problems of a single row."""
    if tuple(row) != NAMES:
        missing, unknown = set(NAMES) - set(row), set(row) - set(NAMES)
        yield f"the columns differ from schema {SCHEMA}: missing {sorted(missing)}, unknown {sorted(unknown)}"
        return
    for field in FIELDS:
        value = row[field.name]
        if not (value is None and field.nullable) and type(value) is not field.type:
            yield f"{field.name} must be of type {TYPES[field.type]}, got {value!r}"
            return
        if field.name in _VALUES and value not in _VALUES[field.name]:
            yield f"{field.name} must be one of {', '.join(sorted(filter(None, _VALUES[field.name])))}, got {value!r}"
    if row["schema"] != SCHEMA:
        yield f"schema must be {SCHEMA}, got {row['schema']}"
    if not _is_history(row["history"]):
        yield "history is not a JSON list of turns"
    elif row["id"] != _id(row):
        yield "the id does not match the texts and the label"
    if not row["prompt"].strip() or not row["completion"].strip():
        yield "the prompt or the completion is empty"
    if (row["prompt_chars"], row["completion_chars"]) != (
        len(row["prompt"]),
        max(len(row["completion"]), len(row["rejected"] or "")),
    ):
        yield "prompt_chars or completion_chars does not match the texts"
    for name in ("hyperparameters", "evidence", "checker"):
        if not _is_object(row[name]):
            yield f"{name} is not a JSON object"


def table() -> str:
    """Return the schema as a Markdown table."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [
        f"| `{field.name}` | {TYPES[field.type]}{', nullable' if field.nullable else ''} | {field.meaning} |"
        for field in FIELDS
    ]
    return "\n".join(lines) + "\n"


def _lowest(files: tuple[VerifiedFile, ...]) -> str:
    return min((file.level for file in files), key=lambda level: level.rank).value if files else ""


def _hyperparameters(file: VerifiedFile) -> dict[str, float]:
    """Return the recipe of the architecture and the defaults of the schedule."""
    recipe = file.architecture.recipe
    return {"batch": recipe.batch} | recipe.prm_for(file.variant) | file.variant.defaults


def _of_composition(composition: Composition) -> Row:
    return {
        "variant": composition.id,
        "family": COMPOSITION,
        "unit": composition.unit.value,
        "level": Level.SCHEDULE.value,
    }


def _is_history(text: str) -> bool:
    try:
        turns = orjson.loads(text)
    except ValueError:
        return False
    return isinstance(turns, list) and all(
        isinstance(turn, list) and len(turn) == 2 and all(isinstance(message, str) for message in turn)
        for turn in turns
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False
