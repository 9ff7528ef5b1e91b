"""The check of curricula: which examples an epoch trains on, or how much each of a batch counts.

The images are known by their pixels, so that each update shows its examples. A paced curriculum must train on as many
as its pacing function says (``lrgen.curves.pacing``), on those whose losses another process computes from the weights
before the epoch, on each once, with one update a batch and the learning rates of the schedule over these updates. A
self-paced one must have the gradient of the weighted losses. Resumed, a paced one at each quarter and a self-paced one
in the middle, they must train on the same examples with the same gradients.
"""

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import pacing
from lrgen.records import Unit
from lrgen.verify import messages
from lrgen.verify.checks import scores
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import log_uniform
from lrgen.verify.checks.examination import Examination, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices.curriculum_runs import (
    AGAIN,
    CLASSES,
    SAME_LOSS,
    Case,
    Curriculum,
    FollowedRun,
    LearnedEpoch,
)
from lrgen.verify.checks.practices.in_use import InUse
from lrgen.verify.session import Array

_NET = "curriculum"
_PLAIN = 1e30  # a threshold that no loss reaches
_LOW = 0.05  # a ratio of a threshold that every loss after an epoch exceeds
_FEW, _BATCHES = 5, (8, 32)  # of an epoch of a drawn run: in a large network, and in others
_LONG = 12, 90  # epochs of a run of which the first are made
_ORDERED, _EXAMPLES = 0.98, 20  # the rank correlation of so many examples with their order, if nothing shuffles them


def check(examination: Examination) -> None:
    """Check the curriculum of a file.

    Raises:
        CheckFailure: at the first violation.
    """
    variant = examination.candidate.variant
    assert variant is not None
    assert variant.practice is not None
    kind = _Paced if variant.practice.is_paced else _SelfPaced
    checked = kind(examination, variant, variant.practice)
    checked.refusals()
    with examination.fresh() as checked.second:
        checked.run()
    examination.evidence += checked.evidence
    if checked.terms:
        examination.evidence.append("terms of the loss that depend on the weights were measured in another process")


class _Paced(Curriculum):
    """A curriculum that chooses the examples of an epoch."""

    def refused(self) -> list[tuple[str, float]]:
        """Fractions that are out of their range."""
        return [(name, value) for name in ("start_fraction", "full_fraction") for value in (0.0, -0.5, 1.5)]

    def run(self) -> None:
        """Follow runs with the defaults, with drawn fractions, of two epochs, and the beginning of a long one."""
        draw = self.source
        cases = [
            Case(8, [4] * 5 + [3], {}, False, BASE_LR, resumed=True),
            Case(
                3 + draw.randrange(4),
                [3 + draw.randrange(3)] * (_FEW if self.large else round(log_uniform(draw, *_BATCHES))) + [2],
                {"start_fraction": 0.15 + 0.6 * draw.random(), "full_fraction": 0.4 + 0.6 * draw.random()},
                True,
                BASE_LR * 10 ** -draw.random(),
            ),
            Case(2, [5] * 4 + [2], {"start_fraction": 0.05 + 0.1 * draw.random()}, False, BASE_LR),
            Case(round(log_uniform(draw, *_LONG)), [4] * 4 + [2], {}, False, BASE_LR, made=2),
        ]
        for case in cases:
            self._follow(case)
        self.evidence.append(
            "the examples of each epoch are those of the pacing function, in the order of their losses"
        )
        if self.without:
            self.evidence.append("gradients were not computed again: the output of the network is no logits")

    def _follow(self, case: Case) -> None:
        in_use = InUse.of(self.practice, case.prm, case.epochs, case.count, case.sizes[0])
        updates = in_use.updates
        horizon = sum(updates) if self.variant.unit is Unit.BATCH else case.epochs
        run = self.begin(self.examination.session, _NET, case)
        run.horizon = horizon
        self.begin(self.second, AGAIN, case)
        quarters = {round(quarter * case.epochs / 4) for quarter in (1, 2, 3)}
        for number, size in enumerate(in_use.sizes[: case.made]):
            drawn = self.source.randrange(updates[number])
            epoch = self.learn(run, number, updates[number], [drawn])
            self.require_examples(run, epoch, size, updates[number])
            self._require_choice(run, epoch, in_use)
            self.compare_updates(run, epoch, updates)
            if not epoch.states:
                raise CheckFailure(f"learn has no forward pass for update {drawn + 1} {self.place(run, epoch)}")
            self.compare_gradient(run, epoch, drawn, epoch.states[0], None)
            if case.resumed and number in quarters:
                self.resume(run, epoch)

    def _require_choice(self, run: FollowedRun, epoch: LearnedEpoch, in_use: InUse) -> None:
        """Require the examples of an epoch to be those of its order; equal losses may take each other's place."""
        losses = self._losses(run, epoch.before)
        ordered = [int(position) for position in in_use.chosen(epoch.number, losses, run.labels)]
        expected = set(ordered)
        seen = {position for of_update in epoch.seen for position in of_update}
        extra = sorted(losses[list(seen - expected)])
        missing = sorted(losses[list(expected - seen)])
        for wrong, right in zip(extra, missing, strict=True):
            if not abs(wrong - right) <= SAME_LOSS * (1 + abs(right)):
                raise CheckFailure(
                    f"learn trains on an example with the loss {wrong:.6g} {self.place(run, epoch)}, expected one with "
                    f"the loss {right:.6g}: {len(seen)} of {run.case.count} are in use ({self.practice.name})"
                )
        if in_use.constants["balanced"]:
            counts = [np.bincount(run.labels[list(chosen)], minlength=CLASSES) for chosen in (seen, expected)]
            if np.abs(counts[0] - counts[1]).max() > 1:
                raise CheckFailure(
                    f"the classes are not balanced {self.place(run, epoch)}: {counts[0].tolist()} examples"
                )
        self._require_shuffled(run, epoch, ordered)

    def _require_shuffled(self, run: FollowedRun, epoch: LearnedEpoch, ordered: list[int]) -> None:
        """Require the examples of an epoch to come in another order than that of the curriculum."""
        ranks = {position: rank for rank, position in enumerate(ordered)}
        seen = [ranks.get(position, len(ordered)) for of_update in epoch.seen for position in of_update]
        if len(seen) >= _EXAMPLES and abs(np.corrcoef(seen, range(len(seen)))[0, 1]) > _ORDERED:
            raise CheckFailure(f"learn does not shuffle the examples in use {self.place(run, epoch)}")

    def _losses(self, run: FollowedRun, state: Array) -> NDArray[np.float64]:
        """The loss of each example at these weights, in evaluation mode, in the other process."""
        with raising("loading the weights of a run"):
            self.second.call("load_weights", messages.Nothing, [state], net=AGAIN)
        with raising("forward"):
            _, sent = self.second.call("forward", messages.Forward, [run.images], net=AGAIN, train=False)
        if len(sent) != 1 or sent[0].shape != (run.case.count, CLASSES):
            raise CheckFailure("forward returns no logits of images × classes in evaluation mode")
        return scores.losses(sent[0], run.labels)


