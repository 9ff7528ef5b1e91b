"""Rendering of records to source text.

black takes longer than all other steps together. It therefore formats each distinct fragment once (a schedule, a
network, the training methods of a unit, an import block), not each file. A fragment consists of whole top-level
statements, or of whole methods formatted inside their class, which black formats independently of their context; the
tests compare composed files with black's output for the whole file.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import black
import black.parsing
import jinja2
import jinja2.nodes

from lrgen import limited, old_names
from lrgen.catalogue import SHIPPED, Catalogue
from lrgen.errors import CatalogueError, OutputError, first_line
from lrgen.files import write_atomically
from lrgen.records import Architecture, Hyperparameter, Metric, Part, Parts, Practice, RenderedFile, Unit, Variant

_WIDTH = 88
_LONGEST = 1_000_000  # characters of a fragment
_LOOP = "training/loop.py.jinja"
_NET = "class Net:\n"
_ADVANCES = {
    Unit.EPOCH: "The schedule advances once per epoch.",
    Unit.BATCH: "The schedule advances once per batch.",
}
_DRIVEN_BY = {Metric.LOSS: "mean training loss", Metric.ACCURACY: "training accuracy"}
_RETURNS = re.compile(r"^def make_scheduler\([^)]*\) -> (\w+):", re.MULTILINE)
_READ = re.compile(r"""prm(?:\[|\.get\()\s*["'](\w+)["']""")
_IMPORT = re.compile(r"^(?:from ([\w.]+) )?import (.+)$")
_NORM = re.compile(r"\bnn\.\w*Norm")


Fragment = tuple[tuple[str, ...], str]  # import statements, and the formatted code


class Renderer:
    """Renders the files of a catalogue; each fragment is formatted once.

    The fragments of a user's families and architectures are made in a process with a time and a memory limit.
    """

    def __init__(self, catalogue: Catalogue, *, limits: bool = True) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in catalogue.folders]),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
        )
        self._jinja.filters["number"] = _number
        self._jinja.filters["paragraph"] = _paragraph
        self._fragments: dict[tuple[str, ...], Fragment] = {}
        self._blocks_of: dict[str, tuple[set[str], set[str]]] = {}

    def render(self, architecture: Architecture, variant: Variant) -> RenderedFile:
        """Render the file of one architecture trained with one schedule.

        Raises:
            CatalogueError: if a template is invalid, or a declared hyperparameter is never read.
        """
        parts = self.parts(architecture, variant)
        declared = {parameter.name for parameter in variant.hyperparameters}
        read = set(_READ.findall(parts.schedule.code))
        if read != declared:
            wrong = min(read - declared or declared - read)
            problem = "declared and never read" if wrong in declared else "read and not declared"
            place = f"variant {variant.number}: hyperparameter {wrong} is {problem} in {variant.template}"
            raise CatalogueError(f"{place}{old_names.hint(wrong, declared)}")
        if variant.practice:
            unread = variant.practice.defaults.keys() - set(_READ.findall(parts.training.code))
            if unread:
                place = f"practice {variant.practice.name}: hyperparameter {min(unread)}"
                raise CatalogueError(f"{place} is declared and never read in {variant.practice.template}")
        text = self.compose(parts)
        return RenderedFile(architecture, variant, text, hashlib.sha256(text.encode()).hexdigest())

    def parts(self, architecture: Architecture, variant: Variant) -> Parts:
        """The parts of the file of one architecture trained with one schedule.

        Raises:
            CatalogueError: if a template is invalid.
        """
        schedule, network = self._schedule(variant), self._network(architecture)
        training = self._training(architecture, variant, schedule[1], network[1])
        classes, _, methods = training[1].partition(_NET)
        return Parts(
            _docstring(architecture, variant),
            Part(*schedule),
            Part(*network),
            Part(training[0], methods, classes.rstrip("\n")),
        )

    def compose(self, parts: Parts) -> str:
        """The text of a file of these parts."""
        codes = parts.schedule, parts.network, parts.training
        names = {name for part in codes for name in _READ.findall(part.code)} - {"epoch", "epoch_max"}
        return self._jinja.get_template("module.py.jinja").render(
            docstring=parts.docstring,
            imports=import_block(frozenset(statement for part in codes for statement in part.imports)),
            hyperparameters=_hyperparameters(frozenset(names)),
            schedule=parts.schedule.code,
            network=parts.network.code,
            classes=parts.training.classes,
            training=parts.training.code,
        )

    def schedule(self, variant: Variant) -> str:
        """Return the code of a schedule with its imports, ready to paste into any project."""
        imports, code = self._schedule(variant)
        return f"{import_block(frozenset(imports))}\n\n\n{code}\n"

    def network(self, architecture: Architecture) -> str:
        """Return the code of a network with its imports: ``Net`` without the training methods."""
        imports, code = self._network(architecture)
        return f"{import_block(frozenset(imports))}\n\n\n{code}\n"

    def _schedule(self, variant: Variant) -> Fragment:
        template = f"schedulers/{variant.family}/{variant.template}.py.jinja"
        key = ("schedule", str(variant.schedule or variant.number))
        if self._limits and variant.curves_folder is not None:
            return self._in_limits(template, key, variant)
        names = {parameter.name for parameter in variant.hyperparameters}
        values = {
            "prm": _reader(f"{template} (variant {variant.number})", variant.hyperparameters),
            "has": names.__contains__,
            "title": variant.title,
            **variant.constants,
        }
        return self._fragment(key, template, values, formatted)

    def _network(self, architecture: Architecture) -> Fragment:
        if self._limits and is_own(architecture):
            return self._in_limits(architecture.template, ("network", architecture.name), architecture)
        values = {"title": architecture.title, "config": architecture.config, "recipe": architecture.recipe}
        return self._fragment(("network", architecture.name), architecture.template, values, formatted)

    def _training(self, architecture: Architecture, variant: Variant, schedule: str, network: str) -> Fragment:
        if self._limits and is_own(architecture, variant):
            key = ("training", architecture.name, str(variant.number))
            return self._in_limits(" with ".join(key[1:]), key, architecture, variant, schedule, network)
        returns = _RETURNS.search(schedule)
        if returns is None:
            raise CatalogueError(f"{variant.template}: has no make_scheduler(...) with a class that it returns")
        own = (architecture.folder / "training.py.jinja").is_file()
        template = f"architectures/{architecture.entry}/training.py.jinja" if own else _LOOP
        base = {}
        for axis, choice in _axes(architecture, variant):
            base[axis], template = template, f"training/{axis}/{choice}.py.jinja"
        values = {
            "base": base,
            "recipe": architecture.recipe,
            "config": architecture.config,
            "layers": architecture.layers if variant.layerwise else (),
            "no_decay": _one_or_all(architecture.no_decay),
            "batch_norm": _batch_norm(network),
            "exempt": _exempt(network),
            "optimizer": variant.optimizer,
            "scheduler_class": returns[1] if variant.per_batch else "",
            "states": _states(variant.practice),
            **(variant.practice.constants if variant.practice else {}),
        }
        declared = variant.practice.hyperparameters if variant.practice else ()
        key = ("training", template, repr((values, declared)))
        if key not in self._fragments:
            self._check_blocks((_LOOP, *base.values(), template))
        return self._fragment(key, template, {**values, "prm": _reader(template, declared)}, _formatted_methods)

    def _check_blocks(self, templates: Iterable[str]) -> None:
        """Require each template to exist and to override blocks of the previous ones; Jinja ignores any other block."""
        known: set[str] = set()
        for template in templates:
            outer, all_blocks = self._blocks(template)
            if known and not outer <= known:
                raise CatalogueError(f"{template}: the training loop has no block '{min(outer - known)}'")
            known |= all_blocks

    def _blocks(self, template: str) -> tuple[set[str], set[str]]:
        """The names of a template's outermost blocks, and of all its blocks."""
        if template not in self._blocks_of:
            path = next((root / template for root in self._catalogue.folders if (root / template).is_file()), None)
            if path is None:
                folder = Path(template).parent
                names = {file.name for root in self._catalogue.folders for file in (root / folder).glob("*.py.jinja")}
                raise CatalogueError(f"there is no {template}; {folder} has {', '.join(sorted(names)) or 'no files'}")
            try:
                source = path.read_text(encoding="utf-8")
                tree = self._jinja.parse(source)
            except (jinja2.TemplateError, UnicodeDecodeError) as error:
                raise CatalogueError(f"{template}: {error}") from error
            kind, axis, *_ = Path(template).parts
            if kind == "training" and template != _LOOP and f"{{% extends base.{axis} %}}" not in source:
                raise CatalogueError(f"{template}: must begin with {{% extends base.{axis} %}}")
            outer = {node.name for node in tree.body if isinstance(node, jinja2.nodes.Block)}
            self._blocks_of[template] = outer, {block.name for block in tree.find_all(jinja2.nodes.Block)}
        return self._blocks_of[template]

    def _fragment(
        self,
        key: tuple[str, ...],
        template: str,
        values: dict[str, Any],
        format_code: Callable[[str], str],
    ) -> Fragment:
        """Imports and black-formatted code of one template, rendered once."""
        if key not in self._fragments:
            try:
                raw = self._jinja.get_template(template).render(values)
                if len(raw) > _LONGEST:
                    raise CatalogueError(f"{template}: renders {len(raw):,} characters, the maximum is {_LONGEST:,}")
                imports, code = _split_imports(raw)
                self._fragments[key] = imports, format_code(code)
            except jinja2.TemplateError as error:
                raise CatalogueError(f"{template}: {error}") from error
            except black.parsing.InvalidInput as error:
                raise CatalogueError(f"{template}: does not render Python: {first_line(error)}") from error
            except (ArithmeticError, TypeError, ValueError) as error:
                raise CatalogueError(f"{template}: cannot be rendered: {error}") from error
        return self._fragments[key]

    def _in_limits(self, place: str, key: tuple[str, ...], *arguments: object) -> Fragment:
        """A fragment that ``limited_fragment`` makes for the arguments of a method."""
        if key not in self._fragments:
            try:
                answer = limited.call(f"{__name__}:limited_fragment", self._catalogue.folders, key[0], *arguments)
            except limited.CallError as error:
                raise CatalogueError(f"{place}: {error}") from error
            reason, imports, code = json.loads(answer)
            if reason:
                raise CatalogueError(reason)
            self._fragments[key] = tuple(imports), code
        return self._fragments[key]


