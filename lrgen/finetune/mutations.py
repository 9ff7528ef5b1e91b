"""Mutations: common mistakes in training modules, applied to a rendered file.

``MUTATIONS`` names them; each yields a mutant for every place of a file where it applies. Whether the checks detect a
mutant is determined by running it (lrgen.finetune.mutants).
"""

import ast
import re
from collections.abc import Callable, Iterator

from lrgen.finetune import schedule_mutations as rules
from lrgen.finetune.practice_mutations import OF_PRACTICES
from lrgen.finetune.replacing import Mutation, replaced
from lrgen.source.edit import Code


def mutate(text: str) -> dict[str, list[str]]:
    """Return the distinct mutants of a file by the name of the mutation, one for each place where it applies."""
    code = Code(text)
    mutants: dict[str, list[str]] = {}
    seen = {text}
    for name, mutation in MUTATIONS:
        for mutant in mutation(code):
            if mutant not in seen:
                seen.add(mutant)
                mutants.setdefault(name, []).append(mutant)
    return mutants


def _each_node(rule: Callable[[Code, ast.AST], str | None]) -> Mutation:
    """Apply a rule to each node of the schedule; it returns None for nodes that it does not match."""

    def mutation(code: Code) -> Iterator[str]:
        for node in code.nodes:
            new = rule(code, node)
            if new is not None:
                yield code.replace(node, new)

    return mutation


# The code around the schedule.


def _missing_import(code: Code) -> Iterator[str]:
    for statement in code.imports:
        if code.of(statement).startswith(
            ("import copy", "import math", "from typing ", "from torch.optim.", "import torch.nn.functional")
        ):
            yield code.without(statement)


def _numpy(code: Code) -> Iterator[str]:
    if code.text.count("import math\n") == 1:
        yield re.sub(
            r"\bmath\.(?=cos|sqrt|pi|exp|log)", "np.", code.text.replace("import math\n", "import numpy as np\n")
        )


def _without_super(code: Code) -> Iterator[str]:
    head, net, body = code.text.partition("\nclass Net(")
    yield head + net + body.replace("        super().__init__()\n", "", 1)


def _replace_all(old: str, new: str) -> Mutation:
    """Replace each occurrence of a text."""

    def mutation(code: Code) -> Iterator[str]:
        yield code.text.replace(old, new)

    return mutation


def _missing_colon(code: Code) -> Iterator[str]:
    for match in re.finditer(r"^ *(?:if\b|for\b|else\b|def train_setup\b|\) -> tuple).*:$", code.text, re.MULTILINE):
        yield code.text[: match.end() - 1] + code.text[match.end() :]


def _missing_parenthesis(code: Code) -> Iterator[str]:
    for match in re.finditer(r"^ {8,}(?:return|\w+ =|self\.\w+ =) .*\)\)$", code.text, re.MULTILINE):
        yield code.text[: match.end() - 1] + code.text[match.end() :]


def _arguments_swapped(code: Code) -> Iterator[str]:
    shape = r"(: tuple(?:\[int, \.\.\.\])?,\s+)"
    yield re.sub(rf"\bin_shape{shape}out_shape{shape}", r"out_shape\1in_shape\2", code.text, count=1)


def _without_layers(code: Code) -> Iterator[str]:
    if '"depth": depth' in code.text:
        yield code.text.replace("self.param_groups(),", "self.parameters(),")


def _constant_weight_decay(code: Code) -> Iterator[str]:
    yield re.sub(r'weight_decay=prm\.get\("weight_decay", (.*)\)', r"weight_decay=\1", code.text, count=1)


def _list_of_names(code: Code) -> Iterator[str]:
    yield re.sub(r"set\[str\]:\n    return \{([^}]*)\}", r"list[str]:\n    return [\1]", code.text, count=1)


