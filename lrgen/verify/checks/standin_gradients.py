"""The gradients that the stand-in sends to the parameters, computed from the logits, the labels and the criterion.

The examiner knows the stand-in's logits and pattern (nursery.standin, nursery.pattern). From the labels it computes the
gradient of the cross entropy that must arrive at the logits, and from it the factor s of the pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.updates import Gradients
from lrgen.verify.nursery.pattern import Pattern
from lrgen.verify.nursery.standin import direction, features, projection
from lrgen.verify.session import Array

_SINGLE = 1e-5  # of the gradients that arrive, in single precision, relative to the largest
_ROUNDING = 2.0**-22  # of probabilities
_MAX_CLASSES = 1000  # as many as ImageNet's; a larger output is no logits, and cannot be computed here
_SAME_FACTOR = 1e-3
_SAME_NORM = 1e-3
_EXACT_NORM = 10_000_000  # weights; the squares are added in single precision, whose error grows with their number


class OtherLossError(Exception):
    """The gradients at the logits are not those of a cross entropy; the message says why."""


class ScaledLossError(CheckFailure):
    """The gradients at the logits are those of the cross entropy, but for a factor: another learning rate."""


class ClippingError(Exception):
    """The gradients of the parameters are neither the stand-in's nor those after clipping; the message says so."""


