"""The code of verl, OpenRLHF and ms-swift that calls a reward calls lrgen's.

Their packages are installed without vLLM, DeepSpeed and what else only training needs: the code around the reward runs,
no model is trained.
"""

import asyncio
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lrgen import catalogue, rewards
from lrgen.finetune.example import Row
from lrgen.finetune.formats import openrlhf, verl
from lrgen.finetune.rows import Split
from tests.paths import REPOSITORY
from tests.score.rows import dataset_in

FILE = rewards.__file__
DOCUMENT = (REPOSITORY / "docs" / "scoring.md").read_text()
WRONG = "I do not know."


@pytest.fixture(scope="module")
def row(tmp_path_factory) -> Row:
    """A row whose answers are graded without executing a file."""
    return dataset_in(tmp_path_factory.mktemp("dataset") / "data", catalogue.load())[Split.TEST][0]


@pytest.fixture(scope="module", autouse=True)
def pool() -> Iterator[None]:
    """The pool ends with this module."""
    yield
    rewards.configure()


class Tokenizer:
    """The code points of a text are its tokens; 0 is the end of a text, which ``<|im_end|>`` shows."""

    def __call__(self, text: str, **_: object) -> dict[str, object]:
        """Encode a text."""
        import torch

        return {"input_ids": torch.tensor([[ord(character) for character in text]])}

    def decode(self, tokens, skip_special_tokens: bool = True) -> str:
        """Decode tokens."""
        end = "" if skip_special_tokens else "<|im_end|>"
        return "".join(chr(int(token)) if token else end for token in tokens)


@pytest.mark.parametrize("is_right", [True, False])
def test_verl_gets_the_score(row, is_right):
    """verl loads ``compute_score`` by its path, and its reward manager calls it with a row of the format verl."""
    import numpy as np
    import torch
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.reward import get_custom_reward_fn

    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": FILE, "name": "compute_score"}}})
    record = verl.record(row, 0)
    answer = torch.tensor([[*map(ord, row["completion"] if is_right else WRONG), 0]])
    columns = {name: np.array([record[name]], dtype=object) for name in ("data_source", "reward_model", "extra_info")}
    data = DataProto.from_dict({"responses": answer, "attention_mask": torch.ones_like(answer)}, columns)

    async def run() -> dict:
        manager = NaiveRewardManager(config, Tokenizer(), get_custom_reward_fn(config))
        return await manager.run_single(data)

    result = asyncio.run(run())
    assert result["reward_extra_info"]["passed"] == is_right
    assert result["reward_score"] == 1.0 if is_right else result["reward_score"] < 0.5


@pytest.mark.parametrize("is_right", [True, False])
def test_openrlhf_gets_the_reward(row, is_right):
    """OpenRLHF makes a text of the messages, loads ``reward_func``, and hands it the query with the end of the text."""
    from openrlhf.datasets.prompts_dataset import preprocess_data
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    class Engine:
        async def generate(self, *_: object, **__: object) -> SimpleNamespace:
            tokens = [*map(ord, row["completion"] if is_right else WRONG), 0]
            return SimpleNamespace(outputs=[SimpleNamespace(token_ids=tokens, finish_reason="stop", logprobs=None)])

    def template(messages: list[dict[str, str]], **_: object) -> str:
        return "".join(f"<{message['role']}>{message['content']}" for message in messages)

    keys = {"input_key": "prompt", "label_key": "label", "apply_chat_template": template}
    prompt, label = preprocess_data(openrlhf.line(row), **keys)
    assert prompt == f"<system>{row['system']}<user>{row['prompt']}"
    sampling = SimpleNamespace(max_tokens=10_000, logprobs=None)
    run = SingleTurnAgentExecutor(FILE).execute(prompt, label, sampling, 1_000_000, Tokenizer(), Engine())
    output = asyncio.run(run)
    assert output["extra_logs"]["passed"].item() == is_right
    assert output["scores"].item() == output["reward"].item()
    assert output["reward"].item() == 1.0 if is_right else output["reward"].item() < 0.5


def test_ms_swift_gets_the_rewards(row, tmp_path):
    """The plugin of docs/scoring.md registers the rewards, which ms-swift makes and calls with messages and columns."""
    from swift.rewards import orms

    [plugin] = re.findall(r"```python\n(from swift.*?)```", DOCUMENT, re.DOTALL)
    path = Path(tmp_path) / "plugin.py"
    path.write_text(plugin)
    runpy.run_path(str(path))
    rewarding = orms["lrgen"](args=None)
    columns = {name: [value, value] for name, value in row.items() if name not in ("prompt", "completion")}
    messages = [{"role": "user", "content": row["prompt"]}]
    right, wrong = rewarding([row["completion"], WRONG], messages=[messages, messages], **columns)
    assert right == 1.0
    assert wrong < 0.5
