"""The optimizers that two schedules bring along, against the schedulefree package of the method's authors."""

import ast
import copy
import io
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import schedulefree
import torch
from torch import Tensor, nn

from lrgen import catalogue as catalogues
from lrgen.render.renderer import Renderer
from tests.mutation import mutate
from tests.paths import TINY

NUMBERS = {176: "ScheduleFreeSGD", 177: "ScheduleFreeAdamW"}
every_optimizer = pytest.mark.parametrize("number", NUMBERS, ids="A0_{:03d}".format)
LR = {176: 0.1, 177: 0.02}
STEPS = 120
WARMUP = 12


@cache
def text(number: int) -> str:
    """The rendered file of a variant, for the tiny network."""
    catalogue = catalogues.load([TINY])
    return Renderer(catalogue).render(catalogue.architecture("Tiny"), catalogue.variant(number)).text


def module_from(source: str) -> ModuleType:
    """A rendered file, run."""
    module = ModuleType("rendered")
    exec(compile(source, "rendered", "exec"), module.__dict__)
    return module


@cache
def module(number: int) -> ModuleType:
    """The rendered file of a variant, run."""
    return module_from(text(number))


def ours(number: int, parameters: list[nn.Parameter], **options: float) -> Any:
    """The optimizer that the file writes out."""
    return vars(module(number))[NUMBERS[number]](parameters, **options)


def theirs(number: int, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float = 0.0) -> Any:
    """The authors' own, without foreach: one parameter after the other."""
    if number == 176:
        return schedulefree.SGDScheduleFree(parameters, lr, momentum, weight_decay, foreach=False)
    return schedulefree.AdamWScheduleFree(parameters, lr, (momentum, 0.999), weight_decay=weight_decay, foreach=False)


class Problem:
    """Least squares with noise in the gradients and two layers of weights, the same whenever it is made."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

        self.parameters = [nn.Parameter(normal(6, 4)), nn.Parameter(normal(4, 3)), nn.Parameter(normal(3))]
        self.inputs, self.targets = normal(STEPS * 3, 8, 6), normal(STEPS * 3, 8, 3)

    def loss(self, step: int) -> Tensor:
        """That of the batch of a step."""
        first, second, bias = self.parameters
        outputs = torch.tanh(self.inputs[step] @ first) @ second + bias
        return (outputs - self.targets[step]).square().mean()

    def values(self) -> list[Tensor]:
        """What the parameters hold."""
        return [parameter.detach().clone() for parameter in self.parameters]


def rate(number: int, step: int) -> float:
    """A warm-up and then the base rate."""
    return LR[number] * min(1.0, (step + 1) / WARMUP)


def steps(
    problem: Problem, optimizer: Any, at: Iterator[int] | range, rate_of: Callable[[int], float], frozen: int = 0
) -> None:
    """Some steps of training; the first parameter has no gradient before step ``frozen``."""
    for step in at:
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step)
        optimizer.zero_grad()
        problem.loss(step).backward()
        if step < frozen:
            problem.parameters[0].grad = None
        optimizer.step()


def assert_close(one: list[Tensor], other: list[Tensor], tolerance: float = 1e-10) -> None:
    """All values are equal but for rounding, and none is NaN."""
    for mine, right in zip(one, other, strict=True):
        assert mine.isfinite().all()
        assert torch.allclose(mine, right, rtol=tolerance, atol=tolerance), (mine - right).abs().max()


def compared(number: int, mine: Any, problem: Problem, momentum: float, frozen: int = 0, **options: float) -> None:
    """Train with the authors' optimizer and with ours, through an evaluation; both modes' weights must agree."""
    reference = Problem()
    right = theirs(number, reference.parameters, LR[number], momentum, **options)
    right.train()
    for begin in (0, STEPS // 2):
        at = range(begin, begin + STEPS // 2)
        steps(problem, mine, at, lambda step: rate(number, step), frozen)
        steps(reference, right, at, lambda step: rate(number, step), frozen)
        assert_close(problem.values(), reference.values())
        trained = problem.values()
        mine.train(False)
        right.eval()
        assert_close(problem.values(), reference.values())
        assert not torch.allclose(problem.values()[1], trained[1], rtol=1e-3)
        mine.train(True)
        right.train()
        assert all(map(torch.equal, problem.values(), trained))


@every_optimizer
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_the_weights_are_those_of_the_authors_optimizer(number, momentum, weight_decay):
    """After many steps with a warm-up the weights are the authors', those that train and those that are evaluated."""
    problem = Problem()
    options = {"weight_decay": weight_decay} if weight_decay else {}
    mine = ours(number, problem.parameters, lr=LR[number], momentum=momentum, **options)
    compared(number, mine, problem, momentum, **options)


