"""Everything that a user or a model reads is written in the field's words: the glossary, and rules of form."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest
import typer

from lrgen.cli import app
from lrgen.render.renderer import Renderer
from tests.glossary import TERMS, TRANSLATIONS, Scope
from tests.paths import REPOSITORY

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{p.name}" for p in (REPOSITORY / "docs").glob("*.md")),
)


def plain(text: str) -> str:
    return " ".join(text.split())


def comments(source: str) -> list[str]:
    """The comments of a module; those on consecutive lines are one."""
    collected: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text = token.string.lstrip("# ")
        if collected and collected[-1][0] == token.start[0] - 1:
            collected[-1] = (token.start[0], f"{collected[-1][1]} {text}")
        else:
            collected.append((token.start[0], text))
    return [text for _, text in collected]


def docstrings(source: str) -> list[tuple[str, str]]:
    """Where it stands and its text, of every docstring of a module."""
    collected = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                collected.append((getattr(node, "name", "module"), text))
    return collected


def literals(source: str) -> list[str]:
    """Return the string literals of a module with a space in them, without docstrings; a value in an f-string is …."""
    tree = ast.parse(source)
    parents = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    documented = {id(node.body[0].value) for node in parents if node.body and isinstance(node.body[0], ast.Expr)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = []
    for node in nodes:
        if id(node) in documented | inner:
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…" for part in parts
        )
        if " " in text.strip():
            texts.append(text)
    return texts


@pytest.fixture(scope="session")
def files(catalogue) -> dict[str, str]:
    """Every network with one schedule of each template, and every schedule with one network."""
    renderer = Renderer(catalogue)
    templates = {}
    for variant in catalogue.variants:
        templates.setdefault((variant.family, variant.template), variant)
    first = catalogue.architecture("ResNet")
    chosen = [(network, variant) for network in catalogue.architectures for variant in templates.values()]
    chosen += [(first, variant) for variant in catalogue.variants]
    return {f"{network.name}/{variant.key}": renderer.render(network, variant).text for network, variant in chosen}


@pytest.fixture(scope="session")
def statements(files) -> dict[str, str]:
    """The distinct top-level statements of these files, each with the first file that has it."""
    distinct: dict[str, str] = {}
    for name, text in files.items():
        for part in re.split(r"\n\n\n+", text):
            distinct.setdefault(part, name)
    return distinct


@pytest.fixture(scope="session")
def texts(catalogue, statements) -> dict[Scope, dict[str, set[str]]]:
    """Scope → text, white space collapsed → the places where it stands."""
    collected: dict[Scope, dict[str, set[str]]] = {scope: {} for scope in Scope}

    def add(scope: Scope, place: str, *phrases: str) -> None:
        for text in phrases:
            collected[scope].setdefault(plain(text), set()).add(place)

    for statement, name in statements.items():
        scope = Scope.NETWORK if re.match(r"class \w+\(nn\.Module\)", statement) else Scope.RENDERED
        add(scope, name, *comments(statement), *(text for _, text in docstrings(statement)))
    for network in catalogue.architectures:
        add(Scope.NETWORK, network.name, network.title, network.summary, network.reference, network.recipe.source)
    for family in catalogue.families:
        add(Scope.CATALOGUE, family.name, family.title, family.summary)
        for variant in family.variants:
            add(Scope.CATALOGUE, variant.key, variant.title, variant.summary, variant.source)
            add(Scope.CATALOGUE, variant.key, *(parameter.meaning for parameter in variant.hyperparameters))
    for name, command in commands(typer.main.get_command(app)):
        add(Scope.HELP, name, command.help or "", *(getattr(option, "help", None) or "" for option in command.params))
    for document in DOCUMENTS:
        # Paragraphs; the columns of a command's help, which inner spaces separate, are texts of their own.
        add(Scope.DOCS, document, *re.split(r"\n\n+|(?<=\S) {2,}(?=\S)", (REPOSITORY / document).read_text()))
    for path in sorted((REPOSITORY / "lrgen").rglob("*.py")):
        source, place = path.read_text(), str(path.relative_to(REPOSITORY))
        add(Scope.SOURCE, place, *comments(source), *(text for _, text in docstrings(source)))
        add(Scope.MESSAGES, place, *literals(source))
    for path in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        source = path.read_text()
        add(Scope.SOURCE, str(path.relative_to(REPOSITORY)), *comments(source), *(t for _, t in docstrings(source)))
    return collected


def commands(command: typer.core.TyperGroup, name: str = "lrgen") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    yield name, command
    for child, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {child}")


def test_there_is_text_of_every_kind(texts):
    """An empty scope would pass every other test."""
    least = {Scope.RENDERED: 500, Scope.NETWORK: 200, Scope.CATALOGUE: 500, Scope.HELP: 100, Scope.DOCS: 100}
    for scope, collected in texts.items():
        assert len(collected) >= least.get(scope, 300), scope


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.instead)
def test_a_term_that_the_glossary_replaces_stands_nowhere(texts, term):
    """Rendered text, catalogue, help, documents and the source of lrgen say what the glossary says."""
    hits = [
        f"{scope.value}: {min(places)}{' …' * (len(places) > 1)}: …{hit}…"
        for scope in sorted(term.scopes)
        for text, places in texts[scope].items()
        if not places <= TRANSLATIONS.keys()
        for hit in term.hits(text)
    ]
    assert not hits, f"write {term.instead!r} instead ({len(hits)}):\n" + "\n".join(hits[:40])


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.instead)
def test_a_term_is_found_and_each_of_its_exceptions_is_used(texts, term):
    """The example of a term is a hit; an exception that covers nothing any more is taken out."""
    assert term.hits(term.example)
    for exception, reason in term.exceptions.items():
        assert reason
        assert any(re.search(exception, text, re.IGNORECASE) for scope in term.scopes for text in texts[scope]), (
            f"no text needs the exception {exception!r}"
        )


DOUBLED = re.compile(r"\b([a-z]{2,}) \1\b")
MEANT_TWICE = {
    "that that",
    "out out",  # in an example: --out out
    "timestamp timestamp",  # in SQL: a column and its type
}


def test_no_word_stands_twice_in_a_row(texts):
    """No text repeats a word."""
    slips = [
        f"{min(places)}: {match.group()}"
        for scope in Scope
        for text, places in texts[scope].items()
        for match in DOUBLED.finditer(text)
        if match.group() not in MEANT_TWICE
    ]
    assert not slips, "\n".join(slips)


OPENING = re.compile(r"^(What|How|The file)\b")


def wrong_form(docstring: str, columns: int) -> str:
    """What is wrong with the first line of a docstring, or nothing."""
    first = docstring.split("\n")[0]
    if OPENING.match(first):
        return f"begins with {first.split()[0]}"
    if len(first) >= columns:
        return f"is {len(first)} columns long"
    return "" if first.endswith(".") else "does not end with a full stop"


def test_the_docstrings_of_rendered_files_have_one_form(statements):
    """The first line is a sentence under 88 columns that says what the thing is or does."""
    wrong = [
        f"{name}: {where}: {fault}: {text.splitlines()[0]}"
        for statement, name in statements.items()
        for where, text in docstrings(statement)
        if (fault := wrong_form(text, 88))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_docstrings_of_lrgen_begin_with_what_a_thing_is_or_does():
    """The first paragraph is a sentence that does not begin with What, How or "The file"."""
    wrong = []
    for path in sorted((REPOSITORY / "lrgen").rglob("*.py")):
        for where, text in docstrings(path.read_text()):
            if fault := wrong_form(plain(text.split("\n\n")[0]), 1000):
                wrong.append(f"{path.relative_to(REPOSITORY)}: {where}: {fault}: {text.splitlines()[0]}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("Residual block.", ""),
        ("What a block does.", "begins with What"),
        ("The file of a block.", "begins with The"),
        ("Residual block", "does not end with a full stop"),
        (f"{'Residual block ' * 6}.", "is 91 columns long"),
    ],
)
def test_the_rule_of_form_finds_each_fault(docstring, fault):
    """A docstring for each way of being wrong."""
    assert wrong_form(docstring, 88) == fault


VAGUE = {"one", "everything", "more", "found", "how", "told", "some", "ours", "theirs", "hear", "listen", "say"}


def bound_names(source: str) -> Iterator[tuple[str, int]]:
    """The names that a module binds, each with its line: variables, parameters, functions and classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno


