"""Mutations of the hyperparameters of a practice, where ``train_setup`` reads them."""

import re
from collections.abc import Iterator

from lrgen.finetune.replacing import Mutation
from lrgen.source.edit import Code

_READ = re.compile(r'prm\.get\(\s*"(\w+)", ([\d.]+)\s*\)')
_OF_EVERY_FILE = ("weight_decay", "epoch")


def _reads(code: Code) -> Iterator[re.Match[str]]:
    """Yield the hyperparameters that ``train_setup`` reads for a practice: names and defaults."""
    begin = code.text.find("\n    def train_setup(")
    for match in _READ.finditer(code.text, begin, code.text.find("\n    def learn(")):
        if match[1] not in _OF_EVERY_FILE:
            yield match


def _not_read(code: Code) -> Iterator[str]:
    for match in _reads(code):
        yield code.text[: match.start()] + match[2] + code.text[match.end() :]


def _other_default(code: Code) -> Iterator[str]:
    for match in _reads(code):
        value = float(match[2])
        other = f"{value * 2 if value <= 0.4 else value / 2:g}"
        yield code.text[: match.start(2)] + other + code.text[match.end(2) :]


OF_SETTINGS: tuple[tuple[str, Mutation], ...] = (
    ("setting of training not read", _not_read),
    ("wrong default of a setting", _other_default),
)
