"""The comparison of a network with the architecture that it is claimed to be."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen import catalogue as catalogues
from lrgen.records import Comparison, ReferenceNetwork, Stage, Status, VerifySettings
from lrgen.render.renderer import Renderer
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import architecture, factorisation, matching
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, Place
from tests.paths import NETWORKS

CASE_SEED = 1
CATALOGUE = catalogues.load()
FILES = sorted(NETWORKS.glob("*.py"))
# Modules of a network with children that have no order of their own are registered from the last to the first.
REVERSED = """

class Net(Net):
    def __init__(self, *args):
        super().__init__(*args)
        for module in self.modules():
            if not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
                for kept in (module._modules, module._parameters, module._buffers):
                    for name in list(kept)[::-1]:
                        kept[name] = kept.pop(name)
"""


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(CATALOGUE)


Compare = Callable[[str, ReferenceNetwork], Examination]


@pytest.fixture
def compare(nursery: Nursery) -> Iterator[Compare]:
    """Compares the network of a text with a reference."""
    begun: list[Examination] = []

    def compare(code: str, reference: ReferenceNetwork) -> Examination:
        candidate = replace(candidate_of(Path("file.py"), code.encode()), reference=reference)
        draw = draw_for(CASE_SEED, candidate.sha256)
        place = Place(Mechanism.PROCESS, Limits())
        begun.append(Examination(candidate, VerifySettings(), nursery, place, draw, tree=ast.parse(code)))
        begun[-1].begin(Stage.CONTRACT, None)
        architecture.check(begun[-1])
        return begun[-1]

    yield compare
    for examination in begun:
        examination.close()


@pytest.fixture
def reference(renderer: Renderer) -> Callable[[str], ReferenceNetwork]:
    return lambda name: ReferenceNetwork(name, renderer.network(CATALOGUE.architecture(name)))


def named(prefix: str, *, every: int = 1) -> list[object]:
    """The files whose names begin with a prefix; the fast suite has the first of every few."""
    files = [path for path in FILES if path.name.startswith(prefix)]
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if at % every else [])
        for at, path in enumerate(files)
    ]


def claimed_by(path: Path) -> str:
    return "SqueezeNet" if "SqueezeNet" in path.read_text().splitlines()[0] else "ResNet"


@pytest.mark.parametrize("path", named("equal_"))
def test_a_network_in_another_style_is_equal(compare, reference, path):
    """Names, the order of registration and the style of a network do not matter."""
    examination = compare(path.read_text(), reference("ResNet"))
    assert examination.architecture is Comparison.EQUAL
    assert re.fullmatch(
        r"architecture: equal to ResNet for 3x32x32 inputs and 10 classes "
        r"and for [13]x\d\dx\d\d inputs and \d+ classes",
        examination.evidence[-1],
    )


@pytest.mark.parametrize("path", named("other_", every=3))
def test_another_network_fails(compare, reference, path):
    """A network that computes something else, or does so in some mode, size or for some classes alone, fails."""
    with pytest.raises(CheckFailure, match=r"parameters|running statistics|outputs|gradient"):
        compare(path.read_text(), reference(claimed_by(path)))


@pytest.mark.parametrize(
    ("name", "why"), [("in_learn", "its gradient is not that"), ("own_criterion", "its loss is not")]
)
def test_a_network_that_learn_may_not_train_is_not_comparable(compare, reference, name, why):
    """A network is equal only if the gradient in learn is explained by that of the reference."""
    examination = compare((NETWORKS / f"unclear_{name}.py").read_text(), reference("ResNet"))
    assert examination.architecture is Comparison.NOT_COMPARABLE
    assert examination.evidence[-1].startswith(f"architecture: not comparable with ResNet in learn: {why}")


@pytest.mark.parametrize("path", named("divided_"))
def test_a_network_in_another_factorisation_is_not_comparable(compare, reference, path):
    """Where no weights can be copied the evidence says why."""
    name = claimed_by(path)
    examination = compare(path.read_text(), reference(name))
    assert examination.architecture is Comparison.NOT_COMPARABLE
    assert examination.evidence[-1].startswith(f"architecture: not comparable with {name}: for 3x32x32 inputs and ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other_linear", "the network has 30,730 parameters for 3x32x32 inputs and 10 classes, ResNet has 269,722"),
        (
            "other_linear_of_equal_count",
            "for 3x32x32 inputs and 10 classes, the parameters have other shapes than those of ResNet: 1 of (269232) "
            "and 1 of (10, 48) instead of 14 of (16) and 12 of (32) and 12 of (64) and 20 others",
        ),
        (
            "other_norm",
            "for 3x32x32 inputs and 10 classes, 0 running statistics are updated in training mode, "
            "expected 38 as in ResNet",
        ),
        (
            "other_divided_and_idle",
            "the network has as many parameters as SqueezeNet, and its outputs do not depend on fires.0 "
            "(1,024 of 727,626)",
        ),
    ],
)
def test_a_reason_says_what_differs(compare, reference, name, reason):
    """It has the numbers of both networks."""
    path = NETWORKS / f"{name}.py"
    with pytest.raises(CheckFailure, match=f"^{re.escape(reason)}$"):
        compare(path.read_text(), reference(claimed_by(path)))


def test_a_network_that_changes_before_it_is_trained_fails(compare, reference):
    """The gradient of a batch in learn is compared with that of the reference at the same weights."""
    reason = (
        r"^the gradient of a batch in learn differs by [\d.]+ of its norm from that of ResNet with the same weights$"
    )
    with pytest.raises(CheckFailure, match=reason):
        compare((NETWORKS / "other_once_set_up.py").read_text(), reference("ResNet"))


def test_outputs_that_differ_are_measured(compare, reference):
    """The difference is in standard deviations of the outputs of the reference."""
    with pytest.raises(
        CheckFailure,
        match=r"^the outputs in training mode differ by [\d.]+ of their standard deviation from those of ResNet "
        r"with the same weights, for 3x32x32 inputs and 10 classes$",
    ):
        compare((NETWORKS / "other_in_training.py").read_text(), reference("ResNet"))


def test_a_reference_that_cannot_be_used_is_no_failure_of_the_file(compare, reference):
    """The file ends as crashed, which is not reused."""
    broken = ReferenceNetwork("Mine", reference("ResNet").source.replace("self.fc(x)", "self.fc(x, x)"))
    with pytest.raises(Ended, match=r"^the network of Mine cannot be used: .* raises TypeError") as ended:
        compare((NETWORKS / "equal_sequential.py").read_text(), broken)
    assert ended.value.status is Status.CRASHED


@pytest.mark.parametrize(("name", "schedule"), [("ResNet", 176), ("MobileNetV2", 1)])
def test_a_rendered_network_equals_itself(compare, reference, renderer, name, schedule):
    """A rendered file has the network of its architecture, also with an optimizer of its own."""
    text = renderer.render(CATALOGUE.architecture(name), CATALOGUE.variant(schedule)).text
    assert compare(text, reference(name)).architecture is Comparison.EQUAL


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in CATALOGUE.architectures])
@pytest.mark.parametrize("appended", ["", REVERSED], ids=["as rendered", "registered in reverse"])
def test_every_network_of_the_catalogue_equals_itself(compare, reference, renderer, name, appended):
    """Each of them is equal, also with modules, parameters and buffers registered in another order."""
    text = renderer.render(CATALOGUE.architecture(name), CATALOGUE.variant(1)).text
    assert compare(text + appended, reference(name)).architecture is Comparison.EQUAL


def counted(*shapes: tuple[int, ...]) -> Counter[tuple[int, ...]]:
    return Counter(shapes)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (counted((192, 64), (192,)), counted(*[(64, 64), (64,)] * 3)),
        (counted((64, 192), (192,)), counted(*[(64, 64), (64,)] * 3)),
        (counted((3, 4, 16, 64)), counted(*[(64, 64)] * 3)),
        (counted((96, 64), (96,)), counted((64, 64), (16, 64), (16, 64), (64,), (16,), (16,))),
        (counted((10, 512), (512, 128)), counted((10, 512, 1, 1), (128, 512))),
        (counted((32, 4, 3, 3)), counted(*[(8, 4, 3, 3)] * 4)),
    ],
    ids=["one matrix for q, k and v", "transposed", "by heads", "fewer keys", "1x1 convolutions", "groups"],
)
def test_another_factorisation_is_explained(own, expected):
    """Tensors that are reshaped, stacked or split are explained in both directions."""
    assert factorisation.explains(own, expected)
    assert factorisation.explains(expected, own)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (counted((1000,)), counted((10, 50), (20, 25))),
        (counted((192, 64)), counted(*[(64, 64)] * 2)),
        (counted((10, 3072), (1_000,)), counted((10, 64), (64, 32, 3, 3))),
    ],
    ids=["a vector for matrices", "fewer rows", "another network"],
)
def test_other_shapes_are_not_explained(own, expected):
    """A parameter that makes up for a count is no factorisation."""
    assert not factorisation.explains(own, expected)


@given(st.permutations(range(8)), st.randoms(use_true_random=False))
def test_tensors_are_matched_by_what_they_do(order, chance):
    """Tensors of two networks with the same numbers in another order are paired, up to rounding."""
    colours = [at % 2 for at in range(8)]
    numbers = np.array([[[1 + at // 2, 0.5 * at]] for at in range(8)])
    noise = 1 + 1e-4 * np.array([[[chance.random()]] for _ in range(8)])
    own = [colours[at] for at in order]
    matched = matching.match(own, colours, lambda _: numbers[order] * noise, lambda _: numbers)
    assert matched is not None
    pairs = matching.in_order(*matched)
    assert pairs is not None
    assert [order[at] for at in pairs] == list(range(8))


def test_tensors_that_do_the_same_are_paired_together():
    """In two parallel branches of two layers, the layers of a branch are paired with those of one branch."""
    branches = ("a", "a", "b", "b")  # of the layers 0 1 0 1

    def measure(branches: tuple[str, ...], layers: tuple[int, ...]) -> Callable[[list[int]], matching.Numbers]:
        def numbers(colours: list[int]) -> matching.Numbers:
            partner = [
                colours[next(i for i, branch in enumerate(branches) if branch == branches[at] and i != at)]
                for at in range(4)
            ]
            return np.array([[[1.0 + 10 * partner[at] + 100 * colours[at]]] for at in range(4)])

        return numbers

    own_branches, own_layers = ("a", "b", "b", "a"), (1, 1, 0, 0)
    matched = matching.match(
        list(own_layers), [0, 1, 0, 1], measure(own_branches, own_layers), measure(branches, (0, 1, 0, 1))
    )
    assert matched is not None
    pairs = matching.in_order(*matched)
    assert pairs is not None
    assert own_branches[pairs[0]] == own_branches[pairs[1]] != own_branches[pairs[2]] == own_branches[pairs[3]]


def test_networks_that_do_something_else_are_not_matched():
    """Without as many tensors of each number there are no pairs by what they do."""
    numbers = np.array([[[1.0]], [[2.0]]])
    assert matching.match([0, 0], [0, 0], lambda _: numbers, lambda _: numbers * 1.5) is None
    assert matching.match([0, 0], [0, 0], lambda _: numbers * np.nan, lambda _: numbers) is None
