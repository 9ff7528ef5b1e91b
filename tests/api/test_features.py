"""The switches of lrgen.toml: each is on by default, and each can be turned off there or in the environment."""

import json
from pathlib import Path

import pytest

import lrgen as package
from lrgen import config
from lrgen.config import Settings

NAMES = [name for name in Settings.model_fields if name.startswith("enable_")]


def switch_off(name: str) -> None:
    Path("lrgen.toml").write_text(f"{name} = false\n")


def test_the_switches_are_those_of_the_first_document():
    """Five, and all are on where nothing is said."""
    assert Settings().features == dict.fromkeys(NAMES, True)
    assert set(NAMES) == {
        "enable_huggingface_schedulers",
        "enable_multi_model_support",
        "enable_extended_classes",
        "enable_database_caching",
        "enable_fine_tuning",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_switch_is_turned_off_in_the_file_or_in_the_environment(name, tmp_path):
    """One switch at a time; the environment overrules the file."""
    (tmp_path / "lrgen.toml").write_text(f"{name} = false\n")
    off = {one: one != name for one in NAMES}
    assert config.load(folder=tmp_path, environ={}).features == off
    assert config.load(folder=tmp_path, environ={f"LRGEN_{name.upper()}": "1"}).features[name]
    (tmp_path / "lrgen.toml").unlink()
    assert config.load(folder=tmp_path, environ={f"LRGEN_{name.upper()}": "0"}).features == off


def test_the_schedulers_of_hugging_face_exist_or_do_not(lrgen):
    """Off, no list shows an HF_* variant, and none can be named; all others keep their numbers."""
    code, out, _ = lrgen("list", "schedules", "--json")
    everything = {row["key"]: row["name"] for row in json.loads(out)}
    assert code == 0
    switch_off("enable_huggingface_schedulers")
    code, out, _ = lrgen("list", "schedules", "--json")
    left = {row["key"]: row["name"] for row in json.loads(out)}
    assert left == {number: name for number, name in everything.items() if not name.startswith("HF_")}
    assert 0 < len(left) < len(everything)
    assert not any(name.startswith("HF_") for names in package.SCHEDULER_TYPES.values() for name in names)
    code, _, err = lrgen("show", "HF_cosine_warmup")
    assert code == 2
    assert "unknown variant 'HF_cosine_warmup'" in err


@pytest.mark.parametrize("selection", [["--all"], ["--model", "VGG"], ["--model", "ResNet", "--model", "VGG"]])
def test_other_networks_than_the_active_one_can_be_selected_or_not(lrgen, selection):
    """Off, ``--all`` and ``--model`` reach the active model alone, and say so."""
    assert lrgen("render", "--model", "VGG", "--variant", "1")[0] == 0
    switch_off("enable_multi_model_support")
    code, out, err = lrgen("render", *selection, "--variant", "2")
    assert (code, out) == (2, "")
    assert "only the active model, ResNet, can be selected: enable_multi_model_support is off" in err
    assert not Path("generated/VGG/A0_002.py").exists()
    assert lrgen("render", "--model", "ResNet", "--variant", "2")[0] == 0
    assert lrgen("verify", "--cover", "families", "--stage", "syntax")[0] == 2


def test_cifar_20_may_be_used_or_not(lrgen):
    """On, its absence is what is told; off, that it is switched off, and its class names are none."""
    code, _, err = lrgen("verify", "--variant", "1", "--dataset", "cifar-20")
    assert code == 2
    assert "cifar-20 is not there: no folder cifar-100-python in data" in err
    assert len(package.CIFAR10_EXTENDED_CLASSES) == 20
    switch_off("enable_extended_classes")
    code, _, err = lrgen("verify", "--variant", "1", "--dataset", "cifar-20")
    assert code == 2
    assert "cifar-20 is switched off (enable_extended_classes)" in err
    assert package.CIFAR10_EXTENDED_CLASSES == []


def test_unchanged_files_are_verified_twice_or_not(lrgen):
    """On, the second run knows the result; off, it runs the file again."""
    arguments = ("verify", "--variant", "1", "--stage", "syntax", "--json")
    reused = [json.loads(lrgen(*arguments)[1])[0]["reused"] for _ in range(2)]
    switch_off("enable_database_caching")
    reused += [json.loads(lrgen(*arguments)[1])[0]["reused"] for _ in range(2)]
    assert reused == [False, True, False, False]
