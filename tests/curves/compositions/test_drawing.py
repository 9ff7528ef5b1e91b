"""Compositions as they are drawn."""

from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from lrgen.curves.compositions import Shape, draw
from lrgen.curves.compositions.drawing import MAX_PHASES, TRAINED_LEVELS
from lrgen.curves.compositions.lengths import TRAINED_HORIZONS, TRAINED_WARMUP
from lrgen.errors import ParameterError
from lrgen.records import Unit


@pytest.fixture(scope="module")
def drawn():
    """Two thousand compositions."""
    return [draw(Random(f"drawing {number}")) for number in range(2000)]


@pytest.fixture(scope="module")
def outer():
    """Five hundred compositions with numbers outside of those of the others."""
    return [draw(Random(f"outside {number}"), outside=True) for number in range(500)]


def warmup(composition):
    """The length of the first phase if it rises, else 0."""
    first = composition.phases[0]
    return first.length if first.rises else Fraction(0)


def levels(composition):
    """The levels above 0 of the phases."""
    peaks = {phase.peak for phase in composition.phases if phase.shape is Shape.TRIANGULAR}
    return {level for phase in composition.phases for level in (phase.start, phase.end, *peaks)} - {Fraction(0)}


def test_what_is_drawn_follows_from_the_chance():
    """The same seed gives the same composition."""
    assert draw(Random("one")) == draw(Random("one"))


def test_compositions_are_in_normal_form_with_whole_boundaries(drawn, outer):
    """What is drawn is its own normal form, and its boundaries are whole steps in its horizon."""
    for composition in drawn + outer:
        assert composition.normal == composition
        ends = [sum(phase.length for phase in composition.phases[: end + 1]) for end in range(len(composition.phases))]
        assert all((end * composition.horizon / composition.repeats).denominator == 1 for end in ends)


def test_hardly_any_composition_is_drawn_twice(drawn):
    """At least 96 in 100 are schedules that were not drawn before."""
    assert len({composition.id for composition in drawn}) >= 0.96 * len(drawn)


def test_every_kind_of_composition_is_drawn(drawn):
    """One to six phases, both units, every shape; a third fixed, some with repeats and with parameter groups."""
    count = len(drawn)
    assert set(Counter(len(composition.phases) for composition in drawn)) == set(range(1, 7))
    assert 0.4 < sum(composition.unit is Unit.EPOCH for composition in drawn) / count < 0.6
    assert 0.28 < sum(composition.fixed for composition in drawn) / count < 0.4
    assert 0.1 < sum(composition.repeats > 1 for composition in drawn) / count < 0.25
    assert 0.15 < sum(len(composition.groups) > 1 for composition in drawn) / count < 0.35
    shapes = Counter(phase.shape for composition in drawn for phase in composition.phases)
    assert min(shapes[shape] for shape in Shape) >= 0.005 * count
    assert 0.5 < sum(warmup(composition) > 0 for composition in drawn) / count < 0.9


def test_numbers_lie_in_their_ranges(drawn):
    """Horizons, warm-ups and levels lie in the ranges that are documented."""
    for composition in drawn:
        low, high = TRAINED_HORIZONS[composition.unit]
        assert low <= composition.horizon <= high
        assert warmup(composition) <= TRAINED_WARMUP or len(composition.phases) == 1 or not_first(composition)
        assert levels(composition) <= {Fraction(0)} or max(levels(composition)) <= TRAINED_LEVELS[1]
        assert min(levels(composition)) >= TRAINED_LEVELS[0]


def not_first(composition):
    """Whether the rise at the beginning is no warm-up to the peak."""
    return composition.phases[0].end != max(levels(composition))


def test_numbers_lie_outside_of_the_ranges_where_that_is_asked_for(outer):
    """Horizon, greatest level and warm-up are none of those of other compositions."""
    for composition in outer:
        low, high = TRAINED_HORIZONS[composition.unit]
        assert not low <= composition.horizon <= high
        assert max(levels(composition)) > TRAINED_LEVELS[1]
        assert warmup(composition) == 0 or warmup(composition) > TRAINED_WARMUP
    assert sum(warmup(composition) > 0 for composition in outer) > 250


@pytest.mark.parametrize("count", [1, 2, 6, 11, MAX_PHASES])
@pytest.mark.parametrize("unit", [Unit.EPOCH, Unit.BATCH])
def test_phases_and_unit_can_be_asked_for(count, unit):
    """The composition has as many phases as asked for, in normal form, and the unit."""
    for number in range(4):
        composition = draw(Random(f"asked {number}"), phases=count, unit=unit)
        assert len(composition.phases) == count
        assert composition.unit is unit


@pytest.mark.parametrize("count", [-1, 0, MAX_PHASES + 1])
def test_a_number_of_phases_out_of_range_is_an_error(count):
    """The error names the range and the number."""
    with pytest.raises(ParameterError, match=rf"phases must lie in \[1, {MAX_PHASES}\], got {count}"):
        draw(Random(0), phases=count)
