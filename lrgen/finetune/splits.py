"""Assignment of examples to splits: by group, never by example.

Families that share a schedule form a component, which is assigned to a split, and with it examples that contain only a
schedule. A group is an architecture, with its variations, and a component; examples that contain a whole file follow
the group of the file. A group is in the split of its component, or, when the component is in training, in a split of
its own, so no file is in two splits. A group keeps its split while a corpus grows, unless a split would be empty.
Splits have a seed of their own: two builds whose other seeds differ can be joined.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Scope
from lrgen.finetune.rows import SPLITS, Split, exposure_of
from lrgen.source.normalise import digest, schedule_digest

# The fraction of the groups in the test split, and again in the validation split.
_FRACTION = 0.1
_FRACTION_PER_STAGE = _FRACTION / 2  # of the components, then of the groups of training components
_DRAWN = (Split.TEST, Split.VALIDATION, Split.TRAIN)


@dataclass(frozen=True)
class Assignment:
    """The split of an example and the group that determines it."""

    split: Split
    group: str


class Splits:
    """Assigns the examples of a corpus to splits.

    Holding out a family holds out its whole component, and holding out a network its architecture with all variations.
    An example with files of several groups is in the hardest of their splits, so no test file appears in training.
    ``groups`` are those of examples without files.

    Raises:
        DatasetError: when no selected file belongs to a held-out family or architecture, or all files are held out.
        UnknownNameError: when a held-out family or architecture does not exist.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        files: Sequence[VerifiedFile],
        seed: int,
        holdout_families: Iterable[str] = (),
        holdout_architectures: Iterable[str] = (),
        groups: Iterable[str] = (),
    ) -> None:
        self._seed = seed
        self._components = components(catalogue, files)
        self._families = {self._components[catalogue.family(name).name] for name in holdout_families}
        self._architectures = {catalogue.architecture(name).entry for name in holdout_architectures}
        present = {(file.architecture.entry, self._components[file.variant.family]) for file in files}
        _check_present("family", self._families, {component for _, component in present})
        _check_present("model", self._architectures, {architecture for architecture, _ in present})
        open_groups = {pair for pair in present if pair[1] not in self._families}
        of_networks = {
            f"{name}/{component}": component for name, component in open_groups if name not in self._architectures
        }
        if present and not of_networks:
            names = ", ".join([*holdout_families, *holdout_architectures])
            raise DatasetError(f"no file is left for training: {names} hold out all {len(files)} selected files")
        self._by_component = assign({component for _, component in open_groups}, seed, _FRACTION_PER_STAGE)
        training = [group for group, component in of_networks.items() if self._by_component[component] is Split.TRAIN]
        drawn = assign(training, seed, _FRACTION_PER_STAGE)
        if Split.TRAIN not in drawn.values():
            drawn = dict.fromkeys(training, Split.TRAIN)
        self._by_group = {group: drawn.get(group, self._by_component[of]) for group, of in of_networks.items()}
        self._without_files = assign(groups, seed)
        self.of_groups = frozenset(self._without_files.values()) or frozenset(_DRAWN)

    @property
    def held_out(self) -> dict[str, list[str]]:
        """The held-out families and architectures, by kind."""
        families = sorted(name for name, component in self._components.items() if component in self._families)
        return {"families": families, "architectures": sorted(self._architectures)}

    def of_file(self, file: VerifiedFile) -> Split:
        """Return the split of the examples that contain a whole file."""
        return self._of(file, Scope.FILE).split

    def of(self, example: Example) -> Assignment | None:
        """Return the assignment of an example.

        None for an example that would test nothing, because its completion is the same for every network and belongs
        to another split than its network.
        """
        if example.scope is Scope.NONE or not example.files:
            group = f"{example.task}/{example.group or example.key}"
            split = self._without_files.get(group)
            return Assignment(split or _drawn(_position(group, self._seed)), group)
        hardest = max(
            (self._of(file, example.scope) for file in example.files), key=lambda each: SPLITS.index(each.split)
        )
        if example.is_shared:
            of_schedules = {self._of_component(self._components[file.variant.family]) for file in example.files}
            if {exposure_of(split) for split in of_schedules} != {exposure_of(hardest.split)}:
                return None
        return hardest

    def _of(self, file: VerifiedFile, scope: Scope) -> Assignment:
        component = self._components[file.variant.family]
        if scope is Scope.SCHEDULE:
            return Assignment(self._of_component(component), component)
        group = f"{file.architecture.entry}/{component}"
        if file.architecture.entry in self._architectures:
            both = component in self._families
            return Assignment(Split.TEST_FAMILIES_ARCHITECTURES if both else Split.TEST_ARCHITECTURES, group)
        return Assignment(Split.TEST_FAMILIES if component in self._families else self._by_group[group], group)

    def _of_component(self, component: str) -> Split:
        return Split.TEST_FAMILIES if component in self._families else self._by_component[component]


