"""``lrgen.schedules.compose``: schedulers of compositions against the curves of the compositions."""

import itertools
import json
import pickle
import random

import numpy as np
import pytest

from lrgen.curves.compositions import Composition, draw
from lrgen.errors import ParameterError, UnknownNameError
from lrgen.schedules import compose, phase
from lrgen.schedules.composing import SHAPES
from tests.schedules.traces import BASE_LR, follow, rates, sgd

WARMUP, HOLD, DECAY = phase("linear", 0.1, start=0, end=1), phase("hold", 0.7), phase("cosine", 0.2, end=0)


def drawn(count: int) -> list[Composition]:
    """Compositions of one or of three groups, as ``lrgen compose`` draws them."""
    chance = random.Random(8)
    compositions = (draw(chance) for _ in itertools.count())
    return list(
        itertools.islice((composition for composition in compositions if len(composition.groups) in (1, 3)), count)
    )


@pytest.mark.parametrize("composition", drawn(60), ids=lambda composition: composition.id)
def test_a_composition_has_the_multipliers_of_its_curve(composition):
    """The multipliers of a drawn composition are those of its curve around each boundary and past the end."""
    optimizer = sgd()
    scheduler = compose(composition, optimizer)
    repeat = composition.bounds(composition.horizon)
    edges = [index * repeat[-1] + bound for index in range(composition.repeats) for bound in repeat]
    chance = random.Random(composition.id)
    steps = {max(0, edge + shift) for edge in edges for shift in (-1, 0, 1)}
    steps |= {chance.randrange(composition.horizon) for _ in range(100)} | {composition.horizon + 7}
    ordered = sorted(steps)
    multipliers = [[multiplier(step) for step in ordered] for multiplier in scheduler.lr_lambdas]
    curve = composition.rates(ordered, base_lr=1.0)
    np.testing.assert_allclose(multipliers, np.broadcast_to(curve, np.shape(multipliers)), rtol=0, atol=1e-12)


def test_every_shape_is_drawn():
    """The compositions of these tests have phases of every shape."""
    assert {part.shape.value for composition in drawn(60) for part in composition.phases} == set(SHAPES)


def test_phases_json_and_objects_are_one_schedule():
    """Phases, the JSON of a composition as values or as text, and the object itself give the same learning rates."""
    values = {"phases": [{**given, "length": str(given["length"])} for given in (WARMUP, HOLD, DECAY)]}
    values = json.loads(json.dumps(values, default=str))
    whole = {"unit": "batch", "horizon": 50, "fixed": False, "repeats": 1, "repeat_decay": "1", "groups": ["1"]}
    composition = Composition.from_json(values | whole | {"base_lr": "0.1"})
    given = ([WARMUP, HOLD, DECAY], values, json.dumps(composition.to_json()), composition.to_json(), composition)
    traces = []
    for each in given:
        optimizer = sgd()
        scheduler = compose(each, optimizer, 50)
        traces.append([rates(optimizer), *follow(optimizer, scheduler, [None] * 55)])
    assert all(trace == traces[0] for trace in traces)
    curve = composition.rates(np.arange(56), base_lr=BASE_LR)[0]
    np.testing.assert_allclose([row[0] for row in traces[0]], curve, rtol=0, atol=1e-12)


def test_a_composed_schedule_is_pickled_and_resumes():
    """A copy by pickle and a resumed scheduler go on as the original; the state of another composition is refused."""
    optimizer = sgd()
    scheduler = compose([WARMUP, HOLD, DECAY], optimizer, 30)
    list(follow(optimizer, scheduler, [None] * 11))
    copied = pickle.loads(pickle.dumps(scheduler))
    resumed = sgd()
    rebuilt = compose([WARMUP, HOLD, DECAY], resumed, 30)
    rebuilt.load_state_dict(scheduler.state_dict())
    other = compose([WARMUP, phase("hold", 0.9)], sgd(), 30)
    with pytest.raises(ValueError, match="expected a state of"):
        other.load_state_dict(scheduler.state_dict())
    going_on = list(follow(optimizer, scheduler, [None] * 20))
    assert list(follow(copied.optimizer, copied, [None] * 20)) == going_on
    assert list(follow(resumed, rebuilt, [None] * 20)) == going_on


