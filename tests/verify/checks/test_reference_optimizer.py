"""The reference optimizers, compared with torch's on whole parameters, and with Schedule-Free classes by others."""

import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import schedulefree
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from lrgen.catalogue import Catalogue
from lrgen.render.renderer import Renderer
from lrgen.verify.checks.reference_optimizer import (
    FLOAT32,
    Difference,
    GroupSettings,
    InvalidSettingError,
    Prediction,
    ReferenceOptimizer,
    Setting,
    UnknownOptimizerError,
    known_settings,
    reference,
)
from lrgen.verify.checks.reference_optimizer.settings import kinds_of
from lrgen.verify.checks.reference_optimizer.torch_optimizer import TorchOptimizer

SHAPES = ((7, 9), (13,), (4, 3, 3, 3), (1,))
GROUPS = ((0, 1), (2, 3))
SAMPLED = 20  # of each parameter at most
ALL, NONE = np.array([True]), np.array([False])  # the one parameter with a gradient, and without

IMPLEMENTATIONS = ({"foreach": False}, {"foreach": True}, {"differentiable": True})
REFERENCES = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD")


class Candidate:
    """Parameters in two groups with an optimizer of their own, in float32 as in a file, and the samples of them."""

    def __init__(self, seed: int, build: Callable[[list[dict[str, Any]]], Any]) -> None:
        self.draws = np.random.default_rng(seed)
        # Plain tensors: where parameters require gradients, ``differentiable`` does not update them in place.
        self.parameters = [self.tensor(shape, 0.1) for shape in SHAPES]
        self.optimizer = build([{"params": [self.parameters[index] for index in group]} for group in GROUPS])
        self.at = [
            torch.from_numpy(self.draws.permutation(parameter.numel())[:SAMPLED]) for parameter in self.parameters
        ]
        self.initial = [parameter.detach().clone() for parameter in self.parameters]

    def tensor(self, shape: tuple[int, ...], scale: float) -> Tensor:
        return torch.from_numpy(self.draws.standard_normal(shape) * scale).float()

    def samples(self, tensors: list[Tensor]) -> NDArray[np.float64]:
        parts = [t.detach().flatten()[at].double().numpy() for t, at in zip(tensors, self.at, strict=True)]
        return np.concatenate(parts)

    def weights(self) -> NDArray[np.float64]:
        return self.samples(list(self.parameters))

    def gradient(self) -> NDArray[np.float64]:
        return self.samples([torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters])

    def present(self) -> NDArray[np.bool_]:
        return np.array([parameter.grad is not None for parameter in self.parameters])

    def predicted(self, expected: ReferenceOptimizer, lrs: list[float]) -> Prediction:
        """The prediction of a reference for the next update."""
        return expected.step(self.weights(), self.gradient(), self.present(), lrs)

    def backward(self, missing: float = 0.0) -> None:
        """Draw gradients; a parameter has none with probability ``missing``."""
        for parameter in self.parameters:
            parameter.grad = self.tensor(parameter.shape, 1e-2)
            if self.draws.random() < missing:
                parameter.grad = None

    def step(self, lrs: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr
        self.optimizer.step()

    def reference(self, name: str) -> ReferenceOptimizer:
        groups = [
            GroupSettings(members, known_settings(name, group))
            for members, group in zip(GROUPS, self.optimizer.param_groups, strict=True)
        ]
        return reference(name, groups, [len(at) for at in self.at])


def rates(step: int) -> list[float]:
    """Learning rates of the two groups: a warm-up and a decay."""
    return [0.1 * min(1.0, (step + 1) / 8) * 0.97**step, 0.02 * (1 + math.cos(step))]


def torch_builder(name: str, values: Mapping[str, Any]) -> Callable[[list[dict[str, Any]]], Any]:
    """A builder of one of torch's optimizers whose second group has no weight decay."""

    def build(groups: list[dict[str, Any]]) -> Any:
        if values.get("weight_decay"):
            groups[1]["weight_decay"] = 0.0
        return getattr(torch.optim, name)(groups, lr=0.1, **values)

    return build


def first_difference(
    candidate: Candidate,
    expected: ReferenceOptimizer,
    updates: int,
    *,
    missing: float = 0.0,
    change: Callable[[int, Candidate], None] = lambda step, candidate: None,
    after: Callable[[int, Candidate], None] = lambda step, candidate: None,
) -> tuple[int, Difference] | None:
    """The first update that differs; ``change`` and ``after`` are called before and after the optimizer's step."""
    for step in range(updates):
        candidate.backward(missing)
        prediction = candidate.predicted(expected, rates(step))
        lrs = rates(step)
        for group, lr in zip(candidate.optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr
        change(step, candidate)
        candidate.optimizer.step()
        after(step, candidate)
        difference = prediction.difference(candidate.weights())
        if difference is not None:
            return step, difference
    return None


# Torch's optimizers.

fractions = st.floats(0.0, 0.99)
betas = st.tuples(st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]))
decays = st.sampled_from([0.0, 1e-4, 0.1])
moments = {"betas": betas, "weight_decay": decays, "eps": st.sampled_from([1e-10, 1e-8, 1e-3])}
SETTINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "SGD": {"momentum": fractions, "dampening": fractions, "weight_decay": decays},
    "Adam": {**moments, "amsgrad": st.booleans(), "decoupled_weight_decay": st.booleans()},
    "AdamW": {**moments, "amsgrad": st.booleans()},
    "NAdam": {**moments, "momentum_decay": st.floats(0.0, 0.1), "decoupled_weight_decay": st.booleans()},
    "RAdam": {**moments, "decoupled_weight_decay": st.booleans()},
    "Adamax": moments,
    "Adagrad": {
        "lr_decay": st.floats(0.0, 0.1),
        "weight_decay": decays,
        "initial_accumulator_value": st.sampled_from([0.0, 1e-3]),
        "eps": moments["eps"],
    },
    "Adadelta": {"rho": fractions, "weight_decay": decays, "eps": st.sampled_from([1e-6, 1e-3])},
    "RMSprop": {
        "alpha": st.floats(0.5, 0.99),
        "momentum": fractions,
        "centered": st.booleans(),
        "weight_decay": decays,
        "eps": moments["eps"],
    },
    "Rprop": {"etas": st.tuples(st.floats(0.1, 0.9), st.floats(1.1, 1.5))},
    "ASGD": {"lambd": st.floats(0.0, 0.1), "alpha": st.floats(0.5, 1.0), "t0": st.sampled_from([2.0, 1e6])},
}


