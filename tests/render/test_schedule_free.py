"""The written-out schedule-free optimizers, compared with the schedulefree package of the method's authors."""

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


def make_optimizer(number: int, parameters: list[nn.Parameter], **options: float) -> Any:
    """The rendered file's optimizer for these parameters."""
    return vars(module(number))[NUMBERS[number]](parameters, **options)


def make_reference(
    number: int, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float = 0.0
) -> Any:
    """The authors' optimizer, without foreach."""
    if number == 176:
        return schedulefree.SGDScheduleFree(parameters, lr, momentum, weight_decay, foreach=False)
    return schedulefree.AdamWScheduleFree(parameters, lr, (momentum, 0.999), weight_decay=weight_decay, foreach=False)


class Problem:
    """Regression by a two-layer network on random batches, the same for every instance."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

        self.parameters = [nn.Parameter(normal(6, 4)), nn.Parameter(normal(4, 3)), nn.Parameter(normal(3))]
        self.inputs, self.targets = normal(STEPS * 3, 8, 6), normal(STEPS * 3, 8, 3)

    def loss(self, step: int) -> Tensor:
        """The loss of the batch of a step."""
        first, second, bias = self.parameters
        outputs = torch.tanh(self.inputs[step] @ first) @ second + bias
        return (outputs - self.targets[step]).square().mean()

    def values(self) -> list[Tensor]:
        """A copy of the parameters."""
        return [parameter.detach().clone() for parameter in self.parameters]


def set_mode(optimizer: Any, train: bool) -> None:
    """Set the parameters to y or, for evaluation, to x."""
    optimizer.train() if train else optimizer.eval()


def rate(number: int, step: int) -> float:
    """Linear warm-up, then the base learning rate."""
    return LR[number] * min(1.0, (step + 1) / WARMUP)


def train(
    problem: Problem, optimizer: Any, steps: Iterator[int] | range, rate_of: Callable[[int], float], frozen: int = 0
) -> None:
    """Train for some steps; the first parameter has no gradient before step ``frozen``."""
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step)
        optimizer.zero_grad()
        problem.loss(step).backward()
        if step < frozen:
            problem.parameters[0].grad = None
        optimizer.step()


def assert_close(values: list[Tensor], expected: list[Tensor], tolerance: float = 1e-10) -> None:
    """Assert that all values are finite and equal up to rounding."""
    for value, expected_value in zip(values, expected, strict=True):
        assert value.isfinite().all()
        assert torch.allclose(value, expected_value, rtol=tolerance, atol=tolerance), (
            (value - expected_value).abs().max()
        )


def compare(number: int, optimizer: Any, problem: Problem, momentum: float, frozen: int = 0, **options: float) -> None:
    """Train with both optimizers, with an evaluation in between, and compare the weights of both modes."""
    reference = Problem()
    reference_optimizer = make_reference(number, reference.parameters, LR[number], momentum, **options)
    reference_optimizer.train()
    for begin in (0, STEPS // 2):
        at = range(begin, begin + STEPS // 2)
        train(problem, optimizer, at, lambda step: rate(number, step), frozen)
        train(reference, reference_optimizer, at, lambda step: rate(number, step), frozen)
        assert_close(problem.values(), reference.values())
        trained = problem.values()
        optimizer.eval()
        reference_optimizer.eval()
        assert_close(problem.values(), reference.values())
        assert not torch.allclose(problem.values()[1], trained[1], rtol=1e-3)
        optimizer.train()
        reference_optimizer.train()
        assert all(map(torch.equal, problem.values(), trained))


@every_optimizer
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_the_weights_are_those_of_the_authors_optimizer(number, momentum, weight_decay):
    """After many steps with warm-up, training and evaluation weights equal those of the authors' optimizer."""
    problem = Problem()
    options = {"weight_decay": weight_decay} if weight_decay else {}
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=momentum, **options)
    compare(number, optimizer, problem, momentum, **options)
    assert not torch.allclose(problem.values()[0], Problem().values()[0], rtol=1e-3)


@every_optimizer
def test_a_parameter_without_gradient_joins_later_as_with_the_authors(number):
    """A parameter without a gradient does not change; from its first gradient on it follows the authors' optimizer."""
    problem = Problem()
    first = problem.values()[0]
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)
    train(problem, optimizer, range(5), lambda step: rate(number, step), frozen=5)
    optimizer.eval()
    optimizer.train()
    assert torch.equal(problem.values()[0], first)
    again = Problem()
    optimizer = make_optimizer(number, again.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)
    compare(number, optimizer, again, 0.9, frozen=30, weight_decay=0.05)


