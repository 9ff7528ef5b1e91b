"""The checks of a file in their order: syntax, policy, contract, schedule and training.

Each check is a module with a ``STAGE`` and two functions::

    measure(subject) -> measurement     runs the file in a child process; raises CheckFailure
    judge(candidate, settings, measurement) -> reason    a pure comparison; an empty reason means passed

``judge`` runs in the child, which stops early, and again in the parent on the measurement that the child sent. A child
therefore cannot claim to have passed a comparison that the parent repeats.
"""

from types import ModuleType

from lrgen.records import Stage
from lrgen.verify.checks import contract, policy, schedule, syntax, training

CHECKS: tuple[ModuleType, ...] = (syntax, policy, contract, schedule, training)


def up_to(stage: Stage) -> tuple[ModuleType, ...]:
    """The checks up to and including a stage."""
    return CHECKS[: list(Stage).index(stage) + 1]
