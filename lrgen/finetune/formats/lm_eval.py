"""A folder of tasks for lm-eval, for ``--include_path``: JSON lines, a YAML file for each task, and a module.

The module loads the rows that lie beside it, and scores completions by ``lrgen.rewards.score``.
"""

from collections.abc import Collection, Mapping
from typing import Any

from lrgen.finetune import grading
from lrgen.finetune.example import Row
from lrgen.finetune.formats import scored
from lrgen.finetune.formats.lines import named_lines
from lrgen.finetune.rows import SCHEMA, Split

NAME = "lm_eval"
SUMMARY = "tasks for the lm-evaluation-harness (lm-eval)"
file_of = named_lines

_UTILS = "lrgen_utils.py"
_UTILS_TEXT = '''\
"""Loads the rows that lie beside this module, and scores completions with lrgen."""

from pathlib import Path

import datasets

from lrgen import rewards
from lrgen.finetune.formats import scored

FOLDER = Path(__file__).parent


def load(task, split="test", **others):
    """Return the rows of a task, by default those of the split test.

    lm_eval --metadata '{"split": "test_families"}' chooses another split.
    """
    path = FOLDER / f"{split}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.jsonl")))
        raise ValueError(f"unknown split {split!r}: {FOLDER} has {known}")
    rows = datasets.load_dataset("json", data_files=str(path), split="train")
    chosen = rows.filter(lambda row: row["task"] == task)
    if not len(chosen):
        raise ValueError(f"{path} has no row of the task {task}")
    return {"test": chosen}


def all_samples(samples, rows):
    """Keep each sample of a row; lm-eval's default keeps the first one."""
    return samples


def process_results(row, results):
    """Return the mean reward of the samples of a row, and the fraction that passed."""
    samples = results[0] if isinstance(results[0], list) else results
    verdicts = [rewards.score(scored.row_of(row["row"]), sample) for sample in samples]
    return {
        "reward": sum(verdict.reward for verdict in verdicts) / len(verdicts),
        "passed": sum(verdict.passed for verdict in verdicts) / len(verdicts),
    }
'''
_TASK = """\
task: lrgen_{task}
{tag}custom_dataset: !function lrgen_utils.load
dataset_kwargs:
  task: {task}
test_split: test
output_type: generate_until
unsafe_code: true
description: '{{{{ system + "\\n\\n" }}}}'
doc_to_text: prompt
doc_to_target: reference
process_results: !function lrgen_utils.process_results
repeats: 1
num_fewshot: 0
generation_kwargs:
  until: []
  do_sample: false
  max_gen_toks: 8192
filter_list:
  - name: all_samples
    filter:
      - function: custom
        filter_fn: !function lrgen_utils.all_samples
metric_list:
  - metric: reward
    aggregation: mean
    higher_is_better: true
  - metric: passed
    aggregation: mean
    higher_is_better: true
metadata:
  version: {schema}
"""


def takes(row: Row) -> bool:
    """Return whether the row is not for training."""
    return bool(row["split"] != Split.TRAIN)


def line(row: Row) -> dict[str, Any]:
    """Return the row as a document of lm-eval."""
    texts = {"system": row["system"], "prompt": scored.transcript(row), "reference": grading.gold(row)}
    return {"id": row["id"], "task": row["task"]} | texts | {"row": scored.text_of(row)}


def extras(splits: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the module, and the YAML file of each task; those with test rows have the tag ``lrgen``."""
    files = {_UTILS: _UTILS_TEXT}
    for task in sorted({name for tasks in splits.values() for name in tasks}):
        tag = "tag: lrgen\n" if task in splits.get(Split.TEST, ()) else ""
        files[f"lrgen_{task}.yaml"] = _TASK.format(task=task, tag=tag, schema=SCHEMA)
    return files
