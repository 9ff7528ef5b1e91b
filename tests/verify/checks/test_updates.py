"""The effect of updates on weights: real loops of torch follow the reference, and each tampering with them does not."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import schedulefree
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import Optimizer

from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference_optimizer import InvalidSettingError, UnknownOptimizerError
from lrgen.verify.checks.updates import Effects, Gradients, Place, WrongUpdate, reference_name
from lrgen.verify.messages import CriterionReport, Learned, OptimizerReport, SetUp
from lrgen.verify.nursery.watch import Watch, settings_of

AWAY = "the weights do not move by the learning rate of the schedule"
BATCHES = 3
POSITIONS = [np.array([0, 3, 11]), np.array([1])]  # of the two parameters below
NAMES = ["weight", "bias"]
ALL = np.array([True, True])
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "SGD": torch.optim.SGD,
    "SGD with momentum": lambda p, **k: torch.optim.SGD(p, **k, momentum=0.9),
    "SGD with Nesterov": lambda p, **k: torch.optim.SGD(p, **k, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "Adam": torch.optim.Adam,
    "AdamW": lambda p, **k: torch.optim.AdamW(p, **k, weight_decay=0.1),
    "AdamW in one kernel": lambda p, **k: torch.optim.AdamW(p, **k, amsgrad=True, fused=True),
    "RMSprop": lambda p, **k: torch.optim.RMSprop(p, **k, momentum=0.9),
    "NAdam": torch.optim.NAdam,
    "Adagrad": torch.optim.Adagrad,
}
Tamper = Callable[["Training", int], object]


def report(optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> SetUp:
    """What a file's process says of its optimizer."""
    index = {id(parameter): at for at, parameter in enumerate(parameters)}
    return SetUp(
        parameters=[],
        missing=[],
        optimizer=OptimizerReport(
            is_optimizer=True,
            name=type(optimizer).__name__,
            classes=[f"{kind.__module__}.{kind.__qualname__}" for kind in type(optimizer).__mro__],
        ),
        groups=[
            {  # type: ignore[list-item]  # it is validated
                "parameters": [index[id(parameter)] for parameter in group["params"]],
                "lr": float(group["lr"]),
                "depth": 0,
                "settings": settings_of(group),
            }
            for group in optimizer.param_groups
        ],
        criterion=CriterionReport(name="", callable=True, cross_entropy=True, label_smoothing=0.0),
        scheduler=True,
        scheduler_state="",
        takes_metric=False,
        horizons=[],
        read=[],
    )


def nothing(training: "Training", batch: int) -> None:
    """Change nothing."""


