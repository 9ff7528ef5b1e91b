"""Does the network learn real data, with the rates that it promises?"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrgen.checks.comparison import as_array, first_difference, named, promised, worst, wrong_depths
from lrgen.checks.subject import Batches, CheckFailure, Subject
from lrgen.records import Candidate, EpochReport, Metric, Stage, Unit, VerifySettings

STAGE = Stage.TRAINING
# The best epoch must classify this many times more held-out images rightly than chance: half of them with ten classes.
TIMES_CHANCE = 5.0


def measure(subject: Subject) -> dict[str, Any]:
    """Train and evaluate; the epochs' confusion matrices, losses and rates."""
    data, settings = subject.dataset, subject.settings
    assert data is not None
    torch.manual_seed(settings.seed)
    train_images, test_images = _normalise(data.train_images, data.test_images, subject.device)
    train_labels = torch.from_numpy(data.train_labels).to(subject.device)
    test_labels = torch.from_numpy(data.test_labels).to(subject.device)
    train = Batches(train_images, train_labels, settings.batch_size, settings.seed)
    test = Batches(test_images, test_labels, 4 * settings.batch_size)
    prm = subject.prm(**subject.candidate.prm, batch=settings.batch_size, epoch_max=settings.epochs)
    shape = (settings.batch_size, *train_images.shape[1:])
    assert subject.module is not None
    epochs = []
    try:
        torch.manual_seed(settings.seed)
        net: Any = subject.module.Net(shape, (len(data.classes),), prm, subject.device).to(subject.device)
        net.train_setup(prm)
        variant = subject.candidate.variant
        recorder = _Recorder(net, variant.metric if variant else None)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        for epoch in range(1, settings.epochs + 1):
            started = time.perf_counter()
            recorder.clear()
            result = net.learn(train)
            loss, confusion = _evaluate(net, test, len(data.classes))
            epochs.append(recorder.report(epoch, result, loss, confusion, time.perf_counter() - started))
            if not recorder.finite:
                break
        if all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True)):
            raise CheckFailure("no parameter moves in training")
    except (CheckFailure, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise CheckFailure(f"training raises {subject.explain(error)}") from error
    return {
        "epochs": epochs,
        "updates": len(train),
        "depths": [group.get("depth", 0) for group in net.optimizer.param_groups],
        "support": np.bincount(data.test_labels).tolist(),
    }


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """All losses finite, the rates those of the curve, the best epoch well above chance."""
    epochs = measurement["epochs"]
    for epoch in epochs:
        if not epoch["finite"]:
            return f"the loss is not finite in epoch {epoch['epoch']} (update {epoch['bad_update']})"
        if [sum(row) for row in epoch["confusion"]] != measurement["support"]:
            return f"the confusion matrix of epoch {epoch['epoch']} does not hold the held-out images"
    if len(epochs) != settings.epochs:
        return f"{len(epochs)} of {settings.epochs} epochs were run"
    reason = _judge_rates(candidate, settings, measurement)
    if reason:
        return reason
    best = max(report.accuracy for report in reports(measurement))
    wanted = TIMES_CHANCE / len(measurement["support"])
    if best < wanted:
        right = f"{best:.3f} of the held-out images are right in the best of {len(epochs)} epochs"
        return f"does not learn: {right}, {wanted:.2f} must be"
    return ""


def _judge_rates(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    variant, updates = candidate.variant, measurement["updates"]
    if variant is None:
        return ""
    base_lr, epochs = candidate.prm["lr"], measurement["epochs"]
    if any(len(epoch["rates"]) != updates for epoch in epochs):
        return f"an epoch of {updates} batches has another number of updates"
    total = settings.epochs * updates
    rows = [row for epoch in epochs for row in epoch["rates"]]
    found = as_array([list(rates) for rates in zip(*rows, strict=True)], total)
    reason = wrong_depths(variant, measurement["depths"])
    if reason or found is None or len(found) != len(measurement["depths"]):
        return reason or "an update does not have a rate for each parameter group"
    prm = {name: value for name, value in candidate.prm.items() if name in variant.defaults}
    steps = np.arange(total) if variant.per_batch else np.repeat(np.arange(settings.epochs), updates)
    horizon = total if variant.per_batch else settings.epochs
    metrics: list[float] = []
    if variant.unit is Unit.METRIC:
        by_batch = [batch for epoch in epochs for batch in epoch[f"batch_{variant.metric}"]]
        by_epoch = [epoch[f"train_{variant.metric}"] for epoch in epochs]
        metrics = (by_batch if variant.cadence is Unit.BATCH else by_epoch)[:-1]
    wanted = promised(variant, steps, horizon, base_lr, prm, candidate.family_folder, measurement["depths"], metrics)
    at = first_difference(found, wanted, variant.tolerance * base_lr)
    if at is None:
        return ""
    rate, right, group = worst(found, wanted, at)
    return (
        f"the rate is wrong in training, epoch {at // updates + 1}, batch {at % updates + 1}{group}: "
        f"{rate:.6g} where {named(variant)} has {right:.6g}"
    )


def reports(measurement: dict[str, Any]) -> tuple[EpochReport, ...]:
    """The measured epochs as records.

    Raises:
        ValueError: when a confusion matrix is none: not of classes by classes, or not of counts.
    """
    classes = len(measurement["support"])
    for epoch in measurement["epochs"]:
        rows = epoch["confusion"]
        counts = [count for row in rows for count in row]
        if [len(row) for row in rows] != [classes] * classes or not classes:
            raise ValueError("a confusion matrix has another shape")
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise ValueError("a confusion matrix does not hold counts")
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


def _normalise(train: Any, test: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """float32 of mean 0 and deviation 1 in each channel, over the training images."""
    images, held_out = (torch.from_numpy(part).to(device).float() / 255 for part in (train, test))
    mean, std = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True)
    faster = torch.channels_last  # the layout in which convolutions run fastest, on processors and GPUs
    return ((images - mean) / std).to(memory_format=faster), ((held_out - mean) / std).to(memory_format=faster)


class _Recorder:
    """Records the rates of each update, and the loss of each batch, without waiting for the device."""

    def __init__(self, net: Any, metric: Metric | None) -> None:
        self.rates: list[list[float]] = []
        self._losses: list[tuple[Tensor, int]] = []
        self._right: list[Tensor] = []
        self._counts_right = metric is Metric.ACCURACY
        self.finite = True
        net.optimizer.register_step_pre_hook(self._step)
        if isinstance(net.criterion, nn.Module):
            net.criterion.register_forward_hook(self._loss)

    def clear(self) -> None:
        self.rates.clear()
        self._losses.clear()
        self._right.clear()

    def _step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self.rates.append([float(group["lr"]) for group in optimizer.param_groups])

    def _loss(self, _: nn.Module, inputs: tuple[Tensor, ...], loss: Tensor) -> None:
        if torch.is_grad_enabled() and loss.dim() == 0:
            self._losses.append((loss.detach(), len(inputs[0])))
            if self._counts_right:
                self._right.append((inputs[0].argmax(dim=1) == inputs[1]).float().mean())

    def report(
        self, epoch: int, result: Any, loss: float, confusion: list[list[int]], seconds: float
    ) -> dict[str, Any]:
        """One epoch as JSON; the means are over images, as measured at the criterion."""
        values = [float(value) for value, _ in self._losses]
        right = [float(value) for value in self._right]
        counts = [count for _, count in self._losses]
        bad = next((index for index, value in enumerate(values, start=1) if not math.isfinite(value)), None)
        returned = result if isinstance(result, tuple) and len(result) == 2 else (math.nan, math.nan)
        returned_loss = float(returned[1])
        if bad is None and not (math.isfinite(loss) and (result is None or math.isfinite(returned_loss))):
            bad = len(self.rates)
        self.finite = bad is None
        return {
            "epoch": epoch,
            "train_loss": _mean(values, counts) if values else returned_loss,
            "train_accuracy": _mean(right, counts) if right else float(returned[0]),
            "batch_loss": values,
            "batch_accuracy": right,
            "loss": loss,
            "confusion": confusion,
            "rates": list(self.rates),
            "seconds": seconds,
            "finite": self.finite,
            "bad_update": bad,
        }


def _mean(values: list[float], counts: list[int]) -> float:
    return sum(value * count for value, count in zip(values, counts, strict=True)) / max(1, sum(counts))


@torch.no_grad()
def _evaluate(net: Any, test: Batches, classes: int) -> tuple[float, list[list[int]]]:
    """Mean cross-entropy over the held-out images, and the confusion matrix (actual × predicted)."""
    net.eval()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=test.labels.device)
    loss = torch.zeros((), device=test.labels.device)
    for images, labels in test:
        logits = net(images).float()
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
        counts += torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes * classes)
    return (loss / len(test.labels)).item(), counts.view(classes, classes).tolist()