_UPDATE = "\n            self.optimizer.step()\n"
_BATCH = "\n            self.scheduler.step()\n"
_EPOCH = "\n        self.scheduler.step()\n"
_DEFAULT = "# Callers set ``epoch_max`` or ``epoch``; 90 is torchvision's default.\n"
_COUNT = f'\n        {_DEFAULT}        epochs = int(prm.get("epoch_max", prm.get("epoch", 90)))\n'
_MAKE = "        self.scheduler = make_scheduler(self.optimizer, epochs, prm)\n"
_LATE_COUNT = f'            {_DEFAULT}            epochs = int(self.prm.get("epoch_max", self.prm.get("epoch", 90)))\n'
_LATE_STEPS = "            total_steps = epochs * len(train_data)\n"
_LATE_MAKE = "            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)\n"
_LATE = _LATE_COUNT + _LATE_STEPS + _LATE_MAKE
_GUARD = """\
        if self.scheduler is None:
            if {resumed}:
                raise RuntimeError("the optimizer was resumed without the scheduler")
"""
_GUARDS = tuple(
    _GUARD.format(resumed=resumed)
    for resumed in ('"initial_lr" in self.optimizer.param_groups[0]', "self.optimizer.state")
)
_NOT_YET = """\
        # The horizon of the schedule is unknown until ``learn`` counts the batches.
        self.prm = prm
        self.scheduler: {type} | None = None
"""
_NOT_YETS = tuple(_NOT_YET.format(type=name) for name in ("LRScheduler", "ReduceLROnPlateau"))
_OPTIMIZER = "        self.optimizer = "
_TRAIN = "        self.train()\n        correct = "
_SEEN = "            num_samples += len(labels)"
_RETURN = "\n        return (correct / num_samples).item(), (loss_sum / num_samples).item()\n"