@dataclass
class StandInGradients:
    """The gradients of the runs of one file.

    ``clip_norm`` and ``clip_value`` are the file's own clipping, found where it first shows and the same in all
    updates: those before it had no larger gradients than ``largest_norm`` and ``largest_value``.
    ``factors`` are those of the losses at each leaf of the output: 1 for the logits of torch's criterion, one constant
    factor for the criterion of a file, and for auxiliary outputs. A loss may be ``scaled`` by any factor where the
    gradients of the parameters are those of the loss itself again before the update, as torch's GradScaler does it.
    With a ``clipping`` that is claimed nothing is found out: it must be that one.
    """

    criterion: messages.CriterionReport
    leaves: list[list[int]]
    counts: list[int]
    trained: list[bool]
    sampling: Sampling
    clip_norm: float | None = None
    clip_value: float | None = None
    largest_norm: float = 0.0
    largest_value: float = 0.0
    factors: dict[int, float] = field(default_factory=dict)
    scaled: bool = False
    clipping: Clipping | None = None

    def __post_init__(self) -> None:
        if self.clipping is not None:
            self.clip_norm, self.clip_value = self.clipping.norm, self.clipping.value
        self._at = self.sampling.among(self.counts)
        self._present = np.array(self.trained, dtype=bool)
        self._moving = np.repeat(self._present, self.sampling.sizes)  # samples of trained parameters

    def losses(self, seed: int, images: Array, labels: Array) -> tuple[float, int]:
        """The loss of a batch, with the factors found so far, and the number of images classified correctly."""
        logits = [
            logits_of(seed, leaf, shape, images) if _is_logits(shape) else np.zeros(0)
            for leaf, shape in enumerate(self.leaves)
        ]
        hits = logits[0].argmax(axis=1) == labels if _is_logits(self.leaves[0]) else np.zeros(0)
        return self.loss_of(logits, labels), int(hits.sum())

    def loss_of(self, logits: Sequence[Array], labels: Array) -> float:
        """The loss of a batch with these leaves of the output, with the factors found so far."""
        factors = [self.factors.get(leaf, 1.0 if leaf == 0 else 0.0) for leaf in range(len(self.leaves))]
        return sum(
            factor * _cross_entropy(values.astype(np.float64), labels, self.criterion.label_smoothing)
            for factor, values, shape in zip(factors, logits, self.leaves, strict=True)
            if _is_logits(shape) and factor
        )

    def of(self, seed: int, images: Array, labels: Array, arrived: Sequence[Array]) -> tuple[float, float]:
        """The factor s of the pattern of a batch, and a bound of its error.

        Raises:
            OtherLossError: if the gradients that arrived are not those of the cross entropy of these labels.
            ScaledLossError: if they are, but for a factor, although the criterion is torch's.
        """
        scale = error = 0.0
        own = 1.0  # the factor by which the loss is scaled
        for leaf, (shape, gradient) in enumerate(zip(self.leaves, arrived, strict=True)):
            if gradient.shape != (len(images), *shape):
                raise OtherLossError("the gradients at the logits have another shape than the batch")
            if not _is_logits(shape):
                if np.any(gradient):
                    raise OtherLossError("gradients arrive at an output that is no logits")
                continue
            logits = logits_of(seed, leaf, shape, images)
            wide = gradient.astype(np.float64)
            if self.scaled and leaf == 0:
                own = _scale_of(wide, _gradient(logits, labels, self.criterion.label_smoothing)) or 1.0
            expected = self._expected(leaf, logits, labels, wide / own)
            along = direction(seed, leaf, len(logits), int(np.prod(shape))).astype(np.float64)
            products = expected.reshape(len(logits), -1) * along
            scale += float(products.sum())
            error += _SINGLE * float(np.abs(products).sum()) + _ROUNDING * float(np.abs(along).sum()) / len(logits)
        return scale, error

    def loss_factor(self, seed: int, images: Array, labels: Array, arrived: Array) -> float:
        """The factor of the loss of a batch whose gradients ``arrived`` at the logits: that of a gradient scaler."""
        entropy = _gradient(logits_of(seed, 0, self.leaves[0], images), labels, self.criterion.label_smoothing)
        if not _is_logits(self.leaves[0]) or arrived.shape != entropy.shape:
            raise OtherLossError("the gradients at the logits have another shape than the batch")
        return _factor(arrived.astype(np.float64), entropy)

    def gradients(
        self,
        seed: int,
        scale: float,
        error: float,
        observed: tuple[Array, float] | None = None,
        term: Array | None = None,
    ) -> Gradients:
        """The sampled gradients of an update at factor ``scale``, after the file's clipping.

        Args:
            observed: the sampled gradients and the norm of all; without them nothing is clipped.
            term: what the loss adds to the sampled gradients; the norm of all is then unknown.

        Raises:
            ClippingError: if the observed gradients are neither these nor these after clipping.
        """
        return self.sum_of([(seed, scale, error)], observed, term)

    def sum_of(
        self,
        parts: Sequence[tuple[int, float, float]],
        observed: tuple[Array, float] | None = None,
        term: Array | None = None,
    ) -> Gradients:
        """The same for an update whose gradients are a sum: the seed, the factor and the error of each part.

        Raises:
            ClippingError: if the observed gradients are neither these nor these after clipping.
        """
        pattern = Pattern.sum_of([(seed, scale) for seed, scale, _ in parts], self.counts)
        values = self._moving * pattern.at(self._at)
        units = [np.abs(Pattern(seed, self.counts).at(self._at).astype(np.float64)) for seed, _, _ in parts]
        errors: Array = np.sum([bound * of_one for (_, _, bound), of_one in zip(parts, units, strict=True)], axis=0)
        error = sum(bound for _, _, bound in parts)
        if term is not None:
            values = values + term
        if observed is not None:
            sampled, norm = observed
            if term is not None:
                if not _close(values, sampled, error):
                    raise ClippingError("the gradients of an update are not those of its loss")
            else:
                factor, values = self._clipped(values, error, self._norm(pattern), sampled, norm)
                errors = factor * errors
        return Gradients(values, self._present, errors)

    def norm_of_pattern(self, seed: int) -> float:
        """The norm of the gradients of a batch with this seed at factor 1."""
        return self._norm(Pattern(seed, self.counts))

    @property
    def factors_beside_logits(self) -> list[float]:
        """The factors of the losses at the leaves of the output, as multiples of that at the logits."""
        first = self.factors.get(0, 1.0)
        return [1.0, *(self.factors.get(leaf, 0.0) / first for leaf in range(1, len(self.leaves)))]

    def clipped(self, sampled: Array, norm: float) -> Array:
        """Sampled gradients after the file's clipping, as it was found so far; ``norm`` is that of all gradients."""
        if self.clip_norm is not None:
            return min(1.0, self.clip_norm / norm) * sampled if norm > 0 else sampled
        return sampled if self.clip_value is None else np.clip(sampled, -self.clip_value, self.clip_value)

    def _norm(self, pattern: Pattern) -> float:
        return pattern.norm(np.flatnonzero(self._present).tolist())

    @property
    def _same_norm(self) -> float:
        """The difference of two norms of all gradients in single precision, as a fraction of them."""
        return _SAME_NORM * max(1.0, sum(self.counts) / _EXACT_NORM)

    def _clipped(self, values: Array, error: float, whole: float, observed: Array, norm: float) -> tuple[float, Array]:
        """The factor of the clipping, and the clipped gradients; ``error`` bounds that of the values."""
        factor = 1.0
        if self.clip_norm is None and self.clip_value is None and norm < whole * (1 - self._same_norm):
            largest = float(np.abs(observed).max(initial=0.0))
            self.clip_norm = norm
            if not _close(self._factor_of_clipping(values, whole, observed) * values, observed, error):
                self.clip_norm, self.clip_value = None, largest
            self._require_from_the_start()
        if self.clip_norm is not None:
            factor = self._factor_of_clipping(values, whole, observed)
            clipped = factor * values
        elif self.clip_value is not None:
            clipped = np.clip(values, -self.clip_value, self.clip_value)
        else:
            factor, clipped = self._barely_clipped(values, observed)
        if not _close(clipped, observed, factor * error):
            if self.clipping is not None:
                raise ClippingError(self.clipping.why(values, whole, observed))
            raise ClippingError("the gradients of an update are not those of its loss")
        self.largest_norm = max(self.largest_norm, norm)
        self.largest_value = max(self.largest_value, float(np.abs(observed).max(initial=0.0)))
        return factor, clipped

    def _barely_clipped(self, values: Array, observed: Array) -> tuple[float, Array]:
        """The factor and the gradients of an update whose clipping, if any, is within the errors of the norm."""
        own = _factor(observed, values) if np.any(values) else 1.0
        factor = own if 1 - self._same_norm <= own <= 1 else 1.0
        largest, limit = float(np.abs(values).max(initial=0.0)), float(np.abs(observed).max(initial=0.0))
        scaled = factor * values
        return factor, np.clip(scaled, -limit, limit) if (1 - self._same_norm) * largest <= limit else scaled

    def _require_from_the_start(self) -> None:
        """Require that the updates before had no gradients that the clipping which was found would have changed."""
        tolerance = 1 + self._same_norm
        norm = self.clip_norm is not None and self.largest_norm > self.clip_norm * tolerance
        if norm or (self.clip_value is not None and self.largest_value > self.clip_value * tolerance):
            raise ClippingError("the gradients of an update are not those of its loss")

    def _factor_of_clipping(self, values: Array, whole: float, observed: Array) -> float:
        """The factor of clipping by the norm, with the file's own rounding of that norm."""
        assert self.clip_norm is not None
        if whole <= self.clip_norm:
            return 1.0
        factor = self.clip_norm / whole
        own = _factor(observed, values)
        return own if abs(own - factor) <= self._same_norm * factor else factor

    def _expected(self, leaf: int, logits: Array, labels: Array, arrived: Array) -> Array:
        entropy = _gradient(logits, labels, self.criterion.label_smoothing)
        plain = leaf == 0 and self.criterion.cross_entropy
        factor = 1.0 if plain else self.factors.get(leaf)
        if factor is None:
            factor = self.factors[leaf] = _factor(arrived, entropy)
        expected = factor * entropy
        largest = max(float(np.abs(expected).max(initial=0.0)), float(np.abs(entropy).max(initial=0.0)) * 1e-3)
        if not np.all(np.abs(arrived - expected) <= _SAME_FACTOR * largest):
            if plain and len(self.leaves) == 1 and (scale := _scale_of(arrived, entropy)):
                raise ScaledLossError(
                    f"the gradients at the logits are {scale:.3g} times those of the cross entropy of the batch: the "
                    "loss is scaled"
                )
            raise OtherLossError("the gradients at the logits are not those of the cross entropy")
        return expected


