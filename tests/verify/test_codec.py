"""Records are encoded as JSON and decoded without loss."""

import json
import math
from pathlib import Path

import pytest

from lrgen.records import Candidate, CheckReport, EpochReport, Outcome, Stage, Status, Training
from lrgen.verify import codec
from lrgen.verify.candidate import candidate_of


def round_trip(kind, record):
    return codec.decode(kind, json.loads(codec.encode(record)))


@pytest.mark.parametrize("model", ["ResNet", "ConvNeXt"])
def test_every_candidate_is_decoded_without_loss(catalogue, model):
    """Candidates of all variants, with and without a budget, equal what is decoded."""
    for variant in catalogue.variants:
        candidate = candidate_of(Path("a/file.py"), b"pass", catalogue.architecture(model), variant, rendered=True)
        assert round_trip(Candidate, candidate) == candidate


@pytest.mark.parametrize("content", [b"x = '\xff'\n", "x = 'é\u2028'\n".encode(), b"\0", b""])
def test_the_source_is_decoded_without_loss(content):
    """Bytes that are not UTF-8, line separators and null bytes are kept, and the message is one line."""
    candidate = candidate_of(Path("file.py"), content)
    assert codec.encode(candidate).count(b"\n") == 1
    assert round_trip(Candidate, candidate) == candidate


def test_an_outcome_is_decoded_without_loss(catalogue):
    """Checks, epochs and their numbers are kept, infinite numbers included."""
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
    assert round_trip(Outcome, outcome) == outcome


def test_an_invalid_record_is_an_error():
    """An unknown field and an unknown stage are errors."""
    with pytest.raises(KeyError, match="^'nonsense'$"):
        codec.decode(CheckReport, {"nonsense": 1})
    with pytest.raises(ValueError, match="^'finished' is not a valid Stage$"):
        codec.decode(CheckReport, {"stage": "finished", "passed": True, "reason": "", "seconds": 0.0})
