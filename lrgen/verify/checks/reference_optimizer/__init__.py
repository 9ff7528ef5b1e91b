"""Reference optimizers: the weights after an update, from the weights and gradients before it and the learning rates.

The examiner sees samples of each parameter. ``step`` returns the weights that the optimizer of the file, with its
settings, computes at the learning rates of the curve, and how far float32 arithmetic may be from them. All optimizers
here are elementwise: a weight depends on its own gradients alone, so that samples are enough.

The references compute in float64, with torch's own classes or, for the Schedule-Free optimizers, from the paper. The
file computes in float32 and in any order of operations: ``foreach``, ``fused``, ``capturable`` and ``differentiable``
change only rounding errors. The tolerance of a weight is the sum of

- four roundings of the weight itself, which is all that matters where a weight is large beside its update;
- 16 + n roundings of the update, n the smaller of the number of updates and the memory of the averages: their
  coefficients are rounded to float32 as well, in the same direction each time;
- the effect of errors of the gradients, which are as many roundings of a gradient and what ``errors`` adds. In an
  optimizer without a second moment it is the update that the errors would cause as gradients. Where a second moment v
  divides the update and v_e is the errors' own, sqrt(v) changes by at most sqrt(v_e), as it is a norm.

Gradients may be rounding errors themselves, as those of a bias before batch norm. Adam then moves the weight by the
learning rate in a random direction; where ``errors`` are above the gradients, the tolerance allows that.
"""

from collections.abc import Sequence

from lrgen.verify.checks.reference_optimizer.base import FLOAT32, Difference, Prediction, ReferenceOptimizer
from lrgen.verify.checks.reference_optimizer.schedule_free import ScheduleFree
from lrgen.verify.checks.reference_optimizer.settings import (
    SCHEDULE_FREE,
    GroupSettings,
    InvalidSettingError,
    Setting,
    UnknownOptimizerError,
    kinds_of,
    known_settings,
)
from lrgen.verify.checks.reference_optimizer.sgd import SGD
from lrgen.verify.checks.reference_optimizer.torch_optimizer import TorchOptimizer

__all__ = [
    "FLOAT32",
    "Difference",
    "GroupSettings",
    "InvalidSettingError",
    "Prediction",
    "ReferenceOptimizer",
    "Setting",
    "UnknownOptimizerError",
    "known_settings",
    "reference",
]


def reference(
    name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], *, roundoff: float = FLOAT32
) -> ReferenceOptimizer:
    """Return the reference of an optimizer by the name of its class.

    ``sizes`` are the numbers of samples of each parameter, ``roundoff`` is the unit roundoff of the file's weights.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
        InvalidSettingError: if a setting is unknown or invalid.
        ValueError: if a parameter is in two groups or does not exist.
    """
    kinds_of(name)
    kind = ScheduleFree if name in SCHEDULE_FREE else SGD if name == "SGD" else TorchOptimizer
    return kind(name, groups, sizes, roundoff)