def limited_fragment(folders: tuple[Path, ...], kind: str, *arguments: Any) -> bytes:
    """The error of a fragment, its imports and its code as JSON; called in a process with limits."""
    renderer = Renderer(Catalogue(folders, (), ()), limits=False)
    try:
        imports, code = getattr(renderer, f"_{kind}")(*arguments)
    except CatalogueError as error:
        return json.dumps([str(error), [], ""]).encode()
    return json.dumps(["", imports, code]).encode()


def is_own(architecture: Architecture, variant: Variant | None = None) -> bool:
    """Whether an architecture or a variant is in a user's folder."""
    return SHIPPED not in architecture.folder.parents or (variant is not None and variant.curves_folder is not None)


def _axes(architecture: Architecture, variant: Variant) -> Iterator[tuple[str, str]]:
    """Yield the axes on which training loops differ, each with the choice of this file, from the inside out.

    A choice is the file ``training/<axis>/<choice>.py.jinja``; it extends the one before it.
    """
    recipe, unit = architecture.recipe, variant.cadence or variant.unit
    yield "optimizer", "own" if variant.optimizer else recipe.optimizer
    if recipe.label_smoothing:
        yield "criterion", "label_smoothing"
    if variant.layerwise:
        yield "layers", "layerwise"
    elif recipe.weight_decay:
        yield "weight_decay", "two_groups"
    yield "unit", unit.value
    if variant.metric:
        yield "metric", f"{unit.value}_{variant.metric.value}"
    if recipe.clip_norm:
        yield "clip", "norm"
    if variant.practice:
        yield variant.practice.kind.value, variant.practice.template


