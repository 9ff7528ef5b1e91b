"""Runs of a file with a curriculum, whose images are known by their pixels, and what both kinds of curricula share."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen import curves
from lrgen.curves import pacing
from lrgen.records import Practice, Unit, Variant
from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.large import is_large
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference import as_array, describe, first_difference
from lrgen.verify.checks.reference_optimizer import InvalidSettingError, UnknownOptimizerError
from lrgen.verify.checks.updates import Effects, Place, observed
from lrgen.verify.session import Array, FileRaised, Session

CLASSES = 10
AGAIN = "again"  # the network of the other process
_SILENT = "silent"  # another one there, with a stand-in
_LEAVES = 20  # of logits, at most
SAME_LOSS = 1e-4  # of a loss in two processes, relative to one plus itself
_SAMPLES = 512  # weights, at least one of each parameter
_SAME_GRADIENT = 1e-4  # of a gradient in two processes, relative to its norm
_SAME_RESUMED = 1e-3  # of the gradients of an epoch in two processes: each follows from those before
_DIFFERENT = 1e-2  # of a weighted gradient from the plain one, relative to the latter
_BODY = 512 << 20


@dataclass(frozen=True)
class Case:
    """A run of planned epochs on batches of these sizes, from a loader that shuffles or from a list.

    The first ``made`` epochs are made, or all.
    """

    epochs: int
    sizes: list[int]
    prm: dict[str, float]
    as_list: bool
    base_lr: float
    resumed: bool = False
    made: int | None = None

    @property
    def count(self) -> int:
        """The number of examples."""
        return sum(self.sizes)


@dataclass
class FollowedRun:
    """A network in training in a process."""

    case: Case
    net: str
    session: Session
    sampling: Sampling
    effects: Effects
    smoothing: float
    depths: list[int]
    images: Array
    labels: NDArray[np.int64]
    horizon: int = 0
    rates: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class LearnedEpoch:
    """A call of ``learn``: its seeds, its notes, and the examples of each update."""

    number: int
    seeds: list[int]
    shuffle: int | None
    notes: Notes
    seen: list[list[int]]
    states: list[Array]
    before: Array


@dataclass
class Curriculum:
    """The part that both kinds of curricula share; ``second`` is another process of the file."""

    examination: Examination
    variant: Variant
    practice: Practice
    evidence: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.second: Session = self.examination.session
        self.compared = self.without = self.terms = 0
        self.factors: Array | None = None  # of the losses at the leaves of logits, beside the first one
        self.limits: list[float] = []  # norms of clipped gradients

    @cached_property
    def source(self) -> Source:
        """The drawn cases."""
        return self.examination.draw.stream("curriculum")

    @cached_property
    def large(self) -> bool:
        """Whether the network gets few updates."""
        return is_large(self.examination)

    def run(self) -> None:
        """Make all runs."""
        raise NotImplementedError

    def refused(self) -> list[tuple[str, float]]:
        """Hyperparameters with values that ``train_setup`` must refuse."""
        raise NotImplementedError

    def refusals(self) -> None:
        """Require ``train_setup`` to refuse values that are out of their range."""
        session = self.examination.session
        build(session, "refused", prm_of(lr=BASE_LR))
        for name, value in self.refused():
            try:
                session.call("set_up", messages.SetUp, net="refused", prm=prm_of(lr=BASE_LR, **{name: value}))
            except FileRaised as error:
                if error.raised.type != "ValueError" or name not in error.raised.message:
                    raise CheckFailure(
                        f"train_setup with {name} {value:g} raises {error}, expected a ValueError that names it"
                    ) from error
            else:
                raise CheckFailure(f"train_setup accepts {name} {value:g}, expected a ValueError that names it")

    # A run.

    def begin(
        self, session: Session, net: str, case: Case, state: Array | None = None, horizon: int = 0
    ) -> FollowedRun:
        """Set up a run; it continues with a state if there is one."""
        prm = prm_of(lr=case.base_lr, epoch_max=case.epochs, batch=case.sizes[0], **case.prm)
        parameters = build(session, net, prm, batch=case.sizes[0])
        if state is None:
            with raising("train_setup"):
                set_up, _ = session.call("set_up", messages.SetUp, net=net)
        else:
            with raising("resuming a run"):
                set_up, _ = session.call("restore", messages.SetUp, [state], net=net, total_steps=horizon)
        drawn = self.source.stream("positions", net)
        sampling = Sampling(positions(drawn, [parameter.shape for parameter in parameters], _SAMPLES))
        try:
            effects = Effects(set_up, sampling, [parameter.name for parameter in parameters])
        except (UnknownOptimizerError, InvalidSettingError) as error:
            raise CheckFailure(f"the updates cannot be checked: {error}") from error
        images, labels = random_batches(case.sizes, self.source.getrandbits(60), classes=CLASSES, smooth=True)
        depths = [group.depth for group in set_up.groups]
        smoothing = set_up.criterion.label_smoothing
        return FollowedRun(case, net, session, sampling, effects, smoothing, depths, images, labels.astype(np.int64))

    def learn(self, run: FollowedRun, number: int, updates: int, whole: list[int]) -> LearnedEpoch:
        """Call ``learn`` once, after the states have been saved."""
        with raising("saving the states of a run"):
            _, [before] = run.session.call("save", messages.Saved, body=_BODY, net=run.net)
        seeds = [self.source.getrandbits(60) for _ in range(updates + 1)]
        shuffle = None if run.case.as_list else self.source.getrandbits(60)
        arrays = [run.images, run.labels, *run.sampling.arrays]
        learned, arrays = self._learn(run, seeds, shuffle, whole, arrays)
        notes = Notes.of(learned, arrays, run.sampling, gradients=True)
        return LearnedEpoch(number, seeds, shuffle, notes, learned.seen, arrays[3:], before)

    def _learn(
        self,
        run: FollowedRun,
        seeds: list[int],
        shuffle: int | None,
        whole: list[int],
        arrays: list[Array],
        **arguments: Any,
    ) -> tuple[messages.LearnedExamples, list[Array]]:
        with raising("learn"):
            return run.session.call(
                "learn_examples",
                messages.LearnedExamples,
                arrays,
                body=_BODY,
                net=run.net,
                sizes=run.case.sizes,
                seeds=seeds,
                shuffle=shuffle,
                as_list=run.case.as_list,
                whole=whole,
                **arguments,
            )

    def place(self, run: FollowedRun, epoch: LearnedEpoch) -> str:
        """``in epoch 2 of 5``."""
        return f"in epoch {epoch.number + 1} of {run.case.epochs}"

    def require_examples(self, run: FollowedRun, epoch: LearnedEpoch, size: int, updates: int) -> None:
        """Require an epoch to train on so many examples, each once, in so many updates of a batch at most."""
        place, count, batch = self.place(run, epoch), run.case.count, max(run.case.sizes)
        seen = [position for of_update in epoch.seen for position in of_update]
        if any(position >= count for position in seen):
            raise CheckFailure(f"learn trains on images that are not those of its loader {place}")
        if len(seen) != size:
            raise CheckFailure(
                f"learn trains on {len(seen)} examples {place}, expected {size} of {count} ({self.practice.name})"
            )
        if len(set(seen)) != len(seen):
            raise CheckFailure(f"learn trains on an example twice {place}, and on another one not at all")
        if epoch.notes.updates != updates or len(epoch.seen) != updates:
            raise CheckFailure(
                f"learn makes {epoch.notes.updates} updates {place}, expected {updates}: {size} examples in batches of "
                f"{batch}"
            )
        if max(map(len, epoch.seen)) > batch:
            raise CheckFailure(
                f"learn trains on a batch of {max(map(len, epoch.seen))} {place}, expected at most {batch}"
            )

    def compare_updates(self, run: FollowedRun, epoch: LearnedEpoch, updates: list[int]) -> None:
        """Compare the learning rates and the weights of an epoch; ``updates`` are those of each planned epoch."""
        variant, case = self.variant, run.case
        run.rates += [step.rates for step in epoch.notes.steps]
        actual = as_array([list(group) for group in zip(*run.rates, strict=False)], len(run.rates))
        if actual is None or len(actual) != len(run.depths):
            raise CheckFailure("learn changes the number of parameter groups")
        of_epochs = np.repeat(np.arange(case.epochs), updates)[: len(run.rates)]
        steps, horizon = (of_epochs, case.epochs)
        if variant.unit is Unit.BATCH:
            steps, horizon = np.arange(len(run.rates)), sum(updates)
        expected = curves.rates(variant, steps, horizon, case.base_lr, depths=run.depths)
        at = first_difference(actual, expected, variant.tolerance * case.base_lr)
        if at is not None:
            place = f"at update {at + 1} of {sum(updates)}, in learn with the examples in use,"
            raise CheckFailure(describe(actual, expected, at, place, variant.label))
        place_of = Place(epoch.number, updates[epoch.number])
        rates = expected[:, len(expected[0]) - epoch.notes.updates :]
        run.effects.follow(epoch.notes, observed(epoch.notes), rates, place_of, variant.label)

    def compare_gradient(
        self, run: FollowedRun, epoch: LearnedEpoch, update: int, state: Array, threshold: float | None
    ) -> bool:
        """Compare the gradient of an update with that of its (weighted) examples; whether it shows the weights.

        Args:
            state: of the network before the update.
            threshold: of self-paced learning (None: all examples count as one).
        """
        seen = epoch.seen[update]
        images, labels, seed = run.images[seen], run.labels[seen], epoch.seeds[(update + 1) % len(epoch.seeds)]
        plain: list[Array] = []
        wanted: list[Array] = []
        norm = 0.0
        for leaf in range(_LEAVES):
            weights = np.ones(len(seen), dtype=np.float32)
            computed = self._gradient(run, state, images, labels, weights, seed, leaf)
            if computed is None:
                break
            plain.append(computed[0])
            if threshold is not None:
                losses = computed[2]
                if np.min(np.abs(losses - threshold)) < SAME_LOSS * (1 + threshold):
                    return False  # rounding errors decide whether the example counts
                kind = pacing.hard_weights if self.practice.constants["weights"] == "hard" else pacing.soft_weights
                weights = kind(losses, threshold).astype(np.float32)
                computed = self._gradient(run, state, images, labels, weights, seed, leaf)
                assert computed is not None
            wanted.append(computed[0])
            norm = norm or computed[1]
        if not wanted:
            self.without += 1
            return False
        self._require_gradient(run, epoch, update, wanted, norm, state)
        self.compared += 1
        return bool(np.linalg.norm(wanted[0] - plain[0]) > _DIFFERENT * np.linalg.norm(plain[0]))

    def _gradient(
        self, run: FollowedRun, state: Array, images: Array, labels: Array, weights: Array, seed: int, leaf: int
    ) -> tuple[Array, float, NDArray[np.float64]] | None:
        """The sampled gradient of the loss at a leaf of logits, its norm and the losses of the examples there.

        They are those of the other process; None if there is no such leaf.
        """
        with raising("loading the weights of a run"):
            self.second.call("load_weights", messages.Nothing, [state], net=AGAIN)
        arrays = [images, labels, weights, *run.sampling.arrays]
        with raising("forward"):
            answer, sent = self.second.call(
                "weighted_gradient",
                messages.WeightedGradient,
                arrays,
                net=AGAIN,
                seed=seed,
                smoothing=run.smoothing,
                leaf=leaf,
            )
        if not sent:
            return None
        if sent[0].shape != (run.sampling.count,) or sent[1].shape != (len(labels),):
            raise CheckFailure("the gradients of a batch are not those of the sampled weights")
        return sent[0].astype(np.float64), answer.norm, sent[1].astype(np.float64)

    def _require_gradient(
        self, run: FollowedRun, epoch: LearnedEpoch, update: int, parts: list[Array], norm: float, state: Array
    ) -> None:
        """Require the gradient of an update, or this one clipped to one limit by its norm.

        With several leaves of logits it is a sum, with one factor for each in all updates. The loss may have a term of
        the weights alone.
        """
        noted = epoch.notes.gradients[update].astype(np.float64)
        length = epoch.notes.steps[update].norm or 0.0
        wanted = parts[0]
        if len(parts) > 1:
            own = self._factor_of_first(noted, parts)
            wanted = np.stack(parts, axis=1) @ (self.factors if self.factors is not None else np.ones(len(parts)))
            norm = length / own if 0 < own < 1 - _SAME_GRADIENT else length
        scale = float(np.linalg.norm(wanted))
        if np.linalg.norm(noted - wanted) <= _SAME_GRADIENT * scale + 1e-12:
            return
        factor = length / norm if norm else 0.0
        if 0 < factor < 1 and np.linalg.norm(noted - factor * wanted) <= _SAME_GRADIENT * factor * scale:
            self.limits.append(length)
            if max(self.limits) - min(self.limits) <= _SAME_GRADIENT * max(self.limits):
                return
        if len(parts) == 1:
            try:
                with_term = wanted + self._term(run, epoch, update, state)
            except CheckFailure:  # a file that raises there says less of its fault
                with_term = wanted
            if np.linalg.norm(noted - with_term) <= _SAME_GRADIENT * float(np.linalg.norm(with_term)):
                self.terms += 1
                return
        raise CheckFailure(
            f"the gradient of update {update + 1} {self.place(run, epoch)} is not that of its examples "
            f"({self.practice.name}): its norm is {length:.6g}, expected {norm:.6g}"
        )

    def _factor_of_first(self, noted: Array, parts: list[Array]) -> float:
        """The factor of the first leaf in a sum; those of the others beside it are kept from the first update on."""
        factors, *_ = np.linalg.lstsq(np.stack(parts, axis=1), noted, rcond=None)
        if self.factors is None and factors[0] > 0:
            self.factors = factors / factors[0]
        return float(factors[0])

    def _term(self, run: FollowedRun, epoch: LearnedEpoch, update: int, state: Array) -> Array:
        """The sampled gradient of a term of the loss that depends on the weights alone; zeros if there is none.

        It is what ``learn`` differentiates at the same weights for other images, while the output has a gradient of
        zero, in the other process.
        """
        silent = self.begin(self.second, _SILENT, run.case, epoch.before, run.horizon)
        with raising("forward"):
            self.second.call("stand_in", messages.StoodIn, [silent.images[:2]], net=_SILENT)
        arrays = [silent.images, silent.labels, *run.sampling.arrays, state]
        learned, sent = self._learn(silent, epoch.seeds, epoch.shuffle, [], arrays, given=[update], silent=True)
        self.second.call("forget", messages.Nothing, net=_SILENT)
        notes = Notes.of(learned, sent, run.sampling, gradients=True)
        if notes.updates <= update:
            return np.zeros(run.sampling.count)
        term: Array = notes.gradients[update].astype(np.float64)
        return term

    def resume(self, run: FollowedRun, epoch: LearnedEpoch) -> None:
        """Repeat an epoch in the other process, from the states before it.

        Raises:
            CheckFailure: if it trains on other examples, or by other gradients: they may have other weights.
        """
        resumed = self.begin(self.second, "resumed", run.case, epoch.before, run.horizon)
        shown = [run.images, run.labels, *run.sampling.arrays]
        learned, arrays = self._learn(resumed, epoch.seeds, epoch.shuffle, [], shown)
        if learned.seen != epoch.seen:
            raise CheckFailure(f"a resumed run trains on other examples {self.place(run, epoch)}")
        gradients = epoch.notes.gradients, Notes.of(learned, arrays, run.sampling, gradients=True).gradients
        for update, (before, again) in enumerate(zip(*gradients, strict=False)):
            if not np.linalg.norm(again - before) <= _SAME_RESUMED * np.linalg.norm(before) + 1e-12:
                raise CheckFailure(
                    f"the gradient of update {update + 1} {self.place(run, epoch)} is another one in a resumed run"
                )
