"""The four questions that a file must answer, in their order.

Each check is a module with a ``STAGE`` and two functions::

    measure(subject) -> measurement     runs the file, in a child process; raises CheckFailure
    judge(candidate, settings, measurement) -> reason    compares; pure; an empty reason means passed

``judge`` runs in the child, to stop early, and again in the parent on the measurement that came over the pipe: a
child cannot claim to have passed a comparison that the parent can make itself.
"""

from types import ModuleType

from lrgen.records import Stage
from lrgen.verify.checks import contract, schedule, syntax, training

CHECKS: tuple[ModuleType, ...] = (syntax, contract, schedule, training)


def up_to(stage: Stage) -> tuple[ModuleType, ...]:
    """The checks up to and including a stage."""
    return CHECKS[: list(Stage).index(stage) + 1]
