"""``lrgen.schedules`` from the templates of the schedules: a function for each schedule, one module for each family.

``make schedules`` writes the modules that are committed, ``lrgen export schedules`` a package that stands alone. What
the schedules share, such as the subclasses of torch's schedulers that resume, is in ``_resumable.py``. Classes of one
name that differ within a family are named after the first schedule that has them.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.errors import CatalogueError, EditedFileError
from lrgen.files import read_bytes, write_together
from lrgen.records import Family, Variant
from lrgen.render.renderer import Renderer, advances, formatted, import_block

PACKAGE = "lrgen.schedules"
HERE = Path(__file__).resolve().parent.parent / "schedules"

_FACTORY = "make_scheduler"
_SHARED = re.compile(r"Resumable\w+")
_READ = re.compile(r'prm\.get\(\s*"(\w+)",\s*[^()]+?\s*\)')
_UNCHANGED = re.compile(r"^ *(\w+) = \1\n", re.MULTILINE)
_OWN = re.compile(r"^( *)from lrgen\.(?:schedules\.)?", re.MULTILINE)
_RAISED = ("shown", "LrgenError", "ParameterError", "UnknownNameError")
_WIDTH = 88
_BY_HAND = {
    "adapters": ("accelerate_scheduler", "hf_trainer", "lightning_config", "timm_scheduler"),
    "composing": ("SHAPES", "compose", "phase"),
    "entry": ("Hyperparameter", "Schedule"),
    "lookup": ("find", "make"),
}
_FACE = """Learning-rate schedules for any PyTorch training: a function for each schedule.

A function takes an optimizer and the planned number of steps, and returns a scheduler of torch, which is stepped and
saved as any other. ``make`` takes the name of a schedule, ``find`` tells its unit and its hyperparameters, ``compose``
takes phases. The adapters make what Lightning, transformers, accelerate and timm need.

Example:
    >>> scheduler = wsd_linear(optimizer, total_steps=1000, warmup_fraction=0.05)
    >>> scheduler = make("wsd_linear", optimizer, total_steps=1000, warmup_fraction=0.05)
