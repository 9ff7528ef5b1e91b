"""``lrgen results``: what was measured."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsCsv, AsJson, Database, Families
from lrgen.cli.printing import print_json, print_rows
from lrgen.errors import ConfigError, NoResultError, UnknownNameError
from lrgen.report import comparison
from lrgen.report.comparison import Pool, Standing

METRICS = ("accuracy",)

results = typer.Typer(no_args_is_help=True, help="Look up what was measured.")


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
    columns = (
        "model_name",
        "scheduler_type",
        "variant_name",
        "dataset",
        "training",
        "accuracy",
        "loss",
        "epoch",
        "status",
    )
    more = ("status", "hyperparameters", "seed", "device", "source_sha256", "path", "timestamp")
    print_rows(rows, columns, as_json, as_csv, fields=(*columns, *more))


_Model = Annotated[str, typer.Argument(help="An architecture, or the stem of a foreign file.")]
_Scheduler = Annotated[str, typer.Argument(help="A0_NNN, or file-… for a foreign file.")]
_Epoch = Annotated[int | None, typer.Option(min=1, help="An evaluated epoch. (default: the best)")]
_Dataset = Annotated[str | None, typer.Option(help="Only this dataset.", metavar="NAME")]
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
            help="A row for each class, for each group (class_groups in lrgen.toml), or for the macro and the weighted "
            "mean.",
            metavar="class|group|mean",
        ),
    ] = "class",
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The scores of each class, as evaluated.

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
        rows = [asdict(one) for one in group_scores(*store.confusion(*where), settings.class_groups)]
        if not rows:
            raise ConfigError(f"class_groups: no group has a class of {model} {scheduler}'s dataset")
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
    """How many images of each class (a row) were taken for which (the columns, by number).

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
def results_failures(db: Database = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """The files whose newest verification did not end well, with the reason.

    Example: lrgen results failures --json
    """
    from lrgen.store import Store

    rows = Store(config.load({"db": db}).db).failures()
    columns = ("model_name", "scheduler_type", "status", "stage", "reason")
    every = ("model_name", "scheduler_type", "variant_name", *columns[2:], "seconds", "path", "timestamp")
    print_rows(rows, columns, as_json, as_csv, none="no file failed", fields=every)


@results.command("compare")
def results_compare(
    model: Annotated[
        str | None,
        typer.Option(
            help="An architecture, or the stem of a foreign file. (default: the active model)", metavar="NAME"
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            "--variants",
            help="A schedule by number, range (1-50) or name; repeatable.",
            metavar="NUMBER|NAME",
        ),
    ] = None,
    family: Families = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="What the others are compared with. (default: the constant schedule, or the best one)",
            metavar="NUMBER|NAME",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.", metavar="NAME")] = None,
    metric: Annotated[
        str, typer.Option(help="What is compared: accuracy, that of the best epoch.", metavar="NAME")
    ] = "accuracy",
    db: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The schedules of a model over their seeds, best first, and what sets them apart from a baseline.

    Schedules that cannot be told apart share a rank; lrgen verify --seeds makes the runs.

    Example: lrgen results compare --model ResNet --variant 1 --variant 37 --baseline 41
    """
    from lrgen.store import Store

    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    settings = config.load({"db": db})
    catalogue = catalogues.of(settings)
    named = catalogue.variant(baseline).key if baseline else None
    keys = {one.key for one in catalogue.select(variant or (), family or ())} | ({named} if named else set())
    model = model or settings.active_model
    rows = Store(settings.db).best_of_runs(model, keys if variant or family else None, dataset)
    if not rows:
        where = f" on {dataset}" if dataset else ""
        raise NoResultError(f"no run of {model}{where} was evaluated: run lrgen verify --model {model} --seeds 3")
    pool = comparison.pool(rows, named)
    constant = (one.key for one in catalogue.variants if (one.family, one.curve) == ("constant", "constant"))
    there = {run.schedule for run in pool.runs}
    found = comparison.compare(pool.runs, named or next((key for key in constant if key in there), None))
    names = {row["scheduler_type"]: row["variant_name"] for row in rows}
    standings = [_standing(one, names[one.schedule], found.baseline) for one in found.standings]
    if as_csv:
        print_rows(standings, (), as_json, as_csv)
    elif as_json:
        print_json(
            {
                "model_name": model,
                "metric": metric,
                "baseline": found.baseline,
                "confidence": comparison.CONFIDENCE,
                "confidence_of_each": found.confidence,
                "conditions": pool.conditions,
                "failed": pool.failed,
                "left_out": pool.left_out,
                "absent": pool.absent,
                "schedules": standings,
            }
        )
    else:
        _print_comparison(standings, found.confidence, pool)


def _standing(one: Standing, name: str | None, baseline: str) -> dict[str, Any]:
    low, high = one.difference.interval or (None, None)
    return {
        "rank": one.rank,
        "scheduler_type": one.schedule,
        "variant_name": name,
        "runs": one.runs,
        "mean": one.mean,
        "deviation": one.standard_deviation,
        "pairs": one.difference.pairs,
        "difference": one.difference.mean,
        "low": low,
        "high": high,
        "verdict": "baseline" if one.schedule == baseline else one.difference.verdict.value,
    }


def _print_comparison(standings: list[dict[str, Any]], confidence: float, pool: Pool) -> None:
    rows = []
    for one in standings:
        compared = one["verdict"] != "baseline"
        rows.append(
            {
                "rank": one["rank"],
                "schedule": one["variant_name"] or one["scheduler_type"],
                "runs": one["runs"],
                "mean ± sd": f"{one['mean']:.3f}" + ("" if one["deviation"] is None else f" ± {one['deviation']:.3f}"),
                "difference": f"{one['difference']:+.3f}" if compared and one["pairs"] else None,
                "interval": f"{one['low']:+.3f}…{one['high']:+.3f}" if compared and one["low"] is not None else None,
                "verdict": one["verdict"],
            }
        )
    print_rows(rows, tuple(rows[0]), False)
    shared = pool.conditions
    facts = [shared["dataset"], shared["training"], shared["device"], shared["torch"] and f"torch {shared['torch']}"]
    if isinstance(shared["settings"], dict) and not shared["budget"]:
        facts.insert(1, f"{shared['settings']['epochs']} epochs")
    print(f"the best epoch's accuracy: {', '.join(filter(None, facts))}")
    each = f" ({confidence:.2%} each)" if confidence > comparison.CONFIDENCE else ""
    print(f"paired by seed; the intervals hold together with {comparison.CONFIDENCE:.0%} confidence{each}")
    if pool.failed:
        print(f"did not pass the checks, and count: {pool.failed}")
    if pool.left_out:
        print(f"left out: {pool.left_out}, made in another way or again under the same seed")
    if pool.absent:
        print(f"made in another way only: {', '.join(pool.absent[:8])}{' …' if len(pool.absent) > 8 else ''}")
