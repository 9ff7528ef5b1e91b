"""The schedule check passes the code of every variant, and fails it after a change of a number.

The fast suite examines a variant of every other family, ``make test-all`` all variants.
"""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from lrgen.records import Variant
from tests.mutation import Mutant, examine, why_alike


def one_of_every_other_family(catalogue: Catalogue) -> list[Variant]:
    return [family.variants[0] for family in catalogue.families[::2]]


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.slow)])
def variants(request: pytest.FixtureRequest, catalogue: Catalogue) -> Sequence[Variant]:
    """The variants that are examined."""
    return catalogue.schedules if request.param == "all" else one_of_every_other_family(catalogue)


@pytest.fixture(scope="module")
def examined(variants: Sequence[Variant]) -> dict[str, Any]:
    """The result of ``examine``."""
    return examine(variants)


@pytest.fixture(scope="module")
def mutants(examined: dict[str, Any]) -> list[Mutant]:
    return [Mutant(*entry) for entry in examined["mutants"]]


def test_every_variant_passes_as_it_is_rendered(variants, examined):
    """The schedule that the templates render is the one that the curves compute, for every variant."""
    failed = {key: reason for key, reason in examined["verdicts"].items() if reason}
    assert failed == {}
    assert len(examined["verdicts"]) == len(variants) >= 5


def test_every_number_of_a_schedule_matters(mutants, record_property):
    """At least 99% of the mutants of one number that train differently fail the schedule check."""
    different = [mutant for mutant in mutants if mutant.differs]
    caught = [mutant for mutant in different if mutant.reason]
    survivors = "\n".join(f"{mutant.key}: {mutant.place}" for mutant in different if not mutant.reason)
    summary = f"{len(caught)} of {len(different)} mutants are caught"
    record_property("caught", summary)
    assert len(different) >= 2 * len({mutant.key for mutant in mutants})
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
    assert len(same) <= max(1, 0.05 * len(mutants))
