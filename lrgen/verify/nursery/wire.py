"""Frames between the examiner and the process of a file: a header in JSON, and arrays as raw bytes.

A frame is two lengths of four bytes (big endian), the header, and the bytes of its arrays one after another. The key
``arrays`` of the header holds the type and shape of each. Nothing is ever unpickled.
"""

import json
import math
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

LENGTHS = struct.Struct(">II")
DTYPES = ("float32", "float64", "int64", "uint8")
_MAX_ARRAYS = 20_000
_MAX_DIMENSIONS = 6


class FrameError(ValueError):
    """Bytes that are not a frame."""


def encode(message: dict[str, Any], arrays: Sequence[np.ndarray[Any, Any]] = ()) -> bytes:
    """Encode a message with its arrays.

    Raises:
        FrameError: if an array is of another type than ``DTYPES``.
    """
    parts = [np.ascontiguousarray(array) for array in arrays]
    for part in parts:
        if part.dtype.name not in DTYPES:
            raise FrameError(f"an array of type {part.dtype} cannot be sent")
    described = [[array.dtype.name, list(np.shape(array))] for array in arrays]
    header = json.dumps({**message, "arrays": described}).encode()
    body = b"".join(part.tobytes() for part in parts)
    return LENGTHS.pack(len(header), len(body)) + header + body


def decode(header: bytes, body: bytes) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """Decode a header and a body; the arrays are copies that can be written to.

    Raises:
        FrameError: if they are not a frame.
    """
    try:
        message = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise FrameError("the header is not JSON") from error
    if not isinstance(message, dict):
        raise FrameError("the header is not an object")
    described = message.pop("arrays", None)
    if not isinstance(described, list) or len(described) > _MAX_ARRAYS:
        raise FrameError("the header does not describe its arrays")
    arrays, at = [], 0
    for entry in described:
        dtype, shape = _described(entry)
        count = math.prod(shape)
        size = count * dtype.itemsize
        if at + size > len(body):
            raise FrameError("the body is shorter than its arrays")
        try:
            arrays.append(np.frombuffer(body, dtype, count, at).reshape(shape).copy())
        except ValueError as error:  # an empty array may have sides that numpy cannot have
            raise FrameError("an array has a shape that is impossible") from error
        at += size
    if at != len(body):
        raise FrameError("the body is longer than its arrays")
    return message, arrays


def _described(entry: object) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if isinstance(entry, list) and len(entry) == 2 and entry[0] in DTYPES and isinstance(entry[1], list):
        shape = entry[1]
        if len(shape) <= _MAX_DIMENSIONS and all(type(size) is int and 0 <= size < 1 << 32 for size in shape):
            return np.dtype(entry[0]), tuple(shape)
    raise FrameError("the header describes no array")


def send(descriptor: int, message: dict[str, Any], arrays: Sequence[np.ndarray[Any, Any]] = ()) -> None:
    """Write a whole frame to a blocking descriptor."""
    data = memoryview(encode(message, arrays))
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]] | None:
    """Read a frame from a blocking descriptor; None at its end.

    Raises:
        FrameError: if the bytes are not a frame.
    """
    start = _read(descriptor, LENGTHS.size)
    if start is None:
        return None
    header_length, body_length = LENGTHS.unpack(start)
    header, body = _read(descriptor, header_length), _read(descriptor, body_length)
    return None if header is None or body is None else decode(header, body)


def _read(descriptor: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
