"""Architectures with their recipes and budgets, read from the folders under ``templates/architectures``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, ValidationInfo, field_validator

from lrgen.catalogue import toml
from lrgen.catalogue.toml import Identifier, Sentence, Table
from lrgen.errors import CatalogueError
from lrgen.records import Architecture, Budget, Collection, Recipe

_Layer = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*(\.\*|( [A-Za-z_]\w*(\.\w+)*)*)$")]

_Suffix = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*$")]


class _RecipeTable(Table):
    optimizer: Identifier
    lr: Annotated[StrictFloat, Field(gt=0)]
    batch: Annotated[StrictInt, Field(ge=1)]
    source: Sentence
    momentum: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[StrictFloat, Field(ge=0, validate_default=True)] = 0.0
    label_smoothing: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.0
    clip_norm: Annotated[StrictFloat, Field(ge=0)] = 0.0
    dropout: Annotated[StrictFloat, Field(ge=0, lt=1)] = 0.0

    @field_validator("weight_decay")
    @classmethod
    def _adamw_needs_weight_decay(cls, weight_decay: float, info: ValidationInfo) -> float:
        if info.data.get("optimizer") == "adamw" and not weight_decay:
            raise ValueError("must be positive for AdamW")
        return weight_decay


class _BudgetTable(Table):
    images: Annotated[StrictInt, Field(ge=10)]
    pixels: Annotated[StrictInt, Field(ge=8)]
    batch: Annotated[StrictInt, Field(ge=2)]
    epochs: Annotated[StrictInt, Field(ge=1)]
    lr: Annotated[StrictFloat, Field(ge=0)] = 0.0
    own_rate: Annotated[StrictFloat, Field(gt=0, le=1)] = 1.0
    dropout: Annotated[StrictFloat, Field(ge=0, lt=1)] | None = None
    seconds: Annotated[StrictFloat, Field(gt=0, le=180)] = 180.0


class _ArchitectureTable(Table):
    title: Annotated[str, Field(min_length=1, max_length=22)]  # a docstring's first line has two titles
    summary: Sentence
    paper: Sentence
    reference: Sentence
    parameters: Annotated[StrictInt, Field(ge=1)]
    reference_pixels: Annotated[StrictInt, Field(ge=1)]
    reference_classes: Annotated[StrictInt, Field(ge=2)]
    smallest_input: Annotated[StrictInt, Field(ge=1)]
    layers: Annotated[tuple[_Layer, ...], Field(min_length=1)]
    no_decay: tuple[_Suffix, ...] = ()
    recipe: _RecipeTable
    budget: _BudgetTable | None = None
    collection: Collection = Collection.CORE
    template: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    variations: dict[Identifier, "_VariationTable"] = Field(default_factory=dict)


class _VariationTable(Table):
    """A variation: what it states itself. All else is as in its architecture; the merged table is validated."""

    title: str
    summary: str
    reference: str
    parameters: int
    paper: str | None = None
    reference_pixels: int | None = None
    smallest_input: int | None = None
    layers: tuple[str, ...] | None = None
    config: Annotated[dict[str, Any], Field(default_factory=dict)]
    recipe: Annotated[dict[str, Any], Field(default_factory=dict)]
    budget: Annotated[dict[str, Any], Field(default_factory=dict)]


def architecture(folder: Path, folders: tuple[Path, ...]) -> Architecture:
    """The architecture in a folder, whose template may be in any of the ``folders`` of templates.

    Raises:
        CatalogueError: if the architecture is invalid; it names the file, the key and the value.
    """
    path = folder / "architecture.toml"
    table = toml.read(path, _ArchitectureTable)
    template = f"architectures/{table.template or f'{folder.name}/network.py.jinja'}"
    if not any((root / template).is_file() for root in folders):
        raise CatalogueError(f"{path}: template: there is no {template}")
    optimizer = table.recipe.optimizer
    if optimizer == "own" or not any((root / f"training/optimizer/{optimizer}.py.jinja").is_file() for root in folders):
        files = (file for root in folders for file in (root / "training/optimizer").glob("*.py.jinja"))
        known = sorted({file.name.partition(".")[0] for file in files} - {"own"})  # own: the optimizer of a variant
        raise CatalogueError(f"{path}: recipe.optimizer: must be one of {', '.join(known)}, got {optimizer!r}")
    entry = _record(folder, template, table)
    variations = []
    for name, stated in table.variations.items():
        record = _record(folder, template, _varied(table, stated, f"{path}: variations.{name}"))
        variations.append(replace(record, name=name, variation_of=entry.name))
    return replace(entry, variations=tuple(variations))


def _varied(table: _ArchitectureTable, variation: _VariationTable, origin: str) -> _ArchitectureTable:
    """The table of an architecture with what a variation states, of config, recipe and budget key by key.

    Raises:
        CatalogueError: if it does not fit, or what varies is no number of the architecture's.
    """
    unknown = sorted(variation.config.keys() - table.config.keys())
    if unknown:
        raise CatalogueError(f"{origin}: config.{unknown[0]}: the architecture's config has no such key")
    if "optimizer" in variation.recipe:
        raise CatalogueError(f"{origin}: recipe.optimizer: a variation has the optimizer of its architecture")
    values = table.model_dump(exclude={"variations"})
    for key, stated in variation.model_dump(exclude_unset=True).items():
        values[key] = {**(values[key] or {}), **stated} if isinstance(stated, dict) else stated
    return toml.validated(values, _ArchitectureTable, origin)


def _record(folder: Path, template: str, table: _ArchitectureTable) -> Architecture:
    return Architecture(
        name=folder.name,
        folder=folder,
        template=template,
        recipe=Recipe(**table.recipe.model_dump()),
        budget=Budget(**table.budget.model_dump()) if table.budget else None,
        **table.model_dump(exclude={"recipe", "budget", "template", "variations"}),
    )