@every_optimizer
def test_the_schedule_equals_the_authors_warm_up(number):
    """With ``make_scheduler`` the weights equal those of the authors' optimizer with its built-in warm-up."""
    problem, reference = Problem(), Problem()
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9)
    scheduler = module(number).make_scheduler(optimizer, STEPS, {"warmup_fraction": WARMUP / STEPS})
    reference_optimizer = make_reference(number, reference.parameters, LR[number], 0.9)
    reference_optimizer.param_groups[0]["warmup_steps"] = WARMUP
    reference_optimizer.train()
    for step in range(STEPS):
        for trained, stepped in ((problem, optimizer), (reference, reference_optimizer)):
            stepped.zero_grad()
            trained.loss(step).backward()
            stepped.step()
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate(number, step + 1), rel=1e-12)
    assert_close(problem.values(), reference.values())


@every_optimizer
def test_averaging_is_weighted_by_the_maximum_learning_rate(number):
    """With a learning rate that decays to zero, the weights equal those of the authors' optimizer."""
    problem, reference = Problem(), Problem()
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9)
    reference_optimizer = make_reference(number, reference.parameters, LR[number], 0.9)
    reference_optimizer.train()

    def up_and_down(step: int) -> float:
        return LR[number] * min(step, STEPS - 1 - step) / STEPS

    train(problem, optimizer, range(STEPS), up_and_down)
    train(reference, reference_optimizer, range(STEPS), up_and_down)
    assert_close(problem.values(), reference.values())


# Momentum 0 and 1, which the authors' optimizer rejects.


