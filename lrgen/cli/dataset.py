"""``lrgen dataset``: the verified corpus as data that a language model is fine-tuned on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.cli.options import All, AsJson, Database, Families, Models, Templates, Variants, select
from lrgen.cli.printing import Progress, console, print_json
from lrgen.errors import ConfigError, CorpusError, UnknownNameError
from lrgen.verify import plan as planning

if TYPE_CHECKING:
    from lrgen.finetune.build import Built
    from lrgen.finetune.corpus import Refused
    from lrgen.finetune.example import Task

dataset = typer.Typer(no_args_is_help=True, help="Turn verified files into data for fine-tuning language models.")

_Folder = Annotated[Path, typer.Argument(help="The folder of a dataset.")]
_Workers = Annotated[int | None, typer.Option(help="Files that run at a time. (default: one a core)")]
_TOLD = 20


@dataset.command("build")
def dataset_build(
    out: Annotated[Path, typer.Option("--out", help="The folder to make.", metavar="DIR")],
    task: Annotated[list[str] | None, typer.Option("--task", help="A task; repeatable. (default: all)")] = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--format", help="A format; repeatable. Parquet is always there. (default: all)"),
    ] = None,
    everything: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    level: Annotated[
        str, typer.Option(help="What every file must have passed.", metavar="contract|schedule|training")
    ] = "training",
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most, shared out between the tasks.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides phrasings and splits. (default: 0)")] = None,
    holdout_family: Annotated[
        list[str] | None,
        typer.Option("--holdout-family", help="A family that is only tested with; repeatable.", metavar="NAME"),
    ] = None,
    holdout_model: Annotated[
        list[str] | None,
        typer.Option("--holdout-model", help="A network that is only tested with; repeatable.", metavar="NAME"),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="A tokenizer.json, to count tokens with.", metavar="FILE")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longer rows go into a file of their own, uncut.")
    ] = None,
    decontaminate: Annotated[
        list[Path] | None,
        typer.Option(help="A benchmark whose texts no row may share; repeatable.", metavar="FILE.jsonl"),
    ] = None,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Leave out files that did not pass, instead of ending.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option("--files", help="Folder of the rendered files. (default: generated)", metavar="DIR"),
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder that keeps how broken files ended, for the next build.", metavar="DIR")
    ] = Path(".lrgen"),
    workers: _Workers = None,
    templates: Templates = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of the selected files; without a selection of those of the active model.

    A build that was interrupted goes on where it was when it is started again.

    Example: lrgen dataset build --out out/resnet --level schedule

    Example: lrgen dataset build --out out/all --all --holdout-family wsd --holdout-model VGG --format messages
    """
    flags = {"db": db, "out": files, "seed": seed, "workers": workers}
    settings = _settings(flags | {"templates": tuple(templates) if templates else None})
    from lrgen.finetune import build as building
    from lrgen.finetune import corpus, formats
    from lrgen.finetune.example import Material
    from lrgen.finetune.mutants import Workbench
    from lrgen.store import Store
    from lrgen.verify import verdicts

    if level not in list(corpus.Level):
        raise UnknownNameError("level", level, list(corpus.Level))
    formats.named(form or ())
    catalogue = catalogues.of(settings)
    plan = building.Plan(
        tasks=_tasks(task or ()),
        formats=tuple(form or formats.NAMES),
        level=corpus.Level(level),
        seed=settings.seed,
        limit=limit,
        holdout_families=tuple(holdout_family or ()),
        holdout_architectures=tuple(holdout_model or ()),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        benchmarks=tuple(decontaminate or ()),
    )
    store = Store(settings.db)
    pairs = select(catalogue, settings, everything, model, variant, family)
    proved, refused = corpus.collect(store, pairs, settings.out, plan.level, verdicts.check_version())
    _refuse(refused, len(proved), skip_refused, level)
    bench = Workbench(cache, settings.workers or planning.cores(), accuracies=store.best_of_runs)
    with Progress("rows", 0) as progress:
        built = building.build(
            Material(catalogue, proved, plan.seed),
            plan,
            out,
            bench=bench,
            refused=len(refused),
            advance=progress.advance,
        )
    _print_built(built, len(refused), as_json)


