"""Traces of ``learn``: a few epochs of tiny batches with a stand-in for the forward pass.

The stand-in keeps the cost of the convolutions out of a check of the schedule.
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
from lrgen.verify.checks import resuming
from lrgen.verify.checks.make_scheduler_trace import BASE_LR, Groups, reloaded, trace
from lrgen.verify.checks.recorder import Recorder
from lrgen.verify.checks.reference import as_array, describe, first_difference, wrong_depths
from lrgen.verify.checks.subject import CheckFailure, Subject, random_batches

BATCHES = (1, 2, 7)
EPOCHS = 3
_PAST_END = 2  # epochs past the horizon
_UNITS = {False: "epoch", True: "batch"}


def cases(variant: Variant | None) -> list[tuple[int, int | None]]:
    """The runs: batches per epoch, and the epoch after which the run is interrupted and resumed."""
    whole: list[tuple[int, int | None]] = [(batches, None) for batches in BATCHES]
    return whole if variant is None else [*whole, (BATCHES[1], 2)]


def measure(subject: Subject, make: Callable[..., Any] | None) -> list[dict[str, Any]]:
    """Record a run for each case; without a variant also the learning rates of the file's own scheduler.

    Raises:
        CheckFailure: if ``learn`` raises, or the parameter groups have the wrong depths or updates.
    """
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
                groups = Groups(run["depths"] if any(run["depths"]) else ())
                prm = subject.prm(lr=BASE_LR)
                run["own"] = trace(subject, make, run["horizon"], steps, prm, run["metrics"], groups=groups)
    return runs


class _Logit:
    """The logit of class 0 that the stand-in returns; it changes the loss between epochs."""

    def __init__(self) -> None:
        self.value = 0.0


def _output_of(net: Any, subject: Subject, used: list[nn.Parameter]) -> Any:
    """The output of the real forward pass in training, which need not be a single tensor.

    The parameters of the modules are appended to ``used`` in the order of their first use.
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
    """Require depths of the parameter groups that increase from the input to the output."""
    depths = {id(p): group.get("depth", 0) for group in net.optimizer.param_groups for p in group["params"]}
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    for before, after in pairwise(used):
        first, second = (depths.get(id(parameter), 0) for parameter in (before, after))
        if first > second:
            raise CheckFailure(
                f"the depths of the layers must increase from the input to the output: {names[id(before)]} has depth "
                f"{first} and is used before {names[id(after)]}, which has depth {second}"
            )


def _replace_forward(net: Any, output: Any) -> _Logit:
    """Replace the forward pass by a cheap stand-in with the same output structure and with gradients."""
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


class _StandInNet:
    """A network with a stand-in forward pass after ``set_up``, which calls its ``train_setup``.

    It appends the learning rates of each update to ``rows``.
    """

    def __init__(self, net: Any, set_up: Callable[[Any], None], output: Any, rows: list[list[float]]) -> None:
        self.net = net
        self.logit = _replace_forward(self.net, output)
        set_up(self.net)
        self.net.optimizer.register_step_pre_hook(
            lambda optimizer, *_: rows.append([float(group["lr"]) for group in optimizer.param_groups])
        )
        self.recorder = Recorder(self.net.criterion)


def _run(
    subject: Subject, net: Any, make: Callable[..., Any] | None, output: Any, batches: int, resume: int | None
) -> dict[str, Any]:
    """Run ``train_setup`` and some epochs of ``learn``; returns the learning rates, the metrics and the horizon."""
    assert subject.module is not None
    horizons: list[int] = []

    def record_horizon(optimizer: Any, total_steps: int, *args: Any, **kwargs: Any) -> Any:
        horizons.append(int(total_steps))
        assert make is not None
        return make(optimizer, total_steps, *args, **kwargs)

    if make is not None:
        vars(subject.module)["make_scheduler"] = record_horizon  # the name that the file's own calls resolve
    prm = subject.prm(lr=BASE_LR, epoch_max=EPOCHS)
    rows: list[list[float]] = []
    losses: list[float] = []
    batch_losses: list[float] = []
    accuracies: list[float] = []
    batch_accuracies: list[float] = []
    updates = []
    epochs = EPOCHS + _PAST_END
    train_data = random_batches(batches, 2, 3, 8, 10, subject.device)

    def resumed(net: Any) -> None:
        states = {"optimizer": trained.net.optimizer.state_dict(), "scheduler": trained.net.scheduler.state_dict()}
        checkpoint = {"net": trained.net.state_dict(), **reloaded(states)}
        resuming.restore(net, record_horizon, horizons[0] if horizons else 1, prm, checkpoint)

    try:
        trained = _StandInNet(net, lambda net: net.train_setup(prm), output, rows)
        for epoch in range(epochs):
            if epoch == resume:
                trained = _StandInNet(subject.network(prm), resumed, output, rows)
            trained.logit.value = 0.2 if epoch else 0.0
            trained.recorder.clear()
            before = len(rows)
            with trained.recorder as recorder:
                trained.net.learn(train_data)
            updates.append(len(rows) - before)
            losses.append(recorder.mean(recorder.losses))
            accuracies.append(recorder.mean(recorder.accuracies))
            batch_losses += recorder.losses
            batch_accuracies += recorder.accuracies
    finally:
        if make is not None:
            vars(subject.module)["make_scheduler"] = make
    if updates != [batches] * epochs:
        wrong = next(count for count in updates if count != batches)
        raise CheckFailure(
            f"the number of optimizer steps in an epoch of learn is {wrong}, expected {batches} (one per batch)"
        )
    scheduler = trained.net.scheduler
    takes_metric = scheduler is not None and "metrics" in inspect.signature(scheduler.step).parameters
    return {
        "rates": [list(row) for row in zip(*rows, strict=True)],
        "depths": [group.get("depth", 0) for group in trained.net.optimizer.param_groups],
        "metrics": losses if takes_metric else None,
        "by_cadence": {
            "epoch": {Metric.LOSS: losses, Metric.ACCURACY: accuracies},
            "batch": {Metric.LOSS: batch_losses, Metric.ACCURACY: batch_accuracies},
        },
        "horizon": horizons[0] if horizons else None,
        "made": len(horizons),
        "per_batch": bool(horizons) and horizons[0] == EPOCHS * batches and batches > 1,
    }


