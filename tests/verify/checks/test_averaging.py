"""Files that claim weight averaging: those that do it, and one for each way of doing another, with its reason."""

import pytest

from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.faulty import Fault

EPOCH, BATCH = "swa_multistep", "swa_cyclic"
START = 'start = min(int(prm.get("average_start_fraction", 0.75) * epochs), epochs - 1)'
WEIGHT = "1 - 1 / (self.epoch - self.start)"
UPDATE_BN = "            update_bn(train_data, self, self.device)\n"
FAULTS = {
    "one epoch too early": Fault(r"the average is of epochs . to ., expected", {START: f"{START} - 1"}),
    "one epoch too late": Fault(
        "other weights than their average after epoch|are those of the last update", {START: f"{START} + 1"}
    ),
    "a constant start": Fault(
        "the average begins with epoch|other weights than", {'prm.get("average_start_fraction", 0.75)': "0.1"}
    ),
    "from the start": Fault("the average begins with epoch", {START: "start = 0"}),
    "unequal weights": Fault("evaluated with other weights than their average", {WEIGHT: "0.5"}),
    "swapped weights": Fault(
        "evaluated with other weights than their average", {WEIGHT: "1 / (self.epoch - self.start)"}
    ),
    "the trained weights": Fault(
        "evaluated with other weights than their average .*: they are those of the last update",
        {"        if self.average:\n": "        if False:\n"},
    ),
    "training goes on from the average": Fault(
        "training goes on from the averaged weights instead of the trained ones",
        {"            self.net.load_state_dict(self.weights)\n": ""},
    ),
    "statistics of the trained weights": Fault(
        "the batch norm statistics are not updated for the averaged weights", {UPDATE_BN: "            pass\n"}
    ),
    "statistics of half of the data": Fault(
        "the batch norm statistics are not those of the averaged weights",
        {UPDATE_BN: "            update_bn(list(train_data)[:1], self, self.device)\n"},
    ),
    "statistics before the average": Fault(
        "the batch norm statistics are not",
        {
            "        if self.average.eval():\n": "        update_bn(train_data, self, self.device)\n"
            "        if self.average.eval():\n",
            UPDATE_BN: "            pass\n",
        },
    ),
    "the epoch is not resumed": Fault("resumed after epoch", {'        self.epoch = state_dict["epoch"]\n': ""}),
    "the weights are not resumed": Fault(
        "resumed after epoch",
        {'        self.weights = copy.deepcopy(state_dict["weights"])\n': ""},
    ),
}


@pytest.mark.parametrize("name", [EPOCH, BATCH])
def test_rendered_files_are_evaluated_with_the_average(check, text_of, name):
    """A rendered file is evaluated with the average of the last epochs and with statistics of its own."""
    evidence = check(text_of(name), name)
    assert evidence[0] == "the batch norm statistics of averaged weights were computed again"
    assert len(evidence) == 2


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_fails_with_its_reason(check, text_of, fault):
    """A file that claims weight averaging and has one fault fails, and the reason names the fault."""
    with pytest.raises(CheckFailure, match=fault.reason):
        check(fault.of(text_of(EPOCH)), EPOCH)