def components(catalogue: Catalogue, files: Iterable[VerifiedFile]) -> dict[str, str]:
    """Return the component of each family; equivalents, equal code and equal traces connect families."""
    by_number = {variant.number: variant.family for variant in catalogue.variants}
    pairs = [
        (variant.family, by_number[variant.equivalent_to]) for variant in catalogue.variants if variant.equivalent_to
    ]
    first: dict[Hashable, str] = {}
    seen: set[int] = set()
    for file in files:
        keys: list[Hashable] = [("trace", file.trace)] if file.trace else []
        if file.variant.number not in seen:  # the schedule is the same for every network
            seen.add(file.variant.number)
            keys.append(("code", schedule_digest(file.source)))
        pairs += [(file.variant.family, first.setdefault(key, file.variant.family)) for key in keys]
    return connected((family.name for family in catalogue.families), pairs)


def connected(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each name the names that pairs connect it with, itself included, sorted and joined by ``+``."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for left, right in pairs:
        parent[root(left)] = root(right)
    members: dict[str, list[str]] = {}
    for name in sorted(parent):
        members.setdefault(root(name), []).append(name)
    return {name: "+".join(members[root(name)]) for name in parent}


def assign(groups: Iterable[str], seed: int, fraction: float = _FRACTION) -> dict[str, Split]:
    """Return the split of each group: a fraction each for test and validation, none empty from three groups on."""
    positions = {group: _position(group, seed) for group in groups}
    assignments = {group: _drawn(position, fraction) for group, position in positions.items()}
    if len(assignments) >= len(_DRAWN):
        for empty in (split for split in _DRAWN if split not in assignments.values()):
            fullest = max(_DRAWN, key=lambda split: list(assignments.values()).count(split))
            nearest = max if empty is Split.TRAIN else min
            moved = nearest(
                (group for group in assignments if assignments[group] is fullest), key=positions.__getitem__
            )
            assignments[moved] = empty
    return assignments


def distinct(files: Sequence[VerifiedFile]) -> tuple[list[VerifiedFile], list[VerifiedFile]]:
    """Separate the files from duplicates, which repeat the architecture, syntax tree and trace of another file."""
    candidates: dict[Hashable, list[VerifiedFile]] = {}
    for file in files:
        candidates.setdefault((file.architecture.name, file.trace), []).append(file)
    repeated = [file for group in candidates.values() if len(group) > 1 for file in _repeated(group)]
    left_out = set(map(id, repeated))
    return [file for file in files if id(file) not in left_out], repeated


def _repeated(files: Iterable[VerifiedFile]) -> Iterator[VerifiedFile]:
    seen: set[str] = set()
    for file in files:
        code = digest(file.source)
        if code in seen:
            yield file
        seen.add(code)


def _position(group: str, seed: int) -> float:
    """Return a number from 0 to 1 that depends on the seed and the name of the group alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8]) / 2**64


def _drawn(position: float, fraction: float = _FRACTION) -> Split:
    if position < fraction:
        return Split.TEST
    return Split.VALIDATION if position < 2 * fraction else Split.TRAIN


def _check_present(kind: str, held_out: set[str], present: set[str]) -> None:
    for name in sorted(held_out - present):
        raise DatasetError(f"held-out {kind} {name}: no selected file belongs to it")
