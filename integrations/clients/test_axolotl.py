"""Axolotl preprocesses conversations and preference pairs, with the configurations of docs/finetuning.md."""

from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, load_from_disk
from transformers import AutoTokenizer

from integrations.clients import lines, recipe, run

HEAD = "data/"
STEPS = {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "num_epochs": 1, "learning_rate": 2e-5}


def prepared(number: int, dataset: Path, model: Path, folder: Path) -> list[Dataset]:
    """Return the datasets that a configuration prepares, the smaller ones first."""
    options: dict[str, Any] = yaml.safe_load(recipe("Axolotl", number).replace(HEAD, f"{dataset}/"))
    options |= {"base_model": str(model), "output_dir": str(folder / "out")}
    options |= {"dataset_prepared_path": str(folder / "prepared")}
    path = folder / "axolotl.yaml"
    path.write_text(yaml.safe_dump(options | STEPS))
    run("axolotl", "preprocess", path)
    found = [load_from_disk(str(path.parent)) for path in (folder / "prepared").glob("*/state.json")]
    return sorted(found, key=len)


def test_conversations_are_tokenized_whole(dataset, model, tmp_path):
    """The labels are the answers with the end of their turn, and no row is dropped."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    both = prepared(0, dataset, model, tmp_path)
    for rows, split in zip(both, ("validation", "train"), strict=True):
        expected = [line["messages"] for line in lines(dataset, "messages", split)]
        assert len(rows) == len(expected)
        answers = {tokenizer.decode([token for token in row["labels"] if token != -100]) for row in rows}
        assert answers == {messages[-1]["content"] + tokenizer.eos_token for messages in expected}
        texts = {tokenizer.decode(row["input_ids"]) for row in rows}
        assert texts == {tokenizer.apply_chat_template(messages, tokenize=False) for messages in expected}


def test_pairs_have_the_style_of_the_conversations(dataset, model, tmp_path):
    """A prompt is that of the chat template, and both answers end as a turn does."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    [rows] = prepared(1, dataset, model, tmp_path)
    expected = lines(dataset, "dpo_messages", "train")
    assert len(rows) == len(expected)
    by_id = {row["id"]: row for row in rows}  # Axolotl shuffles
    for line in expected:
        row = by_id[line["id"]]
        prompt = tokenizer.apply_chat_template(line["messages"], tokenize=False, add_generation_prompt=True)
        assert row["prompt"] == prompt
        assert row["chosen"].removesuffix(tokenizer.eos_token) == line["chosen"]["content"]
        assert row["rejected"].removesuffix(tokenizer.eos_token) == line["rejected"]["content"]
