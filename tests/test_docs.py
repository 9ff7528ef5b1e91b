"""The documents say what the program does."""

import re
import shlex

import pytest

from docs import build
from lrgen.cli import app
from tests.paths import REPOSITORY


def commands_of(group, prefix=()):
    import typer

    command = typer.main.get_command(group)
    for name, child in sorted(command.commands.items()):
        if hasattr(child, "commands"):
            yield from ((*prefix, name, inner) for inner in sorted(child.commands))
        else:
            yield (*prefix, name)


def test_the_references_are_current(catalogue):
    """docs/cli.md, docs/schedules.md and docs/architectures.md are what ``make docs`` writes."""
    stale = [name for name, text in build.texts(catalogue) if (REPOSITORY / "docs" / name).read_text() != text]
    assert stale == []


def test_the_pictures_are_current(catalogue, tmp_path):
    """Every picture is drawn from the curves as they are, and none is left of a family that is gone."""
    build.pictures(catalogue, tmp_path)
    drawn = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.svg")}
    kept = {path.relative_to(REPOSITORY / "docs"): path.read_text() for path in (REPOSITORY / "docs").rglob("*.svg")}
    assert drawn.keys() == kept.keys()
    assert [name for name in drawn if drawn[name] != kept[name]] == []


def test_every_schedule_is_documented(catalogue):
    """Each schedule has its heading, its formula and each of its hyperparameters in docs/schedules.md."""
    document = (REPOSITORY / "docs" / "schedules.md").read_text()
    entries = dict(re.findall(r"^### (A0_\d{3}) (.*?)(?=^##|\Z)", document, re.MULTILINE | re.DOTALL))
    assert list(entries) == [one.key for family in catalogue.families for one in family.variants]
    for variant in catalogue.variants:
        entry = entries[variant.key]
        assert entry.startswith(variant.name)
        assert variant.formula in entry
        assert all(f"| `{one.name}` | {one.text} |" in entry for one in variant.hyperparameters)


def test_every_command_is_in_the_reference():
    """No command is left out of docs/cli.md."""
    assert set(commands_of(app)) == set(build.COMMANDS) - {()}


PAGES = ("results", "comparing", "finetuning", "dataset", "verifying", "lemur")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}.md" for page in PAGES)])
def test_every_command_line_in_the_documents_is_understood(document):
    """Each ``lrgen …`` line names a command and options that exist."""
    known = {" ".join(command) for command in commands_of(app)}
    blocks = re.findall(r"```bash\n(.*?)```", (REPOSITORY / document).read_text(), re.DOTALL)
    inline = re.findall(r"`(lrgen [a-z][^`<]*)`", (REPOSITORY / document).read_text())
    lines = re.findall(r"^(lrgen .*?)\s*(?:#.*)?$", "\n".join((*blocks, *inline)), re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if name not in known:
            assert any(command.startswith(f"{name} ") for command in known), line
            continue
        reference = (REPOSITORY / "docs" / "cli.md").read_text().split(f"## lrgen {name}\n")[1].split("\n## ")[0]
        for option in (word for word in words if word.startswith("--")):
            assert option in reference, line


def test_every_setting_in_the_readme_exists():
    """The configuration block of the README is a valid lrgen.toml with the defaults."""
    import tomllib

    from lrgen.config import Settings

    block = re.search(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert Settings.model_validate(tomllib.loads(block[1])) == Settings()


def test_the_rendered_code_in_the_readme_is_the_rendered_file():
    """The schedule that the README shows stands in the committed file."""
    shown = re.search(r"```python\n(def make_scheduler.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] in (REPOSITORY / "generated" / "ResNet" / "A0_034.py").read_text()
