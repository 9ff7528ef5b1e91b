"""The losses of a training: each is that of the criterion for the logits and labels of its batch.

The labels are those of the loader, or what a practice makes of them (``practices.training_batches``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Metric, Variant
from lrgen.verify import messages
from lrgen.verify.checks import practices
from lrgen.verify.checks.batch_losses import LOW_PRECISION, SAME, BatchLosses, first_wrong, with_slow_term
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices.training_batches import Mixing, labels_in_use, losses_in_use
from lrgen.verify.checks.second_process import Setting
from lrgen.verify.checks.training_epoch import Epoch
from lrgen.verify.checks.updates import Place
from lrgen.verify.session import Array


@dataclass
class TrainingLosses:
    """The losses of a training with a criterion."""

    setting: Setting
    criterion: messages.CriterionReport
    mixing: Mixing | None = field(init=False)

    def __post_init__(self) -> None:
        self.variant: Variant | None = self.setting.examination.candidate.variant
        self.every = self.variant.batches_per_update if self.variant else 1
        self.mixing = Mixing() if self.variant and self.variant.mixes_labels else None
        self.other_examples = practices.has_other_examples(self.variant)

    @property
    def tolerance(self) -> float:
        """The relative error of a loss."""
        return SAME if self.setting.exact else LOW_PRECISION

    def of_epoch(
        self, number: int, trained: messages.Trained, arrays: Sequence[Array], labels: NDArray[np.int64]
    ) -> BatchLosses:
        """The losses of an epoch.

        Args:
            number: counted from 1.
            arrays: the losses that were differentiated, and the notes of the logits.
            labels: in the order of the loader.

        Raises:
            CheckFailure: if the examples or the labels are not those of the practice.
        """
        plan, classes, smoothing = self.setting.plan, self.setting.data.classes, self.criterion.label_smoothing
        differentiated, *logits = arrays
        arrived = [logits.pop()] if trained.arrived and logits else []
        cuts = range(plan.batch_size, len(labels), plan.batch_size)
        parts, losses_of = np.split(labels, cuts), None
        if self.other_examples and self.variant and self.variant.practice:
            practice, epoch = self.variant.practice, number - 1
            parts = labels_in_use(practice, trained.seen, labels, epoch, plan.epochs, plan.batch_size)
            losses_of = losses_in_use(practice, epoch, classes, smoothing)
        elif self.mixing is not None and self.criterion.cross_entropy:
            if arrived and arrived[0].shape == (len(labels), classes):
                gradients = np.split(arrived[0], cuts)
                losses_of = self.mixing.losses(gradients, smoothing, self._tolerance_of_labels, number)
            else:
                logits = []  # they are not those of forward
        batches = BatchLosses.of(trained, differentiated, logits, parts, classes, smoothing, losses_of)
        return batches.unscaled(self.every, self.tolerance) if self.every > 1 else batches

    def check(self, epochs: Sequence[Epoch], terms: Mapping[int, float]) -> list[str]:
        """Compare the loss of each batch with the criterion of its logits; returns the evidence.

        Args:
            terms: of the weights alone, at some batches.

        Raises:
            CheckFailure: at the first loss that differs.
        """
        if self.variant is None or not self.criterion.cross_entropy:
            return []
        batches = [epoch.batches for epoch in epochs]
        leaves = {None if epoch.entropies is None else epoch.entropies.shape[1] for epoch in batches}
        if self.every > 1 and terms:
            return ["the losses of training were not compared: they are scaled, with terms of weights alone"]
        if None in leaves or len(leaves) > 1:
            return ["the losses of training were not compared: its logits are not those of forward"]
        evidence = []
        wrong = first_wrong(batches, terms, self.setting.plan.batch_size, self.tolerance)
        of_practice = self.other_examples or self.mixing is not None  # whose terms are not measured
        if wrong is not None and of_practice and leaves == {1} and with_slow_term(batches):
            evidence.append("the losses of training have a term that changes slowly and was not measured")
        elif wrong is not None:
            at, loss, expected = wrong
            raise CheckFailure(
                f"the loss {self._place(batches, at)} is {loss:.6g}, expected {expected:.6g}: that of the criterion "
                "for the logits and the labels"
            )
        if self.other_examples:
            self._check_returned(epochs)
            evidence.append("the examples in use were counted in each epoch of training, and their losses compared")
        if self.mixing is not None:
            evidence.append(self.mixing.judge(self.variant, self.setting))
        return evidence

    @property
    def _tolerance_of_labels(self) -> float:
        """The error of the weight of a label in a gradient at the logits."""
        return SAME if self.setting.exact else 20 * SAME

    def _place(self, batches: Sequence[BatchLosses], at: int) -> str:
        """Where the batch of a training is."""
        counts = [len(epoch.values) for epoch in batches]
        epoch = int(np.searchsorted(np.cumsum(counts), at, side="right"))
        return Place(epoch, counts[epoch], "training")(at - sum(counts[:epoch]))

    def _check_returned(self, epochs: Sequence[Epoch]) -> None:
        """Require ``learn`` to return the means over the examples that an epoch trained on."""
        for number, epoch in enumerate(epochs, start=1):
            for metric in (Metric.ACCURACY, Metric.LOSS):
                returned = epoch.result.accuracy if metric is Metric.ACCURACY else epoch.result.loss
                mean = epoch.metric(metric)[1]
                if returned is None or abs(returned - mean) > self.tolerance * max(1.0, abs(mean)):
                    what = "nothing" if returned is None else f"{returned:.6g}"
                    raise CheckFailure(
                        f"learn returns {what} as the {metric.value} of epoch {number} in training, expected "
                        f"{mean:.6g}: the mean over the examples in use"
                    )
