"""The tensors of a network that take the place of those of the reference, of equal shape."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.verify.checks import matching
from lrgen.verify.checks.given_network import GivenNetwork, drawn_by_shape, shapes
from lrgen.verify.checks.matching import Numbers
from lrgen.verify.messages import Parameter


@dataclass(frozen=True)
class Pairs:
    """The index of the own tensor for each parameter of the reference, and for each of its statistics."""

    parameters: Sequence[int]
    statistics: Sequence[int]


def pairs_of(own: GivenNetwork, expected: GivenNetwork, known: Pairs | None, seed: int) -> Iterator[Pairs]:
    """Yield pairs of tensors: those of an earlier case, those in the order of registration, those by what they do.

    The latter give both networks other weights.
    """
    tried: list[Pairs] = []
    for pairs in _candidates(own, expected, known, seed):
        if pairs not in tried:
            tried.append(pairs)
            yield pairs


def idle_parameters(network: GivenNetwork, seed: int) -> list[Parameter]:
    """The parameters that the outputs of a network do not depend on, in neither mode."""
    norms = _Measure(network, seed).numbers([0] * len(network.keys))[:, :, 0]
    return [parameter for parameter, of_modes in zip(network.parameters, norms, strict=False) if not of_modes.any()]


def _candidates(own: GivenNetwork, expected: GivenNetwork, known: Pairs | None, seed: int) -> Iterator[Pairs]:
    if known is not None and _fit(known, own, expected):
        yield known
    in_order = _in_order(own, expected)
    yield in_order
    count = len(expected.parameters)
    for training in (True, False):
        colours: dict[Hashable, int] = {}
        matched = matching.match(
            matching.colours_of(own.keys, colours),
            matching.colours_of(expected.keys, colours),
            _Measure(own, seed, training).numbers,
            _Measure(expected, seed, training).numbers,
            count,
        )
        pairs = matched and matching.in_order(*matched)
        if matched is not None and pairs is not None:
            of_own, of_expected = matched[0][count:], matched[1][count:]
            yield Pairs(pairs[:count], _beside(own, expected, pairs[:count], of_own, of_expected))
            yield Pairs(pairs[:count], [at - count for at in pairs[count:]])
            any_colour = [0] * len(of_own)
            yield Pairs(pairs[:count], _beside(own, expected, pairs[:count], any_colour, any_colour))


def _fit(pairs: Pairs, own: GivenNetwork, expected: GivenNetwork) -> bool:
    """Whether tensors of equal shapes are paired."""
    return all(
        len(at_own) == len(tensors) == len(of_reference)
        and [tensors[at].shape for at in at_own] == [each.shape for each in of_reference]
        for at_own, tensors, of_reference in (
            (pairs.parameters, own.parameters, expected.parameters),
            (pairs.statistics, own.statistics, expected.statistics),
        )
    )


def _in_order(own: GivenNetwork, expected: GivenNetwork) -> Pairs:
    """The tensors of equal shape in the order of their registration."""
    both = []
    for networks in ((own.parameters, expected.parameters), (own.statistics, expected.statistics)):
        colours: dict[Hashable, int] = {}
        of_own, of_expected = (matching.colours_of(shapes(tensors), colours) for tensors in networks)
        both.append(matching.in_order(of_own, of_expected) or [])
    return Pairs(*both)


def _beside(
    own: GivenNetwork,
    expected: GivenNetwork,
    pairs: Sequence[int],
    of_own: Sequence[int],
    of_expected: Sequence[int],
) -> list[int]:
    """The pairs of statistics of equal colours that are in one module with paired parameters; any if there are none."""
    paired = {at: index for index, at in enumerate(pairs)}
    known: dict[Hashable, int] = {}
    colours = []
    for network, place, given in ((own, paired, of_own), (expected, {at: at for at in paired}, of_expected)):
        neighbours: dict[str, list[int]] = {}
        for at, parameter in enumerate(network.parameters):
            neighbours.setdefault(_module(parameter), []).append(place[at])
        keys = [
            (colour, tuple(statistic.shape), tuple(sorted(neighbours.get(_module(statistic), ()))))
            for colour, statistic in zip(given, network.statistics, strict=True)
        ]
        colours.append(matching.colours_of(keys, known))
    return matching.in_order(*colours) or list(_in_order(own, expected).statistics)


def _module(tensor: Parameter) -> str:
    return tensor.name.rpartition(".")[0]


@dataclass(frozen=True)
class _Measure:
    """Measures what the tensors of a network do, parameters and then statistics, given weights by colour.

    In evaluation mode the statistics are one. Without ``training`` the numbers of training mode are left out: a network
    may draw there.
    """

    network: GivenNetwork
    seed: int
    training: bool = True

    def numbers(self, colours: list[int]) -> Numbers:
        """The numbers of each tensor: those in training mode, and those in evaluation mode."""
        network = self.network
        drawn = [
            drawn_by_shape(self.seed + colour, parameter.shape)
            for colour, parameter in zip(colours, network.parameters, strict=False)
        ]
        network.give(drawn, network.filled_statistics(1.0))
        modes = [self._of_mode(train=False)]
        if self.training:
            modes.append(self._of_mode(train=True))
        return np.stack(modes, axis=1)

    def _of_mode(self, train: bool) -> Numbers:
        parameters, statistics = self.network.response(train)
        with np.errstate(all="ignore"):  # a file chooses the numbers
            if train:  # the momentum of a running average scales it
                norms = statistics[:, :1]
                statistics = np.divide(statistics, norms, out=np.zeros_like(statistics), where=norms > 0)
            else:
                statistics = np.zeros_like(statistics)
        return np.concatenate([parameters, statistics])