"""


@dataclass(frozen=True)
class _Code:
    """The code of a schedule: its imports, one statement a line, its classes by name, and ``make_scheduler``."""

    variant: Variant
    imports: tuple[str, ...]
    classes: Mapping[str, str]
    factory: str


def modules(catalogue: Catalogue, variants: Sequence[Variant]) -> dict[str, str]:
    """The generated modules of ``lrgen.schedules`` for some variants without a practice, by file name.

    Raises:
        CatalogueError: if a template is invalid.
    """
    renderer = Renderer(catalogue)
    written: dict[str, str] = {}
    shared: dict[str, _Code] = {}
    names: dict[str, list[str]] = {}
    for family in catalogue.families:
        codes = [_code(renderer, variant) for variant in variants if variant.family == family.name]
        if not codes:
            continue
        for code in codes:
            shared |= {name: code for name in code.classes if _SHARED.fullmatch(name)}
        own = _own_classes(codes)
        written[f"_{family.name}.py"] = _family(family, codes, own)
        optimizers = {code.variant.optimizer.name for code in codes if code.variant.optimizer}
        names[f"_{family.name}"] = [*(code.variant.name for code in codes), *optimizers]
    if shared:
        written["_resumable.py"] = _resumable(shared)
    written["_catalogue.py"] = _entries(variants)
    written["__init__.py"] = _face(names)
    return dict(sorted(written.items()))


def standalone(catalogue: Catalogue, variants: Sequence[Variant]) -> dict[str, str]:
    """The modules of a package that has some schedules and stands alone, by file name: it imports torch, not lrgen.

    Raises:
        CatalogueError: if a template is invalid.
    """
    texts = {f"{name}.py": read_bytes(HERE / f"{name}.py").decode() for name in _BY_HAND}
    texts |= {"errors.py": _errors(), **modules(catalogue, variants)}
    return {name: _OWN.sub(r"\1from .", text) for name, text in sorted(texts.items())}


def write(folder: Path, texts: Mapping[str, str], *, force: bool = False) -> int:
    """Write the modules of a package and return the number of those that changed.

    Raises:
        EditedFileError: if a file exists and is another one, and ``force`` is not set; nothing is written then.
        OutputError: if the folder cannot be read or written.
    """
    present = {name: read_bytes(folder / name) for name in texts if (folder / name).exists()}
    others = [name for name, content in present.items() if content != texts[name].encode()]
    if others and not force:
        rest = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise EditedFileError(f"{folder / others[0]}{rest} already exists: nothing was written (--force overwrites)")
    changed = {name: text for name, text in texts.items() if name in others or name not in present}
    write_together(folder, changed)
    return len(changed)


def _errors() -> str:
    """The exceptions that the schedules raise, cut from ``lrgen.errors``."""
    source = read_bytes(HERE.parent / "errors.py").decode()
    statements = [
        statement
        for statement in ast.parse(source).body[1:]
        if not isinstance(statement, (ast.ClassDef, ast.FunctionDef)) or statement.name in _RAISED
    ]
    body = "\n".join(ast.get_source_segment(source, statement) or "" for statement in statements)
    return f'"""The exceptions of the schedules."""\n\n{formatted(body)}\n'


def _code(renderer: Renderer, variant: Variant) -> _Code:
    """The code of a schedule in pieces.

    Raises:
        CatalogueError: if the template is invalid, or has statements of another kind at its top level.
    """
    text = renderer.schedule(variant)
    lines = text.splitlines(keepends=True)
    imports: list[str] = []
    pieces: dict[str, str] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import):
            imports += [f"import {ast.unparse(alias)}" for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            imports += [f"from {statement.module} import {ast.unparse(alias)}" for alias in statement.names]
        elif isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            begin = min([statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)])
            pieces[statement.name] = "".join(lines[begin - 1 : statement.end_lineno])
        else:
            place = f"variant {variant.number}: {variant.template}"
            raise CatalogueError(f"{place}: {ast.unparse(statement)} is neither an import, a class nor a function")
    return _Code(variant, tuple(imports), pieces, pieces.pop(_FACTORY))


def _own_classes(codes: Sequence[_Code]) -> list[dict[str, str]]:
    """The new name of each class of each schedule; classes of equal text have one name."""
    first: dict[str, dict[str, str]] = {}
    for code in codes:
        for name, text in code.classes.items():
            first.setdefault(name, {}).setdefault(text, code.variant.name)
    return [
        {
            name: name if len(first[name]) == 1 else _camel_case(first[name][text])
            for name, text in code.classes.items()
            if not _SHARED.fullmatch(name)
        }
        for code in codes
    ]


def _camel_case(name: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in name.split("_"))


def _family(family: Family, codes: Sequence[_Code], renamed: Sequence[Mapping[str, str]]) -> str:
    """The module of a family: the classes of each schedule, then its function."""
    blocks: dict[str, str] = {}
    imports: list[str] = []
    for code, names in zip(codes, renamed, strict=True):
        pieces = {new: code.classes[name] for name, new in names.items()}
        pieces[code.variant.name] = _function(code)
        for name, piece in pieces.items():
            text = "".join(names.get(word, word) for word in re.split(r"\b", piece))
            if blocks.setdefault(name, text) != text:
                raise CatalogueError(f"variant {code.variant.number}: {name} has another meaning in {family.name}")
        imports += code.imports
    body = formatted("\n\n\n".join(blocks.values()))
    own = [f"from {PACKAGE}.lookup import check"]
    own += [f"from {PACKAGE}._resumable import {name}" for name in _SHARED.findall(body)]
    docstring = f"{family.title}.\n\n{_wrapped(family.summary)}\n"
    return _module(docstring, imports, own, body)


def _resumable(shared: Mapping[str, _Code]) -> str:
    """The module of the subclasses that accept only the state of the same schedule over the same horizon."""
    body = formatted("\n\n\n".join(shared[name].classes[name] for name in sorted(shared)))
    imports = [statement for code in shared.values() for statement in code.imports]
    docstring = "Schedulers of torch that a checkpoint of the same schedule resumes, in any order of loading."
    return _module(docstring, imports, [], body)


def _module(docstring: str, imports: Iterable[str], own: Iterable[str], body: str) -> str:
    """The text of a module with those of its imports that it uses."""
    names = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    used = frozenset(statement for statement in imports if statement.split()[-1] in names)
    head = [f'"""{docstring}"""', import_block(used), import_block(frozenset(own))]
    blank = "\n\n\n" if body.startswith(("class", "def")) else "\n\n"
    return "\n\n".join(filter(None, head)) + f"{blank}{body}\n"


def _function(code: _Code) -> str:
    """``make_scheduler`` as a function with the hyperparameters of the schedule as keywords."""
    variant = code.variant
    function = ast.parse(code.factory).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert function.returns is not None
    first = function.body[0]
    is_check = ast.unparse(first).startswith("if total_steps < 1:")
    lines = code.factory.splitlines(keepends=True)
    body = "".join(lines[first.end_lineno if is_check else first.lineno - 1 :])
    body = _UNCHANGED.sub("", _READ.sub(r"\1", body))
    if re.search(r"\bprm\b", body):
        raise CatalogueError(f"variant {variant.number}: {variant.template} reads prm in another way than prm.get")
    keywords = [f"{parameter.name}: float = {parameter.text}" for parameter in variant.hyperparameters]
    arguments = ", ".join(["optimizer: Optimizer", "total_steps: int", *keywords])
    checked = [f'"{variant.name}"', "total_steps", *(f"{name}={name}" for name in variant.defaults)]
    return (
        f"def {variant.name}({arguments}) -> {ast.unparse(function.returns)}:\n"
        f'    """{textwrap.indent(_docstring(variant), "    ").lstrip()}    """\n'
        f"    check({', '.join(checked)})\n"
        f"{body}"
    )


def _docstring(variant: Variant) -> str:
    """The docstring of a schedule's function."""
    unit = (variant.cadence or variant.unit).value
    plural = {"epoch": "epochs", "batch": "batches"}[unit]
    parameters = {"total_steps": f"the planned number of {plural}, at least 1."}
    parameters |= {
        parameter.name: f"{parameter.meaning}, {parameter.low:g} to {parameter.high:g}."
        for parameter in variant.hyperparameters
    }
    described = (
        textwrap.fill(f"{name}: {meaning}", _WIDTH - 4, initial_indent="    ", subsequent_indent="        ")
        for name, meaning in parameters.items()
    )
    title = variant.title[0].upper() + variant.title[1:]
    summary = textwrap.fill(f"{variant.summary} {advances(variant)}", _WIDTH - 4)
    return f"{title}.\n\n{summary}\n\nArgs:\n" + "\n".join(described) + "\n"


