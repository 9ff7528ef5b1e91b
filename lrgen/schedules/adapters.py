"""Schedules in other trainers: Lightning, transformers' Trainer, accelerate and timm.

Each trainer steps a scheduler at other moments; each function says at which, and what ``total_steps`` counts there.
The libraries themselves are imported only where one of their classes is needed.
"""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lrgen.errors import ParameterError, shown
from lrgen.schedules.lookup import check_arguments, check_count, find, make


def lightning_config(
    name: str | int,
    optimizer: Optimizer,
    *,
    updates: int | None = None,
    epochs: int | None = None,
    monitor: str | None = None,
    **hyperparameters: float,
) -> dict[str, Any]:
    """Return what ``configure_optimizers`` returns under ``"lr_scheduler"``, with the unit of the schedule.

    Lightning steps a scheduler of interval ``"step"`` after each update, also after one that a ``GradScaler`` skips,
    and one of interval ``"epoch"`` after each epoch.

    Args:
        name: as in ``make``.
        optimizer: as in ``make``.
        updates: ``self.trainer.estimated_stepping_batches``; needed by a schedule that advances once per batch.
        epochs: ``self.trainer.max_epochs``; needed by a schedule that advances once per epoch.
        monitor: the logged metric; needed by a schedule that is driven by a metric.
        hyperparameters: hyperparameters that differ from their defaults.

    Raises:
        UnknownNameError: as ``make``.
        ParameterError: as ``make``, and if the number that the schedule needs is missing or not finite.

    Example:
        >>> def configure_optimizers(self):
        ...     optimizer = torch.optim.AdamW(self.parameters(), lr=3e-4)
        ...     planned = {"updates": self.trainer.estimated_stepping_batches, "epochs": self.trainer.max_epochs}
        ...     return {"optimizer": optimizer, "lr_scheduler": lightning_config("wsd_linear", optimizer, **planned)}
    """
    schedule = find(name)
    per_batch = schedule.unit == "batch"
    needed, total_steps = ("updates", updates) if per_batch else ("epochs", epochs)
    if total_steps is None or total_steps in (-1, float("inf")):
        reason = f"advances once per {schedule.unit} and needs {needed}"
        raise ParameterError(f"{schedule.name} {reason}, got {shown(total_steps)}")
    if schedule.metric and not monitor:
        raise ParameterError(f"{schedule.name} is driven by a metric ({schedule.metric}) and needs monitor")
    return {
        "scheduler": make(name, optimizer, total_steps, **hyperparameters),
        "interval": "step" if per_batch else "epoch",
        "frequency": 1,
        "monitor": monitor,
    }


def hf_trainer(
    name: str | int, optimizer: Optimizer, total_steps: int, **hyperparameters: float
) -> tuple[Optimizer, LRScheduler]:
    """Return the argument ``optimizers`` of ``transformers.Trainer``.

    The Trainer steps every scheduler after each update that is not skipped, whatever the unit of the schedule: a
    schedule by epochs becomes the same curve over updates. A schedule that is driven by a metric is stepped after each
    evaluation with ``metric_for_best_model``.

    Args:
        name: as in ``make``.
        optimizer: as in ``make``; the Trainer uses it instead of the one of its arguments.
        total_steps: the number of updates of the training (``max_steps``), or of evaluations if the schedule is driven
            by a metric.
        hyperparameters: hyperparameters that differ from their defaults.

    Raises:
        UnknownNameError: as ``make``.
        ParameterError: as ``make``.

    Example:
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
        >>> trainer = Trainer(model, arguments, optimizers=hf_trainer("wsd_linear", optimizer, arguments.max_steps))
    """
    return optimizer, make(name, optimizer, total_steps, **hyperparameters)