@dataclass
class Training:
    """A loop of torch over drawn gradients, and the examiner's view of it.

    A file may change something at the start of ``learn``, before a batch, after its update, or at the end; the
    ``scheduled`` learning rate is what the examiner knows.
    """

    make: Callable[..., Optimizer] = OPTIMIZERS["SGD with momentum"]
    scheduled: Callable[[int], float] = lambda update: 0.1
    at_start: Tamper = nothing
    before: Tamper = nothing
    after: Tamper = nothing
    at_end: Tamper = nothing
    seed: int = 0
    update: int = 0
    made: int = 0
    step: Tamper = field(default=lambda training, batch: training.optimizer.step())

    def __post_init__(self) -> None:
        self.draw = np.random.Generator(np.random.Philox(self.seed))
        self.net: Any = nn.Linear(4, 3)
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(torch.from_numpy(self._noise(parameter.shape) * 0.5))
        self.net.optimizer = self.make(self.net.parameters(), lr=self.scheduled(0))
        self.effects = Effects(report(self.net.optimizer, list(self.net.parameters())), Sampling(POSITIONS), NAMES)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer of the network."""
        return self.net.optimizer

    def _noise(self, shape: Sequence[int]) -> np.ndarray:
        noise = self.draw.random(tuple(shape), dtype=np.float32) - np.float32(0.5)
        return noise + np.copysign(np.float32(0.2), noise)

    def learn(self, batches: int = BATCHES) -> None:
        """One call of ``learn``, compared with the reference."""
        effects, gradients, start = self.effects, [], self.made
        arrays = effects.sampling.arrays
        with Watch(self.net, *arrays, False, set()) as watch:
            self.at_start(self, 0)
            for batch in range(batches):
                watch.before_batch(batch)
                self.optimizer.param_groups[0]["lr"] = self.scheduled(self.made)
                given = [self._noise(parameter.shape) for parameter in self.net.parameters()]
                samples = [values.reshape(-1)[at] for values, at in zip(given, POSITIONS, strict=True)]
                gradients.append(Gradients(np.concatenate(samples), ALL))
                for parameter, gradient in zip(self.net.parameters(), given, strict=True):
                    parameter.grad = torch.from_numpy(gradient)
                self.before(self, batch)
                self.step(self, batch)
                self.after(self, batch)
                self.made += 1
            watch.at_end()
            self.at_end(self, batches)
        values, noted = watch.taken()
        learned = Learned.model_validate({"result": {"kind": "nothing"}, "horizons": [], **values})
        notes = Notes.of(learned, noted, effects.sampling)
        rates = np.array([[self.scheduled(start + update) for update in range(batches)]])
        effects.follow(notes, gradients, rates, Place(start // BATCHES, batches), "the curve")

    def resume(self, with_state: bool = True) -> None:
        """Continue with a new network and a new optimizer, from their states."""
        state, net = copy.deepcopy(self.optimizer.state_dict()), copy.deepcopy(self.net)
        net.optimizer = self.make(net.parameters(), lr=self.scheduled(self.made))
        if with_state:
            net.optimizer.load_state_dict(state)
        self.net = net


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_real_loop_follows_the_reference(name):
    """Whatever optimizer of torch trains, three epochs with a resumed one between are as the reference predicts."""
    training = Training(OPTIMIZERS[name], lambda update: 0.01 / (1 + update))
    training.learn()
    training.learn()
    training.resume()
    training.learn()
    assert training.effects.resolution < 0.01


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["SGD", "AdamW", "RMSprop"]),
    st.lists(st.floats(1e-4, 1.0), min_size=6, max_size=6),
    st.floats(0.0, 0.99),
    st.floats(0.0, 0.5),
    st.integers(0, 2**32),
)
def test_any_rates_and_settings_follow_the_reference(name, rates, momentum, decay, seed):
    """For drawn learning rates and settings, too, weights move as predicted, and a shift of them is found."""
    extra = {"betas": (momentum, 0.99)} if name == "AdamW" else {"momentum": momentum}

    def make(parameters: Any, lr: float) -> Optimizer:
        return getattr(torch.optim, name)(parameters, lr=lr, weight_decay=decay, **extra)

    training = Training(make, lambda update: rates[update % len(rates)], seed=seed)
    training.learn()
    training.learn()
    assert training.made == 2 * BATCHES
    training.after = lambda training, batch: training.net.weight.data.add_(1.0)
    with pytest.raises(CheckFailure):
        training.learn()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["SGD", "SGD with momentum", "AdamW", "RMSprop"]),
    st.floats(1e-3, 0.3),
    st.sampled_from([0.0, 0.5, 0.95, 1.05, 2.0, -1.0]),
    st.integers(0, 5),
)
def test_another_rate_at_any_update_is_seen(name, rate, factor, wrong):
    """A learning rate that is 5% off at one update is seen there, at any rate of an ordinary size."""

    def tamper(training: Training, batch: int) -> None:
        if training.made == wrong:
            training.optimizer.param_groups[0]["lr"] = factor * rate

    training = Training(OPTIMIZERS[name], lambda update: rate, before=tamper)
    where = f"in learn at epoch {wrong // BATCHES + 1}, batch {wrong % BATCHES + 1} of {BATCHES}"
    with pytest.raises(CheckFailure, match=where):
        [training.learn() for _ in range(2)]


def _scale(factor: float) -> Tamper:
    """Scale the first parameter."""

    def tamper(training: Training, batch: int) -> None:
        with torch.no_grad():
            training.net.weight.mul_(factor)

    return tamper


def _group(**values: float) -> Tamper:
    """Set values of the parameter group from the second batch on."""
    return lambda training, batch: training.optimizer.param_groups[0].update(values) if batch else None


def _without_gradient(training: Training, batch: int) -> None:
    training.net.bias.grad = None


def _clear(training: Training, batch: int) -> None:
    if batch == 1:
        training.optimizer.state.clear()


def _twice(training: Training, batch: int) -> None:
    training.optimizer.step()
    training.optimizer.step()


def _by_hand(training: Training, batch: int) -> None:
    with torch.no_grad():
        for parameter in training.net.parameters():
            parameter.sub_(0.1 * parameter.grad)


def _with_another(training: Training, batch: int) -> None:
    training.optimizer.step()
    torch.optim.SGD(training.net.parameters(), lr=0.01).step()


def _undone(training: Training, batch: int) -> None:
    kept = copy.deepcopy(training.net.state_dict())
    training.optimizer.step()
    if batch == 1:
        training.net.load_state_dict(kept)


def _without(key: str, optimizer: Optimizer) -> Optimizer:
    del optimizer.param_groups[0][key]
    return optimizer


CHANGES = {
    "the rate is halved": (AWAY, {"before": _group(lr=0.05)}),
    "a parameter is frozen": (AWAY, {"before": _without_gradient}),
    "gradients are scaled": (AWAY, {"before": lambda training, batch: training.net.weight.grad.mul_(2)}),
    "the weights change before an update": (AWAY, {"before": _scale(0.9)}),
    "the weights change after an update": (AWAY, {"after": _scale(0.999)}),
    "the weights change after the last batch": ("the weights change after the last batch", {"at_end": _scale(0.999)}),
    "weight decay is added in the group": ("the setting weight_decay", {"before": _group(weight_decay=0.1)}),
    "momentum changes": ("the setting momentum", {"before": _group(momentum=0.5)}),
    "the state of the optimizer is lost": (AWAY, {"before": _clear}),
    "a group is added": (
        "the number of parameter groups changes from 1 to 2 in learn at epoch 1, batch 1",
        {"before": lambda training, batch: training.optimizer.add_param_group({"params": [torch.zeros(1)]})},
    ),
    "a setting is added": (
        "the setting nesterov of parameter group 1 changes from None to False",
        {
            "make": lambda parameters, lr: _without("nesterov", torch.optim.SGD(parameters, lr=lr)),
            "before": lambda training, batch: training.optimizer.param_groups[0].update(nesterov=False),
        },
    ),
    "an update is made twice": (
        "learn makes 2 updates between two batches in learn at epoch 1, batch 1 of 3",
        {"step": _twice},
    ),
    "updates are made by hand": ("in a batch without a step of the optimizer", {"step": _by_hand}),
    "another optimizer steps as well": (AWAY, {"step": _with_another}),
    "an update is undone": (AWAY, {"step": _undone}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name):
    """A loop that differs from the reference in one thing fails, for a reason that says where or what."""
    reason, changes = CHANGES[name]
    training = Training(**changes)
    with pytest.raises(CheckFailure, match=reason):
        [training.learn() for _ in range(2)]


def test_a_setting_that_is_changed_and_set_back_is_seen_in_the_weights():
    """Momentum that is other during the step alone, unseen by the notes, shows in how the weights move."""

    def step(training: Training, batch: int) -> None:
        hook = training.optimizer.register_step_pre_hook(
            lambda optimizer, *_: optimizer.param_groups[0].update(momentum=0.5)
        )
        training.optimizer.step()
        hook.remove()
        training.optimizer.param_groups[0]["momentum"] = 0.9

    with pytest.raises(CheckFailure, match=AWAY):
        Training(step=step).learn()


@pytest.mark.parametrize("position", [0, 2])
def test_weights_that_change_between_two_calls_are_seen(position):
    """Between two calls of learn no weight changes: neither one that is sampled nor one that only the digest shows."""
    training = Training()
    training.learn()
    with torch.no_grad():
        training.net.weight.view(-1)[position] += 1e-3
    with pytest.raises(CheckFailure, match="the weights change between two calls of learn"):
        training.learn()


def _mode(name: str, *batches: int) -> Tamper:
    """Call ``train()`` or ``eval()`` of the optimizer in these batches, or in all."""
    return lambda training, batch: getattr(training.optimizer, name)() if not batches or batch in batches else None


def _both_modes(training: Training, batch: int) -> None:
    training.optimizer.eval()
    training.optimizer.train()


MODES: dict[str, tuple[str, dict[str, Tamper]]] = {
    "around the batches": ("", {"at_start": _mode("train"), "at_end": _mode("eval")}),
    "in the first and the last batch": ("", {"before": _mode("train", 0), "after": _mode("eval", BATCHES - 1)}),
    "in each batch without an effect": ("", {"before": _both_modes, "after": _both_modes, "at_end": _mode("eval")}),
    "train() alone": ("", {"before": _mode("train")}),
    "in each batch": (f"{AWAY} in learn at epoch 1, batch 2", {"before": _mode("train"), "after": _mode("eval")}),
    "eval() in the second batch": (
        f"{AWAY} in learn at epoch 1, batch 2",
        {"before": _mode("train"), "after": _mode("eval", 1), "at_end": _mode("eval")},
    ),
    "eval() at the start": (
        r"^the weights change before the first batch \(in learn at epoch 2\)",
        {"at_start": _mode("eval"), "before": _mode("train")},
    ),
    "other weights": (
        r"^the weights change after the last batch \(in learn at epoch 1\)",
        {
            "at_start": _mode("train"),
            "at_end": lambda training, batch: (training.optimizer.eval(), training.net.weight.data.mul_(0.999)),
        },
    ),
}


@pytest.mark.parametrize("name", MODES)
def test_an_optimizer_with_modes_moves_weights_around_the_updates_alone(name):
    """Schedule-Free's ``train()`` comes before the first update of an epoch, and ``eval()`` after the last one."""

    def make(parameters: Any, lr: float) -> Optimizer:
        return schedulefree.SGDScheduleFree(parameters, lr=lr, weight_decay=0.1)

    reason, changes = MODES[name]
    training = Training(make, **changes)
    if not reason:
        [training.learn() for _ in range(3)]
        return
    with pytest.raises(WrongUpdate, match=reason):
        [training.learn() for _ in range(3)]


