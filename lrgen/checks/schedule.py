"""Is the learning rate, step by step, what the variant's curve says?

Measured twice: ``make_scheduler`` on a dummy parameter, at many horizons, on past their end, stopped and resumed,
with other base rates and other hyperparameters; and ``learn`` itself, a few epochs of tiny batches with the
network's forward replaced by a stand-in, so that the schedule and not the convolutions is paid for. The rates of
each update are compared with lrgen.curves, which shares no code with any template.
"""

import inspect
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from lrgen import curves
from lrgen.checks.subject import CheckFailure, Prm, Subject, random_batches
from lrgen.records import Candidate, Stage, Unit, Variant, VerifySettings

STAGE = Stage.SCHEDULE
HORIZONS = (1, 2, 3, 5, 10, 90, 3000)
BASE_LR = 0.1
LEARN_BATCHES = (1, 2, 7)
LEARN_EPOCHS = 3
_ONCE = {Unit.EPOCH: "an epoch", Unit.BATCH: "a batch"}
_PAST_END = 2  # epochs of learn past the planned ones


def losses(count: int) -> list[float]:
    """A loss to feed a metric-driven schedule with: a noisy fall with ties, then a plateau, then improvements that are
    just large enough to count as such (5e-4 of the best), then some that are not (1e-5), and a NaN now and then.
    """
    noise = np.random.RandomState(0).rand(count) * 0.2
    values: list[float] = []
    for index in range(count):
        if index < count // 3:
            falling = 2 * math.exp(-3 * index / count) + float(noise[index])
            values.append(values[-1] if index % 4 == 3 else falling)
        elif index < count // 2:
            values.append(values[-1] if values else 1.0)
        elif index < 3 * count // 4:
            values.append(0.5 if index == count // 2 else values[-1] * (1 - 5e-4))
        else:
            values.append(values[-1] * (1 - 1e-5))
    return [math.nan if index % 17 == 9 else value for index, value in enumerate(values)]


def measure(subject: Subject) -> dict[str, Any]:
    """The rates of ``make_scheduler`` and of ``learn``."""
    assert subject.module is not None
    variant = subject.candidate.variant
    make = getattr(subject.module, "make_scheduler", None)
    if make is None:
        if variant is not None:
            raise CheckFailure(f"there is no make_scheduler, so {_named(variant)} cannot be traced")
        return {"direct": [], "learn": _learn(subject, None)}
    direct = [] if variant is None else _direct(subject, variant, make)
    learned = _learn(subject, make)
    if variant is None:
        for run in learned:
            if run["horizon"] is not None:
                steps = len(run["rates"][0]) if run["per_batch"] else LEARN_EPOCHS + _PAST_END
                run["own"] = _trace(subject, make, run["horizon"], steps, subject.prm(lr=BASE_LR), run["metrics"])
    return {"direct": direct, "learn": learned}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Compare each trace with the variant's curve; without a variant, ``learn`` with the file's own scheduler."""
    variant = candidate.variant
    if variant is None:
        runs = zip(measurement["learn"], LEARN_BATCHES, strict=True)
        return next(filter(None, (_judge_own(run, batches) for run, batches in runs)), "")
    folder = candidate.family_folder
    if len(measurement["direct"]) != len(_cases(variant)) or len(measurement["learn"]) != len(_learn_cases(variant)):
        return "the schedule was not measured completely"
    for case, rates in zip(_cases(variant), measurement["direct"], strict=True):
        reason = _judge_direct(variant, case, rates, folder)
        if reason:
            return reason
    for run, (batches, resume) in zip(measurement["learn"], _learn_cases(variant), strict=True):
        reason = _judge_learn(variant, run, batches, resume, folder)
        if reason:
            return reason
    return ""


# make_scheduler on a dummy parameter.


class _Case(dict[str, Any]):
    """One trace: horizon, steps, base_lr, prm and, for a resumed run, the step at which it was stopped."""


def _cases(variant: Variant) -> list[_Case]:
    def case(
        horizon: int, base_lr: float = BASE_LR, resume: int | None = None, prm: dict[str, float] | None = None
    ) -> _Case:
        steps = horizon + max(5, horizon // 4)
        return _Case(horizon=horizon, steps=steps, base_lr=base_lr, resume=resume, prm=prm or {})

    cases = [case(horizon) for horizon in HORIZONS]
    cases += [case(10, base_lr=1e-4), case(10, base_lr=1.0)]
    cases += [case(10, resume=5), case(90, resume=45)]
    for parameter in variant.hyperparameters:
        # Both ends, the middle, and a single step of the horizon, where phases vanish.
        values = (parameter.low, 1 / 20, (parameter.low + parameter.high) / 2, parameter.high)
        cases += [case(20, prm={parameter.name: value}) for value in values if parameter.low <= value]
    return cases


def _direct(subject: Subject, variant: Variant, make: Callable[..., Any]) -> list[list[list[float]]]:
    traces = []
    for case in _cases(variant):
        prm = subject.prm(lr=case["base_lr"], **case["prm"])
        metrics = losses(case["steps"]) if variant.unit is Unit.METRIC else None
        rates = _trace(subject, make, case["horizon"], case["steps"], prm, metrics, case["resume"])
        traces.append(rates)
        reason = _judge_direct(variant, case, rates, subject.candidate.family_folder)
        if reason:
            raise CheckFailure(reason)
    return traces


def _trace(
    subject: Subject,
    make: Callable[..., Any],
    horizon: int,
    steps: int,
    prm: Prm,
    metrics: Sequence[float] | None = None,
    resume: int | None = None,
) -> list[list[float]]:
    """The rate that each parameter group uses at each update: groups × steps."""

    def build() -> tuple[torch.optim.Optimizer, Any]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=prm["lr"], momentum=0.9)
        return optimizer, make(optimizer, horizon, prm)

    step = 0
    try:
        optimizer, scheduler = build()
        rows = []
        for step in range(steps):
            if step == resume:
                state = _reloaded([optimizer.state_dict(), scheduler.state_dict()])
                optimizer, scheduler = build()
                optimizer.load_state_dict(state[0])
                scheduler.load_state_dict(state[1])
            rows.append([float(group["lr"]) for group in optimizer.param_groups])
            optimizer.step()
            if metrics is None:
                scheduler.step()
            else:
                scheduler.step(metrics[step])
    except Exception as error:
        place = f"at horizon {horizon}"
        if step:
            place = f"past the end of horizon {horizon}, at step {step}" if step >= horizon else f"{place}, step {step}"
        if resume is not None and step >= resume:
            place += f", resumed at step {resume}"
        raise CheckFailure(f"make_scheduler raises {place}: {subject.explain(error)}") from error
    return [list(row) for row in zip(*rows, strict=True)]


def _judge_direct(variant: Variant, case: _Case, rates: list[list[float]], folder: Path | None) -> str:
    horizon, steps, base_lr = case["horizon"], case["steps"], case["base_lr"]
    if variant.unit is Unit.METRIC:
        wanted = curves.follow(variant, losses(steps)[:-1], horizon, base_lr, case["prm"], folder)
    else:
        wanted = curves.rates(variant, np.arange(steps), horizon, base_lr, case["prm"], folder)
    found = _as_array(rates, steps)
    if found is None:
        return f"the trace at horizon {horizon} does not have {steps} rates"
    at = _first_difference(found, wanted, variant.tolerance * base_lr)
    if at is None:
        return ""
    rate, group = _worst(found, wanted, at)
    place = f"step {at} of horizon {horizon}{group}"
    if case["resume"] is not None and at >= case["resume"]:
        place += f", resumed from state_dicts at step {case['resume']}"
    elif at >= horizon:
        place = f"step {at}, past the end of horizon {horizon}{group}"
    if case["prm"]:
        place += " with " + ", ".join(f"{name}={value:g}" for name, value in case["prm"].items())
    kind = (
        "the rate is negative" if rate < 0 else "the rate is not a number" if math.isnan(rate) else "the rate is wrong"
    )
    if np.ptp(found) == 0 and np.ptp(wanted) > 0:
        kind = "the rate never changes"
    return f"{kind} at {place}: {rate:.6g} where {_named(variant)} has {float(wanted[at]):.6g}"


# learn with a stand-in forward.


def _learn(subject: Subject, make: Callable[..., Any] | None) -> list[dict[str, Any]]:
    runs = []
    try:
        net = subject.network(subject.prm())
        output = _output_of(net, subject)
        for batches, resume in _learn_cases(subject.candidate.variant):
            runs.append(_learn_run(subject, net, make, output, batches, resume))
    except CheckFailure:
        raise
    except Exception as error:
        raise CheckFailure(f"learn raises {subject.explain(error)}") from error
    return runs


def _learn_cases(variant: Variant | None) -> list[tuple[int, int | None]]:
    """Batches of an epoch, and the epoch after which the run is stopped and resumed."""
    cases: list[tuple[int, int | None]] = [(batches, None) for batches in LEARN_BATCHES]
    return cases if variant is None else [*cases, (LEARN_BATCHES[1], 2)]


class _Level:
    """How sure the stand-in is of class 0; the epochs set it, so that the loss moves as they want."""

    def __init__(self) -> None:
        self.value = 0.0


def _output_of(net: Any, subject: Subject) -> Any:
    """What the real forward returns in training, which need not be a single tensor."""
    net.train()
    with torch.no_grad():
        return net(random_batches(1, 2, 3, 32, 10, subject.device)[0][0])


def _replace_forward(net: Any, output: Any) -> _Level:
    """Replace the forward by a stand-in of the same output structure that costs nothing and still has gradients."""
    level = _Level()
    anchor = next(parameter for parameter in net.parameters() if parameter.requires_grad)
    leaves, structure = pytree.tree_flatten(output)

    def forward(x: Tensor) -> Any:
        def stand_in(leaf: object) -> object:
            if not isinstance(leaf, Tensor):
                return leaf
            shape = (len(x), *leaf.shape[1:]) if leaf.dim() else leaf.shape
            logits = torch.zeros(shape, device=leaf.device)
            if logits.dim() > 1:
                logits[:, 0] = level.value
            return logits + 0 * anchor.sum()

        return pytree.tree_unflatten([stand_in(leaf) for leaf in leaves], structure)

    net.forward = forward
    return level


class _Watched:
    """A set-up network with a stand-in forward, whose updates and losses are recorded in the given lists."""

    def __init__(self, net: Any, prm: Prm, output: Any, rows: list[list[float]], seen: list[tuple[float, int]]) -> None:
        self.net = net
        self.level = _replace_forward(self.net, output)
        self.net.train_setup(prm)
        self.net.optimizer.register_step_pre_hook(
            lambda optimizer, *_: rows.append([float(group["lr"]) for group in optimizer.param_groups])
        )
        if isinstance(self.net.criterion, nn.Module):
            self.net.criterion.register_forward_hook(
                lambda _, inputs, loss: seen.append((float(loss.detach()), len(inputs[0]))) if loss.dim() == 0 else None
            )

    def resume(self, stopped: Any, make: Callable[..., Any], total_steps: int, prm: Prm) -> None:
        """Take over where another run stopped, in the order that a rendered file allows."""
        if self.net.scheduler is None:
            self.net.scheduler = make(self.net.optimizer, total_steps, prm)
        self.net.optimizer.load_state_dict(_reloaded(stopped.optimizer.state_dict()))
        self.net.scheduler.load_state_dict(_reloaded(stopped.scheduler.state_dict()))


def _reloaded(state: Any) -> Any:
    """A state_dict as it comes back from a file."""
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    return torch.load(saved, weights_only=True)


def _learn_run(
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
    prm = subject.prm(lr=BASE_LR, epoch_max=LEARN_EPOCHS)
    rows: list[list[float]] = []
    seen: list[tuple[float, int]] = []
    metrics, updates = [], []
    epochs = LEARN_EPOCHS + _PAST_END
    train_data = random_batches(batches, 2, 3, 8, 10, subject.device)
    try:
        watched = _Watched(net, prm, output, rows, seen)
        for epoch in range(epochs):
            if epoch == resume:
                stopped, watched = net, _Watched(subject.network(prm), prm, output, rows, seen)
                watched.resume(stopped, recorder, horizons[0] if horizons else 1, prm)
            watched.level.value = 0.2 if epoch else 0.0
            seen.clear()
            before = len(rows)
            watched.net.learn(train_data)
            updates.append(len(rows) - before)
            images = sum(count for _, count in seen)
            metrics.append(sum(loss * count for loss, count in seen) / images if images else math.nan)
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
        "metrics": metrics if takes_metric else None,
        "losses": metrics,
        "horizon": horizons[0] if horizons else None,
        "made": len(horizons),
        "per_batch": bool(horizons) and horizons[0] == LEARN_EPOCHS * batches and batches > 1,
    }


def _judge_learn(variant: Variant, run: dict[str, Any], batches: int, resume: int | None, folder: Path | None) -> str:
    epochs = LEARN_EPOCHS + _PAST_END
    found = _as_array(run["rates"], batches * epochs)
    if found is None:
        return f"learn does not make {batches * epochs} updates in {epochs} epochs of {batches} batches"
    by_epoch = np.repeat(np.arange(epochs), batches)
    by_batch = np.arange(batches * epochs)
    if variant.unit is Unit.METRIC:
        wanted = curves.follow(variant, run["losses"][:-1], LEARN_EPOCHS, BASE_LR, None, folder)[by_epoch]
    elif variant.unit is Unit.BATCH:
        wanted = curves.rates(variant, by_batch, LEARN_EPOCHS * batches, BASE_LR, None, folder)
    else:
        wanted = curves.rates(variant, by_epoch, LEARN_EPOCHS, BASE_LR, None, folder)
    at = _first_difference(found, wanted, variant.tolerance * BASE_LR)
    if at is None:
        return ""
    rate, group = _worst(found, wanted, at)
    place = f"learn, epoch {at // batches + 1}, batch {at % batches + 1} of {batches}{group}"
    if resume is not None and at >= resume * batches:
        place += f", resumed from state_dicts after epoch {resume}"
    elif run["made"] > 1:
        return f"the scheduler is made {run['made']} times in {epochs} epochs of learn, it must be made once: {place}"
    promised = f"{_named(variant)} has {float(wanted[at]):.6g}"
    if np.ptp(found) == 0 and np.ptp(wanted) > 0:
        return f"the rate never changes in {place}: {rate:.6g} where {promised}; is the scheduler ever stepped?"
    if variant.unit is not Unit.METRIC and batches > 1 and resume is None:
        other = "a batch" if variant.unit is Unit.EPOCH else "an epoch"
        changes = np.flatnonzero(np.any(np.diff(found, axis=1) != 0, axis=0)) + 1
        per_batch = bool(np.any(changes % batches))
        if per_batch == (variant.unit is Unit.EPOCH):
            return f"the schedule is stepped once {other}, {_named(variant)} once {_ONCE[variant.unit]}: {place}"
    return f"the rate is wrong in {place}: {rate:.6g} where {promised}"


def _judge_own(run: dict[str, Any], batches: int) -> str:
    """A file that is held to no variant: ``learn`` must use the rates of its own ``make_scheduler``."""
    epochs = LEARN_EPOCHS + _PAST_END
    found = _as_array(run["rates"], batches * epochs)
    if found is None or not np.all(np.isfinite(found)):
        return f"learn does not make {batches * epochs} updates with a rate in {epochs} epochs of {batches} batches"
    if np.any(found < 0):
        return f"the rate is negative in learn: {float(found.min()):.6g}"
    if "own" not in run:
        return ""
    steps = np.arange(batches * epochs) if run["per_batch"] else np.repeat(np.arange(epochs), batches)
    own = np.asarray(run["own"], dtype=np.float64)[:, steps]
    at = _first_difference(found, own[0], 1e-9 * BASE_LR)
    if at is None:
        return ""
    unit = _ONCE[Unit.BATCH if run["per_batch"] else Unit.EPOCH]
    return (
        f"learn does not follow the file's own make_scheduler, made for {run['horizon']} steps of {unit} each: "
        f"{float(found[0, at]):.6g} where that has {float(own[0, at]):.6g} "
        f"in epoch {at // batches + 1}, batch {at % batches + 1} of {batches}"
    )


def _as_array(rates: list[list[float]], steps: int) -> NDArray[np.float64] | None:
    """Groups × steps, or None when the trace has another shape."""
    try:
        found = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.ndim == 2 and found.shape[0] >= 1 and found.shape[1] == steps else None


def _first_difference(found: NDArray[np.float64], wanted: NDArray[np.float64], tolerance: float) -> int | None:
    """The first step at which any group is further from the curve than the tolerance; NaN is."""
    wrong = np.flatnonzero(np.any(~(np.abs(found - wanted) <= tolerance), axis=0))
    return int(wrong[0]) if len(wrong) else None


def _worst(found: NDArray[np.float64], wanted: NDArray[np.float64], at: int) -> tuple[float, str]:
    """The rate that is furthest from the curve at a step, and of which group it is when there are several."""
    group = int(np.argmax(np.nan_to_num(np.abs(found[:, at] - wanted[at]), nan=np.inf)))
    return float(found[group, at]), f", parameter group {group + 1}" if len(found) > 1 else ""


def _named(variant: Variant) -> str:
    return f"{variant.key} ({variant.name})"