def accelerate_scheduler(
    accelerator: Any, name: str | int, optimizer: Optimizer, total_steps: int, **hyperparameters: float
) -> Any:
    """Return a scheduler that ``accelerate`` steps once for each update, with any number of processes.

    ``accelerator.prepare(scheduler)`` steps a scheduler as many times for each update as there are processes, unless
    ``split_batches`` is set. This one is stepped once; steps within an accumulation and skipped updates do not count.
    It is registered with the accelerator, which saves and loads its state, and needs no ``prepare``.

    Args:
        accelerator: the ``accelerate.Accelerator``.
        name: as in ``make``.
        optimizer: what ``accelerator.prepare(optimizer)`` returned.
        total_steps: the number of updates, the same in every process: batches of one process divided by
            ``gradient_accumulation_steps``; or the number of epochs of a schedule that is stepped once per epoch with
            ``step_scheduler_with_optimizer=False``.
        hyperparameters: hyperparameters that differ from their defaults.

    Raises:
        UnknownNameError: as ``make``.
        ParameterError: as ``make``, and if the optimizer was not prepared by this accelerator.

    Example:
        >>> model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
        >>> scheduler = accelerate_scheduler(accelerator, "wsd_linear", optimizer, total_steps=1000)
    """
    from accelerate.scheduler import AcceleratedScheduler

    prepared = [known for known in accelerator._optimizers if optimizer in (known, known.optimizer)]
    if not prepared:
        raise ParameterError("optimizer must be one that accelerator.prepare returned, before its scheduler is made")
    scheduler = AcceleratedScheduler(
        make(name, prepared[0].optimizer, total_steps, **hyperparameters),
        prepared[0],
        step_with_optimizer=accelerator.step_scheduler_with_optimizer,
        split_batches=True,
    )
    scheduler._is_accelerate_prepared = True
    return accelerator.prepare_scheduler(scheduler)


class TimmScheduler:
    """A scheduler with the interface of timm's: ``step`` after an epoch, ``step_update`` after an update.

    Both take the number of epochs or updates that are done. The one in the unit of the schedule advances it to there,
    the other one does nothing. ``t_in_epochs`` says which, as in timm's schedulers.
    """

    def __init__(self, scheduler: LRScheduler, t_in_epochs: bool) -> None:
        self.scheduler = scheduler
        self.optimizer = scheduler.optimizer
        self.t_in_epochs = t_in_epochs
        self.done = 0

    def step(self, epoch: int, metric: float | None = None) -> None:
        """Advance a schedule by epochs to the end of ``epoch`` epochs."""
        if self.t_in_epochs:
            self._advance(epoch, metric)

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        """Advance a schedule by batches to the end of ``num_updates`` updates."""
        if not self.t_in_epochs:
            self._advance(num_updates, metric)

    def _advance(self, done: int, metric: float | None) -> None:
        """Step until ``done`` steps are done.

        Raises:
            ParameterError: when this is a step back, or a schedule that is driven by a metric lacks one.
        """
        if done < self.done:
            raise ParameterError(f"a scheduler cannot step back: {self.done} steps are done, got {done}")
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            for _ in range(done - self.done):
                self.scheduler.step()
        elif done > self.done:
            if metric is None or done > self.done + 1:
                raise ParameterError(f"this schedule needs the metric of each step, also of step {self.done + 1}")
            self.scheduler.step(metric)
        self.done = done

    def state_dict(self) -> dict[str, Any]:
        """The state of the scheduler, and the number of steps that are done."""
        return {"scheduler": self.scheduler.state_dict(), "done": self.done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what ``state_dict`` returned."""
        self.scheduler.load_state_dict(state_dict["scheduler"])
        self.done = state_dict["done"]


def timm_scheduler(
    name: str | int, optimizer: Optimizer, *, epochs: int, updates_per_epoch: int, **hyperparameters: float
) -> TimmScheduler:
    """Return a scheduler that timm's training script steps: in epochs or in updates, as the schedule does.

    The factor ``lr_scale`` of a parameter group, which timm's layer-wise groups have, scales its base learning rate.

    Args:
        name: as in ``make``.
        optimizer: as in ``make``.
        epochs: the planned number of epochs.
        updates_per_epoch: the number of updates in each.
        hyperparameters: hyperparameters that differ from their defaults.

    Raises:
        UnknownNameError: as ``make``.
        ParameterError: as ``make``, and if ``epochs`` or ``updates_per_epoch`` is not a whole number of at least 1. The
            optimizer is as before then.

    Example:
        >>> scheduler = timm_scheduler("wsd_linear", optimizer, epochs=300, updates_per_epoch=1251)
        >>> scheduler.step_update(num_updates=1)
        >>> scheduler.step(epoch=1)
    """
    check_count("epochs", epochs)
    check_count("updates_per_epoch", updates_per_epoch)
    in_epochs = find(name).unit == "epoch"
    total_steps = epochs if in_epochs else epochs * updates_per_epoch
    check_arguments(name, total_steps, **hyperparameters)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * group.get("lr_scale", 1.0)
    return TimmScheduler(make(name, optimizer, total_steps, **hyperparameters), in_epochs)
