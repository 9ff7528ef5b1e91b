"""What is true of every composition: its normal form, its id, its JSON, its bounds."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import hold, linear
from lrgen.errors import ParameterError
from lrgen.records import Unit
from tests.curves.compositions.strategies import compositions

FEW = settings(max_examples=50, deadline=None)
HALF = Fraction(1, 2)


def steps(composition):
    """All steps, and some past the horizon."""
    return np.arange(composition.horizon + 5)


def written_otherwise(composition):
    """The same schedule with every phase that can be so written cut in two, and numbers that no shape uses."""
    phases = []
    for phase in composition.phases:
        half, middle = phase.length / 2, (phase.start + phase.end) / 2
        if phase.shape is Shape.HOLD:
            phases += [hold(phase.start, half), Phase(Shape.LINEAR, half, phase.start, phase.start)]
        elif phase.shape is Shape.LINEAR:
            first = Phase(Shape.POLYNOMIAL, half, phase.start, middle)
            phases += [first, Phase(Shape.SAWTOOTH, half, middle, phase.end, decay=HALF)]
        elif phase.shape is Shape.COSINE:
            phases.append(replace(phase, shape=Shape.COSINE_CYCLES, decay=HALF))
        else:
            phases.append(replace(phase, peak=phase.peak if phase.shape is Shape.TRIANGULAR else HALF))
    decay = composition.repeat_decay if composition.repeats > 1 else HALF
    horizon = composition.horizon * 2
    return replace(composition, phases=tuple(phases), horizon=horizon, repeat_decay=decay, base_lr=Fraction(1, 7))


@FEW
@given(compositions())
def test_the_normal_form_is_the_same_schedule(composition):
    """A composition and its normal form have the same rates at every step, past the horizon too."""
    difference = composition.rates(steps(composition)) - composition.normal.rates(steps(composition))
    assert np.max(np.abs(difference)) <= 1e-14


@FEW
@given(compositions())
def test_the_normal_form_is_its_own(composition):
    """The normal form of a normal form is itself."""
    assert composition.normal.normal == composition.normal


@FEW
@given(compositions())
def test_one_schedule_has_one_id(composition):
    """A schedule that is written otherwise has the same phases in normal form, and the same id."""
    otherwise = written_otherwise(composition)
    assert otherwise.normal.phases == composition.normal.phases
    assert otherwise.id == replace(composition, horizon=2 * composition.horizon).id


@FEW
@given(compositions(), compositions(), st.booleans())
def test_ids_are_equal_exactly_where_normal_forms_are(first, second, mix):
    """Two compositions have one id if and only if their normal forms are equal, but for what is no part of them."""
    if mix:
        second = replace(first, groups=second.groups, repeat_decay=second.repeat_decay, base_lr=second.base_lr)

    def form(composition):
        normal = replace(composition.normal, base_lr=Fraction(1))
        return (
            normal if normal.fixed else (normal.phases, normal.unit, normal.repeats, normal.repeat_decay, normal.groups)
        )

    assert (first.id == second.id) is (form(first) == form(second))


@FEW
@given(compositions())
def test_json_gives_the_composition_back(composition):
    """A composition survives JSON, as text, with every number exact."""
    assert Composition.from_json(json.loads(json.dumps(composition.to_json()))) == composition


@FEW
@given(compositions(), st.integers(1, 7))
def test_each_phase_has_steps_within_its_bounds(composition, factor):
    """Bounds begin at 0, increase, and end with the length of a repeat, in any horizon that is allowed."""
    horizon = composition.horizon * (1 if composition.fixed else factor)
    bounds = composition.bounds(horizon)
    assert bounds[0] == 0
    assert bounds[-1] == horizon // composition.repeats
    assert np.all(np.diff(bounds) > 0)


@FEW
@given(compositions())
def test_phases_begin_at_their_start(composition):
    """The multiplier at the first step of each phase is its start; past the horizon it is the last end."""
    bounds = composition.bounds(composition.horizon)
    starts = [phase.start for phase in composition.phases]
    assert composition.multipliers(bounds[:-1]) == pytest.approx([float(start) for start in starts], abs=1e-15)
    past = composition.multipliers([composition.horizon, 10 * composition.horizon])
    factor = composition.repeat_decay ** (composition.repeats - 1)
    assert past == pytest.approx(float(composition.phases[-1].end * factor), abs=1e-15)


@FEW
@given(compositions())
def test_multipliers_stay_between_the_levels(composition):
    """No multiplier lies outside of the levels of its phases, with all factors."""
    factor = max(1, composition.repeat_decay ** (composition.repeats - 1))
    tops = [
        max(phase.start, phase.end, phase.peak if phase.shape is Shape.TRIANGULAR else 0)
        * max(1, phase.decay ** (phase.count - 1))
        for phase in composition.phases
    ]
    values = composition.multipliers(steps(composition))
    cyclic = any(phase.shape.is_cyclic for phase in composition.phases)
    assert np.max(values) <= float(max(tops) * factor) + 1e-12
    assert np.min(values) >= (-np.inf if cyclic else -1e-15)


@pytest.mark.parametrize(
    ("repeats", "horizon", "message"),
    [(1, 2, "each of 3 phases"), (2, 5, "each of 6 phases"), (1, 0, "horizon must lie in")],
)
def test_more_phases_than_steps_are_an_error(repeats, horizon, message):
    """A horizon in which a phase would have no step is refused with the number of phases."""
    third = Fraction(1, 3)
    phases = (
        linear(Fraction(0), Fraction(1), third),
        hold(Fraction(1), third),
        linear(Fraction(1), Fraction(0), third),
    )
    with pytest.raises(ParameterError, match=message):
        Composition(phases, Unit.BATCH, horizon, repeats=repeats)
