"""The functions that people call from Python, with the names and parameters of the project's first document."""

import pandas as pd

from lrgen import config
from lrgen.store import Store


def get_class_accuracies(
    model_name: str,
    scheduler_type: str,
    epoch: int | None = None,
    *,
    dataset: str | None = None,
    db: str | None = None,
) -> pd.DataFrame:
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
    store = Store(config.load({"db": db}).db)
    try:
        return pd.DataFrame(store.classes(model_name, scheduler_type, epoch, dataset))
    finally:
        store.close()
