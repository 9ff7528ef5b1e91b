"""Compositions against torch: its own schedulers, one after another in ``SequentialLR``."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from lrgen.curves.compositions import Shape
from tests.curves.compositions.oracles import FEW, MANY, NotExpressible, compare, cycle, halves

FOREVER = 10**9


def level_of(composition):
    """The multiplier that the rates of the optimizer have: that at which torch's schedulers begin."""
    needed = {phase.start for phase in composition.phases if phase.shape in _BEGIN_AT_THE_BASE_RATE}
    if len(needed) > 1:
        raise NotExpressible(f"schedulers that begin at one base rate, not at {needed}")
    tops = {max(phase.start, phase.end) for phase in composition.phases}
    level = needed.pop() if needed else max(tops)
    if level == 0:
        raise NotExpressible("a base rate of 0")
    return level


_BEGIN_AT_THE_BASE_RATE = (Shape.COSINE, Shape.POLYNOMIAL, Shape.EXPONENTIAL, Shape.STEPS, Shape.COSINE_CYCLES)


def scheduler_of(optimizer, phase, steps, level):
    """A phase of ``steps`` steps as a scheduler of torch whose base rates are those of ``level``."""
    a, b = float(phase.start / level), float(phase.end / level)
    base = [group["initial_lr"] for group in optimizer.param_groups]
    match phase.shape:
        case Shape.HOLD if phase.start <= level:
            return schedulers.ConstantLR(optimizer, a, FOREVER)
        case Shape.LINEAR if 0 < phase.start <= level and phase.end <= level:
            return schedulers.LinearLR(optimizer, a, b, steps)
        case Shape.COSINE if phase.end == 0 or len(set(base)) == 1:
            return schedulers.CosineAnnealingLR(optimizer, steps, b * base[0])
        case Shape.POLYNOMIAL if phase.end == 0:
            return schedulers.PolynomialLR(optimizer, steps, float(phase.power))
        case Shape.EXPONENTIAL:
            return schedulers.ExponentialLR(optimizer, b ** (1 / steps))
        case Shape.STEPS if phase.count <= steps:
            milestones = [-(-number * steps // phase.count) for number in range(1, phase.count)]
            return schedulers.MultiStepLR(optimizer, milestones, float(phase.decay))
        case Shape.COSINE_CYCLES if phase.decay == 1 and (phase.end == 0 or len(set(base)) == 1):
            return schedulers.CosineAnnealingWarmRestarts(optimizer, cycle(phase, steps), eta_min=b * base[0])
        case Shape.TRIANGULAR:
            return schedulers.CyclicLR(
                optimizer,
                [float(phase.start / level) * lr for lr in base],
                [float(phase.peak / level) * lr for lr in base],
                step_size_up=halves(phase, steps),
                scale_fn=lambda number: float(phase.decay) ** (number - 1),
                cycle_momentum=False,
            )
    raise NotExpressible(f"torch has no scheduler for {phase.shape} from {a} to {b} times the base rate")


def rates(composition, steps):
    """The learning rates of the composition by torch."""
    if composition.repeats > 1 and composition.repeat_decay != 1:
        raise NotExpressible("repeats with a decay")
    level = level_of(composition)
    base = [float(composition.base_lr * group * level) for group in composition.groups]
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr, "initial_lr": lr} for lr in base]
    optimizer = torch.optim.SGD(groups, lr=base[0])
    bounds = composition.bounds(composition.horizon)
    parts = [
        (scheduler_of(optimizer, phase, end - begin, level), end - begin)
        for _ in range(composition.repeats)
        for phase, begin, end in zip(composition.phases, bounds, bounds[1:], strict=False)
    ]
    last = composition.phases[-1].end / level
    if last > 1:
        raise NotExpressible(f"a last level of {last} times the base rate")
    parts.append((schedulers.ConstantLR(optimizer, float(last), FOREVER), 0))
    for group, lr in zip(optimizer.param_groups, base, strict=True):  # schedulers set rates when they are made
        group["lr"] = group["initial_lr"] = lr
    ends = list(itertools.accumulate(count for _, count in parts))[:-1]
    scheduler = schedulers.SequentialLR(optimizer, [part for part, _ in parts], ends)
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of step(epoch), which SequentialLR itself calls
        optimizer.step()
        for _ in steps:
            values.append([group["lr"] for group in optimizer.param_groups])
            scheduler.step()
    return np.array(values).T


def test_some_compositions_against_torch():
    """Drawn compositions agree with SequentialLR of torch's schedulers at every step and past the end."""
    comparison = compare(FEW, rates, longest=240)
    assert comparison.expressed >= 0.1 * FEW


@pytest.mark.slow
def test_many_compositions_against_torch():
    """Ten thousand drawn compositions agree with torch wherever its schedulers can express them."""
    comparison = compare(MANY, rates, longest=240)
    assert comparison.expressed >= 0.1 * MANY, comparison
