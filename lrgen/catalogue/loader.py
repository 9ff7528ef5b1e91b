"""Loading of the catalogue from folders of templates, and lookups in it."""

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lrgen.catalogue import architectures, practices, schedules
from lrgen.config import Settings
from lrgen.errors import CatalogueError, ParameterError, UnknownNameError
from lrgen.files import read_bytes
from lrgen.records import Architecture, Family, Practice, Variant

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "templates"  # in a checkout, templates/ is beside the package
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "templates"

_HUGGING_FACE = "HF_"  # prefix of the names of transformers' schedules
_HYPHEN = re.compile(r"-(?=\d)")  # which people write before the number of a network
FIRST_USER_NUMBER = 900  # lrgen's own variants have smaller numbers


_Named = TypeVar("_Named")


@dataclass(frozen=True)
class Catalogue:
    """All families, variants, architectures and practices, ordered by number or name."""

    folders: tuple[Path, ...]
    families: tuple[Family, ...]
    architectures: tuple[Architecture, ...]
    practices: tuple[Practice, ...] = ()
    with_practice: tuple[Variant, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """A hash of all templates and catalogue files, computed at the first access."""
        return _digest(self.folders)

    @property
    def schedules(self) -> tuple[Variant, ...]:
        """The variants without a practice, ordered by number."""
        variants = (variant for family in self.families for variant in family.variants)
        return tuple(sorted(variants, key=lambda variant: variant.number))

    @property
    def variants(self) -> tuple[Variant, ...]:
        """All variants, with a practice and without, ordered by number."""
        return tuple(sorted((*self.schedules, *self.with_practice), key=lambda variant: variant.number))

    def variant(self, number_or_name: str | int) -> Variant:
        """The variant with a number (``7``, ``007``, ``A0_007``), a name or a former name.

        Raises:
            UnknownNameError: if there is none.
        """
        text = str(number_or_name).strip()
        digits = text.removeprefix("A0_").lstrip("0")
        for variant in self.variants:
            if digits == str(variant.number):
                return variant
            if text and text in (variant.name, variant.former_name):
                return variant
        known = [name for variant in self.variants for name in (variant.name, variant.key)]
        raise UnknownNameError("variant", text, known)

    def family(self, name: str) -> Family:
        """The family with a name.

        Raises:
            UnknownNameError: if there is none.
        """
        return _named("family", name, {family.name: family for family in self.families})

    def practice(self, name: str) -> Practice:
        """The practice with a name.

        Raises:
            UnknownNameError: if there is none.
        """
        return _named("practice", name, {practice.name: practice for practice in self.practices})

    def of_practice(self, name: str) -> tuple[Variant, ...]:
        """The variants with a practice of this name, or with one of this kind.

        Raises:
            UnknownNameError: if there is no such practice and no such kind.
        """
        kinds = {practice.kind.value for practice in self.practices}
        if name not in kinds and all(name != practice.name for practice in self.practices):
            raise UnknownNameError("practice", name, [*(practice.name for practice in self.practices), *sorted(kinds)])
        return tuple(
            variant
            for variant in self.with_practice
            if variant.practice is not None and name in (variant.practice.name, variant.practice.kind)
        )

    def architecture(self, name: str) -> Architecture:
        """The architecture or the variation with a name or a title: ``VGG13``, ``VGG-13``, ``VGG-13-BN``.

        Raises:
            UnknownNameError: if there is none.
        """
        named = self._titled.get(name, name)
        if named not in self._networks and (joined := _HYPHEN.sub("", name)) in self._networks:
            named = joined
        return _named("model", named, self._networks)

    @functools.cached_property
    def _networks(self) -> dict[str, Architecture]:
        """All architectures, then all variations, by name."""
        variations = (variation for architecture in self.architectures for variation in architecture.variations)
        return {architecture.name: architecture for architecture in (*self.architectures, *variations)}

    @functools.cached_property
    def _titled(self) -> dict[str, str]:
        """The names of networks by title; a title that two have, or that is a name, stands for none."""
        counted = Counter(network.title for network in self._networks.values())
        return {
            network.title: network.name
            for network in self._networks.values()
            if counted[network.title] == 1 and network.title not in self._networks
        }

    def select(
        self, variants: Iterable[str] = (), families: Iterable[str] = (), practices: Iterable[str] = ()
    ) -> tuple[Variant, ...]:
        """The variants with these numbers, names or ranges (``1-50``) and of these families; by default all variants.

        Of them only those remain that have one of the ``practices``, which are names or kinds, if any are given. The
        variants of a family with a practice are those whose schedule is of that family.

        Raises:
            UnknownNameError: if a name does not exist.
            ParameterError: if a range ends before it begins.
        """
        numbers = {number for name in variants for number in self._numbers(name)}
        numbers |= {variant.number for name in families for variant in self.family(name).variants}
        wanted = list(practices)
        if not wanted:
            return tuple(variant for variant in self.variants if not numbers or variant.number in numbers)
        chosen = {variant.number: variant for name in wanted for variant in self.of_practice(name)}
        return tuple(
            variant for number, variant in sorted(chosen.items()) if not numbers or numbers & {number, variant.schedule}
        )

    def _numbers(self, name: str) -> range:
        first, dash, last = name.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal()):
            first = last = name
        numbers = range(self.variant(first).number, self.variant(last).number + 1)
        if not numbers:
            raise ParameterError(f"variant: the range {name} ends before it begins")
        return numbers


