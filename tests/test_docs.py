"""The documents agree with the commands, the catalogue and the configuration."""

import re
import shlex

import pytest

from docs import build
from lrgen.cli import app
from tests.paths import REPOSITORY


def commands_of(group, prefix=()):
    """Yield the words of each command."""
    import typer

    command = typer.main.get_command(group)
    for name, child in sorted(command.commands.items()):
        if hasattr(child, "commands"):
            yield from ((*prefix, name, inner) for inner in sorted(child.commands))
        else:
            yield (*prefix, name)


def test_the_references_are_current(catalogue):
    """The generated documents equal the output of ``make docs``."""
    stale = [name for name, text in build.texts(catalogue) if (REPOSITORY / "docs" / name).read_text() != text]
    assert stale == []


def test_the_figures_are_current(catalogue, tmp_path):
    """The committed figures are those of the families and equal the output of ``make docs``."""
    build.pictures(catalogue, tmp_path)
    drawn = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.svg")}
    kept = {path.relative_to(REPOSITORY / "docs"): path.read_text() for path in (REPOSITORY / "docs").rglob("*.svg")}
    assert drawn.keys() == kept.keys()
    assert [name for name in drawn if drawn[name] != kept[name]] == []


def test_every_schedule_is_documented(catalogue):
    """docs/schedules.md has the heading, the formula and the hyperparameters of each schedule."""
    document = (REPOSITORY / "docs" / "schedules.md").read_text()
    entries = dict(re.findall(r"^### (A0_\d{3}) (.*?)(?=^##|\Z)", document, re.MULTILINE | re.DOTALL))
    assert list(entries) == [variant.key for family in catalogue.families for variant in family.variants]
    for variant in catalogue.schedules:
        entry = entries[variant.key]
        assert entry.startswith(variant.name)
        assert variant.formula in entry
        assert all(f"| `{parameter.name}` | {parameter.text} |" in entry for parameter in variant.hyperparameters)


def test_every_recipe_says_whose_it_is(catalogue):
    """docs/recipes.md has a row with the source of each recipe and of each schedule's own optimizer."""
    rows = (REPOSITORY / "docs" / "recipes.md").read_text().splitlines()
    for architecture in catalogue.architectures:
        [row] = [row for row in rows if row.startswith(f"| {architecture.name} |")]
        assert architecture.recipe.source in row
        if architecture.recipe.weight_decay:
            assert f"wd {architecture.recipe.weight_decay:g}" in row
            assert all(f"`{suffix}`" in row for suffix in architecture.no_decay)
    own = [variant for variant in catalogue.schedules if variant.optimizer]
    for variant in own:
        [row] = [row for row in rows if row.startswith(f"| {variant.label} |")]
        assert variant.optimizer.source
        assert variant.optimizer.source in row
    assert len(rows) > len(catalogue.architectures) + len(own)


def test_every_command_is_in_the_reference():
    """docs/cli.md has every command."""
    assert set(commands_of(app)) == set(build.COMMANDS) - {()}


PAGES = ("compositions", "results", "scoring", "comparing", "finetuning", "dataset", "running", "lemur")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}.md" for page in PAGES)])
def test_every_command_line_in_the_documents_is_valid(document):
    """Each ``lrgen …`` line of a document has a command and options that exist."""
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
    """The TOML of the README is a valid lrgen.toml with the default of every setting."""
    import tomllib

    from lrgen.config import Settings

    block = re.search(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert Settings.model_validate(tomllib.loads(block[1])) == Settings()


def test_the_rendered_code_in_the_readme_is_the_rendered_file():
    """The code of the README is part of the committed file."""
    shown = re.search(r"```python\n(def make_scheduler.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] in (REPOSITORY / "generated" / "ResNet" / "A0_034.py").read_text()


def test_every_habit_of_the_templates_has_its_test():
    """CONTRIBUTING lists ten habits of rendered files, each with a test or a fixture that exists."""
    section = (REPOSITORY / "CONTRIBUTING.md").read_text().partition("### Habits")[2]
    rows = re.findall(r"^\| (\d+) \| .+ \| `([^`]+)` \|$", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    for _, test in rows:
        path, _, name = test.partition("::")
        source = (REPOSITORY / path).read_text()
        assert f"def {name}(" in source if name else source.startswith("# claim:"), test
