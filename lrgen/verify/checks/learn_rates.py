"""The learning rates of a run of ``learn``, compared with the curve, and the metrics that may drive them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lrgen import curves
from lrgen.records import Metric, Unit, Variant
from lrgen.verify import messages
from lrgen.verify.checks import accumulation, learn_reasons
from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces, as_array, first_difference

# Learns another epoch; None if it raises.
Another = Callable[[], messages.Learned | None]


@dataclass
class LearnRates:
    """The learning rates and metrics of a run so far; a resumed run continues with them.

    ``made`` counts the calls of ``make_scheduler``, ``resumed_after`` are the epochs before the run was resumed.
    """

    variant: Variant
    run: Run
    made: int = 0
    resumed_after: int | None = None
    rates: list[list[float]] = field(default_factory=list)  # of each update
    losses: list[float] = field(default_factory=list)
    batch_losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    batch_accuracies: list[float] = field(default_factory=list)

    def add_metrics(self, losses: Sequence[float], correct: Sequence[int], sizes: Sequence[int]) -> None:
        """Add those of an epoch: the losses of its batches, and their images that were classified correctly."""
        self.batch_losses += losses
        self.batch_accuracies += [float(np.float32(right / size)) for right, size in zip(correct, sizes, strict=True)]
        self.losses.append(float(np.dot(losses, sizes) / sum(sizes)))
        self.accuracies.append(float(np.float32(sum(correct) / sum(sizes))))

    def compare(self, steps: Sequence[messages.Step], depths: Sequence[int], epoch: int, another: Another) -> Traces:
        """Compare the learning rates of the groups in an epoch; returns those of the curve (groups × updates).

        Args:
            steps: of the epoch.
            depths: of the parameter groups.
            epoch: its number.
            another: makes an epoch whose learning rates help to say what is wrong.

        Raises:
            CheckFailure: if one differs.
        """
        variant, run = self.variant, self.run
        self.rates += [step.rates for step in steps]
        done = len(self.rates)
        actual = _by_group(self.rates, done)
        if actual is None or len(actual) != len(depths):
            count = 0 if actual is None else len(actual)
            raise CheckFailure(f"learn changes the number of parameter groups from {len(depths)} to {count}")
        updates = np.arange(done)
        of_epoch = accumulation.updates_of(run.batches, variant.batches_per_update)
        at_steps = updates if variant.per_batch else updates // of_epoch
        horizon = run.epochs_planned * (of_epoch if variant.per_batch else 1)
        expected = None
        for metrics in self._metrics(int(at_steps[-1])):
            expected = curves.rates(
                variant, at_steps, horizon, run.base_lr, run.prm, metrics=metrics, depths=list(depths)
            )
            at = first_difference(actual, expected, variant.tolerance * run.base_lr)
            if at is None:
                break
        else:
            assert expected is not None
            assert at is not None
            raise CheckFailure(self._difference(actual, expected, at, epoch, another, depths))
        return expected[:, done - len(steps) :]

    def _metrics(self, needed: int) -> Iterator[list[float] | None]:
        """The metrics of the run so far: as computed here, and within the rounding errors of the file's own sums."""
        variant = self.variant
        if variant.unit is not Unit.METRIC:
            yield None
            return
        by_batch = variant.cadence is Unit.BATCH
        if variant.metric is Metric.LOSS:
            values = self.batch_losses if by_batch else self.losses
        else:
            values = self.batch_accuracies if by_batch else self.accuracies
        for factor in (1.0, 1 + 3e-7, 1 - 3e-7):
            yield [value * factor for value in values[:needed]]

    def _difference(
        self, actual: Traces, expected: Traces, at: int, epoch: int, another: Another, depths: Sequence[int]
    ) -> str:
        """The reason why the learning rates differ from the curve."""
        variant = self.variant
        if epoch == 0 and np.ptp(actual) == 0:
            learned = another()  # they may change between epochs alone
            if learned is not None:
                self.made += len(learned.horizons)
                further = _by_group([step.rates for step in learned.steps], actual.shape[1])
                if further is not None and len(further) == len(actual):
                    actual = np.concatenate([actual, further], axis=1)
        of_epoch = accumulation.updates_of(self.run.batches, variant.batches_per_update)
        by_batch = self._follows_batches(actual[:, : expected.shape[1]], depths)
        return learn_reasons.why(
            variant, actual, expected, at, of_epoch, self.run.prm, self.made, self.resumed_after, by_batch=by_batch
        )

    def _follows_batches(self, actual: Traces, depths: Sequence[int]) -> bool:
        """Whether the learning rates are those of a schedule that advances after each batch of an update."""
        variant, run = self.variant, self.run
        if not variant.per_batch or variant.batches_per_update == 1:
            return False
        groups = accumulation.groups_of(run.batches, variant.batches_per_update)
        epochs, at = np.divmod(np.arange(actual.shape[1]), len(groups))
        last = np.array([group[-1] for group in groups])[at]
        first = np.array([group[0] for group in groups])[at]
        return any(
            first_difference(
                actual,
                curves.rates(
                    variant,
                    epochs * run.batches + within,
                    run.epochs_planned * count,
                    run.base_lr,
                    run.prm,
                    depths=list(depths),
                ),
                variant.tolerance * run.base_lr,
            )
            is None
            for count in (run.batches, len(groups))
            for within in (first, last)
        )


def _by_group(rates: Sequence[Sequence[float]], updates: int) -> Traces | None:
    """Learning rates as groups × updates; None if not every update has one of each group."""
    return as_array([list(row) for row in zip(*rates, strict=False)], updates)
