"""The comparisons of the contract check, and the faults that its fixtures do not have."""

from typing import Any

import pytest

from lrgen.verify.checks import contract, gradients
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.gradients import Comparison
from lrgen.verify.messages import Learned, Loaded, Raised, SetUp, State
from lrgen.verify.session import FileRaised
from tests.verify.examinations import Examine

LOADED: dict[str, Any] = {
    "printed": "",
    "changed": [],
    "makes_scheduler": True,
    "is_module": True,
    "signatures": {
        "__init__": ["self", "in_shape", "out_shape", "prm", "device"],
        "train_setup": ["self", "prm"],
        "learn": ["self", "train_data"],
        "forward": ["self", "images"],
    },
    "hyperparameters": ["gamma", "lr"],
}
SET_UP: dict[str, Any] = {
    "parameters": [{"name": "fc.weight", "shape": [2], "trained": True}, {"name": "w", "shape": [], "trained": False}],
    "missing": [],
    "optimizer": {"is_optimizer": True, "name": "SGD", "classes": []},
    "groups": [{"parameters": [0], "lr": 0.1, "depth": 0, "settings": {}}],
    "criterion": {"name": "Loss", "callable": True, "cross_entropy": False, "label_smoothing": 0.0},
    "scheduler": True,
    "scheduler_state": "",
    "takes_metric": False,
    "horizons": [],
    "read": [],
}
STATE = State(weights=1, buffers=2, rates=[0.1], scheduler_state="{}")
STEP: dict[str, Any] = {"rates": [0.1], "settings": None, "norm": None}
# A file without a claim that trains a linear layer on the mean of each channel; each test replaces a part of it.
FILE = """
import copy
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.device = device
        self.register_buffer("mean", torch.zeros(1))
        self.fc = nn.Linear(in_shape[1], out_shape[0])

    def forward(self, x):
        return self.fc(x.mean(dim=(2, 3)))

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)

    def learn(self, train_data):
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
        self.scheduler.step()
"""
BEFORE = "        for images, labels in train_data:\n"
AFTER = "        self.scheduler.step()\n"
AVERAGE = (
    ("        self.scheduler = torch", "        self.average = copy.deepcopy(self.fc)\n        self.scheduler = torch"),
    (
        "self.optimizer.step()",
        "self.optimizer.step()\n            self.average.weight.data.lerp_(self.fc.weight.data, 0.1)",
    ),
)
WRAPPER = """class Wrapper(torch.optim.Optimizer):
    def __init__(self, kind, parameters, **settings):
        super().__init__(parameters, settings)
        self.inner = kind(self.param_groups, **settings)
        self.param_groups = self.inner.param_groups

    def step(self, closure=None):
        self.inner.step()


"""
COMPILED = (
    ("        self.scheduler = torch", "        self.fast = [torch.compile(self)]\n        self.scheduler = torch"),
    ("self.criterion(self(images)", "self.criterion(self.fast[0](images)"),
)


