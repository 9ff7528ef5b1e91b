"""Shared parts of the formats for scoring: the question of a row, and the row as text that a trainer hands on."""

from typing import Any

import orjson

from lrgen.errors import DatasetError
from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.rows import NAMES
from lrgen.finetune.tasks import feedback

_COPY = "reference"  # of the completion
_SPEAKERS = {"user": "Earlier question", "assistant": "Earlier answer"}


def question(row: Row) -> str:
    """Return the text that a model answers: the prompt, for a labelled row with the file to judge."""
    prompt: str = row["prompt"]
    return prompt if row["label"] is None else feedback.question(prompt, row["completion"])


def chat(row: Row) -> messages.Messages:
    """Return the messages that a model answers: the system's, the turns before the question, and the question."""
    return messages.asked(row, question(row))


def transcript(row: Row) -> str:
    """Return the question as one text, after the turns before it."""
    *turns, last = chat(row)[1:]
    return "".join(f"{_SPEAKERS[turn['role']]}:\n{turn['content']}\n\n" for turn in turns) + last["content"]


def text_of(row: Row) -> str:
    """Return a row as JSON text, without its ``reference``, which repeats the completion."""
    return orjson.dumps({name: row[name] for name in NAMES if name != _COPY}).decode()


def row_of(text: str) -> Row:
    """Return the row of a text that ``text_of`` wrote.

    Raises:
        DatasetError: when it is not the text of a row of this schema.
    """
    try:
        values: Any = orjson.loads(text)
        return {name: values[name if name != _COPY else "completion"] for name in NAMES}
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise DatasetError(f"not the row of an lrgen dataset: {error!r}") from error