# A name occurs twice where the mutation differs between schedules that advance per epoch and per batch.
OF_SCHEDULE: tuple[tuple[str, Mutation], ...] = (
    # When the scheduler is stepped.
    ("stepped once per batch", replaced((_EPOCH, "\n"), (_UPDATE, _UPDATE + _BATCH[1:]))),
    ("stepped once per epoch", replaced((_BATCH, "\n"), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("stepped before the optimizer", replaced((_UPDATE + _BATCH[1:], _BATCH + _UPDATE[1:]))),
    ("stepped before the epoch", replaced((_EPOCH, "\n"), (_TRAIN, _EPOCH[1:] + _TRAIN))),
    ("stepped twice", replaced((_BATCH, _BATCH), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("never stepped", replaced((_EPOCH, "\n"))),
    ("never stepped", replaced((_BATCH, "\n"))),
    ("stepped without its metric", replaced(("self.scheduler.step(mean_loss)", "self.scheduler.step()"))),
    ("stepped without its metric", replaced(("self.scheduler.step(loss.item())", "self.scheduler.step()"))),
    ("stepped without its metric", replaced(("self.scheduler.step(accuracy)", "self.scheduler.step()"))),
    (
        "metric is the accuracy",
        replaced(("self.scheduler.step(mean_loss)", "self.scheduler.step((correct / num_samples).item())")),
    ),
    (
        "metric is the loss",
        replaced(("self.scheduler.step(accuracy)", "self.scheduler.step((loss_sum / num_samples).item())")),
    ),
    (
        "metric is the last batch's loss",
        replaced(("self.scheduler.step(mean_loss)", "self.scheduler.step(loss.item())")),
    ),
    # When the scheduler is created, and for which horizon.
    *(
        (
            "created every epoch",
            replaced((guard + _LATE, re.sub(r"^ {4}", "", _LATE, flags=re.MULTILINE))),
        )
        for guard in _GUARDS
    ),
    *(
        (
            "created before the number of batches is known",
            replaced((not_yet, _COUNT[1:] + _MAKE), (guard + _LATE, "")),
        )
        for not_yet, guard in zip(_NOT_YETS, _GUARDS, strict=True)
    ),
    (
        "created before the optimizer",
        replaced((_COUNT + _MAKE, "\n"), (_OPTIMIZER, _COUNT[1:] + _MAKE + _OPTIMIZER)),
    ),
    ("scheduler not assigned", replaced((_MAKE, _MAKE.replace("self.scheduler = ", "")))),
    ("horizon of one epoch", replaced((_LATE_COUNT + _LATE_STEPS, _LATE_STEPS.replace("epochs * ", "")))),
    (
        "horizon in epochs",
        replaced((_LATE_STEPS, ""), (_LATE_MAKE, _LATE_MAKE.replace("total_steps", "epochs"))),
    ),
    ("hard-coded number of epochs", replaced((_COUNT, "\n        epochs = 90\n"))),
    ("hard-coded number of epochs", replaced((_LATE_COUNT, "            epochs = 90\n"))),
    ("horizon one epoch too long", replaced((_MAKE, _MAKE.replace("epochs", "epochs + 1")))),
    ("horizon one step too short", _each_node(rules.shorter_horizon)),
    ("hard-coded horizon", _each_node(rules.fixed_horizon)),
    ("fraction used as a number of steps", _each_node(rules.fraction_for_steps)),
    ("number of steps used as a fraction", _each_node(rules.steps_for_fraction)),
    # What the schedule computes.
    ("missing guard against zero steps", _each_node(rules.without_guard)),
    ("not held after the horizon", _each_node(rules.without_clamp)),
    ("not held after the horizon", rules.torch_get_lr),
    ("minimum added to the full range", _each_node(rules.floor_added)),
    ("ratio used as a learning rate", _each_node(rules.ratio_as_lr)),
    ("default learning rate for every group", _each_node(rules.default_lr)),
    ("one minimum for all groups", _each_node(rules.one_minimum)),
    ("warm-up one step early", _each_node(rules.warmup_early)),
    ("warm-up over all of training", _each_node(rules.warmup_over_training)),
    ("decay measured from the start", _each_node(rules.decay_from_start)),
    ("off-by-one boundary", _each_node(rules.off_by_one_boundary)),
    ("floor division", _each_node(rules.floor_division)),
    ("caret instead of power", _each_node(rules.caret)),
    ("full cosine period", _each_node(rules.full_cosine_period)),
    ("cosine without pi", _each_node(rules.without_pi)),
    ("wrong mode", _each_node(rules.other_mode)),
    ("multiplies the previous learning rate", rules.multiplicative),
    ("chained instead of sequential", rules.chained),
    ("state not restored", rules.without_state),
    ("schedule not recorded", rules.unnamed),
    ("scheduler not returned", rules.not_returned),
    ("wrong default", _each_node(rules.other_default)),
    ("hyperparameter without default", _each_node(rules.without_default)),
    ("misspelt hyperparameter", _each_node(rules.misnamed)),
    ("hyperparameter not read", _each_node(rules.not_read)),
)
OF_FRAME: tuple[tuple[str, Mutation], ...] = (
    ("hard-coded learning rate", replaced(('lr=prm["lr"]', "lr=0.01"))),
    ("hard-coded momentum", replaced(('momentum=prm["momentum"]', "momentum=0.9"))),
    ("hard-coded weight decay", _constant_weight_decay),
    (
        "Nesterov without momentum",
        replaced(('nesterov=prm["momentum"] > 0,  # Nesterov needs momentum', "nesterov=True,")),
    ),
    ("list instead of set", _list_of_names),
    ("gradients not zeroed", replaced(("\n            self.optimizer.zero_grad()\n", "\n"))),
    ("missing backward pass", replaced(("\n            loss.backward()\n", "\n"))),
    ("optimizer never stepped", replaced((_UPDATE, "\n"))),
    (
        "return after the first batch",
        replaced((_SEEN + _RETURN, _SEEN + _RETURN.replace("        ", "            "))),
    ),
    (
        "return after the first batch",
        replaced((_EPOCH + _RETURN[1:], (_EPOCH + _RETURN[1:]).replace("        ", "            "))),
    ),
    ("loss not returned", replaced((_RETURN, _RETURN.replace(", (loss_sum / num_samples).item()", "")))),
    ("accuracy in percent", replaced((_RETURN, _RETURN.replace("(correct", "(100 * correct")))),
    ("missing parameter groups", _without_layers),
    ("missing criterion", replaced(("        self.criterion = nn.CrossEntropyLoss()\n", ""))),
    ("device not stored", replaced(("        self.device = device\n", ""))),
    ("hard-coded number of channels", _replace_all("in_shape[1]", "3")),
    ("hard-coded number of classes", _replace_all("out_shape[0]", "10")),
    ("arguments swapped", _arguments_swapped),
    ("missing super().__init__()", _without_super),
    ("missing import", _missing_import),
    ("numpy instead of math", _numpy),
    ("missing colon", _missing_colon),
    ("missing parenthesis", _missing_parenthesis),
)
MUTATIONS = OF_SCHEDULE + OF_FRAME + OF_PRACTICES
