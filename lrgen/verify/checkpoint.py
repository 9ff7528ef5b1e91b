"""Evaluation of a checkpoint on the held-out images of a dataset."""

import pickle
import types
from pathlib import Path
from typing import Any

import torch

from lrgen.catalogue import Catalogue
from lrgen.data import Dataset
from lrgen.data.batches import Batches, Scale
from lrgen.errors import DataError, first_line
from lrgen.render.renderer import Renderer
from lrgen.verify.checks.scores import score

_BATCH = 256


def evaluate_checkpoint(
    catalogue: Catalogue, model_name: str, scheduler_type: str, checkpoint: Path, dataset: Dataset
) -> tuple[float, list[list[int]]]:
    """Evaluate a checkpoint in the network that lrgen renders.

    Returns the mean cross-entropy over the held-out images and their confusion matrix (actual × predicted). Images are
    normalised as in the training check.

    Args:
        checkpoint: written by ``torch.save(net.state_dict(), checkpoint)``; loaded with ``weights_only=True``.

    Raises:
        UnknownNameError: if the network or the schedule does not exist.
        DataError: if the checkpoint cannot be read, or does not match the network and the number of classes.
    """
    architecture, variant = catalogue.architecture(model_name), catalogue.variant(scheduler_type)
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise DataError(f"{checkpoint}: cannot read the checkpoint: {first_line(error)}") from error
    module: Any = types.ModuleType(f"{model_name}_{scheduler_type}")
    exec(compile(Renderer(catalogue).render(architecture, variant).text, module.__name__, "exec"), module.__dict__)
    images = torch.from_numpy(dataset.train_images)
    prm = architecture.recipe.prm_for(variant)
    net = module.Net((1, *images.shape[1:]), (len(dataset.classes),), prm, torch.device("cpu"))
    try:
        net.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        network = f"{model_name} with {len(dataset.classes)} classes"
        raise DataError(f"{checkpoint}: the weights do not match {network}: {first_line(error)}") from error
    labels = torch.from_numpy(dataset.test_labels)
    held_out = Batches(torch.from_numpy(dataset.test_images), labels, _BATCH, Scale.of(images))
    net.eval()
    with torch.no_grad():
        logits = torch.cat([net(batch).float() for batch, _ in held_out])
    scored = score(logits.numpy(), dataset.test_labels)
    return scored.loss, [list(row) for row in scored.confusion]
