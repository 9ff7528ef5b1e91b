"""The gradients of an update in mixed precision, computed again in another process of the file.

The losses of an output with several tensors (auxiliary classifiers) have factors, and the loss may have a term that
depends on the weights alone.
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
    """The sampled gradients of a loss, and this loss."""

    gradients: Array
    loss: float


def apart(observed: Array, computed: Computed, terms: Sequence[Array]) -> float:
    """The distance of observed gradients from computed ones, which may have been clipped, with terms of any factor."""
    columns = np.stack([computed.gradients, *terms], axis=1)
    factors, *_ = np.linalg.lstsq(columns, observed, rcond=None)
    left = float(np.linalg.norm(observed - columns @ factors))
    return left / float(factors[0]) if factors[0] > 0 else float("inf")


@dataclass(frozen=True)
class Again:
    """An update of a run in the process ``session``, from the state of the network before its batch.

    ``scale`` is the factor of the loss while it is differentiated, ``factors`` are those of the losses at each tensor
    of an output that has several.
    """

    session: Session
    run: Run
    sampling: Sampling
    state: Array
    seed: int
    images: Array
    labels: Array
    scale: float
    factors: list[float] | None = None

    @property
    def is_single(self) -> bool:
        """Whether the output is a single tensor, whose loss is that of the criterion."""
        return self._gradient(False, None)[0].single

    def computed(self, autocast: str | bool) -> Computed:
        """The gradients of the criterion with autocast to a dtype, or in float32.

        Raises:
            CheckFailure: if the network has none.
        """
        answer, gradients = self._gradient(autocast, self.factors)
        return Computed(gradients, answer.loss)

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
