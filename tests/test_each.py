"""A test over many cases fails for each case that fails, and names it."""

import pytest

from tests.each import for_each


@for_each("number", {"one": 1, "two": 2, "three": 3})
def is_odd(number: int, parity: int) -> None:
    assert number % 2 == parity


def test_each_failing_case_is_named_and_all_are_looked_at():
    """Failures do not end the loop: their names are in the message, and each has its own exception."""
    with pytest.raises(ExceptionGroup, match="2 of 3 cases fail: one, three") as raised:
        is_odd(parity=0)
    assert [error.__notes__ for error in raised.value.exceptions] == [["in one"], ["in three"]]
    with pytest.raises(ExceptionGroup, match="1 of 3 cases fail: two"):
        is_odd(parity=1)


def test_a_case_without_a_failure_passes():
    """Nothing is raised if no case fails."""
    for_each("number", {"two": 2})(lambda number: None)()
