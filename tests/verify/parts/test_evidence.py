"""Evidence on parts: made once, shared by threads, recorded with its case seed."""

import contextlib
import threading
from dataclasses import replace

import pytest

from lrgen.records import Part, PartEvidence, VerifySettings
from lrgen.store import Store
from lrgen.verify.parts.evidence import Evidence, Kind, key_of
from lrgen.verify.verdicts import conditions_of_parts

FOUND = PartEvidence("learn", "k", "ResNet/A0_001.py", 7, ("98 updates",), "t")


def test_parts_with_other_text_have_other_keys():
    """The imports, the code, the kind and the order of the parts count."""
    first, second = Part(("import math",), "x = 1"), Part((), "x = 1")
    keys = {
        key_of(Kind.LEARN, first, second),
        key_of(Kind.LEARN, second, first),
        key_of(Kind.LEARN, first),
        key_of(Kind.LEARN, second),
        key_of(Kind.CONTRACT, first),
    }
    assert len(keys) == 5


def test_two_threads_execute_a_part_once():
    """The second one waits for the first and gets its evidence."""
    evidence, begun, go_on, made = Evidence(), threading.Event(), threading.Event(), []

    def slow() -> PartEvidence:
        begun.set()
        assert go_on.wait(60)
        return FOUND

    def unused() -> PartEvidence:
        raise AssertionError("executed twice")

    first = threading.Thread(target=lambda: made.append(evidence.once(("learn", "k"), slow)))
    first.start()
    assert begun.wait(60)
    assert not evidence.has(("learn", "k"))
    second = threading.Thread(target=lambda: made.append(evidence.once(("learn", "k"), unused)))
    second.start()
    go_on.set()
    first.join(60)
    second.join(60)
    assert made == [FOUND, FOUND]
    assert evidence.has(("learn", "k"))
    assert evidence.take_new() == [FOUND]
    assert evidence.take_new() == []


def test_a_part_that_fails_is_no_evidence():
    """The next file executes it itself."""
    evidence = Evidence()

    def fails() -> PartEvidence:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        evidence.once(("learn", "k"), fails)
    assert not evidence.has(("learn", "k"))
    assert evidence.once(("learn", "k"), lambda: FOUND) == FOUND


def test_recorded_evidence_counts_under_its_conditions_and_its_case_seed(tmp_path):
    """Another policy, version of the checks or case seed finds nothing."""
    with contextlib.closing(Store(f"sqlite:///{tmp_path}/a.db")) as store:
        settings = VerifySettings()
        conditions = conditions_of_parts(settings)
        assert store.parts(conditions) == []
        store.save_parts([FOUND], conditions)
        assert store.parts(conditions) == [FOUND]
        assert store.parts(conditions, 7) == [FOUND]
        assert store.parts(conditions, 8) == []
        assert store.parts(replace(conditions, check_version="other")) == []
        assert store.parts(replace(conditions, torch="other")) == []
        assert store.parts(conditions_of_parts(replace(settings, policy="strict"))) == []
        assert store.parts(conditions_of_parts(replace(settings, seed=5, epochs=9))) == [FOUND]
