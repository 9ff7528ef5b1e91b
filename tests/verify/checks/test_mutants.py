"""The schedule check passes the code of every variant, and fails it after a change of a number."""

import json
import os
import re
import sys
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from tests.mutation import Mutant, examine, why_alike


@pytest.fixture(scope="module")
def examined(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of ``examine``, which runs in a child: this process must not train, because other tests fork it."""
    path = tmp_path_factory.mktemp("schedules") / "examined.json"
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            path.write_text(json.dumps(examine(catalogue.variants)))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def mutants(examined: dict[str, Any]) -> list[Mutant]:
    return [Mutant(*entry) for entry in examined["mutants"]]


def test_every_variant_passes_as_it_is_rendered(catalogue, examined):
    """The schedule that the templates render is the one that the curves compute, for every variant."""
    failed = {key: reason for key, reason in examined["verdicts"].items() if reason}
    assert failed == {}
    assert len(examined["verdicts"]) == len(catalogue.variants) >= 50


def test_every_number_of_a_schedule_matters(mutants, record_property):
    """At least 99% of the mutants of one number that train differently fail the schedule check."""
    different = [mutant for mutant in mutants if mutant.differs]
    caught = [mutant for mutant in different if mutant.reason]
    survivors = "\n".join(f"{mutant.key}: {mutant.place}" for mutant in different if not mutant.reason)
    summary = f"{len(caught)} of {len(different)} mutants are caught"
    record_property("caught", summary)
    assert len(different) >= 900
    assert len(caught) >= 0.99 * len(different), f"{summary}, except:\n{survivors}"


PLACE = r"(at step \d+( of horizon \d+)?|in learn at epoch \d, batch \d of \d)( \(.+\))?"
REASON = re.compile(
    r"(make_scheduler never changes the learning rate at horizon \d+: )?"
    r"(learn steps the schedule once per .+: )?"
    r"(learn never changes the learning rate, scheduler\.step\(\) may be missing: )?"
    rf"the learning rate {PLACE} is (negative: )?\S+, expected \S+ \(A0_\d{{3}} \w+\)"
    r"|(make_scheduler|learn) raises .+"
)


def test_a_mutant_fails_for_its_learning_rates(mutants):
    """The reason is the first wrong learning rate with the expected one, or the exception of make_scheduler."""
    vague = [mutant.reason for mutant in mutants if mutant.reason and not REASON.fullmatch(mutant.reason)]
    assert vague == []


def test_a_surviving_mutant_has_a_reason(mutants):
    """At most 5% of the mutants have the traces of the original, and each of them has a known reason."""
    same = [mutant for mutant in mutants if not mutant.differs]
    assert [f"{mutant.key}: {mutant.place}" for mutant in same if not why_alike(mutant)] == []
    assert len(same) <= 0.05 * len(mutants)