@every_optimizer
def test_a_parameter_without_gradient_joins_later_as_with_the_authors(number):
    """A parameter that has no gradient stays as it is, and once it has one its weights are the authors'."""
    problem = Problem()
    first = problem.values()[0]
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)
    steps(problem, mine, range(5), lambda step: rate(number, step), frozen=5)
    mine.train(False)
    mine.train(True)
    assert torch.equal(problem.values()[0], first)
    again = Problem()
    mine = ours(number, again.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)
    compared(number, mine, again, 0.9, frozen=30, weight_decay=0.05)


@every_optimizer
def test_the_schedules_own_rate_drives_both_alike(number):
    """Under the file's ``make_scheduler`` the weights are those of the authors' optimizer with its built-in warm-up."""
    problem, reference = Problem(), Problem()
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9)
    scheduler = module(number).make_scheduler(mine, STEPS, {"warmup_fraction": WARMUP / STEPS})
    right = theirs(number, reference.parameters, LR[number], 0.9)
    right.param_groups[0]["warmup_steps"] = WARMUP
    right.train()
    for step in range(STEPS):
        for one, optimizer in ((problem, mine), (reference, right)):
            optimizer.zero_grad()
            one.loss(step).backward()
            optimizer.step()
        scheduler.step()
        assert mine.param_groups[0]["lr"] == pytest.approx(rate(number, step + 1), rel=1e-12)
    assert_close(problem.values(), reference.values())


@every_optimizer
def test_a_rate_that_falls_again_weighs_by_the_greatest_so_far(number):
    """Under a rate that falls to zero, as no schedule here does, the weights are the authors' as well."""
    problem, reference = Problem(), Problem()
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9)
    right = theirs(number, reference.parameters, LR[number], 0.9)
    right.train()

    def up_and_down(step: int) -> float:
        return LR[number] * min(step, STEPS - 1 - step) / STEPS

    steps(problem, mine, range(STEPS), up_and_down)
    steps(reference, right, range(STEPS), up_and_down)
    assert_close(problem.values(), reference.values())


# What the authors' optimizer refuses: the two ends of momentum.


