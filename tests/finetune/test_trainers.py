"""The datasets where they are used: loaded with ``datasets``, trained on with TRL, a tiny model that is made here."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from lrgen.finetune import formats
from lrgen.finetune.build import Plan, build
from lrgen.finetune.corpus import Level, VerifiedFile
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.tasks import infill
from tests.paths import REPOSITORY

LARGE = 33 << 20  # bytes: more than one read block of pyarrow, which guesses the types by the first


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is looked up, and nothing is kept in a home."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def corpus(catalogue: Catalogue) -> tuple[VerifiedFile, ...]:
    """The committed files, as if they had been verified."""
    network = catalogue.architecture("ResNet")
    found = []
    for number, variant in enumerate(catalogue.variants[:60]):
        path = REPOSITORY / "generated" / "ResNet" / f"{variant.key}.py"
        source = path.read_text()
        sha256 = hashlib.sha256(source.encode()).hexdigest()
        found.append(VerifiedFile(network, variant, source, sha256, path, number, Level.SCHEDULE, None, None))
    return tuple(found)


class Pairs:
    """A task that yields what each kind of trainer takes, as often as it is asked to."""

    NAME = "pairs"
    SUMMARY = "good and bad schedules"

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def examples(self, task_input: TaskInput) -> Iterator[Example]:
        for copy in range(self.copies):
            for one in infill.examples(task_input):
                values = {"task": self.NAME, "scope": Scope.NONE, "files": one.files}
                prompt, key = f"{one.prompt}\n\nThis is number {copy}.", f"{one.key}/{copy}"
                good, bad = one.completion, one.completion.replace("total_steps", "1")
                yield Example(key=f"{key}/a", prompt=prompt, completion=good, **values)
                yield Example(key=f"{key}/b", prompt=prompt, completion=good, rejected=bad, **values)
                for label, answer in ((True, good), (False, bad)):
                    yield Example(key=f"{key}/{label}", prompt=prompt, completion=answer, label=label, **values)


def built(catalogue: Catalogue, folder: Path, files: tuple[VerifiedFile, ...], copies: int = 1) -> Path:
    plan = Plan(tasks=(Pairs(copies),), formats=formats.NAMES, level=Level.SCHEDULE)
    return build(TaskInput(catalogue, files, 0), plan, folder).out


# Loading.


@pytest.fixture(scope="module")
def large(catalogue, corpus, tmp_path_factory) -> Path:
    """A dataset whose training files are all larger than a read block."""
    return built(catalogue, tmp_path_factory.mktemp("large") / "data", corpus, copies=130)


@pytest.mark.parametrize("name", formats.NAMES)
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
def small(catalogue, corpus, tmp_path_factory) -> Path:
    return built(catalogue, tmp_path_factory.mktemp("small") / "data", corpus[:12])


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory) -> Path:
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
    tokenizer.train_from_iterator((file.source for file in corpus), trainer)
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
    """What every trainer is told: a few steps at a high rate, on the processor, no cut."""
    common = {"max_steps": steps, "learning_rate": 1e-2, "per_device_train_batch_size": 2, "logging_steps": 1}
    quiet = {"report_to": [], "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "bf16": False}
    return {"output_dir": str(folder), "max_length": None, "gradient_checkpointing": False, "seed": 0} | common | quiet


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_sft_learns_the_answers_alone(small, model, tmp_path):
    """With prompts and completions no token of a prompt is learnt, none of the text is cut, and the loss falls."""
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


def test_sft_learns_the_assistants_part_of_conversations(small, model, tmp_path):
    """With messages and a template that marks the assistant, only what it says is learnt."""
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


def test_dpo_prefers_the_better_answers(small, model, tmp_path):
    """The loss of the preference falls from log 2, at which the model does not know."""
    from trl import DPOConfig, DPOTrainer

    data = loaded(small, "dpo", "prompt", "chosen", "rejected")
    args = DPOConfig(**options(tmp_path) | {"learning_rate": 1e-3})
    seen = losses(DPOTrainer(model=str(model), args=args, train_dataset=data, processing_class=tokenizer_of(model)))
    assert seen[0] == pytest.approx(0.693, abs=0.01)
    assert seen[-1] < seen[0] - 0.05


def test_kto_takes_the_labels(small, model, tmp_path):
    """Good and bad answers are told apart: the loss falls from one half."""
    from trl import KTOConfig, KTOTrainer

    data = loaded(small, "kto", "prompt", "completion", "label")
    args = KTOConfig(**options(tmp_path) | {"learning_rate": 1e-3, "per_device_train_batch_size": 4})
    seen = losses(KTOTrainer(model=str(model), args=args, train_dataset=data, processing_class=tokenizer_of(model)))
    assert min(seen[-3:]) < seen[0]


def tokenizer_of(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_the_snippet_of_the_documents_runs(small, model, tmp_path, monkeypatch):
    """The block for TRL in docs/finetuning.md: another model, another folder, two steps instead of two epochs."""
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
