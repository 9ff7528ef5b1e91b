"""``lrgen db``: the results database as a whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrgen import config
from lrgen.cli.options import AsJson, Database
from lrgen.cli.printing import Progress, counted, print_facts, print_json
from lrgen.errors import ConfigError

if TYPE_CHECKING:
    from lrgen.store import Store

database = typer.Typer(no_args_is_help=True, help="Manage the results database.")


@database.command("info")
def db_info(db: Database = None, as_json: AsJson = False) -> None:
    """Show the location, schema and size of the database.

    Example: lrgen db info
    """
    from lrgen.store import Store, maintenance

    info = maintenance.info(Store(config.load({"db": db}).db))
    if as_json:
        print_json(info)
        return
    statuses = ", ".join(f"{count} {status}" for status, count in info.pop("statuses").items())
    others = ", ".join(info.pop("other tables"))
    print_facts(info | {"statuses": statuses or "none", "other tables": others or "none"})


@database.command("check")
def db_check(db: Database = None, as_json: AsJson = False) -> None:
    """Check the integrity of the database, and its metrics against the confusion matrices.

    Exits with 1 if there is a problem.

    Example: lrgen db check
    """
    from lrgen.store import Store, maintenance

    problems = list(maintenance.problems(Store(config.load({"db": db}).db)))
    if as_json:
        print_json(problems)
    else:
        print("\n".join(problems) or "no problems")
    if problems:
        raise typer.Exit(1)


@database.command("backup")
def db_backup(
    path: Annotated[Path, typer.Argument(help="SQLite file to create; it must not exist.", metavar="FILE")],
    db: Database = None,
) -> None:
    """Copy the database into a new SQLite file.

    The database is SQLite or PostgreSQL; others may use it meanwhile.

    Example: lrgen db backup ../results-2026-11.db
    """
    from lrgen.store import Store, maintenance

    store = Store(config.load({"db": db}).db)
    with Progress("copying", _size(store)) as progress:
        maintenance.backup(store, path, progress.advance)
    print(f"{store.place} copied to {path}")


@database.command("export")
def db_export(
    folder: Annotated[Path, typer.Argument(help="Folder to create; it must not exist.", metavar="DIR")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV files.")] = False,
    as_parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet files.")] = False,
    db: Database = None,
) -> None:
    """Write each table to a file.

    Example: lrgen db export tables --parquet
    """
    from lrgen.store import Store, maintenance

    if as_csv == as_parquet:
        raise ConfigError("db export needs one of --csv and --parquet")
    store = Store(config.load({"db": db}).db)
    with Progress("exporting", _size(store)) as progress:
        count = maintenance.export(store, folder, "csv" if as_csv else "parquet", progress.advance)
    print(f"{counted(count, 'row')} written to {folder}")


@database.command("import")
def db_import(
    source: Annotated[Path, typer.Argument(help="Backup, or folder that lrgen db export created.", metavar="PATH")],
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Add the runs of a backup or an export that the database does not have.

    Example: lrgen db import ../results-2026-11.db --db postgresql://me@db.example/results
    """
    from lrgen.store import Store, maintenance

    store = Store(config.load({"db": db}).db)
    with maintenance.open_source(source) as rows, Progress("importing", 0) as progress:
        imported = maintenance.import_rows(store, rows, progress.advance)
    if as_json:
        print_json({"added": imported.added, "known": imported.known})
    else:
        print(f"{counted(imported.added, 'run')} added to {store.place}, {imported.known} already known")


def _size(store: "Store") -> int:
    """The number of rows in a database."""
    from lrgen.store import maintenance

    info = maintenance.info(store)
    return sum(int(info[name]) for name in ("lrgen_runs", "scheduler_results", "class_data"))
