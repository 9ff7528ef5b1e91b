"""What the training check holds of curricula and of mixed labels, beside the updates: examples, labels and losses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrgen import curves, data
from lrgen.catalogue import Catalogue
from lrgen.records import Stage, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import training
from lrgen.verify.checks.draw import draw_for
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place
from tests.verify.checks.faulty import Fault

PACED, SOFT = "easy_first_root_cosine_warmup", "self_paced_soft_cosine"
FP16 = "fp16_cosine"
MIXUP, CUTMIX = "mixup_multistep", "cutmix_cosine_warmup"
USED = "the examples in use were counted in each epoch of training, and their losses compared"
MIXED = "the weights of the labels were compared in 125 batches of training"
LOSS = "loss = self.mixed_loss(logits, labels, other_labels, lam)"
YIELD = "yield images[indices], labels[indices]"
RETURNED = "(loss_sum / num_samples).item()"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One nursery for all files."""
    with Nursery() as started:
        yield started


@pytest.fixture
def evidence_of(nursery: Nursery, tiny: Catalogue) -> Callable[[str, str], list[str]]:
    """Run the training check of a text that claims a variant; returns the evidence, or raises what the check raises."""

    def run(text: str, name: str) -> list[str]:
        variant, network = tiny.variant(name), tiny.architecture("Tiny")
        curves.exists(variant)
        candidate = candidate_of(Path("file.py"), text.encode(), variant=variant, architecture=network)
        place, draw = Place(Mechanism.PROCESS, Limits(seconds=120)), draw_for(1, candidate.sha256)
        examination = Examination(candidate, VerifySettings(), nursery, place, draw, data.load("digits"))
        examination.begin(Stage.TRAINING, None)
        try:
            training.run(examination)
        finally:
            examination.close()
        return examination.evidence

    return run


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (PACED, USED),
        pytest.param("hard_first_linear_cosine", USED, marks=pytest.mark.slow),
        pytest.param("class_balanced_linear_sigmoid", USED, marks=pytest.mark.slow),
        pytest.param("self_paced_hard_onecycle", USED, marks=pytest.mark.slow),
        pytest.param(SOFT, USED, marks=pytest.mark.slow),
        (MIXUP, MIXED),
        pytest.param(CUTMIX, MIXED, marks=pytest.mark.slow),
    ],
)
def test_a_rendered_file_trains_as_its_practice_says(evidence_of, text_of, name, sentence):
    """The losses of a curriculum are those of the examples in use, those of mixed labels have drawn weights."""
    evidence = evidence_of(text_of(name), name)
    assert sentence in evidence
    assert not any("were not compared" in each or "was not measured" in each for each in evidence)


FAULTS = {
    "too many examples": (
        PACED,
        Fault(
            r"learn trains on 600 examples in training at epoch 1 of 5, expected 150 of 600",
            {"        examples = math.ceil(share * num_examples - 1e-9)\n": "        examples = num_examples\n"},
        ),
    ),
    "an example twice": (
        PACED,
        Fault(
            "learn trains on an example twice in training at epoch 1 of 5",
            {YIELD: "indices = torch.cat([indices[1:], chosen[:1]])\n            " + YIELD},
        ),
    ),
    "brighter images": (
        PACED,
        Fault(
            "learn trains on images that are not those of its loader in training",
            {YIELD: f"{YIELD[:6]}1.1 * {YIELD[6:]}"},
        ),
    ),
    "labels of other examples": (
        PACED,
        Fault(
            r"the loss in training at epoch 1, batch 1 of \d+ is .*, expected",
            {YIELD: YIELD + ".flip(0)"},
        ),
    ),
    "another mean": (
        PACED,
        Fault(
            "learn returns .* as the loss of epoch 1 in training, expected .*: the mean over the examples in use",
            {RETURNED: "(loss_sum / len(train_data)).item()"},
        ),
    ),
    "weights of all examples": (
        SOFT,
        Fault(
            r"the loss in training at epoch 1, batch 1 of 25 is",
            {"(weights * losses).sum() / weights.sum()": "(weights * losses).mean()"},
        ),
    ),
    "unmixed labels": (
        MIXUP,
        Fault(
            "the weights of the labels of training are not drawn by", {LOSS: "loss = self.criterion(logits, labels)"}
        ),
    ),
    "one weight": (
        MIXUP,
        Fault("the weights of the labels of training are not drawn by", {"self.mixing.sample().item()": "0.3"}),
    ),
    "other labels": (
        MIXUP,
        Fault(
            "the labels of a batch are mixed with others than those of its images in training at epoch 1, batch 1 of",
            {LOSS: LOSS.replace("other_labels", "other_labels.clamp(max=5)")},
        ),
    ),
    "a scaled loss": (
        CUTMIX,
        Fault(
            "the gradients at the logits are not those of mixed labels in training at epoch 1, batch 1 of 25",
            {LOSS: "loss = 0.9 * " + LOSS[7:]},
        ),
    ),
}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(name, fault, id=words, marks=[] if words in ("another mean", "other labels") else pytest.mark.slow)
        for words, (name, fault) in FAULTS.items()
    ],
)
def test_each_fault_fails_with_its_reason(evidence_of, text_of, name, fault):
    """A file that trains on other examples or labels, or with another loss, fails, and the reason says how."""
    with pytest.raises(CheckFailure, match=fault.reason):
        evidence_of(fault.of(text_of(name)), name)


def test_the_gradients_of_a_file_in_float16_are_computed_again_in_float16(evidence_of, text_of):
    """Rounding may change the length of a gradient: forty factors of 1.0004 are 1 in float16, and 1.016 in float32."""
    output = "return self.fc(x.mean(dim=(2, 3)))"
    rounded = (
        "x = self.fc(x.mean(dim=(2, 3)))\n        for _ in range(40):\n            x = x * 1.0004\n        return x"
    )
    text = text_of(FP16)
    assert output in text
    evidence = evidence_of(text.replace(output, rounded), FP16)
    assert any(each.startswith("the gradients of 5 drawn batches were computed again") for each in evidence)