class _SelfPaced(Curriculum):
    """A curriculum that weights the examples of a batch."""

    def refused(self) -> list[tuple[str, float]]:
        """Thresholds that are out of their range."""
        return [("start_threshold", 0.0), ("start_threshold", -1.0), ("threshold_growth", -0.5)]

    def run(self) -> None:
        """Follow runs with drawn thresholds, with the defaults, and with thresholds below and above every loss."""
        draw = self.source
        shown = 0
        for as_list, start in ((False, 0.5), (True, 0.4 + 0.08 * draw.random()), (False, 0.52 + 0.06 * draw.random())):
            prm = {"start_threshold": start, "threshold_growth": 0.05 + 0.25 * draw.random()}
            shown += self._follow(Case(5, [8, 8, 6], prm, as_list, BASE_LR * 10 ** -draw.random(), resumed=not as_list))
        batches = _FEW if self.large else round(log_uniform(draw, *_BATCHES))
        prm = {"start_threshold": 0.4 + 0.08 * draw.random()}
        shown += self._follow(
            Case(round(log_uniform(draw, *_LONG)), [4] * batches + [3], prm, True, BASE_LR / 10, made=2)
        )
        self._follow(Case(2, [8, 6], {}, False, BASE_LR))
        self._follow(Case(5, [8, 6], {"start_threshold": 0.22}, False, BASE_LR))  # its growth crosses most losses
        self._follow(Case(2, [6, 6], {"start_threshold": _LOW}, False, BASE_LR))
        self._follow(Case(2, [6, 6], {"start_threshold": _PLAIN}, False, BASE_LR))
        if self.without:
            self.evidence.append("gradients were not computed again: the output of the network is no logits")
        elif not shown:
            raise CheckFailure("no update shows the weights of its examples")
        else:
            self.evidence.append(f"the gradients of {self.compared} updates are those of the weighted losses")

    def _follow(self, case: Case) -> int:
        """Follow a run; returns the number of updates that show the weights."""
        updates = [len(case.sizes)] * case.epochs
        horizon = sum(updates) if self.variant.unit is Unit.BATCH else case.epochs
        run = self.begin(self.examination.session, _NET, case)
        run.horizon = horizon
        self.begin(self.second, AGAIN, case)
        prm = {**self.practice.defaults, **case.prm}
        start = prm["start_threshold"] * 2.0 * float(np.log(CLASSES))
        thresholds = pacing.threshold(np.arange(case.epochs), start=start, growth=prm["threshold_growth"])
        shown = 0
        for number, threshold in enumerate(thresholds[: case.made]):
            epoch = self.learn(run, number, updates[number], list(range(updates[number])))
            self.require_examples(run, epoch, case.count, updates[number])
            self.compare_updates(run, epoch, updates)
            for update, state in enumerate(epoch.states):
                shown += self.compare_gradient(run, epoch, update, state, float(threshold))
            if case.resumed and number == case.epochs // 2:
                self.resume(run, epoch)
        return shown
