"""Every ``make_scheduler``: groups with learning rates of their own, tensors, resumption, wrong states, interface."""

import ast
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lrgen import curves
from lrgen.records import AddedGroup, Unit, Variant
from lrgen.verify.checks.reference import metrics_of
from tests.each import for_each
from tests.mutation import Tiny

TINY = Tiny()
VARIANTS = TINY.catalogue.schedules
every_variant = for_each("variant", {variant.key: variant for variant in VARIANTS})

HORIZON, STEPS = 20, 26
BASE_LRS = (0.1, 0.03, 0.5)
PRM = {"lr": 0.07, "momentum": 0.9, "dropout": 0.2}
PRECISION = 3e-6  # of float32, as a fraction of the initial learning rate

# After ``make``, ``optimizer`` and ``scheduler`` load their states; ``learn`` trains before they do.
ORDERS = (
    "make optimizer scheduler",
    "make scheduler optimizer",
    "optimizer make scheduler",
    "make learn optimizer scheduler",
    "make learn scheduler optimizer",
)


@cache
def module_of(number: int) -> ModuleType:
    """The schedule of a variant as a module."""
    variant = TINY.catalogue.variant(number)
    module = ModuleType(variant.key)
    exec(compile(TINY.schedule(variant, imports=True), variant.key, "exec"), module.__dict__)
    return module


def optimizer_for(variant: Variant, lrs: Sequence[Any] = BASE_LRS) -> torch.optim.Optimizer:
    """An optimizer with a group for each learning rate and another default; layer-wise schedules get depths."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    if variant.layerwise:
        groups = [{**group, "depth": depth} for depth, group in enumerate(groups)]
    return torch.optim.SGD(groups, lr=PRM["lr"], momentum=PRM["momentum"])


def scheduler_for(variant: Variant, optimizer: torch.optim.Optimizer, horizon: int = HORIZON) -> Any:
    """What ``make_scheduler`` of the variant returns."""
    return module_of(variant.number).make_scheduler(optimizer, horizon, PRM)


def advance(variant: Variant, optimizer: torch.optim.Optimizer, scheduler: Any, steps: range) -> list[list[float]]:
    """Step optimizer and scheduler; return the learning rates of the groups before each step."""
    metrics = metrics_of(variant, STEPS)
    rates = []
    for step in steps:
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        if variant.unit is Unit.METRIC:
            scheduler.step(metrics[step])
        else:
            scheduler.step()
    return rates


@cache
def expected(number: int, base_lrs: tuple[float, ...] = BASE_LRS) -> np.ndarray:
    """The curve of each group from its own initial learning rate (steps × groups)."""
    variant = TINY.catalogue.variant(number)
    depths = tuple(range(len(base_lrs))) if variant.layerwise else (0,) * len(base_lrs)
    metrics = metrics_of(variant, STEPS)[:-1] if variant.unit is Unit.METRIC else None
    groups = []
    for group, lr in enumerate(base_lrs):
        rates = curves.rates(variant, np.arange(STEPS), HORIZON, lr, metrics=metrics, depths=depths)
        groups.append(np.broadcast_to(rates, (len(depths), STEPS))[group])
    return np.array(groups).T


def assert_curve(
    variant: Variant, rates: Any, base_lrs: tuple[float, ...], first: int = 0, tolerance: float = 1e-9
) -> None:
    """Assert that the learning rates from step ``first`` on are the curve's."""
    error = np.abs(np.array(rates) - expected(variant.number, base_lrs)[first:]) / np.array(base_lrs)
    assert error.max() <= tolerance + variant.tolerance


def saved_and_loaded(state: Any) -> Any:
    """A state as another process reads it from a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def tensors(lrs: Sequence[float]) -> list[Tensor]:
    """Learning rates as tensors."""
    return [torch.tensor(lr) for lr in lrs]


original = module_of


@every_variant
def test_each_group_follows_the_curve_from_its_own_learning_rate(variant):
    """The optimizer's default is not the base learning rate: each group has its own."""
    optimizer = optimizer_for(variant)
    scheduler = scheduler_for(variant, optimizer)
    assert_curve(variant, advance(variant, optimizer, scheduler, range(STEPS)), BASE_LRS)


