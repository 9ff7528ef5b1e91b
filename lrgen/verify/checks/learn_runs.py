"""The runs of ``learn``: each epoch is compared with the curve, and each update with the reference optimizer."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrgen.records import Unit, Variant
from lrgen.verify import messages
from lrgen.verify.checks import accumulation, layer_order
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.draw import Source, learn_cases
from lrgen.verify.checks.examination import Examination, build, prm_of, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.large import LARGE
from lrgen.verify.checks.learn_again import Epoch, compare_gradients, terms_of_weights
from lrgen.verify.checks.learn_set_up import FIXED, Networks, Trained
from lrgen.verify.checks.learn_ways import OtherGradientsError, Way
from lrgen.verify.checks.metric_seeds import MetricSeeds, shuffled_order
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.slopes import Slopes
from lrgen.verify.checks.standin_gradients import ClippingError, OtherLossError
from lrgen.verify.checks.updates import Gradients, Place, observed, require_resolution
from lrgen.verify.session import Array, FileRaised, Session

LONG = 30  # epochs: people change the learning rate by hand here
_DIGESTS = 2  # epochs in a row
_REAL_EPOCHS = 1  # with the real forward pass, after a long run is resumed


class Learner:
    """Makes the runs of ``learn`` and compares them.

    Args:
        way: to know the gradients of the updates.
        given: the runs; if empty, some are drawn, and a network that is not large has fixed ones as well.
    """

    def __init__(self, examination: Examination, variant: Variant, way: Way, given: Sequence[Run]) -> None:
        self.examination, self.variant, self.way, self.given = examination, variant, way, given
        self.every, self.clipping = variant.batches_per_update, Clipping.of(variant)
        self.source: Source = examination.draw.stream("learn", *(["practice"] if given else []))
        self.networks = Networks(examination, variant, way, self.source)
        self.slopes, self.own_backward = Slopes(), ""
        self.updates = 0
        self.resolution = math.inf  # of the best update
        self.second: Session | None = None

    @property
    def evidence(self) -> list[str]:
        """Sentences on the comparisons."""
        sentences = [f"{self.updates} updates of learn were compared with the reference optimizer"]
        if self.way is Way.OBSERVED:
            sentences.append("observed gradients")
        if self.every > 1:
            sentences.append(f"the gradients of {self.every} batches add up to that of an update")
        elif self.way is Way.SCALED:
            sentences.append("the loss is scaled, and its gradients are scaled back before the update")
        if self.way is Way.TERMS:
            sentences.append("terms of the loss that depend on the weights were measured in another process")
        if self.own_backward:
            sentences.append(self.own_backward)
        return sentences

    def run(self) -> None:
        """Make all runs."""
        main = self.examination.session
        weights = self.networks.weights_of(build(main, "run", prm_of(lr=BASE_LR, epoch_max=3)))
        large = weights.size > LARGE
        runs = learn_cases(self.variant, self.source.stream("runs"), large=large)
        # A large network has no fixed runs; updates at a low learning rate alone would not show it in the weights.
        runs = [replace(runs[0], base_lr=BASE_LR), *runs[1:]] if large else [*FIXED, *runs]
        runs = list(self.given) or runs
        with self.examination.fresh() as self.second:
            if self.variant.layerwise:
                layer_order.check(main, weights.parameters)
            resumed: list[tuple[Trained, Array]] = []
            for run in runs:
                trained = self.networks.begin(main, "run", run, stand_in=self.way is not Way.OBSERVED)
                stop = self._stop(run)
                for _ in range(run.epochs_run if stop is None else stop):
                    self._epoch(trained)
                self.resolution = min(self.resolution, trained.effects.resolution)
                if stop is not None:
                    resumed.append((trained, self._save(trained)))
            if self.way is not Way.OBSERVED and not self.given:
                self._epoch(self.networks.begin(main, "real", self._real_run(), stand_in=False))
            for trained, state in resumed:
                self._resume(trained, state)
        require_resolution(self.resolution)
        self.own_backward = self.slopes.judge()

    def _stop(self, run: Run) -> int | None:
        """The epoch after which a run is resumed in another process; a long run is, past epoch 30."""
        if run.epochs_planned > LONG and run.epochs_run > LONG + 1:
            return LONG + 1 + self.source.randrange(run.epochs_run - LONG - 1)
        return run.resume_after

    def _real_run(self) -> Run:
        """Draw a run of one epoch with the real forward pass."""
        lr = BASE_LR * 10 ** (2 * self.source.random() - 2)
        by_batch = self.variant.unit is Unit.METRIC and self.variant.cadence is Unit.BATCH
        size = 2 + self.source.randrange(3)
        return Run(1 + self.source.randrange(3), 1, 1 if by_batch else 2 * self.every, size, 2, lr)

    # An epoch.

    def _epoch(self, trained: Trained) -> None:
        """Call ``learn`` once, and compare its updates."""
        run, sampling = trained.run, trained.weights.sampling
        shuffle = self.source.getrandbits(60) if trained.shuffled else None
        seeds = self._seeds(trained, shuffle)
        gains = self._gains(trained, seeds)
        shown = [] if trained.epoch_in_process else [trained.images, trained.labels]
        with_gradients = self.way is not Way.PATTERN or not trained.stand_in
        groups = accumulation.groups_of(run.batches, self.every)
        drawn = self.source.randrange(len(groups))
        whole = list(range(run.batches)) if self.way is Way.TERMS else [groups[drawn][0]]
        with raising("learn"):
            learned, arrays = trained.session.call(
                "learn",
                messages.Learned,
                [*shown, *sampling.arrays],
                same=not shown,
                shuffle=shuffle,
                body=(64 << 20) + 8 * trained.weights.size * (1 + len(whole)),
                net=trained.net,
                sizes=trained.sizes,
                seeds=seeds,
                gains=gains,
                watch=True,
                gradients=with_gradients,
                whole=whole if self.way is Way.TERMS or not trained.stand_in else [],
                digests=self._with_digests(trained),
            )
        notes = Notes.of(learned, arrays, sampling, gradients=with_gradients)
        epoch = self._shown(trained, seeds, learned)
        states = arrays[3 : 3 + len(learned.saved)]
        trained.rates.made += len(learned.horizons)
        accumulation.require_updates(notes, run.batches, self.every)
        if self.clipping is not None:
            self.clipping.require(notes)
        self.updates += notes.updates
        if trained.stand_in:
            gradients = self._known(trained, notes, arrays[3 + len(states) :], epoch, states, gains)
        else:
            gradients = observed(notes)
        rates = trained.rates.compare(notes.steps, trained.depths, trained.epoch, lambda: self._another_epoch(trained))
        try:
            trained.effects.follow(notes, gradients, rates, Place(trained.epoch, run.batches), self.variant.label)
        except CheckFailure as failure:
            if self.way in (Way.PATTERN, Way.CLIPPED) and trained.stand_in:
                raise OtherGradientsError(failure) from failure
            raise
        if not trained.stand_in:
            at = groups[drawn][0]
            if at not in learned.saved:
                raise CheckFailure(f"learn does not ask for batch {at + 1} of {run.batches}")
            state = states[learned.saved.index(at)]
            with_criterion = self.way in (Way.PATTERN, Way.CLIPPED, Way.SCALED)
            standing = trained.weights.standing if with_criterion else None
            other = self._other(trained)
            gradients = notes.gradients[drawn]
            autocast = self.variant.autocast
            compare_gradients(other, sampling, epoch, drawn, state, gradients, standing, self.slopes, autocast)
        trained.epoch += 1
        trained.epoch_in_process += 1

    def _seeds(self, trained: Trained, shuffle: int | None) -> list[int]:
        """The seeds of the batches of an epoch; where a metric drives the schedule, they are chosen (metric_seeds)."""
        sizes, standing = trained.sizes, trained.weights.standing
        by_epoch = self.variant.unit is Unit.METRIC and self.variant.cadence is Unit.EPOCH
        if not by_epoch or not trained.stand_in or standing is None or len(sizes) == 1:
            return [self.source.getrandbits(60) for _ in sizes]
        if trained.metric_seeds is None:
            trained.metric_seeds = MetricSeeds(self.variant.metric, sizes)
        order = list(range(len(trained.labels))) if shuffle is None else shuffled_order(len(trained.labels), shuffle)
        epoch = Epoch(trained.run, sizes, [], trained.images[order], trained.labels[order], trained.pixels)
        return trained.metric_seeds.draw(self.source, epoch, standing)

    def _gains(self, trained: Trained, seeds: Sequence[int]) -> list[float]:
        """The gains of the stand-in's gradients, which take those that are clipped below the limit and above it."""
        standing = trained.weights.standing
        if self.clipping is None or standing is None or not (self.given and trained.stand_in):
            return []
        return [self.clipping.gain(self.source, standing.norm_of_pattern(seed)) for seed in seeds]

    def _with_digests(self, trained: Trained) -> bool:
        """Whether digests of all weights are noted around this epoch: a few in a row, from a drawn one on."""
        if trained.epoch >= trained.digests_from + _DIGESTS:
            trained.digests_from = trained.epoch + self.source.randrange(2, 12)
        return trained.epoch >= trained.digests_from

    def _shown(self, trained: Trained, seeds: list[int], learned: messages.Learned) -> Epoch:
        """The batches of an epoch, in the order in which the loader gave their images."""
        order = learned.order
        if sorted(order) != list(range(len(trained.labels))) or not (trained.shuffled or order == sorted(order)):
            raise CheckFailure("learn does not ask for each batch")
        images, labels = trained.images[order], trained.labels[order]
        return Epoch(trained.run, trained.sizes, seeds, images, labels, trained.pixels, self.every)

    def _known(
        self,
        trained: Trained,
        notes: Notes,
        arrived: Sequence[Array],
        epoch: Epoch,
        states: Sequence[Array],
        gains: Sequence[float],
    ) -> list[Gradients]:
        """The gradients of the updates with the stand-in; the metrics of the epoch are added to the run."""
        standing = trained.weights.standing
        assert standing is not None
        terms = None
        if self.way is Way.TERMS:
            terms = terms_of_weights(self._other(trained), trained.weights.sampling, epoch, states, standing)
            if self.clipping is not None:
                raise OtherLossError("terms of the loss that depend on the weights are clipped as well")
        leaves, batches = len(standing.leaves), epoch.batches
        if notes.learned.backward != list(range(len(batches))) or len(arrived) != leaves * len(batches):
            raise OtherLossError("learn does not train through forward, once per batch")
        result: list[Gradients] = []
        losses, correct = [], []
        before: list[Array] = []
        for update, group in enumerate(epoch.updates):
            parts, own = [], []
            sizes = [trained.sizes[index] for index in group]
            term, extra = (None, 0.0) if terms is None else terms[update]
            for index, share in zip(group, accumulation.shares_of(sizes), strict=True):
                seed, images, labels = batches[index]
                scale, error = standing.of(seed, images, labels, arrived[leaves * index : leaves * (index + 1)])
                factor = share * (gains[index] if gains else 1.0)
                parts.append((seed, factor * scale, factor * error))
                own.append(standing.gradients(seed, scale, error).values if self.every > 1 else np.zeros(0))
                loss, right = standing.losses(seed, images, labels)
                losses.append(loss + extra)
                correct.append(right)
            noted = (notes.gradients[update], notes.steps[update].norm or 0.0) if len(notes.gradients) else None
            try:
                result.append(standing.sum_of(parts, noted, term))
            except ClippingError as error:
                raise ClippingError(self._why(error, notes.gradients[update], sizes, before, own)) from error
            before = own
        trained.rates.add_metrics(losses, correct, trained.sizes)
        return result

    def _why(
        self, error: ClippingError, observed: Array, sizes: Sequence[int], before: Sequence[Array], own: Sequence[Array]
    ) -> str:
        """The reason why the gradient of an update is wrong, by those of its batches and of the update before."""
        if self.every == 1:
            return f"{error}"
        return accumulation.why(observed, before, own, sizes, self.every) or f"{error}"

    def _another_epoch(self, trained: Trained) -> messages.Learned | None:
        """An epoch that is not compared; None if it raises."""
        try:
            learned, _ = trained.session.call(
                "learn",
                messages.Learned,
                trained.weights.sampling.arrays,
                same=True,
                shuffle=self.source.getrandbits(60) if trained.shuffled else None,
                body=(64 << 20) + 8 * trained.weights.size,
                net=trained.net,
                sizes=trained.sizes,
                seeds=trained.sizes,
                watch=True,
            )
        except FileRaised:
            return None
        return learned

    # Another process.

    def _other(self, trained: Trained) -> Session:
        """The process that a network is not in."""
        assert self.second is not None
        return self.second if trained.session is self.examination.session else self.examination.session

    def _save(self, trained: Trained) -> Array:
        with raising("saving the states of a run"):
            _, arrays = trained.session.call(
                "save", messages.Saved, body=(64 << 20) + 32 * trained.weights.size, net=trained.net
            )
        [state] = arrays
        return state

    def _resume(self, trained: Trained, state: Array) -> None:
        """Resume a run in another process; a long one with the real forward pass, for a few epochs."""
        run, long = trained.run, trained.run.epochs_planned > LONG
        assert self.second is not None
        real = long or self.way is Way.OBSERVED
        resumed = self.networks.begin(self.second, "resumed", run, not real, trained, state)
        remaining = run.epochs_run - trained.epoch
        if real and self.variant.unit is Unit.METRIC:
            remaining = 1  # the metric of the next epoch would depend on the real logits
        for _ in range(min(remaining, _REAL_EPOCHS) if long else remaining):
            self._epoch(resumed)
