"""The command line: parses, calls, prints; the only printer, the only exit codes.

0 done, 1 something failed verification, 2 wrong use, 130 interrupted.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import lrgen
from lrgen import catalogue as catalogues
from lrgen import config, generate
from lrgen.catalogue import Catalogue
from lrgen.errors import ConfigError, LrgenError, UnknownNameError
from lrgen.generate import Pair
from lrgen.records import Outcome, Stage, Status, VerifySettings

_WIDTH = 100

app = typer.Typer(
    name="lrgen",
    help="Render, prove and publish PyTorch training modules: one architecture with one learning-rate schedule each.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH},
)
lists = typer.Typer(no_args_is_help=True, help="List what the catalogue holds.")
results = typer.Typer(no_args_is_help=True, help="Look up what was measured.")
app.add_typer(lists, name="list")
app.add_typer(results, name="results")

Models = Annotated[list[str] | None, typer.Option("--model", help="An architecture; repeatable.", metavar="NAME")]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="A schedule by number, range (1-50) or name; repeatable.", metavar="NUMBER|NAME"),
]
Families = Annotated[list[str] | None, typer.Option("--family", help="A family; repeatable.", metavar="NAME")]
All = Annotated[bool, typer.Option("--all", help="Every architecture with every variant.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the rendered files. (default: generated)", metavar="DIR")
]
Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", help="A folder of your own families and architectures; repeatable.", metavar="DIR"),
]
Database = Annotated[
    str | None, typer.Option("--db", help="Database URL. (default: sqlite:///db/ab.nn.db)", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")]


# click's base of all usage errors, whichever copy of click Typer brings.
_UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class _State:
    """What the options before the command say."""

    verbosity = 0
    debug = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except SystemExit as ended:  # how Typer answers an interrupt and a reader that has gone
        code = ended.code
        if isinstance(ended.__context__, BrokenPipeError):
            code = 0
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except _UsageError as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except LrgenError as error:
        if _State.debug:
            traceback.print_exc()
        else:
            errors.print(f"[bold red]lrgen:[/] {escape(str(error))}")
        code = 2
    if code == 130:
        errors.print("lrgen: interrupted; what was finished is kept")
    sys.exit(code if isinstance(code, int) else 0)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lrgen {lrgen.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say less: no progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _State.verbosity = -1 if quiet else verbose
    _State.debug = debug


@app.command()
def render(
    everything: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    out: Out = None,
    templates: Templates = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff when files differ.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were edited by hand.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the selected files; without a selection those of the active model.

    Example: lrgen render --model ResNet18 --family cosine
    """
    settings = config.load({"out": out, "templates": tuple(templates) if templates else None})
    catalogue = catalogues.load(settings.templates)
    pairs = _select(catalogue, settings, everything, model, variant, family)
    if check:
        _render_check(catalogue, pairs, settings.out, as_json)
        return
    with _Progress("rendering", len(pairs)) as progress:
        report = generate.generate(catalogue, pairs, settings.out, force=force, advance=progress.advance)
    if as_json:
        _print_json(asdict(report) | {"out": str(settings.out)})
    else:
        files = "file" if report.written == 1 else "files"
        print(f"{report.written} {files} written to {settings.out}, {report.unchanged} unchanged")


def _render_check(catalogue: Catalogue, pairs: list[Pair], out: Path, as_json: bool) -> None:
    differences = generate.check(catalogue, pairs, out)
    if as_json:
        _print_json([{"path": str(one.path), "reason": one.reason, "diff": one.diff} for one in differences])
    else:
        for one in differences:
            print(f"{one.path} {one.reason}")
            print(one.diff, end="")
        print(f"{len(pairs)} files checked, {len(differences)} differences")
    if differences:
        raise typer.Exit(1)


