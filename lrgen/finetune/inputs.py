"""The inputs of a build that its folder keeps, so that ``check`` can build it again: its files, and their runs."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from lrgen.catalogue import Catalogue
from lrgen.errors import DatasetError, LrgenError
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.formats.lines import encoded
from lrgen.records import Training
from lrgen.render.renderer import Renderer

FILES = "corpus.jsonl"
"""The files of a dataset, with the run that verified each."""

RUNS = "runs.jsonl"
"""The runs that trained these files in full; preferences compare their accuracies."""

_NETWORK = "architecture"

Accuracies = Callable[[str], Iterable[Mapping[str, Any]]]
"""Returns the runs of a network, as ``Store.best_of_runs`` does."""


def write(folder: Path, files: Iterable[VerifiedFile], accuracies: Accuracies) -> None:
    """Write the inputs of a build."""
    kept = list(files)
    with (folder / FILES).open("wb") as lines:
        lines.writelines(encoded(_line(file)) for file in kept)
    if runs := list(_runs(kept, accuracies)):
        with (folder / RUNS).open("wb") as lines:
            lines.writelines(map(encoded, runs))


def files_of(folder: Path, catalogue: Catalogue) -> list[VerifiedFile]:
    """Return the files of a dataset as the catalogue renders them.

    Raises:
        DatasetError: when a file is not the one that was verified, or the list cannot be read.
    """
    renderer = Renderer(catalogue)
    return [_file(line, catalogue, renderer) for line in _lines(folder / FILES)]


def accuracies_of(folder: Path) -> Accuracies:
    """Return the runs of a dataset by network.

    Raises:
        DatasetError: when they cannot be read.
    """
    runs = list(_lines(folder / RUNS)) if (folder / RUNS).exists() else []
    return lambda network: (run for run in runs if run.get(_NETWORK) == network)


def digest(files: Iterable[VerifiedFile]) -> str:
    """Return the sha256 of a list of files, with the runs that verified them."""
    hashed = hashlib.sha256()
    for file in files:
        hashed.update(encoded(_line(file)))
    return hashed.hexdigest()


def _line(file: VerifiedFile) -> dict[str, Any]:
    return {
        "architecture": file.architecture.name,
        "variant": file.variant.key,
        "sha256": file.sha256,
        "result_id": file.result_id,
        "level": file.level.value,
        "accuracy": file.accuracy,
        "trace": file.trace,
    }


def _file(line: Mapping[str, Any], catalogue: Catalogue, renderer: Renderer) -> VerifiedFile:
    try:
        architecture, variant = catalogue.architecture(line["architecture"]), catalogue.variant(line["variant"])
        source = renderer.render(architecture, variant).text
        if hashlib.sha256(source.encode()).hexdigest() != line["sha256"]:
            raise DatasetError(f"{FILES}: {architecture.name}/{variant.key} is not the file that the catalogue renders")
        return VerifiedFile(
            architecture=architecture,
            variant=variant,
            source=source,
            sha256=line["sha256"],
            path=Path(architecture.name) / f"{variant.key}.py",
            result_id=line["result_id"],
            level=Level(line["level"]),
            accuracy=line["accuracy"],
            trace=line["trace"],
        )
    except DatasetError:
        raise
    except (LrgenError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{FILES}: not the files of a dataset: {error}") from error


def _runs(files: Iterable[VerifiedFile], accuracies: Accuracies) -> Iterator[dict[str, Any]]:
    """Yield the runs that trained these files in full."""
    networks: dict[str, set[str]] = {}
    for file in files:
        networks.setdefault(file.architecture.name, set()).add(file.sha256)
    for network, hashes in networks.items():
        for run in accuracies(network):
            if run["training"] == Training.FULL and run["source_sha256"] in hashes:
                yield {_NETWORK: network} | dict(run)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                value = orjson.loads(line)
                if not isinstance(value, dict):
                    raise DatasetError(f"{path}, line {number}: not a JSON object")
                yield value
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{path}: not JSON lines: {error}") from error
