"""``lrgen render`` and ``lrgen verify``."""

import time
from dataclasses import asdict, replace
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
from lrgen.records import Outcome, Stage, Status, VerifySettings
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.verify.sandbox import Isolation

ENGINES = ("local", "ray")


def render(
    everything: All = False,
    model: Models = None,
    variant: Variants = None,
    family: Families = None,
    out: Out = None,
    templates: Templates = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff when files differ.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were edited by hand.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the selected files; without a selection those of the active model.

    Example: lrgen render --model ResNet18 --family cosine
    """
    settings = config.load({"out": out, "templates": tuple(templates) if templates else None})
    catalogue = catalogues.of(settings)
    pairs = select(catalogue, settings, everything, model, variant, family)
    if check:
        _render_check(catalogue, pairs, settings.out, as_json)
        return
    with Progress("rendering", len(pairs)) as progress:
        report = output.generate(catalogue, pairs, settings.out, force=force, advance=progress.advance)
    if as_json:
        print_json(asdict(report) | {"out": str(settings.out)})
    else:
        files = "file" if report.written == 1 else "files"
        print(f"{report.written} {files} written to {settings.out}, {report.unchanged} unchanged")


def _render_check(catalogue: Catalogue, pairs: list[Pair], out: Path, as_json: bool) -> None:
    differences = output.check(catalogue, pairs, out)
    if as_json:
        print_json([{"path": str(one.path), "reason": one.reason, "diff": one.diff} for one in differences])
    else:
        for one in differences:
            print(f"{one.path} {one.reason}")
            print(one.diff, end="")
        print(f"{len(pairs)} files checked, {len(differences)} differences")
    if differences:
        raise typer.Exit(1)


def verify(
    path: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; without any, the selected rendered files.")
    ] = None,
    held_to: Annotated[
        str | None, typer.Option("--as", help="The variant that files of no manifest are held to.", metavar="VARIANT")
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
        bool, typer.Option("--full", help="Train large networks in full, where a CPU would memorise a few images.")
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
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every file is proved.")] = False,
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
    if stage not in list(Stage):
        raise UnknownNameError("stage", stage, list(Stage))
    if seeds > 1 and stage != Stage.TRAINING:
        raise ConfigError(f"--seeds repeats the training check: with --stage {stage} each run would be the same")
    if isolation is not None and isolation not in list(Isolation):
        raise UnknownNameError("isolation", isolation, list(Isolation))
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    if address and engine != "ray":
        raise ConfigError("--address is that of a Ray cluster: it needs --engine ray")
    from lrgen import data
    from lrgen.store import Store
    from lrgen.verify import run as verifying

    data.check_name(settings.dataset, settings.enable_extended_classes)
    # The driver of a cluster need not have the GPUs that its nodes have.
    elsewhere = engine == "ray" and settings.device.startswith("cuda")
    on = "cuda:0" if elsewhere else verifying.resolve_device(settings.device)
    catalogue = catalogues.of(settings)
    if path:
        if everything or model or variant or family or covering:
            raise ConfigError("verify takes either paths or a selection, not both")
        claim = catalogue.variant(held_to) if held_to else None
        candidates = verifying.from_paths(catalogue, path, settings.out, claim)
    else:
        if held_to:
            raise ConfigError("--as needs a path: rendered files are held to what their manifest says")
        if covering:
            pairs = _covered(catalogue, settings, covering, model, bool(everything or variant or family))
        else:
            pairs = select(catalogue, settings, everything, model, variant, family)
        candidates = verifying.from_selection(catalogue, pairs, settings.out)
    if since:
        candidates = verifying.changed_since(candidates, since)
    threads = max(1, verifying.cores() // (settings.workers or verifying.cores()))
    count = max(1, min(_at_a_time(settings, on, slots, engine, address, threads), len(candidates)))
    asked = VerifySettings(
        stage=Stage(stage),
        dataset=settings.dataset,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=on,
        threads=threads,
        full=full,
        compile=compiled,
        autocast=autocast,
    )
    store = Store(settings.db)
    ended: list[tuple[Outcome, int]] = []
    begun = time.monotonic()
    with Progress("verifying", len(candidates) * seeds) as progress:
        for under in range(settings.seed, settings.seed + seeds):
            for outcome in verifying.verify(
                candidates,
                replace(asked, seed=under),
                store,
                workers=count,
                timeout=settings.timeout,
                force=force or not settings.enable_database_caching,
                isolation=Isolation(isolation) if isolation else None,
                engine=engine,
                address=address,
                data_root=settings.data_root,
                download=download,
                started=progress.begin,
            ):
                ended.append((outcome, under))
                progress.outcome(outcome)
    order = {id(candidate): index for index, candidate in enumerate(candidates)}
    ended.sort(key=lambda one: order[id(one[0].candidate)])
    if as_json:
        print_json([outcome_row(outcome, under) for outcome, under in ended])
    else:
        print_outcomes(ended, time.monotonic() - begun, settings.db)
    if any(not outcome.status.ok or (strict and outcome.status is not Status.PROVED) for outcome, _ in ended):
        raise typer.Exit(1)


def _at_a_time(
    settings: config.Settings, device: str, slots: int | None, engine: str, address: str | None, threads: int
) -> int:
    """How many files run at a time: the workers or slots that were asked for, or as many as there is room for."""
    from lrgen.verify import run as verifying

    if device == "cpu" and slots:
        raise ConfigError("--slots is for a GPU: on the CPU --workers says how many files run at a time")
    if engine == "ray":
        from lrgen.verify.engines import ray

        room = ray.slots(address, device, threads, slots or 1)
        return min(settings.workers or room, room)
    if device != "cpu":
        return slots or verifying.free_slots(device)
    return settings.workers or verifying.cores()


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
