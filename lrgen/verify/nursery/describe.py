"""Descriptions of a file's objects as plain values: optimizers, parameter groups, criteria, schedulers, results."""

import contextlib
import inspect
import math
import types
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from .watch import settings_of


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
    method = vars(net).get(name) or getattr(net, name, None) if isinstance(net, type) else None
    return list(inspect.signature(method).parameters) if isinstance(method, types.FunctionType) else None


def parameters_of(net: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": list(parameter.shape), "trained": bool(parameter.requires_grad)}
        for name, parameter in net.named_parameters()
    ]


def optimizer_report(optimizer: object) -> dict[str, Any]:
    return {
        "is_optimizer": isinstance(optimizer, Optimizer),
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
    """The criterion of a network: ``criterion``, or the first of ``criteria``."""
    criteria = getattr(net, "criteria", None)
    first = criteria[0] if isinstance(criteria, (list, tuple)) and criteria else None
    return getattr(net, "criterion", first)


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


def state_of(scheduler: object) -> str:
    state_dict = getattr(scheduler, "state_dict", None)
    return repr(state_dict())[:10_000] if callable(state_dict) else ""


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
