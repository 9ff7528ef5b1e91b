"""Token counts of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrgen.errors import DatasetError

DEFAULT = Path(__file__).with_name("tokenizer.json")
"""A byte-level BPE with 8,192 tokens, trained on 400 rendered files, torch's optimizers and layers, and lrgen's docs.

Models with larger vocabularies need fewer tokens.
"""


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

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