def _reader(template: str, declared: Iterable[Hyperparameter]) -> Callable[[str], str]:
    """The function ``prm`` of a template: the expression that reads a hyperparameter that is declared."""
    parameters = {parameter.name: parameter for parameter in declared}

    def prm(name: str) -> str:
        if name not in parameters:
            wrong = f"the variant declares no hyperparameter '{name}'{old_names.hint(name, parameters)}"
            raise CatalogueError(f"{template}: {wrong}")
        return f'prm.get("{name}", {parameters[name].text})'

    return prm


def _states(practice: Practice | None) -> str:
    """The states of a checkpoint in words: ``the network, the optimizer and the scheduler``."""
    of_practice = list(practice.states.values()) if practice else []
    *words, last = ["the network", "the optimizer", "the scheduler", *of_practice]
    return f"{', '.join(words)} and {last}"


def _paragraph(text: str) -> str:
    """A paragraph of the docstring of a method, which black does not wrap."""
    return textwrap.fill(text, _WIDTH, initial_indent=8 * " ", subsequent_indent=8 * " ")


@functools.cache
def _exempt(network: str) -> str:
    """The parameters of a network with fewer than two dimensions, which have no weight decay."""
    return "norms and biases" if _NORM.search(network) else "biases"


@functools.cache
def _batch_norm(network: str) -> str:
    """Whether the batch norm of a network is torch's (``torch``), or its own class alone (``own``); empty without any.

    ``update_bn`` returns at once from a network without torch's.
    """
    if "nn.BatchNorm" in network:
        return "torch"
    return "own" if re.search(r"^class \w*BatchNorm", network, re.MULTILINE) else ""


