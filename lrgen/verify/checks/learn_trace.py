"""Runs of ``learn`` as a caller makes them: the learning rates that a file states, and how its weights move.

Each run calls ``train_setup`` and then ``learn``, once per epoch, on a DataLoader. Most updates have a stand-in for the
forward pass, whose gradients the examiner knows (``standin_gradients``). A few have the real forward pass, so that a
file cannot tell a check from training; another process computes the gradients of some of those again. Runs are resumed
in a fresh process. Every update is compared with the reference optimizer at the learning rate of the curve.

The runs are those of ``learn_runs``. They are repeated in another way to know the gradients where one does not explain
how the weights move.
"""

from collections.abc import Sequence

from lrgen.records import Unit
from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_runs import Learner
from lrgen.verify.checks.learn_ways import OtherGradientsError, Way
from lrgen.verify.checks.standin_gradients import ClippingError, OtherLossError, ScaledLossError


def run(examination: Examination, runs: Sequence[Run] = ()) -> None:
    """Run ``learn`` as the variant of the file promises.

    Args:
        runs: of a practice, whose gradients the stand-in sends in other sizes; by default there are drawn ones.

    Raises:
        CheckFailure: at the first learning rate or weight that differs, or if ``learn`` raises.
    """
    variant = examination.candidate.variant
    assert variant is not None
    # Text only decides which way is tried first.
    way = Way.CLIPPED if "clip_grad" in examination.candidate.source else Way.PATTERN
    if variant.mixes_labels:
        way = Way.OBSERVED  # the weights of the labels are drawn in the file
    if variant.batches_per_update > 1:
        way = Way.SCALED  # the losses of batches are, so that their gradients add up to a mean
    if Clipping.of(variant) is not None:
        way = Way.CLIPPED
    first: CheckFailure | None = None  # what is wrong, unless another way explains it
    while True:
        learner = Learner(examination, variant, way, runs)
        try:
            learner.run()
        except OtherGradientsError as error:
            first, way = error.failure, Way.CLIPPED if way is Way.PATTERN else Way.TERMS
        except ScaledLossError as error:
            first, way = error, Way.SCALED
        except ClippingError as error:
            scaling = variant.batches_per_update > 1 or variant.scales_loss
            if way is Way.TERMS or (way is Way.SCALED and not scaling):
                raise first or CheckFailure(f"{error}") from error
            if way is Way.SCALED or Clipping.of(variant) is not None:
                first = CheckFailure(f"{error}")
            way = Way.TERMS
        except CheckFailure as failure:
            if way is Way.TERMS and first is not None:
                raise first from failure
            raise
        except OtherLossError as error:
            if variant.unit is Unit.METRIC:
                raise CheckFailure(f"{error}: the metric of {variant.label} cannot be computed") from error
            if variant.batches_per_update > 1:
                raise CheckFailure(f"{error}: the gradients of its batches cannot be added up") from error
            way = Way.OBSERVED
        else:
            examination.evidence += [] if runs else learner.evidence
            return
