"""``lrgen score``: verdicts on what a model writes, and comparisons of runs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrgen.cli.options import AsJson
from lrgen.cli.printing import counted, print_json, print_rows

if TYPE_CHECKING:
    from lrgen.score.compare import Comparison, Difference, Group

score = typer.Typer(no_args_is_help=True, help="Score what a model writes.")


@score.command("compare")
def score_compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results of the first run: the folder of its --out.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results of the run that is compared with it.")],
    as_json: AsJson = False,
) -> None:
    """Compare two scored runs, A and B, paired by row.

    Each difference is B − A, with a bootstrap interval.

    Samples of a row are averaged; rows of one run alone are left out.

    The verdict on B is that of the pass rate: a tie unless McNemar's exact test and the interval agree.

    Example: lrgen score compare runs/base runs/tuned
    """
    from lrgen.score import compare, results

    scored = results.read(first), results.read(second)
    compared = compare.compare(*scored)
    if as_json:
        print_json({"first": str(first), "second": str(second)} | asdict(compared))
    else:
        _print_comparison(compared, first, second)


def _print_comparison(compared: "Comparison", first: Path, second: Path) -> None:
    groups = {"all": compared.all} | (compared.by_task if len(compared.by_task) > 1 else {})
    rows = [_row(name, group) for name, group in groups.items()]
    print(f"A  {first}\nB  {second}\n")
    print_rows(rows, tuple(rows[0]), as_json=False)
    gained, lost = compared.all.gained, compared.all.lost
    print(f"\n{counted(compared.all.rows, 'row')} of both runs: B is ahead in {gained}, A in {lost}")
    print(f"confidence intervals at {compared.confidence:.0%}, by bootstrap over rows; p of McNemar's exact test")
    if len(compared.by_task) > 1:
        print(f"tasks are corrected for their number: {compared.confidence_of_each:.2%} each")
    if compared.only_first or compared.only_second:
        print(f"rows left out: {compared.only_first} that only A has, {compared.only_second} that only B has")
    for name, (before, after) in compared.conditions.items():
        print(f"the runs differ in {name.replace('_', ' ')}: {before} and {after}")


def _row(name: str, group: "Group") -> dict[str, Any]:
    return {
        "task": name,
        "rows": group.rows,
        "A": group.pass_rate.first,
        "B": group.pass_rate.second,
        "pass rate": _shown(group.pass_rate),
        "p": f"{group.p:.3f}" if group.p >= 0.001 else "<0.001",
        "verdict": group.pass_rate.verdict.value,
        "reward": _shown(group.reward),
    }


def _shown(difference: "Difference") -> str:
    low, high = difference.interval
    return f"{difference.mean:+.3f} ({low:+.3f}…{high:+.3f})"
