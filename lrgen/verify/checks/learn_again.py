"""An epoch of ``learn`` in another process, from the same weights; that process does not know that it is the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks import accumulation
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.examination import build, prm_of, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.slopes import STEPS, Slopes
from lrgen.verify.checks.standin_gradients import StandInGradients
from lrgen.verify.checks.updates import RESOLUTION
from lrgen.verify.session import Array, Session

_SAME_GRADIENT = 1e-3
_SCALE = 1024.0  # of the loss in 16 bits, at which gradients do not vanish


@dataclass(frozen=True)
class Epoch:
    """The batches of a call of ``learn``: their sizes, seeds, images and labels."""

    run: Run
    sizes: list[int]
    seeds: list[int]
    images: Array
    labels: Array
    pixels: int
    every: int = 1  # batches of an update

    @property
    def updates(self) -> list[range]:
        """The batches of each update."""
        return accumulation.groups_of(len(self.sizes), self.every)

    @property
    def batches(self) -> list[tuple[int, Array, Array]]:
        """The seed, the images and the labels of each batch."""
        parts = np.cumsum(self.sizes)[:-1]
        return list(zip(self.seeds, np.split(self.images, parts), np.split(self.labels, parts), strict=True))


def compare_gradients(
    session: Session,
    sampling: Sampling,
    epoch: Epoch,
    update: int,
    state: Array,
    observed: Array,
    standing: StandInGradients | None = None,
    slopes: Slopes | None = None,
    autocast: str | bool = False,
) -> None:
    """Compute the gradients of one update again, and compare them with those that were observed.

    Args:
        state: the state of the network before the first batch of that update.
        observed: the sampled gradients of the update.
        standing: of a file that trains with its criterion alone, as its runs with the stand-in have shown: the
            gradients are then those of the criterion as well, which ``learn`` has no part in.
        slopes: get the slope of that criterion.
        autocast: the dtype that ``learn`` computes in, or none.

    Raises:
        CheckFailure: if they differ.
    """
    if standing is not None:
        again = _Again(session, sampling, epoch, update, state, observed, standing, slopes or Slopes(), autocast)
        if again.are_those_of_criterion():
            return
    notes = _learn(session, "again", sampling, epoch, {epoch.updates[update][0]: state})
    computed = notes.gradients[update].astype(np.float64)
    norm = float(np.linalg.norm(computed))
    difference = float(np.linalg.norm(computed - observed.astype(np.float64)))
    if not difference <= _SAME_GRADIENT * norm + 1e-12:
        raise CheckFailure(
            "the gradients of an update are not those of its batch: another process computes others from the same "
            f"weights (relative difference {difference / max(norm, 1e-30):.2g})"
        )
    if standing is not None:
        again.compare_with_criterion()


@dataclass(frozen=True)
class _Again:
    """An update whose gradients the criterion gives in another process, beside ``learn``."""

    session: Session
    sampling: Sampling
    epoch: Epoch
    update: int
    state: Array
    observed: Array
    standing: StandInGradients
    slopes: Slopes
    autocast: str | bool = False

    def are_those_of_criterion(self) -> bool:
        """Whether the observed gradients are those of the criterion, with all layers in training mode."""
        epoch = self.epoch
        build(self.session, "again", prm_of_run(epoch.run), batch=epoch.run.batch_size, size=epoch.pixels)
        with raising("train_setup"):
            self.session.call("set_up", messages.SetUp, net="again")
        computed = self._of_criterion(train=True)
        if computed.shape != self.observed.shape:
            return False
        difference = float(np.linalg.norm(computed - self.observed))
        return difference <= _SAME_GRADIENT * float(np.linalg.norm(computed)) + 1e-12

    def compare_with_criterion(self) -> None:
        """Require the observed gradients to be those of the criterion, but for what a lower precision changes.

        The network is the one that has just learned in the other process: its layers are in the modes of ``learn``.
        """
        computed = self._of_criterion(train=None)
        if computed.shape != self.observed.shape:
            raise CheckFailure("the gradients of a batch are not those of the sampled weights")
        square = float(np.dot(computed, computed))
        observed = self.observed.astype(np.float64)
        factor = float(np.dot(observed, computed)) / square if square > 0 else 1.0
        # Noise changes the direction of a gradient at least as much as its length; a factor changes its length alone.
        noise = float(np.linalg.norm(observed - factor * computed)) / square**0.5 if square > 0 else 0.0
        if not abs(factor - 1.0) <= min(RESOLUTION, max(noise, _SAME_GRADIENT)):
            raise CheckFailure(
                f"the gradients of an update are {factor:.3g} times those of the criterion for its batch, as another "
                "process computes them from the same weights"
            )

    def _of_criterion(self, train: bool | None) -> Array:
        """The sampled gradients of the criterion, after the file's clipping; without ``train`` in its modes."""
        standing = self.standing
        batches = [self.epoch.batches[at] for at in self.epoch.updates[self.update]]
        images, labels = (np.concatenate([batch[of] for batch in batches]) for of in (1, 2))
        with raising("loading the weights of a run"):
            self.session.call("load_weights", messages.Nothing, [self.state], net="again")
        with raising("forward"):
            answer, arrays = self.session.call(
                "gradient",
                messages.Gradient,
                [images, labels, *self.sampling.arrays],
                net="again",
                seeds=[seed for seed, _, _ in batches],
                sizes=[len(part) for _, part, _ in batches],
                train=train,
                autocast=self.autocast,
                scale=_SCALE if self.autocast else 1.0,
                factors=standing.factors_beside_logits,
                smoothing=standing.criterion.label_smoothing if standing.criterion.cross_entropy else None,
                steps=STEPS,
            )
        if not arrays or arrays[0].shape != (self.sampling.count,):
            return np.zeros(0)
        self.slopes.add(answer.norm, answer.lengths, arrays[2:], labels, standing)
        return standing.clipped(arrays[0].astype(np.float64), answer.norm)