def failure(examine: Examine, *replaced: tuple[str, str]) -> tuple[str, list[str]]:
    """The reason why a variation of the file fails, empty if it passes, and the evidence."""
    code = FILE
    for old, new in replaced:
        assert old in code
        code = code.replace(old, new)
    examination = examine(code)
    try:
        contract.run(examination)
    except CheckFailure as failed:
        return str(failed), examination.evidence
    return "", examination.evidence


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"printed": "hello"}, "the file does work at import time: it prints 'hello'"),
        (
            {"changed": ["random number generator", "default dtype"]},
            "the file does work at import time: it changes torch's random number generator and default dtype",
        ),
        ({"is_module": False}, "Net must be a subclass of torch.nn.Module"),
        ({"signatures": LOADED["signatures"] | {"learn": None}}, "Net has no method learn"),
        (
            {"signatures": LOADED["signatures"] | {"learn": ["self"]}},
            "Net.learn has the parameters (self), expected (self, train_data)",
        ),
        (
            {"hyperparameters": ["lr"]},
            "supported_hyperparameters returns ['lr'], its text ['gamma', 'lr']",
        ),
    ],
)
def test_a_fault_of_the_loaded_module_is_described(changes, reason):
    """The reason names what loading changed, the signature, or the names that differ from the text."""
    loaded = Loaded.model_validate(LOADED | changes)
    if reason is None:
        contract.check_loaded(loaded, ["gamma", "lr"])
        return
    with pytest.raises(CheckFailure) as failed:
        contract.check_loaded(loaded, ["gamma", "lr"])
    assert str(failed.value) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"missing": ["criterion"]}, "train_setup does not set self.criterion"),
        ({"missing": ["scheduler"]}, "train_setup does not set self.scheduler"),
        (
            {"optimizer": {"is_optimizer": False, "name": "list", "classes": []}},
            "self.optimizer is of type list, expected torch.optim.Optimizer",
        ),
        (
            {"criterion": SET_UP["criterion"] | {"callable": False}},
            "self.criterion of type Loss is not callable",
        ),
        ({"groups": []}, "the optimizer does not contain the parameter fc.weight"),
    ],
)
def test_a_fault_of_train_setup_is_described(changes, reason):
    """The reason names the attribute, the type or the parameter; frozen parameters need no group."""
    set_up = SetUp.model_validate(SET_UP | changes)
    if reason is None:
        contract.check_set_up(set_up, claimed=True)
        return
    with pytest.raises(CheckFailure) as failed:
        contract.check_set_up(set_up, claimed=True)
    assert str(failed.value) == reason


@pytest.mark.parametrize(
    ("steps", "changed", "result", "reason"),
    [
        (2, True, {"kind": "nothing"}, None),
        (2, True, {"kind": "pair", "accuracy": 1.0, "loss": 9.0}, None),
        (0, True, {"kind": "nothing"}, "learn never steps the optimizer"),
        (
            1,
            True,
            {"kind": "nothing"},
            "the number of optimizer steps in learn is 1, expected 2 (one per batch)",
        ),
        (2, False, {"kind": "nothing"}, "learn changes no parameter in 2 batches"),
        (
            2,
            True,
            {"kind": "pair", "accuracy": 1.5, "loss": 0.0},
            "learn returns (1.5, 0.0), expected None or (accuracy, loss), "
            "where the accuracy is from 0 to 1 and the loss is finite",
        ),
        (
            2,
            True,
            {"kind": "other", "text": "best"},
            "learn returns best, expected None or (accuracy, loss), "
            "where the accuracy is from 0 to 1 and the loss is finite",
        ),
    ],
)
def test_a_fault_of_learn_is_described(steps, changed, result, reason):
    """The reason holds the number of steps, or what ``learn`` returned, and what is expected."""
    learned = Learned.model_validate({"result": result, "steps": [STEP] * steps, "horizons": []})
    if reason is None:
        contract.check_learned(learned, changed, claimed=True)
        return
    with pytest.raises(CheckFailure) as failed:
        contract.check_learned(learned, changed, claimed=True)
    assert str(failed.value) == reason


def test_a_file_without_a_claim_may_accumulate_and_have_no_scheduler():
    """Updates of several batches and a scheduler of another name are faults only where there is a claim."""
    learned = Learned.model_validate({"result": {"kind": "nothing"}, "steps": [STEP], "horizons": []})
    contract.check_learned(learned, changed=True, claimed=False)
    contract.check_set_up(SetUp.model_validate(SET_UP | {"missing": ["scheduler"]}), claimed=False)


