"""The command that observes a training: the learning rate of each update, and the steps of schedulers, in order.

The forward pass is replaced by logits that the examiner chose, whose gradient is zero: epochs cost milliseconds, and
the losses and accuracies that a schedule may depend on are known.
"""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils import _pytree as pytree

from .describe import takes_metric
from .generators import seed_all
from .loaders import data_loader, watched
from .raised import explained

Answer = tuple[dict[str, Any], list[np.ndarray[Any, Any]]]

_MOST = 200  # schedulers that are noted
_STEPS = ("step", "step_update")  # methods of a scheduler that change learning rates


class Observations:
    """The command; ``nets``, ``prms`` and ``device`` are those of the driver."""

    path: str
    device: torch.device
    nets: dict[str, Any]
    prms: dict[str, Any]
    _set_up: Callable[..., dict[str, Any]]
    taken_horizons: Callable[..., list[int]]

    def do_observe(
        self,
        arrays: list[np.ndarray[Any, Any]],
        net: str,
        size: int,
        epochs: int,
        seconds: float,
        gradients: str,
    ) -> Answer:
        """Call ``train_setup``, then ``learn`` in several epochs.

        Args:
            arrays: the images of an epoch, and for each epoch the logit of the first class of each image. The labels
                are those of the first class.
            net: the name of the network.
            size: of a batch.
            epochs: their number; it is less if ``learn`` raises.
            seconds: of CPU time, after which no further epoch begins.
            gradients: ``one``: the chosen logits have a gradient in one parameter; ``all``: in all; ``real``: the
                forward pass is the network's own.
        """
        built, prm = self.nets[net], self.prms[net]
        images, scores = torch.from_numpy(arrays[0]).to(self.device), torch.from_numpy(arrays[1]).to(self.device)
        labels = torch.zeros(len(images), dtype=torch.int64, device=self.device)
        chosen = None if gradients == "real" else _Chosen(built, images[:size], gradients == "all")
        train_data = data_loader(images, labels, size)
        done, raised, forward = 0, None, built.forward
        with _Recorder(built) as recorder:
            built.zero_grad()
            built.train_setup(prm)
            set_up = self._set_up(built, prm)
            recorder.find()
            if chosen is not None:
                built.forward = chosen
            end = time.process_time() + seconds
            try:
                for epoch in range(epochs):
                    with watched(
                        train_data, recorder.asked(epoch, torch.split(scores[epoch], size), chosen), _nothing, []
                    ):
                        recorder.learning = True
                        built.learn(train_data)
                    recorder.learning = False
                    recorder.find()
                    done += 1
                    if time.process_time() > end:
                        break
            except Exception as error:  # noqa: BLE001  the file may raise anything
                raised = explained(error, self.path)
            finally:
                built.forward = forward
        values, sent = recorder.taken()
        forwards = -1 if chosen is None else chosen.calls
        noted = {
            "set_up": set_up,
            "horizons": self.taken_horizons(),
            "epochs": done,
            "raised": raised,
            "forwards": forwards,
        }
        return {**noted, **values}, sent


def _nothing() -> None:
    """Nothing is noted at the end of the data."""


