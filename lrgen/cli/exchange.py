"""``lrgen export`` and ``lrgen import``: results in the formats of LEMUR and NNGPT, and schedules as a package."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsJson, Database, Families, Models, Practices, Templates, Variants
from lrgen.cli.printing import Progress, console, counted, print_json
from lrgen.errors import NoResultError, ParameterError, UnknownNameError

exports = typer.Typer(no_args_is_help=True, help="Export results and schedules for other programs.")
imports = typer.Typer(no_args_is_help=True, help="Import results of other programs.")

Target = Annotated[Path, typer.Option("--out", help="Folder to create.", metavar="DIR")]
Files = Annotated[
    Path | None,
    typer.Option("--files", help="Folder of the rendered files. (default: generated)", metavar="DIR"),
]
OnDataset = Annotated[
    str | None, typer.Option("--dataset", help="Export only results on this dataset.", metavar="NAME")
]


@exports.command("lemur")
def export_lemur(
    out: Target,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    practice: Practices = None,
    dataset: OnDataset = None,
    files: Files = None,
    templates: Templates = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Export networks with all evaluated epochs in LEMUR's folder layout.

    Example: lrgen export lemur --out out/lemur --family cosine
    """
    _export("lemur", out, model, variant, family, practice, dataset, files, templates, db, as_json)


@exports.command("nngpt")
def export_nngpt(
    out: Target,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    practice: Practices = None,
    dataset: OnDataset = None,
    files: Files = None,
    templates: Templates = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Export networks with their hyperparameters in NNGPT's folder layout.

    Example: lrgen export nngpt --out out/nngpt --model ResNet
    """
    _export("nngpt", out, model, variant, family, practice, dataset, files, templates, db, as_json)


@exports.command("schedules")
def export_schedules(
    out: Annotated[Path, typer.Option("--out", help="Folder of the package.", metavar="DIR")],
    schedule: Annotated[
        list[str] | None,
        typer.Option("--schedule", help="Schedule by name or number; repeatable. (default: all)", metavar="NAME"),
    ] = None,
    family: Families = None,
    templates: Templates = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export schedules as a package of your own: a function each, which imports torch and not lrgen.

    Example: lrgen export schedules --out training/schedules --schedule wsd_linear
    """
    from lrgen.render import library

    catalogue = catalogues.of(config.load({"templates": tuple(templates) if templates else None}))
    selected = catalogue.select(schedule or (), family or ())
    chosen = [variant for variant in selected if variant.practice is None]
    if schedule and len(chosen) < len(selected):
        name = next(variant.name for variant in selected if variant.practice is not None)
        raise ParameterError(f"{name} has a practice, which belongs to a training loop: only schedules are exported")
    texts = library.standalone(catalogue, chosen)
    written = library.write(out, texts, force=force)
    names = [variant.name for variant in chosen]
    if as_json:
        print_json({"out": str(out), "written": written, "unchanged": len(texts) - written, "schedules": names})
    else:
        print(f"{counted(len(names), 'schedule')} in {out}: {counted(written, 'file')} written")


@imports.command("lemur")
def import_lemur(
    folder: Annotated[Path, typer.Argument(help="LEMUR's ab/nn, NNGPT's synth_nn, or an export.")],
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Record every accuracy in a folder of LEMUR or NNGPT.

    Either all runs are recorded or none; a second import adds only new runs.

    Example: lrgen import lemur out/lemur
    """
    from lrgen.lemur import reader
    from lrgen.store import Store

    settings = config.load({"db": db})
    networks = reader.sources(folder)
    runs: reader.Runs = {}
    with Progress("reading", len(networks)) as progress:
        for source in networks:
            for series, of_series in reader.read(source).items():
                runs.setdefault(series, []).extend(of_series)
            progress.advance()
    total = sum(map(len, runs.values()))
    new = Store(settings.db).record_runs(runs)
    files = len({series.path for series in runs})
    epochs = sum(len(run) for of_series in runs.values() for run in of_series)
    report = {
        "folder": str(folder),
        "files": files,
        "epochs": epochs,
        "runs": total,
        "recorded": new,
        "known": total - new,
    }
    if as_json:
        print_json(report)
    else:
        print(
            f"{counted(total, 'run')} of {counted(files, 'file')} with {counted(epochs, 'epoch')} in {folder}: "
            f"{new} recorded in {settings.db}, {total - new} already known"
        )


def _export(
    layout: str,
    out: Path,
    models: list[str] | None,
    variants: list[str] | None,
    families: list[str] | None,
    practices: list[str] | None,
    dataset: str | None,
    files: Path | None,
    templates: list[Path] | None,
    db: str | None,
    as_json: bool,
) -> None:
    from lrgen.lemur import layout as lemur
    from lrgen.lemur import nngpt
    from lrgen.lemur.runs import Reason, collect
    from lrgen.store import Store

    settings = config.load({"db": db, "out": files, "templates": tuple(templates) if templates else None})
    rows = Store(settings.db).epochs(dataset=dataset, checked=True)
    measured, left_out = collect(_selected(rows, settings, models, variants, families, practices), settings.out)
    if not measured:
        reason = _by_reason(Counter(run.reason for run in left_out)) or "no selected file was trained: run lrgen verify"
        raise NoResultError(f"nothing to export: {reason}")
    with Progress("exporting", len(measured)) as progress:
        write = lemur.export if layout == "lemur" else nngpt.export
        write(measured, out, progress.advance)
    names, epochs = {network.name for network in measured}, sum(len(network.epochs) for network in measured)
    if as_json:
        counts = {"files": len(names), "epochs": epochs}
        print_json({"out": str(out), "layout": layout, **counts, "left_out": [asdict(run) for run in left_out]})
        return
    print(f"{counted(len(names), 'file')} with {counted(epochs, 'epoch')} written to {out}")
    if left_out:
        console().print(f"left out: {_by_reason(Counter(run.reason for run in left_out))}")
    for run in left_out:
        if run.reason is Reason.OTHER_CODE:
            name = f"{run.model_name}/{run.scheduler_type} on {run.dataset}"
            console().print(f"[yellow]{escape(name)}[/]: {run.reason}")


def _selected(
    rows: list[dict[str, Any]],
    settings: config.Settings,
    models: list[str] | None,
    variants: list[str] | None,
    families: list[str] | None,
    practices: list[str] | None,
) -> list[dict[str, Any]]:
    """The epochs of the selected files; without a selection, all epochs."""
    known = {row["model_name"] for row in rows}
    for name in models or ():
        if name not in known:
            raise UnknownNameError("model", name, sorted(known))
    if models:
        rows = [row for row in rows if row["model_name"] in models]
    if variants or families or practices:
        chosen = catalogues.of(settings).select(variants or (), families or (), practices or ())
        keys = {variant.key for variant in chosen}
        rows = [row for row in rows if row["scheduler_type"] in keys]
    return rows


def _by_reason(reasons: Counter[Any]) -> str:
    return ", ".join(f"{counted(count, 'run')} ({reason})" for reason, count in reasons.items())
