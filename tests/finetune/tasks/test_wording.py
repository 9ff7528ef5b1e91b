"""The wording of files agrees with their code; the examples of a file do not depend on other files."""

import ast
import re
from dataclasses import replace

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import SYSTEM, Scope
from lrgen.finetune.tasks import edit, explain, infill, write


def test_the_wording_of_a_file_agrees_with_its_code(full_input):
    """Unit, scheduler, optimizer, weight decay, clipping, label smoothing, dropout and names are as described."""
    for file in full_input.files:
        training, stepping = wording.training(file), wording.stepping(file.variant)
        learn = file.source[file.source.index("def learn") :]
        indent = re.search(r"^( +)self\.scheduler\.step\(", learn, re.MULTILINE)[1]
        assert (len(indent) == 12) == ("after each `optimizer.step()`" in stepping)
        assert ("make_scheduler(self.optimizer" in learn) == ("The first call of `learn` creates" in stepping)
        setup = file.source[file.source.index("def train_setup") :]
        assert re.search(r"self\.optimizer = (\w+)", setup)[1] == re.search(r"`(\w+)`", training)[1]
        assert ("nesterov=" in file.source) == ("Nesterov" in training)
        assert ("clip_grad_norm_" in learn) == ("clipped" in training)
        assert ("label_smoothing" in file.source) == ("smoothing" in training)
        assert ('weight_decay": 0.0' in file.source) == ("no weight decay" in training)
        suffixes = re.search(r"name\.endswith\((.*)\)", file.source)
        exempt = re.findall(r'"(\w+)"', suffixes[1]) if suffixes else []
        assert all(f"`{name}`" in training for name in exempt)
        assert ("Norms and biases have" in training) <= ("norms and biases have no" in file.source.lower())
        assert ('"depth"' in file.source) == ("`depth`" in training)
        dropout = re.search(r'prm\.get\("dropout", ([\d.]+)\)', file.source)
        assert (f"The default `dropout` is {dropout[1]}." in training) if dropout else ("dropout" not in training)
        recorded = re.search(r"scheduler\.schedule = \(\s*(.*?),\s*total_steps", file.source, re.DOTALL)[1]
        assert f"scheduler.schedule = ({recorded}, total_steps)`" in " ".join(wording.contract(file))
        subclassed = wording.implementation(file.source).startswith("a subclass of")
        assert subclassed != ("= Resumable" in file.source)
        namespace: dict = {}
        declared = re.search(r"returns the literal set (\{.*?\})", " ".join(wording.contract(file)))[1]
        function = next(node for node in ast.parse(file.source).body if isinstance(node, ast.FunctionDef))
        exec(ast.unparse(function), namespace)
        assert ast.literal_eval(declared) == namespace["supported_hyperparameters"]()


def test_the_interface_begins_with_the_usual_message_and_states_each_requirement(full_input):
    """The system's message of a file has every sentence of its contract, and where the scheduler is stepped."""
    for file in full_input.files:
        interface = wording.interface(file)
        assert interface.startswith(f"{SYSTEM}\n")
        assert all(f"\n- {line}" in interface for line in [*wording.contract(file), wording.stepping(file.variant)])


@pytest.mark.parametrize("task", [write, infill, edit, explain], ids=lambda task: task.NAME)
def test_examples_of_a_model_do_not_depend_on_other_models(task, full_input):
    """The examples of a model are the same when it is built without others."""
    single = replace(full_input, files=[file for file in full_input.files if file.architecture.name == "SqueezeNet"])
    expected = [example for example in task.examples(full_input) if example.key.startswith("SqueezeNet")]
    assert [example for example in task.examples(single) if example.scope is Scope.FILE] == expected
