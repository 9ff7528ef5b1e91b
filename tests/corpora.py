"""Verified files and tasks for the tests of datasets: real sources, and runs that are only claimed."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.finetune.corpus import Level, ProvedFile
from lrgen.finetune.example import Example, Material, Scope
from tests.paths import GENERATED


@functools.cache
def source(number: int) -> str:
    """A committed file of the ResNet."""
    return (GENERATED / "ResNet" / f"A0_{number:03d}.py").read_text(encoding="utf-8")


def proved(catalogue: Catalogue, number: int, architecture: str = "ResNet", **values: Any) -> ProvedFile:
    """A file as the store would vouch for it; that of another network is the ResNet's with one more line."""
    text = values.pop("source", source(number) + ("" if architecture == "ResNet" else f"# {architecture}\n"))
    standard = {
        "architecture": catalogue.architecture(architecture),
        "variant": catalogue.variant(number),
        "source": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "path": Path(f"{architecture}/A0_{number:03d}.py"),
        "result_id": number,
        "level": Level.SCHEDULE,
        "accuracy": None,
        "trace": None,
    }
    return ProvedFile(**standard | values)


def task(name: str, of: Callable[[Material], Iterator[Example]]) -> Any:
    """A module of lrgen.finetune.tasks, in short."""
    return SimpleNamespace(NAME=name, SUMMARY=f"What {name} asks for.", examples=of)


def example(files: Sequence[ProvedFile] = (), **values: Any) -> Example:
    """An example whose texts are told apart by its key."""
    key = values.setdefault("key", files[0].name if files else "one")
    standard = {
        "task": "write",
        "prompt": f"Write {key}.",
        "completion": files[0].source if files else f"This is {key}.",
        "scope": Scope.FILE if files else Scope.NONE,
        "files": tuple(files),
    }
    return Example(**standard | values)


def _write(material: Material) -> Iterator[Example]:
    for file in material.files:
        word = material.chance("write", file.name).choice(["Write", "Please write", "I need"])
        yield example([file], prompt=f"{word} {file.name}.", evidence={"equals": file.sha256})


def _name(material: Material) -> Iterator[Example]:
    for file in material.files:
        answer = f"It is {file.variant.title}: {file.variant.summary}"
        yield example([file], task="name", prompt=file.source, completion=answer, scope=Scope.SCHEDULE)


def _count(material: Material) -> Iterator[Example]:
    for number in range(30):
        text = f"Count to {number}."
        yield example(task="count", key=str(number), prompt=text, completion=str(number % 3))


def _prefer(material: Material) -> Iterator[Example]:
    for file in material.files:
        worse = f"{file.source}# with something more\n"
        yield example([file], task="prefer", prompt=f"Better: {file.name}", rejected=worse, evidence={"failed": 1})


def _judge(material: Material) -> Iterator[Example]:
    for file in material.files:
        bad = {"failed": "syntax"}
        good = {"equals": file.sha256}
        yield example([file], task="judge", prompt=f"Is {file.name} good?", label=True, evidence=good)
        yield example(
            [file], task="judge", prompt=f"Is {file.name} bad?", completion=f"# {file.name}", label=False, evidence=bad
        )


WRITE, NAME, COUNT = task("write", _write), task("name", _name), task("count", _count)
PREFER, JUDGE = task("prefer", _prefer), task("judge", _judge)
TASKS = (WRITE, NAME, COUNT, PREFER, JUDGE)
