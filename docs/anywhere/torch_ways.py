"""The columns of the matrix that need torch alone: optimizers, mixed precision, groups, copies, checkpoints."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch

from docs.anywhere.updates import (
    BASE_LRS,
    UPDATES,
    NotApplicableError,
    Recorder,
    Run,
    advance,
    horizon_of,
    start,
)
from lrgen.schedules import Schedule

Used = list[list[float]]


def _updates(
    run: Run, schedule: Schedule, first: int = 0, last: int = UPDATES, step: Callable[[], Any] | None = None
) -> Used:
    """Train from the first to the last update, and return the learning rates of the updates without ``step``."""
    horizon = horizon_of(schedule)
    recorder = None if step else Recorder(run.optimizer)
    for update in range(first, last):
        run.optimizer.zero_grad()
        run.net(torch.ones(1))["loss"].backward()
        (step or run.optimizer.step)()
        if (update + 1) % (UPDATES // horizon) == 0:
            advance(run, schedule, (update + 1) * horizon // UPDATES - 1, horizon)
    return recorder.used if recorder else []


def plain_loop(schedule: Schedule) -> Used:
    """``optimizer.step()``, then ``scheduler.step()`` in the unit of the schedule."""
    return _updates(start(schedule), schedule)


def compiled(schedule: Schedule) -> Used:
    """A compiled ``optimizer.step`` with the learning rate in a tensor (backend ``aot_eager``)."""
    torch._dynamo.reset()  # which otherwise stops to compile after some optimizers
    graphs = torch._dynamo.utils.counters["stats"]
    graphs.clear()
    lrs = (torch.tensor(BASE_LRS[0], dtype=torch.float64),)
    run = start(schedule, lrs=lrs)
    used: Used = []
    step = torch.compile(run.optimizer.step, backend="aot_eager")

    def measured() -> None:
        before = [float(weight.detach()) for weight in run.net.weights]
        step()
        used.append([value - float(weight.detach()) for value, weight in zip(before, run.net.weights, strict=True)])

    _updates(run, schedule, step=measured)
    if not graphs["unique_graphs"]:
        raise RuntimeError("torch.compile compiled no graph")
    return used


def foreach(schedule: Schedule) -> Used:
    """SGD with ``foreach=True``."""
    return _updates(start(schedule, foreach=True), schedule)


def fused(schedule: Schedule) -> Used:
    """SGD with ``fused=True``."""
    return _updates(start(schedule, fused=True), schedule)


def capturable(schedule: Schedule) -> Used:
    """Adam with ``capturable=True`` and the learning rate in a tensor, on a GPU."""
    if not torch.cuda.is_available():
        raise NotApplicableError(
            "an optimizer with ``capturable=True`` needs a GPU, and the matrix was run without one"
        )
    lrs = (torch.tensor(BASE_LRS[0], dtype=torch.float64, device="cuda"),)
    run = start(schedule, _adam_on_gpu, lrs=lrs)
    return _updates(run, schedule)


def _adam_on_gpu(groups: list[dict[str, Any]], **keywords: Any) -> torch.optim.Optimizer:
    for group in groups:
        for weight in group["params"]:
            weight.data = weight.data.cuda()
    return torch.optim.Adam(groups, eps=0.0, capturable=True, **keywords)


def grad_scaler(schedule: Schedule) -> Used:
    """``GradScaler`` that skips an update with an infinite gradient, which does not count as a step."""
    horizon = horizon_of(schedule)
    run = start(schedule)
    recorder = Recorder(run.optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=10_000)
    taken = 0
    for attempt in range(UPDATES + 2):
        run.optimizer.zero_grad()
        loss = run.net(torch.ones(1))["loss"]
        scaler.scale(loss * float("inf") if attempt in (0, 5) else loss).backward()
        scale = scaler.get_scale()
        scaler.step(run.optimizer)
        scaler.update()
        if scaler.get_scale() < scale:
            continue
        taken += 1
        if taken % (UPDATES // horizon) == 0:
            advance(run, schedule, taken * horizon // UPDATES - 1, horizon)
    return recorder.used


def two_groups(schedule: Schedule) -> Used:
    """Two parameter groups, each with a base learning rate of its own."""
    return _updates(start(schedule, lrs=BASE_LRS), schedule)


def tensor_rate(schedule: Schedule) -> Used:
    """The learning rate is a tensor of float64."""
    lrs = (torch.tensor(BASE_LRS[0], dtype=torch.float64),)
    return _updates(start(schedule, lrs=lrs), schedule)


def pickled(schedule: Schedule) -> Used:
    """Network, optimizer and scheduler are pickled together after half of the updates; the copies go on."""
    return _continued(schedule, lambda run: pickle.loads(pickle.dumps(run)))


def deep_copied(schedule: Schedule) -> Used:
    """Network, optimizer and scheduler are deep-copied together after half of the updates; the copies go on."""
    return _continued(schedule, copy.deepcopy)


def resumed(schedule: Schedule) -> Used:
    """A new training loads the saved states of network, optimizer and scheduler after half of the updates."""

    def load(run: Run) -> Run:
        file = io.BytesIO()
        torch.save([run.net.state_dict(), run.optimizer.state_dict(), run.scheduler.state_dict()], file)
        file.seek(0)
        other = start(schedule)
        states = torch.load(file, weights_only=True)
        for part, state in zip((other.net, other.optimizer, other.scheduler), states, strict=True):
            part.load_state_dict(state)
        return other

    return _continued(schedule, load)


def _continued(schedule: Schedule, copied: Callable[[Run], Run]) -> Used:
    """The learning rates of a run up to the middle, and of its copy from there on."""
    middle = UPDATES // 2
    run = start(schedule)
    first = _updates(run, schedule, last=middle)
    return first + _updates(copied(run), schedule, first=middle)
