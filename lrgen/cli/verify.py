"""``lrgen verify``: files through the checks."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.catalogue import Catalogue
from lrgen.catalogue.pairwise import COVERS, cover
from lrgen.cli.options import (
    All,
    AsJson,
    Database,
    DataRoot,
    Families,
    Models,
    Out,
    Templates,
    Variants,
    architectures,
    select,
)
from lrgen.cli.printing import Progress, outcome_row, print_json, print_outcomes
from lrgen.errors import ConfigError, UnknownNameError
from lrgen.records import Outcome, Status
from lrgen.render.output import Pair
from lrgen.verify import plan as planning
from lrgen.verify.plan import VerifyRequest


def verify(
    path: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; without any, the selected rendered files.")
    ] = None,
    claimed: Annotated[
        str | None, typer.Option("--as", help="The variant to check files of no manifest against.", metavar="VARIANT")
    ] = None,
    everything: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    out: Out = None,
    templates: Templates = None,
    covering: Annotated[
        str | None,
        typer.Option(
            "--cover",
            help="Files that stand for the grid: pairwise (every architecture with every family, unit and kind "
            "of schedule) or families (with one variant a family).",
            metavar="pairwise|families",
        ),
    ] = None,
    stage: Annotated[str, typer.Option(help="The last check: syntax, contract, schedule or training.")] = "training",
    dataset: Annotated[
        str | None,
        typer.Option(
            help="What the training check trains on: digits, cifar-10, cifar-20 or cifar-100. (default: digits)"
        ),
    ] = None,
    data_root: DataRoot = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the dataset when it is not there (torchvision).")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the training check. (default: 5)")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training check. (default: 0)")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Runs of each file, under the seed and those after it (lrgen results compare).")
    ] = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Train large networks in full, where a CPU would overfit a few images.")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Train through torch.compile.")] = False,
    autocast: Annotated[bool, typer.Option("--autocast", help="Train in bfloat16 where that is safe.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N (default: auto)")] = None,
    workers: Annotated[int | None, typer.Option(help="Files at a time on the CPU. (default: one a core)")] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Files at a time on one GPU. (default: as many as its free memory holds)")
    ] = None,
    isolation: Annotated[
        str | None,
        typer.Option(
            help="process or sandbox. (default: a sandbox for files that lrgen did not render)",
            metavar="process|sandbox",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the files: local (this machine) or ray (a cluster).", metavar="local|ray")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster's address. (default: as Ray finds it)", metavar="HOST:PORT")
    ] = None,
    since: Annotated[
        list[Path] | None,
        typer.Option(help="Only files that are not in this manifest of before; repeatable.", metavar="MANIFEST"),
    ] = None,
    db: Database = None,
    force: Annotated[bool, typer.Option("--force", help="Verify again what was verified before.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every file is verified.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put files through the checks, record what was measured, and say how each ended.

    Example: lrgen verify --model ResNet --variant 1-50

    Example: lrgen verify my_file.py --as StepLR_default --stage schedule

    Example: lrgen verify --cover pairwise --model VGG

    Example: lrgen verify --variant 1 --variant 41 --seeds 5

    Example: lrgen verify --all --since old/ResNet/manifest.json

    Example: lrgen verify --all --engine ray --address 10.0.0.1:6379
    """
    flags: dict[str, Any] = {"out": out, "dataset": dataset, "epochs": epochs, "seed": seed, "device": device}
    flags |= {"workers": workers, "db": db, "templates": tuple(templates) if templates else None}
    flags["data_root"] = data_root
    settings = config.load(flags)
    plan = planning.plan(
        settings,
        VerifyRequest(
            stage=stage,
            seeds=seeds,
            full=full,
            compile=compiled,
            autocast=autocast,
            slots=slots,
            isolation=isolation,
            engine=engine,
            address=address,
            download=download,
            force=force,
        ),
    )
    from lrgen.store import Store
    from lrgen.verify import run

    catalogue = catalogues.of(settings)
    if path:
        if everything or model or variant or family or covering:
            raise ConfigError("verify takes either paths or a selection, not both")
        claim = catalogue.variant(claimed) if claimed else None
        candidates = run.from_paths(catalogue, path, settings.out, claim)
    else:
        if claimed:
            raise ConfigError("--as needs a path: rendered files are checked against the variant of their manifest")
        if covering:
            pairs = _covered(catalogue, settings, covering, model, bool(everything or variant or family))
        else:
            pairs = select(catalogue, settings, everything, model, variant, family)
        candidates = run.from_selection(catalogue, pairs, settings.out)
    if since:
        candidates = run.changed_since(candidates, since)
    store = Store(settings.db)
    ended: list[tuple[Outcome, int]] = []
    begun = time.monotonic()
    with Progress("verifying", len(candidates) * seeds) as progress:
        for outcome, under in run.execute(plan, candidates, store, started=progress.begin):
            ended.append((outcome, under))
            progress.outcome(outcome)
    order = {id(candidate): index for index, candidate in enumerate(candidates)}
    ended.sort(key=lambda one: order[id(one[0].candidate)])
    if as_json:
        print_json([outcome_row(outcome, under) for outcome, under in ended])
    else:
        print_outcomes(ended, time.monotonic() - begun, settings.db)
    if any(not outcome.status.ok or (strict and outcome.status is not Status.VERIFIED) for outcome, _ in ended):
        raise typer.Exit(1)


def _covered(
    catalogue: Catalogue, settings: config.Settings, how: str, models: list[str] | None, more: bool
) -> list[Pair]:
    """The files of a cover; without a model those of every architecture."""
    if how not in COVERS:
        raise UnknownNameError("cover", how, COVERS)
    if more:
        raise ConfigError("--cover chooses the variants itself: it goes with --model only")
    chosen = architectures(catalogue, settings, not models, models)
    return cover(catalogue, "pairwise" if how == "pairwise" else "families", chosen)
