"""Token counts of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import DatasetError

DEFAULT = Path(__file__).with_name("tokenizer.json")
"""A byte-level BPE with 8,192 tokens, trained on 400 rendered files, torch's optimizers and layers, and lrgen's docs.

No token reaches past the end of a line. Models with larger vocabularies need fewer tokens.
"""

_LINES = 1 << 18  # that are remembered


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

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        if self._by_line is None:
            return self._encoded(texts)
        lines = [text.split("\n") for text in texts]
        distinct = {line for of_text in lines for line in of_text[:-1]}
        if len(self._by_line) > _LINES:
            self._by_line.clear()
        new = [line for line in distinct if line not in self._by_line]
        # Each line has its newline, except the last one of a text.
        self._by_line.update(zip(new, self._encoded([f"{line}\n" for line in new]), strict=True))
        last = list({of_text[-1] for of_text in lines})
        of_last = dict(zip(last, self._encoded(last), strict=True))
        return [sum(map(self._by_line.__getitem__, of_text[:-1])) + of_last[of_text[-1]] for of_text in lines]

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