@app.command()
def verify(
    path: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; without any, the selected rendered files.")
    ] = None,
    held_to: Annotated[
        str | None, typer.Option("--as", help="The variant that files of no manifest are held to.", metavar="VARIANT")
    ] = None,
    everything: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    out: Out = None,
    templates: Templates = None,
    stage: Annotated[str, typer.Option(help="The last check: syntax, contract, schedule or training.")] = "training",
    dataset: Annotated[str | None, typer.Option(help="What the training check trains on. (default: digits)")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the training check. (default: 5)")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training check. (default: 0)")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N (default: auto)")] = None,
    workers: Annotated[int | None, typer.Option(help="Files at a time. (default: one a core)")] = None,
    db: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Verify again what was verified before.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every file is proved.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put files through the checks, record what was measured, and say how each ended.

    Example: lrgen verify --model ResNet --variant 1-50

    Example: lrgen verify my_file.py --as StepLR_default --stage schedule
    """
    flags: dict[str, Any] = {"out": out, "dataset": dataset, "epochs": epochs, "seed": seed, "device": device}
    flags |= {"workers": workers, "db": db, "templates": tuple(templates) if templates else None}
    settings = config.load(flags)
    if stage not in list(Stage):
        raise UnknownNameError("stage", stage, list(Stage))
    from lrgen import data
    from lrgen import verify as verifying
    from lrgen.store import Store

    data.check_name(settings.dataset)
    on = verifying.resolve_device(settings.device)
    catalogue = catalogues.load(settings.templates)
    if path:
        if everything or model or variant or family:
            raise ConfigError("verify takes either paths or a selection, not both")
        claim = catalogue.variant(held_to) if held_to else None
        candidates = verifying.from_paths(catalogue, path, settings.out, claim)
    else:
        if held_to:
            raise ConfigError("--as needs a path: rendered files are held to what their manifest says")
        pairs = _select(catalogue, settings, everything, model, variant, family)
        candidates = verifying.from_selection(catalogue, pairs, settings.out)
    count = settings.workers or verifying.cores()
    count = max(1, min(count, len(candidates)))
    asked = VerifySettings(
        stage=Stage(stage),
        dataset=settings.dataset,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        device=on,
        threads=max(1, verifying.cores() // (settings.workers or verifying.cores())),
    )
    store = Store(settings.db)
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    with _Progress("verifying", len(candidates)) as progress:
        for outcome in verifying.verify(
            candidates, asked, store, workers=count, timeout=settings.timeout, force=force, started=progress.reuse
        ):
            outcomes.append(outcome)
            progress.outcome(outcome)
    order = {id(candidate): index for index, candidate in enumerate(candidates)}
    outcomes.sort(key=lambda outcome: order[id(outcome.candidate)])
    if as_json:
        _print_json([_outcome_row(outcome) for outcome in outcomes])
    else:
        _print_outcomes(outcomes, time.monotonic() - begun, settings.db)
    if any(not outcome.status.ok or (strict and outcome.status is not Status.PROVED) for outcome in outcomes):
        raise typer.Exit(1)


@lists.command("models")
def list_models(templates: Templates = None, as_json: AsJson = False) -> None:
    """The architectures, with their size and reference.

    Example: lrgen list models --json
    """
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        {
            "model": one.name,
            "active": one.name == settings.active_model,
            "title": one.title,
            "parameters": one.parameters,
            "smallest_input": one.smallest_input,
            "reference": one.reference,
            "paper": one.paper,
            "recipe": asdict(one.recipe),
        }
        for one in catalogues.load(settings.templates).architectures
    ]
    columns = ("model", "active", "parameters", "smallest_input", "reference")
    _print_rows(rows, columns, as_json)


@lists.command("schedules")
def list_schedules(
    unit: Annotated[str | None, typer.Option(help="Only those that advance once per epoch, batch or metric.")] = None,
    family: Families = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """The numbered schedules.

    Example: lrgen list schedules --family cosine
    """
    if unit is not None and unit not in ("epoch", "batch", "metric"):
        raise UnknownNameError("unit", unit, ("epoch", "batch", "metric"))
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        {
            "key": one.key,
            "name": one.name,
            "family": one.family,
            "unit": one.unit.value,
            "equivalent_to": one.equivalent_to,
            "title": one.title,
            "summary": one.summary,
            "formula": one.formula,
            "past_end": one.past_end.value,
            "hyperparameters": one.defaults,
            "source": one.source,
        }
        for one in catalogues.load(settings.templates).select((), family or ())
        if unit in (None, one.unit.value)
    ]
    _print_rows(rows, ("key", "name", "family", "unit", "equivalent_to"), as_json)


@lists.command("families")
def list_families(templates: Templates = None, as_json: AsJson = False) -> None:
    """The families of schedules.

    Example: lrgen list families
    """
    settings = config.load({"templates": tuple(templates) if templates else None})
    rows = [
        {"family": one.name, "title": one.title, "variants": len(one.variants), "summary": one.summary}
        for one in catalogues.load(settings.templates).families
    ]
    _print_rows(rows, ("family", "title", "variants"), as_json)


@results.command("best")
def results_best(
    model: Annotated[str | None, typer.Option(help="Only this architecture.", metavar="NAME")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 20,
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The best epoch of each file, best first.

    Example: lrgen results best --model ResNet --limit 10
    """
    from lrgen.store import Store

    rows = Store(config.load({"db": db}).db).best(model, dataset, limit)
    columns = ("model_name", "scheduler_type", "variant_name", "dataset", "accuracy", "loss", "epoch", "status")
    more = ("hyperparameters", "seed", "device", "source_sha256", "path", "timestamp")
    _print_rows(rows, columns, as_json, as_csv, fields=(*columns, *more))


