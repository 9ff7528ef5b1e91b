"""A solver of task repair: for each kind of mutation, the fix that follows from the text of the question alone.

It knows the kind of the fault, as a person finds it by reading the file and the log; the names, numbers and places of
the fix come from the prompt and from the system's message. The answers are compared as syntax trees.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from lrgen.finetune.instructions.repair import faulty_file

_NUMBER_OF_EPOCHS = r"The number of epochs is `prm\['(\w+)'\]`, or `prm\['(\w+)'\]` if that is missing, or (\d+)"
_KNOWN = {
    "copy": "import copy",
    "math": "import math",
    "Any": "from typing import Any",
    "Self": "from typing import Self",
    "F": "import torch.nn.functional as F",
}
_SCHEDULERS = re.compile(r"(?<![\w.])(?:LRScheduler|ReduceLROnPlateau|[A-Z]\w*LR)\b")


@dataclass(frozen=True)
class Question:
    """The texts of a question, the faulty file, and what was said or logged around it."""

    prompt: str
    system: str

    @property
    def file(self) -> str:
        return faulty_file(self.prompt)

    @property
    def report(self) -> str:
        return self.prompt.replace(self.file, "")

    @property
    def docstring(self) -> str:
        return " ".join(self.file.split('"""')[1].split())

    @property
    def per_batch(self) -> bool:
        return "once per batch" in self.docstring

    @property
    def unread(self) -> list[str]:
        """The supported hyperparameters that the file does not read."""
        body = self.file.partition("def supported_hyperparameters")[2]
        supported = re.findall(r'"(\w+)"', body[: body.index("}")])
        return [name for name in supported if body.count(f'"{name}"') == 1]

    def default(self, name: str) -> str:
        """The stated default of a hyperparameter, as Python."""
        number = r"(\d[\d.,/e-]*%?)"
        match = re.search(rf"`{name}(?:=|` |` is |` defaults to ){number}", self.report) or re.search(
            rf"{number} for `{name}`", self.report
        )
        text = match[1].rstrip(".,")
        return f"{float(text[:-1]) / 100:.12g}" if text.endswith("%") else text.replace("/", " / ")

    @property
    def epochs(self) -> str:
        first, second, default = re.search(_NUMBER_OF_EPOCHS, self.system).groups()
        return f'int(prm.get("{first}", prm.get("{second}", {default})))'


Solver = Callable[[Question], str]


def replaced(pattern: str, new: str) -> Solver:
    """Replace the only place where the fault can be, or the first one."""
    return lambda question: re.sub(pattern, new, question.file, count=1, flags=re.MULTILINE)


_OF_BATCH, _OF_EPOCH = "            self.scheduler.step({})\n", "        self.scheduler.step({})\n"
_UPDATE = "            self.optimizer.step()\n"
_RETURN = "        return (correct"


def _stepped(question: Question) -> str:
    """Step the scheduler once where the docstring says."""
    text = re.sub(r"^ +self\.scheduler\.step\(\)\n", "", question.file, flags=re.MULTILINE)
    if question.per_batch:
        return text.replace(_UPDATE, _UPDATE + _OF_BATCH.format(""))
    return text.replace(_RETURN, _OF_EPOCH.format("") + _RETURN)


def _metric(question: Question) -> str:
    name = "accuracy" if "accuracy" in question.system.partition("scheduler.step(metric)")[2] else "mean_loss"
    return question.file.replace("scheduler.step()", f"scheduler.step({name})")


