"""Frames: what is encoded is decoded, and any other bytes are refused."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lrgen.verify.nursery import wire
from lrgen.verify.nursery.wire import FrameError

SIZES = st.one_of(st.integers(), st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 1, 2**63, 10**400]), st.floats())
ARRAYS = arrays_of.arrays(
    st.sampled_from(wire.DTYPES).map(np.dtype), arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
DESCRIBED = st.one_of(
    VALUES,
    st.lists(st.tuples(st.sampled_from([*wire.DTYPES, "object", "S9"]), st.lists(SIZES, max_size=8)), max_size=4),
)


def decoded(header: bytes, body: bytes) -> tuple[dict[str, object], list[np.ndarray]] | None:
    """What a frame holds; None if it is refused."""
    try:
        return wire.decode(header, body)
    except FrameError:
        return None


@given(st.dictionaries(st.text(max_size=5).filter(lambda key: key != "arrays"), VALUES), st.lists(ARRAYS, max_size=3))
def test_a_frame_is_decoded_to_what_was_encoded(message, arrays):
    """Messages and arrays of every type and shape arrive as they were sent."""
    reading, writing = os.pipe()
    try:
        wire.send(writing, message, arrays)
        os.close(writing)
        received = wire.receive(reading)
        assert wire.receive(reading) is None
    finally:
        os.close(reading)
    assert received is not None
    assert received[0] == message
    assert len(received[1]) == len(arrays)
    for got, sent in zip(received[1], arrays, strict=True):
        assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
        assert got.tobytes() == sent.tobytes()
        assert got.flags.writeable


@given(st.binary(max_size=200), st.binary(max_size=64))
def test_any_bytes_are_a_frame_or_an_error(header, body):
    """Bytes are a frame whose arrays are the body, or raise FrameError; another exception fails this test."""
    result = decoded(header, body)
    assert result is None or b"".join(array.tobytes() for array in result[1]) == body


@settings(max_examples=300)
@given(DESCRIBED, st.binary(max_size=64))
def test_an_array_is_never_larger_than_the_body(described, body):
    """However a header describes its arrays, they hold the bytes of the body and no more."""
    result = decoded(json.dumps({"arrays": described}).encode(), body)
    if result is not None:
        assert sum(array.nbytes for array in result[1]) == len(body)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"arrays": []' + b" " * 10,
        b'{"arrays": ' + b"9" * 10_000 + b"}",
        b'{"arrays": [["float32", [NaN]]]}',
        b'{"arrays": [["float32", [1e0]]]}',
        b'{"arrays": [["float32", [true]]]}',
        b'{"arrays": [["float32", [-1]]]}',
        b'{"arrays": [["object", [1]]]}',
        b'{"arrays": [["float32", [0, 4294967295, 4294967295, 4294967295]]]}',
        b'{"arrays": [["float32", [4294967295, 4294967295, 4294967295]]]}',
        b'{"arrays": [["float32", [1, 1, 1, 1, 1, 1, 1]]]}',
        b'{"arrays": [["float32", [1], 3]]}',
        b'{"arrays": {"float32": [1]}}',
    ],
    ids=lambda header: header[:60].decode("latin-1"),
)
def test_a_malformed_header_is_refused(header):
    """A header that is no JSON object, or describes no array, is a FrameError."""
    with pytest.raises(FrameError):
        wire.decode(header, b"\0\0\0\0")


def test_an_array_of_objects_is_not_sent():
    """Only arrays of numbers are encoded; nothing is pickled."""
    with pytest.raises(FrameError, match="object"):
        wire.encode({}, [np.array([None])])


def test_a_frame_that_ends_early_is_the_end():
    """A peer that closes within a frame is one that has ended."""
    reading, writing = os.pipe()
    os.write(writing, struct.pack(">II", 10, 0) + b"{")
    os.close(writing)
    assert wire.receive(reading) is None
    os.close(reading)
