"""Answers of a file's process: what is no answer is refused, and text is printable."""

import inspect
import json
import unicodedata
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, MinLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lrgen.verify import messages
from lrgen.verify.messages import Message, printable

CLASSES = {
    name: kind
    for name, kind in vars(messages).items()
    if inspect.isclass(kind) and issubclass(kind, Message) and kind is not Message
}


def example_of(annotation: Any, metadata: Sequence[Any] = ()) -> Any:
    """A valid value of a type, with at least one entry in each list and each field of a message."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = [bound for entry in metadata for bound in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]
    if origin is Annotated:
        return example_of(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return arguments[0]
    if origin in (Union, UnionType):
        return example_of(next(each for each in arguments if each is not NoneType), metadata)
    if origin is list:
        return [example_of(arguments[0])] * max(
            [1, *(bound.min_length for bound in bounds if isinstance(bound, MinLen))]
        )
    if origin is dict:
        return {example_of(arguments[0]): example_of(arguments[1])}
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return {name: example_of(field.annotation, field.metadata) for name, field in annotation.model_fields.items()}
    if annotation is int:
        return max([1, *(bound.ge for bound in bounds if isinstance(bound, Ge))])
    return {bool: True, float: 0.5, str: "x", Any: 0}[annotation]


# A valid answer of each class, with every field.
VALID: dict[str, dict[str, Any]] = {name: example_of(kind) for name, kind in CLASSES.items()}
FIELDS = [(name, field) for name, kind in CLASSES.items() for field in kind.model_fields]
LONG = "x" * 10_001
HOSTILE: list[Any] = [
    None, True, -1, -2, 0, 1, 2**31 + 1, 2**64, 10**400, -(10**400), 0.5, 1e308, float("nan"), float("inf"), "", "1",
    LONG, "\ud800", "\u202e", "\0", [], [None], [True], [-2], [0.5], [LONG], [[]], [[0]], [[[[0]]]], [0] * 100_001,
    [""] * 1001, {}, {"": None}, {"lr": LONG}, {"\ud800": 0}, {LONG: 0}, {"kind": "start"}, [{}],
    [{"lr": {}}], [[1]] * 3,
]  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner))


def accepted(kind: type[Message], values: Any) -> dict[str, Any] | None:
    """The values of a message as it is kept; None if it is refused."""
    try:
        return kind.model_validate(values).model_dump()
    except ValidationError:
        return None


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal and of one type; integers may become floats."""
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(second, float) and type(first) in (int, float):
        return first == second or first != first
    return type(first) is type(second) and first == second


def test_every_class_has_a_valid_example():
    """Each class of messages accepts its example, unchanged."""
    assert len(CLASSES) >= 20
    for name, kind in CLASSES.items():
        assert accepted(kind, VALID[name]) == VALID[name], name


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_hostile_value_is_refused_or_kept_as_it_is(name, field):
    """Whatever a field holds, validation ends with a pydantic error, or keeps exactly that value."""
    kind = CLASSES[name]
    for value in HOSTILE:
        kept = accepted(kind, {**VALID[name], field: value})
        assert kept is None or field == "depth" or _partly(kept[field], value)


@given(st.sampled_from(FIELDS), VALUES)
def test_any_value_is_refused_or_kept_as_it_is(place, value):
    """For drawn values of any field as well, there is a pydantic error or the same value."""
    name, field = place
    kept = accepted(CLASSES[name], {**VALID[name], field: value})
    assert kept is None or field == "depth" or _partly(kept[field], value)


def _partly(kept: Any, value: Any) -> bool:
    """Whether a value was kept; a message inside has the defaults of what was missing."""
    if isinstance(kept, dict) and isinstance(value, dict):
        return all(key in kept and _partly(kept[key], value[key]) for key in value)
    if isinstance(kept, list) and isinstance(value, list):
        return len(kept) == len(value) and all(map(_partly, kept, value))
    return same(value, kept)


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_number_is_not_taken_for_text(name, field):
    """Types are strict: where a field holds text, a list or a flag, neither numbers nor other types will do."""
    example = VALID[name][field]
    others = [value for value in ("1", 1, True, [1], {"1": 1}) if type(value) is not type(example)]
    for other in others:
        if isinstance(example, float) and type(other) is int:
            continue
        kept = accepted(CLASSES[name], {**VALID[name], field: other})
        loose = field == "depth" or (name, field) in {("Envelope", "done")}
        assert kept is None or loose, other


@pytest.mark.parametrize("name", CLASSES)
def test_unknown_and_missing_fields_are_refused(name):
    """A field too many is refused, and so is one too few that has no default; so is no object at all."""
    kind = CLASSES[name]
    assert accepted(kind, {**VALID[name], "secret": 1}) is None
    for field, info in kind.model_fields.items():
        without = {key: value for key, value in VALID[name].items() if key != field}
        assert (accepted(kind, without) is None) == info.is_required()
    for value in (None, [], "", 1, [VALID[name]]):
        assert accepted(kind, value) is None


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_lengths_are_bounded(name, field):
    """No text has more than 10,000 characters, and no list more than 100,000 entries."""
    kind, example = CLASSES[name], VALID[name][field]
    if isinstance(example, str):
        assert accepted(kind, {**VALID[name], field: LONG}) is None
    if isinstance(example, list) and example:
        assert accepted(kind, {**VALID[name], field: example[:1] * 100_001}) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["accuracy", "loss"])
def test_a_result_is_finite(field, value):
    """The accuracy and the loss that are recorded are finite."""
    assert accepted(messages.Result, {**VALID["Result"], field: value}) is None


@given(st.text(st.characters(), max_size=50), st.integers(0, 60))
def test_printable_text_is_one_line_of_visible_characters(text, limit):
    """Control, bidirectional, unassigned and lone surrogate characters are escaped; what is visible stays."""
    result = printable(text, limit)
    assert all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in result)
    assert len(result.splitlines()) <= 1
    assert result.encode("utf-8").decode("utf-8") == result
    if all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in text[:limit]):
        assert result == text[:limit]


@pytest.mark.parametrize("character", "\n\r\t\0\x1b\x7f\x85\u2028\u202e\u2066\u200b\ufeff\ud800\U000e0001")
def test_a_character_that_deceives_a_reader_is_escaped(character):
    """A line break, an escape sequence or a change of direction is shown as its code."""
    shown = printable(f"a{character}b")
    assert shown == f"a{character.encode('unicode_escape').decode()}b"
    assert json.loads(json.dumps(shown)) == shown
