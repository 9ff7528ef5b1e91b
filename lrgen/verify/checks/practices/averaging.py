"""The check of weight averaging: the network is evaluated with the mean of the weights at the ends of the last epochs.

The weights at the end of each epoch are observed, and averaged here. The statistics of batch norms must be those of a
pass over the training data with the averaged weights, which the file's process computes again.
"""

from dataclasses import dataclass, field

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.averages import EpochAverage, start_of
from lrgen.verify.checks.draw import log_uniform
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.large import is_large
from lrgen.verify.checks.practices.average_runs import NET, AverageRun, Call, drawn
from lrgen.verify.session import Array, Session

_EPOCHS = 6, 9
_SIZE = 4  # images of a batch
_BATCHES = 3, 16  # of an epoch; 3 in a large network
_SAME_STATISTICS = 1e-4
_PARAMETER = "average_start_fraction"


def check(examination: Examination) -> None:
    """Require the evaluated weights to be the average of the right epochs, also after a resume.

    Raises:
        CheckFailure: if they are not; the message says what they are.
    """
    variant, source = drawn(examination, "averaging")
    start, epochs = source.choice([2, 3]), source.randint(*_EPOCHS)
    batches = _BATCHES[0] if is_large(examination) else round(log_uniform(source, *_BATCHES))
    fraction = (start + 0.2 + 0.6 * source.random()) / epochs
    assert start_of(fraction, epochs) == start
    run = AverageRun(variant, source, epochs, [_SIZE] * batches, {_PARAMETER: fraction})
    run.begin(examination.session)
    followed = Followed(start)
    resumed_after = start + 1  # there is an average of one epoch
    for epoch in range(1, resumed_after + 1):
        _epoch(run, examination.session, followed, f"after epoch {epoch} of {epochs}")
    with examination.fresh() as other:
        run.resume(examination.session, other)
        for epoch in range(resumed_after + 1, epochs + 1):
            _epoch(run, other, followed, f"after epoch {epoch} of {epochs}, resumed after epoch {resumed_after}")
        run.require_evaluated(other, examination.session)
    if followed.norms:
        examination.evidence.append("the batch norm statistics of averaged weights were computed again")
    examination.evidence.append(f"the average of the weights of {epochs - start} epochs was computed again")


def _epoch(run: AverageRun, session: Session, followed: "Followed", place: str) -> None:
    call, seeds = run.learn(session)
    followed.follow(call, place)
    if len(followed.ends) > followed.start + 1:  # the average of one epoch are its weights
        followed.compare_norms(run, session, call, seeds, place)


@dataclass
class Followed:
    """The average through the epochs of a run."""

    start: int
    average: EpochAverage = field(init=False)
    ends: list[Array] = field(default_factory=list)  # of all epochs
    norms: bool = False  # whether there are statistics of batch norms

    def __post_init__(self) -> None:
        self.average = EpochAverage(self.start)

    def follow(self, call: Call, place: str) -> None:
        """Compare the weights of a call of ``learn``.

        Raises:
            CheckFailure: at the first difference.
        """
        weights = slice(None, call.parameters)
        if self.ends and not np.array_equal(call.first[weights], self.ends[-1]):
            if self.average.is_close(call.first[weights]):
                raise CheckFailure(f"training goes on from the averaged weights instead of the trained ones ({place})")
            raise CheckFailure(f"the weights before the first batch are not those of the last update ({place})")
        self.ends.append(call.end[weights])
        self.average.end(call.end[weights])
        evaluated = call.returned[weights]
        if self.average.values is None:
            if not np.array_equal(evaluated, self.ends[-1]):
                raise CheckFailure(
                    f"the network is evaluated with other weights than those of the last update {place}: "
                    f"the average begins with epoch {self.start + 1}"
                )
        elif not self.average.is_close(evaluated):
            raise CheckFailure(
                f"the network is evaluated with other weights than their average {place}{self._why(evaluated)}"
            )

    def _why(self, evaluated: Array) -> str:
        """The weights that the evaluated ones are instead of the average, if they are known."""
        last = len(self.ends)
        if last > self.start + 1 and np.array_equal(evaluated, self.ends[-1]):
            return ": they are those of the last update"
        for first in range(last):
            for end in range(first + 1, last + 1):
                other = EpochAverage(0)
                for weights in self.ends[first:end]:
                    other.end(weights)
                if other.is_close(evaluated):
                    return f": the average is of epochs {first + 1} to {end}, expected {self.start + 1} to {last}"
        return ""

    def compare_norms(self, run: AverageRun, session: Session, call: Call, seeds: list[int], place: str) -> None:
        """Compare the statistics of norms after a call of ``learn`` that ended with an average.

        Raises:
            CheckFailure: if they are not those of the average.
        """
        arrays = session.call("norms", messages.Nothing, [run.images], net=NET, sizes=list(run.sizes), seeds=seeds)[1]
        now, renewed, of_norms = (array.astype(np.float64) for array in arrays)
        of_norms = of_norms.astype(bool)
        trained, before = call.end[call.parameters :], call.first[call.parameters :]
        if not now.shape == renewed.shape == of_norms.shape == trained.shape:
            raise CheckFailure("the number of buffers of the network changes in learn")
        changing = trained != before
        self.norms = self.norms or bool(changing.any())
        if changing.any() and np.array_equal(now[changing], trained[changing]):
            raise CheckFailure(
                f"the batch norm statistics are not updated for the averaged weights {place}: they are those of the "
                "trained ones"
            )
        now, renewed = now[of_norms], renewed[of_norms]
        if len(now) and np.abs(now - renewed).max() > _SAME_STATISTICS * max(1.0, float(np.abs(renewed).max())):
            raise CheckFailure(
                f"the batch norm statistics are not those of the averaged weights {place}: a value is "
                f"{now[int(np.argmax(np.abs(now - renewed)))]:.6g}, expected "
                f"{renewed[int(np.argmax(np.abs(now - renewed)))]:.6g}"
            )
