"""``learn`` itself: a few epochs of tiny batches, with the network's forward replaced by a stand-in, so that the
schedule and not the convolutions is paid for.
"""

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lrgen import curves
from lrgen.records import Metric, Unit, Variant
from lrgen.verify.checks.make_scheduler_trace import BASE_LR, reloaded, trace
from lrgen.verify.checks.recorder import Recorder
from lrgen.verify.checks.reference import as_array, first_difference, named, worst, wrong_depths
from lrgen.verify.checks.subject import CheckFailure, Prm, Subject, random_batches

BATCHES = (1, 2, 7)
EPOCHS = 3
_PAST_END = 2  # epochs of learn past the planned ones
_ONCE = {False: "an epoch", True: "a batch"}


def cases(variant: Variant | None) -> list[tuple[int, int | None]]:
    """Batches of an epoch, and the epoch after which the run is stopped and resumed."""
    found: list[tuple[int, int | None]] = [(batches, None) for batches in BATCHES]
    return found if variant is None else [*found, (BATCHES[1], 2)]


def measure(subject: Subject, make: Callable[..., Any] | None) -> list[dict[str, Any]]:
    """Every case's run; without a variant also the rates of the file's own scheduler."""
    variant = subject.candidate.variant
    runs = []
    try:
        net = subject.network(subject.prm())
        used: list[nn.Parameter] = []
        output = _output_of(net, subject, used)
        for batches, resume in cases(variant):
            runs.append(_run(subject, net, make, output, batches, resume))
            if variant is not None and variant.layerwise and len(runs) == 1:
                _check_order(net, used)
    except CheckFailure:
        raise
    except Exception as error:
        raise CheckFailure(f"learn raises {subject.explain(error)}") from error
    if variant is None and make is not None:
        for run in runs:
            if run["horizon"] is not None:
                steps = len(run["rates"][0]) if run["per_batch"] else EPOCHS + _PAST_END
                depths = run["depths"] if any(run["depths"]) else ()
                prm = subject.prm(lr=BASE_LR)
                run["own"] = trace(subject, make, run["horizon"], steps, prm, run["metrics"], depths=depths)
    return runs


class _Logit:
    """The logit of class 0 that the stand-in returns; an epoch sets it to move the loss."""

    def __init__(self) -> None:
        self.value = 0.0


def _output_of(net: Any, subject: Subject, used: list[nn.Parameter]) -> Any:
    """What the real forward returns in training, which need not be a single tensor; its modules' parameters go into
    ``used`` in the order of their first use.
    """
    net.train()
    known: set[int] = set()

    def note(module: nn.Module, _: object) -> None:
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in known:
                known.add(id(parameter))
                used.append(parameter)

    hooks = [module.register_forward_pre_hook(note) for module in net.modules() if module is not net]
    try:
        with torch.no_grad():
            return net(random_batches(1, 2, 3, 32, 10, subject.device)[0][0])
    finally:
        for hook in hooks:
            hook.remove()


def _check_order(net: Any, used: list[nn.Parameter]) -> None:
    """The depths of the parameter groups must rise from the input to the output."""
    depths = {id(p): group.get("depth", 0) for group in net.optimizer.param_groups for p in group["params"]}
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    for before, after in pairwise(used):
        first, second = (depths.get(id(parameter), 0) for parameter in (before, after))
        if first > second:
            raise CheckFailure(
                f"the layers' depths do not rise from the input to the output: {names[id(before)]} has depth {first} "
                f"and is used before {names[id(after)]}, which has depth {second}"
            )


