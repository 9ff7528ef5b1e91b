"""The conditions under which the parts of a rendered file are executed once for all files that have them."""

import functools
from collections.abc import Iterator
from itertools import combinations

from lrgen.records import Parts
from lrgen.verify.parts.host import provided
from lrgen.verify.parts.names import BUILTINS, OF_NETWORK, Names, names_of

# The hyperparameters and horizons that every part may read: the caller passes them, and the checks of each part do.
_OF_THE_CALLER = frozenset({"lr", "epoch", "epoch_max"})
_OVERRIDDEN = frozenset({"__init__", "forward"})


def why_whole(parts: Parts) -> str:
    """The reason why a file of these parts is executed whole; empty if its parts are separate.

    Names at module level, attributes of ``Net`` and hyperparameters of one part must not be those of another, and
    training methods must need nothing of their network that a host does not have.
    """
    return next(_reasons(parts), "")


def _reasons(parts: Parts) -> Iterator[str]:
    schedule, network = names_of(parts.schedule), names_of(parts.network)
    training = names_of(parts.training, methods=True)
    named = {"the schedule": schedule, "the network": network, "the training methods": training}
    of_module = _attributes_of_module()
    for name, of_part in named.items():
        for clash in sorted(of_part.defined & BUILTINS):
            yield f"{name} redefines {clash}"
        if "*" in of_part.set | of_part.prm:
            yield f"{name} uses an attribute or a hyperparameter whose name is computed"
    for (first, names), (second, others) in combinations(named.items(), 2):
        for clash in sorted(_bound_twice(names, others)):
            yield f"{first} and {second} define {clash}"
        for clash in sorted(names.prm & others.prm - _OF_THE_CALLER):
            yield f"{first} and {second} read the hyperparameter {clash}"
    for clash in sorted(schedule.defined & network.used):
        yield f"the network uses {clash} of the schedule"
    for clash in sorted(network.defined & (schedule.used | training.used) - {"Net"}):
        yield f"the network defines {clash}, which another part uses"
    for clash in sorted(network.set & training.set):
        yield f"the network and the training methods set {clash}"
    for clash in sorted(network.read & training.set):
        yield f"the network reads {clash}, which the training methods set"
    for clash in sorted((network.set - _OVERRIDDEN | training.set) & of_module):
        yield f"Net overrides {clash} of torch.nn.Module"
    for needed in sorted(training.read - training.set - of_module - OF_NETWORK - provided(parts.training)):
        yield f"the training methods need {needed} of the network"


def _bound_twice(names: Names, others: Names) -> frozenset[str]:
    """The names that two parts define, or import as different things."""
    imported = names.imported.keys() & others.imported.keys()
    defined = names.defined & (others.defined | others.imported.keys()) | others.defined & names.imported.keys()
    return defined | {name for name in imported if names.imported[name] != others.imported[name]}


@functools.cache
def _attributes_of_module() -> frozenset[str]:
    import torch  # takes seconds; the checks have loaded it

    return frozenset(dir(torch.nn.Module()))
