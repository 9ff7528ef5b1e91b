"""The case seed: 63 bits from the operating system, or an integer of the caller's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.errors import ConfigError
from lrgen.verify import case_seed


def test_a_new_case_seed_is_from_the_operating_system(monkeypatch):
    """It has 63 bits of os.urandom, and two are different."""
    assert case_seed.new_case_seed() != case_seed.new_case_seed()
    monkeypatch.setattr(case_seed.os, "urandom", lambda count: b"\xff" * count)
    assert case_seed.new_case_seed() == 2**63 - 1


@given(value=st.integers(0, case_seed.CASE_SEED_LIMIT - 1))
@settings(deadline=None, derandomize=True, database=None)
def test_a_valid_case_seed_is_read(value):
    """An integer from 0 to 2**63 - 1 is itself, as text too."""
    assert case_seed.check_case_seed(value) == case_seed.parse_case_seed(str(value)) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "1e3", " 1", "1\n", "٣", str(2**63), "9" * 5000])
def test_a_case_seed_that_is_no_number_in_range_is_one_sentence(text):
    """The error names the range and the text, cut off where it is long."""
    with pytest.raises(ConfigError, match="case seed: expected an integer from 0 to") as error:
        case_seed.parse_case_seed(text)
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [True, 1.0, None, -1, 2**63, "1"])
def test_a_case_seed_is_an_integer_in_range(value):
    """A boolean, a float, text, and integers out of range are errors."""
    with pytest.raises(ConfigError, match="case seed: expected an integer"):
        case_seed.check_case_seed(value)
