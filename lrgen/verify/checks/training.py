"""The training check: the network learns real data with the learning rates of the claimed variant.

The file's process gets training images with their labels and the evaluated images without; everything that is judged is
computed here, from logits, sampled weights and sampled gradients.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lrgen import curves
from lrgen.records import EpochReport, Metric, Stage, Unit, Variant
from lrgen.verify import messages
from lrgen.verify.checks import accumulation, practices
from lrgen.verify.checks.averages import average_of
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.drawn_gradients import DrawnGradients
from lrgen.verify.checks.examination import Examination, prm_of, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.images import reordered, training_data
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference import as_array, describe, first_difference, wrong_depths
from lrgen.verify.checks.reference_optimizer import InvalidSettingError, UnknownOptimizerError
from lrgen.verify.checks.scores import score
from lrgen.verify.checks.second_process import NET, Setting, saved_logits
from lrgen.verify.checks.training_epoch import Epoch
from lrgen.verify.checks.training_losses import TrainingLosses
from lrgen.verify.checks.training_plan import TrainingPlan, plan_of, steps_of
from lrgen.verify.checks.updates import (
    Effects,
    Fault,
    Place,
    WrongUpdate,
    observed,
    reference_name,
    require_resolution,
)
from lrgen.verify.session import Session

__all__ = ["STAGE", "Training", "TrainingPlan", "plan_of", "prm_of_training", "run"]

STAGE = Stage.TRAINING
# The accuracy of the best epoch on held-out images, as a multiple of chance: 0.5 with ten classes.
TIMES_CHANCE = 5.0
# The accuracy before training, as a multiple of chance, on so many held-out images.
TIMES_CHANCE_BEFORE = 3.5
IMAGES_BEFORE = 360
# The fraction of the images to overfit that the best epoch must classify correctly.
OVERFIT = 0.9
# The fraction of evaluated images by which the accuracy of a saved state may differ in another process.
SAVED = 0.05
# The difference of two logits of the same state, as a fraction of the spread of logits.
_SAME_LOGITS = 1e-2
SAMPLES = 512  # of the weights
_SEEDS = 0x5EED  # keeps the order of images apart from other draws of the same seed


def run(examination: Examination) -> None:
    """Train the network, and compare how it learned."""
    assert examination.dataset is not None
    plan = plan_of(examination.candidate, examination.settings)
    data = training_data(examination.dataset, plan.budget, examination.settings.seed)
    order = list(range(len(data.held_out)))
    examination.draw.stream("training", "order").shuffle(order)
    data = reordered(data, np.array(order))
    examination.session.call("forget", messages.Nothing)
    with examination.fresh(examination.settings.threads) as session:
        training = Training(Setting(examination, plan, data, prm_of_training(examination, plan)), session)
        training.run()


def prm_of_training(examination: Examination, plan: TrainingPlan) -> dict[str, object]:
    """The hyperparameters of a training; a budget may set the dropout."""
    prm = prm_of(**{**examination.candidate.prm, "lr": plan.lr, "batch": plan.batch_size, "epoch_max": plan.epochs})
    if plan.budget and plan.budget.dropout is not None:
        prm["dropout"] = plan.budget.dropout
    return prm


@dataclass
class Training:
    """A training in a process of its own."""

    setting: Setting
    session: Session
    epochs: list[Epoch] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.examination, self.plan, self.data = self.setting.examination, self.setting.plan, self.setting.data
        self.variant: Variant | None = self.examination.candidate.variant
        self.every = self.variant.batches_per_update if self.variant else 1
        images = len(self.data.images)
        self.batches = -(-images // self.plan.batch_size)
        self.of_epochs = practices.updates_of(self.variant, self.plan.epochs, images, self.plan.batch_size)
        self.other_examples = practices.has_other_examples(self.variant)
        self._draw = np.random.Generator(np.random.Philox([self.examination.settings.seed % (1 << 64), _SEEDS]))
        self.examination.training, self.examination.base_lr = self.plan.training, self.plan.lr

    def run(self) -> None:
        """Train, and judge the training.

        Raises:
            CheckFailure: if anything that is compared differs.
        """
        with self.examination.fresh(self.examination.settings.threads) as other, raising("training"):
            self._begin()
            self.gradients = DrawnGradients(self.setting, self.batches, self.every, none=self.other_examples)
            self.gradients.begin(other, self.sampling, self.weights)
            best = self._train()
        self._check_movement()
        rates = self._check_rates()
        self._check_updates(rates)
        self.evidence += self.losses.check(self.epochs, self.gradients.terms)
        accuracy = self.epochs[best].score.accuracy
        self._require(accuracy, f"in the best of {self.plan.epochs} epochs")
        self._check_saved(best)
        self.evidence.append(self.gradients.evidence())
        self._check_modes()
        if self.plan.budget:
            self.evidence.append("the labels of the images to overfit were seen")
        self.examination.evidence += self.evidence

    # The training itself.

    def _begin(self) -> None:
        self.setting.give_data(self.session)
        self.setting.build(self.session)
        self.set_up = self.setting.set_up(self.session)
        self.losses = TrainingLosses(self.setting, self.set_up.criterion)
        self.parameters = self.set_up.parameters  # train_setup may add some
        self.weights = sum(parameter.count for parameter in self.parameters)
        if self.examination.settings.compile:
            self.session.call("compile", messages.Nothing, net=NET)
        drawn = self.examination.draw.stream("training", "positions")
        self.sampling = Sampling(positions(drawn, [parameter.shape for parameter in self.parameters], SAMPLES))
        if not self.plan.budget:
            count = min(IMAGES_BEFORE, len(self.data.held_out))
            logits = self.setting.evaluation(self.session, count=count).logits
            before = score(logits, self.data.held_out_labels[:count]).accuracy
            limit = TIMES_CHANCE_BEFORE / self.data.classes
            if before > limit:
                raise CheckFailure(
                    f"the accuracy on {count} held-out images is {before:.3f} before training, expected at most "
                    f"{limit:.2f}"
                )

    def _train(self) -> int:
        """Run the epochs; returns the index of the best one, whose state is kept."""
        best = 0
        for number in range(1, self.plan.epochs + 1):
            started = time.perf_counter()
            epoch = self._epoch(number, started)
            self.epochs.append(epoch)
            self.gradients.compare(self.session, self.epochs)
            self._report()
            self._require_finite(number, epoch)
            if number == 1 or epoch.score.accuracy > self.epochs[best].score.accuracy:
                best = number - 1
                self.session.call("keep", messages.Nothing, net=NET, name="best")
        return best

    def _epoch(self, number: int, started: float) -> Epoch:
        order = self._draw.permutation(len(self.data.images)).astype(np.int64)
        seeds = [int(seed) for seed in self._draw.integers(1 << 62, size=self.batches)]
        trained, arrays = self.session.call(
            "train",
            messages.Trained,
            [*self.sampling.arrays, order],
            body=_body(self.batches, self.sampling.count, len(order) * self.data.classes),
            net=NET,
            seeds=seeds,
            autocast=self.examination.settings.autocast,
            keep=self.gradients.batch(number - 1),
            by_forward=self.other_examples,
            arrived=self.losses.mixing is not None,
        )
        notes = Notes.of(trained, arrays, self.sampling, gradients=True)
        evaluation = self.setting.evaluation(
            self.session, self.sampling, norms="held-out" if self.plan.budget else None
        )
        notes = notes.evaluated(evaluation.weights, evaluation.digest)
        batches = self.losses.of_epoch(number, trained, arrays[3:], self.data.labels[order])
        return Epoch(
            order,
            seeds,
            notes,
            batches,
            self.set_up.criterion.cross_entropy and batches.same(self.losses.tolerance),
            evaluation.logits,
            score(evaluation.logits, self.data.held_out_labels),
            time.perf_counter() - started,
            trained.result,
        )

    def _require_finite(self, number: int, epoch: Epoch) -> None:
        wrong = np.flatnonzero(~np.isfinite(epoch.batches.values))
        not_finite = epoch.result.kind == "other" and epoch.result.text.startswith("(")
        if len(wrong) or not math.isfinite(epoch.score.loss) or not_finite:
            update = int(wrong[0]) + 1 if len(wrong) else len(epoch.notes.steps)
            raise CheckFailure(f"the loss is not finite in training at epoch {number}, update {update}")

    def _report(self) -> None:
        """Record the epochs so far, with their classes as in the dataset."""
        self.examination.epochs = tuple(
            EpochReport(
                epoch=number,
                train_loss=epoch.metric(Metric.LOSS)[1],
                train_accuracy=epoch.metric(Metric.ACCURACY)[1],
                loss=epoch.score.loss,
                confusion=self.data.disguise.original(epoch.score.confusion),
                lr=max(epoch.notes.steps[-1].rates, default=math.nan) if epoch.notes.steps else math.nan,
                seconds=epoch.seconds,
            )
            for number, epoch in enumerate(self.epochs, start=1)
        )

    # What is compared.

    def _check_movement(self) -> None:
        first, last = self.epochs[0].notes.events[0], self.epochs[-1].notes.events[-1]
        if first.digest == last.digest:
            raise CheckFailure("training changes no parameter")

    def _check_rates(self) -> NDArray[np.float64] | None:
        """Compare the learning rates with the curve; returns them, groups × updates."""
        steps = [step for epoch in self.epochs for step in epoch.notes.steps]
        rows = [step.rates for step in steps]
        if self.variant is None:
            return as_array([list(group) for group in zip(*rows, strict=False)], len(rows))
        clipping = Clipping.of(self.variant)
        for epoch, updates in zip(self.epochs, self.of_epochs, strict=True):
            batches = self.batches if self.every > 1 else updates
            accumulation.require_updates(epoch.notes, batches, self.every, "training")
            if clipping is not None:
                clipping.require(epoch.notes, "training")
        depths = [group.depth for group in self.set_up.groups]
        reason = wrong_depths(self.variant, depths)
        same = len({len(row) for row in rows}) == 1
        actual = as_array([list(group) for group in zip(*rows, strict=True)], len(rows)) if same else None
        if reason or actual is None or len(actual) != len(depths):
            raise CheckFailure(reason or "training has updates without a learning rate for each parameter group")
        expected = self._expected(self.variant, depths)
        at = first_difference(actual, expected, self.variant.tolerance * self.plan.lr)
        if at is not None:
            raise CheckFailure(describe(actual, expected, at, self._place(at), self.variant.label))
        return np.broadcast_to(expected, actual.shape)

    def _expected(self, variant: Variant, depths: list[int]) -> NDArray[np.float64]:
        steps, horizon = steps_of(variant, self.of_epochs)
        prm = {name: value for name, value in self.examination.candidate.prm.items() if name in variant.defaults}
        metrics: list[float] | None = None
        if variant.unit is Unit.METRIC:
            values = [epoch.metric(variant.metric) for epoch in self.epochs]
            by_batch = [float(value) for batches, _ in values for value in batches]
            metrics = (by_batch if variant.cadence is Unit.BATCH else [mean for _, mean in values])[:-1]
            if variant.metric is Metric.LOSS and not all(epoch.cross_entropy for epoch in self.epochs):
                self.evidence.append("the schedule was driven by a loss with terms of the file's own")
        return curves.rates(variant, steps, horizon, self.plan.lr, prm, metrics=metrics, depths=depths)

    def _check_updates(self, rates: NDArray[np.float64] | None) -> None:
        """Compare the weights after each update with those of a reference optimizer at those of the schedule."""
        try:
            name = reference_name(self.set_up.optimizer, torch_alone=self.variant is None)
            effects = Effects(
                self.set_up,
                self.sampling,
                [parameter.name for parameter in self.parameters],
                name,
                average_of(self.variant, self.plan.epochs),
            )
        except UnknownOptimizerError as error:
            self.evidence.append(f"the learning rates of training were compared, its updates were not: {error}")
            return
        except InvalidSettingError as error:
            raise CheckFailure(str(error)) from error
        if rates is None:
            raise CheckFailure("training has updates without a learning rate for each parameter group")
        source = self.variant.label if self.variant else "the learning rates that the file states"
        done = 0
        try:
            for number, epoch in enumerate(self.epochs):
                batches = self.batches if self.every > 1 else self.of_epochs[number]
                notes, place = epoch.notes, Place(number, batches, "training")
                effects.follow(notes, observed(notes), rates[:, done : done + notes.updates], place, source)
                done += notes.updates
        except WrongUpdate as wrong:
            if self.variant is not None:
                raise
            several = wrong.fault is Fault.STEPS
            why = "several steps of the optimizer between two batches" if several else str(wrong)
            self.evidence.append(f"the updates of training were not compared: {why}")
            return
        if self.variant is not None:
            require_resolution(effects.resolution)
        self.evidence.append("observed gradients: each update of training is that of a reference optimizer")

    def _require(self, accuracy: float, where: str) -> None:
        required = OVERFIT if self.plan.budget else TIMES_CHANCE / self.data.classes
        if accuracy < required:
            count = len(self.data.held_out)
            images = f"{count} images to overfit" if self.plan.budget else "held-out images"
            raise CheckFailure(
                f"the network does not learn: the accuracy on the {images} is {accuracy:.3f} {where}, expected at "
                f"least {required:.2f}"
            )

    def _check_saved(self, best: int) -> None:
        """Evaluate the state of the best epoch in a fresh process; its logits are recorded."""
        logits = saved_logits(self.setting, self.session, "best", self.weights)
        labels, epoch = self.data.held_out_labels, self.epochs[best]
        saved, before = score(logits.logits, labels), epoch.score.accuracy
        if abs(saved.accuracy - before) > max(SAVED, 2.5 / len(labels)):
            raise CheckFailure(
                f"the saved state of epoch {best + 1} has the accuracy {saved.accuracy:.3f} in another process, "
                f"expected {before:.3f} as in that of the training"
            )
        # Statistics that are renewed depend on what they were before.
        if self.setting.exact and not self.plan.budget and not _same(epoch.logits, logits.logits):
            raise CheckFailure(
                f"the saved state of epoch {best + 1} gives other logits in another process than in its own"
            )
        if not _same(logits.learned, logits.logits):
            names = ", ".join(messages.printable(name) for name in logits.left[:3])
            raise CheckFailure(
                f"the logits depend on what training has written into buffers ({names}): apart from statistics of "
                "norms, a network learns with its parameters"
            )
        epoch.score = saved
        self._report()
        self._require(saved.accuracy, "with the saved state in another process")
        self._require(score(logits.alone, labels).accuracy, "with the parameters of the saved state alone")

    def _check_modes(self) -> None:
        """Require that evaluation mode leaves other weights as they are, which the file has not seen."""
        if self.variant is None or self.variant.optimizer is not None:
            return
        factor = 0.5 + 0.4 * self.examination.draw.stream("training", "modes").random()
        with raising("evaluating the network"):
            modes, _ = self.session.call("modes", messages.Modes, net=NET, factor=factor)
        for digest, when in zip(modes.digests[1:], ("eval()", "the evaluation", "train()"), strict=True):
            if digest != modes.digests[0]:
                raise CheckFailure(f"{when} of the network changes its weights")

    def _place(self, update: int) -> str:
        epoch = int(np.searchsorted(np.cumsum(self.of_epochs), update, side="right"))
        updates = self.of_epochs[min(epoch, len(self.of_epochs) - 1)]
        unit = "batch" if self.every == 1 else "update"
        return f"in training at epoch {epoch + 1}, {unit} {update - sum(self.of_epochs[:epoch]) + 1} of {updates}"


def _body(updates: int, samples: int, logits: int) -> int:
    """The bytes that the notes of an epoch may have: events may be twice as many, and steps too."""
    return (32 << 20) + 4 * (4 * updates * samples + 4 * logits)


def _same(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Whether logits are the same, but for rounding errors."""
    with np.errstate(all="ignore"):
        return bool(np.abs(first - second).max() <= _SAME_LOGITS * max(float(first.std()), 1e-6))
