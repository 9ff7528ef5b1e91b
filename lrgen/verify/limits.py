"""What a file may use of the machine while it is verified."""

from dataclasses import dataclass

from lrgen.records import Budget, Stage


@dataclass(frozen=True)
class Limits:
    """Per file: seconds of each check, bytes of output and of messages, resident bytes (0: any number)."""

    seconds: float = 900.0
    check_seconds: float = 120.0
    output: int = 1 << 20
    messages: int = 64 << 20
    memory: int = 0

    def of(self, stage: Stage, budget: Budget | None) -> float:
        """The seconds that a check may take; the budget of a training is its own limit."""
        if stage is not Stage.TRAINING:
            return min(self.seconds, self.check_seconds)
        return min(self.seconds, budget.seconds) if budget else self.seconds
