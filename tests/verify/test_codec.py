"""Records that travel between processes as JSON."""

import json
import math
from pathlib import Path

import pytest

from lrgen.records import Candidate, CheckReport, EpochReport, Outcome, Stage, Status, Training
from lrgen.verify import codec
from lrgen.verify.candidate import candidate_of


def there_and_back(kind, record):
    return codec.decode(kind, json.loads(codec.encode(record)))


@pytest.mark.parametrize("model", ["ResNet", "ConvNeXt"])
def test_every_candidate_survives_its_journey(catalogue, model):
    """Each schedule with its constants, hyperparameters and optimizer, with a network that has a budget or none."""
    for variant in catalogue.variants:
        candidate = candidate_of(Path("a/file.py"), b"pass", catalogue.architecture(model), variant, rendered=True)
        assert there_and_back(Candidate, candidate) == candidate


@pytest.mark.parametrize("content", [b"x = '\xff'\n", "x = 'é\u2028'\n".encode(), b"\0", b""])
def test_the_text_of_a_file_arrives_as_it_was(content):
    """Bytes that are not UTF-8, line separators and null bytes are part of the text that is checked."""
    candidate = candidate_of(Path("file.py"), content)
    assert codec.encode(candidate).count(b"\n") == 1
    assert there_and_back(Candidate, candidate) == candidate


def test_an_outcome_survives_its_journey(catalogue):
    """Checks, epochs and their numbers arrive as they were, infinite ones as well."""
    candidate = candidate_of(Path("file.py"), b"pass", catalogue.architecture("ResNet"), catalogue.variant(1))
    outcome = Outcome(
        candidate=candidate,
        status=Status.FAILED,
        stage=Stage.TRAINING,
        reason="the loss is infinite",
        seconds=1 / 3,
        checks=(CheckReport(Stage.SYNTAX, True, "", 0.1), CheckReport(Stage.TRAINING, False, "the loss", 0.2)),
        epochs=(EpochReport(1, math.inf, 0.5, 0.25, ((3, 1), (0, 4)), 1e-300, 1.0),),
        accuracy=0.875,
        training=Training.FULL,
        base_lr=0.1,
        output="printed\n",
        trace="abc",
    )
    assert there_and_back(Outcome, outcome) == outcome


def test_what_is_no_record_is_no_record():
    """A field that does not exist and a word that is no status are errors, and no half of an outcome."""
    with pytest.raises(KeyError, match="nonsense"):
        codec.decode(CheckReport, {"nonsense": 1})
    with pytest.raises(ValueError, match="'finished' is not a valid Stage"):
        codec.decode(CheckReport, {"stage": "finished", "passed": True, "reason": "", "seconds": 0.0})
