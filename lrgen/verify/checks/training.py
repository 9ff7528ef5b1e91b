"""The training check: the network learns real data with the learning rates of the claimed variant."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrgen import curves
from lrgen.data import Dataset
from lrgen.data.batches import Batches, Scale
from lrgen.records import Budget, Candidate, EpochReport, Stage, Training, Unit, Variant, VerifySettings
from lrgen.verify.checks.recorder import Recorder
from lrgen.verify.checks.reference import as_array, describe, first_difference, wrong_depths
from lrgen.verify.checks.subject import CheckFailure, Subject

STAGE = Stage.TRAINING
# The accuracy of the best epoch on held-out images, as a multiple of chance: 0.5 with ten classes.
TIMES_CHANCE = 5.0
# The fraction of the images to overfit that the best epoch must classify correctly.
OVERFIT = 0.9
# The mean of a schedule that budgets assume, as a fraction of the base learning rate; most have a higher mean.
MEAN_RATE = 0.5
# The limit on the maximum learning rate, as a multiple of the budget's base learning rate.
HIGHEST_RATE = 3.0


@dataclass(frozen=True)
class TrainingPlan:
    """The training of a file.

    Without a ``budget`` the network is trained on the training images and evaluated on held-out images. With a budget
    it is trained and evaluated on the same small subset, with batch norm statistics of this subset.
    """

    epochs: int
    batch_size: int
    lr: float
    budget: Budget | None = None

    @property
    def training(self) -> Training:
        """The kind of training in the results."""
        return Training.OVERFIT if self.budget else Training.FULL


def plan_of(candidate: Candidate, settings: VerifySettings) -> TrainingPlan:
    """The training of a candidate; its budget applies on the CPU, unless the settings ask for the full training."""
    budget = candidate.budget
    if budget is None or settings.full or settings.device != "cpu":
        return TrainingPlan(settings.epochs, settings.batch_size, candidate.prm["lr"])
    lr = candidate.prm["lr"]
    if candidate.variant is not None and candidate.variant.optimizer is not None:
        lr *= budget.own_rate
    elif budget.lr:
        lr = budget.lr
    return TrainingPlan(budget.epochs, budget.batch, lr * _lr_factor(candidate, budget), budget)


def _lr_factor(candidate: Candidate, budget: Budget) -> float:
    """The factor on the base learning rate that raises the mean of a low schedule to ``MEAN_RATE``.

    A budget has a few dozen updates. A schedule that stays near zero during these (a warm-up of 10,000 updates, a
    fourth power) would not test the network.
    """
    variant = candidate.variant
    if variant is None or variant.unit is Unit.METRIC:
        return 1.0
    updates = -(-budget.images // budget.batch)
    steps, horizon = _steps(variant, budget.epochs, updates)
    prm = {name: value for name, value in candidate.prm.items() if name in variant.defaults}
    rates = curves.rates(variant, steps, horizon, 1.0, prm)
    return max(1.0, min(MEAN_RATE / float(rates.mean()), HIGHEST_RATE / float(rates.max())))


def _steps(variant: Variant, epochs: int, updates: int) -> tuple[NDArray[np.int64], int]:
    """The step of the schedule at each update of a training, and the horizon."""
    total = epochs * updates
    if variant.per_batch:
        return np.arange(total), total
    return np.repeat(np.arange(epochs), updates), epochs


def measure(subject: Subject) -> dict[str, Any]:
    """Train and evaluate; returns the confusion matrices, the losses and the learning rates of the epochs.

    Raises:
        CheckFailure: if the training raises or changes no parameter.
    """
    data, settings = subject.dataset, subject.settings
    assert data is not None
    plan = plan_of(subject.candidate, settings)
    torch.manual_seed(settings.seed)
    train, test = _batches(data, plan, settings.seed, subject.device)
    prm = subject.prm(**{**subject.candidate.prm, "lr": plan.lr, "batch": plan.batch_size, "epoch_max": plan.epochs})
    if plan.budget and plan.budget.dropout is not None and "dropout" in prm:
        prm["dropout"] = plan.budget.dropout
    shape = (plan.batch_size, *train.shape)
    assert subject.module is not None
    epochs = []
    try:
        torch.manual_seed(settings.seed)
        net: Any = subject.module.Net(shape, (len(data.classes),), prm, subject.device).to(subject.device)
        net.train_setup(prm)
        if settings.compile:
            net.compile()
        trained = _TrainedNet(net)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        for epoch in range(1, plan.epochs + 1):
            started = time.perf_counter()
            with _precision(subject):
                result = trained.learn(train)
                if plan.budget:
                    _reset_batch_norm(net, test)
                loss, confusion = evaluate(net, test, len(data.classes))
            epochs.append(trained.report(epoch, result, loss, confusion, time.perf_counter() - started))
            if not trained.finite:
                break
        if all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True)):
            raise CheckFailure("training changes no parameter")
    except (CheckFailure, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise CheckFailure(f"training raises {subject.explain(error)}") from error
    return {
        "epochs": epochs,
        "updates": len(train),
        "depths": [group.get("depth", 0) for group in net.optimizer.param_groups],
        "support": np.bincount(test.labels.cpu().numpy(), minlength=len(data.classes)).tolist(),
    }


def _precision(subject: Subject) -> torch.autocast:
    """The precision of an epoch.

    The cache of autocast is disabled, because it would keep the weights from before the first update.
    """
    kind, enabled = subject.device.type, subject.settings.autocast
    return torch.autocast(kind, torch.bfloat16, enabled=enabled, cache_enabled=False)


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Check that the losses are finite, the learning rates are those of the curve, and the accuracy suffices."""
    epochs, plan = measurement["epochs"], plan_of(candidate, settings)
    for epoch in epochs:
        if not epoch["finite"]:
            return f"the loss is not finite in training at epoch {epoch['epoch']}, update {epoch['bad_update']}"
        if [sum(row) for row in epoch["confusion"]] != measurement["support"]:
            return f"the confusion matrix of epoch {epoch['epoch']} does not count each evaluated image once"
    if len(epochs) != plan.epochs:
        return f"the number of trained epochs is {len(epochs)}, expected {plan.epochs}"
    reason = _judge_rates(candidate, plan, measurement)
    if reason:
        return reason
    best = max(report.accuracy for report in reports(measurement))
    required = OVERFIT if plan.budget else TIMES_CHANCE / len(measurement["support"])
    if best < required:
        images = f"{sum(measurement['support'])} images to overfit" if plan.budget else "held-out images"
        accuracy = f"the accuracy on the {images} is {best:.3f} in the best of {len(epochs)} epochs"
        return f"the network does not learn: {accuracy}, expected at least {required:.2f}"
    return ""


