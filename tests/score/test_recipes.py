"""docs/scoring.md says what the code does, and its recipes run: completions in a file, and TRL's GRPOTrainer."""

import functools
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lrgen import rewards
from lrgen.finetune.example import Grade
from lrgen.finetune.rows import NAMES, Split
from lrgen.score import ladder, partial
from lrgen.score.pool import PoolSettings
from lrgen.score.verdict import CHECKS, Verdict
from tests.paths import REPOSITORY
from tests.score.rows import CASE_SEED

DOCUMENT = (REPOSITORY / "docs" / "scoring.md").read_text()
NOT_HANDED_ON = {"prompt", "completion"}  # columns that TRL keeps


def block(heading: str, language: str) -> str:
    """The first block of a section of the document."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return section.split(f"```{language}\n")[1].split("```")[0]


def execute(code: str, **names: Any) -> dict[str, Any]:
    scope = {"__name__": "recipe", **names}
    exec(compile(code, "docs/scoring.md", "exec"), scope)
    return scope


# The document.


def test_the_ladder_of_the_document_is_that_of_the_code():
    """Each check has a row, whose reward is that of the code at any fraction; the version and the cases agree."""
    rows = re.findall(r"^\| .+? \|(?: `(\w+)`)? \| ([\d.]+)(?: \+ ([\d.]+) × fraction)? \|$", DOCUMENT, re.MULTILINE)
    (nothing, *failed, passed) = rows
    assert ["", *(check for check, _, _ in failed)] == list(CHECKS)
    for check, first, share in (nothing, *failed):
        for fraction in (0.0, 0.5, 1.0):
            expected = float(first) + float(share or 0) * fraction
            assert ladder.reward_of(Grade(False, "", check, fraction)) == pytest.approx(expected)
    assert ladder.reward_of(Grade.correct()) == float(passed[1])
    assert f"the version of these numbers, which is {ladder.VERSION}." in DOCUMENT
    steps = f"up to {partial.CASES} telling cases of at most {partial._STEPS} steps"
    assert steps in " ".join(DOCUMENT.split())


def test_the_document_has_every_column_of_the_results():
    """The columns of the document are those of a line of results.jsonl."""
    table = DOCUMENT.split("| column | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    named = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])]
    expected = {"task_id" if field.name == "row_id" else field.name for field in fields(Verdict)}
    assert len(named) == len(expected)
    assert set(named) == expected


# The recipes.


def test_the_recipe_for_completions_runs(dataset, lrgen):
    """The file that the recipe writes is scored by its commands: here every second answer is right."""
    rows = dataset[Split.TEST]
    answers = {row["prompt"]: row["completion"] if number % 2 else "No." for number, row in enumerate(rows)}
    execute(block("Score a file of completions", "python"), generate=lambda system, prompt: answers[prompt])
    commands = re.findall(r"^lrgen (.*?)\s*(?:#.*)?$", block("Score a file of completions", "bash"), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        code, _, err = lrgen(*command.split())
        assert code == 0, err
    summary = json.loads(Path("scores/base/summary.json").read_text())
    assert (summary["samples"], summary["all"]["passed"]) == (len(rows), len(rows) // 2)


@pytest.fixture
def model(tmp_path) -> Path:
    """A folder with a random model of one narrow layer, and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path / "model"
    special = ["<pad>", "<eos>", "<user>", "<assistant>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate([*special, *alphabet])}, []))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = (
        "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(fast), max_position_embeddings=16384, pad_token_id=0, eos_token_id=1, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """The calls of ``lrgen.rewards.trl``: its arguments by name, and what it returned. The pool ends with the test."""
    seen = []
    real = rewards.trl

    @functools.wraps(real)
    def recorded(**arguments: Any) -> list[float]:
        values = real(**arguments)
        seen.append((arguments, values))
        return values

    monkeypatch.setattr(rewards, "trl", recorded)
    rewards.configure(PoolSettings(case_seed=CASE_SEED))
    yield seen
    rewards.configure()


def test_the_recipe_for_grpo_runs(dataset, model, calls):
    """TRL's GRPOTrainer hands the columns to the reward, gets a number for each completion, and trains two steps.

    The same function gives a right answer more than a wrong one.
    """
    code = block("GRPO with TRL", "python")
    replaced = {
        '"Qwen/Qwen2.5-Coder-0.5B-Instruct"': repr(str(model)),
        "per_device_train_batch_size=8,": "per_device_train_batch_size=2, max_steps=2, use_cpu=True, bf16=False,",
        "num_generations=8,": "num_generations=2, report_to=[], save_strategy='no', disable_tqdm=True,",
        "max_completion_length=4096,": "max_completion_length=8,",
    }
    for old, new in replaced.items():
        assert old in code
        code = code.replace(old, new)
    trainer = execute(code)["trainer"]
    assert trainer.state.global_step == 2
    references = {row["reference"] for row in dataset[Split.TRAIN]}
    assert len(calls) == 2
    for arguments, values in calls:
        assert set(NAMES) - NOT_HANDED_ON <= arguments.keys()
        assert len(values) == len(arguments["completions"]) == 2
        assert all(isinstance(value, float) for value in values)
        assert set(arguments["reference"]) <= references

    arguments, _ = calls[0]
    answers = [[{"role": "assistant", "content": text}] for text in (arguments["reference"][0], "I do not know.")]
    right, wrong = rewards.trl(**arguments | {"completions": answers})
    assert right == 1.0
    assert wrong < 0.5
