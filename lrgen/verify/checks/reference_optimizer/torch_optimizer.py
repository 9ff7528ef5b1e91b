"""Reference optimizers that are torch's own classes, over samples in float64."""

import inspect
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify.checks.reference_optimizer.base import Array, Flags, ReferenceOptimizer, State, noise_beside
from lrgen.verify.checks.reference_optimizer.settings import IMPLEMENTATIONS, GroupSettings, Setting

if TYPE_CHECKING:
    from torch.optim import Optimizer

# The update of all other classes is proportional to the learning rate, and their state does not depend on it. Rprop
# reads the learning rate only before its first update; ASGD reads that of the update before.
_NOT_PROPORTIONAL = frozenset({"Rprop", "ASGD"})

_SECOND_MOMENT = {
    "Adam": "exp_avg_sq",
    "AdamW": "exp_avg_sq",
    "NAdam": "exp_avg_sq",
    "RAdam": "exp_avg_sq",
    "Adamax": "exp_inf",
    "Adagrad": "sum",
    "Adadelta": "square_avg",
    "RMSprop": "square_avg",
}


def _rectified(step: float, beta2: float) -> bool:
    """Whether RAdam divides by the second moment yet."""
    longest: float = 2 / (1 - beta2) - 1
    return bool(longest - 2 * step * beta2**step / (1 - beta2**step) > 5)


