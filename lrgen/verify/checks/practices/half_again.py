"""The gradients of an update in mixed precision, computed again in another process of the file.

An output may have several tensors (auxiliary classifiers), whose losses have factors that are not known, and the loss a
term that depends on the weights alone. The gradients of an update are then a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.examination import build, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.session import Array, Session

_NET, _SILENT = "again", "silent"


@dataclass(frozen=True)
class Computed:
    """The sampled gradients of the loss at each tensor of an output, and these losses."""

    gradients: Sequence[Array]
    losses: Sequence[float]


@dataclass(frozen=True)
class Sum:
    """Observed gradients as a sum of others; ``distance`` is what is left, relative to the factor of the first."""

    factors: Array
    distance: float

    @classmethod
    def of(cls, observed: Array, gradients: Sequence[Array]) -> "Sum":
        """The nearest sum; the first factor may be that of a clipping."""
        factors, *_ = np.linalg.lstsq(np.stack(gradients, axis=1), observed, rcond=None)
        left = float(np.linalg.norm(observed - np.stack(gradients, axis=1) @ factors))
        return cls(factors, left / float(factors[0]) if factors[0] > 0 else float("inf"))

    def between(self, first: Computed, second: Computed) -> float:
        """The distance of the sums of two precisions with these factors, relative to the first one."""
        pairs = zip(first.gradients, second.gradients, strict=True)
        differences = np.stack([one - other for one, other in pairs], axis=1)
        if not self.factors[0] > 0:
            return float(np.linalg.norm(differences[:, 0]))
        return float(np.linalg.norm(differences @ self.factors[: differences.shape[1]] / self.factors[0]))


@dataclass(frozen=True)
class Again:
    """An update of a run in the process ``session``, from the state of the network before its batch.

    ``scale`` is the factor of the loss while it is differentiated.
    """

    session: Session
    run: Run
    sampling: Sampling
    state: Array
    seed: int
    images: Array
    labels: Array
    scale: float

    def computed(self, autocast: str | bool) -> Computed:
        """The gradients of the criterion with autocast to a dtype, or in float32.

        Raises:
            CheckFailure: if the network has none.
        """
        answer, gradient = self._gradient(autocast, None)
        if answer.single:
            return Computed([gradient], [answer.loss])
        tensors = self._tensors()
        parts = [self._gradient(autocast, [float(at == own) for at in range(tensors)]) for own in range(tensors)]
        return Computed([gradient for _, gradient in parts], [answer.loss for answer, _ in parts])

    def term(self, source: Source) -> Array:
        """The gradient of a term of the loss that depends on the weights alone; zeros if there is none.

        It is what ``learn`` differentiates for other images, while the output has a gradient of zero.
        """
        images, labels = random_batches([self.run.batch_size], source.getrandbits(60), smooth=True)
        build(self.session, _SILENT, prm_of_run(self.run), batch=self.run.batch_size)
        with raising("forward"):
            self.session.call("stand_in", messages.StoodIn, [images], net=_SILENT)
        with raising("train_setup"):
            self.session.call("set_up", messages.SetUp, net=_SILENT)
        with raising("learn"):
            learned, arrays = self.session.call(
                "learn",
                messages.Learned,
                [images, labels, *self.sampling.arrays, self.state],
                net=_SILENT,
                sizes=[self.run.batch_size],
                seeds=[self.seed],
                watch=True,
                gradients=True,
                silent=True,
                given=[0],
            )
        self.session.call("forget", messages.Nothing, net=_SILENT)
        notes = Notes.of(learned, arrays, self.sampling, gradients=True)
        return notes.gradients[0].astype(np.float64) if notes.updates else np.zeros(self.sampling.count)

    def _gradient(self, autocast: str | bool, factors: list[float] | None) -> tuple[messages.Gradient, Array]:
        build(self.session, _NET, prm_of_run(self.run), batch=self.run.batch_size)
        with raising("train_setup"):
            self.session.call("set_up", messages.SetUp, net=_NET)
        with raising("loading the weights of a run"):
            self.session.call("load_weights", messages.Nothing, [self.state], net=_NET)
        with raising("forward"):
            answer, sent = self.session.call(
                "gradient",
                messages.Gradient,
                [self.images, self.labels, *self.sampling.arrays],
                net=_NET,
                seeds=[self.seed],
                autocast=autocast,
                scale=self.scale,
                factors=factors,
            )
        if not answer.single and factors is None:
            return answer, np.zeros(0)
        if not sent or sent[0].shape != (self.sampling.count,):
            raise CheckFailure("the gradients of a batch are not those of the sampled weights")
        return answer, sent[0].astype(np.float64)

    def _tensors(self) -> int:
        """The number of tensors of the output in training mode."""
        build(self.session, _SILENT, prm_of_run(self.run), batch=self.run.batch_size)
        with raising("forward"):
            stood_in, _ = self.session.call("stand_in", messages.StoodIn, [self.images[:2]], net=_SILENT)
        self.session.call("forget", messages.Nothing, net=_SILENT)
        return len(stood_in.leaves)
