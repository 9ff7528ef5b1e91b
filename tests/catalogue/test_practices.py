"""Practices in the catalogue: their variants, selections of them, and errors of their files."""

import re
import shutil
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue, loader
from lrgen.errors import CatalogueError, UnknownNameError
from lrgen.records import PracticeKind, Unit

SHARED = ("family", "template", "title", "summary", "formula", "unit", "curve", "hyperparameters", "constants")


def test_a_variant_with_a_practice_has_the_schedule_that_it_names(catalogue: Catalogue):
    """All that describes a schedule is that of the variant whose schedule it uses, and it is no equivalent."""
    assert catalogue.with_practice
    for variant in catalogue.with_practice:
        assert variant.practice is not None
        assert variant.schedule is not None
        schedule = catalogue.variant(variant.schedule)
        assert schedule.practice is None
        assert [getattr(variant, name) for name in SHARED] == [getattr(schedule, name) for name in SHARED]
        assert variant.equivalent_to is None
        assert variant.full_title == f"{schedule.title} {variant.practice.title}"


def test_schedules_and_variants_with_a_practice_are_all_variants(catalogue: Catalogue):
    """The schedules are the variants without a practice, and families have no others."""
    assert {variant.practice for variant in catalogue.schedules} == {None}
    assert sorted(variant.number for variant in (*catalogue.schedules, *catalogue.with_practice)) == [
        variant.number for variant in catalogue.variants
    ]


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_each_precision_is_over_six_schedules_of_both_units(catalogue: Catalogue, name: str):
    """Six different schedules have the precision, some that advance once per epoch and some once per batch."""
    variants = catalogue.of_practice(name)
    assert len({variant.schedule for variant in variants}) == 6
    assert {variant.unit for variant in variants} == {Unit.EPOCH, Unit.BATCH}


def test_practices_are_selected_by_name_and_by_kind(catalogue: Catalogue):
    """A kind selects all its practices; schedules and families restrict the selection to theirs."""
    of_kind = catalogue.select(practices=["precision"])
    assert of_kind == (*catalogue.select(practices=["bf16"]), *catalogue.select(practices=["fp16"]))
    assert catalogue.select(practices=["bf16", "fp16"]) == of_kind
    [only] = catalogue.select(["OneCycleLR_default"], practices=["bf16"])
    assert only.name == "bf16_onecycle"
    assert {variant.family for variant in catalogue.select((), ["wsd"], ["fp16"])} == {"wsd"}


def test_an_unknown_practice_is_an_error_with_similar_names(catalogue: Catalogue):
    """A name that is neither a practice nor a kind is an error that suggests one."""
    with pytest.raises(UnknownNameError, match=r"^unknown practice 'bf17': did you mean bf16"):
        catalogue.select(practices=["bf17"])


WRONG = {
    "a schedule that does not exist": ('"StepLR_default"', '"StepLR"', "schedule: there is no variant StepLR$"),
    "a metric-driven schedule": (
        '"StepLR_default"',
        '"ReduceLROnPlateau_patience_5"',
        "bf16 needs a schedule that advances once per epoch or batch, ReduceLROnPlateau_patience_5 advances once per",
    ),
    "another practice": ('practice = "bf16"', 'practice = "bf8"', "practice: there is no bf8 in this file$"),
    "a missing template": ('template = "bf16"', 'template = "half"', r"there is no half\.py\.jinja beside it$"),
    "a name that is taken": ('name = "bf16_step"', 'name = "StepLR_default"', "StepLR_default is taken by variant 1$"),
    "a number that is taken": ("number = 178", "number = 177", r"177 \(schedule_free_adamw\) is taken|177 .* is taken"),
    "an unknown key": ("request =", "requests =", "unknown key"),
    "the name of another kind": ('name = "bf16"\n', 'name = "mixup"\n', "mixup is taken in "),
}


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped templates, which the catalogue is loaded from."""
    copied = tmp_path / "templates"
    shutil.copytree(catalogues.SHIPPED, copied)
    monkeypatch.setattr(loader, "SHIPPED", copied)
    return copied


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_practice_is_an_error(templates: Path, old: str, new: str, message: str):
    """An invalid entry is an error that names the file and the value."""
    path = templates / "training" / PracticeKind.PRECISION / "practices.toml"
    text = path.read_text()
    assert old in text
    replaced = text.replace(old, new, 1)
    if new == 'name = "mixup"\n':
        replaced = replaced.replace('practice = "bf16"', 'practice = "mixup"')
    path.write_text(replaced)
    with pytest.raises(CatalogueError, match=message) as error:
        catalogues.load()
    assert re.search(r"practices\.toml|family\.toml", str(error.value))


@pytest.mark.parametrize("kind", [kind for kind in PracticeKind if kind is not PracticeKind.LABEL_SMOOTHING])
def test_a_kind_refuses_a_schedule_that_a_metric_drives(templates: Path, catalogue: Catalogue, kind: PracticeKind):
    """A practice that changes how an epoch goes on cannot have such a schedule; the error names both."""
    variant = catalogue.of_practice(kind)[0]
    assert variant.practice is not None
    assert variant.schedule is not None
    path = templates / "training" / kind / "practices.toml"
    old, new = catalogue.variant(variant.schedule).name, "ReduceLROnPlateau_patience_5"
    path.write_text(path.read_text().replace(f'schedule = "{old}"', f'schedule = "{new}"', 1))
    reason = (
        f"variant {variant.number}: schedule: {variant.practice.name} needs a schedule that advances once per epoch"
    )
    with pytest.raises(CatalogueError, match=f"{reason} or batch, {new} advances once per metric$"):
        catalogues.load()


@pytest.mark.parametrize("value", ["0.0", "1.5", "-0.25"])
@pytest.mark.parametrize("name", ["start_fraction", "full_fraction"])
def test_a_pacing_fraction_outside_its_range_is_an_error(templates: Path, name: str, value: str):
    """The default of a pacing fraction is in (0, 1]; the error names practice, fraction and value."""
    path = templates / "training" / PracticeKind.CURRICULUM / "practices.toml"
    path.write_text(
        re.sub(rf"{name} = {{ default = [0-9.]+", f"{name} = {{ default = {value}", path.read_text(), count=1)
    )
    reason = rf"practice easy_first_linear: hyperparameters\.{name}\.default: must lie in .*, got {value}$"
    with pytest.raises(CatalogueError, match=reason):
        catalogues.load()
