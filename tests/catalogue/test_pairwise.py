"""Covers: small sets of files that stand for the whole grid."""

from dataclasses import replace

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.catalogue.pairwise import COVERS, cover

CATALOGUE = catalogues.load()


def of(count: int) -> Catalogue:
    """The catalogue's schedules with so many architectures."""
    one = CATALOGUE.architectures[0]
    return replace(CATALOGUE, architectures=tuple(replace(one, name=f"N{index:02d}") for index in range(count)))


def test_families_are_one_variant_a_family():
    """``families``: each architecture with the same variants, one of each family."""
    found = cover(CATALOGUE, "families", CATALOGUE.architectures)
    assert len(found) == len(CATALOGUE.families) * len(CATALOGUE.architectures)
    for one in CATALOGUE.architectures:
        own = [variant.family for architecture, variant in found if architecture is one]
        assert sorted(own) == sorted(family.name for family in CATALOGUE.families)


@pytest.mark.parametrize("count", [1, 2, 38])
def test_pairwise_meets_every_family_unit_and_kind(count):
    """``pairwise``: each architecture meets every family, every unit, a layer-wise schedule and an own optimizer."""
    catalogue = of(count)
    found = cover(catalogue, "pairwise", catalogue.architectures)
    assert len(found) <= 15 * count
    for one in catalogue.architectures:
        own = [variant for architecture, variant in found if architecture.name == one.name]
        assert len({variant.number for variant in own}) == len(own)
        assert {variant.family for variant in own} == {family.name for family in catalogue.families}
        assert {variant.unit for variant in own} == {variant.unit for variant in catalogue.variants}
        assert any(variant.layerwise for variant in own)
        assert any(variant.optimizer for variant in own)


def test_pairwise_over_38_architectures_meets_every_variant():
    """The variants take turns: all are met, and so is each family in each of its units."""
    catalogue = of(38)
    found = cover(catalogue, "pairwise", catalogue.architectures)
    assert {variant.number for _, variant in found} == {variant.number for variant in catalogue.variants}


@pytest.mark.parametrize("how", COVERS)
def test_a_cover_does_not_depend_on_the_selection(how):
    """An architecture chosen alone meets the variants that it meets among all."""
    catalogue = of(5)
    for one in catalogue.architectures:
        whole = [pair for pair in cover(catalogue, how, catalogue.architectures) if pair[0].name == one.name]
        assert cover(catalogue, how, [one]) == whole


def test_an_unknown_cover_is_refused(lrgen):
    """The command names it and the two that there are."""
    code, _, err = lrgen("verify", "--cover", "everything")
    assert code == 2
    assert "everything" in err
    assert "pairwise" in err


def test_a_cover_chooses_the_variants_itself(lrgen):
    """Together with --variant it is refused."""
    code, _, err = lrgen("verify", "--cover", "pairwise", "--variant", "1")
    assert code == 2
    assert "--cover" in err