@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(data=st.data(), seed=st.integers(0, 2**32), missing=st.sampled_from([0.0, 0.3]))
def test_predicts_torch(name, data, seed, missing):
    """Each of torch's optimizers moves whole float32 parameters as its reference predicts from samples of them."""
    values = data.draw(st.fixed_dictionaries(SETTINGS[name]))
    values |= {"maximize": data.draw(st.booleans())} | data.draw(st.sampled_from(IMPLEMENTATIONS))
    if name == "SGD" and data.draw(st.booleans()):
        values |= {"nesterov": True, "momentum": 0.9, "dampening": 0.0}
    candidate = Candidate(seed, torch_builder(name, values))
    assert first_difference(candidate, candidate.reference(name), 12, missing=missing) is None


SGD_SETTINGS = st.fixed_dictionaries(
    {
        "momentum": st.sampled_from([0.0, 0.5, 0.9, 1.0, 2.0]),
        "dampening": st.sampled_from([0.0, 0.3, 1.0, -2.0]),
        "weight_decay": st.sampled_from([0.0, 1e-4, 0.1, 3.0]),
        "nesterov": st.just(False),
        "maximize": st.booleans(),
    }
) | st.fixed_dictionaries(
    {
        "momentum": st.floats(0.01, 1.0),
        "dampening": st.just(0.0),
        "weight_decay": decays,
        "nesterov": st.just(True),
        "maximize": st.booleans(),
    }
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.tuples(SGD_SETTINGS, SGD_SETTINGS), SGD_SETTINGS, st.integers(0, 2**32), st.sampled_from([0.0, 0.4]))
def test_sgd_is_that_of_torch(values, later, seed, missing):
    """The formula of SGD gives torch's weights and tolerances, without some gradients and with settings that change."""
    later |= {"maximize": values[1]["maximize"]}  # torch's class cancels errors of another sign, the formula adds them
    draws, sizes = np.random.default_rng(seed), [5, 3, 4, 2]
    groups = [GroupSettings(members, each) for members, each in zip(GROUPS, values, strict=True)]
    formula, of_torch = reference("SGD", groups, sizes), TorchOptimizer("SGD", groups, sizes, FLOAT32)
    for step in range(8):
        if step == 5:
            formula.change_settings(1, later)
            of_torch.change_settings(1, later)
        weights, gradient, errors = draws.standard_normal((3, sum(sizes)))
        present, lrs = draws.random(len(sizes)) >= missing, draws.random(2)
        actual, expected = (each.step(weights, gradient, present, lrs, errors) for each in (formula, of_torch))
        np.testing.assert_allclose(actual.after, expected.after, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(actual.tolerance, expected.tolerance, rtol=1e-9)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_predicts_fused(name):
    """The fused implementations move weights as the reference predicts."""
    values = {"fused": True, "weight_decay": 0.1} | ({"momentum": 0.9} if name == "SGD" else {})
    candidate = Candidate(0, torch_builder(name, values))
    assert first_difference(candidate, candidate.reference(name), 30) is None


ADDING_UP = {
    "momentum": ("SGD", {"momentum": 0.999}, 1.0),
    "second moment": ("AdamW", {"weight_decay": 0.0}, 1e-3),
    "decaying maximum": ("Adamax", {}, 1e-3),
    "product of step sizes": ("Rprop", {"step_sizes": (1e-6, 1e6)}, 1.0),
}


@pytest.mark.parametrize(("name", "values", "later"), ADDING_UP.values(), ids=ADDING_UP)
def test_rounding_errors_that_add_up_are_within_the_tolerance(name, values, later):
    """The tolerance holds over hundreds of updates of one sign, in which the coefficients' rounding errors add up."""
    parameter = torch.zeros(1)
    optimizer = getattr(torch.optim, name)([parameter], lr=1e-5, **values)
    expected = reference(name, [GroupSettings((0,), values)], [1])
    for step in range(500 if name != "Rprop" else 140):
        parameter.grad = torch.tensor([later if step else 1.0])
        prediction = expected.step(parameter.double().numpy(), parameter.grad.double().numpy(), ALL, [1e-5])
        optimizer.step()
        assert prediction.difference(parameter.double().numpy()) is None
        parameter.zero_()  # so that rounding errors of the weight do not hide others


def test_weight_decay_that_cancels_the_gradient_is_within_the_tolerance():
    """Where coupled weight decay and gradient cancel, what remains is a rounding error, and Adam may move anywhere."""
    parameter = torch.linspace(50, 100, 200)
    optimizer = torch.optim.Adam([parameter], lr=0.1, weight_decay=0.1)
    expected = reference("Adam", [GroupSettings((0,), {"weight_decay": 0.1})], [200])
    parameter.grad = -0.1 * parameter
    prediction = expected.step(parameter.double().numpy(), parameter.grad.double().numpy(), ALL, [0.1])
    optimizer.step()
    assert prediction.difference(parameter.double().numpy()) is None
    assert prediction.resolution > 1


def test_capturable_is_predicted():
    """AdamW is within the tolerance where it computes the bias correction in float32, as with ``capturable``."""
    candidate = Candidate(2, torch_builder("AdamW", {"betas": (0.9, 0.9999)}))
    for group in candidate.optimizer.param_groups:
        group["capturable"] = True
    expected = candidate.reference("AdamW")
    for step in range(20):
        candidate.backward()
        prediction = candidate.predicted(expected, rates(step))
        correction = 1 - np.float32(0.9999) ** np.float32(step + 1)
        wrong = float(correction) / (1 - 0.9999 ** (step + 1))
        # An error of the bias correction is an error of the learning rate.
        for group in candidate.optimizer.param_groups:
            group["capturable"] = False
        candidate.step([lr * math.sqrt(wrong) for lr in rates(step)])
        assert prediction.difference(candidate.weights()) is None
    assert abs(wrong - 1) > 1e-5


def test_every_optimizer_of_torch_is_known_with_its_settings():
    """Each optimizer of torch has a reference with exactly its settings, or a reason why it has none."""
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    for name, optimizer in vars(torch.optim).items():
        if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer)) or optimizer is Optimizer:
            continue
        if name not in REFERENCES:
            with pytest.raises(UnknownOptimizerError, match=f"'{name}': (its|it) "):
                reference(name, [], [])
            continue
        group = optimizer([parameter], lr=0.1).param_groups[0]
        known = known_settings(name, group)
        assert known.keys() == group.keys() - {"params", "lr"}
        reference(name, [GroupSettings((0,), known)], [2])


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_change_of_settings_is_predicted(name):
    """A schedule that drives the momentum of one group, as OneCycleLR does, is followed with ``change_settings``."""
    key: str = "momentum" if name == "SGD" else "betas"
    candidate = Candidate(3, torch_builder(name, {key: 0.9 if name == "SGD" else (0.9, 0.99)}))
    expected = candidate.reference(name)

    def change(step: int, candidate: Candidate) -> None:
        momentum = 0.95 - 0.01 * step
        value: Setting = momentum if name == "SGD" else (momentum, 0.99)
        candidate.optimizer.param_groups[1][key] = value
        expected.change_settings(1, known_settings(name, candidate.optimizer.param_groups[1]))

    # The reference must know the settings before its own update.
    assert first_difference(candidate, expected, 10, after=change) is None
    assert first_difference(candidate, expected, 10, change=change) is not None