def _one_or_all(suffixes: tuple[str, ...]) -> str:
    """The argument of ``str.endswith`` for some suffixes; empty for none."""
    return repr(suffixes[0] if len(suffixes) == 1 else suffixes) if suffixes else ""


def formatted(code: str) -> str:
    """The code with each class and function formatted on its own: many schedules have the same ones.

    Raises:
        ValueError: if it is not Python.
    """
    blocks = re.split(r"^(?=(?:class|def) )", code, flags=re.MULTILINE)
    return "\n\n\n".join(_black(block) for block in blocks if block.strip())


def _formatted_methods(code: str) -> str:
    """``class Net`` with each method formatted on its own, after other classes: many networks have the same ones.

    Raises:
        ValueError: if the code is anything but classes, the last of them Net.
    """
    before, *net = re.split(r"^(?=class Net\b)", code.strip("\n"), maxsplit=1, flags=re.MULTILINE)
    if not net:
        raise ValueError("it must hold imports and a class Net with the training methods")
    classes = f"{formatted(before)}\n\n\n" if before else ""
    header, *methods = re.split(r"^(?=    def )", net[0], flags=re.MULTILINE)
    if header.strip() != "class Net:" or re.search(r"^    @", net[0], re.MULTILINE):  # attributes, decorated methods
        return classes + _NET + _black(net[0]).partition("\n")[2].lstrip("\n")
    return classes + _NET + "\n\n".join(_black(f"{_NET}{method}").removeprefix(_NET) for method in methods)


