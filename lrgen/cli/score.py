"""``lrgen score``: verdicts on what a model writes, and comparisons of runs."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import AsJson, Templates
from lrgen.cli.printing import Progress, counted, print_json, print_rows
from lrgen.errors import ScoreError, UnknownNameError, shown
from lrgen.records import Stage
from lrgen.verify import plan as planning
from lrgen.verify.case_seed import parse_case_seed
from lrgen.verify.plan import VerifyRequest

if TYPE_CHECKING:
    from lrgen.score.compare import Comparison, Difference, Group
    from lrgen.score.scoring import Scored

_COMPLETIONS = "completions"
_HELP = "Score what a model writes: lrgen score COMPLETIONS --dataset DIR, or a command."
_STAGES = (Stage.CONTRACT, Stage.SCHEDULE, Stage.TRAINING)
_SHOWN = 5  # lines that were skipped, answers that do not pass


class _Group(TyperGroup):
    """The group in which whatever is not the name of a command is the path of completions."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_COMPLETIONS, *args]
        return super().parse_args(ctx, args)


score = typer.Typer(no_args_is_help=True, cls=_Group, help=_HELP)


@score.command(_COMPLETIONS)
def score_completions(
    completions: Annotated[
        Path | None,
        typer.Argument(help="Completions: JSONL of EvalPlus or SWE-bench, a folder, or bigcode's list of lists."),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Folder of the dataset whose rows were completed.", metavar="DIR")
    ] = None,
    own: Annotated[bool, typer.Option("--gold", help="Score the dataset's own answers, which must all pass.")] = False,
    splits: Annotated[
        list[str] | None, typer.Option("--split", help="Split of the rows; repeatable. (default: all)", metavar="NAME")
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="Task of the rows; repeatable. (default: all)", metavar="NAME")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--rows", min=1, help="Number of rows, drawn by their ids. (default: all)", metavar="N"),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option("--k", help="Numbers k of pass@k. (default: those of 1, 10 and 100 that every row reaches)"),
    ] = None,
    stage: Annotated[str, typer.Option(help="Last check: contract, schedule or training.")] = "schedule",
    policy: Annotated[
        str, typer.Option(help="Code that an answer may contain: strict or lemur.", metavar="strict|lemur")
    ] = "strict",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results. (default: scores/NAME)", metavar="DIR")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Limit of each check of a file. (default: 30; of the training 900)", metavar="SECONDS"),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(min=0, help="Limit of the run; the next one goes on. (default: none)", metavar="SECONDS"),
    ] = None,
    case_seed: Annotated[
        str | None,
        typer.Option(
            help="Seed of the drawn cases. (default: that of the results in --out, or a new one)", metavar="INTEGER"
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of files to run in parallel. (default: number of cores)")
    ] = None,
    isolation: Annotated[
        str | None,
        typer.Option(
            help="Isolation of the answers; process accepts the risk of running them without a sandbox. "
            "(default: sandbox)",
            metavar="process|sandbox",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine that runs the files.", metavar="local|ray")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of the Ray cluster. (default: found by Ray)", metavar="HOST:PORT")
    ] = None,
    templates: Templates = None,
    as_json: AsJson = False,
) -> None:
    """Score what a model wrote for the rows of a dataset: each answer is verified as a rendered file is.

    The folder of the results has results.jsonl (a line for each sample), summary.json and a file in EvalPlus's form. A
    run that was stopped goes on where it was. The exit code is 1 if a sample has no verdict when the deadline comes.

    Example: lrgen score samples.jsonl --dataset build

    Example: lrgen score samples.jsonl --dataset build --split test --task infill --k 1,10

    Example: lrgen score --gold --dataset build

    Example: lrgen score compare scores/base scores/tuned
    """
    request = _request(completions, dataset, own, out)
    flags = {"workers": workers, "device": "cpu", "templates": tuple(templates) if templates else None}
    settings = config.load(flags)
    plan = planning.plan(
        settings,
        VerifyRequest(
            stage=_stage(stage),
            policy=policy,
            case_seed=None if case_seed is None else parse_case_seed(case_seed),
            isolation=isolation,
            engine=engine,
            address=address,
        ),
    )
    ks = _ks(k)
    from lrgen.score import scoring

    rows = scoring.rows_of(scoring.Selection(request.dataset, tuple(splits or ()), tuple(tasks or ()), count))
    scorer = scoring.scorer_of(catalogues.of(settings), plan, request.out, timeout)
    begun = time.monotonic()
    with Progress("scoring", len(rows.ids)) as progress:
        if request.completions is None:
            scored = scoring.gold(rows, request.out, scorer, started=progress.restart, advance=progress.advance)
        else:
            scored = scoring.score(
                rows,
                request.completions,
                request.out,
                scorer,
                ks=ks,
                deadline=deadline,
                started=progress.restart,
                advance=progress.advance,
            )
    if as_json:
        print_json(_document(scored))
    else:
        _print_scored(scored, request, time.monotonic() - begun)
    if scored.problems or scored.left:
        raise typer.Exit(1)


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


