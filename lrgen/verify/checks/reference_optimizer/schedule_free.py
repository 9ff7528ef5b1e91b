"""The reference of the Schedule-Free optimizers, from the paper."""

from collections.abc import Mapping, Sequence

import numpy as np

from lrgen.verify.checks.reference_optimizer.base import (
    Array,
    Flags,
    Prediction,
    ReferenceOptimizer,
    Samples,
    State,
    noise_beside,
)
from lrgen.verify.checks.reference_optimizer.settings import GroupSettings, Setting, number


class ScheduleFree(ReferenceOptimizer):
    """Schedule-Free SGD and AdamW: Defazio et al. (2024), The Road Less Scheduled, https://arxiv.org/abs/2405.15682.

    z is updated, x is an average of z, and gradients are computed at y = (1 - momentum) * z + momentum * x. As in the
    authors' package, the average weights a step by the square of the maximum learning rate so far (``weight_lr_power``;
    the paper's own weight is the square of its learning rate), and AdamW's bias correction does not scale the weight
    decay. Beside x and z are bounds of their errors, which add up: those of the updates and one rounding each.
    """

    _STATE = ("x", "z", "second_moment", "started", "steps", "lr_max", "weight_sum")

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        super().__init__(name, groups, sizes, roundoff)
        shape = (2, self._count)
        self._x, self._z, self._second_moment = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._started = np.zeros(len(self.sizes), dtype=bool)
        self._steps, self._lr_max, self._weight_sum = (np.zeros(len(groups)) for _ in range(3))

    def _update(
        self, before: Array, gradient: Array, error: Array, active: Flags, moving: Flags, lrs: Array
    ) -> tuple[Array, Array]:
        starts = np.repeat(active & ~self._started, self.sizes)
        self._started |= active
        self._x[0, starts] = self._z[0, starts] = before[starts]

        self._steps += 1
        lrs = lrs * np.minimum(1.0, self._steps / np.maximum(self._values("warmup_steps", 0.0), 1.0))
        self._lr_max = np.maximum(self._lr_max, lrs)
        weights = self._steps ** self._values("r", 0.0) * self._lr_max ** self._values("weight_lr_power", 2.0)
        self._weight_sum += weights
        c = self._per_weight(np.where(self._weight_sum > 0, weights / self._weight_sum, 0.0))

        moment, update, noise = self._second_moment, gradient, error
        if "AdamW" in self.name:
            beta2, squares = self._values("beta2", 0.999, 1), np.stack([gradient, error]) ** 2
            moment = squares + self._per_weight(beta2) * (moment - squares)
            norms = np.sqrt(moment / self._per_weight(1 - beta2**self._steps))
            divisors = norms + self._per_weight(self._values("eps", 1e-8))
            update = gradient / divisors[0]
            noise = noise_beside(np.abs(update), error / divisors[1], norms[1], divisors[0], divisors[1])
        update = update + self._per_weight(self._values("weight_decay", 0.0)) * before
        noise = noise + self._relative_errors() * np.abs(update)
        z = self._z + self._per_weight(lrs) * np.stack([-update, noise])
        z[1] += self._roundoff * np.abs(z[0])
        x = (1 - c) * self._x + c * z
        x[1] += self._roundoff * np.abs(x[0])

        self._second_moment = np.where(moving, moment, self._second_moment)
        self._z, self._x = np.where(moving, z, self._z), np.where(moving, x, self._x)
        y = self._y()
        return np.where(moving, y[0], before), y[1]

    @property
    def has_modes(self) -> bool:
        return True

    def train_mode(self, weights: Samples) -> Prediction:
        return self._swap(weights, self._y())

    def eval_mode(self, weights: Samples) -> Prediction:
        return self._swap(weights, self._x)

    def _arrays(self) -> State:
        return {key: getattr(self, f"_{key}") for key in self._STATE}

    def _restore(self, arrays: State) -> None:
        for key in self._STATE:
            setattr(self, f"_{key}", arrays[key])

    def _y(self) -> Array:
        momentum = self._per_weight(self._values("momentum", 0.9, 0))
        y: Array = (1 - momentum) * self._z + momentum * self._x
        return y

    def _swap(self, weights: Samples, rows: Array) -> Prediction:
        before = super().train_mode(weights).before
        started = np.repeat(self._started, self.sizes)
        with np.errstate(all="ignore"):
            after = np.where(started, rows[0], before)
            tolerance = np.where(started, self._rounding(before, after) + rows[1], 0.0)
        return Prediction(self.sizes, before, after, tolerance)

    def _values(self, key: str, default: float, beta: int = -1) -> Array:
        """A setting of each group; ``beta`` is its place in ``betas``, where a group has those."""

        def value(settings: Mapping[str, Setting]) -> float:
            betas = settings.get("betas")
            return betas[beta] if beta >= 0 and isinstance(betas, tuple) else number(settings, key, default)

        return np.array([value(settings) for settings in self._settings], dtype=np.float64)
