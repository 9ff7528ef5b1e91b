"""Rendered files on disk: ``OUT/<Architecture>/A0_NNN.py``, with a manifest for each architecture.

A manifest describes every rendered file and names the versions that wrote it. A file whose bytes are neither those of
its manifest nor those of the catalogue was changed by hand, and is overwritten only with ``--force``.
"""

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.errors import EditedFileError, OutputError
from lrgen.files import read_bytes, read_json, write_together
from lrgen.records import Architecture, RenderedFile, Variant
from lrgen.version import __version__

MANIFEST = "manifest.json"
Pair = tuple[Architecture, Variant]


@dataclass(frozen=True)
class GenerateReport:
    """The numbers of files that a render wrote and of files that were up to date."""

    written: int
    unchanged: int


@dataclass(frozen=True)
class Mismatch:
    """A file on disk that differs from what the catalogue renders; ``diff`` is a unified diff."""

    path: Path
    reason: str
    diff: str


def pairs(architectures: Iterable[Architecture], variants: Iterable[Variant]) -> list[Pair]:
    """Return every architecture with every variant, sorted by name and number."""
    chosen = sorted(variants, key=lambda variant: variant.number)
    by_name = sorted(architectures, key=lambda architecture: architecture.name)
    return [(architecture, variant) for architecture in by_name for variant in chosen]


def path_of(out: Path, architecture: Architecture, variant: Variant) -> Path:
    """Return the path of the file of one architecture with one variant."""
    return out / architecture.name / f"{variant.key}.py"


