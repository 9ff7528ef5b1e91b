"""The optimizer of a network that updates its weights, and the settings of its groups."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def optimizer_of(net: Any) -> Any:
    """The optimizer whose steps update the weights: that of a network, or the one of torch that it wraps.

    Optimizers such as SAM and Lookahead are often written around another one with the same parameters.
    """
    outer = getattr(net, "optimizer", None)
    if any(kind.__module__.startswith("torch.optim.") and kind is not Optimizer for kind in type(outer).__mro__):
        return outer
    parameters = _parameters_in(outer)
    inner = [
        value
        for value in getattr(outer, "__dict__", {}).values()
        if isinstance(value, Optimizer) and _parameters_in(value) == parameters
    ]
    return inner[0] if len(inner) == 1 else outer


def _parameters_in(optimizer: object) -> list[int]:
    return [id(parameter) for group in getattr(optimizer, "param_groups", ()) for parameter in group["params"]]


def settings_of(group: dict[str, Any]) -> dict[str, Any]:
    """The settings of a group that are numbers or tuples of numbers, without its parameters and learning rates."""
    plain: dict[str, Any] = {}
    for key, entry in group.items():
        if not isinstance(key, str) or key in ("params", "lr", "initial_lr"):
            continue
        value = entry.item() if isinstance(entry, Tensor) and entry.dim() == 0 else entry
        if value is None or isinstance(value, (bool, int, float)):
            plain[key] = value
        elif isinstance(value, (tuple, list)) and all(isinstance(item, (bool, int, float)) for item in value):
            plain[key] = list(value)
    return plain