def test_rprop_alone_does_not_follow_the_learning_rate():
    """The references say which optimizer reads the learning rate at its first update alone."""
    followers = {name: reference(name, [], []).follows_learning_rate for name in REFERENCES}
    assert [name for name, follows in followers.items() if not follows] == ["Rprop"]


# Schedule-Free optimizers.


def schedule_free_class(catalogue: Catalogue, number: int, old: str = "", new: str = "") -> tuple[str, Any]:
    """The optimizer that a rendered file writes out, with one text in it replaced."""
    variant = catalogue.variant(number)
    text = Renderer(catalogue).render(catalogue.architecture("ResNet"), variant).text
    assert not old or text.count(old) == 1
    scope: dict[str, Any] = {"__name__": "rendered"}
    exec(text.replace(old, new) if old else text, scope)
    assert variant.optimizer is not None
    return variant.optimizer.name, scope[variant.optimizer.name]


def swaps(
    candidate: Candidate, expected: ReferenceOptimizer, updates: int, missing: float = 0.0
) -> Iterator[Difference | None]:
    """The differences of epochs of ten updates, each between ``train()`` and ``eval()``."""
    for step in range(updates):
        if step % 10 == 0:
            prediction = expected.train_mode(candidate.weights())
            candidate.optimizer.train()
            yield prediction.difference(candidate.weights())
        candidate.backward(missing)
        prediction = candidate.predicted(expected, rates(step))
        candidate.step(rates(step))
        yield prediction.difference(candidate.weights())
        if step % 10 == 9:
            prediction = expected.eval_mode(candidate.weights())
            candidate.optimizer.eval()
            yield prediction.difference(candidate.weights())


