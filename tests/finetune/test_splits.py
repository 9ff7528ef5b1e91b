"""Assignment of groups and examples to splits."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.errors import DatasetError, UnknownNameError
from lrgen.finetune.example import Scope
from lrgen.finetune.rows import Split, exposure_of
from lrgen.finetune.splits import Splits, assign, components, connected, distinct
from tests.corpus import example, source, verified

NAMES = [f"n{number}" for number in range(8)]
names = st.sampled_from(NAMES)
groups = st.sets(st.text("abcdefgh/", min_size=1, max_size=6), max_size=40)
seeds = st.integers(0, 1000)

# Variants of several families, two of them equivalent across families.
NUMBERS = (1, 6, 12, 25, 31, 37, 38, 41, 60, 100)


@pytest.fixture(scope="module")
def files(catalogue):
    """The files of three architectures with ``NUMBERS``."""
    return [verified(catalogue, number, name) for name in ("ResNet", "VGG", "AlexNet") for number in NUMBERS]


# Components.


@given(st.lists(st.tuples(names, names)))
def test_connected_names_form_a_component(pairs):
    """Components are the classes of the smallest equivalence that contains the pairs."""
    joined = connected(NAMES, pairs)
    classes = {name: {name} for name in NAMES}
    for first, other in pairs:
        union = classes[first] | classes[other]
        classes |= dict.fromkeys(union, union)
    assert joined == {name: "+".join(sorted(classes[name])) for name in NAMES}


def test_equivalents_connect_families(catalogue):
    """Cosine and restarts share a curve, so they form a component without any file."""
    by_family = components(catalogue, [])
    assert by_family["cosine"] == by_family["restarts"] == "cosine+restarts"
    assert by_family["step"] == "step"


@pytest.mark.parametrize("equal", ["code", "trace"])
def test_equal_schedules_connect_families(catalogue, equal):
    """Families with equal scheduler code or an equal trace form a component."""
    first, other = verified(catalogue, 1, trace="a"), verified(catalogue, 31, trace="b")
    if equal == "code":
        other = dataclasses.replace(other, source=source(1).replace('"""ResNet-20', '"""Another', 1))
    else:
        other = dataclasses.replace(other, trace="a")
    by_family = components(catalogue, [first, other])
    assert by_family[first.variant.family] == by_family[other.variant.family]
    assert first.variant.family != other.variant.family


# Splits of groups.


@given(groups, seeds)
def test_splits_depend_only_on_the_groups_and_the_seed(groups, seed):
    """The order of the groups does not matter, and each group has a split."""
    splits = assign(sorted(groups), seed)
    assert splits == assign(sorted(groups, reverse=True), seed)
    assert splits.keys() == groups


@given(groups.filter(lambda groups: len(groups) >= 3), seeds)
def test_no_split_is_empty(groups, seed):
    """From three groups on, training, validation and test have a group each."""
    assert set(assign(groups, seed).values()) == {Split.TRAIN, Split.VALIDATION, Split.TEST}


@given(seeds)
def test_a_growing_corpus_keeps_its_splits(seed):
    """New groups do not change the splits of the others."""
    before = assign(map(str, range(100)), seed)
    after = assign(map(str, range(150)), seed)
    assert {group: after[group] for group in before} == before


def test_a_tenth_of_the_groups_is_in_each_held_out_split():
    """A tenth of the groups is in test and a tenth in validation; another seed draws others."""
    assignments = assign(map(str, range(10_000)), 0)
    counts = {
        split: sum(assignment is split for assignment in assignments.values()) for split in set(assignments.values())
    }
    assert counts[Split.TEST] == pytest.approx(1000, abs=100)
    assert counts[Split.VALIDATION] == pytest.approx(1000, abs=100)
    assert assignments != assign(map(str, range(10_000)), 1)


# Splits of examples.


@settings(deadline=None)  # each case parses thirty files
@given(seed=seeds)
def test_files_of_a_group_are_in_one_split(catalogue, files, seed):
    """All files of an architecture and a component of families are in the same split."""
    few = [file for file in files if file.architecture.name != "AlexNet" and file.variant.number in (1, 37, 38, 60)]
    splits = Splits(catalogue, few, seed)
    assignments = [splits.of(example([file])) for file in few]
    by_group = {assignment.group: assignment.split for assignment in assignments}
    assert all(by_group[assignment.group] is assignment.split for assignment in assignments)
    assert len(by_group) == 6
    assert assignments[1] == assignments[2]


@settings(deadline=None)  # each case parses thirty files
@given(seed=seeds)
def test_files_follow_a_schedule_in_validation_or_test(catalogue, files, seed):
    """Every file of a schedule in validation or test is in the same split; some file is in training."""
    splits = Splits(catalogue, files, seed)
    reached = set()
    for file in files:
        standalone = splits.of(example([file], scope=Scope.SCHEDULE)).split
        whole = splits.of(example([file])).split
        assert standalone is Split.TRAIN or whole is standalone
        reached.add(whole)
    assert Split.TRAIN in reached


@settings(deadline=None)  # each case parses thirty files
@given(seed=seeds)
def test_a_standalone_schedule_is_in_one_split(catalogue, files, seed):
    """An example that contains only a schedule is in the split of its component, whatever the architecture."""
    splits = Splits(catalogue, files, seed)
    assignments = {}
    for file in files:
        assignment = splits.of(example([file], scope=Scope.SCHEDULE))
        assert assignments.setdefault(file.variant.number, assignment) == assignment
    assert {assignment.split for assignment in assignments.values()} == {Split.TRAIN, Split.VALIDATION, Split.TEST}


def test_held_out_files_are_only_in_the_hard_tests(catalogue, files):
    """A held-out family takes its component with it; a file that is held out by both is in a test of its own."""
    splits = Splits(catalogue, files, 0, ["cosine"], ["VGG"])
    families = {"cosine", "restarts"}
    assert splits.held_out == {"families": sorted(families), "architectures": ["VGG"]}
    for file in files:
        by_family, by_network = file.variant.family in families, file.architecture.name == "VGG"
        expected = {
            (True, True): Split.TEST_FAMILIES_ARCHITECTURES,
            (True, False): Split.TEST_FAMILIES,
            (False, True): Split.TEST_ARCHITECTURES,
        }.get((by_family, by_network))
        whole, alone = (splits.of(example([file], scope=scope)).split for scope in (Scope.FILE, Scope.SCHEDULE))
        assert whole is splits.of_file(file)
        assert whole is expected if expected else not whole.startswith("test_")
        assert (alone is Split.TEST_FAMILIES) == by_family
        assert alone not in (Split.TEST_ARCHITECTURES, Split.TEST_FAMILIES_ARCHITECTURES)


@pytest.mark.parametrize("network", ["ResNet", "VGG"])
def test_shared_completions_are_tested_only_if_no_network_trains_them(catalogue, files, network):
    """A completion that is the same for every network is in a test if its schedule is, else it tests nothing."""
    splits = Splits(catalogue, files, 0, (), ["VGG"])
    kept = set()
    for file in files:
        if file.architecture.name == network:
            filled = splits.of(example([file], answer_scope=Scope.SCHEDULE))
            alone = splits.of(example([file], scope=Scope.SCHEDULE)).split
            same = exposure_of(splits.of_file(file)) == exposure_of(alone)
            assert (filled is not None) == same
            if filled is not None:
                assert filled.split is splits.of_file(file)
                kept.add(filled.split)
    assert (Split.TEST_ARCHITECTURES in kept) == (network == "VGG")


@pytest.mark.parametrize("held_out", ["ResNet", "ResNet56"])
def test_variations_are_held_out_with_their_architecture(catalogue, files, held_out):
    """Holding out an architecture or one of its variations holds out all of them: they differ in numbers alone."""
    varied = [verified(catalogue, number, "ResNet56") for number in NUMBERS]
    splits = Splits(catalogue, [*files, *varied], 0, (), [held_out])
    for file in [*files, *varied]:
        assert (splits.of_file(file) is Split.TEST_ARCHITECTURES) == file.architecture.name.startswith("ResNet")


def test_a_variation_is_in_the_split_of_its_architecture(catalogue, files):
    """A variation and its architecture with one schedule are in one split, and adding it moves no other file."""
    varied = {number: verified(catalogue, number, "ResNet56") for number in NUMBERS}
    splits, before = Splits(catalogue, [*files, *varied.values()], 0), Splits(catalogue, files, 0)
    assert len({splits.of_file(file) for file in files}) == 3
    for file in files:
        assert splits.of_file(file) is before.of_file(file)
        if file.architecture.name == "ResNet":
            assert splits.of_file(varied[file.variant.number]) is splits.of_file(file)


def test_a_holdout_that_leaves_nothing_is_an_error(catalogue, files):
    """Holding out all selected networks leaves nothing to train on."""
    few = [file for file in files if file.architecture.name != "AlexNet"]
    with pytest.raises(DatasetError, match=r"^no file is left for training: ResNet, VGG hold out all 20 selected"):
        Splits(catalogue, few, 0, (), ["ResNet", "VGG"])


def test_examples_of_one_pattern_are_in_one_split(catalogue, files):
    """Listed groups of examples without files are distributed as a whole; no split is empty."""
    listed = [f"prompts/{number}" for number in range(12)]
    splits = Splits(catalogue, files, 0, groups=listed)
    drawn = {}
    for number in range(12):
        for key in "abc":
            assignment = splits.of(example(task="prompts", key=f"{number}{key}", group=str(number)))
            assert drawn.setdefault(assignment.group, assignment.split) is assignment.split
    assert drawn.keys() == set(listed)
    assert set(drawn.values()) == {Split.TRAIN, Split.VALIDATION, Split.TEST}


def test_an_example_with_several_files_is_in_the_hardest_split(catalogue, files):
    """A test file never occurs in training."""
    splits = Splits(catalogue, files, 0, ["step"])
    trained = next(file for file in files if splits.of(example([file])).split is Split.TRAIN)
    held_out = next(file for file in files if file.variant.family == "step")
    for pair in ([trained, held_out], [held_out, trained]):
        assert splits.of(example(pair)) == splits.of(example([held_out]))


def test_an_example_without_files_is_assigned_by_its_key(catalogue, files):
    """Its split is drawn, and is the same in every build with the seed."""
    splits = [Splits(catalogue, files, seed) for seed in (0, 0, 1)]
    examples = [example(key=str(number)) for number in range(500)]
    assignments = [[build.of(each).split for each in examples] for build in splits]
    assert assignments[0] == assignments[1] != assignments[2]
    assert assignments[0].count(Split.TRAIN) == pytest.approx(400, abs=40)


def test_a_held_out_name_must_exist_and_be_selected(catalogue, files):
    """An unknown name, or one without a selected file, is an error that names it."""
    with pytest.raises(UnknownNameError, match=r"^unknown family 'cosin': did you mean cosine\?"):
        Splits(catalogue, files, 0, ["cosin"])
    with pytest.raises(DatasetError, match=r"^held-out model ConvNeXt: no selected file belongs to it$"):
        Splits(catalogue, files, 0, (), ["ConvNeXt"])


# Duplicates.


def test_duplicates_share_architecture_code_and_trace(catalogue):
    """Files with equal architecture, syntax tree and trace are duplicates; two of the three are not enough."""
    first = verified(catalogue, 1, trace="a")
    comment = verified(catalogue, 2, trace="a", source=source(1) + "# a comment\n")
    others = [
        verified(catalogue, 1, "VGG", trace="a"),
        verified(catalogue, 1, trace="b"),
        verified(catalogue, 1, trace="a", source=source(1).replace("momentum", "impulse")),
    ]
    assert distinct([first, comment, *others]) == ([first, *others], [comment])
