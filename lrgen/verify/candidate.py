"""The only builder of candidates: the source of a file, its claimed variant, and the ``prm`` of its network."""

import hashlib
from pathlib import Path

from lrgen import curves
from lrgen.records import Architecture, Candidate, CompositionClaim, Parts, Recipe, Variant

# The recipe of a file whose architecture is unknown.
_FOREIGN = Recipe(optimizer="sgd", lr=0.01, batch=64, source="", dropout=0.2)


def candidate_of(
    path: Path,
    content: bytes,
    architecture: Architecture | None = None,
    variant: Variant | None = None,
    *,
    rendered: bool = False,
    parts: Parts | None = None,
) -> Candidate:
    """The candidate of a file.

    Without an architecture, the model is named after the file and trained with a default recipe. A variant without a
    curve is dropped, because there is nothing to compare with.

    Args:
        path: the path of the file in errors; it is not read.
        content: the bytes of the file; the syntax check reports bytes that are not UTF-8.
        rendered: whether the catalogue renders exactly these bytes.
        parts: of which lrgen's own templates render them.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    return Candidate(
        path=path,
        source=content.decode("utf-8", "surrogateescape"),
        sha256=sha256,
        model_name=architecture.name if architecture else path.stem.encode("utf-8", "backslashreplace").decode(),
        scheduler_type=variant.key if architecture and variant else f"file-{sha256[:8]}",
        variant=variant if variant and curves.exists(variant) else None,
        prm=(architecture.recipe if architecture else _FOREIGN).prm_for(variant),
        budget=architecture.budget if architecture else None,
        rendered=rendered,
        parts=parts if rendered else None,
    )


def schedule_of(path: Path, content: bytes, name: str, claim: CompositionClaim) -> Candidate:
    """The candidate of the code of a schedule alone; ``name`` identifies the claim that it is checked against."""
    sha256 = hashlib.sha256(content).hexdigest()
    source = content.decode("utf-8", "surrogateescape")
    return Candidate(path, source, sha256, model_name="", scheduler_type=name, variant=None, prm={}, claim=claim)
