"""``lrgen render``: writes the selected files, or compares them with those on disk."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.cli.options import All, AsJson, Families, Models, Out, Practices, Templates, Variants, select
from lrgen.cli.printing import Progress, counted, print_json
from lrgen.render import output
from lrgen.render.output import Pair


def render(
    select_all: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    practice: Practices = None,
    out: Out = None,
    templates: Templates = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 and a diff if files differ.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were edited by hand.")] = False,
    as_json: AsJson = False,
) -> None:
    """Render the selected files; without a selection, those of the active model.

    Example: lrgen render --model ResNet18 --family cosine
    """
    settings = config.load({"out": out, "templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    pairs = select(catalogue, settings, select_all, model, variant, family, practice)
    if check:
        _render_check(catalogue, pairs, settings.out, as_json)
        return
    with Progress("rendering", len(pairs)) as progress:
        report = output.generate(catalogue, pairs, settings.out, force=force, advance=progress.advance)
    if as_json:
        print_json(asdict(report) | {"out": str(settings.out)})
    else:
        print(f"{counted(report.written, 'file')} written to {settings.out}, {report.unchanged} unchanged")


def _render_check(catalogue: Catalogue, pairs: list[Pair], out: Path, as_json: bool) -> None:
    mismatches = output.check(catalogue, pairs, out)
    if as_json:
        print_json([{"path": str(file.path), "reason": file.reason, "diff": file.diff} for file in mismatches])
    else:
        for file in mismatches:
            print(f"{file.path} {file.reason}")
            print(file.diff, end="")
        print(f"{counted(len(pairs), 'file')} checked, {counted(len(mismatches), 'difference')}")
    if mismatches:
        raise typer.Exit(1)
