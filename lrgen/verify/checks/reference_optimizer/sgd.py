"""The reference of torch's SGD: its few operations, over samples in float64."""

import numpy as np
from numpy.typing import NDArray

from lrgen.verify.checks.reference_optimizer.base import Array, Flags, ReferenceOptimizer, State
from lrgen.verify.checks.reference_optimizer.settings import number


class SGD(ReferenceOptimizer):
    """SGD with momentum, dampening, Nesterov momentum, weight decay, and ``maximize``.

    The momentum has two rows: that of the gradients, and that of their errors.
    """

    _momentum: NDArray[np.float64] | None = None  # two rows, once there is a group with momentum
    _started: Flags  # samples whose momentum has a first gradient

    def _update(
        self, before: Array, gradient: Array, error: Array, active: Flags, moving: Flags, lrs: Array
    ) -> tuple[Array, Array]:
        update = np.stack([self._sign * gradient + self._decay * before, error])
        averaged = self._averaged & moving
        if averaged.any():
            update = np.where(averaged, self._average(update, averaged), update)
        update *= self._per_weight(lrs)
        return np.where(moving, before - update[0], before), np.where(moving, np.abs(update[1]), 0.0)

    def _average(self, update: Array, averaged: Flags) -> Array:
        """Add an update to the momentum of some samples; returns theirs."""
        if self._momentum is None:
            self._momentum, self._started = np.zeros_like(update), np.zeros(self._count, dtype=bool)
        later = self._factor * self._momentum + self._undamped * update
        self._momentum = np.where(averaged, np.where(self._started, later, update), self._momentum)
        self._started |= averaged
        if not self._nesterov.any():
            return self._momentum
        return np.where(self._nesterov, update + self._factor * self._momentum, self._momentum)

    def _read_settings(self) -> None:
        super()._read_settings()

        def of_each(key: str) -> Array:
            return self._per_weight([number(settings, key, 0.0) for settings in self._settings])

        def flags(key: str) -> Flags:
            flag: Flags = self._per_weight([float(bool(settings.get(key))) for settings in self._settings]) > 0
            return flag

        self._factor, self._undamped, self._decay = (
            of_each("momentum"),
            1 - of_each("dampening"),
            of_each("weight_decay"),
        )
        self._averaged, self._nesterov = self._factor != 0, flags("nesterov")
        self._sign = np.where(flags("maximize"), -1.0, 1.0)

    def _arrays(self) -> State:
        return {} if self._momentum is None else {"momentum": self._momentum, "started": self._started}

    def _restore(self, arrays: State) -> None:
        self._momentum = arrays.get("momentum")
        if self._momentum is not None:
            self._started = arrays["started"]
