"""The check of the moving average: the network is evaluated with the recurrence over the weights of its updates.

The weights and buffers after each update are observed, and the recurrence is computed here from them. Where the result
differs, other recurrences say how: those that people write by mistake.
"""

from dataclasses import dataclass, field

import numpy as np

from lrgen.verify.checks.averages import MovingAverage, is_close
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices.average_runs import AverageRun, Call, drawn
from lrgen.verify.session import Array

_EPOCHS, _SIZES = 3, (3, 3, 2)
_RESUMED_AFTER = 2


def check(examination: Examination) -> None:
    """Require the evaluated weights and buffers to be the moving average, also after a resume.

    Raises:
        CheckFailure: if they are not; the message says what they are.
    """
    variant, source = drawn(examination, "ema")
    assert variant.practice is not None
    for decay in (0.2 + 0.25 * source.random(), variant.practice.defaults["ema_decay"]):
        run = AverageRun(variant, source, _EPOCHS, _SIZES, {"ema_decay": decay})
        run.begin(examination.session)
        followed = Followed(decay)
        for epoch in range(_RESUMED_AFTER):
            followed.follow(run.learn(examination.session)[0], f"after epoch {epoch + 1}")
        with examination.fresh() as other:
            run.resume(examination.session, other)
            followed.follow(run.learn(other)[0], f"after epoch {_RESUMED_AFTER + 1}, resumed", resumed=True)
            run.require_evaluated(other, examination.session)
    examination.evidence.append(f"the moving average was computed again over {2 * _EPOCHS * len(_SIZES)} updates")


@dataclass
class Followed:
    """The recurrence through the epochs of a run, and what the evaluated values may be instead."""

    decay: float
    average: MovingAverage = field(init=False)
    trained: Array | None = None  # after the last update
    others: dict[str, Array] = field(default_factory=dict)  # by what is wrong
    updates: int = 0
    epochs: int = 0

    def __post_init__(self) -> None:
        self.average = MovingAverage(self.decay)

    def follow(self, call: Call, place: str, resumed: bool = False) -> None:
        """Compare a call of ``learn``.

        Raises:
            CheckFailure: at the first difference.
        """
        self._require_trained(call, resumed)
        if self.trained is None:
            self.average.start(call.first)
        before = call.first
        for number, after in enumerate(call.updated):
            self._add(before, after, first_of_epoch=number == 0)
            self.average.update(after)
            before = after
        self._once(call.first, before)
        self.trained = before
        self._compare(call, slice(None, call.parameters), "weights", place)
        self._compare(call, slice(call.parameters, None), "buffers", place)

    def _require_trained(self, call: Call, resumed: bool) -> None:
        """Require training to go on from the weights and buffers after the last update."""
        if self.trained is None or np.array_equal(call.first, self.trained):
            return
        after = "after a resume " if resumed else ""
        if self.average.is_close(call.first):
            raise CheckFailure(f"training goes on from the averaged weights {after}instead of the trained ones")
        raise CheckFailure(f"the weights before the first batch {after}are not those after the last update")

    def _add(self, before: Array, after: Array, first_of_epoch: bool) -> None:
        """Compute the other recurrences."""
        self.updates += 1
        count = self.updates
        decay = min(self.decay, (1 + count) / (10 + count))
        steps = {
            "the average is updated before the step of the optimizer": (decay, before),
            "decay and 1 - decay are swapped": (1 - decay, after),
            f"the decay is {self.decay:.3g} from the first update on": (self.decay, after),
            "the average is the mean over all updates": ((count - 1) / count, after),
        }
        for reason, (kept, added) in steps.items():
            old = self.others.get(reason, before)
            self.others[reason] = kept * old + (1 - kept) * added
        again = "the average begins again in each epoch"
        old = before if first_of_epoch else self.others[again]
        self.others[again] = decay * old + (1 - decay) * after
        zero = "the average begins with zeros"
        self.others[zero] = decay * self.others.get(zero, np.zeros_like(before)) + (1 - decay) * after

    def _once(self, first: Array, last: Array) -> None:
        """Compute the recurrence with one update per epoch, of which the first begins with ``first``."""
        reason = "the average is updated once per epoch, expected after each update"
        self.epochs += 1
        decay = min(self.decay, (1 + self.epochs) / (10 + self.epochs))
        self.others[reason] = decay * self.others.get(reason, first) + (1 - decay) * last

    def _compare(self, call: Call, part: slice, what: str, place: str) -> None:
        expected = self.average.values
        assert expected is not None
        assert self.trained is not None
        evaluated, wanted = call.returned[part], expected[part]
        if is_close(evaluated, wanted, self.average.rounding):
            return
        if np.array_equal(evaluated, self.trained[part]):
            raise CheckFailure(
                f"the network is evaluated with the {what} of the last update, not with their average ({place})"
            )
        reason = next(
            (why for why, other in self.others.items() if is_close(evaluated, other[part], self.average.rounding)), ""
        )
        at = int(np.argmax(np.abs(evaluated - wanted)))
        raise CheckFailure(
            f"the network is evaluated with other {what} than their moving average ({place}): "
            + (reason or f"one is {evaluated[at]:.8g}, expected {wanted[at]:.8g}")
        )
