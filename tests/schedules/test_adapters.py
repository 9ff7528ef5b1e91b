"""Adapters: each trainer's own steps, and the learning rate of each update against the curve."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrgen.errors import ParameterError, UnknownNameError
from lrgen.schedules import accelerate_scheduler, find, hf_trainer, lightning_config, timm_scheduler
from tests.schedules.traces import BASE_LR, expected, metrics, rates, sgd

EPOCHS, BATCHES = 6, 4


@pytest.mark.parametrize("name", ["wsd_linear", "StepLR_default", "layerwise_decay_cosine"])
def test_lightning_steps_in_the_unit_of_the_schedule(catalogue, name):
    """Stepped at the interval of its configuration, a schedule has the learning rates of its curve at each update."""
    optimizer, schedule = sgd(), find(name)
    config = lightning_config(name, optimizer, updates=EPOCHS * BATCHES, epochs=EPOCHS)
    assert set(config) == {"scheduler", "interval", "frequency", "monitor"}
    used = []
    for _ in range(EPOCHS):
        for _ in range(BATCHES):
            used.append(rates(optimizer))
            optimizer.step()
            if config["interval"] == "step":
                config["scheduler"].step()
        if config["interval"] == "epoch":
            config["scheduler"].step()
    horizon = EPOCHS * BATCHES if schedule.unit == "batch" else EPOCHS
    curve = expected(catalogue, schedule, horizon, horizon)[:-1]
    np.testing.assert_allclose(used, np.repeat(curve, len(used) // horizon, axis=0), rtol=0, atol=1e-9 * BASE_LR)


def test_lightning_recognises_a_schedule_that_is_driven_by_a_metric():
    """A schedule that is driven by a metric is a ReduceLROnPlateau, which Lightning steps with ``monitor``."""
    config = lightning_config("newbob", sgd(), epochs=9, monitor="val_loss")
    assert isinstance(config["scheduler"], ReduceLROnPlateau)
    assert (config["interval"], config["monitor"]) == ("epoch", "val_loss")
    assert lightning_config("plateau_smoothed", sgd(), updates=9, monitor="loss")["interval"] == "step"


@pytest.mark.parametrize(
    ("name", "planned", "message"),
    [
        ("wsd_linear", {"epochs": 5}, "wsd_linear advances once per batch and needs updates, got None"),
        ("wsd_linear", {"updates": float("inf")}, "needs updates, got inf"),
        ("StepLR_default", {"updates": 5}, "StepLR_default advances once per epoch and needs epochs, got None"),
        ("StepLR_default", {"epochs": -1}, "needs epochs, got -1"),
        ("newbob", {"epochs": 5}, r"newbob is driven by a metric \(loss\) and needs monitor"),
        ("wsd_linear", {"updates": 0}, "total_steps must be at least 1, got 0"),
        ("wsd_linearr", {"updates": 5}, "did you mean wsd_linear"),
    ],
)
def test_lightning_without_a_number_is_an_error(name, planned, message):
    """A number of steps or a metric that the schedule needs and lacks is an error that says what it needs."""
    with pytest.raises((ParameterError, UnknownNameError), match=message):
        lightning_config(name, sgd(), **planned)


ADAPTERS = {
    "lightning_config": lambda optimizer, name, steps, **values: lightning_config(
        name, optimizer, updates=steps, epochs=steps, monitor="loss", **values
    ),
    "hf_trainer": lambda optimizer, name, steps, **values: hf_trainer(name, optimizer, steps, **values),
    "accelerate_scheduler": lambda optimizer, name, steps, **values: accelerate_scheduler(
        SimpleNamespace(_optimizers=[SimpleNamespace(optimizer=optimizer)]), name, optimizer, steps, **values
    ),
    "timm_scheduler": lambda optimizer, name, steps, **values: timm_scheduler(
        name, optimizer, epochs=steps, updates_per_epoch=2, **values
    ),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    ("name", "steps", "hyperparameters", "message"),
    [
        ("wsd_linear", 0, {}, "must be at least 1, got 0"),
        ("StepLR_default", -3, {}, "must be at least 1, got -3"),
        ("newbob", True, {}, "must be a whole number, got True"),
        ("wsd_linear", 2.5, {}, "must be a whole number, got 2.5"),
        ("wsd_liner", 9, {}, "unknown schedule 'wsd_liner': did you mean wsd_linear"),
        ("wsd_linear", 9, {"warmup": 0.1}, "unknown hyperparameter of wsd_linear 'warmup': .*warmup_fraction"),
        ("wsd_linear", 9, {"warmup_fraction": 1.5}, r"warmup_fraction must lie in \[0, 1\], got 1.5"),
    ],
)
def test_an_adapter_checks_before_it_touches_the_optimizer(adapter, name, steps, hyperparameters, message):
    """Wrong arguments of each adapter are named errors, and the optimizer is as before."""
    optimizer = sgd()
    for group in optimizer.param_groups:
        group["lr_scale"] = 0.5
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises((ParameterError, UnknownNameError), match=message):
        ADAPTERS[adapter](optimizer, name, steps, **hyperparameters)
    assert optimizer.state_dict() == before


def test_timm_needs_whole_epochs():
    """A number of updates in each epoch that is none is an error with its name, also if the schedule is by epochs."""
    with pytest.raises(ParameterError, match="updates_per_epoch must be at least 1, got 0"):
        timm_scheduler("StepLR_default", sgd(), epochs=5, updates_per_epoch=0)


@pytest.mark.parametrize(("name", "in_epochs"), [("wsd_linear", False), ("StepLR_default", True)])
def test_timms_script_reads_the_unit(name, in_epochs):
    """``t_in_epochs``, which timm's training script prints, is that of timm's own schedulers."""
    assert timm_scheduler(name, sgd(), epochs=5, updates_per_epoch=2).t_in_epochs is in_epochs


def test_the_trainer_gets_the_optimizer_and_its_scheduler():
    """``hf_trainer`` returns the pair that ``transformers.Trainer`` takes as ``optimizers``."""
    optimizer = sgd()
    given, scheduler = hf_trainer("HF_cosine_warmup", optimizer, 10, warmup_fraction=0.2)
    assert given is optimizer
    assert scheduler.optimizer is optimizer
    assert scheduler.schedule[1] == 10


def test_accelerate_needs_a_prepared_optimizer():
    """An optimizer that the accelerator did not prepare is an error before its learning rate changes."""
    optimizer = sgd()
    with pytest.raises(ParameterError, match="optimizer must be one that accelerator.prepare returned"):
        accelerate_scheduler(SimpleNamespace(_optimizers=[]), "wsd_linear", optimizer, 10)
    assert rates(optimizer) == [BASE_LR] * 3


@pytest.mark.parametrize("name", ["wsd_linear", "StepLR_default"])
def test_timms_loop_steps_in_the_unit_of_the_schedule(catalogue, name):
    """Stepped as timm's training script does, a schedule has the learning rates of its curve at each update."""
    optimizer, schedule = sgd(), find(name)
    scheduler = timm_scheduler(name, optimizer, epochs=EPOCHS, updates_per_epoch=BATCHES)
    used, updates = [], 0
    for epoch in range(EPOCHS):
        for _ in range(BATCHES):
            used.append(rates(optimizer))
            optimizer.step()
            updates += 1
            scheduler.step_update(num_updates=updates, metric=0.5)
        scheduler.step(epoch + 1, 0.5)
    horizon = EPOCHS * BATCHES if schedule.unit == "batch" else EPOCHS
    curve = expected(catalogue, schedule, horizon, horizon)[:-1]
    np.testing.assert_allclose(used, np.repeat(curve, len(used) // horizon, axis=0), rtol=0, atol=1e-9 * BASE_LR)


def test_timms_script_resumes():
    """A resumed script that steps to the first epoch again has the learning rate of the run that was stopped."""
    first, second = sgd(), sgd()
    stopped = timm_scheduler("CosineAnnealingLR_default", first, epochs=9, updates_per_epoch=2)
    resumed = timm_scheduler("CosineAnnealingLR_default", second, epochs=9, updates_per_epoch=2)
    for epoch in range(4):
        first.step()
        stopped.step(epoch + 1)
    second.step()
    resumed.step(4)
    assert rates(second) == rates(first)
    loaded = timm_scheduler("CosineAnnealingLR_default", sgd(), epochs=9, updates_per_epoch=2)
    loaded.load_state_dict(stopped.state_dict())
    loaded.step(4)
    assert rates(loaded.optimizer) == rates(first)
    with pytest.raises(ParameterError, match="cannot step back: 4 steps are done, got 3"):
        loaded.step(3)


def test_timm_drives_a_schedule_by_its_metric(catalogue):
    """A schedule that is driven by a metric gets that of each epoch; without it the error names the step."""
    optimizer, schedule = sgd(), find("newbob")
    scheduler = timm_scheduler("newbob", optimizer, epochs=12, updates_per_epoch=2)
    traced = [rates(optimizer)]
    for epoch, metric in enumerate(metrics(12)):
        scheduler.step(epoch + 1, metric)
        traced.append(rates(optimizer))
    np.testing.assert_allclose(traced, expected(catalogue, schedule, 12, 12), rtol=0, atol=1e-9 * BASE_LR)
    with pytest.raises(ParameterError, match="needs the metric of each step, also of step 13"):
        scheduler.step(13)


def test_timms_layer_scale_is_part_of_the_base_rate():
    """The factor ``lr_scale`` of a group scales its learning rates, as in timm's schedulers."""
    optimizer = torch.optim.SGD(
        [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr_scale": scale} for scale in (0.5, 1.0)], lr=BASE_LR
    )
    timm_scheduler("HF_constant", optimizer, epochs=2, updates_per_epoch=2)
    assert rates(optimizer) == [0.05, 0.1]
