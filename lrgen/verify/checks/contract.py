"""The contract check: LEMUR's names, signatures, shapes and hyperparameters, and no work at import time.

It also compares the gradients of a batch after two different batches (checks.gradients).
"""

import contextlib
import hashlib
import inspect
import io
import math
import types
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.checks import gradients, source
from lrgen.verify.checks.reference import losses, metrics_of
from lrgen.verify.checks.subject import CheckFailure, Prm, Subject, global_state, random_batches

STAGE = Stage.CONTRACT
_SIGNATURES = {
    "__init__": ["self", "in_shape", "out_shape", "prm", "device"],
    "train_setup": ["self", "prm"],
    "learn": ["self", "train_data"],
    "forward": ["self", "x"],
}
_ATTRIBUTES = ("device", "criterion", "optimizer", "scheduler")
# Of momentum and dropout both ends of their range, [0, 1): Nesterov momentum of torch, for one, raises at 0.
_TEST_VALUES = {"lr": (0.01, 0.02), "momentum": (0.0, 0.999), "dropout": (0.0, 0.999)}
_HORIZON = 40
# Channels, pixels, classes and batch size of the inputs that every network must accept.
_CASES = ((3, 32, 10, 2), (1, 32, 7, 1), (3, 224, 10, 1))
_BATCHES = 2