def _judge_rates(candidate: Candidate, plan: TrainingPlan, measurement: dict[str, Any]) -> str:
    variant, updates = candidate.variant, measurement["updates"]
    if variant is None:
        return ""
    base_lr, epochs = plan.lr, measurement["epochs"]
    other = next((len(epoch["rates"]) for epoch in epochs if len(epoch["rates"]) != updates), None)
    if other is not None:
        return f"the number of optimizer steps in an epoch of training is {other}, expected {updates} (one per batch)"
    total = plan.epochs * updates
    rows = [row for epoch in epochs for row in epoch["rates"]]
    actual = as_array([list(rates) for rates in zip(*rows, strict=True)], total)
    reason = wrong_depths(variant, measurement["depths"])
    if reason or actual is None or len(actual) != len(measurement["depths"]):
        return reason or "training has updates without a learning rate for each parameter group"
    prm = {name: value for name, value in candidate.prm.items() if name in variant.defaults}
    steps, horizon = _steps(variant, plan.epochs, updates)
    metrics: list[float] | None = None
    if variant.unit is Unit.METRIC:
        by_batch = [batch for epoch in epochs for batch in epoch[f"batch_{variant.metric}"]]
        by_epoch = [epoch[f"train_{variant.metric}"] for epoch in epochs]
        metrics = (by_batch if variant.cadence is Unit.BATCH else by_epoch)[:-1]
    depths = measurement["depths"]
    expected = curves.rates(variant, steps, horizon, base_lr, prm, metrics=metrics, depths=depths)
    at = first_difference(actual, expected, variant.tolerance * base_lr)
    if at is None:
        return ""
    place = f"in training at epoch {at // updates + 1}, batch {at % updates + 1} of {updates}"
    return describe(actual, expected, at, place, variant.label)


def reports(measurement: dict[str, Any]) -> tuple[EpochReport, ...]:
    """The measured epochs as records.

    Raises:
        ValueError: if a confusion matrix is not of the shape (classes, classes), or does not hold counts.
    """
    classes = len(measurement["support"])
    for epoch in measurement["epochs"]:
        rows = epoch["confusion"]
        counts = [count for row in rows for count in row]
        if [len(row) for row in rows] != [classes] * classes or not classes:
            raise ValueError(
                f"the confusion matrix of epoch {epoch['epoch']} is not of the shape ({classes}, {classes})"
            )
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise ValueError(f"the confusion matrix of epoch {epoch['epoch']} does not hold counts")
    return tuple(
        EpochReport(
            epoch=epoch["epoch"],
            train_loss=epoch["train_loss"],
            train_accuracy=epoch["train_accuracy"],
            loss=epoch["loss"],
            confusion=tuple(tuple(row) for row in epoch["confusion"]),
            lr=max(epoch["rates"][-1]) if epoch["rates"] else math.nan,
            seconds=epoch["seconds"],
        )
        for epoch in measurement["epochs"]
    )


