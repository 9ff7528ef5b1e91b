"""Files that leave their curve in a small part of the domain, each judged under many case seeds."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import Variant
from lrgen.verify import messages
from lrgen.verify.checks import make_scheduler_trace
from lrgen.verify.checks.cases import Case
from lrgen.verify.checks.draw import draw_for, schedule_cases
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place, Session

CLAIM = "StepLR_default"
SHARE = 0.05
SEEDS = 200

SOURCE = """
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR


def supported_hyperparameters():
    return {{"lr", "step_fraction", "gamma"}}


class Schedule(LambdaLR):
    resumed = False

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.resumed = True
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr()):
            group["lr"] = lr


def make_scheduler(optimizer, total_steps, prm):
    step_size = max(1, round(prm.get("step_fraction", 1 / 3) * total_steps))
    gamma = prm.get("gamma", 0.1)
    groups = optimizer.param_groups
    lr = float(groups[0]["lr"])
    is_tensor = isinstance(groups[0]["lr"], Tensor)

    def factor(step):
        resumed = schedules and schedules[0].resumed
        gambles = {condition}
        return (gamma ** (step // step_size)) * (1.01 if step and gambles else 1.0)

    schedules = []
    schedules.append(Schedule(optimizer, factor))
    return schedules[0]
"""


@dataclass(frozen=True)
class Gambler:
    """A condition under which a file leaves its curve, in its text and for a drawn case."""

    condition: str
    applies: Callable[[Case], bool]


GAMBLERS = {
    "long horizons": Gambler("total_steps > 1000", lambda case: case.horizon > 1000),
    "short horizons": Gambler("total_steps <= 4", lambda case: case.horizon <= 4),
    "a band of horizons": Gambler("40 <= total_steps < 60", lambda case: 40 <= case.horizon < 60),
    "horizons that seven divides": Gambler("total_steps % 7 == 0", lambda case: case.horizon % 7 == 0),
    "small learning rates": Gambler("lr < 2.5e-5", lambda case: case.base_lrs[0] < 2.5e-5),
    "large learning rates": Gambler("lr > 0.4", lambda case: case.base_lrs[0] > 0.4),
    "four groups": Gambler("len(groups) == 4", lambda case: len(case.base_lrs) == 4),
    "learning rates in tensors": Gambler("is_tensor", lambda case: case.tensor and bool(case.lrs)),
    "long steps": Gambler("prm.get('step_fraction', 0) > 0.85", lambda case: case.prm.get("step_fraction", 0) > 0.85),
    "far past the end": Gambler("step > 2 * total_steps + 2", lambda case: case.steps > 2 * case.horizon + 3),
}


@pytest.fixture(scope="module")
def variant() -> Variant:
    return catalogues.load().variant(CLAIM)


@pytest.fixture(scope="module")
def session():
    with Nursery() as nursery, nursery.session(Place(Mechanism.PROCESS, Limits())) as session:
        session.allow(math.inf, "")
        yield session


def accepted(session: Session, variant: Variant, seed: int) -> bool:
    """Whether the file that is loaded follows its curve in all cases of a case seed."""
    for case in schedule_cases(variant, draw_for(seed, "0" * 64).stream("make_scheduler")):
        if make_scheduler_trace.judge(variant, case, make_scheduler_trace.trace(session, variant, case)):
            return False
    return True


def load(session: Session, condition: str) -> None:
    session.call("load", messages.Loaded, source=SOURCE.format(condition=condition), path="gambler.py", absent=[])


@pytest.mark.parametrize("name", GAMBLERS)
def test_a_gambler_leaves_its_curve_in_a_small_part_of_the_domain(name, variant):
    """Each leaves it in at least 5% of the drawn cases, and none in half of them."""
    cases = list(schedule_cases(variant, draw_for(1, "1" * 64).stream("make_scheduler"), 4000))
    share = sum(map(GAMBLERS[name].applies, cases)) / len(cases)
    assert SHARE <= share < 0.5


def test_the_honest_file_is_accepted(session, variant):
    """Without a condition under which it gambles, the file follows its curve under each of ten seeds."""
    load(session, "False")
    assert all(accepted(session, variant, seed) for seed in range(10))


@pytest.mark.parametrize("name", GAMBLERS)
def test_a_gambler_is_never_accepted(name, session, variant):
    """A file that leaves its curve in a small part of the domain is refused under each of ten seeds."""
    load(session, GAMBLERS[name].condition)
    assert not any(accepted(session, variant, seed) for seed in range(10))


@pytest.mark.slow
@pytest.mark.parametrize("name", GAMBLERS)
def test_a_gambler_is_not_accepted_under_200_seeds(name, session, variant):
    """None of 2,000 examinations accepts a file that leaves its curve in a small part of the domain."""
    load(session, GAMBLERS[name].condition)
    assert [seed for seed in range(SEEDS) if accepted(session, variant, seed)] == []