@results.command("classes")
def results_classes(
    model: Annotated[str, typer.Argument(help="An architecture, or the stem of a foreign file.")],
    scheduler: Annotated[str, typer.Argument(help="A0_NNN, or file-… for a foreign file.")],
    epoch: Annotated[int | None, typer.Option(min=1, help="An evaluated epoch. (default: the best)")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.", metavar="NAME")] = None,
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The scores of each class, as evaluated.

    Example: lrgen results classes ResNet A0_001 --epoch 5
    """
    from lrgen.store import Store

    rows = Store(config.load({"db": db}).db).classes(model, scheduler, epoch, dataset)
    _print_rows(rows, tuple(rows[0]), as_json, as_csv)


@results.command("failures")
def results_failures(db: Database = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """The files whose newest verification did not end well, with the reason.

    Example: lrgen results failures --json
    """
    from lrgen.store import Store

    rows = Store(config.load({"db": db}).db).failures()
    columns = ("model_name", "scheduler_type", "status", "stage", "reason")
    every = ("model_name", "scheduler_type", "variant_name", *columns[2:], "seconds", "path", "timestamp")
    _print_rows(rows, columns, as_json, as_csv, none="no file failed", fields=every)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What a bug report should say of this machine.

    Example: lrgen doctor --json
    """
    from lrgen.doctor import report

    rows = [{"what": key, "value": value} for key, value in report(config.load()).items()]
    if as_json:
        _print_json({row["what"]: row["value"] for row in rows})
    else:
        _print_rows(rows, ("what", "value"), False)


# Choosing and printing.


def _select(
    catalogue: Catalogue,
    settings: config.Settings,
    everything: bool,
    models: list[str] | None,
    variants: list[str] | None,
    families: list[str] | None,
) -> list[Pair]:
    """The grid of the selection options; without a model the active one, with --all every one."""
    names = models or ([] if everything else [settings.active_model])
    architectures = [catalogue.architecture(name) for name in names] or list(catalogue.architectures)
    unique = {one.name: one for one in architectures}.values()
    return generate.pairs(unique, catalogue.select(variants or (), families or ()))


class _Progress:
    """A Rich bar on a terminal, plain lines elsewhere; drawn by the loop itself, since a thread must not see a fork."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._failed = 0
        self._console = Console(stderr=True, highlight=False)
        self._bar: Any = None
        self._begun = time.monotonic()

    def __enter__(self) -> "_Progress":
        if self._console.is_terminal and not self._console.is_dumb_terminal and _State.verbosity >= 0:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[failed]} failed"),
            )
            self._bar = Progress(
                *columns, TimeRemainingColumn(), console=self._console, auto_refresh=False, transient=True
            )
            self._task = self._bar.add_task(self._what, total=self._total, failed=0)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, failed=self._failed)
            if self._done == self._total or self._done % max(1, self._total // 200) == 0:
                self._bar.refresh()

    def reuse(self, count: int) -> None:
        """Say how many results are known already."""
        if count and self._bar is None and _State.verbosity >= 0:
            self._console.print(f"{count} of {self._total} results are known already and are reused")

    def outcome(self, outcome: Outcome) -> None:
        """One more file has ended."""
        self._failed += not outcome.status.ok
        self.advance()
        if outcome.reused or _State.verbosity < 0:
            return
        line = f"[{self._done}/{self._total}] {_name(outcome)} {outcome.status}"
        line += f" {outcome.accuracy:.3f}" if outcome.accuracy is not None else ""
        line += f" {outcome.seconds:.1f} s"
        line += f": {outcome.stage}: {outcome.reason}" if not outcome.status.ok else ""
        if self._bar is None:
            self._console.print(escape(line), soft_wrap=True)
        if _State.verbosity > 0 and outcome.output.strip():
            self._console.print(escape(outcome.output.rstrip()), soft_wrap=True)


def _name(outcome: Outcome) -> str:
    return f"{outcome.candidate.model_name}/{outcome.candidate.scheduler_type}"


_COLOURS = {
    Status.PROVED: "green",
    Status.UNPROVEN: "yellow",
    Status.FAILED: "red",
    Status.TIMED_OUT: "red",
    Status.CRASHED: "red",
    Status.OUT_OF_MEMORY: "red",
}


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    candidate, variant = outcome.candidate, outcome.candidate.variant
    return {
        "path": str(candidate.path),
        "model_name": candidate.model_name,
        "scheduler_type": candidate.scheduler_type,
        "variant": variant.name if variant else None,
        "unit": variant.unit.value if variant else None,
        "sha256": candidate.sha256,
        "status": outcome.status.value,
        "stage": outcome.stage.value if outcome.stage else None,
        "reason": outcome.reason,
        "accuracy": outcome.accuracy,
        "seconds": round(outcome.seconds, 3),
        "reused": outcome.reused,
    }


def _print_outcomes(outcomes: list[Outcome], seconds: float, db: str) -> None:
    console = _console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "schedule", "unit", "status"):
        table.add_column(heading, no_wrap=heading in ("unit", "status"), overflow="fold")
    table.add_column("accuracy", justify="right")
    table.add_column("seconds", justify="right")
    for outcome in outcomes:
        variant = outcome.candidate.variant
        table.add_row(
            escape(_name(outcome)),
            variant.name if variant else "–",
            variant.unit.value if variant else "–",
            f"[{_COLOURS[outcome.status]}]{outcome.status}[/]",
            f"{outcome.accuracy:.3f}" if outcome.accuracy is not None else "–",
            "reused" if outcome.reused else f"{outcome.seconds:.1f}",
        )
    console.print(table)
    for outcome in outcomes:
        if not outcome.status.ok:
            place = f"{outcome.stage}: " if outcome.stage else ""
            console.print(f"[red]{escape(_name(outcome))}[/] {place}{escape(outcome.reason)}")
    counts = [f"{sum(o.status is status for o in outcomes)} {status}" for status in Status]
    told = [count for count in counts if not count.startswith("0 ")] or ["nothing to do"]
    reused = sum(outcome.reused for outcome in outcomes)
    console.print(
        f"{len(outcomes)} file{'s' * (len(outcomes) != 1)}: {', '.join(told)}; {reused} results reused; "
        f"{seconds:.0f} s; recorded in {escape(db)}"
    )


def _print_rows(
    rows: list[dict[str, Any]],
    columns: Iterable[str],
    as_json: bool,
    as_csv: bool = False,
    none: str = "nothing there",
    fields: Iterable[str] = (),
) -> None:
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other")
    if as_json:
        _print_json(rows)
        return
    if as_csv:
        import csv

        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else list(fields or columns))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: json.dumps(v) if isinstance(v, (dict, list)) else v for name, v in row.items()})
        return
    if not rows:
        print(none)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = list(columns)
    for column in shown:
        numeric = all(isinstance(row[column], (int, float)) and not isinstance(row[column], bool) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(row[column])) for column in shown))
    _console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _console() -> Console:
    """Standard output; a table never takes more than 100 columns."""
    console = Console(highlight=False)
    return console if console.width <= _WIDTH and console.is_terminal else Console(highlight=False, width=_WIDTH)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, default=str, ensure_ascii=False))
