"""Exceptions of the file, as they are reported."""

import traceback
from typing import Any

import torch

from .describe import storable


def explained(error: BaseException, path: str) -> dict[str, Any]:
    """The type, the message and the line of an exception that the file at ``path`` raised."""
    out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
    return {
        "type": storable(type(error).__name__[:100]),
        "message": storable(" ".join(str(error).split())[:300]),
        "line": line_of(error, path),
        "memory": out_of_memory,
    }


def line_of(error: BaseException, path: str) -> int | None:
    """The last line of the file in the traceback of an error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None