@pytest.mark.parametrize(
    ("raised", "changes", "reason"),
    [
        (None, {}, None),
        ("ValueError", {}, None),
        ("ZeroDivisionError", {"rates": [0.01]}, None),
        (None, {"scheduler_state": "{1}"}, None),
        (None, {"weights": 3}, "learn without a batch changes the weights or buffers of the network"),
        (
            "ZeroDivisionError",
            {"buffers": 3},
            "learn without a batch raises ZeroDivisionError: x (line 7) and changes the weights or buffers of the "
            "network",
        ),
        (
            "ValueError",
            {"rates": [0.01]},
            "learn without a batch raises ValueError: x (line 7) and changes the schedule",
        ),
        ("IndexError", {}, "learn without a batch raises IndexError: x (line 7), expected ValueError or nothing"),
    ],
)
def test_what_learn_does_without_a_batch_is_described(raised, changes, reason):
    """It must not touch the weights; a ValueError leaves the schedule as well, and other exceptions are a fault."""
    error = None if raised is None else FileRaised(Raised(type=raised, message="x", line=7))
    after = STATE.model_copy(update=changes)
    if reason is None:
        assert bool(contract.check_no_batch(STATE, after, error)) is bool(changes)
        return
    with pytest.raises(CheckFailure) as failed:
        contract.check_no_batch(STATE, after, error)
    assert str(failed.value) == reason


@pytest.mark.parametrize(
    ("comparison", "reason"),
    [
        (None, ""),
        (Comparison(0.0, 0.0), ""),
        (Comparison(0.5, 0.4), ""),
        (
            Comparison(0.5, 0.0),
            "the gradients of a batch depend on the batch before it (relative difference 0.5), "
            "zero_grad() may be missing",
        ),
    ],
)
def test_gradients_that_depend_on_an_earlier_batch_are_described(comparison, reason):
    """A difference is a fault if it is large, and larger than between equal runs."""
    assert gradients.judge(comparison) == reason


@pytest.mark.parametrize(
    ("replaced", "evidence"),
    [
        ([], ["learn without a batch advances the schedule"]),
        ([(AFTER, "")], []),
        (
            [(AFTER, "        self.seen = len(train_data) * train_data.batch_size\n")],
            [
                "learn got a DataLoader: with a list of batches it raises "
                "AttributeError: 'list' object has no attribute 'batch_size' (line 31)"
            ],
        ),
        (
            [(AFTER, ""), ('prm["lr"]', "prm.get(LR)"), ("class Net", 'LR = "l" + "r"\n\n\nclass Net')],
            ["LEMUR requires the quoted name of hyperparameter lr at least twice, got 1"],
        ),
        (
            [
                (AFTER, ""),
                ("self.criterion = nn.CrossEntropyLoss()", "self.criteria = [nn.CrossEntropyLoss()]"),
                ("self.criterion(", "self.criteria[0]("),
                ("self.scheduler = ", "self.lr_scheduler = "),
            ],
            [],
        ),
        (
            [(AFTER, ""), ('return {"lr", "momentum"}', 'return {"lr", "momentum", "batch"}  # "batch"')],
            [],
        ),
        ([(AFTER, ""), ("def train_setup(self, prm):", "def train_setup(self, prm):\n        prm = {**prm}")], []),
        (
            [(AFTER, f"{AFTER}        images.mean()\n")],
            [
                "learn without a batch raises UnboundLocalError: cannot access local variable 'images' where it is not "
                "associated with a value (line 32) and advances the schedule"
            ],
        ),
        ([(AFTER, "        return 2.5\n")], []),
        (
            [
                (AFTER, ""),
                ("self.optimizer.step()", "if index % 4 == 3:\n                self.optimizer.step()"),
                ("for images, labels in train_data", "for index, (images, labels) in enumerate(train_data)"),
            ],
            ["the number of optimizer steps in learn is 16 in 64 batches"],
        ),
        (
            [
                (AFTER, ""),
                ("prm, device):", "prm, device, width=8, *, bias=True, **others):"),
                ("learn(self, train_data)", "learn(self, loader)"),
                ("in train_data", "in loader"),
            ],
            [],
        ),
        ([(AFTER, ""), ("self.device = device", 'self.device, self.epochs = device, prm["epoch"]')], []),
        (
            [
                (AFTER, ""),
                ("self.criterion(self(images), labels)", "nn.functional.cross_entropy(self(images), labels)"),
                ("self.criterion = nn.CrossEntropyLoss()", "pass"),
            ],
            [],
        ),
        ([(AFTER, ""), *AVERAGE], []),
        ([(AFTER, ""), ("class Net", f"{WRAPPER}class Net"), ("torch.optim.SGD(", "Wrapper(torch.optim.SGD, ")], []),
        ([(AFTER, ""), ("class Net", "@torch.jit.script\ndef double(x):\n    return 2 * x\n\n\nclass Net")], []),
        ([(AFTER, ""), *COMPILED], []),
    ],
    ids=[
        *("epoch without a batch", "no step", "batch size", "unquoted", "other names", "caller's key", "copied"),
        *("name of the last batch", "result", "accumulated", "parameters", "epoch", "no criterion", "average"),
        *("wrapped optimizer", "scripted", "compiled"),
    ],
)
def test_a_file_of_another_style_passes(examine: Examine, replaced, evidence):
    """What a file does counts, not its style; what LEMUR might not accept is recorded."""
    assert failure(examine, *replaced) == ("", evidence)


