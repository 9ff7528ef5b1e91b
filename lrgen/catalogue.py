"""TOML under ``templates/`` → validated records; an unknown key is an error that names file and key."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli  # compiled: the standard library takes three times as long, and every command reads the catalogue
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from lrgen import records
from lrgen.config import Settings
from lrgen.errors import CatalogueError, UnknownNameError
from lrgen.records import (
    Architecture,
    Budget,
    Collection,
    Family,
    Hyperparameter,
    Metric,
    PastEnd,
    Recipe,
    Unit,
    Variant,
    WrittenOptimizer,
)

_HERE = Path(__file__).resolve().parent
SHIPPED = _HERE / "templates" if (_HERE / "templates").is_dir() else _HERE.parent / "templates"

_HUGGING_FACE = "HF_"  # how the names of the variants begin that are transformers' schedules
OWN_NUMBERS = 900  # numbers from here on are for the families of users

_Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Sentence = Annotated[str, Field(min_length=1)]
_Layer = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*(\.\*|( [A-Za-z_]\w*(\.\w+)*)*)$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _HyperparameterTable(_Table):
    default: StrictInt | StrictFloat | str
    meaning: _Sentence
    low: Annotated[float, Field(ge=0, le=1)] = 0.0
    high: Annotated[float, Field(ge=0, le=1)] = 1.0


class _OptimizerTable(_Table):
    name: _Identifier
    lr: Annotated[float, Field(gt=0)]


class _VariantTable(_Table):
    number: Annotated[int, Field(ge=1, le=999)]
    name: _Identifier
    title: _Sentence
    summary: _Sentence
    formula: _Sentence
    unit: Unit
    past_end: PastEnd
    template: _Identifier
    curve: _Identifier
    source: _Sentence
    paper: str = ""
    metric: Metric | None = None
    cadence: Unit | None = None
    layerwise: bool = False
    optimizer: _OptimizerTable | None = None
    hyperparameters: dict[_Identifier, _HyperparameterTable] = {}
    constants: dict[_Identifier, Any] = {}
    equivalent_to: int | None = None
    equivalent_within: Annotated[float, Field(gt=0)] = 1e-9
    tolerance: Annotated[float, Field(gt=0, le=1e-3)] = 1e-9


class _FamilyTable(_Table):
    title: _Sentence
    summary: _Sentence
    variant: Annotated[list[_VariantTable], Field(min_length=1)]


class _RecipeTable(_Table):
    optimizer: Annotated[str, Field(pattern="^(sgd|adamw)$")]
    lr: Annotated[float, Field(gt=0)]
    batch: Annotated[int, Field(ge=1)]
    source: _Sentence
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, validate_default=True)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @field_validator("weight_decay")
    @classmethod
    def _decays(cls, weight_decay: float, info: ValidationInfo) -> float:
        if info.data.get("optimizer") == "adamw" and not weight_decay:
            raise ValueError("AdamW decays the weights: name by how much")
        return weight_decay


class _BudgetTable(_Table):
    images: Annotated[int, Field(ge=10)]
    pixels: Annotated[int, Field(ge=8)]
    batch: Annotated[int, Field(ge=2)]
    epochs: Annotated[int, Field(ge=1)]
    lr: Annotated[float, Field(ge=0)] = 0.0
    own_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    seconds: Annotated[float, Field(gt=0, le=60)] = 60.0


class _ArchitectureTable(_Table):
    title: Annotated[str, Field(min_length=1, max_length=22)]  # the first line of a docstring holds a schedule's too
    summary: _Sentence
    paper: _Sentence
    reference: _Sentence
    parameters: Annotated[int, Field(ge=1)]
    reference_pixels: Annotated[int, Field(ge=1)]
    reference_classes: Annotated[int, Field(ge=2)]
    smallest_input: Annotated[int, Field(ge=1)]
    layers: Annotated[tuple[_Layer, ...], Field(min_length=1)]
    recipe: _RecipeTable
    budget: _BudgetTable | None = None
    collection: Collection = Collection.CORE
    template: str | None = None
    config: dict[str, Any] = {}


_T = TypeVar("_T", bound=_Table)
_Named = TypeVar("_Named")


@dataclass(frozen=True)
class Catalogue:
    """Every family, variant and architecture, in the order of their numbers and names."""

    folders: tuple[Path, ...]
    families: tuple[Family, ...]
    architectures: tuple[Architecture, ...]

    @functools.cached_property
    def digest(self) -> str:
        """What changes when any template or catalogue file changes; read when it is first asked for."""
        return _digest(self.folders)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """All variants in the order of their numbers."""
        everything = (variant for family in self.families for variant in family.variants)
        return tuple(sorted(everything, key=lambda variant: variant.number))

    def variant(self, wanted: str | int) -> Variant:
        """The variant with a number (``7``, ``007``, ``A0_007``) or a name.

        Raises:
            UnknownNameError: when there is none.
        """
        text = str(wanted).strip()
        digits = text.removeprefix("A0_")
        for variant in self.variants:
            if variant.name == text or (digits.isascii() and digits.isdigit() and variant.number == int(digits)):
                return variant
        known = [name for variant in self.variants for name in (variant.name, variant.key)]
        raise UnknownNameError("variant", text, known)

    def family(self, name: str) -> Family:
        """The family with a name.

        Raises:
            UnknownNameError: when there is none.
        """
        return _named("family", name, {one.name: one for one in self.families})

    def user_folder(self, variant: Variant) -> Path | None:
        """The folder of the variant's family when it is a user's own, where its ``curves.py`` lies."""
        folder = self.family(variant.family).folder
        return None if SHIPPED in folder.parents else folder

    def architecture(self, name: str) -> Architecture:
        """The architecture with a name.

        Raises:
            UnknownNameError: when there is none.
        """
        return _named("model", name, {one.name: one for one in self.architectures})

    def select(self, variants: Iterable[str] = (), families: Iterable[str] = ()) -> tuple[Variant, ...]:
        """The variants that are named, lie in a range (``1-50``) or belong to a named family; without any, all.

        Raises:
            UnknownNameError: for a name that does not exist.
        """
        numbers = {number for name in variants for number in self._numbers(name)}
        numbers |= {variant.number for name in families for variant in self.family(name).variants}
        return tuple(variant for variant in self.variants if not numbers or variant.number in numbers)

    def _numbers(self, name: str) -> range:
        first, dash, last = name.partition("-")
        if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
            return range(self.variant(first).number, self.variant(last).number + 1)
        number = self.variant(name).number
        return range(number, number + 1)


def _named(kind: str, name: str, known: Mapping[str, _Named]) -> _Named:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def of(settings: Settings) -> Catalogue:
    """The catalogue as it is configured: with a user's templates, and without what is switched off."""
    catalogue = load(settings.templates)
    if settings.enable_huggingface_schedulers:
        return catalogue
    families = (
        replace(family, variants=tuple(one for one in family.variants if not one.name.startswith(_HUGGING_FACE)))
        for family in catalogue.families
    )
    return replace(catalogue, families=tuple(family for family in families if family.variants))


