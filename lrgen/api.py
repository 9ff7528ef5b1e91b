"""The functions that people call from Python, with the names and parameters of the project's first document."""

from typing import TYPE_CHECKING

from lrgen import catalogue, config

if TYPE_CHECKING:
    import pandas as pd


def get_active_model() -> str:
    """The architecture that commands work on when none is named.

    It stands in lrgen.toml (``active_model``), or in the environment as ``LRGEN_ACTIVE_MODEL``.

    Raises:
        ConfigError: when the configuration cannot be read.
        UnknownNameError: when there is no such architecture.
    """
    settings = config.load()
    return catalogue.load(settings.templates).architecture(settings.active_model).name


def set_active_model(model_name: str) -> bool:
    """Make an architecture the active one, in the nearest lrgen.toml or a new one in the current folder.

    Returns:
        True: what cannot be set raises.

    Raises:
        UnknownNameError: when there is no such architecture; the file stays as it was.
        ConfigError, OutputError: when lrgen.toml cannot be read or written.
    """
    config.keep("active_model", catalogue.load(config.load().templates).architecture(model_name).name)
    return True


def get_class_accuracies(
    model_name: str,
    scheduler_type: str,
    epoch: int | None = None,
    *,
    dataset: str | None = None,
    db: str | None = None,
) -> "pd.DataFrame":
    """The scores of each class at one evaluated epoch of a file's newest run.

    Args:
        model_name: an architecture (``"ResNet"``), or the stem of a foreign file.
        scheduler_type: ``"A0_001"``, or ``file-`` and eight digits of a foreign file's sha256.
        epoch: counted from 1; by default the one with the best accuracy.
        dataset: only runs on this dataset; by default whichever was newest.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with a row for each class and the columns class_id, class_name, accuracy (the recall of the class),
        precision, recall, f1_score (all in 0-1), support (held-out images) and epoch.

    Raises:
        NoResultError: when that epoch was never evaluated; nothing is made up.
        StoreError: when the database cannot be read.
    """
    import pandas as pd

    from lrgen.store import Store

    store = Store(config.load({"db": db}).db)
    try:
        return pd.DataFrame(store.classes(model_name, scheduler_type, epoch, dataset))
    finally:
        store.close()
