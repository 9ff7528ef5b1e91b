"""Files that claim a moving average: those that have it, and one for each way of having another, with its reason."""

import pytest

from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.faulty import Fault

EPOCH, BATCH = "ema_cosine", "ema_cosine_warmup"
STEP, UPDATE = "            self.optimizer.step()\n", "            self.ema.update()\n"
WARM_UP = "decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))"
EVAL = "        self.ema.eval()\n"
AVERAGES = "        self.net.load_state_dict(self.averages)\n"
RAW = "            self.net.load_state_dict(self.weights)\n"
FAULTS = {
    "before the step": Fault("the average is updated before the step of the optimizer", {STEP + UPDATE: UPDATE + STEP}),
    "swapped": Fault("decay and 1 - decay are swapped", {"lerp_(value, 1 - decay)": "lerp_(value, decay)"}),
    "a constant decay": Fault("the decay is .* from the first update on", {WARM_UP: "decay = self.decay"}),
    "a decay of its own": Fault(
        "evaluated with other weights than their moving average", {"min(self.decay,": "min(0.99,"}
    ),
    "once per epoch": Fault("the average is updated once per epoch", {UPDATE: "", EVAL: UPDATE[4:] + EVAL}),
    "never": Fault("evaluated with other weights than their moving average", {UPDATE: ""}),
    "a mean": Fault("the average is the mean over all updates", {WARM_UP: "decay = 1 - 1 / self.num_updates"}),
    "from zero": Fault(
        "the average begins with zeros",
        {
            "        if self.weights:\n": "        if not self.weights:\n"
            "            for value in self.averages.values():\n"
            "                value.zero_()\n"
            "        else:\n"
        },
    ),
    "again in each epoch": Fault(
        "the average begins again in each epoch",
        {RAW: f"{RAW}            self.averages = copy.deepcopy(self.weights)\n"},
    ),
    "evaluation with the raw weights": Fault(
        "evaluated with the weights of the last update, not with their average",
        {AVERAGES: ""},
    ),
    "buffers are forgotten": Fault(
        "evaluated with the buffers of the last update, not with their average",
        {
            AVERAGES: "        for name, param in self.net.named_parameters():\n"
            "            param.data.copy_(self.averages[name])\n"
        },
    ),
    "buffers of the start": Fault(
        "evaluated with other buffers than their moving average",
        {
            "if value.is_floating_point():": 'if "running" not in name and value.is_floating_point():',
            "copy_(value)": "clone()",
        },
    ),
    "training goes on from the average": Fault(
        "training goes on from the averaged weights instead of the trained ones",
        {RAW: "            pass\n"},
    ),
    "the count is not resumed": Fault(
        r"evaluated with other weights than their moving average \(after epoch 3, resumed\)",
        {'        self.num_updates = state_dict["num_updates"]\n': ""},
    ),
    "the weights are not resumed": Fault(
        "training goes on from the averaged weights after a resume",
        {'        self.weights = copy.deepcopy(state_dict["weights"])\n': ""},
    ),
    "a buffer more in a resumed run": Fault(
        "the weights before the first batch after a resume are not those after the last update",
        {
            "load_state_dict(self.weights)": "load_state_dict(self.weights, strict=False)",
            'self.num_updates = state_dict["num_updates"]\n': 'self.num_updates = state_dict["num_updates"]\n'
            '        self.net.register_buffer("more", torch.zeros(3))\n',
        },
    ),
    "no state": Fault("training goes on from the averaged weights after a resume", {"def load_state_dict": "def load"}),
}


@pytest.mark.parametrize("name", [EPOCH, BATCH])
def test_rendered_files_are_evaluated_with_the_recurrence(check, text_of, name):
    """A rendered file is evaluated with the moving average of its weights and buffers, also when it is resumed."""
    assert check(text_of(name), name) == ["the moving average was computed again over 18 updates"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_fails_with_its_reason(check, text_of, fault):
    """A file that claims a moving average and has one fault fails, and the reason names the fault."""
    with pytest.raises(CheckFailure, match=fault.reason):
        check(fault.of(text_of(EPOCH)), EPOCH)
