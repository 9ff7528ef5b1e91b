"""Does the file keep LEMUR's contract: names, signatures, shapes, hyperparameters, no work at import time?"""

import ast
import contextlib
import hashlib
import inspect
import io
import math
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrgen.records import Candidate, Stage, VerifySettings
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
# Calls at import time that only name something.
_NAMING_CALLS = {"TypeVar", "NamedTuple", "namedtuple", "partial", "frozenset", "tuple", "getLogger", "Final", "cast"}
_PAIRS = {"lr": (0.01, 0.02), "momentum": (0.5, 0.9), "dropout": (0.1, 0.6)}
_HORIZON = 40
# Channels, pixels, classes and batch size that every network is built for.
_CASES = ((3, 32, 10, 2), (1, 32, 7, 1), (3, 224, 10, 1))
_BATCHES = 2


def measure(subject: Subject) -> dict[str, Any]:
    """Read the source, load the module, build the network in several sizes and let it learn two batches.

    The measurement holds the shapes of the outputs, the updates and the parameters before and after them, and how the
    network behaved at two values of each hyperparameter; the latter as digests.
    """
    assert subject.tree is not None
    _read(subject.tree, subject.candidate.source)
    _load(subject)
    _signatures(subject)
    shapes = [_shape(subject, *case) for case in _CASES]
    used, learned = _learn(subject)
    return {"shapes": shapes, **learned, "declared": subject.declared, "effects": _hyperparameters(subject, used)}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Whether the outputs, the updates and the hyperparameters' effects are all there, and what they must be."""
    if measurement["shapes"] != [[batch, classes] for _, _, classes, batch in _CASES]:
        return "the outputs' shapes are not those of the inputs"
    if measurement["updates"] != _BATCHES:
        return f"the optimizer is stepped {measurement['updates']} times in {_BATCHES} batches"
    if measurement["before"] == measurement["after"]:
        return "no parameter moves in learn"
    declared, effects = measurement["declared"], measurement["effects"]
    if "lr" not in declared or sorted(effects) != declared:
        return "not every hyperparameter was tried"
    same = next((name for name in declared if len(set(effects[name])) != 2), None)
    if same is not None:
        low, high = _values_of(same)
        return f"hyperparameter {same} is read and has no effect: {low} and {high} train alike"
    return ""


# The source, as it is read.


def _read(tree: ast.Module, source: str) -> None:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if not any(isinstance(node, ast.ClassDef) and node.name == "Net" for node in tree.body):
        raise CheckFailure("there is no class Net at the top level")
    if "supported_hyperparameters" not in functions:
        raise CheckFailure("there is no function supported_hyperparameters at the top level")
    names = _literal_names(functions["supported_hyperparameters"].body[0])
    if "lr" not in names:
        raise CheckFailure("supported_hyperparameters does not name lr")
    for name in names:
        if source.count(f'"{name}"') + source.count(f"'{name}'") < 2:
            raise CheckFailure(f"hyperparameter {name} stands quoted once in the file, LEMUR wants it at least twice")
    kinds = (ast.Import, ast.ImportFrom)
    if not isinstance(next((node for node in tree.body if not _is_docstring(node)), None), kinds):
        raise CheckFailure("imports must precede everything else in the file")
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            _check_import(node)
    working = next(_at_import_time(tree.body), None)
    if working is not None:
        text = ast.unparse(working).splitlines()[0][:80]
        raise CheckFailure(f"work at import time: {text} (line {working.lineno})")


