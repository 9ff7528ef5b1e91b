"""How many tokens texts have for a given tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import DatasetError


class Lengths:
    """Counts with a ``tokenizer.json``; special tokens are the trainer's and not counted.

    Raises:
        DatasetError: when it cannot be read, or there is no tokenizers library.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            raise DatasetError("token counts need the tokenizers library: pip install tokenizers") from error
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # its own errors have no class of their own
            raise DatasetError(f"{path}: not a tokenizer.json: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def of(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text."""
        return [len(one.ids) for one in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