def measure(subject: Subject) -> dict[str, Any]:
    """Inspect the source, load the module, build the network in several sizes and train it on two batches.

    The measurement holds the shapes of the outputs, the number of updates, the dependence of the gradients on earlier
    batches, and digests: of the parameters before and after training, and of the behaviour of the network with two
    values of each hyperparameter.

    Raises:
        CheckFailure: at the first violation of the contract.
    """
    assert subject.tree is not None
    source.check(subject.tree, subject.candidate.source, subject.settings.policy)
    _load(subject)
    _check_signatures(subject)
    shapes = [_output_shape(subject, *case) for case in _CASES]
    prm, learned = _learn(subject)
    net = subject.network(subject.prm())
    with _Attempt(subject, "learn"):
        compared = gradients.measure(net, subject)
    effects = _effects(subject, net, prm)
    return {"shapes": shapes, **learned, "gradients": compared, "declared": subject.declared, "effects": effects}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Check the shapes of the outputs, the number of updates and the effects of the hyperparameters."""
    expected = [[batch, classes] for _, _, classes, batch in _CASES]
    if measurement["shapes"] != expected:
        return f"the outputs have the shapes {measurement['shapes']}, expected {expected}"
    if measurement["updates"] != _BATCHES:
        return (
            f"the number of optimizer steps in learn is {measurement['updates']}, expected {_BATCHES} (one per batch)"
        )
    if measurement["before"] == measurement["after"]:
        return f"learn changes no parameter in {_BATCHES} batches"
    reason = gradients.judge(measurement["gradients"])
    if reason:
        return reason
    declared, effects = measurement["declared"], measurement["effects"]
    if "lr" not in declared:
        return f"supported_hyperparameters must contain 'lr', got {declared}"
    if sorted(effects) != declared:
        return f"the effects of {sorted(effects)} were measured, expected those of {declared}"
    without_effect = next((name for name in declared if len(set(effects[name])) != 2), None)
    if without_effect is not None:
        low, high = _values_of(without_effect)
        return f"hyperparameter {without_effect} has no effect: training is the same with {low} and {high}"
    return ""


# Checks of the loaded module.


def _load(subject: Subject) -> None:
    def state() -> dict[str, object]:
        return {"random number generator": torch.get_rng_state().tolist(), **global_state()}

    before = state()
    printed = io.StringIO()
    with _Attempt(subject, "importing the file"), contextlib.redirect_stdout(printed):
        subject.load()
    if printed.getvalue():
        raise CheckFailure(f"the file does work at import time: it prints {printed.getvalue()[:80]!r}")
    after = state()
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise CheckFailure(f"the file does work at import time: it changes torch's {' and '.join(changed)}")


def _check_signatures(subject: Subject) -> None:
    assert subject.module is not None
    net = getattr(subject.module, "Net", None)
    if not (isinstance(net, type) and issubclass(net, nn.Module)):
        raise CheckFailure("Net must be a subclass of torch.nn.Module")
    for name, expected in _SIGNATURES.items():
        method = net.__dict__.get(name) or getattr(net, name, None)
        if not isinstance(method, types.FunctionType):
            raise CheckFailure(f"Net has no method {name}")
        if name == "forward" and len(inspect.signature(method).parameters) >= 2:
            continue  # the input may have any name
        actual = list(inspect.signature(method).parameters)
        if actual != expected:
            raise CheckFailure(f"Net.{name} has the parameters ({', '.join(actual)}), expected ({', '.join(expected)})")


def _output_shape(subject: Subject, channels: int, size: int, classes: int, batch: int) -> list[int]:
    inputs = f"{channels}x{size}x{size} inputs and {classes} classes"
    with _Attempt(subject, f"Net for {inputs}"):
        net = subject.network(subject.prm(), channels, size, classes, batch)
        net.eval()
        with torch.no_grad():
            output = net(torch.randn(batch, channels, size, size, device=subject.device))
    if not isinstance(output, Tensor):
        raise CheckFailure(
            f"forward returns an object of type {type(output).__name__} in eval mode for {inputs}, expected a tensor"
        )
    if tuple(output.shape) != (batch, classes):
        raise CheckFailure(f"forward returns the shape {tuple(output.shape)} for {inputs}, expected {(batch, classes)}")
    if not bool(torch.isfinite(output).all()):
        raise CheckFailure(f"forward returns values that are not finite for {inputs}")
    return list(output.shape)


def _learn(subject: Subject) -> tuple[Prm, dict[str, Any]]:
    """Train on two batches with ``train_setup`` and ``learn``.

    Returns the hyperparameters, which record their reads, and the measurement.
    """
    prm = subject.prm()
    with _Attempt(subject, "Net"):
        net = subject.network(prm)
    with _Attempt(subject, "train_setup"):
        net.train_setup(prm)
    for name in _ATTRIBUTES:
        if not hasattr(net, name):
            raise CheckFailure(f"train_setup does not set self.{name}")
    optimizer = net.optimizer
    if not isinstance(optimizer, Optimizer):
        raise CheckFailure(f"self.optimizer is of type {type(optimizer).__name__}, expected torch.optim.Optimizer")
    if not callable(net.criterion):
        raise CheckFailure(f"self.criterion of type {type(net.criterion).__name__} is not callable")
    optimized = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad and id(parameter) not in optimized:
            raise CheckFailure(f"the optimizer does not contain the parameter {name}")
    before = _digest(net.parameters())
    steps = _count_steps(optimizer)
    batches = random_batches(_BATCHES, 4, 3, 32, 10, subject.device)
    with _Attempt(subject, "learn"):
        result = net.learn(batches)
    if steps.count == 0:
        raise CheckFailure("learn never steps the optimizer")
    if result is not None:
        _check_result(result)
    return prm, {"updates": steps.count, "before": before, "after": _digest(net.parameters())}


def _check_result(result: object) -> None:
    wrong = CheckFailure(
        f"learn returns {str(result)[:80]}, expected None or (accuracy, loss), "
        "where the accuracy is from 0 to 1 and the loss is finite"
    )
    if not (isinstance(result, tuple) and len(result) == 2):
        raise wrong
    try:
        accuracy, loss = (float(value) for value in result)
    except (TypeError, ValueError):
        raise wrong from None
    if not (0 <= accuracy <= 1 and math.isfinite(loss)):
        raise wrong


class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1


def _count_steps(optimizer: Optimizer) -> _Counter:
    counter = _Counter()
    optimizer.register_step_post_hook(counter)
    return counter


# Hyperparameters: each is read and has an effect.


def _effects(subject: Subject, net: Any, prm: Prm) -> dict[str, list[str]]:
    """Digests of the behaviour with two values of each hyperparameter, from the first behaviour that differs."""
    read = prm.read | _read_by_scheduler(subject)
    for name in subject.declared:
        if name not in read:
            raise CheckFailure(f"hyperparameter {name} is declared but never read from prm")
    effects = {}
    for name in subject.declared:
        low, high = _values_of(name)
        with _Attempt(subject, f"training with {name}={low} or {name}={high}"):
            effects[name] = _repeated_options(net, subject, name, low, high)
            for behaviour in _BEHAVIOURS:
                if effects[name][0] != effects[name][1]:
                    break
                effects[name] = [_digest_of(behaviour(subject, name, value)) for value in (low, high)]
            if name == "momentum":
                for value in (low, high):
                    net.train_setup(subject.prm(momentum=value))
                    net.learn(random_batches(1, 2, 3, 32, 10, subject.device))
    return effects


def _values_of(name: str) -> tuple[float, float]:
    """Two values of a hyperparameter that must have different effects."""
    return _TEST_VALUES.get(name, (0.25, 0.75))


def _digest_of(behaviour: object) -> str:
    return hashlib.sha256(repr(behaviour).encode()).hexdigest()[:16]


def _read_by_scheduler(subject: Subject) -> set[str]:
    prm = subject.prm()
    _trace(subject, prm)
    return prm.read


def _trace(subject: Subject, prm: Prm) -> list[float]:
    """The learning rates of ``make_scheduler`` over a horizon, or over three horizons if a metric drives it.

    Empty if the file defines no such function.
    """
    make = getattr(subject.module, "make_scheduler", None)
    if make is None:
        return []
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=prm["lr"], momentum=0.9)
    variant, rates = subject.candidate.variant, []
    with _Attempt(subject, "make_scheduler"):
        scheduler = make(optimizer, _HORIZON, prm)
        optimizer.step()
        takes_metric = "metrics" in inspect.signature(scheduler.step).parameters
        steps = 3 * _HORIZON if takes_metric else _HORIZON
        for metric in metrics_of(variant, steps) if variant else losses(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step(1.0 if math.isnan(metric) else metric) if takes_metric else scheduler.step()
    return rates


def _learning_rates(subject: Subject, name: str, value: float) -> object:
    return None if name == "lr" else _trace(subject, subject.prm(**{name: value}))


def _repeated_options(net: Any, subject: Subject, name: str, low: float, high: float) -> list[str]:
    """Digests of the optimizer's options from calls of ``train_setup`` on the same network, which is built only once.

    If a third call does not reproduce the first, the digests are equal, and a new network is built for each value.
    """
    first, other, again = (_digest_of(_options(net, subject.prm(**{name: value}))) for value in (low, high, low))
    return [first, other] if first == again else [first, first]


def _optimizer_options(subject: Subject, name: str, value: float) -> object:
    prm = subject.prm(**{name: value})
    return _options(subject.network(prm), prm)


def _options(net: Any, prm: Prm) -> object:
    net.train_setup(prm)
    groups = net.optimizer.param_groups
    options = [{key: repr(option) for key, option in group.items() if key != "params"} for group in groups]
    return options, _state(net.scheduler)


def _after_one_update(subject: Subject, name: str, value: float) -> object:
    return _after_two_epochs(subject, name, value, epochs=1, batches=1)


def _after_two_epochs(subject: Subject, name: str, value: float, epochs: int = 2, batches: int = 2) -> object:
    prm = subject.prm(**{name: value})
    net = subject.network(prm)
    net.train_setup(prm)
    torch.manual_seed(0)
    train_data = random_batches(batches, 4, 3, 32, 10, subject.device)
    for _ in range(epochs):
        net.learn(train_data)
    # With an initial learning rate of zero the gradients differ and the parameters do not.
    gradients = (parameter.grad for parameter in net.parameters() if parameter.grad is not None)
    return _digest(net.parameters()), _digest(gradients), _state(net.scheduler)


def _digest(tensors: Iterable[Tensor]) -> str:
    """A digest of the tensors' bytes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _state(scheduler: Any) -> str:
    return repr(scheduler.state_dict()) if hasattr(scheduler, "state_dict") else ""


# In the order of their cost.
_BEHAVIOURS: tuple[Callable[[Subject, str, float], object], ...] = (
    _learning_rates,
    _optimizer_options,
    _after_one_update,
    _after_two_epochs,
)


class _Attempt:
    """Converts an exception of the file under test into a CheckFailure: ``learn raises ValueError: … (line 12)``."""

    def __init__(self, subject: Subject, action: str) -> None:
        self._subject = subject
        self._action = action

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (CheckFailure, MemoryError, torch.OutOfMemoryError)):
            raise CheckFailure(f"{self._action} raises {self._subject.explain(error)}") from error
