"""Practices of the training loop, read from ``templates/training/<kind>/practices.toml``, and variants with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictInt

from lrgen.catalogue import toml
from lrgen.catalogue.schedules import HyperparameterTable, hyperparameter
from lrgen.catalogue.toml import Identifier, Sentence, Table
from lrgen.errors import CatalogueError
from lrgen.records import Practice, PracticeKind, Unit, Variant

_FILE = "practices.toml"


class _PracticeTable(Table):
    name: Identifier
    title: Sentence
    summary: Sentence
    request: Sentence
    source: Sentence
    template: Identifier
    paper: str = ""
    states: dict[Identifier, Sentence] = Field(default_factory=dict)
    requirements: tuple[Sentence, ...] = ()
    hyperparameters: dict[Identifier, HyperparameterTable] = Field(default_factory=dict)
    constants: dict[Identifier, Any] = Field(default_factory=dict)


class _VariantTable(Table):
    number: Annotated[StrictInt, Field(ge=1, le=999)]
    name: Identifier
    practice: Identifier
    schedule: Identifier


class _KindTable(Table):
    units: tuple[Unit, ...] = (Unit.EPOCH, Unit.BATCH)
    practice: Annotated[list[_PracticeTable], Field(min_length=1)]
    variant: Annotated[list[_VariantTable], Field(min_length=1)]


@dataclass(frozen=True)
class OfKind:
    """The practices of one kind, and the variants with them; ``path`` is the file that describes both."""

    path: Path
    practices: tuple[Practice, ...]
    variants: tuple[Variant, ...]


def load(templates: Path, schedules: Iterable[Variant]) -> list[OfKind]:
    """The practices in a folder of templates, in the order of the kinds.

    Raises:
        CatalogueError: if one is invalid, or its schedule does not exist or cannot have it; it names file and value.
    """
    by_name = {variant.name: variant for variant in schedules}
    paths = {kind: templates / "training" / kind / _FILE for kind in PracticeKind}
    loaded = [_of_kind(path, kind, by_name) for kind, path in paths.items() if path.is_file()]
    names: dict[str, Path] = {kind.value: path for kind, path in paths.items()}
    for of_kind in loaded:
        for name in (practice.name for practice in of_kind.practices):
            if names.setdefault(name, of_kind.path) != of_kind.path:
                raise CatalogueError(f"{of_kind.path}: practice.name: {name} is taken in {names[name]}")
    return loaded


def _of_kind(path: Path, kind: PracticeKind, schedules: Mapping[str, Variant]) -> OfKind:
    table = toml.read(path, _KindTable)
    practices = {entry.name: _practice(path, kind, entry) for entry in table.practice}
    variants = tuple(_variants(path, table, practices, schedules))
    unused = practices.keys() - {variant.practice.name for variant in variants if variant.practice}
    if unused:
        raise CatalogueError(f"{path}: practice {min(unused)}: no variant uses it")
    return OfKind(path, tuple(practices.values()), variants)


def _practice(path: Path, kind: PracticeKind, entry: _PracticeTable) -> Practice:
    place = f"{path}: practice {entry.name}"
    template = path.parent / f"{entry.template}.py.jinja"
    if not template.is_file():
        raise CatalogueError(f"{place}: template: there is no {template.name} beside it")
    values = entry.model_dump(exclude={"hyperparameters"})
    hyperparameters = (hyperparameter(place, name, table) for name, table in entry.hyperparameters.items())
    return Practice(kind=kind, **values | {"hyperparameters": tuple(hyperparameters)})


def _variants(
    path: Path, table: _KindTable, practices: Mapping[str, Practice], schedules: Mapping[str, Variant]
) -> Iterator[Variant]:
    for entry in table.variant:
        place = f"{path}: variant {entry.number}"
        if entry.practice not in practices:
            raise CatalogueError(f"{place}: practice: there is no {entry.practice} in this file")
        practice, schedule = practices[entry.practice], schedules.get(entry.schedule)
        if schedule is None:
            raise CatalogueError(f"{place}: schedule: there is no variant {entry.schedule}")
        if schedule.unit not in table.units:
            allowed = " or ".join(unit.value for unit in table.units)
            raise CatalogueError(
                f"{place}: schedule: {practice.name} needs a schedule that advances once per {allowed}, "
                f"{schedule.name} advances once per {schedule.unit.value}"
            )
        clash = schedule.defaults.keys() & practice.defaults.keys()
        if clash:
            raise CatalogueError(f"{place}: {schedule.name} and {practice.name} both have {min(clash)}")
        yield replace(
            schedule,
            number=entry.number,
            name=entry.name,
            former_name="",
            equivalent_to=None,
            practice=practice,
            schedule=schedule.number,
        )
