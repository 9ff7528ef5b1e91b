"""Builds what the clients read: a small dataset in all formats, and a tiny model with a chat template.

``python -m integrations.clients.dataset FOLDER`` writes ``FOLDER/data`` and ``FOLDER/model``.
"""

import shutil
import sys
from pathlib import Path

from lrgen import catalogue as catalogues
from lrgen.finetune import formats
from lrgen.finetune.build import Plan, build
from lrgen.finetune.corpus import Level
from lrgen.finetune.tasks import edit, explain, infill, prompts, write
from tests import corpus, language_model

TASKS = (write, infill, edit, explain, prompts, corpus.PREFER, corpus.FEEDBACK)
FILES = 40


def main(folder: Path) -> None:
    """Write the dataset and the model; what is there already is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    catalogue = catalogues.load()
    variants = catalogue.variants[:: len(catalogue.variants) // FILES][:FILES]
    task_input = corpus.task_input(catalogue, [variant.number for variant in variants])
    plan = Plan(TASKS, formats.NAMES, Level.SCHEDULE, holdout_families=("constant", variants[-1].family))
    build(task_input, plan, folder / "data")
    texts = (file.source for file in task_input.files)
    language_model.save(folder / "model", texts, language_model.template_of("qwen2_5"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
