"""The active model, and what the commands say of architectures."""

import json

import pytest
import tomlkit

import lrgen as package
from lrgen import config
from lrgen.errors import ConfigError, UnknownNameError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Each test in a folder of its own, below which nothing is configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LRGEN_ACTIVE_MODEL", raising=False)


def test_a_chosen_model_is_the_one_that_commands_work_on(lrgen, tmp_path):
    """``lrgen model use`` writes lrgen.toml, and ``render`` without --model then writes that model's files."""
    code, out, _ = lrgen("model", "use", "ResNet18")
    assert code == 0
    assert "ResNet18" in out
    assert tomlkit.parse((tmp_path / "lrgen.toml").read_text()) == {"active_model": "ResNet18"}
    assert lrgen("render", "--variant", "1")[0] == 0
    assert (tmp_path / "generated" / "ResNet18" / "A0_001.py").is_file()
    assert package.get_active_model() == "ResNet18"


def test_the_rest_of_lrgen_toml_stays_as_it_was(tmp_path):
    """Comments, order and other settings survive; the file of a parent folder is the one that is changed."""
    text = '# ours\nepochs = 7  # enough\nactive_model = "ResNet"  # the small one\nout = "files"\n'
    (tmp_path / "lrgen.toml").write_text(text)
    (tmp_path / "below").mkdir()
    path = config.keep("active_model", "ResNet18", tmp_path / "below")
    assert path == tmp_path / "lrgen.toml"
    assert path.read_text() == text.replace('"ResNet"', '"ResNet18"')
    assert not (tmp_path / "below" / "lrgen.toml").exists()


@pytest.mark.parametrize("text", ["active_model = ", 'colour = "red"\n'], ids=["no TOML", "no setting"])
def test_a_broken_lrgen_toml_is_not_touched(tmp_path, text):
    """What cannot be read is named, and nothing is written."""
    (tmp_path / "lrgen.toml").write_text(text)
    with pytest.raises(ConfigError, match="lrgen.toml"):
        config.keep("active_model", "ResNet18", tmp_path)
    assert (tmp_path / "lrgen.toml").read_text() == text


def test_an_unknown_model_is_not_chosen(lrgen, tmp_path):
    """The command and the function name it and what is near it; nothing is written."""
    code, _, err = lrgen("model", "use", "ResNet19")
    assert code == 2
    assert "ResNet19" in err
    assert "ResNet18" in err
    with pytest.raises(UnknownNameError, match="ResNet19"):
        package.set_active_model("ResNet19")
    assert not (tmp_path / "lrgen.toml").exists()


def test_the_functions_read_and_write_the_active_model(monkeypatch):
    """``set_active_model`` is seen by ``get_active_model``, unless the environment overrules it."""
    assert package.get_active_model() == "ResNet"
    assert package.set_active_model("ResNet18") is True
    assert package.get_active_model() == "ResNet18"
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet")
    assert package.get_active_model() == "ResNet"


def test_an_environment_that_overrules_is_told(lrgen, monkeypatch):
    """``model use`` says when the choice has no effect here."""
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet")
    from lrgen.cli import main

    with pytest.raises(SystemExit):
        main(["model", "use", "ResNet18"])
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet")
    assert config.load().active_model == "ResNet"


def test_an_architecture_is_shown_with_what_decides_its_use(lrgen, catalogue):
    """``lrgen model show NAME --json`` has parameters, reference, smallest input, layers, recipe and budget."""
    for one in catalogue.architectures[:3]:
        code, out, _ = lrgen("model", "show", one.name, "--json")
        shown = json.loads(out)
        assert code == 0
        assert shown["parameters"] == one.parameters
        assert shown["reference"] == one.reference
        assert shown["smallest_input"] == one.smallest_input
        assert shown["layers"] == list(one.layers)
        assert shown["recipe"]["lr"] == one.recipe.lr
        assert (shown["budget"] is None) == (one.budget is None)


def test_the_shown_code_is_the_network_alone(lrgen):
    """``lrgen model show NAME --code`` prints a module whose Net computes, without schedule or training."""
    import torch

    code, out, _ = lrgen("model", "show", "ResNet18", "--code")
    assert code == 0
    made: dict = {}
    exec(compile(out, "network", "exec"), made)
    net = made["Net"]((1, 3, 32, 32), (5,), {}, torch.device("cpu")).eval()
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    assert "make_scheduler" not in made
    assert not hasattr(net, "learn")
