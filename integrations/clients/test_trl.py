"""TRL trains one model by its four trainers, one after the other, on the configurations of a dataset."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from lrgen import rewards
from lrgen.finetune.formats.messages import question

STEPS = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "bf16": False, "report_to": []}


@pytest.fixture
def pool():
    """The pool of the rewards ends with the test."""
    yield
    rewards.configure()


def rows_of(dataset: Path, name: str, *columns: str) -> Dataset:
    """Return the training rows of a configuration."""
    return load_dataset(str(dataset), name, split="train").select_columns(list(columns))


def test_sft_dpo_kto_and_grpo_follow_one_another(dataset, model, tmp_path, pool):
    """Each trainer begins with the model of the one before; the reward gets the columns of the rows."""
    common = {"processing_class": AutoTokenizer.from_pretrained(model)}

    def train(
        trainer: Any, settings: Any, name: str, start: str, rows: Dataset, *rewarding: Any, **options: Any
    ) -> Any:
        folder = str(tmp_path / name)
        made = trainer(start, *rewarding, args=settings(folder, **STEPS, **options), train_dataset=rows, **common)
        made.train()
        assert made.state.global_step == STEPS["max_steps"]
        made.save_model(folder)
        return made

    rows = rows_of(dataset, "prompt_completion", "prompt", "completion")
    train(SFTTrainer, SFTConfig, "sft", str(model), rows)
    rows = rows_of(dataset, "dpo", "prompt", "chosen", "rejected")
    train(DPOTrainer, DPOConfig, "dpo", str(tmp_path / "sft"), rows)
    rows = rows_of(dataset, "kto", "prompt", "completion", "label")
    train(KTOTrainer, KTOConfig, "kto", str(tmp_path / "dpo"), rows)
    rows = load_dataset(str(dataset / "parquet"), split="train").filter(lambda row: row["task"] in ("write", "explain"))
    rows = rows.map(lambda row: {"prompt": question(row)})
    sampling = {"num_generations": 2, "max_completion_length": 8}
    grpo = train(GRPOTrainer, GRPOConfig, "grpo", str(tmp_path / "kto"), rows, rewards.trl, **sampling)
    means = [entry["rewards/trl/mean"] for entry in grpo.state.log_history if "rewards/trl/mean" in entry]
    assert means
    assert all(0 <= mean <= 1 for mean in means)
