"""The configuration: the priority of its sources, and the errors of invalid values."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lrgen import config
from lrgen.errors import ConfigError


@dataclass
class Project:
    """A folder that may have an lrgen.toml."""

    folder: Path

    def toml(self, text: str) -> Path:
        """Write the folder's lrgen.toml."""
        path = self.folder / "lrgen.toml"
        path.write_text(text)
        return path

    def load(self, flags: dict[str, object] | None = None, **environ: str) -> config.Settings:
        """The settings of this folder with these environment variables only."""
        return config.load(flags, self.folder, environ)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder, two levels below another one."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return Project(folder)


def test_without_a_configuration_settings_have_their_defaults(project):
    """By default the active model is ResNet, the output folder generated/ and the database db/ab.nn.db."""
    settings = project.load()
    assert settings.active_model == "ResNet"
    assert settings.out == Path("generated")
    assert settings.db == "sqlite:///db/ab.nn.db"
    assert (settings.dataset, settings.epochs, settings.seed, settings.device) == ("digits", 5, 0, "auto")
    assert settings.templates == ()


def test_the_file_overrides_the_defaults(project):
    """A value of lrgen.toml replaces the default of its setting and of no other."""
    project.toml('active_model = "ResNet18"\nepochs = 7')
    settings = project.load()
    assert (settings.active_model, settings.epochs, settings.dataset) == ("ResNet18", 7, "digits")


def test_the_environment_overrides_the_file(project):
    """``LRGEN_EPOCHS`` replaces epochs of lrgen.toml, and no other setting."""
    project.toml("epochs = 7\nseed = 3")
    settings = project.load(LRGEN_EPOCHS="8")
    assert (settings.epochs, settings.seed) == (8, 3)


def test_a_flag_overrides_the_environment_and_the_file(project):
    """A flag has priority over the environment and lrgen.toml."""
    project.toml("epochs = 7")
    assert project.load({"epochs": 9}, LRGEN_EPOCHS="8").epochs == 9


def test_a_flag_that_is_none_is_ignored(project):
    """A flag that is None overrides nothing; a flag of zero is a value."""
    project.toml("epochs = 7\nseed = 3")
    settings = project.load({"epochs": None, "seed": 0})
    assert (settings.epochs, settings.seed) == (7, 0)


def test_a_file_of_a_parent_folder_is_found(project):
    """The lrgen.toml of a parent folder is read."""
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7")
    assert project.load().epochs == 7


def test_only_the_nearest_file_is_read(project):
    """The lrgen.toml of a parent folder is ignored if there is a nearer one."""
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7\nseed = 3")
    project.toml("epochs = 8")
    settings = project.load()
    assert (settings.epochs, settings.seed) == (8, 0)


def test_a_folder_with_the_name_of_the_file_is_ignored(project):
    """A folder named lrgen.toml is not a configuration file."""
    (project.folder / "lrgen.toml").mkdir()
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7")
    assert project.load().epochs == 7


def test_the_current_folder_and_the_process_environment_are_the_default(project, monkeypatch):
    """Without arguments, load reads the current folder and the environment of the process."""
    for name in [name for name in os.environ if name.startswith("LRGEN_")]:
        monkeypatch.delenv(name)
    project.toml("epochs = 7\nseed = 3")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("LRGEN_SEED", "4")
    settings = config.load()
    assert (settings.epochs, settings.seed) == (7, 4)


def test_folders_of_templates_are_a_list_in_the_file_and_a_path_in_the_environment(project):
    """lrgen.toml has a list of folders; ``LRGEN_TEMPLATES`` separates them like PATH."""
    project.toml('templates = ["one", "two"]')
    assert project.load().templates == (Path("one"), Path("two"))
    assert project.load(LRGEN_TEMPLATES=f"three{os.pathsep}four").templates == (Path("three"), Path("four"))
    assert project.load({"templates": (Path("five"),)}, LRGEN_TEMPLATES="three").templates == (Path("five"),)


def test_an_empty_variable_is_an_empty_list_of_folders(project):
    """An empty ``LRGEN_TEMPLATES`` overrides the folders of lrgen.toml."""
    project.toml('templates = ["one"]')
    assert project.load(LRGEN_TEMPLATES="").templates == ()


def test_other_variables_with_the_prefix_are_ignored(project):
    """A variable with the prefix but without a setting is ignored, and so is one in lower case."""
    settings = project.load(LRGEN_HOME="/srv", LRGEN_="1", lrgen_epochs="9", EPOCHS="9")
    assert settings == project.load()