def load(extra: Iterable[Path] = ()) -> Catalogue:
    """Read the shipped templates and those of a user.

    Raises:
        CatalogueError: for anything that is wrong with them; it names the file, the key and the value.
    """
    folders = (SHIPPED, *(Path(folder) for folder in extra))
    for folder in folders:
        if not folder.is_dir():
            raise CatalogueError(f"there is no folder of templates at {folder}")
    families = [_family(folder) for folder in _kinds(folders, "schedulers", "family.toml")]
    architectures = [_architecture(folder, folders) for folder in _kinds(folders, "architectures", "architecture.toml")]
    if not families or not architectures:
        raise CatalogueError(f"no families or no architectures under {SHIPPED}")
    _check_unique("family", families)
    _check_unique("architecture", architectures)
    _check_numbers(families)
    _check_equivalents(families)
    return Catalogue(
        folders=folders,
        families=tuple(sorted(families, key=lambda family: family.name)),
        architectures=tuple(sorted(architectures, key=lambda architecture: architecture.name)),
    )


def _kinds(folders: Iterable[Path], kind: str, marker: str) -> Iterator[Path]:
    for root in folders:
        parent = root / kind
        if not parent.is_dir():
            continue
        for folder in sorted(parent.iterdir()):
            if not folder.is_dir() or folder.name.startswith(("_", ".")):
                continue
            if not (folder / marker).is_file():
                raise CatalogueError(f"{folder}: there is no {marker}")
            yield folder


def _read(path: Path, table: type[_T]) -> _T:
    try:
        return table.model_validate(tomli.loads(path.read_text(encoding="utf-8")))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        # A misspelt key is missing and unknown: what stands there says more than what does not.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] in ("missing", "extra_forbidden") else f", got {first['input']!r}"
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise CatalogueError(f"{path}: {place}: {problem}{value}") from error


