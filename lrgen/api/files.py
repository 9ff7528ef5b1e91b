"""Rendering and verification of single files."""

import os
from pathlib import Path

from lrgen import config
from lrgen.api import current
from lrgen.files import read_bytes
from lrgen.records import Outcome

# The name of a file that is passed as source code, for error messages.
_UNNAMED = Path("source.py")


def render_file(model: str, schedule: str | int) -> str:
    """Return the source code of one architecture with one schedule, as ``lrgen render`` writes it.

    Args:
        model: the name of an architecture, as in ``list_architectures()``.
        schedule: the name of a schedule, its number, or ``"A0_001"``.

    Raises:
        UnknownNameError: if there is no such architecture or schedule.

    Example:
        >>> source = lrgen.render_file("ResNet", "wsd_linear")
        >>> print(source.splitlines()[0].strip('"'))
        ResNet-20 trained with a WSD schedule (linear decay).
    """
    catalogue = current.catalogue()
    return current.renderer().render(catalogue.architecture(model), catalogue.variant(schedule)).text


def verify_file(
    source: str | os.PathLike[str],
    schedule: str | int | None = None,
    stage: str = "training",
    *,
    model: str | None = None,
    policy: str = "lemur",
    dataset: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    case_seed: int | None = None,
    device: str | None = None,
    isolation: str | None = None,
    full: bool = False,
) -> Outcome:
    """Verify one file by running it in a separate process.

    The calling process may have threads, an event loop or a CUDA context, since it is not forked. Results are neither
    read from the database nor recorded; ``lrgen verify`` does both.

    Args:
        source: a path, or source code, which is a string with a line break.
        schedule: the schedule that the file is checked against, by name or number; by default that of a file which
            lrgen rendered; any other file has no claim and ends as ``unclaimed``.
        stage: the last check, ``"syntax"``, ``"policy"``, ``"contract"``, ``"schedule"`` or ``"training"``.
        model: the name of the architecture with whose network that of the file is compared; by default none.
        policy: the code that the file may contain: ``"lemur"``, what people write in training files, or ``"strict"``,
            what lrgen renders.
        dataset: ``"digits"``, ``"cifar-10"``, ``"cifar-20"`` or ``"cifar-100"``; by default that of the configuration.
        epochs: number of epochs of the training check; by default that of the configuration.
        seed: seed of the training check; by default that of the configuration.
        case_seed: seed of the drawn cases; by default a new one, which the outcome has.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"auto"``; by default that of the configuration.
        isolation: ``"process"`` or ``"sandbox"``; by default a sandbox for files that lrgen did not render.
        full: train large networks in full, instead of overfitting a small subset on a CPU.

    Returns:
        The outcome: ``status`` (``"verified"``, ``"passed"``, ``"unclaimed"``, ``"failed"`` …), ``stage``, ``reason``,
        ``checks``, ``case_seed``, ``architecture`` (``"equal"`` to the model, or ``"not comparable"``), and after
        training ``accuracy`` (0–1) and ``epochs``.

    Raises:
        OutputError: if the path cannot be read.
        UnknownNameError: if there is no such schedule, model, stage, policy, dataset or isolation.
        ConfigError: if a seed is out of range.
        DataError, DeviceError: if the dataset or the device is not available.
        IsolationError: if the file needs a sandbox and this machine has none.
        EngineError: if the process that files are forked from cannot be started.

    Example:
        >>> source = lrgen.render_file("ResNet", "StepLR_default")
        >>> outcome = lrgen.verify_file(source, schedule="StepLR_default", stage="schedule")
        >>> print(outcome.status, outcome.stage)
        passed schedule
        >>> outcome = lrgen.verify_file(source, schedule="wsd_linear", stage="schedule")
        >>> print(outcome.status, outcome.stage)
        failed schedule
    """
    from lrgen.verify import plan as planning
    from lrgen.verify import run
    from lrgen.verify.limits import MAX_BYTES

    flags = {"dataset": dataset, "epochs": epochs, "seed": seed, "device": device}
    settings = config.load(flags)
    catalogue = current.catalogue(settings)
    claim = None if schedule is None else catalogue.variant(schedule)
    architecture = None if model is None else catalogue.architecture(model)
    text = os.fspath(source)
    if isinstance(source, str) and "\n" in source:
        path, content = _UNNAMED, source.encode()
    else:
        path = Path(text)
        content = read_bytes(path, MAX_BYTES + 1)
    request = planning.VerifyRequest(stage=stage, policy=policy, case_seed=case_seed, full=full, isolation=isolation)
    plan = planning.plan(settings, request)
    candidate = run.from_source(catalogue, current.renderer(), path, content, settings.out, claim, architecture)
    return run.verify_one(candidate, plan)
