"""The one schema of a published row."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.example import Example, Row, Scope
from lrgen.records import Unit
from lrgen.version import __version__

SCHEMA = 1
LICENCE = "MIT"
_ID_DIGITS = 24


class Split(StrEnum):
    """The sides of a dataset, from the one that is learnt from to the hardest test."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    TEST_ARCHITECTURES = "test_architectures"
    TEST_FAMILIES = "test_families"


SPLITS = tuple(Split)


@dataclass(frozen=True)
class Field:
    """A column. Text is never null: it is empty where there is nothing to say."""

    name: str
    type: type
    meaning: str
    nullable: bool = False


FIELDS = (
    Field("id", str, "the first 24 hexadecimal digits of the sha256 of task, prompt, completion, rejected and label"),
    Field("task", str, "what is asked for"),
    Field("split", str, "the side that the row is on"),
    Field("group", str, "what stays on one side together: architecture/families, families, or the example itself"),
    Field("architecture", str, "the network of the file that the answer is, or belongs to"),
    Field("variant", str, "its schedule, `A0_001` …"),
    Field("variant_name", str, "the name of the schedule"),
    Field("family", str, "the family of the schedule"),
    Field("unit", str, "what advances the schedule: `epoch`, `batch` or `metric`"),
    Field("scope", str, "what question and answer show: a whole `file`, a `schedule` alone, or `none`"),
    Field("level", str, "up to which check every file behind the row passed: `contract`, `schedule` or `training`"),
    Field("source_sha256", str, "the sha256 of the file"),
    Field("result_id", int, "the run of the file in `lrgen_runs`, whose checks it passed", nullable=True),
    Field("accuracy", float, "the held-out accuracy of its best epoch, 0–1, if it was trained in full", nullable=True),
    Field("hyperparameters", str, "JSON: what the file is trained with, and its schedule's own defaults"),
    Field("prompt", str, "what the user says"),
    Field("completion", str, "the answer"),
    Field("rejected", str, "the worse answer of a pair", nullable=True),
    Field("label", bool, "whether the answer is a good one, where that is what is learnt", nullable=True),
    Field("evidence", str, "JSON: how the answer was verified"),
    Field("prompt_tokens", int, "the length of the prompt, if a tokenizer was given", nullable=True),
    Field("completion_tokens", int, "the length of the longer answer, if a tokenizer was given", nullable=True),
    Field("prompt_chars", int, "the length of the prompt in characters"),
    Field("completion_chars", int, "the length of the longer answer in characters"),
    Field("licence", str, "SPDX"),
    Field("generator", str, "the program and version that wrote the row"),
    Field("schema", int, "the version of this schema"),
    Field("seed", int, "the seed of the build"),
)
NAMES = tuple(field.name for field in FIELDS)
TYPES = {str: "string", int: "int64", float: "float64", bool: "bool"}
# What the text columns may say where only a few words are possible.
_WORDS: dict[str, frozenset[str]] = {
    "split": frozenset(SPLITS),
    "scope": frozenset(Scope),
    "level": frozenset({*Level, ""}),
    "unit": frozenset({*Unit, ""}),
    "licence": frozenset({LICENCE}),
}
_OF_NO_FILE: Row = {
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
    """Makes rows of examples; what is said of a file is put together once."""

    def __init__(self, seed: int) -> None:
        self._common = {
            "licence": LICENCE,
            "generator": f"lrgen {__version__}",
            "schema": SCHEMA,
            "seed": seed,
        }
        self._of_files: dict[str, Row] = {}

    def of(self, example: Example, split: Split, group: str) -> Row:
        """The row of an example, its columns in the order of the schema, its tokens not yet counted."""
        longest = max(len(example.completion), len(example.rejected or ""))
        values = {
            "id": id_of(example.task, example.prompt, example.completion, example.rejected, example.label),
            "task": example.task,
            "split": split.value,
            "group": group,
            "scope": example.scope.value,
            "level": _lowest(example.files),
            "prompt": example.prompt,
            "completion": example.completion,
            "rejected": example.rejected,
            "label": example.label,
            "evidence": json.dumps(example.evidence, sort_keys=True) if example.evidence else "{}",
            "prompt_tokens": None,
            "completion_tokens": None,
            "prompt_chars": len(example.prompt),
            "completion_chars": longest,
            **(self._of_file(example.files[0]) if example.files else _OF_NO_FILE),
            **self._common,
        }
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


def id_of(task: str, prompt: str, completion: str, rejected: str | None, label: bool | None) -> str:
    """What tells a row from every other one: rows with the same id ask the same and answer the same."""
    parts = (task, prompt, completion, rejected or "", "" if label is None else str(label))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_ID_DIGITS]


def problems(row: Row) -> Iterator[str]:
    """What is wrong with a row by itself, a sentence each."""
    if tuple(row) != NAMES:
        missing, more = set(NAMES) - set(row), set(row) - set(NAMES)
        yield f"the columns are not those of schema {SCHEMA}: missing {sorted(missing)}, unknown {sorted(more)}"
        return
    for field in FIELDS:
        value = row[field.name]
        if not (value is None and field.nullable) and type(value) is not field.type:
            yield f"{field.name} must be of type {TYPES[field.type]}, got {value!r}"
            return
        if field.name in _WORDS and value not in _WORDS[field.name]:
            yield f"{field.name} must be one of {', '.join(sorted(filter(None, _WORDS[field.name])))}, got {value!r}"
    if row["schema"] != SCHEMA:
        yield f"schema must be {SCHEMA}, got {row['schema']}"
    if row["id"] != id_of(*(row[name] for name in ("task", "prompt", "completion", "rejected", "label"))):
        yield "the id is not the hash of what the row says"
    if not row["prompt"].strip() or not row["completion"].strip():
        yield "the prompt or the completion is empty"
    if (row["prompt_chars"], row["completion_chars"]) != (
        len(row["prompt"]),
        max(len(row["completion"]), len(row["rejected"] or "")),
    ):
        yield "the lengths in characters are not those of the texts"
    for name in ("hyperparameters", "evidence"):
        if not _is_object(row[name]):
            yield f"{name} is not a JSON object"


def table() -> str:
    """The schema as a table for people, in Markdown."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [
        f"| `{one.name}` | {TYPES[one.type]}{', may be null' if one.nullable else ''} | {one.meaning} |"
        for one in FIELDS
    ]
    return "\n".join(lines) + "\n"


def _lowest(files: tuple[VerifiedFile, ...]) -> str:
    return min((file.level for file in files), key=lambda level: level.rank).value if files else ""


def _hyperparameters(file: VerifiedFile) -> dict[str, float]:
    """What a trainer passes to the file: the recipe of its network, and the defaults of its schedule."""
    recipe = file.architecture.recipe
    return {"batch": recipe.batch} | recipe.prm_for(file.variant) | file.variant.defaults


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