def _literal_names(first: ast.stmt) -> list[str]:
    """The strings of ``return {"lr", ...}``, which LEMUR reads without running the file."""
    if isinstance(first, ast.Return) and isinstance(first.value, ast.Set):
        names = [getattr(element, "value", None) for element in first.value.elts]
        if all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    raise CheckFailure(
        f"supported_hyperparameters must begin with return {{literal set of names}} (line {first.lineno})"
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and _is_text(node.value)


def _check_import(node: ast.Import | ast.ImportFrom) -> None:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    relative = isinstance(node, ast.ImportFrom) and node.level > 0
    for module in modules:
        root = module.split(".")[0]
        if relative or not (root == "torch" or root in sys.stdlib_module_names):
            raise CheckFailure(
                f"imports {'a relative module' if relative else module} (line {node.lineno}): "
                "only torch and the standard library are there"
            )


def _at_import_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that do something when the module is imported, other than naming things."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass)):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not all(map(_only_names, (*node.args.defaults, *node.args.kw_defaults))):
                yield node
            continue
        if _is_docstring(node):
            continue
        if isinstance(node, ast.ClassDef):
            if not all(map(_only_names, (*node.bases, *(keyword.value for keyword in node.keywords)))):
                yield node
            yield from _at_import_time(node.body)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if not (all(map(_is_own_name, targets)) and _only_names(node.value)):
                yield node
        elif isinstance(node, ast.If) and _is_guard(node.test):
            continue
        else:
            yield node


def _is_own_name(target: ast.expr) -> bool:
    """A name of the module's own, not an attribute or an item of something that others see."""
    return (
        all(_is_own_name(part) for part in target.elts)
        if isinstance(target, ast.Tuple)
        else isinstance(target, ast.Name)
    )


def _only_names(value: ast.expr | None) -> bool:
    """Whether an expression calls nothing but what makes names, partial functions and numbers."""
    calls = [part for part in ast.walk(value) if isinstance(part, ast.Call)] if value else []
    return all(_called(call) in _NAMING_CALLS or _is_arithmetic(call) for call in calls)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_arithmetic(call: ast.Call) -> bool:
    function = call.func
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "math"


def _is_guard(test: ast.expr) -> bool:
    """``if TYPE_CHECKING`` or ``if __name__ == "__main__"``."""
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")


# The module, as it behaves.


def _load(subject: Subject) -> None:
    def state() -> tuple[Any, ...]:
        return (torch.get_rng_state().tolist(), *global_state())

    before = state()
    printed = io.StringIO()
    with _Running(subject, "the import raises"), contextlib.redirect_stdout(printed):
        subject.load()
    if printed.getvalue():
        raise CheckFailure(f"work at import time: importing the file prints {printed.getvalue()[:80]!r}")
    if state() != before:
        raise CheckFailure("work at import time: importing the file changes torch's global state")


def _signatures(subject: Subject) -> None:
    assert subject.module is not None
    net = getattr(subject.module, "Net", None)
    if not (isinstance(net, type) and issubclass(net, nn.Module)):
        raise CheckFailure("Net is not a subclass of torch.nn.Module")
    for name, wanted in _SIGNATURES.items():
        method = net.__dict__.get(name) or getattr(net, name, None)
        if not isinstance(method, types.FunctionType):
            raise CheckFailure(f"Net has no method {name}")
        if name == "forward" and len(inspect.signature(method).parameters) >= 2:
            continue  # the input's name is free
        found = list(inspect.signature(method).parameters)
        if found != wanted:
            raise CheckFailure(f"the signature of Net.{name} is ({', '.join(found)}), it must be ({', '.join(wanted)})")


def _shape(subject: Subject, channels: int, size: int, classes: int, batch: int) -> list[int]:
    what = f"{channels}x{size}x{size} inputs and {classes} classes"
    with _Running(subject, f"Net raises for {what}"):
        net = subject.network(subject.prm(), channels, size, classes, batch)
        net.eval()
        with torch.no_grad():
            output = net(torch.randn(batch, channels, size, size, device=subject.device))
    if not isinstance(output, Tensor):
        raise CheckFailure(f"forward returns {type(output).__name__} in eval mode for {what}, not a tensor")
    if tuple(output.shape) != (batch, classes):
        raise CheckFailure(f"the output's shape is {tuple(output.shape)} for {what}, it must be {(batch, classes)}")
    if not bool(torch.isfinite(output).all()):
        raise CheckFailure(f"the output is not finite for {what}")
    return list(output.shape)


def _learn(subject: Subject) -> tuple[Prm, dict[str, Any]]:
    """Two batches through ``train_setup`` and ``learn``; returns the prm with what was read from it, and what was
    measured.
    """
    prm = subject.prm()
    with _Running(subject, "Net raises"):
        net = subject.network(prm)
    with _Running(subject, "train_setup raises"):
        net.train_setup(prm)
    for name in _ATTRIBUTES:
        if not hasattr(net, name):
            raise CheckFailure(f"train_setup leaves no self.{name}")
    optimizer = net.optimizer
    if not isinstance(optimizer, Optimizer):
        raise CheckFailure(f"self.optimizer is {type(optimizer).__name__}, not a torch optimizer")
    if not callable(net.criterion):
        raise CheckFailure(f"self.criterion is {type(net.criterion).__name__}, not a loss")
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad and id(parameter) not in held:
            raise CheckFailure(f"the optimizer does not hold the parameter {name}")
    before = _digest(net.parameters())
    steps = _count_steps(optimizer)
    batches = random_batches(_BATCHES, 4, 3, 32, 10, subject.device)
    with _Running(subject, "learn raises"):
        result = net.learn(batches)
    if steps.count == 0:
        raise CheckFailure("the optimizer is never stepped in learn")
    if result is not None:
        _check_result(result)
    return prm, {"updates": steps.count, "before": before, "after": _digest(net.parameters())}


def _check_result(result: object) -> None:
    wrong = CheckFailure(f"learn returns {str(result)[:80]}, it must be (accuracy in 0-1, finite loss) or None")
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


# The hyperparameters: each is read, and each matters.


def _hyperparameters(subject: Subject, used: Prm) -> dict[str, list[str]]:
    """How the network behaves at two values of each hyperparameter, in the first behaviour that tells them apart."""
    read = used.read | _read_by_scheduler(subject)
    for name in subject.declared:
        if name not in read:
            raise CheckFailure(f"hyperparameter {name} is declared and never read from prm")
    spare = subject.network(subject.prm())
    effects = {}
    for name in subject.declared:
        low, high = _values_of(name)
        with _Running(subject, f"raises when {name} is {low} or {high}"):
            effects[name] = _set_up_again(spare, subject, name, low, high)
            for behaviour in _BEHAVIOURS:
                if effects[name][0] != effects[name][1]:
                    break
                effects[name] = [_digest_of(behaviour(subject, name, value)) for value in (low, high)]
    return effects


def _values_of(name: str) -> tuple[float, float]:
    """Two values of a hyperparameter that must not train alike."""
    return _PAIRS.get(name, (0.25, 0.75))


def _digest_of(behaviour: object) -> str:
    return hashlib.sha256(repr(behaviour).encode()).hexdigest()[:16]


def _read_by_scheduler(subject: Subject) -> set[str]:
    prm = subject.prm()
    _trace(subject, prm)
    return prm.read


def _trace(subject: Subject, prm: Prm) -> list[float]:
    """The rates of ``make_scheduler`` over a horizon, or over three with a metric that falls, stands still and jumps;
    empty when there is no such function.
    """
    make = getattr(subject.module, "make_scheduler", None)
    if make is None:
        return []
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=prm["lr"], momentum=0.9)
    variant, rates = subject.candidate.variant, []
    with _Running(subject, "make_scheduler raises"):
        scheduler = make(optimizer, _HORIZON, prm)
        optimizer.step()
        takes_metric = "metrics" in inspect.signature(scheduler.step).parameters
        steps = 3 * _HORIZON if takes_metric else _HORIZON
        for metric in metrics_of(variant, steps) if variant else losses(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step(1.0 if math.isnan(metric) else metric) if takes_metric else scheduler.step()
    return rates


def _scheduled(subject: Subject, name: str, value: float) -> object:
    return None if name == "lr" else _trace(subject, subject.prm(**{name: value}))


def _set_up_again(net: Any, subject: Subject, name: str, low: float, high: float) -> list[str]:
    """What calls of ``train_setup`` on one network, which spares building others, make of the values; the same twice
    when a third call does not repeat the first.
    """
    first, other, again = (_digest_of(_options(net, subject.prm(**{name: v}))) for v in (low, high, low))
    return [first, other] if first == again else [first, first]


def _set_up(subject: Subject, name: str, value: float) -> object:
    prm = subject.prm(**{name: value})
    return _options(subject.network(prm), prm)


def _options(net: Any, prm: Prm) -> object:
    net.train_setup(prm)
    groups = net.optimizer.param_groups
    options = [{key: repr(option) for key, option in group.items() if key != "params"} for group in groups]
    return options, _state(net.scheduler)


def _updated(subject: Subject, name: str, value: float) -> object:
    return _trained(subject, name, value, epochs=1, batches=1)


def _trained(subject: Subject, name: str, value: float, epochs: int = 2, batches: int = 2) -> object:
    prm = subject.prm(**{name: value})
    net = subject.network(prm)
    net.train_setup(prm)
    torch.manual_seed(0)
    train_data = random_batches(batches, 4, 3, 32, 10, subject.device)
    for _ in range(epochs):
        net.learn(train_data)
    # A first rate of zero hides what the gradient shows.
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


# From the cheapest to the dearest: the rates, what the optimizer was given, what an update made of it, and two epochs.
_BEHAVIOURS: tuple[Callable[[Subject, str, float], object], ...] = (_scheduled, _set_up, _updated, _trained)


class _Running:
    """Turns an exception of the file under test into a reason."""

    def __init__(self, subject: Subject, what: str) -> None:
        self._subject = subject
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (CheckFailure, MemoryError, torch.OutOfMemoryError)):
            raise CheckFailure(f"{self._what}: {self._subject.explain(error)}") from error
