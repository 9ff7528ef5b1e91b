"""The shapes that neither optax nor torch has, against transformers."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from transformers import get_inverse_sqrt_schedule, get_wsd_schedule

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import hold, linear
from lrgen.records import Unit

ZERO, ONE = Fraction(0), Fraction(1)


def factors(make, count):
    """The factors of a schedule of transformers at the first steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    factor = make(optimizer).lr_lambdas[0]
    return np.array([factor(step) for step in range(count)])


@pytest.mark.parametrize("end", ["0", "0.1"])
@pytest.mark.parametrize(("shape", "name"), [(Shape.ONE_MINUS_SQRT, "1-sqrt"), (Shape.COSINE, "cosine")])
def test_warmup_stable_decay_is_that_of_transformers(shape, name, end):
    """Linear warm-up, a hold and a cooldown are get_wsd_schedule, up to the end and past it."""
    phases = (
        linear(Fraction(end), ONE, Fraction(1, 10)),
        hold(ONE, Fraction(6, 10)),
        Phase(shape, Fraction(3, 10), ONE, Fraction(end)),
    )
    composition = Composition(phases, Unit.BATCH, 200)

    def make(optimizer):
        return get_wsd_schedule(
            optimizer, 20, 60, num_training_steps=200, decay_type=name, min_lr_ratio=float(Fraction(end))
        )

    assert np.max(np.abs(composition.multipliers(range(220)) - factors(make, 220))) <= 1e-12


@pytest.mark.parametrize("end", ["0.5", "0.2", "0.05"])
def test_the_inverse_square_root_is_that_of_transformers(end):
    """A phase from 1 to b is get_inverse_sqrt_schedule with the time scale at which it arrives at b."""
    composition = Composition((Phase(Shape.INVERSE_SQRT, ONE, ONE, Fraction(end)),), Unit.BATCH, 240)
    timescale = 240 / (1 / Fraction(end) ** 2 - 1)
    expected = factors(lambda optimizer: get_inverse_sqrt_schedule(optimizer, 0, float(timescale)), 240)
    assert np.max(np.abs(composition.multipliers(range(240)) - expected)) <= 1e-12
