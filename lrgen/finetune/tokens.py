"""Token counts of texts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import DatasetError

DEFAULT = Path(__file__).with_name("tokenizer.json")
"""A byte-level BPE with 8,192 tokens, trained on 400 rendered files, torch's optimizers and layers, and lrgen's docs.

No token reaches past the end of a line. Models with larger vocabularies need fewer tokens.
"""

_REMEMBERED = 1 << 18  # lines, and pieces of lines
# The pieces into which ``DEFAULT`` divides a line of ASCII, whose tokens do not depend on their neighbours.
_PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[0-9]| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|\s+", re.ASCII)


class TokenCounter:
    """Counts tokens with a ``tokenizer.json`` (None: ``DEFAULT``), without special tokens, which the trainer adds.

    Raises:
        DatasetError: when the file cannot be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path or DEFAULT))
        except Exception as error:  # tokenizers raises plain Exception
            raise DatasetError(f"{path}: not a tokenizer.json: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._by_line: dict[str, int] | None = {} if path is None else None
        self._by_piece: dict[str, int] = {}

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        if self._by_line is None:
            return self._encoded(texts)
        lines = [text.split("\n") for text in texts]
        distinct = {line for of_text in lines for line in of_text[:-1]}
        if len(self._by_line) > _REMEMBERED:
            self._by_line.clear()
        new = [line for line in distinct if line not in self._by_line]
        # Each line has its newline, except the last one of a text.
        self._by_line.update(zip(new, self._of_lines([f"{line}\n" for line in new]), strict=True))
        of_last = self._of_lines([of_text[-1] for of_text in lines])
        return [
            sum(map(self._by_line.__getitem__, of_text[:-1])) + last
            for of_text, last in zip(lines, of_last, strict=True)
        ]

    def _of_lines(self, lines: Sequence[str]) -> list[int]:
        """Return the number of tokens of each line; of lines of ASCII by their pieces, which occur again and again."""
        divided = [_PIECES.findall(line) if line.isascii() else [line] for line in lines]
        if len(self._by_piece) > _REMEMBERED:
            self._by_piece.clear()
        new = list({piece for pieces in divided for piece in pieces if piece not in self._by_piece})
        self._by_piece.update(zip(new, self._encoded(new), strict=True))
        return [sum(map(self._by_piece.__getitem__, pieces)) for pieces in divided]

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
