"""The checks of a file in their order: syntax, policy, contract, schedule and training.

Each check is a module with a ``STAGE`` and ``run(examination)``, which raises CheckFailure with the reason. It sends
the file's process commands (lrgen.verify.session) and compares the answers here, outside that process.
"""

from typing import TYPE_CHECKING, Protocol, cast

from lrgen.records import Stage
from lrgen.verify.checks import contract, policy, schedule, syntax, training

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


def up_to(stage: Stage) -> tuple[Check, ...]:
    """The checks up to and including a stage."""
    return CHECKS[: list(Stage).index(stage) + 1]
