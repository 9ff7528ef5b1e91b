"""Observation of the training of a file that claims no variant: its learning rates over many epochs of ``learn``.

The forward pass is replaced by chosen logits, so that an epoch costs milliseconds and its metrics are known. They
improve, stand still, worsen and improve again, so that a schedule that a metric drives shows what it does.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.examination import Examination, build, prm_of, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces
from lrgen.verify.session import Array, FileRaised

EPOCHS = 90
BATCHES, SIZE = 4, 2  # of an epoch, and images of a batch
_CLASSES = 10
_SECONDS = 0.6  # of CPU time, after which no further epoch begins
_WAYS = ("one", "all", "real")  # in which the forward pass is replaced (nursery.observation)
_MOST = 20_000  # updates or steps that are looked at
_IMPROVING = 12  # epochs at the start
_AGAIN = 52  # the epoch in which the metrics improve again


@dataclass(frozen=True, eq=False)
class Observation:
    """A training as it was observed.

    ``rates`` are those of each update (updates × groups); ``epoch_of`` and ``batch_of`` say when it was made, the batch
    counted over all epochs. A step of a scheduler is (its index, epoch, batches so far, updates so far, the number that
    it was given).
    """

    answer: messages.Observed
    rates: Array
    epoch_of: Array
    batch_of: Array
    steps: Array
    known_metrics: bool = True
    base_lr: float = BASE_LR

    @property
    def epochs(self) -> int:
        """The number of epochs that ended."""
        return self.answer.epochs

    @property
    def updates(self) -> int:
        """The number of updates."""
        return len(self.rates)

    @cached_property
    def by_group(self) -> Traces:
        """The learning rates as groups × updates."""
        return np.ascontiguousarray(self.rates.T, dtype=np.float64)

    @cached_property
    def positions(self) -> list[int]:
        """The batch of each update, counted over all epochs from 0."""
        return [max(0, int(batch) - 1) for batch in self.batch_of]


def observe(examination: Examination) -> Observation | str:
    """Observe the training of a file; a reason if ``learn`` raises in its first epoch."""
    images, _ = random_batches([SIZE] * BATCHES)
    arrays = [images, scores()]
    reason = ""
    for way in _WAYS:
        prm = prm_of(lr=BASE_LR, epoch=EPOCHS, epoch_max=EPOCHS, batch=SIZE)
        try:
            build(examination.session, "observed", prm, batch=SIZE)
            answer, sent = examination.session.call(
                "observe",
                messages.Observed,
                arrays,
                net="observed",
                size=SIZE,
                epochs=EPOCHS,
                seconds=_SECONDS,
                gradients=way,
            )
        except FileRaised as error:
            reason = str(error)
            continue
        if answer.raised is None or answer.epochs:
            return _observation(answer, sent)
        reason = str(FileRaised(answer.raised))
    return reason


def _observation(answer: messages.Observed, sent: list[Array]) -> Observation:
    """The observation of an answer.

    Raises:
        CheckFailure: if its arrays do not belong together.
    """
    if len(sent) != 3:
        raise CheckFailure("the notes of an observed training are not complete")
    rates, at, steps = (array.astype(np.float64) for array in sent)
    if (
        rates.ndim != 2
        or at.shape != (len(rates), 2)
        or steps.ndim != 2
        or steps.shape[1] != 5
        or max(len(rates), len(steps)) > _MOST
        or answer.epochs > EPOCHS
        or (len(rates) and not rates.shape[1])
        or not _in_order(at[:, 0], EPOCHS)
        or not _in_order(at[:, 1], answer.batches + 1)
        or not _in_order(steps[:, 1], EPOCHS)
        or not _in_order(np.sort(steps[:, 0]), len(answer.schedulers))
    ):
        raise CheckFailure("the notes of an observed training do not belong together")
    return Observation(
        answer,
        rates,
        at[:, 0].astype(np.int64),
        at[:, 1].astype(np.int64),
        steps,
        known_metrics=answer.forwards > 0,
    )


def _in_order(values: Array, end: int) -> bool:
    """Whether values never fall, from 0 on, and are below an end."""
    return not len(values) or bool(values[0] >= 0 and values[-1] < end and np.all(np.diff(values) >= 0))


def scores() -> Array:
    """The logit of the first class of each image, for each epoch (epochs × images)."""
    images = BATCHES * SIZE
    chosen = np.empty((EPOCHS, images), dtype=np.float32)
    for epoch in range(EPOCHS):
        early = min(epoch, _IMPROVING)
        right, score = 1 + early // 2, 0.5 + 0.1 * early
        if epoch > _IMPROVING and epoch % 3 == 1:
            score -= 0.15  # slightly worse than the best
        if epoch >= _AGAIN:
            right, score = 8, 2.2 + 0.1 * min(epoch - _AGAIN, 2) - 0.1 * (epoch > _AGAIN + 2 and epoch % 4 == 1)
        chosen[epoch] = np.where(np.arange(images) < right, score, -0.1)
    return chosen


def metrics() -> tuple[Array, Array]:
    """The mean loss and the accuracy of each epoch, by the chosen logits and cross-entropy."""
    logits = scores().astype(np.float64)
    losses = np.log(np.exp(logits) + _CLASSES - 1) - logits
    return losses.mean(axis=1), (logits > 0).mean(axis=1)
