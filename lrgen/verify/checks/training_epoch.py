"""An epoch of a training: what was noted of it, and how the network was evaluated after it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Metric
from lrgen.verify import messages
from lrgen.verify.checks.batch_losses import BatchLosses
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.scores import Score


@dataclass
class Epoch:
    """An epoch of the training."""

    order: NDArray[np.int64]
    seeds: list[int]
    notes: Notes
    batches: BatchLosses
    cross_entropy: bool  # the loss is that of the criterion for the logits and labels
    logits: NDArray[np.float32]  # of the evaluated images
    score: Score
    seconds: float
    result: messages.Result

    def metric(self, metric: Metric | None) -> tuple[NDArray[np.float64], float]:
        """A metric of each batch, and its mean over images; what ``learn`` returned where there is none."""
        values = self.batches.accuracies if metric is Metric.ACCURACY else self.batches.values
        mean = float(np.average(values, weights=self.batches.sizes)) if len(values) else math.nan
        if math.isnan(mean) and self.result.kind == "pair":
            returned = self.result.accuracy if metric is Metric.ACCURACY else self.result.loss
            mean = math.nan if returned is None else returned
        return values, mean