def build_with(optimizer: Any, **values: Any) -> Callable[[list[dict[str, Any]]], Any]:
    def build(groups: list[dict[str, Any]]) -> Any:
        groups[1]["weight_decay"] = 0.0
        return optimizer(groups, lr=0.1, **values)

    return build


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.98])
@pytest.mark.parametrize("number", [176, 177])
def test_predicts_the_rendered_schedule_free_class(catalogue, number, momentum, missing):
    """The Schedule-Free classes of rendered files move weights as predicted, in updates and in both swaps."""
    name, optimizer = schedule_free_class(catalogue, number)
    candidate = Candidate(4, build_with(optimizer, momentum=momentum, weight_decay=0.1))
    expected = candidate.reference(name)
    assert [*swaps(candidate, expected, 60, missing)] == [None] * 72


@pytest.mark.parametrize("power", [{"weight_lr_power": 2.0, "r": 0.0}, {"weight_lr_power": 1.0, "r": 0.5}])
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", ["SGDScheduleFree", "AdamWScheduleFree"])
def test_predicts_the_package(name, foreach, power):
    """The classes of the authors' package move weights as predicted, with a warm-up and weights of their own."""
    values = {"warmup_steps": 7, "weight_decay": 0.1, "foreach": foreach, **power}
    candidate = Candidate(5, build_with(getattr(schedulefree, name), **values))
    assert [*swaps(candidate, candidate.reference(name), 60)] == [None] * 72


SCHEDULE_FREE_MUTANTS = {
    "all steps weigh the same": (176, 'weight = group["lr_max"] ** 2', "weight = 1.0"),
    "weights decay": (176, 'group["lr_max"] = max(group["lr_max"], lr)', 'group["lr_max"] = lr'),
    "no bias correction": (177, 'bias_correction2 = 1 - beta2 ** group["step"]', "bias_correction2 = 1"),
    "no swap to x": (177, 'param.copy_(self.state[param]["x"])', "pass"),
    "no swap to y": (176, 'param.copy_(z.lerp(x, group["momentum"]))', "pass"),
    "no average": (176, 'state["x"].lerp_(state["z"], c)', 'state["x"].copy_(state["z"])'),
    "no weight decay": (176, 'update = grad + group["weight_decay"] * param', "update = grad"),
}