@every_variant
@pytest.mark.parametrize("in_common", [False, True], ids=["own", "in-common"])
def test_a_tensor_is_a_learning_rate(variant, in_common):
    """A tensor follows the same curve and stays a tensor, also where all groups have the same one."""
    base_lrs = (0.1,) * 3 if in_common else BASE_LRS
    optimizer = optimizer_for(variant, tensors([0.1]) * 3 if in_common else tensors(BASE_LRS))
    scheduler = scheduler_for(variant, optimizer)
    assert_curve(variant, advance(variant, optimizer, scheduler, range(STEPS)), base_lrs, tolerance=PRECISION)
    assert all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)


@every_variant
@pytest.mark.parametrize("kind", [tuple, tensors], ids=["float", "tensor"])
def test_a_run_is_resumed_whatever_is_loaded_first(variant, kind):
    """After each order of loading, early, in the middle and at the end, the learning rates are the curve's.

    A tensor is still one.
    """
    optimizer = optimizer_for(variant, kind(BASE_LRS))
    scheduler = scheduler_for(variant, optimizer)
    states = {}
    for start, stop in pairwise((0, 1, 7, HORIZON)):
        advance(variant, optimizer, scheduler, range(start, stop))
        states[stop] = saved_and_loaded([optimizer.state_dict(), scheduler.state_dict()])
    for step, (of_optimizer, of_scheduler) in states.items():
        for order in ORDERS:
            optimizer = optimizer_for(variant, kind(BASE_LRS))
            for action in order.split():
                if action == "make":
                    scheduler = scheduler_for(variant, optimizer)
                elif action == "learn":
                    advance(variant, optimizer, scheduler, range(2))
                elif action == "optimizer":
                    optimizer.load_state_dict(of_optimizer)
                else:
                    scheduler.load_state_dict(of_scheduler)
            rates = advance(variant, optimizer, scheduler, range(step, STEPS))
            tolerance = 1e-9 if kind is tuple else PRECISION
            assert_curve(variant, rates, BASE_LRS, first=step, tolerance=tolerance)
            assert all(isinstance(group["lr"], Tensor) == (kind is tensors) for group in optimizer.param_groups)


@every_variant
def test_an_optimizer_that_is_resumed_alone_is_an_error(variant):
    """A scheduler at its first step refuses the learning rates of a later one: the warm-up does not start again."""
    rates = expected(variant.number)
    changed = np.flatnonzero((rates != rates[0]).any(axis=1))
    if not len(changed):
        return
    optimizer = optimizer_for(variant)
    advance(variant, optimizer, scheduler_for(variant, optimizer), range(changed[0]))
    state = saved_and_loaded(optimizer.state_dict())
    optimizer = optimizer_for(variant)
    scheduler = scheduler_for(variant, optimizer)
    optimizer.load_state_dict(state)
    with pytest.raises(RuntimeError, match="^this scheduler did not set the learning rate"):
        advance(variant, optimizer, scheduler, range(1))


@for_each("pair", {variant.key: (variant, other) for variant, other in pairwise([*VARIANTS, VARIANTS[0]])})
def test_the_state_of_another_schedule_is_an_error(pair):
    """A scheduler refuses the state of the next variant and names both schedules."""
    variant, other = pair
    state = saved_and_loaded(scheduler_for(variant, optimizer_for(variant)).state_dict())
    scheduler = scheduler_for(other, optimizer_for(other))
    with pytest.raises(ValueError, match="^expected a state of ") as caught:
        scheduler.load_state_dict(state)
    assert repr(variant.title) in str(caught.value)
    assert repr(other.title) in str(caught.value)


@every_variant
def test_the_state_of_another_horizon_is_an_error(variant):
    """A scheduler refuses the state of the same schedule over another horizon."""
    state = saved_and_loaded(scheduler_for(variant, optimizer_for(variant), HORIZON).state_dict())
    scheduler = scheduler_for(variant, optimizer_for(variant), HORIZON + 1)
    with pytest.raises(ValueError, match=rf"^expected a state of \(.*, {HORIZON + 1}\), got \(.*, {HORIZON}\)$"):
        scheduler.load_state_dict(state)


@every_variant
def test_a_horizon_of_no_step_is_an_error(variant):
    """``make_scheduler`` refuses a horizon below one step."""
    for horizon in (0, -1):
        with pytest.raises(ValueError, match=f"^total_steps must be at least 1, got {horizon}$"):
            scheduler_for(variant, optimizer_for(variant), horizon)


class WithoutRate(torch.optim.Optimizer):
    """An optimizer whose groups have no learning rate."""

    def __init__(self) -> None:
        super().__init__([nn.Parameter(torch.zeros(1))], {})