def by_definition(number: int, momentum: float, weight_decay: float) -> tuple[list[Tensor], list[Tensor]]:
    """x and y after all steps as the paper defines them: three sequences, an average weighted by squared rates."""
    problem = Problem()
    x, z = problem.values(), problem.values()
    square = [torch.zeros_like(value) for value in x]
    weights: list[float] = []
    for step in range(STEPS):
        with torch.no_grad():
            for parameter, one, other in zip(problem.parameters, x, z, strict=True):
                parameter.copy_((1 - momentum) * other + momentum * one)
        gradients = torch.autograd.grad(problem.loss(step), problem.parameters)
        weights.append(max([rate(number, step) ** 2, *weights]))
        for index, gradient in enumerate(gradients):
            move = gradient
            if number == 177:
                square[index] = 0.999 * square[index] + 0.001 * gradient**2
                move = gradient / ((square[index] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
            z[index] = z[index] - rate(number, step) * (move + weight_decay * problem.parameters[index].detach())
            x[index] = x[index] + (z[index] - x[index]) * weights[-1] / sum(weights)
    return x, [(1 - momentum) * other + momentum * one for one, other in zip(x, z, strict=True)]


@every_optimizer
@pytest.mark.parametrize("momentum", [0.0, 0.3, 1.0])
def test_momentum_may_be_anything_from_zero_to_one(number, momentum):
    """Without momentum the network trains at z, with all of it at the average; x and y are those of the definition."""
    problem = Problem()
    mine = ours(number, problem.parameters, lr=LR[number], momentum=momentum, weight_decay=0.05)
    steps(problem, mine, range(STEPS // 2), lambda step: rate(number, step))
    mine.train(False)
    mine.train(True)
    steps(problem, mine, range(STEPS // 2, STEPS), lambda step: rate(number, step))
    x, y = by_definition(number, momentum, 0.05)
    assert_close(problem.values(), y)
    mine.train(False)
    assert_close(problem.values(), x)


@every_optimizer
def test_a_rate_of_zero_moves_nothing(number):
    """Steps with rate zero change no weight in either mode and count for nothing in the average."""
    problem = Problem()
    before = problem.values()
    mine = ours(number, problem.parameters, lr=0.0, momentum=0.9, weight_decay=0.05)
    steps(problem, mine, range(5), lambda step: 0.0)
    for mode in (True, False, True):
        mine.train(mode)
        assert all(map(torch.equal, problem.values(), before))
    steps(problem, mine, range(5, 6), lambda step: LR[number])
    trained = problem.values()
    mine.train(False)
    assert_close(problem.values(), trained)  # the first step that counts is the whole average


# Its state.


def reloaded(state: dict) -> dict:
    """A state_dict as it comes back from a file."""
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    return torch.load(saved, weights_only=True)


@every_optimizer
@pytest.mark.parametrize("mode", [True, False], ids=["saved in training", "saved in evaluation"])
def test_a_resumed_run_goes_on_bit_for_bit(number, mode):
    """Stopped in either mode and resumed from weights and state_dict, training ends with exactly the same weights."""
    straight, stopped, resumed = Problem(), Problem(), Problem()
    options = {"lr": LR[number], "momentum": 0.9, "weight_decay": 0.05}
    whole = ours(number, straight.parameters, **options)
    steps(straight, whole, range(60), lambda step: rate(number, step))
    first = ours(number, stopped.parameters, **options)
    steps(stopped, first, range(25), lambda step: rate(number, step))
    first.train(mode)
    with torch.no_grad():
        for parameter, value in zip(resumed.parameters, stopped.values(), strict=True):
            parameter.copy_(value)
    second = ours(number, resumed.parameters, **options)
    second.load_state_dict(reloaded(first.state_dict()))
    second.train(False)
    in_evaluation = resumed.values()
    first.train(False)
    assert all(map(torch.equal, in_evaluation, stopped.values()))
    second.train(True)
    steps(resumed, second, range(25, 60), lambda step: rate(number, step))
    assert all(map(torch.equal, resumed.values(), straight.values()))


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_state_is_of_the_weights_type_and_apart_from_them(number, dtype):
    """Each tensor of the state has the type and shape of its weights, also after a reload, and memory of its own."""
    problem = Problem(dtype)
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9)
    steps(problem, mine, range(3), lambda step: LR[number])
    mine.load_state_dict(reloaded(mine.state_dict()))
    steps(problem, mine, range(3, 5), lambda step: LR[number])
    names = {"x", "z"} | ({"exp_avg_sq"} if number == 177 else set())
    for parameter in problem.parameters:
        assert mine.state[parameter].keys() == names
        for tensor in mine.state[parameter].values():
            assert (tensor.dtype, tensor.shape, tensor.device) == (dtype, parameter.shape, parameter.device)
            assert not tensor.requires_grad
        memory = {tensor.data_ptr() for tensor in (parameter, *mine.state[parameter].values())}
        assert len(memory) == len(names) + 1


@every_optimizer
def test_the_state_follows_the_weights_to_another_device(number):
    """Weights on a device without memory of its own get a state there."""
    parameter = nn.Parameter(torch.zeros(3, device="meta"))
    mine = ours(number, [parameter], lr=0.1, momentum=0.9, weight_decay=0.05)
    parameter.grad = torch.zeros(3, device="meta")
    mine.step()
    mine.train(False)
    assert {tensor.device.type for tensor in mine.state[parameter].values()} == {"meta"}


@every_optimizer
def test_switching_twice_is_switching_once(number):
    """Each mode may be asked for again, and before the first step neither changes a weight."""
    problem = Problem()
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9)
    before = problem.values()
    mine.train(False)
    mine.train(True)
    assert all(map(torch.equal, problem.values(), before))
    steps(problem, mine, range(9), lambda step: rate(number, step))
    found = {}
    for mode in (True, True, False, False, True, False):
        mine.train(mode)
        assert all(map(torch.equal, problem.values(), found.setdefault(mode, problem.values())))


@every_optimizer
def test_a_step_leaves_the_gradients_alone_and_returns_the_closures_loss(number):
    """What others read after a step is there: the gradients as they were, and the loss of a closure."""
    problem = Problem()
    mine = ours(number, problem.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)

    def closure() -> float:
        mine.zero_grad()
        loss = problem.loss(0)
        loss.backward()
        return loss.item()

    wanted = problem.loss(0).item()
    before = problem.values()
    assert mine.step(closure) == wanted
    after = [parameter.grad.clone() for parameter in problem.parameters]
    assert not any(map(torch.equal, problem.values(), before))
    mine.step()
    assert all(map(torch.equal, after, [parameter.grad for parameter in problem.parameters]))


@every_optimizer
def test_no_number_of_the_optimizer_can_be_changed_unseen(number):
    """With any number of its code changed, the weights leave the authors': only what a rate of zero weighs is free."""
    source = text(number)
    [own] = [node for node in ast.parse(source).body if getattr(node, "name", "") == NUMBERS[number]]
    code = ast.unparse(own)
    unseen = []
    for place, mutant in mutate(code):
        changed = vars(module_from(source.replace(ast.get_source_segment(source, own), mutant)))
        problem = Problem()
        mine = changed[NUMBERS[number]](problem.parameters, lr=LR[number], momentum=0.9)
        try:
            compared(number, mine, problem, 0.9)
        except (AssertionError, ZeroDivisionError, TypeError, RuntimeError):
            continue
        unseen.append(place)
    assert unseen == ["0.0 -> 0.01 in coefficient = weight / group['weight_sum'] if weight else 0.0"]


# The network that it belongs to.


def network(number: int) -> Any:
    """The tiny network, set up for training."""
    torch.manual_seed(0)
    prm = {"lr": 0.05, "momentum": 0.9, "epoch_max": 4}
    net = module(number).Net((4, 3, 16, 16), (5,), prm, torch.device("cpu"))
    net.train_setup(prm)
    return net


def batches(seed: int) -> list[tuple[Tensor, Tensor]]:
    """An epoch of noise."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(4, 3, 16, 16, generator=generator), torch.randint(5, (4,), generator=generator)) for _ in range(6)
    ]


def weights(net: Any) -> list[Tensor]:
    """What the network's parameters hold."""
    return [parameter.detach().clone() for parameter in net.parameters()]


@every_optimizer
def test_a_network_is_evaluated_at_other_weights_than_it_trains(number):
    """``eval`` shows the average, ``train`` brings the trained weights back exactly, and neither moves a gradient."""
    net = network(number)
    untrained = weights(net)
    net.eval()
    assert all(map(torch.equal, weights(net), untrained))
    net.learn(batches(0))
    trained = weights(net)
    assert not net.eval().training
    assert not any(map(torch.equal, weights(net), trained))
    averages = [net.optimizer.state[parameter]["x"] for parameter in net.parameters()]
    assert all(map(torch.equal, weights(net), averages))
    assert net.train().training
    assert all(map(torch.equal, weights(net), trained))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in net.parameters())


@every_optimizer
def test_an_evaluation_between_two_epochs_changes_nothing(number):
    """Training goes on after an evaluation as if there had been none: same losses, same weights, same rates."""
    evaluated, straight = network(number), network(number)
    images = torch.randn(4, 3, 16, 16)
    for epoch in range(4):
        assert evaluated.learn(batches(epoch)) == straight.learn(batches(epoch))
        evaluated.eval()
        with torch.no_grad():
            evaluated(images)
    evaluated.train()
    assert all(map(torch.equal, weights(evaluated), weights(straight)))
    assert evaluated.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]


@every_optimizer
@pytest.mark.parametrize("mode", [True, False], ids=["saved in training", "saved in evaluation"])
def test_a_network_is_resumed_from_what_it_saved_in_either_mode(number, mode):
    """A network, its optimizer and its scheduler come back from their state_dicts as if they had never stopped."""
    straight, stopped, resumed = network(number), network(number), network(number)
    for net in (straight, stopped):
        net.learn(batches(0))
    stopped.train(mode)
    state = reloaded({name: getattr(stopped, name).state_dict() for name in ("optimizer", "scheduler")})
    resumed.load_state_dict(reloaded(stopped.state_dict()))
    resumed.scheduler = module(number).make_scheduler(resumed.optimizer, 4 * 6, resumed.prm)
    resumed.optimizer.load_state_dict(state["optimizer"])
    resumed.scheduler.load_state_dict(state["scheduler"])
    assert resumed.learn(batches(1)) == straight.learn(batches(1))
    assert all(map(torch.equal, weights(resumed), weights(straight)))


@every_optimizer
def test_a_copied_network_trains_on_its_own(number):
    """A deep copy, as those make it that average models, has a state of its own."""
    net = network(number)
    net.learn(batches(0))
    other = copy.deepcopy(net)
    before = weights(net.eval())
    other.learn(batches(1))
    assert all(map(torch.equal, weights(net), before))
    net.learn(batches(1))
    assert all(map(torch.equal, weights(net), weights(other)))