def _horizon(question: Question, text: str) -> str:
    """Create the scheduler once, in the first call of ``learn``, for all batches of all epochs."""
    text = re.sub(r"^ +epochs = .*\n(?= +(?:total_steps|self\.scheduler))", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ +total_steps = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ +self\.scheduler = make_scheduler\(.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ +if self\.scheduler is None:\n +if .*\n +raise .*\n", "", text, flags=re.MULTILINE)
    kind = "ReduceLROnPlateau" if "(ReduceLROnPlateau)" in text else "LRScheduler"
    resumed = (
        "self.optimizer.state" if kind == "ReduceLROnPlateau" else '"initial_lr" in self.optimizer.param_groups[0]'
    )
    if "self.prm = prm" not in text:
        setup = f"        self.prm = prm\n        self.scheduler: {kind} | None = None\n\n    def learn("
        text = text.replace("\n    def learn(", setup, 1)
    epochs = question.epochs.replace("prm.", "self.prm.")
    return text.replace(
        "        self.train()\n",
        "        if self.scheduler is None:\n"
        f"            if {resumed}:\n"
        '                raise RuntimeError("the optimizer was resumed without the scheduler")\n'
        f"            epochs = {epochs}\n"
        "            total_steps = epochs * len(train_data)\n"
        "            self.scheduler = make_scheduler(self.optimizer, total_steps, self.prm)\n"
        "        self.train()\n",
        1,
    )


def _before_optimizer(question: Question) -> str:
    lines = re.search(r"^        epochs = .*\n        self\.scheduler = .*\n", question.file, re.MULTILINE)[0]
    return question.file.replace(lines, "").replace("\n    def learn(", f"{lines}\n    def learn(", 1)


def _number_of_epochs(question: Question) -> str:
    epochs = question.epochs.replace("prm.", "self.prm.") if question.per_batch else question.epochs
    return re.sub(r"\bepochs = 90$", f"epochs = {epochs}", question.file, flags=re.MULTILINE)


def _imports(question: Question) -> str:
    """Import what is used and defined nowhere."""
    text = question.file
    names = {name for name in _KNOWN if re.search(rf"(?<![\w.\"]){name}\b(?!\")", text)}
    statements = [_KNOWN[name] for name in sorted(names) if not re.search(rf"^(?:import|from) .*\b{name}$", text, re.M)]
    code = text[text.index("import") :]
    used = {name for name in _SCHEDULERS.findall(code) if f"class {name}" not in code}
    if "from torch.optim.lr_scheduler import" not in code:
        statements.append(f"from torch.optim.lr_scheduler import {', '.join(sorted(used))}")
    head, _, rest = text.partition("\nimport torch\n")
    return "\n".join([head, *statements, "import torch\n"]) + rest


def _at_line(addition: str) -> Solver:
    def solve(question: Question) -> str:
        line = int(re.findall(r'File "model.py", line (\d+)', question.report)[-1])
        lines = question.file.splitlines(keepends=True)
        lines[line - 1] = f"{lines[line - 1].rstrip()}{addition}\n"
        return "".join(lines)

    return solve


def _inserted(before: str, line: str) -> Solver:
    """Insert a line before the first one that begins in a way."""
    return lambda question: re.sub(rf"^( *){before}", rf"\1{line}\n\g<0>", question.file, count=1, flags=re.MULTILINE)


def _in_constructor(line: str) -> Solver:
    """Insert a line at the begin of the constructor of Net, or behind ``super().__init__()``."""

    def solve(question: Question) -> str:
        head, net, body = question.file.partition("\nclass Net(")
        begin = re.search(r"\) -> None:\n(?: +super\(\).__init__\(\)\n)?", body).end()
        return f"{head}{net}{body[:begin]}        {line}\n{body[begin:]}"

    return solve


def _returned_early(question: Question) -> str:
    """Dedent what follows the loop."""
    begin = question.file.index("            num_samples += len(labels)\n") + len(
        "            num_samples += len(labels)\n"
    )
    return question.file[:begin] + question.file[begin:].replace("            ", "        ")


def _swapped(question: Question) -> str:
    head, net, body = question.file.partition("\nclass Net(")
    body = body.replace("out_shape:", "X:", 1).replace("in_shape:", "out_shape:", 1).replace("X:", "in_shape:", 1)
    return head + net + body


def _misspelt(question: Question) -> str:
    (name,) = question.unread
    return re.sub(r'prm\.get\("\w+_value"', f'prm.get("{name}"', question.file)


def _not_read(question: Question) -> str:
    """Read the only supported hyperparameter that is not read, where its default stands in make_scheduler."""
    (name,) = question.unread
    head, factory, body = question.file.partition("def make_scheduler(")
    body, net, rest = body.partition("\n\n\nclass")
    at = re.search(r"(?<![\w.])(?:\d+ / \d+|\d+\.\d+(?:e-?\d+)?|0)\b", body)
    return f'{head}{factory}{body[: at.start()]}prm.get("{name}", {at[0]}){body[at.end() :]}{net}{rest}'


def _defaults(question: Question) -> str:
    """Give each hyperparameter of the schedule the stated default."""
    text = question.file
    for name in re.findall(
        r'prm(?:\.get\(|\[)"(\w+)"', text[text.index("def make_scheduler") : text.index("class Net")]
    ):
        text = re.sub(
            rf'prm(?:\.get\("{name}", [^)]*\)|\["{name}"\])', f'prm.get("{name}", {question.default(name)})', text
        )
    return text


def _fraction(question: Question) -> str:
    """Multiply the fraction, whose default is stated, by the horizon."""
    text = re.sub(r'round\((prm\.get\("\w+_fraction", [^)]*\))\)', r"round(\1 * total_steps)", question.file)
    text = re.sub(r'(?<!round\()prm\.get\("(\w+_fraction)", \d+\)', r'round(prm.get("\1", 0) * total_steps)', text)
    return _defaults(Question(question.prompt.replace(question.file, text), question.system))


def _guarded(question: Question) -> str:
    """Guard the denominator of the line that divides by zero, where it is computed."""
    line = int(re.findall(r'File "model.py", line (\d+)', question.report)[-1])
    code = question.file.splitlines()[line - 1]
    name = re.search(r"/ (?:self\.)?(\w+)", code)[1]
    return re.sub(rf"^( +{name} = )(?!.*max)(.*)$", r"\1max(1, \2)", question.file, count=1, flags=re.MULTILINE)


def _clamped(question: Question) -> str:
    """Hold the step at the horizon where the progress is computed."""
    return re.sub(r"= \((step) - ", r"= (min(step, self.total_steps) - ", question.file)


def _decay(question: Question) -> str:
    """Measure the steps of the decay, or its progress, from the end of the warm-up."""
    text = question.file.replace("max(1, self.total_steps)", "max(1, self.total_steps - self.warmup_steps)")
    return text.replace("(min(step, self.total_steps)) /", "(min(step, self.total_steps) - self.warmup_steps) /")


def _of_each_group(question: Question) -> str:
    """Use the learning rate of each group; a resumed optimizer has the maxima already, as the comment says."""
    resumed = 'max_lr=[float(group.get("max_lr", group["lr"])) for group in optimizer.param_groups]'
    text = question.file.replace('max_lr=optimizer.defaults["lr"]', resumed)
    return text.replace('self.optimizer.defaults["lr"]', "base_lr")


def _mode(question: Question) -> str:
    if "anneal_strategy" in question.file:
        strategy = "cos" if "along a cosine" in question.docstring else "linear"
        return re.sub(r'anneal_strategy="\w+"', f'anneal_strategy="{strategy}"', question.file)
    halved = "halved" in question.docstring
    return re.sub(r'mode="triangular2?"', f'mode="{"triangular2" if halved else "triangular"}"', question.file)


def _sequential(question: Question) -> str:
    text = re.sub(
        r"= ResumableChainedScheduler\((\[.*\])\)",
        r"= ResumableSequentialLR(optimizer, \1, milestones=[warmup_steps])",
        question.file,
    )
    return text.replace("ChainedScheduler", "SequentialLR")


def _recorded(question: Question) -> str:
    line = re.search(r"`(scheduler\.schedule = \(.*?, total_steps\))`", question.system)[1]
    return question.file.replace("    return scheduler\n", f"    {line}\n    return scheduler\n")


SOLVERS: dict[str, Solver] = {
    "stepped once per batch": _stepped,
    "stepped once per epoch": _stepped,
    "stepped before the optimizer": _stepped,
    "stepped before the epoch": _stepped,
    "stepped twice": _stepped,
    "never stepped": _stepped,
    "stepped without its metric": _metric,
    "created every epoch": lambda question: _horizon(question, question.file),
    "created before the number of batches is known": lambda question: _horizon(question, question.file),
    "horizon of one epoch": lambda question: _horizon(question, question.file),
    "horizon in epochs": lambda question: _horizon(question, question.file),
    "created before the optimizer": _before_optimizer,
    "scheduler not assigned": replaced(r"^        make_scheduler\(", "        self.scheduler = make_scheduler("),
    "hard-coded number of epochs": _number_of_epochs,
    "horizon one epoch too long": replaced(r"epochs \+ 1", "epochs"),
    "list instead of set": replaced(r"list\[str\]:\n    return \[([^]]*)\]", r"set[str]:\n    return {\1}"),
    "return after the first batch": _returned_early,
    "loss not returned": replaced(r"^(        return .*\.item\(\))$", r"\1, (loss_sum / num_samples).item()"),
    "missing parameter groups": replaced(r"self\.parameters\(\),", "self.param_groups(),"),
    "missing criterion": _inserted(r"self\.optimizer = ", "self.criterion = nn.CrossEntropyLoss()"),
    "device not stored": _in_constructor("self.device = device"),
    "arguments swapped": _swapped,
    "missing super().__init__()": _in_constructor("super().__init__()"),
    "missing import": _imports,
    "numpy instead of math": lambda question: question.file.replace("import numpy as np", "import math").replace(
        "np.", "math."
    ),
    "missing colon": _at_line(":"),
    "missing parenthesis": _at_line(")"),
    "gradients not zeroed": _inserted(r"logits = self\(images\)", "self.optimizer.zero_grad()"),
    "missing backward pass": _inserted(r"self\.optimizer\.step\(\)", "loss.backward()"),
    "optimizer never stepped": replaced(r"^( +)loss\.backward\(\)$", r"\g<0>\n\1self.optimizer.step()"),
    "accuracy in percent": replaced(r"\(100 \* correct", "(correct"),
    "hard-coded learning rate": replaced(r"\blr=0\.01\b", 'lr=prm["lr"]'),
    "hard-coded momentum": replaced(r"\bmomentum=0\.9\b", 'momentum=prm["momentum"]'),
    "hard-coded weight decay": replaced(r"weight_decay=([\de.-]+)", r'weight_decay=prm.get("weight_decay", \1)'),
    "misspelt hyperparameter": _misspelt,
    "hyperparameter not read": _not_read,
    "horizon one step too short": replaced(r"=total_steps - 1\b", "=total_steps"),
    "hard-coded horizon": replaced(r"=100\b", "=total_steps"),
    "fraction used as a number of steps": _fraction,
    "number of steps used as a fraction": _fraction,
    "missing guard against zero steps": _guarded,
    "not held after the horizon": _clamped,
    "minimum added to the full range": replaced(
        r"(= |return )self\.min_lr_ratio \+ (.*)$", r"\1self.min_lr_ratio + (1 - self.min_lr_ratio) * (\2)"
    ),
    "ratio used as a learning rate": replaced(r"\[factor for base_lr", "[factor * base_lr for base_lr"),
    "default learning rate for every group": _of_each_group,
    "one minimum for all groups": replaced(
        r'base_lr=min_lr_ratio \* optimizer\.defaults\["lr"\]', "base_lr=[min_lr_ratio * max_lr for max_lr in max_lrs]"
    ),
    "warm-up one step early": replaced(r"\(step \+ 1\) / ", "step / "),
    "warm-up over all of training": replaced(r"step / self\.total_steps", "step / self.warmup_steps"),
    "decay measured from the start": _decay,
    "off-by-one boundary": replaced(r"if step <= ", "if step < "),
    "floor division": replaced(r" // ", " / "),
    "caret instead of power": replaced(r" \^ ", " ** "),
    "full cosine period": replaced(r"2 \* math\.pi", "math.pi"),
    "cosine without pi": replaced(r"math\.cos\((?!math\.pi)", "math.cos(math.pi * "),
    "wrong mode": _mode,
    "multiplies the previous learning rate": lambda question: question.file.replace("MultiplicativeLR", "LambdaLR"),
    "chained instead of sequential": _sequential,
    "scheduler not returned": replaced(r"^(    scheduler\.schedule = .*)$", r"\1\n    return scheduler"),
    "wrong default": _defaults,
    "hyperparameter without default": _defaults,
    "state not restored": replaced(
        r"^( +)(# The constructor has overwritten)", r"\1super().load_state_dict(copy.deepcopy(state_dict))\n\1\2"
    ),
    "schedule not recorded": _recorded,
    "Nesterov without momentum": replaced("nesterov=True", 'nesterov=prm["momentum"] > 0'),
    "hard-coded number of channels": replaced(r"(class Net\((?:.|\n)*?\()3, ", r"\1in_shape[1], "),
    "hard-coded number of classes": replaced(r"(nn\.Linear\(\w+, )10\)", r"\1out_shape[0])"),
}


class _Folded(ast.NodeTransformer):
    """Computes the quotients of numbers: ``1 / 10`` is 0.1."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.BinOp(ast.Constant(int(above)), ast.Div(), ast.Constant(int(below))):
                return ast.Constant(above / below)
        return node


def same_code(text: str, other: str) -> bool:
    """Return whether two files have the same code; the order of imports, layout and comments do not count."""
    return _normal(text) == _normal(other)


def _normal(text: str) -> tuple[set[str], list[str]]:
    body = _Folded().visit(ast.parse(text)).body
    imports = {
        f"{getattr(node, 'module', '')}.{alias.name} as {alias.asname}"
        for node in body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    return imports, [ast.dump(node) for node in body if not isinstance(node, (ast.Import, ast.ImportFrom))]