def test_state_that_is_lost_on_resume_is_seen():
    """A run that is resumed without the state of its optimizer moves otherwise than the reference."""
    training = Training()
    training.learn()
    training.resume(with_state=False)
    with pytest.raises(CheckFailure, match=f"{AWAY} in learn at epoch 2, batch 1 of 3"):
        training.learn()


def test_a_reason_says_how_large_the_update_was():
    """The reason names the weight, the expected one, and the update as a multiple of the reference's."""
    training = Training(OPTIMIZERS["SGD"], before=_group(lr=0.05))
    reason = r"a weight of (weight|bias) is \S+, expected \S+, the update is 0\.5 times that of SGD \(the curve\)$"
    with pytest.raises(CheckFailure, match=reason):
        training.learn()


def test_a_rate_of_zero_keeps_the_weights():
    """At a learning rate of zero no weight moves; one that does is seen, and the resolution stays infinite."""
    training = Training(OPTIMIZERS["SGD"], lambda update: 0.0)
    training.learn()
    assert training.effects.resolution > 1
    training.before = lambda training, batch: training.optimizer.param_groups[0].update(lr=1e-6)
    with pytest.raises(CheckFailure, match=AWAY):
        training.learn()


def test_an_optimizer_is_named_after_its_class_or_the_first_base_that_is_known():
    """A subclass of a known optimizer is compared with that one; an unknown or not elementwise one is an error."""

    class Own(torch.optim.AdamW):
        pass

    parameters = [nn.Parameter(torch.zeros(3, 2))]
    assert reference_name(report(Own(parameters), parameters).optimizer) == "AdamW"
    unknown = OptimizerReport(is_optimizer=True, name="Muon\n", classes=["a.Muon", "builtins.object"])
    with pytest.raises(UnknownOptimizerError):
        reference_name(unknown)


