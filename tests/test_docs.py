"""The documents say what the program does."""

import re
import shlex
from pathlib import Path

import pytest

from docs import build
from lrgen.cli import app

ROOT = Path(__file__).parent.parent


def commands_of(group, prefix=()):
    import typer

    command = typer.main.get_command(group)
    for name, child in sorted(command.commands.items()):
        if hasattr(child, "commands"):
            yield from ((*prefix, name, inner) for inner in sorted(child.commands))
        else:
            yield (*prefix, name)


def test_the_reference_of_the_command_line_is_current():
    """docs/cli.md is what ``make docs`` writes."""
    assert list(build.stale()) == []


def test_the_picture_is_current(tmp_path):
    """docs/schedules.svg is drawn from the curves as they are."""
    build.picture(tmp_path / "schedules.svg")
    assert (tmp_path / "schedules.svg").read_text() == (ROOT / "docs" / "schedules.svg").read_text()


def test_every_command_is_in_the_reference():
    """No command is left out of docs/cli.md."""
    assert set(commands_of(app)) == set(build.COMMANDS) - {()}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_command_line_in_the_documents_is_understood(document):
    """Each ``lrgen …`` line names a command and options that exist."""
    known = {" ".join(command) for command in commands_of(app)}
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    inline = re.findall(r"`(lrgen [a-z][^`<]*)`", (ROOT / document).read_text())
    lines = re.findall(r"^(lrgen .*?)\s*(?:#.*)?$", "\n".join((*blocks, *inline)), re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if name not in known:
            assert any(command.startswith(f"{name} ") for command in known), line
            continue
        reference = (ROOT / "docs" / "cli.md").read_text().split(f"## lrgen {name}\n")[1].split("\n## ")[0]
        for option in (word for word in words if word.startswith("--")):
            assert option in reference, line


def test_every_setting_in_the_readme_exists():
    """The configuration block of the README is a valid lrgen.toml with the defaults."""
    import tomllib

    from lrgen.config import Settings

    block = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert Settings.model_validate(tomllib.loads(block[1])) == Settings()


def test_the_rendered_code_in_the_readme_is_the_rendered_file():
    """The schedule that the README shows stands in the committed file."""
    shown = re.search(r"```python\n(def make_scheduler.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] in (ROOT / "generated" / "ResNet" / "A0_034.py").read_text()