class _Chosen:
    """A forward pass with chosen logits of the first class; the others are 0."""

    def __init__(self, net: Any, images: Tensor, all_parameters: bool) -> None:
        net.train()
        with torch.no_grad():
            leaves, self._structure = pytree.tree_flatten(net(images))
        self._leaves = [leaf.shape[1:] if isinstance(leaf, Tensor) and leaf.dim() else leaf for leaf in leaves]
        trained = sorted((p for p in net.parameters() if p.requires_grad), key=Tensor.numel)
        self._trained = trained if all_parameters else trained[:1]
        self.scores = torch.zeros(len(images))
        self.calls = 0

    def __call__(self, x: Tensor, *_: Any, **__: Any) -> Any:
        self.calls += 1
        without = torch.zeros((), device=x.device)
        for parameter in self._trained:
            without = without + 0.0 * parameter.float().sum()
        leaves = [
            self._logits(len(x), leaf) + without if isinstance(leaf, torch.Size) else leaf for leaf in self._leaves
        ]
        return pytree.tree_unflatten(leaves, self._structure)

    def _logits(self, count: int, shape: torch.Size) -> Tensor:
        logits = torch.zeros(count, *shape, device=self.scores.device)
        logits.view(count, -1)[:, 0] = self.scores.repeat(-(-count // len(self.scores)))[:count]
        return logits


class _Scheduler:
    """A scheduler of the file, as far as it is noted."""

    def __init__(self, scheduler: Any, in_learn: bool) -> None:
        self.scheduler, self.in_learn = scheduler, in_learn
        self.steps = 0  # its own, or those of another scheduler that it belongs to


class _Recorder:
    """Notes of updates and of steps of schedulers, within its context."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self.learning = False
        self._epoch = self._batches = self._depth = self._updating = self._making = 0
        self._optimizers: list[Any] = []
        self._updates: list[tuple[int, int, int, list[float]]] = []  # optimizer, epoch, batches so far, rates
        self._schedulers: list[_Scheduler] = []
        self._steps: list[tuple[int, int, int, int, float]] = []  # scheduler, epoch, batches, updates, metric
        self._undo: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        self._undo = [
            register_optimizer_step_pre_hook(self._before_update).remove,
            register_optimizer_step_post_hook(self._after_update).remove,
        ]
        for kind in (
            lr_scheduler.LRScheduler,
            lr_scheduler.ReduceLROnPlateau,
            lr_scheduler.SequentialLR,
            lr_scheduler.ChainedScheduler,
        ):
            self._note_those_of(kind)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in reversed(self._undo):
            undo()

    def _note_those_of(self, kind: Any) -> None:
        made = kind.__init__

        def noted(scheduler: Any, *arguments: Any, **keywords: Any) -> None:
            self._making += 1
            try:
                made(scheduler, *arguments, **keywords)
            finally:
                self._making -= 1
            self._add(scheduler)

        kind.__init__ = noted
        self._undo.append(lambda: setattr(kind, "__init__", made))

    def find(self) -> None:
        """Add the schedulers that the network refers to."""
        for name, value in list(vars(self._net).items()):
            several = value.values() if isinstance(value, dict) else value
            for member in several if isinstance(several, (list, tuple, type({}.values()))) else (value,):
                if _is_scheduler(name, member):
                    self._add(member)

    def _add(self, scheduler: Any) -> None:
        if len(self._schedulers) >= _MOST or any(scheduler is other.scheduler for other in self._schedulers):
            return
        added = _Scheduler(scheduler, self.learning)
        self._schedulers.append(added)
        for name in _STEPS:
            method = getattr(scheduler, name, None)
            if callable(method):
                try:
                    setattr(scheduler, name, self._counted(len(self._schedulers) - 1, added, method))
                except (AttributeError, TypeError):
                    continue

    def _counted(self, index: int, added: _Scheduler, method: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **keywords: Any) -> Any:
            if self.learning and not self._making:
                added.steps += 1
                if not self._depth:
                    metric = next(iter((*arguments, *keywords.values())), None)
                    self._steps.append((index, self._epoch, self._batches, len(self._updates), _number(metric)))
            self._depth += 1
            try:
                return method(*arguments, **keywords)
            finally:
                self._depth -= 1

        return step

    def asked(self, epoch: int, scores: tuple[Tensor, ...], chosen: _Chosen | None) -> Callable[[int], None]:
        """The function that is called before each batch of an epoch."""
        self._epoch, self._updating, self._depth = epoch, 0, 0

        def before_batch(index: int) -> None:
            self._batches += 1
            seed_all(index)
            if chosen is not None:
                chosen.scores = scores[index % len(scores)]

        return before_batch

    def _before_update(self, optimizer: Optimizer, *_: Any) -> None:
        self._updating += 1
        if self._updating > 1 or not self.learning:  # an optimizer that wraps another
            return
        index = next((at for at, other in enumerate(self._optimizers) if other is optimizer), len(self._optimizers))
        if index == len(self._optimizers):
            self._optimizers.append(optimizer)
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._updates.append((index, self._epoch, self._batches, rates))

    def _after_update(self, *_: Any) -> None:
        self._updating -= 1

    def taken(self) -> Answer:
        """The notes: values, and the arrays rates (updates × groups), epoch and batch of each update, and steps.

        The updates are those of the optimizer that makes most of them.
        """
        of = [update[0] for update in self._updates]
        main = max(set(of), key=of.count, default=-1)
        updates = [update for update in self._updates if update[0] == main]
        width = min((len(rates) for *_, rates in updates), default=0)
        rates = np.array([row[:width] for *_, row in updates], dtype=np.float64).reshape(len(updates), width)
        at = np.array([update[1:3] for update in updates], dtype=np.int64).reshape(len(updates), 2)
        steps = np.array(self._steps, dtype=np.float64).reshape(len(self._steps), 5)
        used = {id(group) for optimizer in self._optimizers for group in optimizer.param_groups}
        values = {
            "batches": self._batches,
            "optimizers": len(self._optimizers),
            "schedulers": [self._report(added, used) for added in self._schedulers],
        }
        return values, [rates, at, steps]

    def _report(self, added: _Scheduler, used: set[int]) -> dict[str, Any]:
        optimizer = getattr(added.scheduler, "optimizer", None)
        groups = getattr(optimizer, "param_groups", None)
        members = {id(member) for other in self._schedulers for member in _members(other.scheduler)}
        return {
            "name": type(added.scheduler).__name__[:100],
            "in_learn": added.in_learn,
            "steps": added.steps,
            "is_part": id(added.scheduler) in members,
            "of_used": groups is None or any(id(group) in used for group in groups),
            "takes_metric": takes_metric(added.scheduler),
        }


def _members(scheduler: Any) -> Iterator[Any]:
    """The schedulers that a scheduler steps."""
    for value in list(getattr(scheduler, "__dict__", {}).values()):
        for member in value if isinstance(value, (list, tuple)) else (value,):
            if callable(getattr(member, "step", None)) and not isinstance(member, (Optimizer, type)):
                yield member


def _is_scheduler(name: str, value: Any) -> bool:
    if isinstance(value, (Optimizer, nn.Module, type)) or not any(callable(getattr(value, n, None)) for n in _STEPS):
        return False
    named = any(part in f"{name} {type(value).__name__}".lower() for part in ("sched", "warmup", "plateau", "annealer"))
    return named or isinstance(getattr(value, "optimizer", None), Optimizer)


def _number(value: Any) -> float:
    """A metric or an epoch that a step is given; NaN for none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
