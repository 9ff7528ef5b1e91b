"""Compositions against optax in float64: its schedules, joined by ``optax.join_schedules``."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import optax
import pytest

from lrgen.curves.compositions import Shape
from tests.curves.compositions.oracles import FEW, MANY, NotExpressible, compare, cycle, halves


@pytest.fixture(scope="module", autouse=True)
def float64():
    """JAX computes in float64; its default, float32, would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def joined(parts):
    """Schedules one after another, as (schedule, steps)."""
    ends = itertools.accumulate(steps for _, steps in parts)
    return optax.join_schedules([schedule for schedule, _ in parts], list(ends)[:-1])


def cycles(phase, scale):
    """The top of each cycle."""
    low, top = (phase.start, phase.peak) if phase.shape is Shape.TRIANGULAR else (phase.end, phase.start)
    return [float(scale * (low + (top - low) * phase.decay**number)) for number in range(phase.count)]


def parts_of(phase, steps, scale):
    """A phase of ``steps`` steps as schedules of optax, with its levels times ``scale``."""
    a, b = float(scale * phase.start), float(scale * phase.end)
    match phase.shape:
        case Shape.HOLD:
            return [(optax.constant_schedule(a), steps)]
        case Shape.LINEAR:
            return [(optax.linear_schedule(a, b, steps), steps)]
        case Shape.POLYNOMIAL:
            return [(optax.polynomial_schedule(a, b, float(phase.power), steps), steps)]
        case Shape.EXPONENTIAL:
            return [(optax.exponential_decay(a, steps, b / a), steps)]
        case Shape.COSINE if phase.start > 0:
            return [(optax.cosine_decay_schedule(a, steps, alpha=b / a), steps)]
        case Shape.STEPS:
            boundaries = {-(-number * steps // phase.count): float(phase.decay) for number in range(1, phase.count)}
            if len(boundaries) < phase.count - 1:
                raise NotExpressible("two stages begin at one step")
            return [(optax.piecewise_constant_schedule(a, boundaries), steps)]
        case Shape.TRIANGULAR:
            half = halves(phase, steps)
            sides = [((a, top), (top, a)) for top in cycles(phase, scale)]
            return [(optax.linear_schedule(*side, half), half) for pair in sides for side in pair]
        case Shape.SAWTOOTH:
            length = cycle(phase, steps)
            return [(optax.linear_schedule(top, b, length), length) for top in cycles(phase, scale)]
        case Shape.COSINE_CYCLES:
            length = cycle(phase, steps)
            return [(optax.cosine_decay_schedule(top, length, b / top), length) for top in cycles(phase, scale)]
    raise NotExpressible(f"optax has no schedule for {phase.shape} from {phase.start} to {phase.end}")


def rates(composition, steps):
    """The learning rates of the composition by optax."""
    bounds = composition.bounds(composition.horizon)
    parts = []
    factor = Fraction(1)
    for repeat in range(composition.repeats):
        factor = composition.repeat_decay**repeat
        for phase, begin, end in zip(composition.phases, bounds, bounds[1:], strict=False):
            parts += parts_of(phase, end - begin, composition.base_lr * factor)
    last = float(composition.phases[-1].end * composition.base_lr * factor)
    schedule = joined([*parts, (optax.constant_schedule(last), 0)])
    padded = np.pad(steps, (0, -len(steps) % 512), mode="edge")  # few shapes: each is compiled
    values = np.broadcast_to(schedule(padded), padded.shape)[: len(steps)]
    return np.stack([values * float(group) for group in composition.groups])


def test_some_compositions_against_optax():
    """Drawn compositions agree with joined schedules of optax at every step and past the end."""
    comparison = compare(FEW, rates, longest=500)
    assert comparison.expressed >= 0.5 * FEW


@pytest.mark.slow
def test_many_compositions_against_optax():
    """Ten thousand drawn compositions agree with optax wherever it can express them."""
    comparison = compare(MANY, rates, longest=500)
    assert comparison.expressed >= 0.5 * MANY, comparison
