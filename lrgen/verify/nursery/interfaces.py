"""Calls of the code of a schedule that stands alone, and the learning rates that come of them.

The code is a function, a class or a training loop (``call``); its steps are epochs or batches, whichever it says.
"""

import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from .saved import loaded, saved

_UPDATED_STEPS = 3  # after a start or a resume: an update costs more than a step of a schedule
_LIGHTNING = ("lightning", "lightning.pytorch", "pytorch_lightning")
_SHORT = 120  # epochs
_BATCHES = 2  # of an epoch, for a loop whose unit is an epoch

Rows = list[list[float]]
"""Learning rates: steps × parameter groups."""


class WrongForm(Exception):
    """The code does not have the form that was asked for; the message says what is missing."""


def entry_of(namespace: dict[str, Any], name: str) -> Callable[..., Any]:
    """The function or class of that name, or the only one that the code defines.

    Raises:
        WrongForm: if there is none.
    """
    own = [
        value
        for key, value in namespace.items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == namespace["__name__"]
    ]
    callee = namespace.get(name, own[0] if len(own) == 1 else None)
    if not callable(callee):
        raise WrongForm(f"the code defines no {name}")
    entry: Callable[..., Any] = callee
    return entry


def provide_lightning() -> None:
    """Put stand-ins for Lightning's modules where it is not installed: ``LightningModule`` is a plain module."""
    for name in _LIGHTNING:
        if name not in sys.modules:
            module = types.ModuleType(name)
            vars(module).update(LightningModule=LightningModule, Trainer=object, Callback=object)
            sys.modules[name] = module
    vars(sys.modules["lightning"]).setdefault("pytorch", sys.modules["lightning.pytorch"])


class LightningModule(nn.Module):
    """A stand-in for Lightning's class, with all that ``configure_optimizers`` uses."""

    trainer: Any = None

    @property
    def hparams(self) -> types.SimpleNamespace:
        """The hyperparameters that were saved."""
        return types.SimpleNamespace(**self.__dict__.get("_hparams", {}))

    def save_hyperparameters(self, *names: Any, **keywords: Any) -> None:
        """Save the arguments of the caller's ``__init__``."""
        frame = sys._getframe(1)  # as Lightning does
        values = {key: value for key, value in frame.f_locals.items() if key not in ("self", "__class__")}
        self.__dict__["_hparams"] = {**values, **keywords}

    def log(self, *_: Any, **__: Any) -> None:
        """Log nothing."""

    @classmethod
    def with_parameters(cls, lr: float) -> "LightningModule":
        """A module for a ``configure_optimizers`` that stands alone: two layers, and the learning rate."""
        module = cls()
        module.backbone, module.head = nn.Linear(2, 2), nn.Linear(2, 2)
        module.__dict__.update(lr=lr, learning_rate=lr)
        module.__dict__["_hparams"] = {"lr": lr, "learning_rate": lr}
        return module


