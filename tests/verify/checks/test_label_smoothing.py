"""Files that claim label smoothing: those that have it, and one for each way of having none, with its reason."""

import pytest

from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.faulty import Fault

EPOCH, BATCH = "label_smoothing_exponential", "label_smoothing_onecycle"
CRITERION = 'nn.CrossEntropyLoss(\n            label_smoothing=prm.get("label_smoothing", 0.1)\n        )'
PLAIN = 'self.smoothing = prm.get("label_smoothing", 0.1)\n        self.criterion = nn.CrossEntropyLoss()'
SET = f"self.criterion = {CRITERION}"
LOSS = "loss = self.criterion(logits, labels)"
FAULTS = {
    "none": Fault("the labels are not smoothed", {CRITERION: "nn.CrossEntropyLoss()"}),
    "a constant": Fault(
        "the labels are smoothed by 0.1, expected", {CRITERION: "nn.CrossEntropyLoss(label_smoothing=0.1)"}
    ),
    "twice": Fault(
        "the labels are smoothed twice",
        {
            SET: f'self.smoothing = prm.get("label_smoothing", 0.1)\n        {SET}',
            LOSS: "targets = nn.functional.one_hot(labels, logits.shape[1]).float()\n"
            "            targets = (1 - self.smoothing) * targets + self.smoothing / logits.shape[1]\n"
            "            loss = self.criterion(logits, targets)",
        },
    ),
    "over the other classes": Fault(
        "the smoothing is spread over the 9 other classes, expected all 10",
        {
            SET: PLAIN,
            LOSS: "targets = torch.full_like(logits, self.smoothing / (logits.shape[1] - 1))\n"
            "            targets = targets.scatter(1, labels[:, None], 1 - self.smoothing)\n"
            "            loss = self.criterion(logits, targets)",
        },
    ),
    "over ten classes": Fault(
        "the probabilities of a target add up to .*, the number of classes may be wrong",
        {
            SET: PLAIN,
            LOSS: "targets = nn.functional.one_hot(labels, logits.shape[1]).float()\n"
            "            targets = (1 - self.smoothing) * targets + self.smoothing / 10\n"
            "            loss = self.criterion(logits, targets)",
        },
    ),
    "the label alone": Fault(
        "the probabilities of a target add up to 0.9",
        {SET: PLAIN, LOSS: "loss = (1 - self.smoothing) * self.criterion(logits, labels)"},
    ),
    "half of the batch": Fault(
        "are not those of a cross-entropy with smoothed labels",
        {
            SET: f"{SET}\n        self.plain = nn.CrossEntropyLoss()",
            LOSS: "half = len(labels) // 2\n"
            "            loss = self.criterion(logits[:half], labels[:half])\n"
            "            loss = (loss + self.plain(logits[half:], labels[half:])) / 2",
        },
    ),
    "only reported": Fault(
        "the labels are not smoothed",
        {
            SET: f"{SET}\n        self.plain = nn.CrossEntropyLoss()",
            "loss.backward()": "self.plain(logits, labels).backward()",
        },
    ),
}


@pytest.mark.parametrize("name", [EPOCH, BATCH])
def test_rendered_files_smooth_their_labels(check, text_of, name):
    """The targets of a rendered file are smoothed labels, for drawn values and numbers of classes."""
    assert check(text_of(name), name) == ["the smoothed labels of 9 batches were compared"]


def test_labels_that_are_smoothed_by_hand_pass(check, text_of):
    """What counts are the targets of the loss, not the argument of torch's criterion."""
    by_hand = Fault(
        "",
        {
            SET: PLAIN,
            LOSS: "targets = nn.functional.one_hot(labels, logits.shape[1]).float()\n"
            "            targets = (1 - self.smoothing) * targets + self.smoothing / logits.shape[1]\n"
            "            loss = self.criterion(logits, targets)",
        },
    )
    assert check(by_hand.of(text_of(EPOCH)), EPOCH)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_fails_with_its_reason(check, text_of, fault):
    """A file that claims label smoothing and has one fault fails, and the reason names the fault."""
    with pytest.raises(CheckFailure, match=fault.reason):
        check(fault.of(text_of(EPOCH)), EPOCH)
