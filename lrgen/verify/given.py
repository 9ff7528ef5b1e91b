"""Hyperparameters that the user gives to every file of a verification (``--set``)."""

from collections.abc import Iterable, Mapping

from lrgen.errors import ConfigError, shown
from lrgen.records import Candidate

# The checks choose these themselves, and others in each run.
_OF_THE_CHECKS = ("lr", "batch", "epoch", "epoch_max", "transform")


def check_given(given: Mapping[str, int | float], candidates: Iterable[Candidate]) -> None:
    """Check that each hyperparameter is one that the files read, and not one whose values the checks draw.

    Raises:
        ConfigError: if it is not.
    """
    files = list(candidates) if given else []
    for name in given:
        if name in _OF_THE_CHECKS:
            raise ConfigError(f"--set {name}: the checks choose its values themselves")
        for candidate in files:
            variant = candidate.variant
            practice = variant.practice if variant is not None else None
            if variant is not None and (name in variant.defaults or (practice and name in practice.defaults)):
                raise ConfigError(f"--set {name}: it is a hyperparameter of {variant.label}, whose values are drawn")
        if not any(name in candidate.source for candidate in files):
            raise ConfigError(f"--set {shown(name)}: no file contains this name")