def test_settings_cannot_be_changed(project):
    """An assignment to a setting is an error."""
    with pytest.raises(ValueError, match="frozen"):
        project.load().epochs = 9  # type: ignore[misc]


# Invalid values.


def test_an_unknown_key_is_named_with_its_file(project):
    """An unknown key is an error with the key and the file."""
    path = project.toml("epoch = 7")
    with pytest.raises(ConfigError) as caught:
        project.load()
    assert str(caught.value) == f"epoch: unknown key (from {path})"


def test_an_old_hyperparameter_is_an_unknown_key_with_its_new_name(project):
    """A hyperparameter is no setting: the error gives its new name and the option that sets it."""
    path = project.toml("warmup = 0.1")
    with pytest.raises(ConfigError) as caught:
        project.load()
    renamed = "the hyperparameter warmup is called warmup_fraction now, and is set with --set"
    assert str(caught.value) == f"warmup: unknown key; {renamed} (from {path})"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('epochs = "many"', "'many'"),
        ("epochs = 0", "0"),
        ("epochs = 1.5", "1.5"),
        ("seed = -1", "-1"),
        ("timeout = 0", "0"),
        ("workers = -2", "-2"),
        ("active_model = 18", "18"),
        ("templates = 5", "5"),
        ("timeout = inf", "inf"),
        ("timeout = nan", "nan"),
        ("timeout = 1e300", "1e+300"),
        ("timeout = true", "True"),
        ("epochs = true", "True"),
        ("batch_size = true", "True"),
        ("workers = false", "False"),
        ("seed = true", "True"),
        ("seed = 9223372036854775808", "9223372036854775808"),
        ('out = "a\\u0000b"', r"'a\x00b'"),
        ('db = "sqlite:///a\\u0000b"', r"'sqlite:///a\x00b'"),
        ('templates = ["a\\u0000b"]', r"'a\x00b'"),
        (f'epochs = "{"9" * 4000}"', f"'{'9' * 37}...{'9' * 38}'"),
        (f"epochs = {'[' * 90}{']' * 90}", "[[[[[[[...]]]]]]]"),
    ],
)
def test_an_invalid_value_of_the_file_is_an_error(project, line, shown):
    """The message has the key, the value and the file."""
    path = project.toml(line)
    with pytest.raises(ConfigError) as caught:
        project.load()
    message = str(caught.value)
    assert message.startswith(line.split()[0])
    assert f"got {shown} (from" in message
    assert message.endswith(f"(from {path})")


@pytest.mark.parametrize("value", ["many", "0", "", "1e99"])
def test_an_invalid_value_of_the_environment_is_an_error(project, value):
    """The message has the variable and the value, also if lrgen.toml has a valid value."""
    project.toml("epochs = 7")
    with pytest.raises(ConfigError) as caught:
        project.load(LRGEN_EPOCHS=value)
    message = str(caught.value)
    assert message.startswith("LRGEN_EPOCHS: ")
    assert f"got '{value}'" in message
    assert message.endswith("(from the environment)")


def test_an_invalid_flag_is_an_error(project):
    """The message names the command line, also if the environment has a valid value."""
    with pytest.raises(ConfigError, match=r"^epochs: .*got 0 \(from the command line\)$"):
        project.load({"epochs": 0}, LRGEN_EPOCHS="8")


def test_an_invalid_value_that_is_overridden_is_ignored(project):
    """An invalid value is no error if a source of higher priority has a valid one."""
    project.toml('epochs = "many"')
    assert project.load(LRGEN_EPOCHS="8").epochs == 8


@pytest.mark.parametrize(
    "content",
    [
        *(b"epochs = ", b"[epochs", b"epochs = 1\nepochs = 2", b'db = "\xff"', b"\0"),
        *(b"epochs = " + b"[" * 5000, b"epochs = " + b"{a=" * 5000, b"epochs = " + b"9" * 5000),
    ],
)
def test_a_file_that_is_not_toml_is_an_error(project, content):
    """A file that is not valid TOML, or not UTF-8, is an error with its path."""
    path = project.folder / "lrgen.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        project.load()
    assert str(caught.value).startswith(f"{path}: not valid TOML: ")


def test_a_command_with_an_invalid_configuration_exits_with_2(lrgen, tmp_path):
    """The command prints the message on one line and writes no file."""
    (tmp_path / "lrgen.toml").write_text("epoch = 7")
    code, out, err = lrgen("render", "--variant", "1")
    assert (code, out) == (2, "")
    assert err == f"lrgen: epoch: unknown key (from {tmp_path / 'lrgen.toml'})\n"
    assert not (tmp_path / "generated").exists()