@pytest.mark.parametrize(("number", "old", "new"), SCHEDULE_FREE_MUTANTS.values(), ids=SCHEDULE_FREE_MUTANTS)
def test_schedule_free_mutants_differ(catalogue, number, old, new):
    """A Schedule-Free class with one statement changed differs from its reference."""
    name, optimizer = schedule_free_class(catalogue, number, old, new)
    candidate = Candidate(6, build_with(optimizer, momentum=0.9, weight_decay=0.1))
    assert any(difference is not None for difference in swaps(candidate, candidate.reference(name), 60))


# Mutants.


def scale_lr(step: int, candidate: Candidate) -> None:
    for group in candidate.optimizer.param_groups:
        group["lr"] *= 0.99


def scale_lr_late(step: int, candidate: Candidate) -> None:
    if step >= 30:
        scale_lr(step, candidate)


def lose_state(step: int, candidate: Candidate) -> None:
    if step == 20:
        candidate.optimizer.state.clear()


def no_bias_correction(step: int, candidate: Candidate) -> None:
    for state in candidate.optimizer.state.values():
        state["step"].fill_(1e9)


def halve_gradients(step: int, candidate: Candidate) -> None:
    for parameter in candidate.parameters:
        parameter.grad = parameter.grad / 2


def swap_groups(step: int, candidate: Candidate) -> None:
    first, second = candidate.optimizer.param_groups
    first["lr"], second["lr"] = second["lr"], first["lr"]


def skip_one(step: int, candidate: Candidate) -> None:
    candidate.parameters[-1].grad = None


def pull_back(step: int, candidate: Candidate) -> None:
    with torch.no_grad():
        for parameter, initial in zip(candidate.parameters, candidate.initial, strict=True):
            parameter.lerp_(initial, 1e-4)


def setting(key: str, value: Any) -> Callable[[int, Candidate], None]:
    """Another value of a setting than the one that is reported."""

    def change(step: int, candidate: Candidate) -> None:
        for group in candidate.optimizer.param_groups:
            group[key] = value

    return change


