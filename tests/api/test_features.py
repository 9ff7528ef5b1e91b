"""The ``enable_*`` settings: on by default, and switched off in lrgen.toml or in the environment."""

import json
from pathlib import Path

import pytest

import lrgen as package
from lrgen import config
from lrgen.config import Settings

NAMES = [name for name in Settings.model_fields if name.startswith("enable_")]


def switch_off(name: str) -> None:
    """Write an lrgen.toml that switches a feature off."""
    Path("lrgen.toml").write_text(f"{name} = false\n")


def test_the_features_are_those_of_the_upstream_generator():
    """There are five features, and all are on by default."""
    assert Settings().features == dict.fromkeys(NAMES, True)
    assert set(NAMES) == {
        "enable_huggingface_schedulers",
        "enable_multi_model_support",
        "enable_extended_classes",
        "enable_database_caching",
        "enable_fine_tuning",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_is_switched_off_in_the_file_or_in_the_environment(name, tmp_path):
    """Each feature can be switched off alone, and the environment overrides the file."""
    (tmp_path / "lrgen.toml").write_text(f"{name} = false\n")
    off = {other: other != name for other in NAMES}
    assert config.load(folder=tmp_path, environ={}).features == off
    assert config.load(folder=tmp_path, environ={f"LRGEN_{name.upper()}": "1"}).features[name]
    (tmp_path / "lrgen.toml").unlink()
    assert config.load(folder=tmp_path, environ={f"LRGEN_{name.upper()}": "0"}).features == off


def test_the_schedules_of_transformers_can_be_switched_off(lrgen):
    """Without the feature, the HF_* variants are unknown and the others keep their numbers."""
    code, out, _ = lrgen("list", "schedules", "--json")
    all_names = {row["key"]: row["name"] for row in json.loads(out)}
    assert code == 0
    switch_off("enable_huggingface_schedulers")
    code, out, _ = lrgen("list", "schedules", "--json")
    remaining = {row["key"]: row["name"] for row in json.loads(out)}
    assert remaining == {number: name for number, name in all_names.items() if not name.startswith("HF_")}
    assert 0 < len(remaining) < len(all_names)
    assert not any(name.startswith("HF_") for names in package.SCHEDULER_TYPES.values() for name in names)
    code, _, err = lrgen("show", "HF_cosine_warmup")
    assert code == 2
    assert "unknown variant 'HF_cosine_warmup'" in err


@pytest.mark.parametrize("selection", [["--all"], ["--model", "VGG"], ["--model", "ResNet", "--model", "VGG"]])
def test_the_selection_of_several_models_can_be_switched_off(lrgen, selection):
    """Without the feature, ``--all`` and ``--model`` may select only the active model; others are an error."""
    assert lrgen("render", "--model", "VGG", "--variant", "1")[0] == 0
    switch_off("enable_multi_model_support")
    code, out, err = lrgen("render", *selection, "--variant", "2")
    assert (code, out) == (2, "")
    assert "only the active model, ResNet, can be selected: enable_multi_model_support is false" in err
    assert not Path("generated/VGG/A0_002.py").exists()
    assert lrgen("render", "--model", "ResNet", "--variant", "2")[0] == 0
    assert lrgen("verify", "--cover", "families", "--stage", "syntax")[0] == 2


def test_cifar_20_can_be_switched_off(lrgen):
    """Without the feature, cifar-20 is an error that names the feature, and it has no class names."""
    code, _, err = lrgen("verify", "--variant", "1", "--dataset", "cifar-20")
    assert code == 2
    assert err.startswith("lrgen: cifar-20: no folder cifar-100-python in data ")
    assert len(package.CIFAR10_EXTENDED_CLASSES) == 20
    switch_off("enable_extended_classes")
    code, _, err = lrgen("verify", "--variant", "1", "--dataset", "cifar-20")
    assert code == 2
    assert "cifar-20 is switched off (enable_extended_classes)" in err
    assert package.CIFAR10_EXTENDED_CLASSES == []


def test_the_cache_of_results_can_be_switched_off(lrgen):
    """With the feature, a second run reuses the result; without it, the file is run again."""
    arguments = ("verify", "--variant", "1", "--stage", "syntax", "--json")
    reused = [json.loads(lrgen(*arguments)[1])[0]["reused"] for _ in range(2)]
    switch_off("enable_database_caching")
    reused += [json.loads(lrgen(*arguments)[1])[0]["reused"] for _ in range(2)]
    assert reused == [False, True, False, False]
