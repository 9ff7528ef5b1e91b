"""The checks of a file in their order: syntax, policy, contract, schedule and training.

Each check is a module with a ``STAGE`` and ``run(examination)``, which raises CheckFailure with the reason. It sends
the file's process commands (lrgen.verify.session) and compares the answers here, outside that process.
"""

from typing import TYPE_CHECKING, Protocol, cast

from lrgen.records import Candidate, Stage
from lrgen.verify.checks import composition, contract, policy, schedule, syntax, training

if TYPE_CHECKING:
    from lrgen.verify.checks.examination import Examination


class Check(Protocol):
    """The module of a check."""

    @property
    def STAGE(self) -> Stage:  # noqa: N802  the name of a constant of the module
        """The stage that the check decides."""

    def run(self, examination: "Examination") -> None:
        """Examine a file; raises CheckFailure if it does not pass."""


CHECKS = cast(tuple[Check, ...], (syntax, policy, contract, schedule, training))


OF_SCHEDULES = cast(tuple[Check, ...], (syntax, policy, composition))
"""The checks of the code of a schedule alone."""


def up_to(stage: Stage, candidate: Candidate) -> tuple[Check, ...]:
    """The checks of a file up to and including a stage."""
    if candidate.claim is None:
        return CHECKS[: list(Stage).index(stage) + 1]
    stages = list(Stage)
    return tuple(check for check in OF_SCHEDULES if stages.index(check.STAGE) <= stages.index(stage))
