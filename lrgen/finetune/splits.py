"""Which side of the dataset an example is on: decided by group, never by row.

Families whose schedules are equal somewhere are one component. A component has a side, which answers that are the same
for every network follow. A group is an architecture with a component, and whatever shows or answers a whole file
follows the file's group: it is on the component's side, or, where that is learnt from, on one of its own. So no file
is on two sides. A group keeps its side while a corpus grows, unless a side would be empty.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError
from lrgen.finetune.corpus import ProvedFile
from lrgen.finetune.example import Example, Scope
from lrgen.finetune.rows import SPLITS, Split
from lrgen.source.normalise import digest, schedule_digest

# The share of the groups that is tested with, and that of those that are validated with.
_SHARE = 0.1
_DRAWN_TWICE = _SHARE / 2  # of the components, and again of the groups of those that are learnt from
_DRAWN = (Split.TEST, Split.VALIDATION, Split.TRAIN)


@dataclass(frozen=True)
class Side:
    """Where an example is, and the group that has decided it."""

    split: Split
    group: str


class Splits:
    """The sides of the examples that stand on the files of a corpus.

    A held-out family takes its whole component with it. What stands on files of several groups is on the hardest of
    their sides, so that no file of a test is seen in training in any role.

    Raises:
        DatasetError: when there is no file of what is held out.
        UnknownNameError: when what is held out does not exist.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        files: Sequence[ProvedFile],
        seed: int,
        holdout_families: Iterable[str] = (),
        holdout_architectures: Iterable[str] = (),
    ) -> None:
        self._seed = seed
        self._components = components(catalogue, files)
        self._families = {self._components[catalogue.family(name).name] for name in holdout_families}
        self._architectures = {catalogue.architecture(name).name for name in holdout_architectures}
        present = {(file.architecture.name, self._components[file.variant.family]) for file in files}
        _check_present("family", self._families, {component for _, component in present})
        _check_present("model", self._architectures, {architecture for architecture, _ in present})
        open_groups = {pair for pair in present if pair[1] not in self._families}
        self._by_component = assign({component for _, component in open_groups}, seed, _DRAWN_TWICE)
        groups = {f"{one}/{component}": component for one, component in open_groups if one not in self._architectures}
        taught = [group for group, component in groups.items() if self._by_component[component] is Split.TRAIN]
        drawn = assign(taught, seed, _DRAWN_TWICE)
        if Split.TRAIN not in drawn.values():
            drawn = dict.fromkeys(taught, Split.TRAIN)
        self._by_group = {group: drawn.get(group, self._by_component[of]) for group, of in groups.items()}

    @property
    def held_out(self) -> dict[str, list[str]]:
        """The families and the architectures that are only in the hard tests."""
        families = sorted(one for one, component in self._components.items() if component in self._families)
        return {"families": families, "architectures": sorted(self._architectures)}

    def side(self, example: Example) -> Side | None:
        """The side of an example; None for a question about a held-out network whose answer is the same for every
        network and is learnt from: it would test nothing.
        """
        if example.scope is Scope.NONE or not example.files:
            group = f"{example.task}/{example.key}"
            return Side(_drawn(_position(group, self._seed)), group)
        sides = [self._of(file, example.scope) for file in example.files]
        hardest = max(sides, key=lambda side: SPLITS.index(side.split))
        if hardest.split is Split.TEST_ARCHITECTURES and example.scope is Scope.SCHEDULE:
            known = {self._by_component[self._components[file.variant.family]] for file in example.files}
            if known != {Split.TEST}:
                return None
        return hardest

    def _of(self, file: ProvedFile, scope: Scope) -> Side:
        component = self._components[file.variant.family]
        group = f"{file.architecture.name}/{component}"
        if component in self._families:
            return Side(Split.TEST_FAMILIES, component if scope is Scope.SCHEDULE else group)
        if file.architecture.name in self._architectures:
            return Side(Split.TEST_ARCHITECTURES, group)
        if scope is Scope.SCHEDULE:
            return Side(self._by_component[component], component)
        return Side(self._by_group[group], group)


def components(catalogue: Catalogue, files: Iterable[ProvedFile]) -> dict[str, str]:
    """By family the name of its component: of the families that equivalents, equal code or an equal trace connect."""
    by_number = {variant.number: variant.family for variant in catalogue.variants}
    pairs = [(one.family, by_number[one.equivalent_to]) for one in catalogue.variants if one.equivalent_to]
    first: dict[Hashable, str] = {}
    seen: set[int] = set()
    for file in files:
        keys: list[Hashable] = [("trace", file.trace)] if file.trace else []
        if file.variant.number not in seen:  # its code is the same for every network
            seen.add(file.variant.number)
            keys.append(("code", schedule_digest(file.source)))
        pairs += [(file.variant.family, first.setdefault(key, file.variant.family)) for key in keys]
    return connected((family.name for family in catalogue.families), pairs)


def connected(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By name the names that pairs connect it with, itself among them, joined in their order by ``+``."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in pairs:
        parent[root(one)] = root(other)
    members: dict[str, list[str]] = {}
    for name in sorted(parent):
        members.setdefault(root(name), []).append(name)
    return {name: "+".join(members[root(name)]) for name in parent}


def assign(groups: Iterable[str], seed: int, share: float = _SHARE) -> dict[str, Split]:
    """By group its side: a share each is tested and validated with; of three groups or more no side is empty."""
    positions = {group: _position(group, seed) for group in groups}
    sides = {group: _drawn(position, share) for group, position in positions.items()}
    if len(sides) >= len(_DRAWN):
        for empty in (split for split in _DRAWN if split not in sides.values()):
            fullest = max(_DRAWN, key=lambda split: sum(side is split for side in sides.values()))
            nearest = max if empty is Split.TRAIN else min
            moved = nearest((group for group in sides if sides[group] is fullest), key=lambda one: positions[one])
            sides[moved] = empty
    return sides


def distinct(files: Sequence[ProvedFile]) -> tuple[list[ProvedFile], list[ProvedFile]]:
    """The files without those that repeat another one's architecture, syntax tree and trace; and those."""
    alike: dict[Hashable, list[ProvedFile]] = {}
    for file in files:
        alike.setdefault((file.architecture.name, file.trace), []).append(file)
    repeated = [file for group in alike.values() if len(group) > 1 for file in _repeated(group)]
    left_out = set(map(id, repeated))
    return [file for file in files if id(file) not in left_out], repeated


def _repeated(files: Iterable[ProvedFile]) -> Iterator[ProvedFile]:
    seen: set[str] = set()
    for file in files:
        code = digest(file.source)
        if code in seen:
            yield file
        seen.add(code)


def _position(group: str, seed: int) -> float:
    """From 0 to 1, and the same wherever the group is met."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8]) / 2**64


def _drawn(position: float, share: float = _SHARE) -> Split:
    if position < share:
        return Split.TEST
    return Split.VALIDATION if position < 2 * share else Split.TRAIN


def _check_present(kind: str, held_out: set[str], present: set[str]) -> None:
    for name in sorted(held_out - present):
        raise DatasetError(f"holdout {kind} {name}: no selected file is of it")