def _without_implementations(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    return {key: value for key, value in settings.items() if key not in IMPLEMENTATIONS}


class TorchOptimizer(ReferenceOptimizer):
    """One of torch's classes, over one tensor for all parameters with the same settings and history.

    A tensor has two rows: the weights, and weights of zero whose gradients are the errors of the gradients. The first
    optimizer that is built imports torch._dynamo, as all of torch's do; that takes seconds.
    """

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        super().__init__(name, groups, sizes, roundoff)
        ends = np.cumsum(self.sizes, dtype=np.intp)
        self._columns = [np.arange(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]
        # Weights of Rprop whose gradient may have had another sign; their step sizes are unknown from then on.
        self._doubtful = np.zeros(self._count, dtype=bool)
        members = np.flatnonzero(self._in_group).tolist()
        self._cohorts = [self._cohort(members, {})] if members else []

    def _update(
        self, before: Array, gradient: Array, error: Array, active: Flags, moving: Flags, lrs: Array
    ) -> tuple[Array, Array]:
        import torch

        self._split(active, lrs)
        after, noise = before.copy(), np.zeros_like(before)
        lr_of_each = self._per_weight(lrs)
        with torch.no_grad():
            for cohort in self._cohorts:
                if not active[cohort.members[0]]:
                    continue
                at = cohort.columns
                weights, errors = before[at], error[at]
                updates = cohort.step(weights, gradient[at], errors)
                if self._proportional:
                    updates *= lr_of_each[at]
                after[at] = weights + updates[0]
                noise[at] = self._noise(cohort, np.abs(updates), gradient[at], errors, lr_of_each[at])
        return after, noise

    def _noise(self, cohort: "_Cohort", updates: Array, gradient: Array, error: Array, lrs: Array) -> Array:
        """The effect of errors of the gradients on an update."""
        group, state = cohort.optimizer.param_groups[0], cohort.arrays()
        update: Array = updates[0]
        of_errors: Array = updates[1]
        if self.name == "Rprop":
            doubtful = self._doubtful[cohort.columns] | ((error >= np.abs(gradient)) & (error > 0))
            self._doubtful[cohort.columns] = doubtful
            return np.where(doubtful, np.inf, 0.0)
        moment = state.get("max_exp_avg_sq", state.get(_SECOND_MOMENT.get(self.name, "")))
        if moment is None or (self.name == "RAdam" and not _rectified(float(state["step"]), group["betas"][1])):
            return of_errors
        eps = group["eps"]
        if self.name in ("Adam", "AdamW", "NAdam"):  # eps is added to the corrected moment
            eps *= math.sqrt(1 - group["betas"][1] ** float(state["step"]))
        norms = moment if self.name == "Adamax" else np.sqrt(moment)
        divisors = norms + eps
        if group.get("centered"):
            divisors = np.sqrt(np.maximum(moment - state["grad_avg"] ** 2, 0.0)) + eps
        elif self.name == "Adadelta":
            divisors = np.sqrt(moment + eps)
            of_errors = lrs * np.sqrt(state["acc_delta"][0] + eps) * error / divisors[1]
        noise = noise_beside(update, of_errors, norms[1], divisors[0], divisors[1])
        return 4 * noise if self.name == "Adadelta" else noise  # the moment of its updates is uncertain as well

    def _read_settings(self) -> None:
        super()._read_settings()
        self._sorted = [tuple(sorted(settings.items())) for settings in self._settings]
        self._current: Hashable = None  # what the cohorts have been split by

    @property
    def _proportional(self) -> bool:
        return self.name not in _NOT_PROPORTIONAL

    def _split(self, active: Flags, lrs: Array) -> None:
        """Split the cohorts whose parameters differ in settings, or in having a gradient, in this update."""
        rates = [1.0] * len(lrs) if self._proportional else lrs.tolist()
        current = (active.tobytes(), *rates)
        if current == self._current:
            return
        self._current = current
        numbers: dict[Hashable, int] = {}
        kinds = [numbers.setdefault(kind, len(numbers)) for kind in zip(self._sorted, rates, strict=True)] + [-1]
        kind_of = [(kinds[group], bool(given)) for group, given in zip(self._group_of, active, strict=True)]
        self._cohorts = [part for cohort in self._cohorts for part in self._parts(cohort, kind_of)]
        for cohort in self._cohorts:
            group = self._group_of[cohort.members[0]]
            cohort.optimizer.param_groups[0].update(_without_implementations(self._settings[group]), lr=rates[group])

    def _parts(self, cohort: "_Cohort", kind_of: Sequence[Hashable]) -> list["_Cohort"]:
        """A cohort for each kind of its parameters."""
        parts: dict[Hashable, list[int]] = {}
        for member in cohort.members:
            parts.setdefault(kind_of[member], []).append(member)
        if len(parts) == 1:
            return [cohort]
        arrays = cohort.arrays()
        position = {member: index for index, member in enumerate(cohort.members)}
        starts = np.cumsum([0, *self.sizes[cohort.members]])
        result = []
        for members in parts.values():
            at = np.concatenate(
                [np.arange(starts[position[member]], starts[position[member] + 1]) for member in members]
            )
            part = {key: array[:, at] if array.ndim else array.copy() for key, array in arrays.items()}
            result.append(self._cohort(members, part))
        return result

    def _cohort(self, members: list[int], arrays: State) -> "_Cohort":
        import torch

        columns = np.concatenate([self._columns[member] for member in members])
        tensor = torch.zeros((2, len(columns)), dtype=torch.float64)
        tensor.grad = torch.zeros_like(tensor)
        group = _without_implementations(self._settings[self._group_of[members[0]]])
        constructor = getattr(torch.optim, self.name)
        optimizer: Optimizer = constructor([{"params": [tensor], **group}], lr=1.0, foreach=False)
        if self.name == "Adagrad":  # of the weights alone, not of the errors
            optimizer.state[tensor]["sum"][0] = group.get("initial_accumulator_value", 0.0)
        for key, array in arrays.items():
            optimizer.state[tensor][key] = torch.from_numpy(array.copy())
        return _Cohort(members, columns, tensor, optimizer)

    def _arrays(self) -> State:
        cohort_of = np.full(len(self.sizes), -1)
        arrays: State = {"cohort": cohort_of, "doubtful": self._doubtful}
        for index, cohort in enumerate(self._cohorts):
            cohort_of[cohort.members] = index
            arrays |= {f"{index}/{key}": array for key, array in cohort.arrays().items()}
        return arrays

    def _restore(self, arrays: State) -> None:
        cohort_of, self._doubtful, self._current = arrays["cohort"], arrays["doubtful"], None
        self._cohorts = [
            self._cohort(
                [int(member) for member in np.flatnonzero(cohort_of == index)],
                {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{index}/")},
            )
            for index in range(int(cohort_of.max(initial=-1)) + 1)
        ]


@dataclass(frozen=True)
class _Cohort:
    """Parameters with one history: ``tensor`` has a column per weight, ``columns`` are these among all weights."""

    members: list[int]
    columns: NDArray[np.intp]
    tensor: Any
    optimizer: Any

    def step(self, weights: Array, gradient: Array, errors: Array) -> Array:
        """The updates of weights and of errors; gradients are disabled."""
        values, gradients = self.tensor.numpy(), self.tensor.grad.numpy()
        values[0], values[1] = weights, 0.0
        gradients[0], gradients[1] = gradient, errors
        # Its wrappers are for profilers, hooks and closures, and cost more than the step.
        inspect.unwrap(type(self.optimizer).step)(self.optimizer)
        updates: Array = values.copy()
        updates[0] -= weights
        return updates

    def arrays(self) -> State:
        """The state of the optimizer."""
        return {key: value.numpy() for key, value in self.optimizer.state[self.tensor].items() if value is not None}
