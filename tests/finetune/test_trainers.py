"""Datasets load with ``datasets``, and TRL trains a tiny random model on them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from lrgen.finetune import formats
from lrgen.finetune.build import Plan, build
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.tasks import infill
from tests import corpus
from tests.paths import REPOSITORY

# The formats whose lines are the texts of a row; test_formats.py and test_lm_eval.py load those for scoring.
NAMES = tuple(name for name in formats.NAMES if name not in ("openrlhf", "lm_eval", "verl"))
LARGE = 33 << 20  # bytes: more than one read block of pyarrow, which guesses the types by the first


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without network access or a cache in the home folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def task_input(catalogue: Catalogue) -> TaskInput:
    """The files of sixty schedules."""
    return corpus.task_input(catalogue, [variant.number for variant in catalogue.variants[:60]])


class Pairs:
    """A task with rows for each kind of trainer, a number of times."""

    NAME = "pairs"
    SUMMARY = "Correct and wrong schedules."

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def examples(self, task_input: TaskInput) -> Iterator[Example]:
        for copy in range(self.copies):
            for example in infill.examples(task_input):
                values = {"task": self.NAME, "scope": Scope.NONE, "files": example.files}
                prompt, key = f"{example.prompt}\n\nThis is number {copy}.", f"{example.key}/{copy}"
                good, bad = example.completion, example.completion.replace("total_steps", "1")
                yield Example(key=f"{key}/a", prompt=prompt, completion=good, **values)
                yield Example(key=f"{key}/b", prompt=prompt, completion=good, rejected=bad, **values)
                for label, answer in ((True, good), (False, bad)):
                    yield Example(key=f"{key}/{label}", prompt=prompt, completion=answer, label=label, **values)


def built(task_input: TaskInput, out: Path, copies: int = 1) -> Path:
    """Build a dataset of ``Pairs`` and return its folder."""
    plan = Plan((Pairs(copies),), NAMES, level=Level.SCHEDULE)
    return build(task_input, plan, out).out


# Loading.


@pytest.fixture(scope="module")
def large(task_input, tmp_path_factory) -> Path:
    """A dataset whose training files are all larger than a read block."""
    return built(task_input, tmp_path_factory.mktemp("large") / "data", copies=130)


@pytest.mark.parametrize("name", NAMES)
def test_large_files_load(large, name):
    """``datasets.load_dataset`` reads every line of files that are larger than one read block, with one schema."""
    from datasets import load_dataset

    kind = "parquet" if name == "parquet" else "json"
    path = large / name / f"train.{'parquet' if kind == 'parquet' else 'jsonl'}"
    loaded = load_dataset(kind, data_files={"train": str(path)}, split="train")
    if kind == "json":
        assert path.stat().st_size > LARGE
        assert len(loaded) == path.read_bytes().count(b"\n")
    assert len(loaded) > 1000
    assert len(set(loaded["id"])) == len(loaded)
    columns = {"messages", "prompt", "chosen", "completion"} & set(loaded.column_names)
    assert columns
    for column in columns:
        assert all(loaded[row][column] for row in (0, len(loaded) // 2, len(loaded) - 1))


# Training.


@pytest.fixture(scope="module")
def small(task_input, tmp_path_factory) -> Path:
    return built(replace(task_input, files=task_input.files[:12]), tmp_path_factory.mktemp("small") / "data")


@pytest.fixture(scope="module")
def model(task_input, tmp_path_factory) -> Path:
    """A folder with a random model of two narrow layers, and a tokenizer that was trained on the corpus."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<user>", "<assistant>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator((file.source for file in task_input.files), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = (
        "{% for message in messages %}{% if message.role == 'assistant' %}<assistant>{% generation %}"
        "{{ message.content }}<eos>{% endgeneration %}{% else %}<user>{{ message.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(fast), max_position_embeddings=8192, pad_token_id=0, eos_token_id=1, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def loaded(folder: Path, name: str, *columns: str) -> Any:
    from datasets import load_dataset

    path = str(folder / name / "train.jsonl")
    return load_dataset("json", data_files={"train": path}, split="train").select_columns(list(columns))