def _replace_forward(net: Any, output: Any) -> _Logit:
    """Replace the forward by a stand-in of the same output structure that costs nothing and still has gradients."""
    logit = _Logit()
    anchor = next(parameter for parameter in net.parameters() if parameter.requires_grad)
    leaves, structure = pytree.tree_flatten(output)

    def forward(x: Tensor) -> Any:
        def stand_in(leaf: object) -> object:
            if not isinstance(leaf, Tensor):
                return leaf
            shape = (len(x), *leaf.shape[1:]) if leaf.dim() else leaf.shape
            logits = torch.zeros(shape, device=leaf.device)
            if logits.dim() > 1:
                logits[:, 0] = logit.value
            return logits + 0 * anchor.sum()

        return pytree.tree_unflatten([stand_in(leaf) for leaf in leaves], structure)

    net.forward = forward
    return logit


class _Watched:
    """A set-up network with a stand-in forward; the rates of its updates go into the given list."""

    def __init__(self, net: Any, prm: Prm, output: Any, rows: list[list[float]]) -> None:
        self.net = net
        self.logit = _replace_forward(self.net, output)
        self.net.train_setup(prm)
        self.net.optimizer.register_step_pre_hook(
            lambda optimizer, *_: rows.append([float(group["lr"]) for group in optimizer.param_groups])
        )
        self.fed = Recorder(self.net.criterion)

    def resume(self, stopped: Any, make: Callable[..., Any], total_steps: int, prm: Prm) -> None:
        """Take over where another run stopped, in the order that a rendered file allows."""
        if self.net.scheduler is None:
            self.net.scheduler = make(self.net.optimizer, total_steps, prm)
        self.net.optimizer.load_state_dict(reloaded(stopped.optimizer.state_dict()))
        self.net.scheduler.load_state_dict(reloaded(stopped.scheduler.state_dict()))


def _run(
    subject: Subject, net: Any, make: Callable[..., Any] | None, output: Any, batches: int, resume: int | None
) -> dict[str, Any]:
    """Some epochs through ``train_setup`` and ``learn``: the rate of each update, and the scheduler's horizon."""
    assert subject.module is not None
    horizons: list[int] = []

    def recorder(optimizer: Any, total_steps: int, *args: Any, **kwargs: Any) -> Any:
        horizons.append(int(total_steps))
        assert make is not None
        return make(optimizer, total_steps, *args, **kwargs)

    if make is not None:
        vars(subject.module)["make_scheduler"] = recorder  # seen by the file's own calls
    prm = subject.prm(lr=BASE_LR, epoch_max=EPOCHS)
    rows: list[list[float]] = []
    losses: list[float] = []
    batch_losses: list[float] = []
    accuracies: list[float] = []
    batch_accuracies: list[float] = []
    updates = []
    epochs = EPOCHS + _PAST_END
    train_data = random_batches(batches, 2, 3, 8, 10, subject.device)
    try:
        watched = _Watched(net, prm, output, rows)
        for epoch in range(epochs):
            if epoch == resume:
                stopped, watched = net, _Watched(subject.network(prm), prm, output, rows)
                watched.resume(stopped, recorder, horizons[0] if horizons else 1, prm)
            watched.logit.value = 0.2 if epoch else 0.0
            watched.fed.clear()
            before = len(rows)
            with watched.fed as fed:
                watched.net.learn(train_data)
            updates.append(len(rows) - before)
            losses.append(fed.mean(fed.losses))
            accuracies.append(fed.mean(fed.accuracies))
            batch_losses += fed.losses
            batch_accuracies += fed.accuracies
    finally:
        if make is not None:
            vars(subject.module)["make_scheduler"] = make
    if updates != [batches] * epochs:
        wrong = next(count for count in updates if count != batches)
        raise CheckFailure(f"the optimizer is stepped {wrong} times in an epoch of {batches} batches")
    scheduler = watched.net.scheduler
    takes_metric = scheduler is not None and "metrics" in inspect.signature(scheduler.step).parameters
    return {
        "rates": [list(row) for row in zip(*rows, strict=True)],
        "depths": [group.get("depth", 0) for group in watched.net.optimizer.param_groups],
        "metrics": losses if takes_metric else None,
        "fed": {
            "epoch": {Metric.LOSS: losses, Metric.ACCURACY: accuracies},
            "batch": {Metric.LOSS: batch_losses, Metric.ACCURACY: batch_accuracies},
        },
        "horizon": horizons[0] if horizons else None,
        "made": len(horizons),
        "per_batch": bool(horizons) and horizons[0] == EPOCHS * batches and batches > 1,
    }


