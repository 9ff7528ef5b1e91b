"""Whether code has the form of the style that was asked for."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.curves.compositions import draw
from lrgen.realisations import Call, Style, styles_of, write
from lrgen.realisations.recognition import departure

LAMBDA = """
from torch.optim.lr_scheduler import LambdaLR

def make_scheduler(optimizer):
    return LambdaLR(optimizer, lambda step: min(1, step / 10))
"""
RENAMED = """
from torch.optim.lr_scheduler import LambdaLR as Schedule

def make_scheduler(optimizer):
    return Schedule(optimizer, lambda step: min(1, step / 10))
"""
BUILT_IN = """
import torch.optim.lr_scheduler as schedulers

def make_scheduler(optimizer):
    # better than LambdaLR(optimizer, ...)
    return schedulers.LinearLR(optimizer, 0.1, 1.0, 10)
"""
SUBCLASS = """
from torch.optim.lr_scheduler import LRScheduler

class Warmup(LRScheduler):
    def get_lr(self):
        return [lr * min(1, self.last_epoch / 10) for lr in self.base_lrs]
"""
FUNCTION = """
def set_lr(optimizer, step):
    \"\"\"Instead of a class Warmup(LRScheduler).\"\"\"
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * min(1, step / 10)
"""
TABLE = """
import numpy as np

POINTS = [(0, 0.0), (10, 1.0)]

def factor(step):
    return np.interp(step, *zip(*POINTS))
"""


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_each_realisation_has_the_form_of_its_style(seed):
    """Code that was written in a style does not depart from it."""
    chance = random.Random(seed)
    composition = draw(chance)
    style = chance.choice(styles_of(composition))
    realisation = write(composition, style, chance)
    assert departure(realisation.code, style, realisation.interface.call) == "", realisation.code


@pytest.mark.parametrize(
    ("style", "right", "wrong"),
    [
        (Style.LAMBDA, (LAMBDA, RENAMED), (BUILT_IN, SUBCLASS, FUNCTION)),
        (Style.TRANSFORMERS, (LAMBDA, RENAMED), (BUILT_IN, SUBCLASS, FUNCTION)),
        (Style.SEQUENTIAL, (BUILT_IN,), (LAMBDA, RENAMED, SUBCLASS, FUNCTION)),
        (Style.SUBCLASS, (SUBCLASS,), (LAMBDA, RENAMED, BUILT_IN, FUNCTION)),
        (Style.FUNCTION, (FUNCTION, TABLE), (LAMBDA, RENAMED, BUILT_IN, SUBCLASS)),
        (Style.LOOP, (FUNCTION,), (LAMBDA, RENAMED, BUILT_IN, SUBCLASS)),
        (Style.TABLE, (TABLE,), (LAMBDA, FUNCTION)),
        (Style.LIGHTNING, (), (LAMBDA, FUNCTION, TABLE)),
    ],
)
def test_other_code_departs_from_a_style(style, right, wrong):
    """Code in another form departs from a style, whatever its comments say and however its imports are named."""
    assert [departure(code, style, Call.SCHEDULER) for code in right] == [""] * len(right)
    assert all(departure(code, style, Call.SCHEDULER) for code in wrong)


def test_a_factor_is_a_callable_for_lambdalr_by_itself():
    """A function of the step that returns the multiplier needs no LambdaLR in its own code."""
    assert departure("def factor(step):\n    return 1.0\n", Style.LAMBDA, Call.FACTOR) == ""