def _family(folder: Path) -> Family:
    path = folder / "family.toml"
    table = _read(path, _FamilyTable)
    variants = []
    for entry in table.variant:
        template = folder / f"{entry.template}.py.jinja"
        if not template.is_file():
            raise CatalogueError(f"{path}: variant {entry.number}: template: there is no {template.name} beside it")
        clash = entry.hyperparameters.keys() & entry.constants.keys()
        if clash:
            raise CatalogueError(f"{path}: variant {entry.number}: {min(clash)} is a hyperparameter and a constant")
        driven = (entry.metric, entry.cadence) if entry.unit is Unit.METRIC else (None, None)
        if driven != (entry.metric, entry.cadence) or (entry.unit is Unit.METRIC and None in driven):
            raise CatalogueError(
                f"{path}: variant {entry.number}: metric and cadence belong to unit metric, and only to it: "
                f"got unit {entry.unit.value}, metric {entry.metric}, cadence {entry.cadence}"
            )
        if entry.cadence is Unit.METRIC:
            raise CatalogueError(f"{path}: variant {entry.number}: cadence: must be epoch or batch, got metric")
        values = entry.model_dump(exclude={"hyperparameters", "optimizer"})
        hyperparameters = tuple(
            _hyperparameter(path, entry.number, name, value) for name, value in entry.hyperparameters.items()
        )
        optimizer = WrittenOptimizer(**entry.optimizer.model_dump()) if entry.optimizer else None
        variants.append(Variant(family=folder.name, hyperparameters=hyperparameters, optimizer=optimizer, **values))
    return Family(folder.name, table.title, table.summary, folder, tuple(variants))


def _hyperparameter(path: Path, number: int, name: str, table: _HyperparameterTable) -> Hyperparameter:
    place = f"{path}: variant {number}: hyperparameters.{name}.default"
    try:
        value, text = records.parse_number(table.default)
    except (ValueError, ZeroDivisionError) as error:
        raise CatalogueError(
            f'{place}: neither a number nor a fraction such as "1/3", got {table.default!r}'
        ) from error
    if not table.low <= value <= table.high:
        raise CatalogueError(f"{place}: must lie in [{table.low}, {table.high}], got {value}")
    return Hyperparameter(name, value, text, table.low, table.high, table.meaning)


def _architecture(folder: Path, folders: tuple[Path, ...]) -> Architecture:
    path = folder / "architecture.toml"
    table = _read(path, _ArchitectureTable)
    template = f"architectures/{table.template or f'{folder.name}/network.py.jinja'}"
    if not any((root / template).is_file() for root in folders):
        raise CatalogueError(f"{path}: template: there is no {template}")
    return Architecture(
        name=folder.name,
        folder=folder,
        template=template,
        recipe=Recipe(**table.recipe.model_dump()),
        budget=Budget(**table.budget.model_dump()) if table.budget else None,
        **table.model_dump(exclude={"recipe", "budget", "template"}),
    )


def _check_unique(kind: str, items: Iterable[Any]) -> None:
    seen: dict[str, Path] = {}
    for item in items:
        if item.name in seen:
            raise CatalogueError(f"{item.folder}: there is a {kind} of this name at {seen[item.name]}")
        seen[item.name] = item.folder


def _check_numbers(families: Iterable[Family]) -> None:
    places: dict[int, Path] = {}
    names: dict[str, int] = {}
    for family in families:
        for variant in family.variants:
            path = family.folder / "family.toml"
            if variant.number in places:
                raise CatalogueError(
                    f"{path}: number: {variant.number} ({variant.name}) is taken in {places[variant.number]}"
                )
            if variant.name in names:
                raise CatalogueError(f"{path}: name: {variant.name} is taken by variant {names[variant.name]}")
            places[variant.number] = path
            names[variant.name] = variant.number
    for expected, number in enumerate(sorted(n for n in places if n < OWN_NUMBERS), start=1):
        if SHIPPED not in places[number].parents:
            raise CatalogueError(f"{places[number]}: number: {number} is lrgen's, your own begin at {OWN_NUMBERS}")
        if number != expected:
            raise CatalogueError(f"{places[number]}: number: {number} leaves a gap, there is no variant {expected}")


def _check_equivalents(families: Iterable[Family]) -> None:
    everything = tuple(families)
    known = {variant.number: variant for family in everything for variant in family.variants}
    for family in everything:
        for variant in family.variants:
            other = variant.equivalent_to
            if other is None:
                continue
            place = f"{family.folder / 'family.toml'}: variant {variant.number}: equivalent_to"
            if other not in known or other == variant.number:
                raise CatalogueError(f"{place}: there is no other variant {other}")
            if known[other].equivalent_to is not None:
                raise CatalogueError(f"{place}: {other} is itself an equivalent of {known[other].equivalent_to}")


def _digest(folders: Iterable[Path]) -> str:
    """The sha256 of all that decides what is rendered: the templates, their catalogue and the renderer."""
    digest = hashlib.sha256((_HERE / "render.py").read_bytes())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".toml", ".jinja"):
                content = path.read_bytes()
                digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()
