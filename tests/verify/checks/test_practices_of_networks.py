"""Practices of networks with a loss of their own: an auxiliary classifier, or a penalty of the weights."""

from collections.abc import Callable

import pytest

from lrgen import catalogue as catalogues
from lrgen.records import PracticeKind
from lrgen.render.renderer import Renderer
from lrgen.verify.checks import learn_trace, practices
from lrgen.verify.checks.failure import CheckFailure
from tests.paths import OWN_LOSSES
from tests.verify.examinations import Examine

CATALOGUE = catalogues.load([OWN_LOSSES])
NETWORKS = ("Auxiliary", "Penalized")
FAST = {
    ("Auxiliary", "self_paced_soft"),
    ("Penalized", "self_paced_soft"),
    ("Auxiliary", "bf16"),
    ("Penalized", "bf16"),
}
TERM = "terms of the loss that depend on the weights were measured in another process"


def of_practice(name: str) -> str:
    """The first variant with a practice."""
    return CATALOGUE.of_practice(name)[0].name


def first_of_kinds() -> list[str]:
    """A practice of each kind, and each kind of curriculum and precision."""
    firsts = [next(each.name for each in CATALOGUE.practices if each.kind is kind) for kind in PracticeKind]
    return [*firsts, "fp16", "self_paced_hard", "self_paced_soft", "cutmix", "clip_value"]


@pytest.mark.parametrize(
    ("network", "practice"),
    [
        ("Penalized", "fp16"),
        pytest.param("Auxiliary", "fp16", marks=pytest.mark.slow),
        pytest.param("Auxiliary", "bf16", marks=pytest.mark.slow),
    ],
)
def test_updates_of_learn_are_followed_in_16_bits(examine, network, practice):
    """A scaled loss with a term, and an auxiliary classifier in 16 bits, have the updates of the schedule."""
    name = of_practice(practice)
    examination = examine(text_of(network, name), variant=CATALOGUE.variant(name))
    examination.loaded = examination.load(examination.session)
    learn_trace.run(examination)
    assert any("updates of learn were compared" in each for each in examination.evidence)


@pytest.fixture
def check(examine: Examine) -> Callable[[str, str], list[str]]:
    """Check the practice of a text that claims a variant; returns the evidence."""

    def run(text: str, name: str) -> list[str]:
        examination = examine(text, variant=CATALOGUE.variant(name))
        examination.loaded = examination.load(examination.session)
        practices.check(examination)
        return examination.evidence

    return run


def text_of(network: str, variant: str) -> str:
    """The rendered file."""
    return Renderer(CATALOGUE).render(CATALOGUE.architecture(network), CATALOGUE.variant(variant)).text


@pytest.mark.parametrize(
    ("network", "practice"),
    [
        pytest.param(network, practice, marks=[] if (network, practice) in FAST else [pytest.mark.slow])
        for network in NETWORKS
        for practice in first_of_kinds()
    ],
)
def test_a_network_with_its_own_loss_has_each_kind_of_practice(check, network, practice):
    """The check of each practice takes auxiliary classifiers and terms of the weights for what they are."""
    name = of_practice(practice)
    evidence = check(text_of(network, name), name)
    assert evidence
    assert not any("not computed again" in each for each in evidence)
    if "self_paced" in practice:
        assert (TERM in evidence) is (network == "Penalized")


@pytest.mark.parametrize(
    ("network", "practice", "old", "new", "reason"),
    [
        (
            "Auxiliary",
            "self_paced_soft",
            "self.self_paced_loss(aux_logits, labels, epoch)",
            "self.criterion(aux_logits, labels)",
            "the gradient of update . in epoch . of 4 is not that of its examples",
        ),
        (
            "Penalized",
            "self_paced_soft",
            "loss = self.self_paced_loss(logits, labels, epoch)",
            "loss = 1.05 * self.self_paced_loss(logits, labels, epoch)",
            "the gradient of update . in epoch . of 4 is not that of its examples",
        ),
        ("Auxiliary", "bf16", "torch.bfloat16):", "torch.bfloat16, enabled=False):", "learn computes in float32"),
        ("Penalized", "bf16", "torch.bfloat16):", "torch.bfloat16, enabled=False):", "learn computes in float32"),
    ],
)
@pytest.mark.slow
def test_a_fault_beside_a_loss_of_its_own_is_found(check, network, practice, old, new, reason):
    """A factor or a term that is not known leaves no room for a fault of the practice."""
    name = of_practice(practice)
    text = text_of(network, name)
    assert old in text
    with pytest.raises(CheckFailure, match=reason):
        check(text.replace(old, new), name)
