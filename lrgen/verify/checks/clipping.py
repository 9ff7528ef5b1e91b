"""Clipping: at each update the norm of the gradients of all parameters is at most a limit, or each of their values is.

Gradients above the limit of the norm are scaled down together; values above theirs are clamped. All others stay as they
are.
"""

from dataclasses import dataclass

import numpy as np

from lrgen.records import PracticeKind, Variant
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes
from lrgen.verify.session import Array

_ROUNDING = 1e-3  # of a norm or of a value in single precision, as a fraction
_GAIN = 20.0  # the stand-in's gradients are about so many times below and above the limit
_TYPICAL = 0.25  # of the gradients that the stand-in sends, as a multiple of its pattern
_SAME = 1e-2


@dataclass(frozen=True)
class Clipping:
    """The clipping that a variant claims: to the ``norm`` of all gradients, or else to a ``value``."""

    norm: float | None = None
    value: float | None = None

    @classmethod
    def of(cls, variant: Variant | None) -> "Clipping | None":
        """The clipping of a variant; None if it has none."""
        if variant is None or variant.practice is None or variant.practice.kind is not PracticeKind.CLIPPING:
            return None
        constants = variant.practice.constants
        return cls(constants.get("max_norm"), constants.get("clip_value"))

    def gain(self, draw: Source, norm: float) -> float:
        """A factor that takes gradients of a pattern with this norm below the limit or above it."""
        ratio: float = _GAIN ** (2 * draw.random() - 1)
        limit = self.norm / norm if self.norm is not None else self.value or 0.0
        return ratio * limit / _TYPICAL

    def clipped(self, gradients: Array, norm: float) -> Array:
        """Gradients after clipping; ``norm`` is that of all gradients before."""
        if self.norm is not None:
            return gradients * min(1.0, self.norm / norm) if norm > 0 else gradients
        assert self.value is not None
        clamped: Array = np.clip(gradients, -self.value, self.value)
        return clamped

    def require(self, notes: Notes, what: str = "learn") -> None:
        """Require the gradients at each step of the optimizer to be within the limit.

        Raises:
            CheckFailure: at the first step with larger ones.
        """
        for update, step in enumerate(notes.steps):
            largest = float(np.abs(notes.gradients[update]).max(initial=0.0)) if len(notes.gradients) else 0.0
            if self.norm is not None and step.norm is not None and not step.norm <= self.norm * (1 + _ROUNDING):
                name, observed, limit = "norm of the gradients", step.norm, self.norm
            elif self.value is not None and not largest <= self.value * (1 + _ROUNDING):
                name, observed, limit = "largest gradient", largest, self.value
            else:
                continue
            raise CheckFailure(
                f"the {name} at update {update + 1} of an epoch of {what} is {observed:.6g}, expected at most "
                f"{limit:g}: it is not clipped before the step"
            )

    def why(self, gradients: Array, norm: float, observed: Array) -> str:
        """The reason why observed gradients are not these after clipping; ``norm`` is that of all of these."""
        text = "the gradients of an update are not clipped as claimed"
        limit = f"the norm {self.norm:g}" if self.norm is not None else f"the value {self.value:g}"
        square = float(np.dot(gradients, gradients))
        factor = float(np.dot(observed, gradients)) / square if square else 0.0
        scaled = float(np.linalg.norm(observed - factor * gradients)) <= _SAME * float(np.linalg.norm(observed))
        expected = self.clipped(gradients, norm)
        if scaled and abs(factor - 1) <= _SAME:
            return f"{text}: they are not clipped to {limit}"
        if self.norm is not None and norm <= self.norm:
            return f"{text}: they change although their norm {norm:.3g} is below {self.norm:g}"
        if scaled:
            return f"{text}: their norm of {norm:.3g} is scaled to {factor * norm:.3g}, expected {limit}"
        same = np.abs(observed - expected) <= _SAME * np.abs(expected).max()
        if 0 < np.count_nonzero(same) < len(same):
            return f"{text}: those of some parameters are not clipped to {limit} of all"
        return f"{text}: expected {limit}"
