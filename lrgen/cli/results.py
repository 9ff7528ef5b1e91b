"""``lrgen results``: what was measured."""

from typing import Annotated

import typer

from lrgen import config
from lrgen.cli.options import AsCsv, AsJson, Database
from lrgen.cli.printing import print_rows

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
