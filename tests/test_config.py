"""The configuration: lrgen.toml < ``LRGEN_*`` < flags, and how a bad value is named with its origin."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lrgen import config
from lrgen.errors import ConfigError


@dataclass
class Project:
    """A folder with a configuration file of its own, or none."""

    folder: Path

    def toml(self, text: str) -> Path:
        """Write the folder's lrgen.toml."""
        path = self.folder / "lrgen.toml"
        path.write_text(text)
        return path

    def load(self, flags: dict[str, object] | None = None, **environ: str) -> config.Settings:
        """The settings in this folder, in an environment with nothing else in it."""
        return config.load(flags, self.folder, environ)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A folder somewhere below an empty one."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return Project(folder)


def test_without_any_configuration_the_defaults_hold(project):
    """The active model is ResNet, files go to generated/, results to db/ab.nn.db."""
    settings = project.load()
    assert settings.active_model == "ResNet"
    assert settings.out == Path("generated")
    assert settings.db == "sqlite:///db/ab.nn.db"
    assert (settings.dataset, settings.epochs, settings.seed, settings.device) == ("digits", 5, 0, "auto")
    assert settings.templates == ()


def test_the_file_overrules_the_defaults(project):
    """A value in lrgen.toml counts, and leaves the other fields as they are."""
    project.toml('active_model = "ResNet18"\nepochs = 7')
    settings = project.load()
    assert (settings.active_model, settings.epochs, settings.dataset) == ("ResNet18", 7, "digits")


def test_the_environment_overrules_the_file(project):
    """``LRGEN_EPOCHS`` beats epochs in lrgen.toml, and only that."""
    project.toml("epochs = 7\nseed = 3")
    settings = project.load(LRGEN_EPOCHS="8")
    assert (settings.epochs, settings.seed) == (8, 3)


def test_a_flag_overrules_the_environment_and_the_file(project):
    """What is typed counts most."""
    project.toml("epochs = 7")
    assert project.load({"epochs": 9}, LRGEN_EPOCHS="8").epochs == 9


def test_a_flag_that_was_not_given_overrules_nothing(project):
    """None stands for a flag that was not typed; zero is a value."""
    project.toml("epochs = 7\nseed = 3")
    settings = project.load({"epochs": None, "seed": 0})
    assert (settings.epochs, settings.seed) == (7, 0)


def test_a_file_of_a_parent_folder_is_found(project):
    """The configuration counts in the folders below it."""
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7")
    assert project.load().epochs == 7


def test_the_nearest_file_is_the_only_one(project):
    """A file nearer by hides those above it, also in the fields that it does not set."""
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7\nseed = 3")
    project.toml("epochs = 8")
    settings = project.load()
    assert (settings.epochs, settings.seed) == (8, 0)


def test_a_folder_called_like_the_file_is_passed_over(project):
    """Only a regular file is a configuration."""
    (project.folder / "lrgen.toml").mkdir()
    project.folder.parent.joinpath("lrgen.toml").write_text("epochs = 7")
    assert project.load().epochs == 7


def test_the_current_folder_and_the_process_environment_are_the_default(project, monkeypatch):
    """Without arguments the settings are those of where one stands."""
    for name in [name for name in os.environ if name.startswith("LRGEN_")]:
        monkeypatch.delenv(name)
    project.toml("epochs = 7\nseed = 3")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("LRGEN_SEED", "4")
    settings = config.load()
    assert (settings.epochs, settings.seed) == (7, 4)


def test_folders_of_templates_are_a_list_in_the_file_and_a_path_in_the_environment(project):
    """The environment separates folders as PATH does."""
    project.toml('templates = ["one", "two"]')
    assert project.load().templates == (Path("one"), Path("two"))
    assert project.load(LRGEN_TEMPLATES=f"three{os.pathsep}four").templates == (Path("three"), Path("four"))
    assert project.load({"templates": (Path("five"),)}, LRGEN_TEMPLATES="three").templates == (Path("five"),)


def test_an_empty_list_of_folders_is_no_folder(project):
    """``LRGEN_TEMPLATES=`` switches the folders of the file off."""
    project.toml('templates = ["one"]')
    assert project.load(LRGEN_TEMPLATES="").templates == ()


def test_other_variables_with_the_prefix_are_ignored(project):
    """``LRGEN_`` variables that are no fields belong to somebody else; lower case is not ours."""
    settings = project.load(LRGEN_HOME="/srv", LRGEN_="1", lrgen_epochs="9", EPOCHS="9")
    assert settings == project.load()


def test_settings_cannot_be_changed(project):
    """One frozen object is passed around."""
    with pytest.raises(ValueError, match="frozen"):
        project.load().epochs = 9  # type: ignore[misc]


# Bad input.


def test_an_unknown_key_is_named_with_its_file(project):
    """A misspelt key is not passed over in silence."""
    path = project.toml("epoch = 7")
    with pytest.raises(ConfigError) as caught:
        project.load()
    assert str(caught.value) == f"epoch: unknown key (from {path})"


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
    ],
)
def test_a_bad_value_of_the_file_is_named_with_key_value_and_file(project, line, shown):
    """The message holds the key, what was wrong with the value, the value and the file."""
    path = project.toml(line)
    with pytest.raises(ConfigError) as caught:
        project.load()
    message = str(caught.value)
    assert message.startswith(f"{line.split()[0]}: ")
    assert f"got {shown}" in message
    assert message.endswith(f"(from {path})")


@pytest.mark.parametrize("value", ["many", "0", "", "1e99"])
def test_a_bad_value_of_the_environment_is_named_by_its_variable(project, value):
    """The origin is the variable, even where the file has a good value for the same field."""
    project.toml("epochs = 7")
    with pytest.raises(ConfigError) as caught:
        project.load(LRGEN_EPOCHS=value)
    message = str(caught.value)
    assert message.startswith("LRGEN_EPOCHS: ")
    assert f"got '{value}'" in message
    assert message.endswith("(from the environment)")


def test_a_bad_flag_is_named_as_one(project):
    """The origin is the command line, even where the environment has a good value for the same field."""
    with pytest.raises(ConfigError, match=r"^epochs: .*got 0 \(from the command line\)$"):
        project.load({"epochs": 0}, LRGEN_EPOCHS="8")


def test_a_bad_value_that_is_overruled_is_not_used(project):
    """Only the value that counts has to be right."""
    project.toml('epochs = "many"')
    assert project.load(LRGEN_EPOCHS="8").epochs == 8


@pytest.mark.parametrize("content", [b"epochs = ", b"[epochs", b"epochs = 1\nepochs = 2", b'db = "\xff"'])
def test_a_file_that_is_not_toml_is_named(project, content):
    """Broken TOML is an error that names the file, and not a traceback."""
    path = project.folder / "lrgen.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        project.load()
    assert str(caught.value).startswith(f"{path}: not valid TOML: ")


def test_a_bad_configuration_ends_the_command_with_exit_code_2(lrgen, tmp_path):
    """The command line prints the same sentence and writes nothing."""
    (tmp_path / "lrgen.toml").write_text("epoch = 7")
    code, out, err = lrgen("render", "--variant", "1")
    assert (code, out) == (2, "")
    assert err == f"lrgen: epoch: unknown key (from {tmp_path / 'lrgen.toml'})\n"
    assert not (tmp_path / "generated").exists()
