"""Datasets load with ``datasets``, and TRL trains a tiny random model on them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from lrgen.finetune import formats
from lrgen.finetune.build import build
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.formats.messages import Messages
from lrgen.finetune.plan import Plan
from lrgen.finetune.tasks import infill
from tests import corpus, language_model
from tests.paths import REPOSITORY

# Formats whose lines are the texts of a row. test_configurations.py loads all; two have the texts of dpo and kto.
NAMES = tuple(
    name for name in formats.NAMES if name not in ("openrlhf", "lm_eval", "verl", "dpo_messages", "kto_messages")
)
LARGE = 33 << 20  # bytes: more than one read block of pyarrow, which guesses the types by the first


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without network access or a cache in the home folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    # The variable counts only until datasets is imported.
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def task_input(catalogue: Catalogue) -> TaskInput:
    """The files of sixty schedules."""
    return corpus.task_input(catalogue, [variant.number for variant in catalogue.schedules[:60]])


class Pairs:
    """A task with rows for each kind of trainer, a number of times."""

    NAME = "pairs"
    SUMMARY = "Correct and wrong schedules."

    def __init__(self, task_input: TaskInput, copies: int, padding: str = "") -> None:
        self.copies, self.padding = copies, padding
        self.GROUPS = [file.name for file in task_input.files]  # which share completions

    def examples(self, task_input: TaskInput) -> Iterator[Example]:
        for copy in range(self.copies):
            for example in infill.examples(task_input):
                group = example.files[0].name
                values = {"task": self.NAME, "scope": Scope.NONE, "files": example.files, "group": group}
                prompt, key = f"{example.prompt}\n\nThis is number {copy}.{self.padding}", f"{example.key}/{copy}"
                good, bad = example.completion, example.completion.replace("total_steps", "1")
                yield Example(key=f"{key}/a", prompt=prompt, completion=good, **values)
                yield Example(key=f"{key}/b", prompt=prompt, completion=good, rejected=bad, **values)
                for label, answer in ((True, good), (False, bad)):
                    yield Example(key=f"{key}/{label}", prompt=prompt, completion=answer, label=label, **values)


def built(task_input: TaskInput, out: Path, copies: int = 1, padding: str = "") -> Path:
    """Build a dataset of ``Pairs`` and return its folder."""
    from tokenizers import Tokenizer, models

    counter = out.with_name("tokenizer.json")  # each text is one token: quick
    Tokenizer(models.WordLevel({"?": 0}, unk_token="?")).save(str(counter))
    plan = Plan((Pairs(task_input, copies, padding),), NAMES, level=Level.SCHEDULE, tokenizer=counter)
    return build(task_input, plan, out).out


# Loading.


@pytest.fixture(scope="module")
def large(task_input, tmp_path_factory) -> Path:
    """A dataset whose training files are all larger than a read block."""
    return built(task_input, tmp_path_factory.mktemp("large") / "data", copies=13, padding=" " + "x" * 24_000)


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


@pytest.fixture(
    scope="module", params=[("qwen2_5", language_model.QWEN), ("llama3", language_model.LLAMA)], ids=("qwen", "llama")
)
def any_model(request, task_input, tmp_path_factory) -> Path:
    """A folder with a tiny model, and a tokenizer with the chat template of a real one."""
    name, special = request.param
    texts = (file.source for file in task_input.files)
    return language_model.save(tmp_path_factory.mktemp(name), texts, language_model.template_of(name), special)


@pytest.fixture(scope="module")
def model(task_input, tmp_path_factory) -> Path:
    """A folder with a tiny model that has the chat template of Qwen 2.5."""
    texts = (file.source for file in task_input.files)
    return language_model.save(tmp_path_factory.mktemp("model"), texts, language_model.template_of("qwen2_5"))


def loaded(folder: Path, name: str, *columns: str) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), name, split="train").select_columns(list(columns))


def options(folder: Path, steps: int = 8) -> dict[str, Any]:
    """The arguments of all trainers: a few steps with a high learning rate on the CPU, without truncation."""
    common = {"max_steps": steps, "learning_rate": 1e-2, "per_device_train_batch_size": 2, "logging_steps": 1}
    quiet = {"report_to": [], "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "bf16": False}
    return {"output_dir": str(folder), "max_length": None, "gradient_checkpointing": False, "seed": 0} | common | quiet


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_no_token_is_lost_between_prompt_and_completion(small, any_model, tmp_path, caplog):
    """The tokens are those of the whole conversation, and the loss covers the completion and the end of its turn.

    TRL tokenizes the prompt and the whole text: a token over the border of both would be lost to the loss.
    """
    from trl import SFTConfig, SFTTrainer

    data, tokenizer = loaded(small, "prompt_completion", "prompt", "completion"), tokenizer_of(any_model)
    trainer = SFTTrainer(model=str(any_model), args=SFTConfig(**options(tmp_path)), train_dataset=data)
    for row, tokens in zip(data, trainer.train_dataset, strict=True):
        prompt, completion = tokens_of(tokenizer, row["prompt"], row["completion"])
        assert tokens["input_ids"] == prompt + completion == templated(tokenizer, row["prompt"] + row["completion"])
        assert [label for label in tokens["labels"] if label != -100] == completion
        text, end = row["completion"][0]["content"], tokenizer.eos_token
        assert tokenizer.decode(completion).replace("\n", "") == (text + end).replace("\n", "")
    assert "ismatch" not in caplog.text


def test_one_style_for_sft_dpo_and_kto(small, any_model, tmp_path):
    """For DPO and KTO the prompt and the completion have the tokens that they have for SFT: those of the template."""
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    tokenizer = tokenizer_of(any_model)
    common = {"model": str(any_model), "processing_class": tokenizer}
    pairs = loaded(small, "dpo", "prompt", "chosen", "rejected")
    dpo = DPOTrainer(args=DPOConfig(**options(tmp_path)), train_dataset=pairs, **common)
    for row, tokens in zip(pairs, dpo.train_dataset, strict=True):
        for name in ("chosen", "rejected"):
            assert (tokens["prompt_ids"], tokens[f"{name}_ids"]) == tokens_of(tokenizer, row["prompt"], row[name])
    labelled = loaded(small, "kto", "prompt", "completion", "label")
    kto = KTOTrainer(args=KTOConfig(**options(tmp_path)), train_dataset=labelled, **common)
    for row, tokens in zip(labelled, kto.train_dataset, strict=True):
        answer = tokens_of(tokenizer, row["prompt"], row["completion"])
        assert (tokens["prompt_ids"], tokens["completion_ids"]) == answer


def tokens_of(tokenizer: Any, prompt: Messages, completion: Messages) -> tuple[list[int], list[int]]:
    """Return the tokens of a prompt and those that follow in the whole conversation."""
    start, whole = templated(tokenizer, prompt, add_generation_prompt=True), templated(tokenizer, prompt + completion)
    assert whole[: len(start)] == start
    return start, whole[len(start) :]


def templated(tokenizer: Any, messages: Messages, **arguments: Any) -> list[int]:
    """Return the tokens of messages by the chat template."""
    tokens: list[int] = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **arguments)[
        "input_ids"
    ]
    return tokens


def test_the_sft_loss_decreases(small, model, tmp_path):
    """With prompts and completions the loss decreases."""
    from trl import SFTConfig, SFTTrainer

    data = loaded(small, "prompt_completion", "prompt", "completion")
    seen = losses(SFTTrainer(model=str(model), args=SFTConfig(**options(tmp_path)), train_dataset=data))
    assert seen[-1] < 0.9 * seen[0]


def test_the_sft_loss_covers_the_turns_of_the_assistant(small, model, tmp_path):
    """With messages and a template that marks the assistant, the loss covers only its turns."""
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    data = loaded(small, "messages", "messages")
    answers = {row["messages"][-1]["content"].strip() for row in data}
    trainer = SFTTrainer(
        model=str(model), args=SFTConfig(**options(tmp_path), assistant_only_loss=True), train_dataset=data
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    batch = next(iter(trainer.get_train_dataloader()))
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        assert tokenizer.decode(tokens[labels != -100], skip_special_tokens=True).strip() in answers
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
        '"Qwen/Qwen2.5-Coder-0.5B-Instruct"': repr(str(model)),
        'load_dataset("data", ': f'load_dataset("{small}", ',
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