def test_groups_have_multipliers():
    """Each parameter group has the learning rate of the composition times its own multiplier."""
    optimizer = sgd()
    compose({"phases": [phase("hold", 1)], "groups": ["1/2", 1, 0]}, optimizer, 4)
    assert rates(optimizer) == [0.05, 0.1, 0.0]


@pytest.mark.parametrize(
    ("composition", "total_steps", "message"),
    [
        ([WARMUP, HOLD, DECAY], 0, "total_steps must be at least 1, got 0"),
        ([WARMUP, HOLD, DECAY], -5, "total_steps must be at least 1, got -5"),
        ([WARMUP, HOLD, DECAY], True, "total_steps must be a whole number, got True"),
        ([WARMUP, HOLD, DECAY], 50.0, "total_steps must be a whole number, got 50.0"),
        ([WARMUP, HOLD, DECAY], None, "total_steps must be a whole number, got None"),
        ([WARMUP, HOLD, DECAY], 2, "total_steps must give each of 3 phases a step, got 2"),
        ([WARMUP, HOLD], 50, "lengths of the phases must sum to 1, got 1/10, 7/10"),
        ([], 50, "not a composition: expected phases"),
        (3, 50, "not a composition: expected phases, got 3"),
        ("{", 50, "not a composition: not JSON"),
        ("[" * 100_000, 50, "not a composition: not JSON"),
        ({"phases": "hold"}, 50, "not a composition: expected phases"),
        (["hold"], 50, "not a phase: 'hold'"),
        ([{"shape": "holt", "length": 1}], 50, "unknown shape 'holt': did you mean hold"),
        ({"phases": [{"shape": "hold"}]}, 50, "not a phase: .*length"),
        ({"phases": [{"shape": "hold", "length": 1, "level": 2}]}, 50, "not a phase: .*level"),
        ({"phases": [HOLD, DECAY, WARMUP], "groups": [1, 2]}, 50, "has 2 groups, the optimizer 3 parameter groups"),
        ({"phases": [HOLD, DECAY, WARMUP], "repeats": 0}, 50, "repeats must be at least 1, got 0"),
        ({"phases": [HOLD, DECAY, WARMUP], "repeats": True}, 50, "repeats must be a whole number, got True"),
        ({"phases": [HOLD, DECAY, WARMUP], "repeat_decay": 0}, 50, "repeat_decay must be above 0, got 0"),
        ({"phases": [HOLD, DECAY, WARMUP], "groups": [1, 1, -1]}, 50, "groups must be at least 0, got -1"),
        ({"phases": [HOLD, DECAY, WARMUP], "groups": 3}, 50, "groups must be a list of numbers, got 3"),
        ({"phases": [HOLD, DECAY, WARMUP], "groups": "123"}, 50, "groups must be a list of numbers, got '123'"),
        ({"phases": [HOLD, DECAY, WARMUP], "repeat": 2}, 50, "unknown key of a composition 'repeat': .*repeats"),
        ({"phases": [HOLD, DECAY, WARMUP], "fixed": True, "horizon": 40}, 50, "must be 40, got 50"),
    ],
)
def test_wrong_compositions_are_named(composition, total_steps, message):
    """What is no composition, or cannot have the number of steps or groups, is an error that says why."""
    with pytest.raises((ParameterError, UnknownNameError), match=message):
        compose(composition, sgd(), total_steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": "cosin", "length": 1}, "unknown shape 'cosin': did you mean cosine"),
        ({"shape": "hold", "length": 0}, r"hold: length must lie in \(0, 1\], got 0"),
        ({"shape": "hold", "length": "a"}, r"hold: length must be a number \(.*\), got 'a'"),
        ({"shape": "hold", "length": float("nan")}, r"hold: length must be a number \(.*\), got nan"),
        ({"shape": "hold", "length": 1, "end": 0.5}, "hold: end must be 1, got 1/2"),
        ({"shape": "linear", "length": 1, "start": -1}, "linear: start must be at least 0, got -1"),
        ({"shape": "exponential", "length": 1, "end": 0}, "exponential: start and end must be above 0"),
        ({"shape": "inverse_sqrt", "length": 1, "end": 2}, "inverse_sqrt: end must be below start"),
        ({"shape": "steps", "length": 1, "count": 0}, "steps: count must be a whole number from 1 to 1000, got 0"),
        ({"shape": "polynomial", "length": 1, "end": 0, "power": 0}, "polynomial: power must be above 0, got 0"),
    ],
)
def test_wrong_phases_are_named(arguments, message):
    """A number out of range for the shape of a phase is an error that names the shape, the number and the value."""
    with pytest.raises((ParameterError, UnknownNameError), match=message):
        phase(**arguments)


