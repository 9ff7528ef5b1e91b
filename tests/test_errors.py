"""Messages of errors."""

import pytest

from lrgen.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no space\nleft"), "no space"),
        (ValueError("\n  indented, after an empty line\n"), "indented, after an empty line"),
        (EOFError(), "EOFError"),
        (OSError("\n"), "OSError"),
        ("message of a driver\r\nof Windows", "message of a driver"),
    ],
)
def test_the_first_line_of_an_error(error, line):
    """first_line returns the first line that is not empty; without a message, the name of the error's type."""
    assert first_line(error) == line
