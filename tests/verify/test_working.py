"""The working of a step: statements that were executed, with numbers in place of names."""

import sys
from fractions import Fraction

import pytest

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import linear
from lrgen.errors import CorpusError
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.records import Unit
from lrgen.verify import working
from lrgen.verify.working import Kind

ONE = Fraction(1)
COMPOSITION = Composition(
    (linear(Fraction(0), ONE, Fraction(1, 20)), Phase(Shape.COSINE, Fraction(19, 20), ONE, Fraction(0))),
    Unit.BATCH,
    1000,
    groups=(ONE, Fraction(1, 10)),
)
LAMBDA = '''import math

from torch.optim.lr_scheduler import LambdaLR


def cosine(progress: float) -> float:
    return 0.5 * (
        1 + math.cos(math.pi * progress)
    )


def make_scheduler(optimizer, total_steps):
    """Warm-up and cosine decay."""
    warmup_steps = round(0.05 * total_steps)
    decay_steps = total_steps - warmup_steps

    def factor(step):
        if step < warmup_steps:
            return step / warmup_steps
        progress = min(1.0, (step - warmup_steps) / decay_steps)
        return cosine(progress)

    return LambdaLR(optimizer, [lambda step, m=m: m * factor(step) for m in (1.0, 0.1)])
'''
SUBCLASS = """from torch.optim.lr_scheduler import LRScheduler


class Warmup(LRScheduler):
    def __init__(self, optimizer, total_steps, last_epoch=-1):
        self.warmup = total_steps // 20
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        step = self.last_epoch
        scale = step / self.warmup if step < self.warmup else 1.0
        scale *= 0.5
        return [lr * scale for lr in self.base_lrs]
"""
SETTER = """def set_lr(optimizer, step, total_steps, base_lr):
    low, high = 0, total_steps // 20
    lr = base_lr * step / high
    for group, scale in zip(optimizer.param_groups, (1.0, 0.1)):
        group["lr"] = lr * scale
"""


def of(code, call, entry, **keywords):
    interface = Interface(call, entry, takes_horizon=True)
    return working.of(code, interface, COMPOSITION, **{"step": 620, "horizon": 1000, "base_lr": 0.1} | keywords)


def shown(statements):
    return [(each.kind, each.target, each.expression, each.numbers, each.value) for each in statements]


def test_a_callable_is_worked_out_from_its_setup_to_the_factor():
    """What is computed once comes first; then the branch, the progress and the factor of a later step."""
    own = of(LAMBDA, Call.SCHEDULER, "make_scheduler")
    assert shown(own.before) == [
        (Kind.ASSIGNED, "warmup_steps", "round(0.05 * total_steps)", "round(0.05 * 1000)", 50),
        (Kind.ASSIGNED, "decay_steps", "total_steps - warmup_steps", "1000 - 50", 950),
    ]
    factor = pytest.approx(0.34549150281)
    assert shown(own.at_step) == [
        (Kind.BRANCH, "", "step < warmup_steps", "620 < 50", False),
        (
            Kind.ASSIGNED,
            "progress",
            "min(1.0, (step - warmup_steps) / decay_steps)",
            "min(1.0, (620 - 50) / 950)",
            0.6,
        ),
        (Kind.ENTERED, "cosine", "", "progress = 0.6", True),
        (
            Kind.RETURNED,
            "cosine",
            "0.5 * (1 + math.cos(math.pi * progress))",
            "0.5 * (1 + math.cos(math.pi * 0.6))",
            factor,
        ),
        (Kind.RETURNED, "factor", "cosine(progress)", "0.345492", factor),
    ]
    assert own.rate == pytest.approx(0.034549150281)


def test_the_learning_rate_is_that_of_the_parameter_group():
    """The second group has a tenth of the learning rate; the statements are those of its own call."""
    own = of(LAMBDA, Call.SCHEDULER, "make_scheduler", group=1)
    assert own.rate == pytest.approx(0.0034549150281)
    assert [each.value for each in own.at_step if each.kind is Kind.BRANCH] == [False]


def test_a_conditional_expression_is_a_branch():
    """Its condition is stated, then the arm that is taken; an augmented assignment is the operation that it is."""
    own = of(SUBCLASS, Call.SCHEDULER, "Warmup", step=20)
    assert shown(own.before) == [(Kind.ASSIGNED, "self.warmup", "total_steps // 20", "1000 // 20", 50)]
    assert shown(own.at_step) == [
        (Kind.ASSIGNED, "step", "self.last_epoch", "20", 20),
        (Kind.BRANCH, "", "step < self.warmup", "20 < 50", True),
        (Kind.ASSIGNED, "scale", "step / self.warmup", "20 / 50", 0.4),
        (Kind.ASSIGNED, "scale", "scale * 0.5", "0.4 * 0.5", 0.2),
    ]


@pytest.mark.parametrize(("group", "scale", "rate"), [(0, 1.0, 0.04), (1, 0.1, 0.004)])
def test_the_loop_over_parameter_groups_is_shown_for_one(group, scale, rate):
    """Of a loop over parameter groups, the statements for the group in question are left."""
    own = of(SETTER, Call.SETTER, "set_lr", step=20, group=group)
    assert own.before == ()
    assert [(each.target, each.value) for each in own.at_step] == [
        ("low", 0),
        ("high", 50),
        ("lr", pytest.approx(0.04)),
        ("scale", scale),
        ('group["lr"]', pytest.approx(rate)),
    ]


def test_code_with_too_many_lines_has_no_working():
    """A loop over all steps is not written out."""
    code = (
        "def factor(step, total_steps):\n    done = 0\n    while done < step:\n        done += 1\n    return done / 9\n"
    )
    assert of(code, Call.FACTOR, "factor") is None


def test_code_that_raises_is_an_error():
    """The error names the composition and the exception."""
    with pytest.raises(CorpusError, match=f"{COMPOSITION.id}.*ZeroDivisionError"):
        of("def factor(step, total_steps):\n    return step / 0\n", Call.FACTOR, "factor")


def test_the_trace_function_of_the_process_is_kept():
    """A debugger or a coverage tool goes on as before."""
    before = sys.gettrace()
    of(LAMBDA, Call.SCHEDULER, "make_scheduler")
    assert sys.gettrace() is before


def test_loops_and_chains_of_schedulers_have_no_working():
    """A training loop makes all steps in one call, and torch's schedulers have statements of their own."""
    loop = Realisation(Style.LOOP, "", Interface(Call.LOOP, "train", takes_horizon=True))
    chain = Realisation(Style.SEQUENTIAL, "", Interface(Call.SCHEDULER, "build", takes_horizon=True))
    function = Realisation(Style.FUNCTION, "", Interface(Call.SETTER, "set_lr", takes_horizon=True))
    assert [working.is_possible(each) for each in (loop, chain, function)] == [False, False, True]


def test_numbers_have_six_digits():
    """A whole number has all of its digits, another one at most six."""
    assert [working.text(value) for value in (12345678, 0.1 + 0.2, 3.0, 1e-7, True)] == [
        "12345678",
        "0.3",
        "3",
        "1e-07",
        "True",
    ]