HUGE = int("9" * 4000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"shape": "steps", "length": 1, "count": 10**9, "decay": 0.5},
            "count must be .* from 1 to 1000, got 1000000000",
        ),
        ({"shape": "steps", "length": 1, "count": 1000, "decay": "1e30"}, "decay must be at most 1000000000"),
        ({"shape": "sawtooth", "length": 1, "count": 1000, "decay": 2}, "decay must reach at most .* in 1000 stages"),
        (
            {"shape": "steps", "length": 1, "decay": f"1/{HUGE}"},
            r"decay must be a ratio of whole numbers below 2\*\*128",
        ),
        (
            {"shape": "hold", "length": "1e-999999999"},
            r"length must be a number \(an exponent of at most 30\), got '1e-9",
        ),
        ({"shape": "hold", "length": 1, "start": "1E+999999999"}, "start must be a number"),
        ({"shape": "hold", "length": 1, "start": HUGE}, "start must be at most 1000000000, got 999"),
        ({"shape": "hold", "length": 1, "start": HUGE * HUGE}, "start must be a number .* got a number of thousands"),
        ({"shape": "polynomial", "length": 1, "end": 0, "power": 10**12}, "power must be at most 1000000000"),
    ],
)
def test_a_phase_of_huge_numbers_is_refused_before_it_is_computed(arguments, message):
    """Numbers whose exact powers would take hours or all memory are an error at once; without it this test hangs."""
    with pytest.raises(ParameterError, match=message) as raised:
        phase(**arguments)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repeats": 10**9}, "repeats must be at most 1000, got 1000000000"),
        ({"repeats": 1000, "repeat_decay": 2}, "repeat_decay must reach at most 1000000000 in 1000 stages, got 2"),
        ({"repeat_decay": "1e-999999999"}, "repeat_decay must be a number"),
        ({"groups": ["1e999999999"] * 3}, "groups must be a number"),
    ],
)
def test_a_composition_of_huge_numbers_is_refused_before_it_is_computed(values, message):
    """Repeats, their decay and groups are bounded, with any number of steps."""
    with pytest.raises(ParameterError, match=message):
        compose({"phases": [WARMUP, HOLD, DECAY]} | values, sgd(), HUGE)


def test_a_huge_number_of_steps_has_the_multipliers_of_its_curve():
    """The rate at the first step, in the middle and at the last one of 4,000 digits is computed at once."""
    cycles = phase("cosine_cycles", "1/2", count=1000, end=0)
    scheduler = compose([phase("linear", "1/2", start=0, end=1), cycles], sgd(), HUGE)
    multiplier = scheduler.lr_lambdas[0]
    assert [multiplier(step) for step in (0, HUGE // 4, HUGE // 2)] == pytest.approx([0, 0.5, 1])
    assert multiplier(HUGE - 1) == pytest.approx(0, abs=1e-9)


def test_the_stages_of_a_phase_may_have_an_end_of_many_digits():
    """The exact end of a thousand stages has thousands of digits, and is read again."""
    optimizer = sgd()
    scheduler = compose([phase("steps", 1, count=1000, decay=0.95)], optimizer, 1000)
    assert scheduler.lr_lambdas[0](999) == pytest.approx(0.95**999)