def test_without_a_claim_only_classes_of_torch_have_a_reference():
    """A class of a file's own may share the name of another optimizer; one that derives from torch's is that one."""
    written = OptimizerReport(is_optimizer=True, name="Adam", classes=["file.Adam", "torch.optim.optimizer.Optimizer"])
    derived = OptimizerReport(is_optimizer=True, name="Adam", classes=["file.Adam", "torch.optim.sgd.SGD"])
    assert reference_name(written) == "Adam"
    with pytest.raises(UnknownOptimizerError):
        reference_name(written, torch_alone=True)
    assert reference_name(derived, torch_alone=True) == "SGD"
    whole = OptimizerReport(is_optimizer=True, name="LBFGS", classes=["torch.optim.lbfgs.LBFGS"])
    with pytest.raises(UnknownOptimizerError, match="its direction depends on all weights"):
        reference_name(whole)


def test_a_setting_that_the_reference_does_not_have_is_an_error():
    """A group with an invalid setting cannot be compared."""
    parameters = [nn.Parameter(torch.zeros(3, 2))]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.param_groups[0]["momentum"] = -1.0
    with pytest.raises(InvalidSettingError):
        Effects(report(optimizer, parameters), Sampling([np.array([0])]), NAMES)


EVENTS = [{"kind": kind, "digest": None, "steps": steps} for kind, steps in (("start", 0), ("batch", 0), ("return", 1))]
STEPS = [{"rates": [0.1], "settings": None, "norm": None}]


