"""Files that clip gradients otherwise than they claim: each fails, for the reason that is its fault."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.test_learn_trace import Edit, after, before

NORM, VALUE = "clip_norm_step", "clip_value_cosine"

# Lines of the rendered files.
BY_NORM = "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=0.5)\n"
BY_VALUE = "            nn.utils.clip_grad_value_(self.parameters(), clip_value=0.1)\n"
BACKWARD = "            loss.backward()\n"
STEP = "            self.optimizer.step()\n"
TRAIN = "        self.train()\n"
UNCLIPPED = "expected at most 0.5: it is not clipped before the step"
OTHER = "the gradients of an update are not clipped as claimed"

EDITS = {
    "not clipped": (NORM, Edit(UNCLIPPED, {BY_NORM: ""})),
    "clipped after the step": (NORM, Edit(UNCLIPPED, {f"{BY_NORM}{STEP}": f"{STEP}{BY_NORM}"})),
    "clipped before the backward pass": (NORM, Edit(UNCLIPPED, {f"{BACKWARD}{BY_NORM}": f"{BY_NORM}{BACKWARD}"})),
    "clipped to a larger norm": (NORM, Edit(UNCLIPPED, {"max_norm=0.5": "max_norm=1.0"})),
    "clipped to a smaller norm": (NORM, Edit(OTHER, {"max_norm=0.5": "max_norm=0.25"})),
    "maximum norm": (NORM, Edit(UNCLIPPED, {"max_norm=0.5": "max_norm=0.5, norm_type=float('inf')"})),
    "sum of absolute values": (NORM, Edit(OTHER, {"max_norm=0.5": "max_norm=0.5, norm_type=1.0"})),
    "some of the parameters": (NORM, Edit("0.5", {"(self.parameters(), max_norm": "(self.fc.parameters(), max_norm"})),
    "each parameter on its own": (
        NORM,
        Edit(
            "0.5",
            {
                BY_NORM: """\
            for parameter in self.parameters():
                nn.utils.clip_grad_norm_(parameter, max_norm=0.5)
"""
            },
        ),
    ),
    "scaled up to the norm": (
        NORM,
        Edit(
            "they change although their norm",
            after(
                BY_NORM,
                """
                norm = nn.utils.get_total_norm([parameter.grad for parameter in self.parameters()])
                for parameter in self.parameters():
                    parameter.grad *= 0.5 / norm
                """,
            ),
        ),
    ),
    "values instead of the norm": (NORM, Edit("0.5", {BY_NORM: BY_VALUE})),
    "in every second batch": (
        NORM,
        Edit(
            UNCLIPPED,
            {BY_NORM: f"            if num_samples % 2 == 0:\n    {BY_NORM}", **before(TRAIN, "num_samples = 0")},
        ),
    ),
    "past epoch 30 no more": (
        NORM,
        Edit(
            UNCLIPPED,
            {
                TRAIN: f"{TRAIN}        self.epoch = getattr(self, 'epoch', 0) + 1\n",
                BY_NORM: f"            if self.epoch < 9:\n    {BY_NORM}",
            },
        ),
    ),
    "values not clipped": (VALUE, Edit("expected at most 0.1", {BY_VALUE: ""})),
    "values clipped after the step": (VALUE, Edit("expected at most 0.1", {f"{BY_VALUE}{STEP}": f"{STEP}{BY_VALUE}"})),
    "values clipped to a larger one": (VALUE, Edit("expected at most 0.1", {"clip_value=0.1": "clip_value=0.2"})),
    "values clipped to a smaller one": (VALUE, Edit(OTHER, {"clip_value=0.1": "clip_value=0.05"})),
    "values clipped at one end": (
        VALUE,
        Edit(
            "expected at most 0.1",
            {
                BY_VALUE: """\
            for parameter in self.parameters():
                parameter.grad.clamp_(max=0.1)
"""
            },
        ),
    ),
    "the norm instead of values": (VALUE, Edit("", {BY_VALUE: BY_NORM})),
    "signs of the values": (
        VALUE,
        Edit(
            OTHER,
            {
                BY_VALUE: """\
            for parameter in self.parameters():
                parameter.grad = 0.1 * parameter.grad.sign()
"""
            },
        ),
    ),
}
FAST = ("not clipped", "clipped to a smaller norm", "scaled up to the norm", "values clipped to a smaller one")


@pytest.mark.parametrize("name", [NORM, "clip_norm_cosine_warmup", VALUE, "clip_value_onecycle"])
def test_rendered_files_clip_as_they_claim(name, text_of, check_learn):
    """A rendered file of each variant passes."""
    assert check_learn(text_of(name), name)


@pytest.mark.slow
def test_clipping_may_be_written_out(text_of, check_learn):
    """A file that clips by hand, as torch does it, passes."""
    by_hand = """\
            total = torch.stack([parameter.grad.norm() for parameter in self.parameters()]).norm()
            for parameter in self.parameters():
                parameter.grad *= (0.5 / total).clamp(max=1.0)
"""
    assert check_learn(Edit("", {BY_NORM: by_hand}).of(text_of(NORM)), NORM)


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in FAST else [pytest.mark.slow]) for fault in EDITS]
)
def test_a_fault_fails_for_its_reason(fault, text_of, check_learn):
    """A file with one fault fails, and the reason names it."""
    name, edit = EDITS[fault]
    with pytest.raises(CheckFailure) as failed:
        check_learn(edit.of(text_of(name)), name)
    assert edit.reason in str(failed.value)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.01, 5))
def test_a_clipped_norm_is_within_its_limit_and_keeps_the_direction(values, limit):
    """Gradients above the limit get its norm and keep their direction; others stay as they are, to the bit."""
    gradients = np.array(values)
    norm = float(np.linalg.norm(gradients))
    clipped = Clipping(norm=limit).clipped(gradients, norm)
    assert np.linalg.norm(clipped) <= limit * (1 + 1e-12)
    if norm <= limit:
        assert np.array_equal(clipped, gradients)
    else:
        assert clipped / limit == pytest.approx(gradients / norm)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.01, 5))
def test_clipped_values_are_within_their_limit(values, limit):
    """Values above the limit become the limit with their sign; others stay as they are, to the bit."""
    clipped = Clipping(value=limit).clipped(np.array(values), 1.0)
    assert np.all(np.abs(clipped) <= limit)
    assert [value for value in values if abs(value) <= limit] == [
        after for value, after in zip(values, clipped, strict=True) if abs(value) <= limit
    ]
