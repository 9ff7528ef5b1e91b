"""Families of schedules, read from the folders under ``templates/schedulers``."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt

from lrgen import records
from lrgen.catalogue import toml
from lrgen.catalogue.toml import Identifier, Sentence, Table
from lrgen.errors import CatalogueError, shown
from lrgen.records import AddedGroup, Family, Hyperparameter, Metric, PastEnd, Unit, Variant, WrittenOptimizer


class HyperparameterTable(Table):
    """A hyperparameter: its default, its meaning and its range."""

    default: StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=True)] | str  # hyperparameter checks its range
    meaning: Sentence
    low: Annotated[StrictFloat, Field(ge=0, le=1)] = 0.0
    high: Annotated[StrictFloat, Field(ge=0, le=1)] = 1.0


class _OptimizerTable(Table):
    name: Identifier
    lr: Annotated[StrictFloat, Field(gt=0)]
    weight_decay: Annotated[StrictFloat, Field(ge=0)] = 0.0
    source: str = ""


class _VariantTable(Table):
    number: Annotated[StrictInt, Field(ge=1, le=999)]
    name: Identifier
    former_name: Identifier | None = None
    title: Sentence
    summary: Sentence
    formula: Sentence
    unit: Unit
    past_end: PastEnd
    template: Identifier
    curve: Identifier
    source: Sentence
    paper: str = ""
    metric: Metric | None = None
    cadence: Unit | None = None
    layerwise: bool = False
    added_group: AddedGroup | None = None
    optimizer: _OptimizerTable | None = None
    hyperparameters: dict[Identifier, HyperparameterTable] = Field(default_factory=dict)
    constants: dict[Identifier, Any] = Field(default_factory=dict)
    equivalent_to: StrictInt | None = None
    equivalent_within: Annotated[StrictFloat, Field(gt=0)] = 1e-9
    tolerance: Annotated[StrictFloat, Field(gt=0, le=1e-3)] = 1e-9


class _FamilyTable(Table):
    title: Sentence
    summary: Sentence
    variant: Annotated[list[_VariantTable], Field(min_length=1)]


def family(folder: Path, own: bool = False) -> Family:
    """The family in a folder; the curves of a user's own family are in the same folder.

    Raises:
        CatalogueError: if the family is invalid; it names the file, the key and the value.
    """
    path = folder / "family.toml"
    table = toml.read(path, _FamilyTable)
    variants = []
    for entry in table.variant:
        template = folder / f"{entry.template}.py.jinja"
        if not template.is_file():
            raise CatalogueError(f"{path}: variant {entry.number}: template: there is no {template.name} beside it")
        clash = entry.hyperparameters.keys() & entry.constants.keys()
        if clash:
            raise CatalogueError(
                f"{path}: variant {entry.number}: {min(clash)} is both a hyperparameter and a constant"
            )
        given = (entry.metric is not None, entry.cadence is not None)
        if given != (entry.unit is Unit.METRIC,) * 2:
            raise CatalogueError(
                f"{path}: variant {entry.number}: metric and cadence belong to unit metric and to no other: "
                f"got unit {entry.unit.value}, metric {entry.metric}, cadence {entry.cadence}"
            )
        if entry.cadence is Unit.METRIC:
            raise CatalogueError(f"{path}: variant {entry.number}: cadence: must be epoch or batch, got metric")
        values = entry.model_dump(exclude={"hyperparameters", "optimizer"})
        hyperparameters = tuple(
            hyperparameter(f"{path}: variant {entry.number}", name, value)
            for name, value in entry.hyperparameters.items()
        )
        optimizer = WrittenOptimizer(**entry.optimizer.model_dump()) if entry.optimizer else None
        values |= {"hyperparameters": hyperparameters, "optimizer": optimizer, "former_name": entry.former_name or ""}
        if not own:  # most of torch's schedulers have as many learning rates as there were groups at first
            values["added_group"] = entry.added_group or AddedGroup.RAISES
        variants.append(Variant(family=folder.name, curves_folder=folder if own else None, **values))
    return Family(folder.name, table.title, table.summary, folder, tuple(variants))


def hyperparameter(owner: str, name: str, table: HyperparameterTable) -> Hyperparameter:
    """The hyperparameter of a table; ``owner`` says in an error whose it is.

    Raises:
        CatalogueError: if its default is no number in its range.
    """
    place = f"{owner}: hyperparameters.{name}.default"
    try:
        value, text = records.parse_number(table.default)
    except (ValueError, ArithmeticError) as error:
        got = shown(table.default)
        raise CatalogueError(f'{place}: neither a number nor a fraction such as "1/3", got {got}') from error
    if not table.low <= value <= table.high:
        raise CatalogueError(f"{place}: must lie in [{table.low}, {table.high}], got {value}")
    return Hyperparameter(name, value, text, table.low, table.high, table.meaning)
