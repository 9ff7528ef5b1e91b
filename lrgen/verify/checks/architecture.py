"""A part of the contract check: the network of a file equals that of the architecture that it is claimed to be.

The reference is the network that the catalogue renders; it runs in a process of its own, as a file does. Both networks
are built for drawn numbers of channels, pixels and classes. They must have as many parameters, and parameters and
statistics of norms of the same shapes. Then both get the same drawn weights, matched by shape and by what they do
(checks.matching), and must have the same outputs, in evaluation and in training mode.

Then ``learn`` must train that network (checks.learned_network).

A network whose parameters are divided in another way, such as queries, keys and values in one matrix, is not
comparable. That is no failure, if it uses all of its parameters.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.records import Comparison
from lrgen.verify import messages
from lrgen.verify.checks import factorisation, learned_network
from lrgen.verify.checks.draw import Source
from lrgen.verify.checks.examination import Examination, prm_of
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.given_network import Case, Drawn, GivenNetwork, drawn_by_role, shapes
from lrgen.verify.checks.pairs import Pairs, idle_parameters, pairs_of
from lrgen.verify.messages import printable
from lrgen.verify.session import Array, Session

_SIZES = (48, 64, 80)  # pixels of the second case
_TOLERANCE = 2e-3  # of outputs, relative to their deviation over the images
_ROUNDING = 2e-5  # of outputs, relative to the largest
_PASSES = 16  # over which outputs that a network draws are averaged
_ERRORS = 5.0  # by which such a mean may differ, in standard errors
_SHOWN = 3  # shapes in a reason
_LEAST_MOMENTUM = 1e-5
_TINY = 1e-30


class NotComparable(Exception):
    """The parameters are divided in another way than those of the reference; the message says how."""


def check(examination: Examination) -> None:
    """Compare the network of a file with that of the claimed architecture, and note the result.

    Raises:
        CheckFailure: if the number of parameters, the shapes of the state, or the outputs differ.
        Ended: if the network of the catalogue cannot be used.
    """
    reference = examination.candidate.reference
    assert reference is not None
    draw = examination.draw.stream("architecture")
    cases = list(_cases(draw))
    with examination.fresh() as own, examination.fresh(source=reference.source) as expected:
        try:
            pairs, leaves = _compare(_Subject(reference.name, cases[0], own, expected, draw))
            for case in cases[1:]:
                _compare(_Subject(reference.name, case, own, expected, draw), pairs)
        except NotComparable as difference:
            examination.architecture = Comparison.NOT_COMPARABLE
            examination.evidence.append(f"architecture: not comparable with {reference.name}: {difference}")
            return
        for session in (own, expected):
            session.call("forget", messages.Nothing)
        reason = learned_network.compare(own, expected, reference.name, pairs.parameters, leaves, draw)
    if reason:
        examination.architecture = Comparison.NOT_COMPARABLE
        examination.evidence.append(f"architecture: not comparable with {reference.name} in learn: {reason}")
        return
    examination.architecture = Comparison.EQUAL
    examination.evidence.append(f"architecture: equal to {reference.name} for {' and for '.join(map(str, cases))}")


def _cases(draw: Source) -> Iterator[Case]:
    """Draw the cases: the input that is trained on, and another one; one of them has dropout."""
    dropouts = [0.0, draw.choice((0.1, 0.3, 0.5))]
    draw.shuffle(dropouts)
    inputs = [(3, 32, 10, 4), (draw.choice((1, 3)), draw.choice(_SIZES), draw.randint(2, 100), 2)]
    for (channels, pixels, classes, count), dropout in zip(inputs, dropouts, strict=True):
        yield Case(channels, pixels, classes, prm_of(dropout=dropout), draw.getrandbits(31), count)


class _Subject:
    """A network and the reference, built for one case."""

    def __init__(self, name: str, case: Case, own: Session, expected: Session, draw: Source) -> None:
        self.name, self.case, self.draw = name, case, draw
        self.own = GivenNetwork(own, case)
        self.expected = GivenNetwork(expected, case, name)


def _compare(subject: _Subject, known: Pairs | None = None) -> tuple[Pairs, int]:
    """Compare two networks; returns the pairs of tensors with which their outputs are equal.

    The number is that of the tensors which the reference returns in training mode. ``known`` are the pairs of an
    earlier case, which are tried first.
    """
    _compare_state(subject)
    own, expected, seed = subject.own, subject.expected, subject.case.seed
    weights = _draw_weights(subject)
    expected.give(weights.parameters, weights.statistics)
    evaluated, trained = (expected.outputs(train, seed) for train in (False, True))
    differences = []
    for pairs in pairs_of(own, expected, known, subject.draw.getrandbits(31)):
        matched = weights.of(pairs)
        own.give(matched.parameters, matched.statistics)
        differences.append(_difference(own.outputs(train=False, seed=seed), evaluated))
        if differences[-1] <= 1:
            _compare_training(subject, weights, trained)
            return pairs, len(trained)
    raise _differ(subject, "evaluation", min(differences, default=np.inf))


def _differ(subject: _Subject, mode: str, difference: float) -> CheckFailure:
    """The failure of outputs that differ; ``difference`` is in multiples of what is allowed."""
    much = f" by {difference * _TOLERANCE:.2g} of their standard deviation" if np.isfinite(difference) else ""
    return CheckFailure(
        f"the outputs in {mode} mode differ{much} from those of {subject.name} with the same weights, "
        f"for {subject.case}"
    )


# The state.


def _compare_state(subject: _Subject) -> None:
    """Compare the number of parameters, and the shapes of parameters and statistics.

    Raises:
        CheckFailure: if they differ.
        NotComparable: if the parameters are divided in another way.
    """
    own, expected, name = subject.own, subject.expected, subject.name
    if own.count != expected.count:
        raise CheckFailure(
            f"the network has {own.count:,} parameters for {subject.case}, {name} has {expected.count:,}"
        )
    only_own, only_expected = factorisation.difference(shapes(own.parameters), shapes(expected.parameters))
    if only_own or only_expected:
        reason = (
            f"for {subject.case}, the parameters have other shapes than those of {name}: {_listed(only_own)} "
            f"instead of {_listed(only_expected)}"
        )
        if not factorisation.explains(only_own, only_expected):
            raise CheckFailure(reason)
        _require_effects(subject)
        raise NotComparable(reason)
    only_own, only_expected = factorisation.difference(shapes(own.statistics), shapes(expected.statistics))
    if only_own or only_expected:
        reason = (
            f"for {subject.case}, {len(own.statistics)} running statistics are updated in training mode, "
            f"expected {len(expected.statistics)} as in {name}"
        )
        if not factorisation.explains(only_own, only_expected):
            raise CheckFailure(reason)
        raise NotComparable(f"{reason}: {_listed(only_own)} instead of {_listed(only_expected)}")


def _require_effects(subject: _Subject) -> None:
    """Require that the outputs depend on every parameter: a network that is not comparable may have no idle ones."""
    own = subject.own
    idle = idle_parameters(own, subject.draw.getrandbits(31))
    if idle:
        raise CheckFailure(
            f"the network has as many parameters as {subject.name}, and its outputs do not depend on "
            f"{printable(idle[0].name, 100)} ({idle[0].count:,} of {own.count:,})"
        )


def _listed(shapes: Counter[tuple[int, ...]]) -> str:
    """Shapes in words: ``2 of (64, 64) and 1 of (64)``."""
    named = [f"{count} of ({', '.join(map(str, shape))})" for shape, count in shapes.most_common(_SHOWN)]
    if len(shapes) > _SHOWN:
        named.append(f"{sum(shapes.values()) - sum(count for _, count in shapes.most_common(_SHOWN))} others")
    return " and ".join(named) or "none"


# Drawn weights.


@dataclass(frozen=True)
class _Weights:
    """Drawn weights, and values of each of the statistics."""

    parameters: Sequence[Drawn]
    statistics: Sequence[Array]

    def of(self, pairs: Pairs) -> "_Weights":
        """The same for the tensors that are paired with those of the reference."""
        parameters = dict(zip(pairs.parameters, self.parameters, strict=True))
        statistics = dict(zip(pairs.statistics, self.statistics, strict=True))
        return _Weights(
            [parameters[at] for at in range(len(parameters))], [statistics[at] for at in range(len(statistics))]
        )


def _draw_weights(subject: _Subject) -> _Weights:
    """Draw weights of the reference, and statistics near those of the activations that it has with these weights.

    A running average becomes ``(1 - m) * start + m * statistic``: two starts show ``m`` and the statistic.
    """
    expected = subject.expected
    structure = expected.structure
    described = zip(structure.parameters, structure.means, structure.deviations, strict=True)
    parameters = [
        drawn_by_role(subject.draw.getrandbits(62), parameter.shape, mean, deviation)
        for parameter, mean, deviation in described
    ]
    expected.give(parameters, expected.filled_statistics(0.0))
    if not structure.statistics:
        return _Weights(parameters, [])
    from_zero, from_one = expected.renewed(0.0), expected.renewed(1.0)
    momentum = 1 - (from_one - from_zero)
    # A part that the pass left out, as stochastic depth does, keeps its statistics.
    values = np.divide(from_zero, momentum, out=np.ones_like(from_zero), where=momentum > _LEAST_MOMENTUM)
    generator = np.random.Generator(np.random.Philox(subject.draw.getrandbits(64)))
    values *= generator.uniform(0.8, 1.25, len(values))
    ends = np.cumsum([statistic.count for statistic in structure.statistics])
    return _Weights(parameters, np.split(values, ends[:-1]))


# Outputs.


def _compare_training(subject: _Subject, weights: _Weights, expected: Sequence[Array]) -> None:
    """Compare the outputs in training mode, or their means where dropout or stochastic depth draws them.

    A network may leave out the outputs of auxiliary classifiers.

    Raises:
        CheckFailure: if they differ.
    """
    seed = subject.case.seed
    own = subject.own.outputs(train=True, seed=seed)
    differences = [min(_difference([leaf], [other]) for other in expected) for leaf in own]
    first = min((_difference([leaf], expected[:1]) for leaf in own), default=np.inf)
    if max([first, *differences]) <= 1:
        return
    subject.expected.give(weights.parameters, weights.statistics)
    if _difference(subject.expected.outputs(train=True, seed=seed + 1), expected) <= 1:
        raise _differ(subject, "training", max([first, *differences]))
    errors = _difference_of_means(subject)
    if not errors <= _ERRORS:
        raise CheckFailure(
            f"the outputs in training mode, averaged over {_PASSES} passes, differ by {errors:.2g} standard errors "
            f"from those of {subject.name} with the same weights, for {subject.case}"
        )


def _difference_of_means(subject: _Subject) -> float:
    """The root mean square difference of the mean outputs, in standard errors."""
    of_networks = []
    for offset, network in enumerate((subject.own, subject.expected)):
        seeds = [subject.case.seed + 2 * at + offset for at in range(_PASSES)]
        of_networks.append([network.outputs(train=True, seed=seed)[0] for seed in seeds])
    own, expected = of_networks
    if {leaf.shape for leaf in own} != {expected[0].shape}:
        return np.inf
    with np.errstate(all="ignore"):
        variance = (np.var(own, axis=0, ddof=1) + np.var(expected, axis=0, ddof=1)) / _PASSES
        difference = np.mean(own, axis=0) - np.mean(expected, axis=0)
        allowed = variance + (_ROUNDING * np.abs(expected).max()) ** 2
        return float(np.sqrt(np.mean(difference**2 / allowed)))


def _difference(own: Sequence[Array], expected: Sequence[Array]) -> float:
    """The largest difference of outputs in multiples of what is allowed; infinite if they have other shapes."""
    if [leaf.shape for leaf in own] != [leaf.shape for leaf in expected]:
        return np.inf
    most = 0.0
    with np.errstate(all="ignore"):  # a file chooses the outputs
        for leaf, other in zip(own, expected, strict=True):
            deviation = float(np.sqrt(np.mean((other - other.mean(axis=0)) ** 2)))
            allowed = max(_TOLERANCE * deviation, _ROUNDING * float(np.abs(other).max()), _TINY)
            difference = float(np.abs(leaf - other).max()) / allowed
            most = max(most, difference if np.isfinite(difference) else np.inf)
    return most
