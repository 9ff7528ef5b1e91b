"""Covers: small sets of files that represent the whole grid of architectures and variants.

``families`` takes the first variant of each family with every architecture. ``pairwise`` covers all pairs of properties
that can fail together: each architecture meets every family, every unit, a layer-wise schedule, a schedule with an
optimizer of its own and every kind of practice; each family and each kind is met in each of its units. The variants
take turns, so with enough architectures every variant is covered.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from lrgen.catalogue import Catalogue
from lrgen.records import Architecture, Variant

COVERS = ("families", "pairwise")
Cover = Literal["families", "pairwise"]


def cover(
    catalogue: Catalogue, kind: Cover, architectures: Iterable[Architecture]
) -> list[tuple[Architecture, Variant]]:
    """The files of a cover, ordered by architecture and number.

    The variants of an architecture do not depend on the other selected architectures. A variation has those of the
    architecture that it varies.
    """
    if kind == "families":
        first = sorted((family.variants[0] for family in catalogue.families), key=lambda variant: variant.number)
        pairs = [(architecture, variant) for architecture in catalogue.architectures for variant in first]
    else:
        pairs = _pairwise(catalogue)
    variants: dict[str, list[Variant]] = {}
    for architecture, variant in pairs:
        variants.setdefault(architecture.name, []).append(variant)
    selected = sorted(architectures, key=lambda architecture: architecture.name)
    return [(architecture, variant) for architecture in selected for variant in variants[architecture.entry]]


def traits(variant: Variant) -> frozenset[str]:
    """The properties of a variant that every architecture meets at least once.

    A variant with a practice counts for its kind alone: its schedule is met without a practice.
    """
    if variant.practice is not None:
        return frozenset({_group(variant)})
    names = {_group(variant), f"unit {variant.unit}"}
    if variant.layerwise:
        names.add("layer-wise")
    if variant.optimizer:
        names.add("optimizer")
    return frozenset(names)


def _group(variant: Variant) -> str:
    """The variants among which one takes its turn."""
    return f"practice {variant.practice.kind}" if variant.practice else f"family {variant.family}"


def _pairwise(catalogue: Catalogue) -> list[tuple[Architecture, Variant]]:
    uses: Counter[int] = Counter()  # architectures per variant
    unit_uses: Counter[tuple[str, str]] = Counter()  # architectures per group and unit
    pairs = []
    architectures = sorted(catalogue.architectures, key=lambda architecture: architecture.name)
    for architecture in architectures:
        missing = frozenset().union(*map(traits, catalogue.variants))
        while missing:
            best = min(
                (variant for variant in catalogue.variants if traits(variant) & missing),
                key=lambda variant: (
                    -_gain(traits(variant) & missing),
                    uses[variant.number],
                    unit_uses[_group(variant), variant.unit],
                    variant.number,
                ),
            )
            pairs.append((architecture, best))
            uses[best.number] += 1
            unit_uses[_group(best), best.unit] += 1
            missing -= traits(best)
    unused = [variant for variant in catalogue.variants if not uses[variant.number]]
    pairs += list(zip(architectures, unused, strict=False))  # at most one more per architecture
    return sorted(pairs, key=lambda pair: (pair[0].name, pair[1].number))


def _gain(new_traits: frozenset[str]) -> int:
    """The weight of newly met traits: rare ones first, then families, so that all variants take their turn."""
    return 2 * len(new_traits & {"layer-wise", "optimizer"}) + any(trait.startswith("family") for trait in new_traits)
