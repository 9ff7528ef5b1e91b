"""The case seed of a run: the drawn cases of a file depend on it and on the hash of the file."""

import os
import re

from lrgen.errors import ConfigError, shown

CASE_SEED_LIMIT = 2**63

_INTEGER = re.compile(r"[0-9]{1,19}")


def new_case_seed() -> int:
    """Return a case seed from the operating system, which nobody can know beforehand."""
    return int.from_bytes(os.urandom(8), "big") % CASE_SEED_LIMIT


def check_case_seed(value: object) -> int:
    """Return a case seed that is valid.

    Raises:
        ConfigError: if it is no integer, negative, or at least 2**63.
    """
    if type(value) is not int or not 0 <= value < CASE_SEED_LIMIT:
        raise ConfigError(f"case seed: expected an integer from 0 to {CASE_SEED_LIMIT - 1}, got {shown(value)}")
    return value


def parse_case_seed(text: str) -> int:
    """Read a case seed as ``--case-seed`` takes it.

    Raises:
        ConfigError: if the text is no integer, or out of range.
    """
    return check_case_seed(int(text) if _INTEGER.fullmatch(text) else text)
