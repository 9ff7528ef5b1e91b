"""One nursery for the tests of a file, and the examination of a file that ends with the test."""

from collections.abc import Iterator
from typing import Any

import pytest

from lrgen.verify.checks.examination import Examination
from lrgen.verify.nursery_process import Nursery
from tests.verify.examinations import Examine, examination_of


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """The process that files are forked from."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def examine(nursery: Nursery) -> Iterator[Examine]:
    """Begins examinations of files, given their text."""
    begun: list[Examination] = []

    def examine(code: str, **options: Any) -> Examination:
        begun.append(examination_of(nursery, code, **options))
        return begun[-1]

    yield examine
    for examination in begun:
        examination.close()
