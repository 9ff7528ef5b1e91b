"""The columns of the matrix for trainers of other libraries."""

import functools
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from docs.anywhere.updates import (
    BATCHES,
    EPOCHS,
    UPDATES,
    Recorder,
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
    """``lightning.pytorch.Trainer`` with what ``lightning_config`` returns, two batches accumulated for each update."""
    from lightning.pytorch import LightningModule, Trainer

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    net, optimizer = bare()
    per_update = schedule.unit == "batch"

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
            step = self.global_step if per_update else self.current_epoch
            self.log("driven", metric(step, horizon_of(schedule)), on_step=per_update, on_epoch=not per_update)
            loss: torch.Tensor = self.net(**batch)["loss"]
            return loss

        def configure_optimizers(self) -> Any:
            planned = {"updates": int(self.trainer.estimated_stepping_batches), "epochs": self.trainer.max_epochs}
            config = lightning_config(schedule.name, optimizer, monitor="driven", **planned)
            return {"optimizer": optimizer, "lr_scheduler": config}

    recorder = Recorder(optimizer)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        accumulate_grad_batches=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(_Ones(2 * BATCHES), batch_size=1))
    return recorder.used


def timm(schedule: Schedule) -> Used:
    """Optimizer and ``ClassificationTask`` of timm, in the order of its ``train.py``, which the package lacks."""
    from timm.optim import create_optimizer_v2
    from timm.task import ClassificationTask

    net, optimizer = bare(create_optimizer_v2, opt="momentum", momentum=0.0)
    task = ClassificationTask(net, criterion=lambda output, _: output["loss"], verbose=False)
    scheduler = timm_scheduler(schedule.name, optimizer, epochs=EPOCHS, updates_per_epoch=BATCHES)
    recorder = Recorder(optimizer)
    updates = 0
    for epoch in range(EPOCHS):
        for _ in range(BATCHES):
            task(torch.ones(1), torch.ones(1))["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
            scheduler.step_update(num_updates=updates, metric=metric(updates - 1, UPDATES))
        scheduler.step(epoch + 1, metric(epoch, EPOCHS))
    return recorder.used
