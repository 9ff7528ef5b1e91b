"""The only builder of a candidate: a file's bytes, the schedule it is checked against, the ``prm`` of its network."""

import hashlib
from pathlib import Path

from lrgen import curves
from lrgen.records import Architecture, Candidate, Recipe, Variant

# What a file of unknown architecture is trained with.
_FOREIGN = Recipe(optimizer="sgd", lr=0.01, batch=64, source="", dropout=0.2)


def candidate_of(
    path: Path,
    content: bytes,
    architecture: Architecture | None = None,
    variant: Variant | None = None,
    *,
    ours: bool = False,
) -> Candidate:
    """A file as it is verified.

    Without an architecture the file's name stands for it, and the file is trained with a recipe for anything. A variant
    without a curve is as good as none: there is nothing to compare with.

    Args:
        path: where the file lies, or under which name errors speak of it; it is not read.
        content: the file's bytes; those that are not UTF-8 reach the syntax check, which says so.
        ours: whether these bytes are what the catalogue renders.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    return Candidate(
        path=path,
        source=content.decode("utf-8", "surrogateescape"),
        sha256=sha256,
        model_name=architecture.name if architecture else path.stem,
        scheduler_type=variant.key if architecture and variant else f"file-{sha256[:8]}",
        variant=variant if variant and curves.exists(variant) else None,
        prm=(architecture.recipe if architecture else _FOREIGN).prm_for(variant),
        budget=architecture.budget if architecture else None,
        ours=ours,
    )
