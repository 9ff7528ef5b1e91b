"""Text → the model and the learning rate that it names, as ``lrgen.extraction`` reads them.

The examples use the default settings, not lrgen.toml, so that they are the same everywhere.
"""

import functools
import json
import re
from collections.abc import Iterator

from lrgen import catalogue, extraction
from lrgen.errors import DatasetError
from lrgen.finetune import wording
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import prompts as instructions
from lrgen.finetune.patterns import PATTERNS, SETTINGS, written
from lrgen.records import Outcome

NAME = "prompts"
SUMMARY = "A text → the active model and the learning rate that it names, as JSON."
EVIDENCE = ("read_by",)
PER_PATTERN = 8
GROUPS = tuple(f"{number:02d}" for number in range(1, len(PATTERNS) + 1))
"""The patterns: the texts of one are in one split."""

_TYPES = {"model": (str, type(None)), "learning_rate": (int, float)}


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield up to ``PER_PATTERN`` distinct texts of each pattern.

    Raises:
        DatasetError: when ``lrgen.extraction`` disagrees with the values in a text.
    """
    names = _networks()
    for number, pattern in enumerate(PATTERNS, start=1):
        seen: set[str] = set()
        for turn in range(1, PER_PATTERN + 1):
            key = f"{number:02d}/{turn}"
            chance = task_input.chance(NAME, key)
            text, model, rate = written(pattern, names, chance)
            if text in seen:
                continue
            seen.add(text)
            read = extraction.detect_model(text, SETTINGS, names), extraction.extract_lr(text, SETTINGS)
            if read != (model, rate):
                raise DatasetError(
                    f"pattern {number} of task {NAME}: expected {(model, rate)}, extraction returns {read}: {text!r}"
                )
            yield Example(
                task=NAME,
                key=key,
                prompt=instructions.request(text, SETTINGS.prompt, chance),
                completion=json.dumps({"model": model, "learning_rate": rate}),
                scope=Scope.NONE,
                group=f"{number:02d}",
                evidence={"read_by": "lrgen.extraction"},
            )


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: the text of the prompt is read again."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the JSON object by the values that ``lrgen.extraction`` reads in the text."""
    text = instructions.text_of(row["prompt"])
    expected = {
        "model": extraction.detect_model(text, SETTINGS, _networks()),
        "learning_rate": extraction.extract_lr(text, SETTINGS),
    }
    try:
        answer = json.loads(completion)
    except (ValueError, RecursionError):
        return Grade(False, "it is not JSON")
    if not isinstance(answer, dict) or answer.keys() != expected.keys():
        return Grade(False, f"it is not a JSON object with the keys {wording.listed(sorted(expected))}")
    wrong = [
        name
        for name, value in expected.items()
        if type(answer[name]) not in _TYPES[name] or _plain(answer[name]) != _plain(value)
    ]
    if not wrong:
        return Grade.correct()
    reason = wording.listed([f"{name} is {expected[name]!r}, not {answer[name]!r}"[:200] for name in wrong])
    return Grade(False, reason, EXTRACTED, 1 - len(wrong) / len(expected))


def _plain(value: str | float | None) -> str | float | None:
    """Return a name without case and separators: ``ResNet-18`` is ``ResNet18``; other values as they are."""
    return re.sub(r"[-_ ]", "", value).casefold() if isinstance(value, str) else value


@functools.cache
def _networks() -> list[str]:
    """Return the names of lrgen's architectures."""
    return [architecture.name for architecture in catalogue.of(SETTINGS).architectures]