def test_a_name_says_what_it_stands_for():
    """Neither lrgen nor its tests bind a name that could stand for anything, such as ``one`` or ``found``."""
    paths = [*(REPOSITORY / "lrgen").rglob("*.py"), *(REPOSITORY / "tests").rglob("*.py")]
    vague = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name}"
        for path in sorted(paths)
        if not (path.parent.parent.name in ("cases", "checks") and "tests" in path.parts)  # other people's files
        for name, line in bound_names(path.read_text())
        if name in VAGUE
    ]
    assert not vague, "\n".join(vague)


def test_every_kind_of_binding_is_seen():
    """A variable, a loop's, a parameter, a function and a class."""
    source = "one = 1\nfor more in []: pass\ndef how(told, *ours, **theirs): pass\nclass found: pass\n"
    assert {name for name, _ in bound_names(source)} == {"one", "more", "how", "told", "ours", "theirs", "found"}


BARE = {"dict", "tuple", "list", "set"}
SHORTENED = {
    "kernel": "kernel_size",
    "part": "window, patch",
    "places": "positions",
    "left0": "a name that says what is left",
}


def test_the_annotations_of_rendered_files_are_whole(statements):
    """dict[str, float] and tuple[int, ...], never a bare dict or tuple."""
    wrong = set()
    for statement, name in statements.items():
        for node in ast.walk(ast.parse(statement)):
            annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
            for annotation in annotations:
                if isinstance(annotation, ast.Name) and annotation.id in BARE:
                    wrong.add(f"{name}: line {annotation.lineno} of {statement.splitlines()[0]}: {annotation.id}")
    assert not wrong, "\n".join(sorted(wrong))


def test_the_names_in_rendered_files_are_the_fields(statements):
    """Neither an argument nor a variable has a name that the glossary replaces."""
    wrong = set()
    for statement, name in statements.items():
        for node in ast.walk(ast.parse(statement)):
            used = node.arg if isinstance(node, ast.arg) else getattr(node, "id", "")
            if used in SHORTENED:
                wrong.add(f"{name}: {used}: write {SHORTENED[used]}")
    assert not wrong, "\n".join(sorted(wrong))