@dataclass(frozen=True)
class _Request:
    """The input and the output of a run; without completions the dataset's own answers are scored."""

    completions: Path | None
    dataset: Path
    out: Path


def _request(completions: Path | None, dataset: Path | None, own: bool, out: Path | None) -> _Request:
    """Check that the options name one input.

    Raises:
        ScoreError: if they name none, or two.
    """
    if dataset is None:
        raise ScoreError("--dataset DIR is missing: the dataset whose rows were completed")
    if own and completions is not None:
        raise ScoreError("--gold scores the dataset's own answers: it takes no COMPLETIONS")
    if not own and completions is None:
        raise ScoreError("COMPLETIONS is missing: the file or folder to score, or --gold for the dataset's own answers")
    name = "gold" if completions is None else completions.stem
    return _Request(completions, dataset, out or Path("scores") / name)


def _stage(name: str) -> Stage:
    if name not in list(_STAGES):
        raise UnknownNameError("stage", name, _STAGES)
    return Stage(name)


def _ks(text: str | None) -> list[int]:
    """The numbers of ``--k``: ``1,10`` → [1, 10].

    Raises:
        ScoreError: if one is not a positive integer.
    """
    words = [word.strip() for word in (text or "").split(",")] if text is not None else []
    for word in words:
        if not word.isascii() or not word.isdigit() or len(word) > 9 or int(word) < 1:
            raise ScoreError(f"--k takes positive integers separated by commas, got {shown(text)}")
    return [int(word) for word in words]


def _document(scored: "Scored") -> dict[str, Any]:
    return scored.summary | {
        "left": scored.left,
        "skipped": [asdict(skipped) for skipped in scored.skipped],
        "problems": list(scored.problems),
    }


def _print_scored(scored: "Scored", request: _Request, seconds: float) -> None:
    numbers = scored.summary
    groups = {"all": numbers["all"]}
    for kind in ("by_task", "by_split"):
        if len(numbers[kind]) > 1:
            groups |= numbers[kind]
    rows = [_group_row(name, group, numbers["k"]) for name, group in groups.items()]
    print_rows(rows, tuple(rows[0]), as_json=False)
    print(
        f"\n{counted(numbers['samples'], 'sample')} of {counted(numbers['rows'], 'row')} scored in {seconds:.0f} s, "
        f"case seed {numbers['case_seed']}"
    )
    if numbers["rows_without_sample"] and request.completions is not None:
        print(f"{counted(numbers['rows_without_sample'], 'row')} without a sample, left out of the means")
    if scored.left:
        print(f"{counted(scored.left, 'sample')} left when the deadline came: the same command goes on with them")
    _print_some("skipped", [f"{skipped.place}: {skipped.reason}" for skipped in scored.skipped])
    _print_some("problems", scored.problems)
    print(f"results in {request.out}")


def _print_some(what: str, lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"{what}: {line}")
    if len(lines) > _SHOWN:
        print(f"{what}: … and {len(lines) - _SHOWN} more")


def _group_row(name: str, group: dict[str, Any], ks: Sequence[int]) -> dict[str, Any]:
    low, high = group["wilson"]
    rate = group["pass_rate"]
    return {
        "rows of": name,
        "rows": group["rows"],
        "samples": group["samples"],
        "passed": group["passed"],
        "rate": "" if rate is None else f"{rate:.3f} ({low:.3f}…{high:.3f})",
        "reward": "" if group["mean_reward"] is None else f"{group['mean_reward']:.3f}",
    } | {f"pass@{k}": "" if group[f"pass@{k}"] is None else f"{group[f'pass@{k}']:.3f}" for k in ks}