def _named(kind: str, name: str, known: Mapping[str, _Named]) -> _Named:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def of(settings: Settings) -> Catalogue:
    """The catalogue as configured: with the user's templates, and without schedules that are disabled."""
    catalogue = load(settings.templates)
    if settings.enable_huggingface_schedulers:
        return catalogue
    families = tuple(
        replace(
            family, variants=tuple(variant for variant in family.variants if not variant.name.startswith(_HUGGING_FACE))
        )
        for family in catalogue.families
    )
    kept = {variant.number for family in families for variant in family.variants}
    return replace(
        catalogue,
        families=tuple(family for family in families if family.variants),
        with_practice=tuple(variant for variant in catalogue.with_practice if variant.schedule in kept),
    )


def load(extra: Iterable[Path] = ()) -> Catalogue:
    """Load the shipped templates and those in a user's folders.

    Raises:
        CatalogueError: if a template or catalogue file is invalid; it names the file, the key and the value.
    """
    folders = (SHIPPED, *(Path(folder) for folder in extra))
    for folder in folders:
        if not folder.is_dir():
            raise CatalogueError(f"there is no folder of templates at {folder}")
    families = [
        schedules.family(folder, own=SHIPPED not in folder.parents)
        for folder in _kinds(folders, "schedulers", "family.toml")
    ]
    loaded_architectures = [
        architectures.architecture(folder, folders) for folder in _kinds(folders, "architectures", "architecture.toml")
    ]
    if not families or not loaded_architectures:
        raise CatalogueError(f"no families or no architectures under {SHIPPED}")
    _check_unique("family", families)
    _check_unique("architecture", loaded_architectures)
    _check_variations(loaded_architectures)
    loaded_practices = practices.load(SHIPPED, [variant for family in families for variant in family.variants])
    _check_numbers(families, loaded_practices)
    _check_equivalents(families)
    return Catalogue(
        folders=folders,
        families=tuple(sorted(families, key=lambda family: family.name)),
        architectures=tuple(sorted(loaded_architectures, key=lambda architecture: architecture.name)),
        practices=tuple(practice for of_kind in loaded_practices for practice in of_kind.practices),
        with_practice=tuple(
            sorted(
                (variant for of_kind in loaded_practices for variant in of_kind.variants),
                key=lambda variant: variant.number,
            )
        ),
    )


def _kinds(folders: Iterable[Path], kind: str, marker: str) -> Iterator[Path]:
    """The folders below ``kind`` in each folder of templates, each with a file ``marker``."""
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


def _check_unique(kind: str, items: Iterable[Any]) -> None:
    folders: dict[str, Path] = {}
    for item in items:
        if item.name in folders:
            raise CatalogueError(f"{item.folder}: there is another {kind} of this name at {folders[item.name]}")
        folders[item.name] = item.folder


def _check_variations(loaded: Iterable[Architecture]) -> None:
    """Require each variation to have a name that no other network has."""
    owners = {architecture.name: architecture for architecture in loaded}
    for architecture in loaded:
        for variation in architecture.variations:
            owner = owners.setdefault(variation.name, variation)
            if owner is not variation:
                place = f"{architecture.folder / 'architecture.toml'}: variations.{variation.name}"
                raise CatalogueError(f"{place}: there is another network of this name at {owner.folder}")


def _check_numbers(families: Iterable[Family], with_practice: Iterable[practices.OfKind]) -> None:
    paths: dict[int, Path] = {}
    names: dict[str, int] = {}
    places = [(family.folder / "family.toml", family.variants) for family in families]
    places += [(of_kind.path, of_kind.variants) for of_kind in with_practice]
    for path, variants in places:
        for variant in variants:
            if variant.number in paths:
                raise CatalogueError(
                    f"{path}: number: {variant.number} ({variant.name}) is taken in {paths[variant.number]}"
                )
            paths[variant.number] = path
            for name in filter(None, (variant.name, variant.former_name)):
                if name in names:
                    raise CatalogueError(f"{path}: name: {name} is taken by variant {names[name]}")
                names[name] = variant.number
    for expected, number in enumerate(sorted(n for n in paths if n < FIRST_USER_NUMBER), start=1):
        if SHIPPED not in paths[number].parents:
            raise CatalogueError(
                f"{paths[number]}: number: {number} is reserved for lrgen; user variants start at {FIRST_USER_NUMBER}"
            )
        if number != expected:
            raise CatalogueError(f"{paths[number]}: number: {number} leaves a gap, there is no variant {expected}")


def _check_equivalents(families: Iterable[Family]) -> None:
    pairs = [(family, variant) for family in families for variant in family.variants]
    known = {variant.number: variant for _, variant in pairs}
    for family, variant in pairs:
        other = variant.equivalent_to
        if other is None:
            continue
        place = f"{family.folder / 'family.toml'}: variant {variant.number}: equivalent_to"
        if other not in known or other == variant.number:
            raise CatalogueError(f"{place}: there is no other variant {other}")
        if known[other].equivalent_to is not None:
            raise CatalogueError(f"{place}: {other} is itself an equivalent of {known[other].equivalent_to}")


def _digest(folders: Iterable[Path]) -> str:
    """The SHA-256 of what determines the rendered files: templates, catalogue files and the renderer."""
    digest = hashlib.sha256((_PACKAGE / "render" / "renderer.py").read_bytes())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".toml", ".jinja"):
                content = read_bytes(path)
                digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()