@functools.cache
def _black(code: str) -> str:
    """The code formatted by black; cached in the user's cache folder, since black takes most of a render's time."""
    with contextlib.suppress(OSError, UnicodeDecodeError, RuntimeError):
        checksum, _, cached = _cached(code).read_text(encoding="utf-8").partition("\n")
        if checksum == hashlib.sha256(cached.encode()).hexdigest():
            return cached
    formatted = black.format_str(code, mode=black.Mode()).strip("\n")
    with contextlib.suppress(OSError, OutputError, RuntimeError):  # rendering works without a cache
        write_atomically(_cached(code), f"{hashlib.sha256(formatted.encode()).hexdigest()}\n{formatted}")
    return formatted


def _cached(code: str) -> Path:
    """The cache file of a piece of code.

    Raises:
        RuntimeError: if the user has no home folder.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "lrgen" / f"black-{_black_version()}" / hashlib.sha256(code.encode()).hexdigest()


@functools.cache
def _black_version() -> str:
    return metadata.version("black")


def _split_imports(text: str) -> tuple[tuple[str, ...], str]:
    """The leading import statements, one a line, and the code after them."""
    lines = text.lstrip("\n").split("\n")
    count = 0
    while count < len(lines) and (not lines[count].strip() or _IMPORT.match(lines[count])):
        count += 1
    return tuple(line for line in lines[:count] if line.strip()), "\n".join(lines[count:])


@functools.cache
def import_block(statements: frozenset[str]) -> str:
    """One sorted import block without duplicates: standard library first, then torch."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for statement in statements:
        match = _IMPORT.match(statement)
        assert match is not None, statement
        module, imported = match.groups()
        for item in map(str.strip, imported.split(",")):
            if module is None:
                plain.add(item)
            else:
                names.setdefault(module, set()).add(item)
    blocks = []
    for standard in (True, False):
        lines = [f"import {item}" for item in sorted(plain) if _is_standard(item) == standard]
        for module in sorted(names):
            if _is_standard(module) == standard:
                lines.append(f"from {module} import {', '.join(sorted(names[module], key=_isort_key))}")
        if lines:
            blocks.append("\n".join(lines))
    return _black("\n\n".join(blocks))


def _isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as isort and ruff order the names of one import."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name.casefold()


def _number(value: float) -> str:
    """A number as an engineer writes it: ``5e-4``, not ``0.0005``."""
    if 0 < abs(value) < 1e-2:
        mantissa, exponent = f"{value:e}".split("e")
        short = f"{float(mantissa):g}e{int(exponent)}"
        return short if float(short) == value else repr(value)
    return repr(value)


def _is_standard(module: str) -> bool:
    return module.split(".", maxsplit=1)[0].split(maxsplit=1)[0] in sys.stdlib_module_names


@functools.cache
def _hyperparameters(names: frozenset[str]) -> str:
    first = [name for name in ("lr", "momentum", "dropout") if name in names]
    literal = ", ".join(f'"{name}"' for name in (*first, *sorted(names - set(first))))
    return _black(f"def supported_hyperparameters() -> set[str]:\n    return {{{literal}}}")


def _docstring(architecture: Architecture, variant: Variant) -> str:
    first = f"{architecture.title} trained with {variant.full_title}."
    if len(first) + 3 > _WIDTH:
        raise CatalogueError(f"variant {variant.number}: title: too long for one line with {architecture.title}")
    practice = f"\n{_wrapped(variant.practice.summary)}\n" if variant.practice else ""
    return f"{first}\n\n{_wrapped(f'{variant.summary} {advances(variant)}')}\n{practice}"


def advances(variant: Variant) -> str:
    if variant.per_batch and variant.batches_per_update > 1:
        return "The schedule advances once per update."
    if variant.metric is None or variant.cadence is None:
        return _ADVANCES[variant.unit]
    cadence = variant.cadence.value
    return f"The schedule advances once per {cadence}, driven by the {_DRIVEN_BY[variant.metric]} of the {cadence}."


@functools.cache
def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH)


def clear_caches() -> None:
    """Clear the caches of this process; formatted code in the user's cache folder is kept."""
    for function in (_black, import_block, _hyperparameters, _wrapped, _exempt, _batch_norm):
        function.cache_clear()
