"""Verification of a variation: its file is compared with its own network, not with that of its architecture."""

import json

import lrgen as package


def test_a_variation_passes_the_checks_as_itself_only(lrgen, tmp_path):
    """A file of ResNet-32 passes; its network equals that of ResNet-32 and differs from that of its architecture."""
    out = tmp_path / "out"
    selection = ("--model", "ResNet-32", "--variant", "1", "--stage", "schedule", "--out", str(out))
    code, printed, _ = lrgen("verify", *selection, "--json")
    (outcome,) = json.loads(printed)
    assert code == 0
    assert (outcome["model_name"], outcome["scheduler_type"], outcome["status"]) == ("ResNet32", "A0_001", "passed")
    path = out / "ResNet32/A0_001.py"
    assert package.verify_file(path, model="ResNet-32", stage="contract").architecture == "equal"
    failed = package.verify_file(path, model="ResNet", stage="contract")
    assert (failed.status, failed.stage) == ("failed", "contract")
    assert failed.reason.endswith("has 464,154 parameters for 3x32x32 inputs and 10 classes, ResNet has 269,722")