def _batches(data: Dataset, plan: TrainingPlan, seed: int, device: torch.device) -> tuple[Batches, Batches]:
    """The batches for training and for evaluation; with a budget, both have the same images."""
    train_images, train_labels = data.train_images, data.train_labels
    test_images, test_labels = data.test_images, data.test_labels
    crop, flip = data.crop, data.flip
    if plan.budget:
        count = len(data.classes)
        chosen = first_of_each(train_labels, -(-plan.budget.images // count), count)[: plan.budget.images]
        train_images, train_labels = train_images[chosen], train_labels[chosen]
        test_images, test_labels = train_images, train_labels
        crop, flip = 0, False  # the network must overfit exactly these images
    images, held_out = (torch.from_numpy(part).to(device) for part in (train_images, test_images))
    if plan.budget and plan.budget.pixels != images.shape[-1]:
        images = held_out = _resized(images, plan.budget.pixels)
    scale = Scale.of(images)
    train = Batches(images, torch.from_numpy(train_labels).to(device), plan.batch_size, scale, seed, crop, flip)
    return train, Batches(held_out, torch.from_numpy(test_labels).to(device), 4 * plan.batch_size, scale)


def first_of_each(labels: NDArray[np.int64], count: int, classes: int) -> NDArray[np.int64]:
    """The positions of the first ``count`` images of each class, with the classes in turn."""
    positions = [np.flatnonzero(labels == label)[:count] for label in range(classes)]
    return np.array([own[rank] for rank in range(count) for own in positions if rank < len(own)], dtype=np.int64)


def _resized(images: Tensor, pixels: int) -> Tensor:
    sized = nn.functional.interpolate(images.float(), size=(pixels, pixels), mode="bilinear", antialias=True)
    return sized.round().clamp(0, 255).to(torch.uint8)


class _TrainedNet:
    """A network whose learning rates and batch losses are recorded in training."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._rates: list[list[float]] = []
        self._recorder = Recorder(net.criterion)
        self.finite = True
        net.optimizer.register_step_pre_hook(
            lambda optimizer, *_: self._rates.append([float(group["lr"]) for group in optimizer.param_groups])
        )

    def learn(self, train: Batches) -> Any:
        """Train one epoch."""
        self._rates.clear()
        self._recorder.clear()
        with self._recorder:
            return self._net.learn(train)

    def report(
        self, epoch: int, result: Any, loss: float, confusion: list[list[int]], seconds: float
    ) -> dict[str, Any]:
        """The record of one epoch as JSON; means are over images, during the updates."""
        losses, accuracies = self._recorder.losses, self._recorder.accuracies
        bad = next((index for index, value in enumerate(losses, start=1) if not math.isfinite(value)), None)
        returned = result if isinstance(result, tuple) and len(result) == 2 else (math.nan, math.nan)
        returned_loss = float(returned[1])
        if bad is None and not (math.isfinite(loss) and (result is None or math.isfinite(returned_loss))):
            bad = len(self._rates)
        self.finite = bad is None
        return {
            "epoch": epoch,
            "train_loss": self._recorder.mean(losses) if losses else returned_loss,
            "train_accuracy": self._recorder.mean(accuracies) if accuracies else float(returned[0]),
            "batch_loss": losses,
            "batch_accuracy": accuracies,
            "loss": loss,
            "confusion": confusion,
            "rates": list(self._rates),
            "seconds": seconds,
            "finite": self.finite,
            "bad_update": bad,
        }


@torch.no_grad()
def _reset_batch_norm(net: Any, images: Batches) -> None:
    """Recompute the batch norm statistics over the images to overfit with the current weights.

    Running averages lag behind by some hundred updates, which is more than a budget has. The check asks only whether
    the weights overfit the images.
    """
    net.eval()
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    for batch, _ in images:
        net(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


@torch.no_grad()
def evaluate(net: Any, test: Batches, classes: int) -> tuple[float, list[list[int]]]:
    """Return the mean cross-entropy over the evaluated images and the confusion matrix (actual × predicted)."""
    net.eval()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=test.labels.device)
    loss = torch.zeros((), device=test.labels.device)
    for images, labels in test:
        logits = net(images).float()
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
        counts += torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes * classes)
    return (loss / len(test.labels)).item(), counts.view(classes, classes).tolist()