class _Network(nn.Module):
    """A network with two parts, for code that gives each a group; its updates cost as little as they can."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(1, 2, bias=False)
        self.head = nn.Linear(1, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.backbone.weight.T
        return out


class _Loader:
    """A loader of equal batches."""

    def __init__(self, batches: int) -> None:
        self._batches = [(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long))] * batches
        self.dataset = self._batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches)


def rates(
    namespace: dict[str, Any],
    *,
    call: str,
    entry: str,
    takes_horizon: bool,
    takes_lr: bool,
    horizon: int,
    steps: Sequence[int],
    lr: float,
    groups: int,
    per_batch: bool,
    resume: Sequence[int] = (),
    jumps: bool = False,
) -> Rows:
    """The learning rate of each parameter group at some steps, in order.

    Args:
        namespace: that of the executed code.
        resume: steps at which a scheduler is saved and loaded into a new one.
        jumps: whether a scheduler is set to a step, rather than stepped up to it.

    Raises:
        WrongForm: if the code has another form.
        Exception: what the code raises.
    """
    function = entry_of(namespace, entry)
    total = (horizon,) if takes_horizon else ()
    base = (lr,) if takes_lr else ()
    if call == "factor":
        return [_per_group(function(step, *total), groups, lr) for step in steps]
    if call == "rate":
        return [_per_group(function(step, *total, *base), groups, 1.0) for step in steps]
    if call == "setter":
        return list(_set(function, steps, (*total, *_given(function, base, 2 + len(total))), lr, groups))
    if call == "loop":
        return _looped(function, base, horizon, steps, groups, per_batch)
    if call == "lightning":

        def configured() -> tuple[Optimizer, Any]:
            own = isinstance(function, type)
            module: Any = function() if own else LightningModule.with_parameters(lr)
            return _configured(
                module, module.configure_optimizers if own else partial(function, module), horizon, per_batch
            )

        return list(_stepped(configured, steps, groups, resume, jumps))

    def built() -> tuple[Optimizer, Any]:
        optimizer = _optimizer(lr, groups)
        return optimizer, function(optimizer, *total)

    return list(_stepped(built, steps, groups, resume, jumps))


def _given(function: Callable[..., Any], base: tuple[float, ...], before: int) -> tuple[float, ...]:
    """The base learning rate, if the function takes so many arguments; else it reads that of the groups."""
    code = getattr(function, "__code__", None)
    return base if code is not None and code.co_argcount > before else ()


def _optimizer(lr: float, groups: int) -> Optimizer:
    own = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return torch.optim.SGD(own, lr=lr, momentum=0.9)


def _per_group(value: Any, groups: int, scale: float) -> list[float]:
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    return [scale * float(each) for each in values]


def _set(
    function: Callable[..., Any], steps: Iterable[int], arguments: tuple[Any, ...], lr: float, groups: int
) -> Iterator[list[float]]:
    optimizer = _optimizer(lr, groups)
    for group in optimizer.param_groups:
        group["initial_lr"] = lr
    for step in steps:
        function(optimizer, step, *arguments)
        yield [float(group["lr"]) for group in optimizer.param_groups]


def _configured(module: Any, configure: Callable[[], Any], horizon: int, per_batch: bool) -> tuple[Optimizer, Any]:
    """The optimizer and the scheduler of ``configure_optimizers``, which must be stepped in the unit."""
    module.trainer = types.SimpleNamespace(
        max_epochs=horizon,
        max_steps=horizon if per_batch else -1,
        estimated_stepping_batches=horizon,
        num_training_batches=horizon,
        accumulate_grad_batches=1,
    )
    answer = configure()
    if isinstance(answer, dict):
        optimizer, scheduler = answer["optimizer"], answer["lr_scheduler"]
    else:
        optimizers, schedulers = answer
        optimizer, scheduler = _only(optimizers), _only(schedulers)
    interval, frequency = "epoch", 1
    if isinstance(scheduler, dict):
        interval, frequency = scheduler.get("interval", "epoch"), scheduler.get("frequency", 1)
        scheduler = scheduler["scheduler"]
    if interval != ("step" if per_batch else "epoch") or frequency != 1:
        raise WrongForm(f"the scheduler is stepped every {frequency} {interval}")
    return optimizer, scheduler


def _only(values: Any) -> Any:
    return values[0] if isinstance(values, (list, tuple)) else values


def _stepped(
    build: Callable[[], tuple[Optimizer, Any]], steps: Sequence[int], groups: int, resume: Sequence[int], jumps: bool
) -> Iterator[list[float]]:
    optimizer, scheduler = build()
    step = updated = 0
    for wanted in steps:
        if jumps and wanted > step:
            scheduler.last_epoch = wanted - 1
            if hasattr(scheduler, "_step_count"):
                scheduler._step_count = wanted
            optimizer._opt_called = True  # type: ignore[attr-defined]  # else the scheduler warns
            scheduler.step()
            step = wanted
        while step < wanted:
            if updated < _UPDATED_STEPS:
                updated += 1
                optimizer.step()
            scheduler.step()
            step += 1
            if step in resume:
                state = loaded(saved([optimizer.state_dict(), scheduler.state_dict()]))
                optimizer, scheduler = build()
                optimizer.load_state_dict(state[0])
                scheduler.load_state_dict(state[1])
                updated = 0
        yield [float(group["lr"]) for group in optimizer.param_groups[:groups]]


def _looped(
    function: Callable[..., Any],
    base: tuple[float, ...],
    horizon: int,
    steps: Sequence[int],
    groups: int,
    per_batch: bool,
) -> Rows:
    """The learning rates of a training loop: those of its updates, or of its epochs, which have several equal ones."""
    epochs, batches = _epochs(horizon) if per_batch else (horizon, _BATCHES if horizon <= _SHORT else 1)
    seen: Rows = []

    network = _Network()
    trained = network.backbone.weight

    def record(optimizer: Optimizer, *_: Any) -> None:
        own = (value for group in optimizer.param_groups for value in group["params"])
        if trained.grad is None or not any(value is trained for value in own):
            raise WrongForm("an update does not train the network")
        seen.append([float(group["lr"]) for group in optimizer.param_groups[:groups]])

    hook = register_optimizer_step_pre_hook(record)
    try:
        function(network, _Loader(batches), epochs, *base)
    finally:
        hook.remove()
    if len(seen) != epochs * batches:
        raise WrongForm(f"the loop makes {len(seen)} updates in {epochs} epochs of {batches} batches")
    if per_batch:
        return [seen[step] for step in steps if step < len(seen)]
    for epoch in range(epochs):
        own = seen[epoch * batches : (epoch + 1) * batches]
        if any(each != own[0] for each in own):
            raise WrongForm(f"the learning rate changes within epoch {epoch}")
    return [seen[step * batches] for step in steps if step < epochs]


def _epochs(horizon: int) -> tuple[int, int]:
    """Epochs and batches whose product is the horizon."""
    batches = next((count for count in (8, 10, 5, 6, 4, 7, 3, 2) if horizon % count == 0 and horizon > count), 1)
    return horizon // batches, batches
