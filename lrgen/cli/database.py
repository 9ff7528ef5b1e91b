"""``lrgen db``: the results database as a whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrgen import config
from lrgen.cli.options import AsJson, Database
from lrgen.cli.printing import Progress, print_json, print_rows
from lrgen.errors import ConfigError

if TYPE_CHECKING:
    from lrgen.store import Store

database = typer.Typer(no_args_is_help=True, help="Look after the results database.")


@database.command("info")
def db_info(db: Database = None, as_json: AsJson = False) -> None:
    """Where the database is, its schema, and how much is in it.

    Example: lrgen db info
    """
    from lrgen.store import Store, maintenance

    found = maintenance.info(Store(config.load({"db": db}).db))
    if as_json:
        print_json(found)
        return
    statuses = ", ".join(f"{count} {status}" for status, count in found.pop("statuses").items())
    others = ", ".join(found.pop("other tables"))
    found |= {"statuses": statuses or "none", "other tables": others or "none"}
    print_rows([{"what": key, "value": value} for key, value in found.items()], ("what", "value"), False)


@database.command("check")
def db_check(db: Database = None, as_json: AsJson = False) -> None:
    """Whether the database is sound, and every score what its confusion matrix says; exit 1 when it is not.

    Example: lrgen db check
    """
    from lrgen.store import Store, maintenance

    found = list(maintenance.problems(Store(config.load({"db": db}).db)))
    if as_json:
        print_json(found)
    else:
        print("\n".join(found) or "nothing is wrong")
    if found:
        raise typer.Exit(1)


@database.command("backup")
def db_backup(
    path: Annotated[Path, typer.Argument(help="The SQLite file to write; it must not exist.", metavar="FILE")],
    db: Database = None,
) -> None:
    """Copy the database, SQLite or PostgreSQL, into a new SQLite file, while others may use it.

    Example: lrgen db backup ../results-2026-11.db
    """
    from lrgen.store import Store, maintenance

    store = Store(config.load({"db": db}).db)
    with Progress("copying", _size(store)) as progress:
        maintenance.backup(store, path, progress.advance)
    print(f"{store.place} copied to {path}")


@database.command("export")
def db_export(
    folder: Annotated[Path, typer.Argument(help="The folder to make; it must not exist.", metavar="DIR")],
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV files.")] = False,
    as_parquet: Annotated[bool, typer.Option("--parquet", help="Parquet files.")] = False,
    db: Database = None,
) -> None:
    """Write each table to a file.

    Example: lrgen db export tables --parquet
    """
    from lrgen.store import Store, maintenance

    if as_csv == as_parquet:
        raise ConfigError("db export takes --csv or --parquet")
    store = Store(config.load({"db": db}).db)
    with Progress("exporting", _size(store)) as progress:
        count = maintenance.export(store, folder, "csv" if as_csv else "parquet", progress.advance)
    print(f"{count} rows written to {folder}")


@database.command("import")
def db_import(
    source: Annotated[Path, typer.Argument(help="A backup, or a folder that lrgen db export made.", metavar="PATH")],
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Add the runs of a backup or of an export that are not there yet.

    Example: lrgen db import ../results-2026-11.db --db postgresql://me@db.example/results
    """
    from lrgen.store import Store, maintenance

    store = Store(config.load({"db": db}).db)
    with maintenance.open_source(source) as rows, Progress("importing", 0) as progress:
        found = maintenance.import_rows(store, rows, progress.advance)
    if as_json:
        print_json({"added": found.added, "known": found.known})
    else:
        print(f"{found.added} runs added to {store.place}, {found.known} were there")


def _size(store: "Store") -> int:
    """The rows of a database."""
    from lrgen.store import maintenance

    found = maintenance.info(store)
    return sum(int(found[name]) for name in ("lrgen_runs", "scheduler_results", "class_data"))