def judge(variant: Variant, run: dict[str, Any], batches: int, resume: int | None) -> str:
    """Where the rates of ``learn`` leave the variant's curve; empty when they do not."""
    epochs = EPOCHS + _PAST_END
    found = as_array(run["rates"], batches * epochs)
    if found is None:
        return f"learn does not make {batches * epochs} updates in {epochs} epochs of {batches} batches"
    reason = wrong_depths(variant, run["depths"])
    if reason or len(run["depths"]) != len(found):
        return reason or "learn changes the number of parameter groups"
    steps = np.arange(batches * epochs) if variant.per_batch else np.repeat(np.arange(epochs), batches)
    horizon = EPOCHS * batches if variant.per_batch else EPOCHS
    metrics = run["fed"][variant.cadence][variant.metric][:-1] if variant.unit is Unit.METRIC else None
    wanted = curves.rates(variant, steps, horizon, BASE_LR, metrics=metrics, depths=run["depths"])
    at = first_difference(found, wanted, variant.tolerance * BASE_LR)
    if at is None:
        return ""
    rate, right, group = worst(found, wanted, at)
    place = f"learn, epoch {at // batches + 1}, batch {at % batches + 1} of {batches}{group}"
    if resume is not None and at >= resume * batches:
        place += f", resumed from state_dicts after epoch {resume}"
    elif run["made"] > 1:
        return f"the scheduler is made {run['made']} times in {epochs} epochs of learn, it must be made once: {place}"
    if np.ptp(found) == 0 and np.ptp(wanted) > 0:
        told = f"{rate:.6g} where {named(variant)} has {right:.6g}"
        return f"the rate never changes in {place}: {told}; is the scheduler ever stepped?"
    if variant.unit is not Unit.METRIC and batches > 1 and resume is None:
        changes = np.flatnonzero(np.any(np.diff(found, axis=1) != 0, axis=0)) + 1
        if bool(np.any(changes % batches)) != variant.per_batch:
            other, own = _ONCE[not variant.per_batch], _ONCE[variant.per_batch]
            return f"the schedule is stepped once {other}, {named(variant)} once {own}: {place}"
    return f"the rate is wrong in {place}: {rate:.6g} where {named(variant)} has {right:.6g}"


def judge_own(run: dict[str, Any], batches: int) -> str:
    """A file that is checked against no variant: ``learn`` must use the rates of its own ``make_scheduler``."""
    epochs = EPOCHS + _PAST_END
    found = as_array(run["rates"], batches * epochs)
    if found is None or not np.all(np.isfinite(found)):
        return f"learn does not make {batches * epochs} updates with a rate in {epochs} epochs of {batches} batches"
    if np.any(found < 0):
        return f"the rate is negative in learn: {float(found.min()):.6g}"
    if "own" not in run:
        return ""
    steps = np.arange(batches * epochs) if run["per_batch"] else np.repeat(np.arange(epochs), batches)
    own = np.asarray(run["own"], dtype=np.float64)[:, steps]
    if len(own) not in (1, len(found)):
        return "learn changes the number of parameter groups"
    at = first_difference(found, own, 1e-9 * BASE_LR)
    if at is None:
        return ""
    rate, right, group = worst(found, own, at)
    return (
        f"learn does not follow the file's own make_scheduler, made for {run['horizon']} steps of "
        f"{_ONCE[run['per_batch']]} each: {rate:.6g} where that has {right:.6g} "
        f"in epoch {at // batches + 1}, batch {at % batches + 1} of {batches}{group}"
    )
