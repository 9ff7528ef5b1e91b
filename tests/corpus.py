"""A verified corpus for tests: rendered files with the record that verification would give them, and small tasks."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.stream import Stream
from lrgen.render.renderer import Renderer
from lrgen.source import sections


def source(number: int, model: str = "ResNet") -> str:
    """Return the rendered file of a model of the shipped catalogue."""
    return _rendered(_shipped(), number, model)


def verified(catalogue: Catalogue, number: int, model: str = "ResNet", **fields: Any) -> VerifiedFile:
    """Return a rendered file that is verified up to the schedule; ``fields`` override those of the record."""
    architecture, variant = catalogue.architecture(model), catalogue.variant(number)
    text = fields.pop("source", None) or _rendered(catalogue, number, model)
    record = {
        "architecture": architecture,
        "variant": variant,
        "source": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "path": Path(model) / f"{variant.key}.py",
        "result_id": number,
        "level": Level.SCHEDULE,
        "accuracy": None,
        "trace": None,
    }
    return VerifiedFile(**record | fields)


def task_input(catalogue: Catalogue, numbers: Iterable[int], model: str = "ResNet", seed: int = 0) -> TaskInput:
    """Return verified files of a model as the input of tasks."""
    return TaskInput(catalogue, tuple(verified(catalogue, number, model) for number in numbers), seed)


def realised(numbers: Iterable[int], seed: int = 0) -> tuple[RealisedComposition, ...]:
    """Return compositions of a stream, with their realisations."""
    return tuple(_realised(seed, number) for number in numbers)


@functools.cache
def _realised(seed: int, number: int) -> RealisedComposition:
    plan: Any = SimpleNamespace(seed=seed, styles=(), compositions=1_000_000)
    return Stream(plan).realised(number)


@functools.cache
def _shipped() -> Catalogue:
    return catalogues.load()


_RENDERERS: dict[str, Renderer] = {}
_SOURCES: dict[tuple[str, int, str], str] = {}


def _rendered(catalogue: Catalogue, number: int, model: str) -> str:
    """Render a file once for each catalogue."""
    key = (catalogue.digest, number, model)
    if key not in _SOURCES:
        renderer = _RENDERERS.setdefault(catalogue.digest, Renderer(catalogue))
        _SOURCES[key] = renderer.render(catalogue.architecture(model), catalogue.variant(number)).text
    return _SOURCES[key]


def task(name: str, examples: Callable[[TaskInput], Iterator[Example]]) -> Any:
    """Return a task of which only the examples matter."""
    return SimpleNamespace(NAME=name, SUMMARY=f"Task {name}.", examples=examples)


def example(files: Sequence[VerifiedFile] = (), **fields: Any) -> Example:
    """Return an example; its prompt and completion differ from those of any other key."""
    key = fields.setdefault("key", files[0].name if files else "one")
    standard = {
        "task": "write",
        "prompt": f"Write {key}.",
        "completion": files[0].source if files else f"This is {key}.",
        "scope": Scope.FILE if files else Scope.NONE,
        "files": tuple(files),
    }
    return Example(**standard | fields)


def _write(task_input: TaskInput) -> Iterator[Example]:
    for file in task_input.files:
        request = task_input.chance("write", file.name).choice(["Write", "Please write", "I need"])
        yield example([file], prompt=f"{request} {file.name}.", evidence={"equals": file.sha256})


def _name(task_input: TaskInput) -> Iterator[Example]:
    for file in task_input.files:
        completion = f"It is {file.variant.title}: {file.variant.summary}"
        yield example([file], task="name", prompt=file.source, completion=completion, scope=Scope.SCHEDULE)


def _count(task_input: TaskInput) -> Iterator[Example]:
    for number in range(30):
        prompt = f"Count to {number}."
        yield example(task="count", key=str(number), prompt=prompt, completion=str(number % 3))


def _prefer(task_input: TaskInput) -> Iterator[Example]:
    for file in task_input.files:
        rejected = f"{file.source}# one more comment\n"
        yield example([file], task="prefer", prompt=f"Better: {file.name}", rejected=rejected, evidence={"failed": 1})


def _feedback(task_input: TaskInput) -> Iterator[Example]:
    for file in task_input.files:
        for label, completion, evidence in (
            (True, file.source, {"equals": file.sha256}),
            (False, f"# {file.name}", {"failed": "syntax"}),
        ):
            prompt = f"Is {file.name} {'correct' if label else 'wrong'}?"
            yield example([file], task="feedback", prompt=prompt, completion=completion, label=label, evidence=evidence)


WRITE, NAME, COUNT = task("write", _write), task("name", _name), task("count", _count)
PREFER, FEEDBACK = task("prefer", _prefer), task("feedback", _feedback)
TASKS = (WRITE, NAME, COUNT, PREFER, FEEDBACK)


def source_of_schedule(source: str) -> str:
    """Return ``make_scheduler`` and what only it uses, as it stands in a file."""
    return sections.parse(source).middle