def logits_of(seed: int, leaf: int, shape: Sequence[int], images: Array) -> Array:
    """The logits of a stand-in for a batch of images, at a leaf of its output."""
    inputs = features(images).astype(np.float64)
    logits: Array = inputs @ projection(seed, leaf, inputs.shape[1], int(np.prod(shape))).astype(np.float64)
    return logits.reshape(-1, *shape)


def _is_logits(shape: list[int]) -> bool:
    """Whether a leaf of the output of this shape, without the number of images, may be logits."""
    return len(shape) == 1 and shape[0] <= _MAX_CLASSES


def _scale_of(arrived: Array, entropy: Array) -> float | None:
    """The factor by which gradients are those of the cross entropy; None if they are no multiple of them."""
    factor = _factor(arrived, entropy)
    same = np.all(np.abs(arrived - factor * entropy) <= _SAME_FACTOR * np.abs(arrived).max(initial=0.0))
    return factor if same else None


def _factor(arrived: Array, entropy: Array) -> float:
    return float((arrived * entropy).sum() / (entropy * entropy).sum())


def _close(expected: Array, observed: Array, error: float) -> bool:
    largest = float(np.abs(expected).max(initial=0.0))
    return bool(np.all(np.abs(expected - observed) <= _SAME_NORM * largest + error))


def _soft_labels(labels: Array, classes: int, smoothing: float) -> Array:
    soft = np.full((len(labels), classes), smoothing / classes)
    soft[np.arange(len(labels)), labels] += 1.0 - smoothing
    return soft


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _cross_entropy(logits: Array, labels: Array, smoothing: float) -> float:
    return float(-(_soft_labels(labels, logits.shape[1], smoothing) * _log_softmax(logits)).sum(axis=1).mean())


def _gradient(logits: Array, labels: Array, smoothing: float) -> Array:
    """The gradient of the mean cross entropy at the logits."""
    soft = _soft_labels(labels, logits.shape[1], smoothing)
    gradient: Array = (np.exp(_log_softmax(logits)) - soft) / len(labels)
    return gradient
