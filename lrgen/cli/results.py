"""``lrgen results``: queries of the results database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.cli.options import AsCsv, AsJson, Database, Families, Practices, Templates
from lrgen.cli.printing import console, print_json, print_rows
from lrgen.errors import ConfigError, NoResultError, UnknownNameError
from lrgen.report import comparison
from lrgen.report.comparison import Pool, Standing

METRICS = ("accuracy",)
_PRACTICE = ("practice",)

results = typer.Typer(no_args_is_help=True, help="Query the results.")


@results.command("best")
def results_best(
    model: Annotated[str | None, typer.Option(help="List only this architecture.", metavar="NAME")] = None,
    dataset: Annotated[str | None, typer.Option(help="Use only runs on this dataset.", metavar="NAME")] = None,
    practice: Practices = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 20,
    db: Database = None,
    templates: Templates = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the best epoch of each file, best first.

    Example: lrgen results best --model ResNet --limit 10

    Example: lrgen results best --practice precision
    """
    from lrgen.store import Store

    settings = config.load({"db": db, "templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    keys = [variant.key for variant in catalogue.select((), (), practice)] if practice else None
    rows = _with_practice(Store(settings.db).best(model, dataset, limit, scheduler_types=keys), catalogue)
    columns = (
        "model_name",
        "scheduler_type",
        "variant_name",
        *_practice_column(rows),
        "dataset",
        "training",
        "accuracy",
        "loss",
        "epoch",
        "status",
    )
    others = ("hyperparameters", "seed", "device", "source_sha256", "case_seed", "evidence", "path", "timestamp")
    print_rows(
        rows, columns, as_json, as_csv, fields=(*columns, *others, *(() if _practice_column(rows) else _PRACTICE))
    )


def _with_practice(rows: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Rows of files, each with the name of its practice (None: it has none)."""
    names = {variant.key: variant.practice.name for variant in catalogue.with_practice if variant.practice is not None}
    return [{**row, "practice": names.get(row["scheduler_type"])} for row in rows]


def _practice_column(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The column of the practices; none if no row has one."""
    return _PRACTICE if any(row["practice"] for row in rows) else ()


@results.command("grid")
def results_grid(db: Database = None, templates: Templates = None, as_json: AsJson = False) -> None:
    """Count the newest outcomes by network and family: files that passed their checks, of all if some did not.

    Files with a practice have a column of their own.

    Example: lrgen results grid --db sqlite:///grid.db
    """
    from lrgen.report.grid import grid
    from lrgen.store import Store

    settings = config.load({"db": db, "templates": tuple(templates) if templates else None})
    cells = grid(Store(settings.db).newest_runs(), catalogues.of(settings).variants)
    if as_json:
        print_json(cells)
        return
    families = sorted({cell["family"] for cell in cells})
    table: dict[str, dict[str, Any]] = {}
    for cell in cells:
        row = table.setdefault(cell["model_name"], {"network": cell["model_name"], **dict.fromkeys(families, "")})
        passed, count = cell["passed"], cell["all"]
        row[cell["family"]] = str(count) if passed == count else f"{passed}/{count}"
    _print_grid(list(table.values()), families)
    print(f"{sum(cell['passed'] for cell in cells)} of {sum(cell['all'] for cell in cells)} files passed their checks")


def _print_grid(rows: list[dict[str, Any]], families: list[str]) -> None:
    """Print a column for each family, under the first letters of its name."""
    if not rows:
        print("no rows")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("network", no_wrap=True)
    for family in families:
        table.add_column(family[:_LETTERS], justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(str, row.values()))
    out = console()
    out.print(table)
    out.print(f"columns: {', '.join(families)}")


_Model = Annotated[str, typer.Argument(help="Architecture, or stem of a foreign file.")]
_Scheduler = Annotated[str, typer.Argument(help="Schedule as A0_NNN, or file-… for a foreign file.")]
_Epoch = Annotated[int | None, typer.Option(min=1, help="Evaluated epoch, counted from 1. (default: the best)")]
_Dataset = Annotated[str | None, typer.Option(help="Use only runs on this dataset.", metavar="NAME")]
_LETTERS = 5  # of the name of a family above its column
_BY = ("class", "group", "mean")


@results.command("classes")
def results_classes(
    model: _Model,
    scheduler: _Scheduler,
    epoch: _Epoch = None,
    dataset: _Dataset = None,
    by: Annotated[
        str,
        typer.Option(
            help="Rows of the table: classes, groups of classes (class_groups in lrgen.toml), or the macro and the "
            "weighted mean.",
            metavar="class|group|mean",
        ),
    ] = "class",
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the metrics of each class at an epoch.

    Example: lrgen results classes ResNet A0_001 --epoch 5

    Example: lrgen results classes ResNet A0_001 --by group
    """
    if by not in _BY:
        raise UnknownNameError("row", by, _BY)
    from lrgen.store import Store
    from lrgen.store.metrics import group_scores

    settings = config.load({"db": db})
    store, where = Store(settings.db), (model, scheduler, epoch, dataset)
    if by == "group":
        rows = [asdict(scores) for scores in group_scores(*store.confusion(*where), settings.class_groups)]
        if not rows:
            raise ConfigError(f"class_groups: no group has a class of the dataset of {model} {scheduler}")
    else:
        rows = store.classes(*where) if by == "class" else store.class_means(*where)
    print_rows(rows, tuple(rows[0]), as_json, as_csv)


@results.command("confusion")
def results_confusion(
    model: _Model,
    scheduler: _Scheduler,
    epoch: _Epoch = None,
    dataset: _Dataset = None,
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show the confusion matrix at an epoch: actual classes in rows, predicted classes in columns.

    Example: lrgen results confusion ResNet A0_001 --csv
    """
    from lrgen.store import Store

    counts, names = Store(config.load({"db": db}).db).confusion(model, scheduler, epoch, dataset)
    rows = [
        {"class": f"{number} {name}"} | {str(other): count for other, count in enumerate(row)}
        for number, (name, row) in enumerate(zip(names, counts, strict=True))
    ]
    print_rows(rows, tuple(rows[0]), as_json, as_csv)


@results.command("failures")
def results_failures(
    practice: Practices = None,
    db: Database = None,
    templates: Templates = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the files whose newest verification did not pass, with the reason.

    Example: lrgen results failures --json
    """
    from lrgen.store import Store

    settings = config.load({"db": db, "templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    keys = {variant.key for variant in catalogue.select((), (), practice or ())}
    rows = _with_practice(Store(settings.db).failures(), catalogue)
    rows = [row for row in rows if not practice or row["scheduler_type"] in keys]
    columns = ("model_name", "scheduler_type", "status", "stage", "reason")
    others = ("seconds", "case_seed", "evidence", "path", "timestamp", *_PRACTICE)
    fields = ("model_name", "scheduler_type", "variant_name", *columns[2:], *others)
    print_rows(rows, columns, as_json, as_csv, empty="no file failed", fields=fields)


@results.command("compare")
def results_compare(
    model: Annotated[
        str | None,
        typer.Option(help="Architecture, or stem of a foreign file. (default: the active model)", metavar="NAME"),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            "--variants",
            help="Schedule by number, range (1-50) or name; repeatable.",
            metavar="NUMBER|NAME",
        ),
    ] = None,
    family: Families = None,
    practice: Practices = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Schedule that the others are compared with. (default: the constant schedule, else the best)",
            metavar="NUMBER|NAME",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Use only runs on this dataset.", metavar="NAME")] = None,
    metric: Annotated[
        str, typer.Option(help="Metric to compare: accuracy, that of the best epoch.", metavar="NAME")
    ] = "accuracy",
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare the schedules of a model over their seeds with a baseline, best first.

    Schedules without a significant difference share a rank. lrgen verify --seeds makes the runs.

    Example: lrgen results compare --model ResNet --variant 1 --variant 37 --baseline 41
    """
    from lrgen.store import Store

    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    settings = config.load({"db": db})
    catalogue = catalogues.of(settings)
    named = None if baseline is None else catalogue.variant(baseline).key
    chosen = catalogue.select(variant or (), family or (), practice or ())
    keys = {selected.key for selected in chosen} | ({named} if named else set())
    model = settings.active_model if model is None else model
    rows = Store(settings.db).best_of_runs(model, keys if variant or family or practice else None, dataset)
    if not rows:
        where = f" on {dataset}" if dataset else ""
        raise NoResultError(f"no run of {model}{where} was evaluated: run lrgen verify --model {model} --seeds 3")
    pool = comparison.pool(rows, named)
    constants = (other.key for other in catalogue.schedules if (other.family, other.curve) == ("constant", "constant"))
    present = {run.schedule for run in pool.runs}
    compared = comparison.compare(pool.runs, named or next((key for key in constants if key in present), None))
    names = {row["scheduler_type"]: row["variant_name"] for row in rows}
    standings = _with_practice(
        [_standing(entry, names[entry.schedule], compared.baseline) for entry in compared.standings], catalogue
    )
    if as_csv:
        print_rows(standings, (), as_json, as_csv)
    elif as_json:
        print_json(
            {
                "model_name": model,
                "metric": metric,
                "baseline": compared.baseline,
                "confidence": comparison.CONFIDENCE,
                "confidence_of_each": compared.confidence,
                "conditions": pool.conditions,
                "failed": pool.failed,
                "left_out": pool.left_out,
                "absent": pool.absent,
                "schedules": standings,
            }
        )
    else:
        _print_comparison(standings, compared.confidence, pool)


def _standing(standing: Standing, name: str | None, baseline: str) -> dict[str, Any]:
    low, high = standing.difference.interval or (None, None)
    return {
        "rank": standing.rank,
        "scheduler_type": standing.schedule,
        "variant_name": name,
        "runs": standing.runs,
        "mean": standing.mean,
        "deviation": standing.standard_deviation,
        "pairs": standing.difference.pairs,
        "difference": standing.difference.mean,
        "low": low,
        "high": high,
        "verdict": "baseline" if standing.schedule == baseline else standing.difference.verdict.value,
    }


def _print_comparison(standings: list[dict[str, Any]], confidence: float, pool: Pool) -> None:
    rows = []
    practices = _practice_column(standings)
    for standing in standings:
        compared = standing["verdict"] != "baseline"
        rows.append(
            {
                "rank": standing["rank"],
                "schedule": standing["variant_name"] or standing["scheduler_type"],
                **({"practice": standing["practice"]} if practices else {}),
                "runs": standing["runs"],
                "mean ± sd": f"{standing['mean']:.3f}"
                + ("" if standing["deviation"] is None else f" ± {standing['deviation']:.3f}"),
                "difference": f"{standing['difference']:+.3f}" if compared and standing["pairs"] else None,
                "interval": f"{standing['low']:+.3f}…{standing['high']:+.3f}"
                if compared and standing["low"] is not None
                else None,
                "verdict": standing["verdict"],
            }
        )
    print_rows(rows, tuple(rows[0]), False)
    shared = pool.conditions
    facts = [shared["dataset"], shared["training"], shared["device"], shared["torch"] and f"torch {shared['torch']}"]
    if isinstance(shared["settings"], dict) and not shared["budget"]:
        facts.insert(1, f"{shared['settings']['epochs']} epochs")
    print(f"accuracy of the best epoch: {', '.join(filter(None, facts))}")
    each = f" ({confidence:.2%} each)" if confidence > comparison.CONFIDENCE else ""
    print(f"paired by seed; simultaneous confidence intervals at {comparison.CONFIDENCE:.0%}{each}")
    if pool.failed:
        print(f"runs that did not pass the checks and are included: {pool.failed}")
    if pool.left_out:
        print(f"runs left out: {pool.left_out}, made under other conditions or repeated with the same seed")
    if pool.absent:
        names = f"{', '.join(pool.absent[:8])}{' …' if len(pool.absent) > 8 else ''}"
        print(f"schedules with runs under other conditions only: {names}")
