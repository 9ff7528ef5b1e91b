"""``lrgen report``: the results as a static page."""

from pathlib import Path
from typing import Annotated

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsJson, Database, Models
from lrgen.cli.printing import Progress, counted, print_json


def report(
    out: Annotated[Path, typer.Option("--out", help="Folder for the page.", metavar="DIR")] = Path("report"),
    model: Models = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset by name; repeatable.", metavar="NAME")] = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write a static page of the results: leaderboards, plots, classes, failures, and the source of each number.

    Example: lrgen report --dataset digits --out report
    """
    settings = config.load({"db": db})
    from lrgen.report import contents
    from lrgen.report import page as pages
    from lrgen.store import Store

    catalogue = catalogues.load(settings.templates)
    gathered = contents.gather(Store(settings.db), catalogue, model or (), dataset or ())
    with Progress("plotting", len(gathered.boards)) as progress:
        page = pages.render(gathered, catalogue, progress.advance)
    path = pages.write(page, out)
    counts = {
        "files": sum(gathered.files.values()),
        "runs": gathered.runs,
        "leaderboards": len(gathered.boards) + gathered.boards_left_out,
        "failures": len(gathered.failures) + gathered.failures_left_out,
    }
    if as_json:
        print_json({"path": str(path), "bytes": len(page.encode())} | counts)
    else:
        print(f"{path}: {', '.join(counted(count, name.removesuffix('s')) for name, count in counts.items())}")
