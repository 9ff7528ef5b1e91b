"""LLaMA-Factory trains two steps on each of its formats, with the configuration of docs/finetuning.md."""

import re

import pytest
import yaml

from integrations.clients import lines, recipe, run

STEPS = {"max_steps": 2, "per_device_train_batch_size": 1, "use_cpu": True, "report_to": "none", "save_strategy": "no"}


@pytest.mark.parametrize(("stage", "name"), [("sft", "messages"), ("dpo", "dpo_messages"), ("kto", "kto_messages")])
def test_a_stage_trains_on_its_format(dataset, model, tmp_path, stage, name):
    """No line is dropped, and the example that it prints begins with the system's message of the row."""
    options = yaml.safe_load(recipe("LLaMA-Factory", 0))
    options |= {"stage": stage, "dataset_dir": str(dataset / name), "dataset": f"lrgen_{name}_train"}
    options |= {"model_name_or_path": str(model), "finetuning_type": "full", "output_dir": str(tmp_path / "out")}
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(options | STEPS | {"do_train": True}))
    output = run("llamafactory-cli", "train", path)
    expected = lines(dataset, name, "train")
    assert int(re.search(r"Num examples = ([\d,]+)", output)[1].replace(",", "")) == len(expected)
    assert "ropped invalid example" not in output
    assert "abnormal example" not in output
    system = r"^(?:chosen_)?inputs:\n<\|im_start\|>system\n(.*?)<\|im_end\|>"
    shown = re.search(system, output, re.DOTALL | re.MULTILINE)
    assert shown is not None, output
    assert shown[1] in {line["messages"][0]["content"] for line in expected}
