"""The gradients of drawn batches, one in each epoch of a training, computed again while the training goes on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrgen.verify.checks import accumulation
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.second_process import Compared, DrawnBatch, SecondProcess, Setting
from lrgen.verify.checks.training_epoch import Epoch
from lrgen.verify.session import Session

# A batch is drawn in each epoch, or in so many of a longer training.
_EPOCHS, _OF_LONG = 10, 3


class DrawnGradients:
    """The drawn batches of a training whose epochs have a number of ``batches``, ``every`` of which are an update.

    They are those of one update, which a single batch is as a rule. A gradient that is wrong fails when the updates
    have been compared: ``evidence`` raises it. ``none`` are drawn where the gradients are those of other examples,
    which the check of a practice compares.
    """

    def __init__(self, setting: Setting, batches: int, every: int = 1, *, none: bool = False) -> None:
        self._setting, self._updates = setting, accumulation.groups_of(batches, every)
        self._compared: dict[int, Compared] = {}  # by update
        self._wrong: CheckFailure | None = None
        self._second: SecondProcess | None = None
        self._none = none
        self._of_epochs = {} if none else self._drawn()

    def begin(self, session: Session, sampling: Sampling, weights: int) -> None:
        """Begin with the process that computes gradients again; its base learning rate is another one."""
        setting, draw = self._setting, self._setting.examination.draw.stream("training", "rate")
        prm = {**setting.prm, "lr": setting.plan.lr * (0.2 + 0.6 * draw.random())}
        self._second = SecondProcess(replace(setting, prm=prm), session, sampling, weights)

    def batch(self, epoch: int) -> int | None:
        """The first batch that is drawn of an epoch, before which the process of the training keeps its weights."""
        drawn = None if self._wrong else self._of_epochs.get(epoch)
        return None if drawn is None else self._updates[drawn][0]

    def compare(self, trained: Session, epochs: Sequence[Epoch]) -> None:
        """Compute the gradient of the drawn update of the last epoch again."""
        epoch, index = epochs[-1], len(epochs) - 1
        batch, update, steps = self.batch(index), self._of_epochs.get(index), epoch.notes.steps
        if batch is None or update is None or len(steps) != len(self._updates) or steps[update].norm is None:
            return
        assert self._second is not None
        group, size = self._updates[update], self._setting.plan.batch_size
        start, batches = batch * size, self._updates[-1][-1] + 1
        norms = [step.norm for each in epochs for step in each.notes.steps if step.norm is not None]
        drawn = DrawnBatch(
            f"in training at epoch {index + 1}, batch {batch + 1} of {batches}",
            np.concatenate([epoch.order[start:], epoch.order[:start]]),
            [*epoch.seeds[batch:], *epoch.seeds[:batch]],
            [min(size, len(epoch.order) - at * size) for at in group],
            epoch.notes.gradients[update],
            steps[update].norm or 0.0,
            max(norms),
            epoch.batches.entropies is None or epoch.cross_entropy,
        )
        try:
            self._compared[index * batches + batch] = self._second.check(trained, drawn)
        except CheckFailure as failure:
            self._wrong = failure

    @property
    def terms(self) -> dict[int, float]:
        """The terms of the loss that depend on the weights alone, at the batches where they were measured."""
        return {update: each.term for update, each in self._compared.items() if each.term is not None}

    def evidence(self) -> str:
        """A sentence on how the gradients were computed again.

        Raises:
            CheckFailure: if one was wrong.
        """
        if self._wrong is not None:
            raise self._wrong
        count = len(self._compared)
        if self._none:
            return "the gradients of the examples in use were compared by the check of the practice alone"
        if not count:
            return "the gradients of drawn batches were not computed again: they have no update each"
        sentence = f"the gradients of {count} drawn batches were computed again"
        if any(each.by_learn for each in self._compared.values()):
            return f"{sentence} by learn"
        return f"{sentence}, with a term of the loss of weights alone" if self.terms else sentence

    def _drawn(self) -> dict[int, int]:
        """An update of whole batches of each epoch, of a long training in three epochs of which one is the last.

        It is not the first one of the training.
        """
        plan, draw = self._setting.plan, self._setting.examination.draw.stream("training", "updates")
        whole = max(1, len(self._setting.data.images) // (plan.batch_size * len(self._updates[0])))
        last = plan.epochs - 1
        epochs = list(range(last))
        if plan.budget or plan.epochs > _EPOCHS:
            epochs = draw.sample(epochs[1:], min(_OF_LONG - 1, max(0, last - 1)))
        return {epoch: draw.randrange(int(epoch == 0 and whole > 1), whole) for epoch in (*epochs, last)}