def generate(
    catalogue: Catalogue,
    selection: Iterable[Pair],
    out: Path,
    *,
    force: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> GenerateReport:
    """Write the selected files and their manifest entries; other files and entries stay as they are.

    Nothing is written if any of the files was edited by hand, unless ``force`` is set. The files of an architecture and
    its manifest are written together, all or none. ``advance`` is called once for each pair.

    Raises:
        EditedFileError: if a file that lrgen did not write would be overwritten.
        OutputError: if the folder cannot be read or written.
    """
    versions = _versions(catalogue)
    renderer = None
    manifests: dict[Path, dict[str, Any]] = {}
    pending: dict[Path, list[tuple[RenderedFile, bool]]] = {}
    unchanged = 0
    edited = []
    for architecture, variant in selection:
        advance()
        path = path_of(out, architecture, variant)
        folder = path.parent
        if folder not in manifests:
            manifests[folder] = read_manifest(folder)
        entry = manifests[folder].get(variant.key)
        present = _sha256(path)
        expected = {**_identity(architecture, variant), **versions}
        if entry and present == entry.get("sha256") and all(entry.get(key) == expected[key] for key in expected):
            unchanged += 1
            continue
        if renderer is None:
            from lrgen.render.renderer import Renderer  # black and Jinja cost more to import than an unchanged render

            renderer = Renderer(catalogue)
        file = renderer.render(architecture, variant)
        if present not in (None, file.sha256, entry and entry.get("sha256")):
            edited.append(path)
        pending.setdefault(folder, []).append((file, present != file.sha256))
        unchanged += present == file.sha256
    if edited and not force:
        others = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise EditedFileError(f"{edited[0]}{others} was changed by hand: nothing was written (--force overwrites)")
    written = 0
    for folder, files in pending.items():
        texts = {f"{file.variant.key}.py": file.text for file, changed in files if changed}
        entries = manifests[folder] | {file.variant.key: {**describe(file), **versions} for file, _ in files}
        write_together(folder, {**texts, MANIFEST: _manifest_text(folder.name, entries)})
        written += len(texts)
    return GenerateReport(written, unchanged)


def check(catalogue: Catalogue, selection: Iterable[Pair], out: Path) -> list[Mismatch]:
    """Compare the selected files on disk with what the catalogue renders; writes nothing.

    The versions in a manifest may differ, the other fields of an entry may not. A file that is named like a variant's
    and belongs to none is a mismatch as well.
    """
    from lrgen.render.renderer import Renderer

    renderer = Renderer(catalogue)
    known = {variant.key for variant in catalogue.variants}
    mismatches = []
    manifests: dict[Path, dict[str, Any]] = {}
    for architecture, variant in selection:
        path = path_of(out, architecture, variant)
        if path.parent not in manifests:
            manifests[path.parent] = read_manifest(path.parent)
            for stray in sorted(path.parent.glob("A0_*.py")):
                if stray.stem not in known:
                    mismatches.append(Mismatch(stray, "belongs to no variant", ""))
            for key in sorted(manifests[path.parent].keys() - known):
                mismatches.append(Mismatch(path.parent / MANIFEST, f"lists {key}, which belongs to no variant", ""))
        file = renderer.render(architecture, variant)
        try:
            text = read_bytes(path).decode() if path.exists() else None
        except UnicodeDecodeError as error:
            raise OutputError(f"{path}: cannot be read: {error}") from error
        if text != file.text:
            lines = difflib.unified_diff(
                (text or "").splitlines(keepends=True), file.text.splitlines(keepends=True), str(path), "catalogue"
            )
            reason = "is missing" if text is None else "differs from the catalogue"
            mismatches.append(Mismatch(path, reason, "".join(lines)))
            continue
        entry = manifests[path.parent].get(variant.key, {})
        expected = describe(file)
        wrong = sorted(key for key in expected if entry.get(key) != expected[key])
        if wrong:
            diff = "".join(f"-{key}: {entry.get(key)!r}\n+{key}: {expected[key]!r}\n" for key in wrong)
            mismatches.append(Mismatch(path.parent / MANIFEST, f"describes {variant.key} differently", diff))
    return mismatches


def describe(file: RenderedFile) -> dict[str, Any]:
    """The manifest entry of a file, without the versions that wrote it."""
    return {"sha256": file.sha256, **_identity(file.architecture, file.variant)}


def _identity(architecture: Architecture, variant: Variant) -> dict[str, Any]:
    return {
        "architecture": architecture.name,
        "number": variant.number,
        "name": variant.name,
        "family": variant.family,
        "unit": variant.unit.value,
        "hyperparameters": variant.defaults,
        "equivalent_to": variant.equivalent_to,
        **({"practice": variant.practice.name, "schedule": variant.schedule} if variant.practice else {}),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The entries of a folder's manifest by file stem; empty without a manifest.

    Raises:
        OutputError: if the manifest cannot be read.
    """
    path = folder / MANIFEST
    return read_entries(path) if path.exists() else {}


def read_entries(path: Path) -> dict[str, Any]:
    """The entries of a manifest by file stem.

    Raises:
        OutputError: if there is none, or it cannot be read.
    """
    if not path.exists():
        raise OutputError(f"{path}: there is no such manifest")
    content = read_json(path, "a manifest")
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict):
        raise OutputError(f"{path}: not a manifest: files is not a table of entries")
    for key, entry in files.items():
        if not _is_entry(entry):
            raise OutputError(f"{path}: not a manifest: {key} has no sha256, architecture or number")
    return files


def _is_entry(entry: Any) -> bool:
    """Whether a value of a manifest identifies a file, rightly or wrongly."""
    if not isinstance(entry, dict) or not {"sha256", "architecture", "number"} <= entry.keys():
        return False
    return isinstance(entry["sha256"], str) and isinstance(entry["architecture"], str)


def _versions(catalogue: Catalogue) -> dict[str, str]:
    return {"lrgen": __version__, "catalogue": catalogue.digest, "black": metadata.version("black")}


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(read_bytes(path)).hexdigest() if path.exists() else None


def _manifest_text(architecture: str, entries: dict[str, Any]) -> str:
    ordered = {key: entries[key] for key in sorted(entries)}
    return json.dumps({"architecture": architecture, "files": ordered}, indent=1) + "\n"