def by_definition(number: int, momentum: float, weight_decay: float) -> tuple[list[Tensor], list[Tensor]]:
    """x and y after all steps by the paper's definition: an average weighted by squared learning rates."""
    problem = Problem()
    x, z = problem.values(), problem.values()
    square = [torch.zeros_like(value) for value in x]
    weights: list[float] = []
    for step in range(STEPS):
        with torch.no_grad():
            for parameter, x_value, z_value in zip(problem.parameters, x, z, strict=True):
                parameter.copy_((1 - momentum) * z_value + momentum * x_value)
        gradients = torch.autograd.grad(problem.loss(step), problem.parameters)
        weights.append(max([rate(number, step) ** 2, *weights]))
        for index, gradient in enumerate(gradients):
            move = gradient
            if number == 177:
                square[index] = 0.999 * square[index] + 0.001 * gradient**2
                move = gradient / ((square[index] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
            z[index] = z[index] - rate(number, step) * (move + weight_decay * problem.parameters[index].detach())
            x[index] = x[index] + (z[index] - x[index]) * weights[-1] / sum(weights)
    return x, [(1 - momentum) * z_value + momentum * x_value for x_value, z_value in zip(x, z, strict=True)]


@every_optimizer
@pytest.mark.parametrize("momentum", [0.0, 0.3, 1.0])
def test_momentum_may_be_anything_from_zero_to_one(number, momentum):
    """Any momentum from 0 to 1 gives the x and y of the definition."""
    problem = Problem()
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=momentum, weight_decay=0.05)
    train(problem, optimizer, range(STEPS // 2), lambda step: rate(number, step))
    optimizer.eval()
    optimizer.train()
    train(problem, optimizer, range(STEPS // 2, STEPS), lambda step: rate(number, step))
    x, y = by_definition(number, momentum, 0.05)
    assert_close(problem.values(), y)
    optimizer.eval()
    assert_close(problem.values(), x)


@every_optimizer
def test_a_learning_rate_of_zero_changes_no_weight(number):
    """Steps with a learning rate of zero change no weight and have no part in the average."""
    problem = Problem()
    before = problem.values()
    optimizer = make_optimizer(number, problem.parameters, lr=0.0, momentum=0.9, weight_decay=0.05)
    train(problem, optimizer, range(5), lambda step: 0.0)
    for mode in (True, False, True):
        set_mode(optimizer, mode)
        assert all(map(torch.equal, problem.values(), before))
    train(problem, optimizer, range(5, 6), lambda step: LR[number])
    trained = problem.values()
    optimizer.eval()
    assert_close(problem.values(), trained)  # the first step that counts is the whole average


# Its state.


def reloaded(state: dict) -> dict:
    """A state_dict after saving and loading."""
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    return torch.load(saved, weights_only=True)


@every_optimizer
@pytest.mark.parametrize("mode", [True, False], ids=["saved in training", "saved in evaluation"])
def test_a_resumed_run_is_bit_identical(number, mode):
    """A run resumed from weights and state_dict, saved in either mode, ends with bit-identical weights."""
    straight, stopped, resumed = Problem(), Problem(), Problem()
    options = {"lr": LR[number], "momentum": 0.9, "weight_decay": 0.05}
    whole = make_optimizer(number, straight.parameters, **options)
    train(straight, whole, range(60), lambda step: rate(number, step))
    first = make_optimizer(number, stopped.parameters, **options)
    train(stopped, first, range(25), lambda step: rate(number, step))
    set_mode(first, mode)
    with torch.no_grad():
        for parameter, value in zip(resumed.parameters, stopped.values(), strict=True):
            parameter.copy_(value)
    second = make_optimizer(number, resumed.parameters, **options)
    second.load_state_dict(reloaded(first.state_dict()))
    second.eval()
    in_evaluation = resumed.values()
    first.eval()
    assert all(map(torch.equal, in_evaluation, stopped.values()))
    second.train()
    train(resumed, second, range(25, 60), lambda step: rate(number, step))
    assert all(map(torch.equal, resumed.values(), straight.values()))


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_state_has_the_dtype_of_the_weights_and_its_own_memory(number, dtype):
    """Each state tensor has its parameter's dtype, shape and device, and shares no memory, also after reloading."""
    problem = Problem(dtype)
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9)
    train(problem, optimizer, range(3), lambda step: LR[number])
    optimizer.load_state_dict(reloaded(optimizer.state_dict()))
    train(problem, optimizer, range(3, 5), lambda step: LR[number])
    names = {"x", "z"} | ({"exp_avg_sq"} if number == 177 else set())
    for parameter in problem.parameters:
        assert optimizer.state[parameter].keys() == names
        for tensor in optimizer.state[parameter].values():
            assert (tensor.dtype, tensor.shape, tensor.device) == (dtype, parameter.shape, parameter.device)
            assert not tensor.requires_grad
        memory = {tensor.data_ptr() for tensor in (parameter, *optimizer.state[parameter].values())}
        assert len(memory) == len(names) + 1


@every_optimizer
def test_the_state_is_on_the_device_of_the_weights(number):
    """Weights on the meta device have their state on the meta device."""
    parameter = nn.Parameter(torch.zeros(3, device="meta"))
    optimizer = make_optimizer(number, [parameter], lr=0.1, momentum=0.9, weight_decay=0.05)
    parameter.grad = torch.zeros(3, device="meta")
    optimizer.step()
    optimizer.eval()
    assert {tensor.device.type for tensor in optimizer.state[parameter].values()} == {"meta"}


@every_optimizer
def test_switching_the_mode_is_idempotent(number):
    """Setting a mode twice equals setting it once, and before the first step no mode changes a weight."""
    problem = Problem()
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9)
    before = problem.values()
    optimizer.eval()
    optimizer.train()
    assert all(map(torch.equal, problem.values(), before))
    train(problem, optimizer, range(9), lambda step: rate(number, step))
    by_mode = {}
    for mode in (True, True, False, False, True, False):
        set_mode(optimizer, mode)
        assert all(map(torch.equal, problem.values(), by_mode.setdefault(mode, problem.values())))


@every_optimizer
def test_a_step_keeps_the_gradients_and_returns_the_closures_loss(number):
    """A step does not change the gradients and returns the loss of its closure."""
    problem = Problem()
    optimizer = make_optimizer(number, problem.parameters, lr=LR[number], momentum=0.9, weight_decay=0.05)

    def closure() -> float:
        optimizer.zero_grad()
        loss = problem.loss(0)
        loss.backward()
        return loss.item()

    loss = problem.loss(0).item()
    before = problem.values()
    assert optimizer.step(closure) == loss
    after = [parameter.grad.clone() for parameter in problem.parameters]
    assert not any(map(torch.equal, problem.values(), before))
    optimizer.step()
    assert all(map(torch.equal, after, [parameter.grad for parameter in problem.parameters]))


@every_optimizer
def test_every_mutated_number_of_the_optimizer_changes_the_weights(number):
    """Each mutant of a number in the optimizer gives other weights, except for the coefficient at a rate of zero."""
    source = text(number)
    [optimizer_class] = [node for node in ast.parse(source).body if getattr(node, "name", "") == NUMBERS[number]]
    code = ast.unparse(optimizer_class)
    surviving = []
    for place, mutant in mutate(code):
        changed = vars(module_from(source.replace(ast.get_source_segment(source, optimizer_class), mutant)))
        problem = Problem()
        optimizer = changed[NUMBERS[number]](problem.parameters, lr=LR[number], momentum=0.9)
        try:
            compare(number, optimizer, problem, 0.9)
        except (AssertionError, ZeroDivisionError, TypeError, RuntimeError):
            continue
        surviving.append(place)
    assert surviving == ["0.0 -> 0.01 in c = weight / group['weight_sum'] if weight else 0.0"]


# The network.


def network(number: int) -> Any:
    """The tiny network, set up for training."""
    torch.manual_seed(0)
    prm = {"lr": 0.05, "momentum": 0.9, "epoch_max": 4}
    net = module(number).Net((4, 3, 16, 16), (5,), prm, torch.device("cpu"))
    net.train_setup(prm)
    return net


def batches(seed: int) -> list[tuple[Tensor, Tensor]]:
    """An epoch of random batches."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(4, 3, 16, 16, generator=generator), torch.randint(5, (4,), generator=generator)) for _ in range(6)
    ]


def weights(net: Any) -> list[Tensor]:
    """A copy of the network's parameters."""
    return [parameter.detach().clone() for parameter in net.parameters()]


@every_optimizer
def test_learn_ends_with_the_averaged_weights(number):
    """After ``learn`` the parameters are x, in either mode of the network; the optimizer's ``train`` sets y."""
    net = network(number)
    untrained = weights(net)
    net.learn(batches(0))
    averages = [net.optimizer.state[parameter]["x"] for parameter in net.parameters()]
    for mode in (True, False):
        net.train(mode)
        assert all(map(torch.equal, weights(net), averages))
    assert not any(map(torch.equal, weights(net), untrained))
    net.optimizer.train()
    assert not any(map(torch.equal, weights(net), averages))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in net.parameters())


@every_optimizer
def test_the_statistics_of_batch_norm_are_those_at_the_averaged_weights(number):
    """After ``learn`` the running statistics are means over the epoch's first 50 batches, at the weights x."""
    net = network(number)
    train_data = batches(0) * 10
    net.learn(train_data)
    other = network(number)
    other.load_state_dict(net.state_dict())
    norms = [layer for layer in other.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches
    other.train()
    with torch.no_grad():
        for images, _ in train_data[:50]:
            other(images)
    assert len(norms) > 1
    for key, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    assert all(layer.momentum == 0.1 for layer in net.modules() if isinstance(layer, nn.BatchNorm2d))


@every_optimizer
def test_an_evaluation_between_two_epochs_changes_nothing(number):
    """Training with evaluations between epochs gives the same losses, weights and learning rates as without."""
    evaluated, straight = network(number), network(number)
    images = torch.randn(4, 3, 16, 16)
    for epoch in range(4):
        assert evaluated.learn(batches(epoch)) == straight.learn(batches(epoch))
        evaluated.eval()
        evaluated.optimizer.eval()
        with torch.no_grad():
            evaluated(images)
    assert all(map(torch.equal, weights(evaluated), weights(straight)))
    assert evaluated.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]


@every_optimizer
@pytest.mark.parametrize("mode", [True, False], ids=["saved in training", "saved in evaluation"])
def test_a_network_is_resumed_from_either_mode(number, mode):
    """Network, optimizer and scheduler continue bit-identically from state_dicts saved in either mode."""
    straight, stopped, resumed = network(number), network(number), network(number)
    for net in (straight, stopped):
        net.learn(batches(0))
    set_mode(stopped.optimizer, mode)
    state = reloaded({name: getattr(stopped, name).state_dict() for name in ("optimizer", "scheduler")})
    resumed.load_state_dict(reloaded(stopped.state_dict()))
    resumed.scheduler = module(number).make_scheduler(resumed.optimizer, 4 * 6, resumed.prm)
    resumed.optimizer.load_state_dict(state["optimizer"])
    resumed.scheduler.load_state_dict(state["scheduler"])
    assert resumed.learn(batches(1)) == straight.learn(batches(1))
    assert all(map(torch.equal, weights(resumed), weights(straight)))


@every_optimizer
def test_a_copied_network_trains_on_its_own(number):
    """A deep copy trains without changing the original."""
    net = network(number)
    net.learn(batches(0))
    other = copy.deepcopy(net)
    before = weights(net)
    other.learn(batches(1))
    assert all(map(torch.equal, weights(net), before))
    net.learn(batches(1))
    assert all(map(torch.equal, weights(net), weights(other)))


@every_optimizer
def test_a_tensor_learning_rate_gives_the_same_weights(number):
    """A learning rate that is a tensor, which a scheduler fills in place, trains as a number does."""
    problem, other = Problem(), Problem()
    train(problem, make_optimizer(number, problem.parameters, lr=0.1, momentum=0.9), range(STEPS), decreasing)
    optimizer = make_optimizer(number, other.parameters, lr=torch.tensor(0.1, dtype=torch.float64), momentum=0.9)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"].fill_(decreasing(step))
        optimizer.zero_grad()
        other.loss(step).backward()
        optimizer.step()
    assert all(map(torch.equal, problem.values(), other.values()))


def decreasing(step: int) -> float:
    """A linear decay, under which the maximum learning rate is the first."""
    return 0.1 * (1 - step / STEPS)


def test_the_weight_decay_is_the_optimizers_own(catalogue):
    """Each optimizer has a weight decay that suits it, a penalty far below a decoupled one, and says whose it is."""
    penalty, decoupled = (catalogue.variant(number).optimizer for number in (176, 177))
    assert (penalty.weight_decay, decoupled.weight_decay) == (1e-4, 0.08)
    assert "He et al." in penalty.source
    assert "AlgoPerf" in decoupled.source
