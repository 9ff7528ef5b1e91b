"""Token counts of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import DatasetError


class TokenCounter:
    """Counts tokens with a ``tokenizer.json``, without special tokens, which the trainer adds.

    Raises:
        DatasetError: when the file cannot be read or the tokenizers library is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            raise DatasetError("token counts need the tokenizers library: pip install tokenizers") from error
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises plain Exception
            raise DatasetError(f"{path}: not a tokenizer.json: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