@every_variant
def test_an_optimizer_without_a_learning_rate_is_an_error(variant):
    """``make_scheduler`` raises torch's own error, which names the missing entry."""
    with pytest.raises(KeyError, match="lr"):
        scheduler_for(variant, WithoutRate())


@every_variant
def test_a_scheduler_has_the_interface_of_torch(variant):
    """A trainer finds what it looks for: the class, the optimizer, the last learning rates and the number of steps."""
    optimizer = optimizer_for(variant)
    scheduler = scheduler_for(variant, optimizer)
    assert isinstance(scheduler, LRScheduler)
    assert isinstance(scheduler, ReduceLROnPlateau) == (variant.unit is Unit.METRIC)
    assert scheduler.optimizer is optimizer
    for step in range(STEPS):
        assert scheduler.last_epoch == step
        assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        advance(variant, optimizer, scheduler, range(step, step + 1))


@every_variant
def test_a_group_that_is_added_later_is_as_the_catalogue_says(variant):
    """Either the added group follows the schedule and the others stay on their curve, or a step raises RuntimeError."""
    optimizer = optimizer_for(variant)
    scheduler = scheduler_for(variant, optimizer)
    rates = advance(variant, optimizer, scheduler, range(3))
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))], "lr": 0.2})
    if variant.added_group is AddedGroup.RAISES:
        with pytest.raises(RuntimeError, match="this scheduler did not set|number of param groups"):
            advance(variant, optimizer, scheduler, range(3, STEPS))
        return
    assert variant.added_group is AddedGroup.WORKS
    with_added = np.array(advance(variant, optimizer, scheduler, range(3, STEPS)))
    assert_curve(variant, [*rates, *with_added[:, :-1].tolist()], BASE_LRS)
    first, added = with_added[1:, 0], with_added[1:, -1]
    assert added / added[0] == pytest.approx(first / first[0])
    assert len(set(added)) > 1


def without_a_statement(code: str) -> Iterator[tuple[str, str]]:
    """(statement, code without it) for each statement of the methods that guard and resume a scheduler."""
    tree = ast.parse(code)
    for method in ast.walk(tree):
        if not (isinstance(method, ast.FunctionDef) and method.name in ("step", "load_state_dict")):
            continue
        for block in ast.walk(method):
            body = getattr(block, "body", None)
            for index, statement in enumerate(body if isinstance(body, list) else []):
                body[index] = ast.copy_location(ast.Pass(), statement)
                yield ast.unparse(statement), ast.unparse(tree)
                body[index] = statement


def failures(variant: Variant) -> list[str]:
    """The tests of this module that fail for a variant."""
    other = TINY.catalogue.variant(variant.number + 1)
    tests: tuple[tuple[Any, tuple], ...] = (
        (test_each_group_follows_the_curve_from_its_own_learning_rate, (variant,)),
        (test_a_run_is_resumed_whatever_is_loaded_first, (variant, tuple)),
        (test_an_optimizer_that_is_resumed_alone_is_an_error, (variant,)),
        (test_the_state_of_another_schedule_is_an_error, ((other, variant),)),
        (test_the_state_of_another_horizon_is_an_error, (variant,)),
        (test_a_scheduler_has_the_interface_of_torch, (variant,)),
    )
    failed = []
    for test, arguments in tests:
        try:
            test.__wrapped__(*arguments)  # of this variant alone
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a test fails with any of them
            failed.append(test.__name__)
    return failed


@pytest.mark.parametrize("number", [10, 13, 21, 36, 58, 159, 165])
def test_no_statement_of_the_resuming_code_is_superfluous(number, monkeypatch):
    """Without any one statement of the methods that guard and resume a scheduler, a test of this module fails."""
    variant = TINY.catalogue.variant(number)
    assert failures(variant) == []
    survivors = []
    for statement, code in without_a_statement(TINY.schedule(variant, imports=True)):
        module = ModuleType(variant.key)
        exec(compile(code, variant.key, "exec"), module.__dict__)
        monkeypatch.setattr(
            sys.modules[__name__],
            "module_of",
            lambda wanted, mutant=module: mutant if wanted == number else original(wanted),
        )
        if not failures(variant):
            survivors.append(statement)
    assert survivors == []


@pytest.fixture(autouse=True)
def no_warnings():
    """Torch warns of the end of a cycle and of schedulers that are stepped before the optimizer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