@pytest.mark.parametrize(
    "note",
    [
        'self.optimizer.param_groups[0]["note"] = prm["dropout"]',
        'self.scheduler.note = prm["dropout"]',
        'self.note = prm["dropout"]',
        'self.note = torch.rand(1) * prm["dropout"]',
    ],
)
def test_a_note_of_a_hyperparameter_is_no_effect(examine: Examine, note):
    """A value that is only kept, in a parameter group or in the state of the scheduler, does not change training."""
    setup = "self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)"
    reason_given, _ = failure(
        examine,
        (setup, f"{setup}\n        {note}"),
        ('{"lr", "momentum"}', '{"lr", "momentum", "dropout"}  # "dropout"'),
    )
    assert reason_given == "hyperparameter dropout has no effect: training is the same with 0.0 and 0.999"


@pytest.mark.parametrize(
    "replaced",
    [
        [("StepLR(self.optimizer, 1)", 'StepLR(self.optimizer, 30, gamma=prm.get("gamma", 0.1))')],
        [
            (
                "self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)",
                'self.kept = {"decay": torch.optim.lr_scheduler.StepLR(self.optimizer, 30, self.prm["gamma"])}',
            ),
            (AFTER, '        self.kept["decay"].step()\n'),
        ],
        [
            (
                AFTER,
                "        self.epoch = getattr(self, 'epoch', 0) + 1\n"
                '        self.optimizer.param_groups[0]["lr"] = 0.1 * self.prm["gamma"] ** (self.epoch // 40)\n',
            )
        ],
        [("self.fc(x.mean(dim=(2, 3)))", 'self.fc(x.mean(dim=(2, 3)) * self.prm["gamma"])')],
    ],
    ids=["the network's own scheduler after 30 steps", "another attribute", "by hand", "forward pass"],
)
def test_an_effect_that_shows_late_is_found(examine: Examine, replaced):
    """A decay after 30 epochs shows in the network's own schedulers, or by hand in training; other effects in updates.

    A scheduler may be a member of any attribute.
    """
    reason_given, _ = failure(
        examine,
        *replaced,
        ('{"lr", "momentum"}', '{"lr", "momentum", "gamma"}  # "gamma"'),
        ("self.device = device", 'self.device = device\n        self.prm = {"gamma": 0.5, **prm}'),
    )
    assert reason_given == ""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (BEFORE, f"        self.fc.weight.data.zero_()\n{BEFORE}", "changes the weights or buffers of the network"),
        (
            BEFORE,
            f"        self.mean += len(train_data) == 0\n{BEFORE}",
            "changes the weights or buffers of the network",
        ),
    ],
)
def test_learn_without_a_batch_leaves_the_network_as_it_was(examine: Examine, old, new, reason):
    """``learn`` is called with an empty loader after its training, and the state of the network is compared."""
    reason_given, _ = failure(examine, (old, new))
    assert reason_given.startswith("learn without a batch")
    assert reason_given.endswith(reason)