def judge(variant: Variant, run: dict[str, Any], batches: int, resume: int | None) -> str:
    """The reason why the learning rates of ``learn`` differ from the curve; empty if they do not."""
    epochs = EPOCHS + _PAST_END
    actual = as_array(run["rates"], batches * epochs)
    if actual is None:
        return f"learn does not make {batches * epochs} updates in {epochs} epochs (one per batch)"
    reason = wrong_depths(variant, run["depths"])
    if reason or len(run["depths"]) != len(actual):
        return reason or f"learn changes the number of parameter groups from {len(actual)} to {len(run['depths'])}"
    steps = np.arange(batches * epochs) if variant.per_batch else np.repeat(np.arange(epochs), batches)
    horizon = EPOCHS * batches if variant.per_batch else EPOCHS
    metrics = run["by_cadence"][variant.cadence][variant.metric][:-1] if variant.unit is Unit.METRIC else None
    expected = curves.rates(variant, steps, horizon, BASE_LR, metrics=metrics, depths=run["depths"])
    at = first_difference(actual, expected, variant.tolerance * BASE_LR)
    if at is None:
        return ""
    resumed = resume is not None and at >= resume * batches
    details = [f"resumed from state_dict after epoch {resume}"] if resumed else []
    reason = describe(actual, expected, at, _place(at, batches), variant.label, details)
    if run["made"] > 1 and not resumed:
        return f"make_scheduler is called {run['made']} times in {epochs} epochs of learn, expected once: {reason}"
    if np.ptp(actual) == 0 and np.ptp(expected) > 0:
        return f"learn never changes the learning rate, scheduler.step() may be missing: {reason}"
    if variant.unit is not Unit.METRIC and batches > 1 and resume is None:
        changes = np.flatnonzero(np.any(np.diff(actual, axis=1) != 0, axis=0)) + 1
        if bool(np.any(changes % batches)) != variant.per_batch:
            unit, other = _UNITS[variant.per_batch], _UNITS[not variant.per_batch]
            return f"learn steps the schedule once per {other}, expected once per {unit}: {reason}"
    return reason


def judge_own(run: dict[str, Any], batches: int) -> str:
    """The reason why ``learn`` differs from the file's own ``make_scheduler``; empty if it does not.

    It is for files that claim no variant.
    """
    epochs = EPOCHS + _PAST_END
    actual = as_array(run["rates"], batches * epochs)
    if actual is None:
        return f"learn does not make {batches * epochs} updates in {epochs} epochs (one per batch)"
    for fault, wrong in (("not finite", ~np.isfinite(actual)), ("negative", actual < 0)):
        if np.any(wrong):
            group, at = np.argwhere(wrong)[0]
            return f"the learning rate {_place(int(at), batches)} is {fault}: {actual[group, at]:.6g}"
    if "own" not in run:
        return ""
    steps = np.arange(batches * epochs) if run["per_batch"] else np.repeat(np.arange(epochs), batches)
    own = np.asarray(run["own"], dtype=np.float64)[:, steps]
    if len(own) not in (1, len(actual)):
        return f"learn has {len(actual)} parameter groups, make_scheduler has learning rates for {len(own)}"
    at = first_difference(actual, own, 1e-9 * BASE_LR)
    if at is None:
        return ""
    source = f"make_scheduler with total_steps={run['horizon']}, stepped once per {_UNITS[run['per_batch']]}"
    reason = describe(actual, own, at, _place(at, batches), source)
    return f"learn does not follow the file's own make_scheduler: {reason}"


def _place(update: int, batches: int) -> str:
    """``in learn at epoch 2, batch 1 of 7``."""
    return f"in learn at epoch {update // batches + 1}, batch {update % batches + 1} of {batches}"