def options(folder: Path, steps: int = 8) -> dict[str, Any]:
    """The arguments of all trainers: a few steps with a high learning rate on the CPU, without truncation."""
    common = {"max_steps": steps, "learning_rate": 1e-2, "per_device_train_batch_size": 2, "logging_steps": 1}
    quiet = {"report_to": [], "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "bf16": False}
    return {"output_dir": str(folder), "max_length": None, "gradient_checkpointing": False, "seed": 0} | common | quiet


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_the_sft_loss_covers_the_completion(small, model, tmp_path):
    """With prompts and completions the loss covers only the whole completion, and it decreases."""
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    data = loaded(small, "prompt_completion", "prompt", "completion")
    trainer = SFTTrainer(model=str(model), args=SFTConfig(**options(tmp_path)), train_dataset=data)
    tokenizer = AutoTokenizer.from_pretrained(model)
    batch = next(iter(trainer.get_train_dataloader()))
    texts = {(row["prompt"], row["completion"]) for row in data}
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learnt = tokenizer.decode(tokens[labels != -100], skip_special_tokens=True)
        whole = tokenizer.decode(tokens, skip_special_tokens=True)
        assert (whole.removesuffix(learnt), learnt) in texts
    seen = losses(trainer)
    assert seen[-1] < 0.9 * seen[0]


def test_the_sft_loss_covers_the_turns_of_the_assistant(small, model, tmp_path):
    """With messages and a template that marks the assistant, the loss covers only its turns."""
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    data = loaded(small, "messages", "messages")
    answers = {row["messages"][-1]["content"] for row in data}
    trainer = SFTTrainer(
        model=str(model), args=SFTConfig(**options(tmp_path), assistant_only_loss=True), train_dataset=data
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    batch = next(iter(trainer.get_train_dataloader()))
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        assert tokenizer.decode(tokens[labels != -100], skip_special_tokens=True) in answers
    seen = losses(trainer)
    assert seen[-1] < 0.9 * seen[0]


def test_the_dpo_loss_decreases(small, model, tmp_path):
    """The preference loss decreases from log 2, its initial value."""
    from trl import DPOConfig, DPOTrainer

    data = loaded(small, "dpo", "prompt", "chosen", "rejected")
    args = DPOConfig(**options(tmp_path) | {"learning_rate": 1e-3})
    seen = losses(DPOTrainer(model=str(model), args=args, train_dataset=data, processing_class=tokenizer_of(model)))
    assert seen[0] == pytest.approx(0.693, abs=0.01)
    assert seen[-1] < seen[0] - 0.05


def test_the_kto_loss_decreases(small, model, tmp_path):
    """The loss of labelled completions decreases from one half."""
    from trl import KTOConfig, KTOTrainer

    data = loaded(small, "kto", "prompt", "completion", "label")
    args = KTOConfig(**options(tmp_path) | {"learning_rate": 1e-3, "per_device_train_batch_size": 4})
    seen = losses(KTOTrainer(model=str(model), args=args, train_dataset=data, processing_class=tokenizer_of(model)))
    assert min(seen[-3:]) < seen[0]


def tokenizer_of(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_the_trl_example_of_the_docs_runs(small, model, tmp_path, monkeypatch):
    """The TRL example of docs/finetuning.md runs with another model, another folder and two steps."""
    document = (REPOSITORY / "docs" / "finetuning.md").read_text()
    code = re.search(r"## TRL.*?```python\n(.*?)```", document, re.DOTALL)[1]
    replaced = {
        '"Qwen/Qwen2.5-Coder-0.5B"': repr(str(model)),
        "data/prompt_completion": f"{small}/prompt_completion",
        "num_train_epochs=2,": "max_steps=2, use_cpu=True, bf16=False, report_to=[], save_strategy='no',",
        "gradient_accumulation_steps=16,": "gradient_accumulation_steps=1,",
    }
    for old, new in replaced.items():
        assert old in code
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(compile(code, "docs/finetuning.md", "exec"), scope)
    assert scope["trainer"].state.global_step == 2