@dataset.command("check")
def dataset_check(
    folder: _Folder,
    sample: Annotated[
        int | None, typer.Option(min=0, help="Files, and traces, to execute again. (default: all that there are)")
    ] = None,
    workers: _Workers = None,
    templates: Templates = None,
    db: Annotated[
        str | None, typer.Option("--db", help="A database to look the runs of the rows up in.", metavar="URL")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a published dataset from outside: hashes, columns, splits, formats, and what its answers do.

    Example: lrgen dataset check out/resnet --sample 50
    """
    settings = _settings({"workers": workers, "templates": tuple(templates) if templates else None})
    from lrgen.finetune.check import check
    from lrgen.store import Store

    with Progress("checking", 0) as progress:
        checked = check(
            folder,
            catalogues.of(settings),
            sample=sample,
            store=Store(db) if db else None,
            workers=settings.workers or planning.cores(),
            timeout=settings.timeout,
            advance=progress.advance,
        )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "rows": checked.rows,
                "executed": checked.executed,
                "traced": checked.traced,
                "problems": checked.problems,
            }
        )
    else:
        for problem in checked.problems[:_TOLD]:
            console().print(f"[red]{escape(problem)}[/]", soft_wrap=True)
        if len(checked.problems) > _TOLD:
            print(f"… and {len(checked.problems) - _TOLD} others")
        found = len(checked.problems)
        print(
            f"{folder}: {checked.rows} rows, {checked.executed} files and {checked.traced} traces executed, "
            f"{found or 'no'} problem{'s' * (found != 1)}"
        )
    if checked.problems:
        raise typer.Exit(1)


@dataset.command("sample")
def dataset_sample(
    folder: _Folder,
    count: Annotated[int, typer.Option("-n", "--number", min=1, help="Rows.")] = 3,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at some rows of a dataset.

    Example: lrgen dataset sample out/resnet -n 1 --task repair
    """
    _settings({})
    from lrgen.finetune.sample import sample

    rows = sample(folder, count, task or ())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_row(row)


def _settings(flags: dict[str, Any]) -> config.Settings:
    settings = config.load(flags)
    if not settings.enable_fine_tuning:
        raise ConfigError("datasets are switched off: enable_fine_tuning is off")
    return settings


def _tasks(names: Sequence[str]) -> "tuple[Task, ...]":
    from lrgen.finetune.tasks import TASKS

    known = [one.NAME for one in TASKS]
    for name in names:
        if name not in known:
            raise UnknownNameError("task", name, known)
    return tuple(one for one in TASKS if not names or one.NAME in names)


def _refuse(refused: "Sequence[Refused]", proved: int, skip: bool, level: str) -> None:
    """End when there are files that did not pass, unless they are to be left out and others remain."""
    from lrgen.finetune.corpus import shown

    told = "; ".join(shown(refused))
    if refused and not skip:
        raise CorpusError(
            f"{len(refused)} of {len(refused) + proved} files did not pass up to {level}: {told}. Run lrgen verify, "
            "or leave them out with --skip-refused" + ("" if level == "contract" else ", or ask for a lower --level")
        )
    if not proved:
        raise CorpusError(f"no file is left that passed up to {level}: {told}" if refused else "no file is selected")


def _print_built(built: "Built", refused: int, as_json: bool) -> None:
    tally, counts = built.tally, built.counts
    told = {
        "out": str(built.out),
        "files": built.files,
        "refused": refused,
        **tally.counts(),
        "too_long": counts.too_long,
        "left_out": dict(counts.left_out),
    }
    if as_json:
        print_json(told)
        return
    splits = ", ".join(f"{count} {split}" for split, count in tally.by_split().items())
    print(f"{tally.total} rows of {built.files} files written to {built.out}: {splits}")
    left_out = [f"{count} {reason}" for reason, count in counts.left_out.items()]
    left_out += [f"{refused} files that did not pass"] if refused else []
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    if counts.too_long:
        print(f"too long, in a file of their own: {counts.too_long}")


def _print_row(row: dict[str, Any]) -> None:
    from rich.rule import Rule

    out = console()
    out.print(Rule(f"{row['task']} · {row['split']} · {row['id']}"))
    facts = ("architecture", "variant", "variant_name", "level", "accuracy", "evidence")
    shown = (f"{name}: {row[name]}" for name in facts if row[name] not in (None, ""))
    out.print(escape("  ".join(shown)), soft_wrap=True)
    for name in ("prompt", "completion", "rejected", "label"):
        if row[name] is not None:
            out.print(f"\n[bold]{name}[/]\n{escape(str(row[name]))}", soft_wrap=True)
    out.print()