def terms_of_weights(
    session: Session, sampling: Sampling, epoch: Epoch, states: Sequence[Array], standing: StandInGradients
) -> list[tuple[Array, float]]:
    """The terms of the loss besides the criterion, which depend on the weights alone: gradients and values.

    There is one of each for an update, whose value is that of its last batch. The stand-in of the other process sends
    gradients of zero.

    Raises:
        CheckFailure: if there are none.
    """
    if len(states) != len(epoch.sizes):
        raise CheckFailure("learn does not ask for each batch")
    notes = _learn(session, "terms", sampling, epoch, dict(enumerate(states)), silent=True)
    if not np.any(notes.gradients) or not np.isfinite(notes.gradients).all():
        raise CheckFailure("the gradients of an update are not those of its loss")
    entropies = [standing.losses(*batch)[0] for batch in epoch.batches]
    if len(notes.learned.losses) != len(entropies):
        raise CheckFailure("learn does not differentiate one loss per batch")
    terms = np.array(notes.learned.losses) - np.array(entropies)
    return [(gradient, float(terms[at[-1]])) for gradient, at in zip(notes.gradients, epoch.updates, strict=True)]


def _learn(
    session: Session, net: str, sampling: Sampling, epoch: Epoch, states: Mapping[int, Array], silent: bool = False
) -> Notes:
    """The notes of an epoch of ``learn`` on a new network, which gets the states before their batches."""
    run = epoch.run
    # Another base learning rate: the gradients do not depend on it.
    lr = BASE_LR if run.base_lr != BASE_LR else 2 * BASE_LR
    build(session, net, {**prm_of_run(run), "lr": lr}, batch=run.batch_size, size=epoch.pixels)
    if silent:
        with raising("forward"):
            session.call("stand_in", messages.StoodIn, [epoch.images[:2]], net=net)
    with raising("train_setup"):
        session.call("set_up", messages.SetUp, net=net)
    with raising("learn"):
        learned, arrays = session.call(
            "learn",
            messages.Learned,
            [epoch.images, epoch.labels, *sampling.arrays, *states.values()],
            net=net,
            sizes=epoch.sizes,
            seeds=epoch.seeds,
            watch=True,
            gradients=True,
            silent=silent,
            given=list(states),
        )
    notes = Notes.of(learned, arrays, sampling, gradients=True)
    accumulation.require_updates(notes, len(epoch.sizes), epoch.every)
    return notes


def prm_of_run(run: Run) -> dict[str, float]:
    """The hyperparameters of a run as ``Net`` and ``train_setup`` get them."""
    return prm_of(lr=run.base_lr, epoch_max=run.epochs_planned, batch=run.batch_size, **run.prm)
