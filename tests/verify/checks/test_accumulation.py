"""Files that accumulate gradients wrongly: each fails, for the reason that is its fault."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.verify.checks import accumulation
from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.test_learn_trace import Edit, after

EPOCH, BATCH = "accumulate_4_cosine", "accumulate_2_wsd_linear"

# Lines of the rendered files.
COMMENT = "            # The loss is a mean; sums over images add up to that of the large batch.\n"
BACKWARD = "            (loss * len(labels)).backward()\n"
COUNT = "            num_accumulated += len(labels)\n"
IF = "            if batch % self.accumulation_steps == 0 or batch == len(train_data):\n"
MEAN = """\
                for param in self.parameters():
                    if param.grad is not None:
                        param.grad /= num_accumulated
"""
STEP = "                self.optimizer.step()\n"
ZERO = "                self.optimizer.zero_grad()\n"
ADVANCE = "                self.scheduler.step()\n"
LOGITS = "            logits = self(images)\n"
NOT_MEAN = "the gradient of an update is not that of its batches together"

EDITS = {
    "sum of the batches": (
        EPOCH,
        Edit(f"{NOT_MEAN}: it is their sum", {BACKWARD: "            loss.backward()\n", MEAN: ""}),
    ),
    "divided by the number of whole groups": (
        EPOCH,
        Edit("which are not 4", {BACKWARD: "            (loss / self.accumulation_steps).backward()\n", MEAN: ""}),
    ),
    "divided by the images of a whole group": (
        EPOCH,
        Edit(
            "which are not 4",
            {"param.grad /= num_accumulated": "param.grad /= self.accumulation_steps * train_data.batch_size"},
        ),
    ),
    "mean of the means": (
        EPOCH,
        Edit(
            f"{NOT_MEAN}: each batch has the same part",
            {BACKWARD: "            loss.backward()\n", COUNT: "            num_accumulated += 1\n"},
        ),
    ),
    "zeroed before each batch": (
        EPOCH,
        Edit(
            f"{NOT_MEAN}: it has nothing of",
            {LOGITS: f"            self.optimizer.zero_grad()\n{LOGITS}"},
        ),
    ),
    "not zeroed after an update": (
        EPOCH,
        Edit(f"{NOT_MEAN}: it has those of the update before", {f"{STEP}{ZERO}": STEP}),
    ),
    "images not counted anew": (
        EPOCH,
        Edit(NOT_MEAN, {f"{ZERO}                num_accumulated = 0\n": ZERO}),
    ),
    "last group left out": (
        EPOCH,
        Edit(
            "the number of optimizer steps in an epoch of learn is",
            {IF: IF.replace(" or batch == len(train_data)", "")},
        ),
    ),
    "an update for each batch": (
        EPOCH,
        Edit("expected 1 (one for 4 batches)", {IF: "            if True:\n"}),
    ),
    "an update for two batches": (
        EPOCH,
        Edit("(one for 4 batches)", {"self.accumulation_steps = 4": "self.accumulation_steps = 2"}),
    ),
    "an update at the first batch of a group": (
        EPOCH,
        Edit(
            "is made after batch",
            {IF: "            if (batch - 1) % self.accumulation_steps == 0:\n"},
        ),
    ),
    "schedule advances with each batch": (
        BATCH,
        Edit(
            "learn steps the schedule once per batch, expected once per update",
            {ADVANCE: "            self.scheduler.step()\n"},
        ),
    ),
    "schedule advances with each batch over the horizon of batches": (
        BATCH,
        Edit(
            "learn steps the schedule once per batch, expected once per update",
            {
                ADVANCE: "            self.scheduler.step()\n",
                "epochs * math.ceil(len(train_data) / self.accumulation_steps)": "epochs * len(train_data)",
            },
        ),
    ),
    "horizon in batches": (
        BATCH,
        Edit(
            "the learning rate in learn",
            {"epochs * math.ceil(len(train_data) / self.accumulation_steps)": "epochs * len(train_data)"},
        ),
    ),
    "horizon without the last group": (
        BATCH,
        Edit(
            "the learning rate in learn",
            {"math.ceil(len(train_data) / self.accumulation_steps)": "max(1, len(train_data) // 2)"},
        ),
    ),
    "schedule advances once per epoch": (
        BATCH,
        Edit(
            "the learning rate in learn",
            {ADVANCE: "", "\n        return (correct": "\n        self.scheduler.step()\n        return (correct"},
        ),
    ),
    "learning rate scaled with the batches": (
        EPOCH,
        Edit(
            "the learning rate in learn",
            after("        self.accumulation_steps = 4\n", "self.optimizer.param_groups[0]['lr'] *= 4"),
        ),
    ),
}
FAST = ("sum of the batches", "zeroed before each batch", "last group left out", "schedule advances with each batch")


@pytest.mark.parametrize("name", ["accumulate_2_step", BATCH, EPOCH, "accumulate_4_cosine_warmup"])
def test_rendered_files_accumulate_as_they_claim(name, text_of, check_learn):
    """A rendered file of each variant passes, and the evidence says over how many batches its gradients add up."""
    assert any("batches add up to that of an update" in sentence for sentence in check_learn(text_of(name), name))


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in FAST else [pytest.mark.slow]) for fault in EDITS]
)
def test_a_fault_fails_for_its_reason(fault, text_of, check_learn):
    """A file with one fault fails, and the reason names it."""
    name, edit = EDITS[fault]
    with pytest.raises(CheckFailure) as failed:
        check_learn(edit.of(text_of(name)), name)
    assert edit.reason in str(failed.value)


@given(st.integers(1, 200), st.integers(1, 9))
def test_groups_hold_each_batch_once(batches, every):
    """The groups of an epoch are its batches in order, of which only the last group may have fewer."""
    groups = accumulation.groups_of(batches, every)
    assert [index for group in groups for index in group] == list(range(batches))
    assert all(len(group) == every for group in groups[:-1])
    assert len(groups) == accumulation.updates_of(batches, every)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_shares_give_the_gradient_of_the_large_batch(sizes, seed):
    """The mean over all images is the sum of the means of batches, each times its share."""
    images = np.random.default_rng(seed).standard_normal((sum(sizes), 3))
    means = [part.mean(axis=0) for part in np.split(images, np.cumsum(sizes)[:-1])]
    shares = accumulation.shares_of(sizes)
    assert sum(share * mean for share, mean in zip(shares, means, strict=True)) == pytest.approx(images.mean(axis=0))
