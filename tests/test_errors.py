"""What errors say of other errors."""

import pytest

from lrgen.errors import first_line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no space\nleft"), "no space"),
        (ValueError("\n  indented, after an empty line\n"), "indented, after an empty line"),
        (EOFError(), "EOFError"),
        (OSError("\n"), "OSError"),
        ("said by a driver\r\nof Windows", "said by a driver"),
    ],
)
def test_the_first_line_of_an_error_is_told(error, told):
    """One line goes into a sentence; an error that says nothing is named by its type."""
    assert first_line(error) == told
