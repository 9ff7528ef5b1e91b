"""Descriptions of a file's objects as plain values: optimizers, parameter groups, criteria, schedulers, results."""

import contextlib
import inspect
import math
import types
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .optimizers import settings_of


def global_state() -> dict[str, object]:
    """The global state of torch by name."""
    return {
        "random number generator": torch.get_rng_state().tolist(),
        "number of threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
    }


def signature_of(net: object, name: str) -> list[str] | None:
    """The parameters of a method; those that a caller may leave out end in ``=``, or begin with ``*``."""
    method = vars(net).get(name) or getattr(net, name, None) if isinstance(net, type) else None
    if not isinstance(method, types.FunctionType):
        return None
    return [
        str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
        + "=" * (parameter.default is not parameter.empty)
        for parameter in inspect.signature(method).parameters.values()
    ]


def parameters_of(net: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": list(parameter.shape), "trained": bool(parameter.requires_grad)}
        for name, parameter in net.named_parameters()
    ]


def optimizer_report(optimizer: object, wrapped: bool) -> dict[str, Any]:
    return {
        "is_optimizer": isinstance(optimizer, Optimizer),
        "wrapped": wrapped,
        "name": type(optimizer).__name__[:100],
        "classes": [f"{kind.__module__}.{kind.__qualname__}"[:200] for kind in type(optimizer).__mro__][:20],
    }


def groups_of(optimizer: object, net: Any) -> list[dict[str, Any]]:
    index = {id(parameter): at for at, parameter in enumerate(net.parameters())}
    groups = getattr(optimizer, "param_groups", [])
    return [
        {
            "parameters": [index.get(id(parameter), -1) for parameter in group["params"]],
            "lr": float(group["lr"]),
            "depth": group.get("depth", 0),
            "settings": settings_of(group),
        }
        for group in groups
    ]


def criterion_of(net: Any) -> Any:
    """The criterion of a network: ``criterion``, or ``criteria`` or the first of them; None if it keeps none."""
    criteria = getattr(net, "criteria", None)
    if isinstance(criteria, (dict, nn.ModuleDict)):
        criteria = list(criteria.values())
    if isinstance(criteria, (list, tuple, nn.ModuleList)):
        criteria = criteria[0] if len(criteria) else None
    return getattr(net, "criterion", criteria)


def criterion_report(criterion: object) -> dict[str, Any]:
    kind = type(criterion)
    plain = kind is nn.CrossEntropyLoss and isinstance(criterion, nn.CrossEntropyLoss)
    return {
        "name": kind.__name__[:100],
        "callable": callable(criterion),
        "cross_entropy": bool(
            plain
            and getattr(criterion, "weight", None) is None
            and getattr(criterion, "reduction", "") == "mean"
            and getattr(criterion, "ignore_index", 0) == -100
        ),
        "label_smoothing": float(getattr(criterion, "label_smoothing", 0.0)) if plain else 0.0,
    }


def schedulers_of(net: Any) -> list[Any]:
    """The schedulers of a network: ``scheduler``, its members, or objects like one in other attributes."""
    own = getattr(net, "scheduler", None)
    kept = [own] if own is not None else [value for name, value in vars(net).items() if name != "optimizer"]
    members = [member for value in kept for member in _members(value)]
    return [member for member in members if _is_scheduler(member)]


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_scheduler(value: object) -> bool:
    return callable(getattr(value, "step", None)) and not isinstance(value, (Optimizer, type, torch.amp.GradScaler))


def state_of(schedulers: list[Any]) -> str:
    """The states of schedulers that have a ``state_dict``, as text."""
    states = [getattr(scheduler, "state_dict", None) for scheduler in schedulers]
    return " ".join(repr(state()) for state in states if callable(state))[:10_000]


def takes_metric(scheduler: object) -> bool:
    """Whether ``step`` has a parameter without a default, whatever its name."""
    step = getattr(scheduler, "step", None)
    try:
        parameters = inspect.signature(step).parameters.values() if callable(step) else ()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(parameter.kind in positional and parameter.default is parameter.empty for parameter in parameters)


def result_of(result: object) -> dict[str, Any]:
    """The result of ``learn``: nothing, a pair of numbers, or the text of something else."""
    if result is None:
        return {"kind": "nothing"}
    if isinstance(result, tuple) and len(result) == 2:
        with contextlib.suppress(TypeError, ValueError):
            accuracy, loss = (float(value) for value in result)
            if math.isfinite(accuracy) and math.isfinite(loss):
                return {"kind": "pair", "accuracy": accuracy, "loss": loss}
            return {"kind": "other", "text": f"({accuracy}, {loss})"}
    return {"kind": "other", "text": storable(str(result)[:80])}


def storable(text: str) -> str:
    """Text whose lone surrogates are escaped: JSON can carry them, but they are no characters."""
    return text.encode("utf-8", "backslashreplace").decode()


def dtypes_of(values: Iterable[object]) -> list[str]:
    """The names of the dtypes of those tensors that hold real numbers."""
    dtypes = {value.dtype for value in values if isinstance(value, Tensor) and value.is_floating_point()}
    return sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
