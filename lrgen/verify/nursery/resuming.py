"""Resuming a run from a checkpoint: the statements of docs/resuming.md, which a test compares with these."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


def restore(
    net: Any, make_scheduler: Callable[..., Any], total_steps: int | None, prm: Any, checkpoint: Mapping[str, Any]
) -> None:
    """Set up a new network and load the states of an interrupted run.

    Args:
        net: a new ``Net``.
        make_scheduler: the function of the network's file.
        total_steps: the horizon of a schedule that advances once per batch, which ``learn`` would create.
        prm: the hyperparameters of the interrupted run.
        checkpoint: the state_dicts of its ``net``, ``optimizer`` and ``scheduler``.
    """
    net.train_setup(prm)
    if net.scheduler is None:
        net.scheduler = make_scheduler(net.optimizer, total_steps, prm)
    net.load_state_dict(checkpoint["net"])
    net.optimizer.load_state_dict(checkpoint["optimizer"])
    net.scheduler.load_state_dict(checkpoint["scheduler"])


def further_states(net: Any) -> dict[str, Any]:
    """The attributes of a network with further states for a checkpoint, such as a gradient scaler.

    What is a module is in the state of the network.
    """
    own = {id(getattr(net, name, None)) for name in ("optimizer", "scheduler")}
    return {
        name: value
        for name, value in vars(net).items()
        if id(value) not in own
        and not isinstance(value, (Optimizer, LRScheduler, ReduceLROnPlateau, nn.Module, type))
        and callable(getattr(value, "state_dict", None))
        and callable(getattr(value, "load_state_dict", None))
    }


def restore_without_scheduler(net: Any, prm: Any, checkpoint: Mapping[str, Any]) -> None:
    """The same for a file that keeps no scheduler: it has no state of one."""
    net.train_setup(prm)
    net.load_state_dict(checkpoint["net"])
    net.optimizer.load_state_dict(checkpoint["optimizer"])
