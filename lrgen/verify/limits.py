"""Limits on the time, the memory and the output of a file that is verified."""

from dataclasses import dataclass

from lrgen.records import Budget, Stage

MAX_BYTES = 1_000_000  # the size of a file


@dataclass(frozen=True)
class Limits:
    """Limits of one file.

    ``seconds`` bounds the training check, ``check_seconds`` each of the others. ``output`` is bytes, ``memory`` is
    resident bytes (0: no limit).
    """

    seconds: float = 900.0
    check_seconds: float = 120.0
    output: int = 1 << 20
    memory: int = 0

    def of(self, stage: Stage, budget: Budget | None) -> float:
        """The maximum duration of a check in seconds; the training of a budget has the budget's limit."""
        if stage is not Stage.TRAINING:
            return min(self.seconds, self.check_seconds)
        return min(self.seconds, budget.seconds) if budget else self.seconds
