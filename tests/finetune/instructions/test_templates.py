"""The templates of instructions: each text that a template can become is well formed."""

import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from lrgen.finetune import faults
from lrgen.finetune.instructions import (
    contract,
    convert,
    edit,
    explain,
    infill,
    prompts,
    repair,
    schedule,
    trace,
    write,
)
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.tasks import judge

FIELD = re.compile(r"\{(\w+)\}")
MOST = 5000  # texts of a template


def templates_of(module: ModuleType) -> Iterator[str]:
    """Yield the templates that a module has as constants: texts, tuples and dictionaries of texts."""
    for name, value in vars(module).items():
        if not name.lstrip("_").isupper():
            continue
        texts = value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else value
        if isinstance(texts, (list, tuple)) or isinstance(value, dict):
            yield from (text for text in texts if isinstance(text, str) and " " in text)


every_module = pytest.mark.parametrize(
    "module",
    [contract, convert, edit, explain, faults, infill, judge, prompts, repair, schedule, trace, write],
    ids=lambda module: module.__name__.rpartition(".")[2],
)


class Script:
    """A random generator that makes given choices, and notes the number of alternatives of each."""

    def __init__(self, choices: list[int]) -> None:
        self.choices = choices
        self.sizes: list[int] = []

    def choice(self, alternatives: list[str]) -> str:
        at = len(self.sizes)
        self.sizes.append(len(alternatives))
        return alternatives[self.choices[at] if at < len(self.choices) else 0]


def texts_of(template: str) -> Iterator[str]:
    """Yield the texts of a template; fields are filled with their names."""
    fields = {name: f"<{name}>" for name in FIELD.findall(template)}
    choices: list[int] = []
    for _ in range(MOST):
        script = Script(choices)
        yield phrase(template, script, **fields)
        following = [*choices, *[0] * (len(script.sizes) - len(choices))]
        while following and following[-1] + 1 == script.sizes[len(following) - 1]:
            following.pop()
        if not following:
            return
        choices = [*following[:-1], following[-1] + 1]


@every_module
def test_every_text_of_a_template_is_well_formed(module):
    """No text has doubled words, spaces or full stops, a space before punctuation, a bracket or a faulty article."""
    templates = list(templates_of(module))
    assert len(templates) >= 10
    for text in (text for template in templates for text in texts_of(template)):
        assert text[0].isupper() or text[0] in "`#-<(", text
        assert not re.search(r"\S  |\s[.,;:!?](\s|$)|\.\.|[?!:,;]\.", text), text
        assert not re.search(r"[\[\]|]", text), text
        assert not re.search(r"\b([A-Za-z]+) \1\b", text), text
        assert not re.search(r"\b[Aa] (?=[aeio])(?!one\b)|\b[Aa]n (?=[bcdgjkpqtvwyz])", text), text