@pytest.mark.parametrize(
    ("values", "shapes"),
    [
        ({"events": EVENTS[:0]}, [(0, 4), (0, 4), (0, 2)]),
        ({"events": EVENTS[1:]}, [(2, 4), (0, 4), (0, 2)]),
        ({"events": EVENTS[:2]}, [(2, 4), (0, 4), (0, 2)]),
        ({"events": [EVENTS[0], EVENTS[2], EVENTS[1], EVENTS[2]]}, [(4, 4), (0, 4), (0, 2)]),
        ({"steps": STEPS * 2}, [(3, 4), (0, 4), (0, 2)]),
        ({"steps": []}, [(3, 4), (0, 4), (0, 2)]),
        ({}, [(2, 4), (0, 4), (0, 2)]),
        ({}, [(3, 5), (0, 4), (0, 2)]),
        ({}, [(3, 4), (2, 4), (0, 2)]),
        ({}, [(3, 4), (1, 4), (1, 3)]),
        ({}, [(3, 4)]),
        ({}, []),
    ],
)
def test_notes_that_do_not_fit_together_are_refused(values, shapes):
    """Events, steps and arrays of other numbers are a failure of the file, whatever is missing."""
    learned = Learned.model_validate(
        {"result": {"kind": "nothing"}, "horizons": [], "events": EVENTS, "steps": STEPS, **values}
    )
    with pytest.raises(CheckFailure):
        Notes.of(learned, [np.zeros(shape, np.float32) for shape in shapes], Sampling(POSITIONS))


@pytest.mark.parametrize("gradients", [False, True])
def test_gradients_are_noted_where_they_were_asked_for(gradients):
    """Notes have the gradients of each step if they were asked for, and none if not."""
    learned = Learned.model_validate({"result": {"kind": "nothing"}, "horizons": [], "events": EVENTS, "steps": STEPS})
    for noted in (False, True):
        arrays = [np.zeros((3, 4)), np.zeros((int(noted), 4)), np.zeros((int(noted), 2), np.uint8)]
        if noted == gradients:
            assert len(Notes.of(learned, arrays, Sampling(POSITIONS), gradients=gradients).present) == noted
        else:
            with pytest.raises(CheckFailure):
                Notes.of(learned, arrays, Sampling(POSITIONS), gradients=gradients)


def test_a_call_that_was_stopped_may_end_before_its_first_step():
    """Notes end with the return of learn, unless it was to be stopped; an evaluation has weights of all samples."""
    learned = Learned.model_validate(
        {"result": {"kind": "nothing"}, "horizons": [], "events": EVENTS[:2], "steps": STEPS}
    )
    arrays = [np.zeros((2, 4)), np.zeros((1, 4)), np.zeros((1, 2), np.uint8)]
    notes = Notes.of(learned, arrays, Sampling(POSITIONS), gradients=True, stopped=True)
    assert notes.evaluated(np.ones(4), 1).weights.tolist() == [[0.0] * 4] * 2 + [[1.0] * 4]
    with pytest.raises(CheckFailure):
        notes.evaluated(np.ones(5), 1)
    with pytest.raises(CheckFailure):
        Notes.of(learned, arrays, Sampling(POSITIONS), gradients=True)
