"""``lrgen model``: the active model and the facts about architectures."""

import json

import pytest
import tomlkit

import lrgen as package
from lrgen import config
from lrgen.errors import ConfigError, UnknownNameError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Each test runs in an empty folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LRGEN_ACTIVE_MODEL", raising=False)


def test_commands_work_on_the_active_model(lrgen, tmp_path):
    """``lrgen model use`` writes lrgen.toml, and ``render`` without --model writes the files of this model."""
    code, out, _ = lrgen("model", "use", "ResNet18")
    assert code == 0
    assert "ResNet18" in out
    assert tomlkit.parse((tmp_path / "lrgen.toml").read_text()) == {"active_model": "ResNet18"}
    assert lrgen("render", "--variant", "1")[0] == 0
    assert (tmp_path / "generated" / "ResNet18" / "A0_001.py").is_file()
    assert package.get_active_model() == "ResNet18"


def test_other_settings_of_lrgen_toml_are_kept(tmp_path):
    """Changing a setting keeps comments, order and other settings, in the lrgen.toml of a parent folder."""
    text = '# the settings\nepochs = 7  # enough\nactive_model = "ResNet"  # the small one\nout = "files"\n'
    (tmp_path / "lrgen.toml").write_text(text)
    (tmp_path / "below").mkdir()
    path = config.write_setting("active_model", "ResNet18", tmp_path / "below")
    assert path == tmp_path / "lrgen.toml"
    assert path.read_text() == text.replace('"ResNet"', '"ResNet18"')
    assert not (tmp_path / "below" / "lrgen.toml").exists()


@pytest.mark.parametrize("text", ["active_model = ", 'colour = "red"\n'], ids=["no TOML", "no setting"])
def test_an_invalid_lrgen_toml_is_not_changed(tmp_path, text):
    """An lrgen.toml that cannot be read is an error that names it, and is not written."""
    (tmp_path / "lrgen.toml").write_text(text)
    with pytest.raises(
        ConfigError, match=r"lrgen\.toml: not valid TOML: |^colour: unknown key \(from .*lrgen\.toml\)$"
    ):
        config.write_setting("active_model", "ResNet18", tmp_path)
    assert (tmp_path / "lrgen.toml").read_text() == text


def test_an_unknown_model_cannot_be_the_active_one(lrgen, tmp_path):
    """The command and the function raise an error with the name and a suggestion, and write nothing."""
    code, _, err = lrgen("model", "use", "ResNet19")
    assert code == 2
    assert "ResNet19" in err
    assert "ResNet18" in err
    with pytest.raises(UnknownNameError, match="^unknown model 'ResNet19': did you mean ResNet"):
        package.set_active_model("ResNet19")
    assert not (tmp_path / "lrgen.toml").exists()


def test_the_functions_read_and_write_the_active_model(monkeypatch):
    """``get_active_model`` returns the model of ``set_active_model``, unless the environment overrides it."""
    assert package.get_active_model() == "ResNet"
    assert package.set_active_model("ResNet18") is True
    assert package.get_active_model() == "ResNet18"
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet")
    assert package.get_active_model() == "ResNet"


def test_model_use_reports_that_the_environment_overrides_it(lrgen, monkeypatch):
    """With LRGEN_ACTIVE_MODEL set, ``model use`` writes lrgen.toml and prints that the variable overrides it."""
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet")
    code, out, _ = lrgen("model", "use", "ResNet18")
    assert code == 0
    assert out.splitlines()[1:] == ["LRGEN_ACTIVE_MODEL=ResNet overrides it in this environment"]
    assert config.load().active_model == "ResNet"


def test_json_of_an_architecture_has_its_facts(lrgen, catalogue):
    """``lrgen model show NAME --json`` has parameters, reference, smallest input, layers, recipe and budget."""
    for architecture in catalogue.architectures[:3]:
        code, out, _ = lrgen("model", "show", architecture.name, "--json")
        shown = json.loads(out)
        assert code == 0
        assert shown["parameters"] == architecture.parameters
        assert shown["reference"] == architecture.reference
        assert shown["smallest_input"] == architecture.smallest_input
        assert shown["layers"] == list(architecture.layers)
        assert shown["recipe"]["lr"] == architecture.recipe.lr
        assert (shown["budget"] is None) == (architecture.budget is None)


def test_the_code_of_an_architecture_is_a_module_with_its_network(lrgen):
    """``lrgen model show NAME --code`` prints a module with ``Net``, without a schedule and without training."""
    import torch

    code, out, _ = lrgen("model", "show", "ResNet18", "--code")
    assert code == 0
    module: dict = {}
    exec(compile(out, "network", "exec"), module)
    net = module["Net"]((1, 3, 32, 32), (5,), {}, torch.device("cpu")).eval()
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    assert "make_scheduler" not in module
    assert not hasattr(net, "learn")