def _entries(variants: Sequence[Variant]) -> str:
    """The module with the record of each schedule."""
    body = "SCHEDULES = (" + "".join(f"{_entry(variant)}, " for variant in variants) + ")"
    own = [f"from {PACKAGE}.entry import {name}" for name in ("Hyperparameter", "Schedule") if name in body]
    return _module("The schedules, ordered by their numbers.", [], own, formatted(body))


def _entry(variant: Variant) -> str:
    values = {"family": variant.family, "unit": (variant.cadence or variant.unit).value}
    values |= {"metric": variant.metric.value} if variant.metric else {}
    values |= {"former_name": variant.former_name} if variant.former_name else {}
    keywords = [f'{name}="{value}"' for name, value in values.items()]
    keywords += ["layerwise=True"] if variant.layerwise else []
    if variant.hyperparameters:
        keywords.append(f"hyperparameters=({' '.join(_parameters(variant))})")
    return f'Schedule("{variant.name}", {variant.number}, {", ".join(keywords)})'


def _parameters(variant: Variant) -> Iterator[str]:
    for parameter in variant.hyperparameters:
        bounds = f", {parameter.low}, {parameter.high}" if (parameter.low, parameter.high) != (0.0, 1.0) else ""
        yield f'Hyperparameter("{parameter.name}", {parameter.text}{bounds}),'


def _face(names: Mapping[str, Sequence[str]]) -> str:
    """``__init__.py``: what is imported from the package."""
    every = {**_BY_HAND, **names, "_catalogue": ("SCHEDULES",)}
    own = [f"from {PACKAGE}.{module} import {name}" for module, defined in every.items() for name in defined]
    exported = sorted(name for defined in every.values() for name in defined)
    body = formatted(f"__all__ = {exported!r}")
    return _module(_FACE, [], own, body)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH)


if __name__ == "__main__":
    shipped = catalogues.load()
    write_together(HERE, modules(shipped, shipped.schedules))