SGD = {"momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}
ADAMW = {"weight_decay": 0.05}
MUTANTS = {
    "learning rate times 0.99": ("SGD", SGD, scale_lr),
    "learning rate times 0.99, AdamW": ("AdamW", ADAMW, scale_lr),
    "learning rate times 0.99 from update 30 on": ("SGD", SGD, scale_lr_late),
    "momentum lost at update 20": ("SGD", SGD, lose_state),
    "moments lost at update 20": ("AdamW", ADAMW, lose_state),
    "weight decay ignored": ("SGD", SGD, setting("weight_decay", 0.0)),
    "weight decay ignored, AdamW": ("AdamW", ADAMW, setting("weight_decay", 0.0)),
    "weight decay coupled": ("AdamW", ADAMW, setting("decoupled_weight_decay", False)),
    "no Nesterov momentum": ("SGD", SGD, setting("nesterov", False)),
    "dampening": ("SGD", {"momentum": 0.9}, setting("dampening", 0.1)),
    "another momentum": ("SGD", SGD, setting("momentum", 0.89)),
    "no bias correction": ("AdamW", ADAMW, no_bias_correction),
    "another second moment": ("AdamW", ADAMW, setting("betas", (0.9, 0.998))),
    "another eps": ("AdamW", ADAMW, setting("eps", 1e-6)),
    "amsgrad ignored": ("Adam", {"amsgrad": True, "betas": (0.9, 0.5)}, setting("amsgrad", False)),
    "gradients halved": ("SGD", SGD, halve_gradients),
    "groups exchanged": ("AdamW", ADAMW, swap_groups),
    "one parameter never updated": ("AdamW", ADAMW, skip_one),
    "loss maximized": ("AdamW", ADAMW, setting("maximize", True)),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_differ(mutant):
    """An optimizer that does not do what its settings say differs from its reference, and an honest one does not."""
    name, values, change = MUTANTS[mutant]
    honest = Candidate(7, torch_builder(name, values))
    assert first_difference(honest, honest.reference(name), 40) is None
    candidate = Candidate(7, torch_builder(name, values))
    assert first_difference(candidate, candidate.reference(name), 40, change=change) is not None


def test_weights_pulled_back_after_the_update_differ():
    """A file that moves its weights by 0.01% of their way back after each update differs from the reference."""
    candidate = Candidate(8, torch_builder("SGD", SGD))
    assert first_difference(candidate, candidate.reference("SGD"), 40, after=pull_back) is not None


# State.


def continued(name: str, build: Callable[[list[dict[str, Any]]], Any], *, load: bool) -> Difference | None:
    """The difference of an update after the state went to another reference, which loads it or does not."""
    candidate = Candidate(9, build)
    before = candidate.reference(name)
    assert first_difference(candidate, before, 20, missing=0.2) is None
    state = pickle.loads(pickle.dumps(before.state()))
    assert first_difference(candidate, before, 2) is None  # what comes later is not in the state
    candidate = Candidate(9, build)
    expected = candidate.reference(name)
    assert first_difference(candidate, expected, 20, missing=0.2) is None
    after = candidate.reference(name)
    if load:
        after.load(state)
    difference = first_difference(candidate, after, 5, missing=0.2)
    return difference[1] if difference else None


STATES = {
    **{name: torch_builder(name, {"momentum": 0.9} if name == "SGD" else {}) for name in REFERENCES},
    "SGDScheduleFree": build_with(schedulefree.SGDScheduleFree),
    "AdamWScheduleFree": build_with(schedulefree.AdamWScheduleFree),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_is_carried_over(name):
    """A reference in another process continues after ``load``; without it the file's next updates differ."""

    def build(groups: list[dict[str, Any]]) -> Any:
        optimizer = STATES[name](groups)
        if name not in REFERENCES:
            optimizer.train()
        return optimizer

    assert continued(name, build, load=True) is None
    assert continued(name, build, load=False) is not None


# Errors of gradients.


@pytest.mark.parametrize("name", [name for name in REFERENCES if name != "Rprop"])
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([1e-5, 1e-3, 0.1, 0.5]), same=st.booleans())
def test_errors_of_gradients_are_within_the_tolerance(name, seed, size, same):
    """A file whose gradients differ by the given errors is within the tolerance, whether they have one sign or not."""
    candidate = Candidate(seed, torch_builder(name, {"rho": 0.5, "weight_decay": 0.1} if name == "Adadelta" else {}))
    expected = candidate.reference(name)
    signs = [candidate.tensor(shape, 1.0).sign() for shape in SHAPES]
    for step in range(40):
        candidate.backward()
        gradients = [parameter.grad * 10 ** candidate.draws.uniform(-1, 1) for parameter in candidate.parameters]
        errors = [size * gradient.abs() for gradient in gradients]
        prediction = expected.step(
            candidate.weights(),
            candidate.samples(gradients),
            np.ones(len(SHAPES), dtype=bool),
            rates(step),
            candidate.samples(errors),
        )
        for parameter, gradient, error, sign in zip(candidate.parameters, gradients, errors, signs, strict=True):
            noise = sign if same else candidate.tensor(parameter.shape, 1.0).clamp(-1, 1)
            parameter.grad = gradient + 0.99 * error * noise
        candidate.step(rates(step))
        assert prediction.difference(candidate.weights()) is None


@pytest.mark.parametrize("name", ["Adam", "Rprop"])
def test_gradients_that_are_rounding_errors_decide_nothing(name):
    """Where errors are above a gradient, the weight may move in any direction; without errors it may not."""
    for errors, decided in ((1e-5, False), (0.0, True)):
        expected = reference(name, [GroupSettings((0,), {})], [1])
        prediction = expected.step(np.array([0.5]), np.array([1e-6]), ALL, [0.01], np.array([errors]))
        assert (prediction.difference(np.array([0.51])) is not None) is decided


# Comparison.


def sgd(sizes: tuple[int, ...] = (2, 3), parameters: tuple[int, ...] = (0, 1)) -> ReferenceOptimizer:
    return reference("SGD", [GroupSettings(parameters, {})], sizes)


BOTH = np.array([True, True])


def test_a_difference_names_its_place():
    """The largest difference is reported with parameter, sample and both values."""
    prediction = sgd().step(np.ones(5), np.ones(5), BOTH, [0.5])
    difference = prediction.difference(np.array([0.5, 0.5001, 0.5, 0.5, 0.6]))
    assert difference is not None
    assert (difference.parameter, difference.sample, difference.observed, difference.expected) == (1, 2, 0.6, 0.5)
    assert 0 < difference.tolerance < 2e-6


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_differs(value):
    """A weight that is not finite differs, also from a prediction that is not finite."""
    for gradient in (1.0, value):
        prediction = sgd((1,), (0,)).step(np.ones(1), np.array([gradient]), ALL, [0.5])
        assert prediction.difference(np.array([value])) is not None


@pytest.mark.parametrize("name", ["SGD", "AdamW", "ScheduleFreeSGD"])
@pytest.mark.parametrize("present", [ALL, NONE])
def test_a_weight_without_an_update_is_exactly_kept(name, present):
    """A parameter without a gradient, or in no group, keeps its weight to the last bit, whatever its gradient was."""
    weight = np.array([0.1])
    expected = reference(name, [GroupSettings(() if present[0] else (0,), {"weight_decay": 0.1})], [1])
    prediction = expected.step(weight, np.array([math.nan]), present, [0.5])
    assert prediction.difference(weight) is None
    assert prediction.difference(np.nextafter(weight, 1)) is not None
    assert expected.eval_mode(weight).difference(np.nextafter(weight, 1)) is not None


def test_progress_is_the_ratio_of_the_updates():
    """``progress`` tells half an update from an update, and says nothing where nothing should move."""
    prediction = sgd().step(np.ones(5), np.array([1.0, 1.0, -1.0, -1.0, -1.0]), BOTH, [0.5])
    halves = (np.ones(5) + prediction.after) / 2
    assert prediction.progress(halves) == pytest.approx(0.5)
    still = sgd().step(np.ones(5), np.ones(5), ~BOTH, [0.5])
    assert still.progress(halves) is None


def test_the_resolution_is_the_smallest_error_that_shows():
    """A learning rate that is wrong by less than the resolution passes; one that is wrong by more differs."""
    weights, gradient = np.array([1.0, 0.01]), np.array([0.1, 0.1])
    prediction = sgd((2,), (0,)).step(weights, gradient, ALL, [0.1])
    assert 1e-6 < prediction.resolution < 1e-5
    for factor, differs in ((0.9, False), (1.1, True)):
        observed = weights - 0.1 * (1 + factor * prediction.resolution) * gradient
        assert (prediction.difference(observed) is not None) is differs


def test_an_optimizer_whose_updates_vanish_has_no_resolution():
    """Where ``eps`` is so large that no weight moves, the resolution says that any learning rate is accepted."""
    expected = reference("AdamW", [GroupSettings((0,), {"eps": 1e6, "weight_decay": 0.0})], [1])
    assert expected.step(np.ones(1), np.ones(1), ALL, [1e-3]).resolution > 1
    assert expected.step(np.ones(1), np.ones(1), NONE, [1e-3]).resolution == math.inf
    assert reference("SGD", [], []).step(np.ones(0), np.ones(0), ALL[:0], []).resolution == math.inf


def test_the_errors_have_no_initial_accumulator_value():
    """The initial value of Adagrad's accumulator does not make the tolerance as large as the update."""
    expected = reference("Adagrad", [GroupSettings((0,), {"initial_accumulator_value": 1.0})], [1])
    assert expected.step(np.zeros(1), np.ones(1), ALL, [0.1]).resolution < 1e-4


def test_wrong_numbers_of_samples_are_named():
    """Samples, gradients, learning rates and groups that do not fit raise a ValueError that says which."""
    with pytest.raises(ValueError, match=r"expected 5 weights, got an array of shape \(4,\)"):
        sgd().step(np.ones(4), np.ones(5), BOTH, [0.1])
    with pytest.raises(ValueError, match=r"expected 5 gradients, got an array of shape \(5, 1\)"):
        sgd().step(np.ones(5), np.ones((5, 1)), BOTH, [0.1])
    with pytest.raises(ValueError, match="expected gradients of 2 parameters, got 1"):
        sgd().step(np.ones(5), np.ones(5), ALL, [0.1])
    with pytest.raises(ValueError, match="expected 1 learning rates, got 2"):
        sgd().step(np.ones(5), np.ones(5), BOTH, [0.1, 0.1])
    with pytest.raises(ValueError, match="parameter 2 of group 0 does not exist, there are 2"):
        sgd(parameters=(0, 2))
    with pytest.raises(ValueError, match="parameter 0 is in the groups 0 and 0"):
        sgd(parameters=(0, 0))


# Settings from a report.

INVALID: list[tuple[str, Any, Any]] = [
    ("SGD", "momentum", math.nan),
    ("SGD", "momentum", math.inf),
    ("SGD", "momentum", -0.1),
    ("SGD", "momentum", True),
    ("SGD", "momentum", "0.9"),
    ("SGD", "momentum", None),
    ("SGD", "momentum", 10**400),
    ("SGD", "momentum", [0.9] * 1_000_000),
    ("SGD", "nesterov", 2),
    ("SGD", "nesterov", None),
    ("SGD", "foreach", "yes"),
    ("SGD", "betas", (0.9, 0.999)),
    ("SGD", "k" * 1_000_000, 0.0),
    ("SGD", "\u202e\x1b[2J", "\u202e\x1b[2J"),
    ("AdamW", "betas", (0.9,)),
    ("AdamW", "betas", (0.9, 1.0)),
    ("AdamW", "betas", (0.9, math.nan)),
    ("AdamW", "betas", [0.9] * 1_000_000),
    ("AdamW", "betas", 0.9),
    ("ASGD", "alpha", 1e5),
    ("ScheduleFreeSGD", "momentum", 1.0),
    ("ScheduleFreeSGD", "betas", (0.9, 0.99)),
]


@pytest.mark.parametrize(("name", "key", "value"), INVALID, ids=range(len(INVALID)))
def test_invalid_settings_are_named(name, key, value):
    """An invalid setting raises an error with key and value, in one short printable line."""
    with pytest.raises(InvalidSettingError) as caught:
        reference(name, [GroupSettings((0,), {key: value})], [1])
    assert (caught.value.key, caught.value.value) == (key, value)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 300
    assert repr(key)[:10] in message


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values_of_reports = numbers | st.lists(numbers, max_size=3) | st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2)
extremes = st.sampled_from([0.0, 5e-324, 1e-300, 0.5, 1 - 2**-53, 1.0, 10.0, 1e6, 1e12])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_no_setting_crashes_a_reference(data):
    """Whatever a report says, it is refused by name, or the reference makes its updates."""
    name = data.draw(st.sampled_from([*REFERENCES, "ScheduleFreeSGD", "ScheduleFreeAdamW", "AdamWScheduleFree"]))
    keys = sorted(kinds_of(name))
    values = values_of_reports | extremes | st.lists(extremes, min_size=2, max_size=2)
    reported = data.draw(st.dictionaries(st.sampled_from(keys), values, max_size=4))
    try:
        expected = reference(name, [GroupSettings((0,), reported)], [3])
    except InvalidSettingError:
        return
    for lr in (0.0, 1e-5, 1.0):
        prediction = expected.step(np.array([0.0, 1.0, -1e30]), np.array([0.0, 1e-30, 1e30]), ALL, [lr])
        prediction.difference(prediction.after)
        assert prediction.after.shape == (3,)
    expected.load(expected.state())


@pytest.mark.parametrize("name", ["", "Lion", "sgd", "Optimizer", "__class__", "x" * 100_000, None, 3, ["SGD"]])
def test_an_unknown_optimizer_is_named(name):
    """A name without a reference raises an error that shows it, shortened."""
    with pytest.raises(UnknownOptimizerError, match="no reference for the optimizer .*: it is unknown") as caught:
        reference(name, [], [])
    assert len(str(caught.value)) < 200


def test_what_schedulers_and_files_note_in_a_group_is_left_out():
    """Entries of schedulers and of layer-wise schedules are accepted; others only through ``known_settings``."""
    group = {"lr": 0.1, "params": [], "initial_lr": 0.1, "max_lr": 1.0, "depth": 3, "momentum": 0.9}
    reference("SGD", [GroupSettings((0,), group)], [1])
    noted = {**group, "name": "head"}
    with pytest.raises(InvalidSettingError, match="has no setting 'name'"):
        reference("SGD", [GroupSettings((0,), noted)], [1])
    assert known_settings("SGD", noted) == {"momentum": 0.9}
    state = {"step": 3, "lr_max": 0.1, "weight_sum": 0.3}
    reference("ScheduleFreeAdamW", [GroupSettings((0,), {"momentum": 0.9, **state})], [1])
