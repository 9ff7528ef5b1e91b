"""Small sets of files that stand for the whole grid.

``families`` takes the first variant of each family with every architecture. ``pairwise`` covers every pair that can go
wrong together: each architecture meets every family, every unit, a layer-wise schedule and one with an optimizer of its
own; each family meets each of its units; and the variants take turns, so that all of them are met when the
architectures are many enough.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from lrgen.catalogue import Catalogue
from lrgen.records import Architecture, Variant

COVERS = ("families", "pairwise")
Cover = Literal["families", "pairwise"]


def cover(
    catalogue: Catalogue, how: Cover, architectures: Iterable[Architecture]
) -> list[tuple[Architecture, Variant]]:
    """The files of a cover, in the order of names and numbers; an architecture's do not depend on the selection."""
    chosen = {one.name for one in architectures}
    if how == "families":
        first = sorted((family.variants[0] for family in catalogue.families), key=lambda variant: variant.number)
        return [(one, variant) for one in catalogue.architectures if one.name in chosen for variant in first]
    return [pair for pair in _pairwise(catalogue) if pair[0].name in chosen]


def traits(variant: Variant) -> frozenset[str]:
    """What an architecture must meet once."""
    found = {f"family {variant.family}", f"unit {variant.unit}"}
    if variant.layerwise:
        found.add("layer-wise")
    if variant.optimizer:
        found.add("optimizer")
    return frozenset(found)


def _pairwise(catalogue: Catalogue) -> list[tuple[Architecture, Variant]]:
    met: Counter[int] = Counter()  # how many architectures have met a variant
    pairs: Counter[tuple[str, str]] = Counter()  # likewise a family in one of its units
    found = []
    architectures = sorted(catalogue.architectures, key=lambda one: one.name)
    for one in architectures:
        missing = frozenset().union(*map(traits, catalogue.variants))
        own: list[Variant] = []
        while missing:
            best = min(
                (variant for variant in catalogue.variants if traits(variant) & missing),
                key=lambda variant: (
                    -_worth(traits(variant) & missing),
                    met[variant.number],
                    pairs[variant.family, variant.unit],
                    variant.number,
                ),
            )
            own.append(best)
            met[best.number] += 1
            pairs[best.family, best.unit] += 1
            missing -= traits(best)
        found += [(one, variant) for variant in own]
    strangers = [variant for variant in catalogue.variants if not met[variant.number]]
    found += list(zip(architectures, strangers, strict=False))  # at most one more for each
    return sorted(found, key=lambda pair: (pair[0].name, pair[1].number))


def _worth(news: frozenset[str]) -> int:
    """Rare traits first; then families one by one, whatever their unit, so that all variants get their turn."""
    return 2 * len(news & {"layer-wise", "optimizer"}) + any(trait.startswith("family") for trait in news)
