"""Covers: small sets of files that represent the whole grid."""

from dataclasses import replace

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.catalogue.pairwise import COVERS, cover
from lrgen.records import PracticeKind

CATALOGUE = catalogues.load()


def with_architectures(count: int) -> Catalogue:
    """The catalogue's schedules with ``count`` copies of an architecture."""
    first = CATALOGUE.architectures[0]
    return replace(CATALOGUE, architectures=tuple(replace(first, name=f"N{index:02d}") for index in range(count)))


def test_families_covers_each_architecture_with_each_family():
    """``families`` combines each architecture with one variant of each family."""
    pairs = cover(CATALOGUE, "families", CATALOGUE.architectures)
    assert len(pairs) == len(CATALOGUE.families) * len(CATALOGUE.architectures)
    for architecture in CATALOGUE.architectures:
        families = [variant.family for other, variant in pairs if other is architecture]
        assert sorted(families) == sorted(family.name for family in CATALOGUE.families)


@pytest.mark.parametrize("count", [1, 2, 38])
def test_pairwise_covers_each_architecture_with_every_trait(count):
    """``pairwise`` combines each architecture with every family, unit, a layer-wise schedule and an own optimizer."""
    catalogue = with_architectures(count)
    pairs = cover(catalogue, "pairwise", catalogue.architectures)
    assert len(pairs) <= (15 + len(PracticeKind)) * count
    for architecture in catalogue.architectures:
        chosen = [variant for other, variant in pairs if other.name == architecture.name]
        assert len({variant.number for variant in chosen}) == len(chosen)
        variants = [variant for variant in chosen if variant.practice is None]
        assert {variant.family for variant in variants} == {family.name for family in catalogue.families}
        assert {variant.unit for variant in variants} == {variant.unit for variant in catalogue.schedules}
        assert any(variant.layerwise for variant in variants)
        assert any(variant.optimizer for variant in variants)


@pytest.mark.parametrize("count", [1, 2, 38])
def test_pairwise_covers_each_architecture_with_every_kind_of_practice(count):
    """``pairwise`` combines each architecture with one variant of each kind."""
    catalogue = with_architectures(count)
    pairs = cover(catalogue, "pairwise", catalogue.architectures)
    for architecture in catalogue.architectures:
        kinds = [
            variant.practice.kind for other, variant in pairs if other.name == architecture.name and variant.practice
        ]
        assert sorted(kinds) == sorted(PracticeKind)


def test_practices_leave_the_cover_of_the_schedules_as_it_is():
    """Without practices, each architecture has the same schedules."""
    catalogue = with_architectures(38)
    with_practices = cover(catalogue, "pairwise", catalogue.architectures)
    schedules = replace(catalogue, practices=(), with_practice=())
    assert cover(schedules, "pairwise", schedules.architectures) == [
        pair for pair in with_practices if pair[1].practice is None
    ]


def test_pairwise_over_38_architectures_covers_every_variant():
    """The variants take turns: with 38 architectures each variant is in the cover, with practices and without."""
    catalogue = with_architectures(38)
    pairs = cover(catalogue, "pairwise", catalogue.architectures)
    assert {variant.number for _, variant in pairs} == {variant.number for variant in catalogue.variants}


@pytest.mark.parametrize("kind", COVERS)
def test_a_cover_does_not_depend_on_the_selection(kind):
    """An architecture that is selected alone has the variants that it has among all architectures."""
    catalogue = with_architectures(5)
    for architecture in catalogue.architectures:
        pairs = cover(catalogue, kind, catalogue.architectures)
        assert cover(catalogue, kind, [architecture]) == [pair for pair in pairs if pair[0].name == architecture.name]


def test_an_unknown_cover_is_an_error(lrgen):
    """The error has the unknown cover and the known ones."""
    code, _, err = lrgen("verify", "--cover", "x")
    assert (code, err) == (2, "lrgen: unknown cover 'x': known: families, pairwise\n")


def test_a_cover_and_variants_are_an_error(lrgen):
    """A cover selects the variants, so --cover with --variant is an error."""
    code, _, err = lrgen("verify", "--cover", "pairwise", "--variant", "1")
    assert code == 2
    assert err.startswith("lrgen: --cover selects the variants: ")
