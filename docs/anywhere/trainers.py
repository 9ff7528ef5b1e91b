"""The columns of the matrix for trainers of other libraries."""

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from docs.anywhere.updates import (
    BATCHES,
    EPOCHS,
    UPDATES,
    Recorder,
    Weights,
    bare,
    horizon_of,
    metric,
)
from lrgen.schedules import Schedule, accelerate_scheduler, hf_trainer, lightning_config, timm_scheduler

Used = list[list[float]]


class _Ones(Dataset[dict[str, torch.Tensor]]):
    """Items that make a batch of any size."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": torch.ones(1), "labels": torch.ones(1)}


def hf(schedule: Schedule) -> Used:
    """``transformers.Trainer``: every schedule advances once per update; driven by a metric, once per evaluation."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    net, optimizer = bare()
    recorder = Recorder(optimizer)
    values = iter([metric(step, UPDATES) for step in range(UPDATES)])
    evaluated = (
        {"eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "driven"} if schedule.metric else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=UPDATES,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=2,
            max_grad_norm=0.0,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            **(evaluated if schedule.metric else {}),
        )
        trainer = Trainer(
            net,
            arguments,
            train_dataset=_Ones(8),
            eval_dataset=_Ones(1),
            compute_metrics=lambda _: {"driven": next(values)},
            optimizers=hf_trainer(schedule.name, optimizer, UPDATES),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return recorder.used


def accelerate_1(schedule: Schedule) -> Used:
    """accelerate with one process, two batches accumulated for each update."""
    return _accelerated(schedule)


def accelerate_2(schedule: Schedule) -> Used:
    """accelerate with two processes (gloo), two batches accumulated for each update."""
    return _of_two_processes()[schedule.name]


@functools.cache
def _of_two_processes() -> dict[str, Used]:
    """The learning rates of every selected schedule in one launch of two processes."""
    from accelerate import debug_launcher

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "used.pt")
        debug_launcher(_in_each_process, (tuple(SELECTED), str(path)), num_processes=2)
        used: dict[str, Used] = torch.load(path)
    return used


SELECTED: list[Schedule] = []
"""What is launched with two processes; the matrix fills it."""


def _in_each_process(schedules: Sequence[Schedule], path: str) -> None:
    from accelerate.state import PartialState

    PartialState._reset_state()  # of the process that was forked
    used = {schedule.name: _accelerated(schedule, processes=2) for schedule in schedules}
    if torch.distributed.get_rank() == 0:
        torch.save(used, path)


def _accelerated(schedule: Schedule, processes: int = 1) -> Used:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state()
    GradientState._reset_state()
    per_update = schedule.unit == "batch"
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2, step_scheduler_with_optimizer=per_update)
    if accelerator.num_processes != processes:
        raise RuntimeError(f"expected {processes} processes, accelerate has {accelerator.num_processes}")
    network, plain = bare()
    batches = DataLoader(_Ones(2 * BATCHES * processes), batch_size=1)
    net, optimizer, loader = accelerator.prepare(network, plain, batches)
    horizon = horizon_of(schedule)
    scheduler = accelerate_scheduler(accelerator, schedule.name, optimizer, horizon)
    scheduler = accelerator.prepare(scheduler)
    recorder = Recorder(plain)
    step = 0
    for _ in range(EPOCHS):
        for batch in loader:
            with accelerator.accumulate(net):
                accelerator.backward(net(**batch)["loss"])
                optimizer.step()
                if per_update:
                    scheduler.step(*_driven(schedule, step, horizon))
                    step += accelerator.sync_gradients
                optimizer.zero_grad()
        if not per_update:
            scheduler.step(*_driven(schedule, step, horizon))
            step += 1
    return recorder.used


def _driven(schedule: Schedule, step: int, horizon: int) -> tuple[float, ...]:
    return (metric(step, horizon),) if schedule.metric else ()


def lightning(schedule: Schedule) -> Used:
    """A loop with Lightning's documented order of steps, for the dictionary of ``lightning_config``."""
    net, optimizer = bare()
    config = lightning_config(schedule.name, optimizer, updates=UPDATES, epochs=EPOCHS, monitor="driven")
    steps = iter(range(UPDATES))

    def step(interval: str, count: int) -> None:
        if config["interval"] == interval and count % config["frequency"] == 0:
            config["scheduler"].step(*_driven(schedule, next(steps), horizon_of(schedule)))

    recorder = Recorder(optimizer)
    for epoch in range(EPOCHS):
        for batch in range(BATCHES):
            _backward(net)
            optimizer.step()
            step("step", batch + 1)
        step("epoch", epoch + 1)
    return recorder.used


def timm(schedule: Schedule) -> Used:
    """A loop with the steps of timm's training script: ``step_update`` after an update, ``step`` after an epoch."""
    net, optimizer = bare()
    scheduler = timm_scheduler(schedule.name, optimizer, epochs=EPOCHS, updates_per_epoch=BATCHES)
    recorder = Recorder(optimizer)
    for epoch in range(EPOCHS):
        for batch in range(BATCHES):
            _backward(net)
            optimizer.step()
            update = epoch * BATCHES + batch
            scheduler.step_update(num_updates=update + 1, metric=metric(update, UPDATES))
        scheduler.step(epoch + 1, metric(epoch, EPOCHS))
    return recorder.used


def _backward(net: Weights) -> None:
    net.zero_grad()
    net(torch.ones(1))["loss"].backward()
