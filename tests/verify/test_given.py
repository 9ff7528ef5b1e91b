"""Hyperparameters that the user gives to every file with ``--set``."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.cli.options import hyperparameters, numbers
from lrgen.errors import ConfigError
from lrgen.records import VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import contract
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.given import check_given
from lrgen.verify.verdicts import conditions_of
from tests.verify.examinations import Examine

CODE = """
import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum", "patience"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.device = device
        self.fc = nn.Linear(in_shape[1], out_shape[0])

    def forward(self, x):
        return self.fc(x.mean(dim=(2, 3)))

    def train_setup(self, prm):
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])
        self.milestones = list(range(prm.get("patience", 7)))

    def learn(self, train_data):
        for images, labels in train_data:
            self.optimizer.zero_grad()
            self.criterion(self(images), labels).backward()
            self.optimizer.step()
"""


def test_an_integer_stays_an_integer():
    """A text without a point or an exponent is an integer, for commands that draw curves a real number."""
    given = numbers(["step_size=10", " gamma = 0.5", "power=1e2"])
    assert given == {"step_size": 10, "gamma": 0.5, "power": 100.0}
    assert [type(value) for value in given.values()] == [int, float, float]
    assert type(hyperparameters(["step_size=10"])["step_size"]) is float


@pytest.mark.parametrize(
    "text", ["step_size", "step_size=", "=3", "x=ten", "x=nan", "x=inf", "x=1e400", f"x={'9' * 50}"]
)
def test_what_is_no_number_is_an_error(text):
    """A name without a value, a text and a number that is not finite are named."""
    with pytest.raises(ConfigError, match="^--set takes NAME=VALUE with a number, got "):
        numbers([text])


def test_a_name_is_given_once():
    """Of two values for one name neither is taken."""
    with pytest.raises(ConfigError, match="^--set gives 'x' twice$"):
        numbers(["x=1", "x=2"])


@pytest.mark.parametrize(
    ("name", "claim", "message"),
    [
        ("lr", None, "--set lr: the checks choose its values themselves"),
        ("patince", None, "--set 'patince': no file contains this name"),
        ("gamma", 1, "--set gamma: it is a hyperparameter of A0_001 StepLR_default, whose values are drawn"),
        (
            "start_fraction",
            190,
            "--set start_fraction: it is a hyperparameter of A0_190 easy_first_linear_multistep, whose values are "
            "drawn",
        ),
    ],
)
def test_a_hyperparameter_that_cannot_be_given_is_an_error(name, claim, message):
    """Neither what the checks draw can be given, nor what no file reads."""
    variant = None if claim is None else catalogues.load().variant(claim)
    with pytest.raises(ConfigError) as error:
        check_given({name: 3}, [candidate_of(Path("file.py"), CODE.encode(), variant=variant)])
    assert str(error.value) == message
    check_given({"patience": 3}, [candidate_of(Path("file.py"), CODE.encode())])


def test_the_values_are_part_of_the_key_of_a_result():
    """A result with another value, or without one, is not reused."""
    keys = {conditions_of(VerifySettings(given=given)).settings for given in ((), (("x", 1),), (("x", 2),))}
    assert len(keys) == 3


def test_a_file_that_needs_an_integer_gets_it(examine: Examine):
    """Without one the reason says which value was tried, why, and what to pass."""
    with pytest.raises(CheckFailure) as failed:
        contract.run(examine(CODE))
    assert str(failed.value) == (
        "training raises TypeError: 'float' object cannot be interpreted as an integer (line 22) when patience is "
        "0.25: LEMUR draws every hyperparameter from 0 to 1, and two such values are tried; pass one that the file "
        "takes with --set patience=7"
    )
    examination = examine(CODE)
    examination.settings = replace(examination.settings, given=(("patience", 3),))
    contract.run(examination)


def test_a_given_hyperparameter_must_be_read(examine: Examine):
    """A file that declares it and does not read it fails, as without a value."""
    examination = examine(CODE.replace('prm.get("patience", 7)', "7"))
    examination.settings = replace(examination.settings, given=(("patience", 3),))
    with pytest.raises(CheckFailure, match="^hyperparameter patience is declared but never read from prm$"):
        contract.run(examination)
