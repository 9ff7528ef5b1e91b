"""Mutations: common mistakes in training modules, applied to a rendered file.

``MUTATIONS`` names them; each yields a mutant for every place of a file where it applies. Whether the checks detect a
mutant is determined by running it (lrgen.finetune.mutants).
"""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import accumulate


class Code:
    """A rendered file with the syntax tree of its schedule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._encoded = text.encode()  # col_offset counts bytes
        self._starts = [0, *accumulate(map(len, self._encoded.splitlines(keepends=True)))]
        body = ast.parse(text).body
        names = [getattr(statement, "name", "") for statement in body]
        first, last = names.index("supported_hyperparameters") + 1, names.index("make_scheduler")
        self.imports = [statement for statement in body if isinstance(statement, (ast.Import, ast.ImportFrom))]
        self.schedule = body[first : last + 1]
        self.factory = body[last]
        self.nodes = [node for statement in self.schedule for node in ast.walk(statement)]
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def of(self, node: ast.AST) -> str:
        """Return the source of a node."""
        begin, end = self._span(node)
        return self._encoded[begin:end].decode()

    def replace(self, node: ast.AST, new: str) -> str:
        """Return the file with other text instead of a node."""
        begin, end = self._span(node)
        return (self._encoded[:begin] + new.encode() + self._encoded[end:]).decode()

    def without(self, statement: ast.stmt) -> str:
        """Return the file without the lines of a statement and the blank lines above it."""
        begin, end = self._starts[statement.lineno - 1], self._starts[statement.end_lineno or 0]
        return (self._encoded[:begin].rstrip(b"\n") + b"\n" + self._encoded[end:]).decode()

    def unwrapped(self, node: ast.expr, inner: ast.expr) -> str:
        """Return the source of an inner expression, in parentheses where it needs them instead of ``node``."""
        bare = not isinstance(inner, ast.BinOp) or not isinstance(self._parents.get(node), (ast.BinOp, ast.UnaryOp))
        return self.of(inner) if bare else f"({self.of(inner)})"

    def operator(self, node: ast.BinOp, old: str, new: str) -> str:
        """Return the source of an operation with another operator."""
        between = self._encoded[self._span(node.left)[1] : self._span(node.right)[0]].decode()
        begin, end = self._span(node)
        before = self._encoded[begin : self._span(node.left)[1]].decode()
        after = self._encoded[self._span(node.right)[0] : end].decode()
        return before + between.replace(old, new) + after

    def function_of(self, node: ast.AST) -> str:
        """Return the name of the function that contains a node."""
        while node in self._parents and not isinstance(node, ast.FunctionDef):
            node = self._parents[node]
        return getattr(node, "name", "")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        begin = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end


Mutation = Callable[[Code], Iterator[str]]


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


def _replace_text(*replacements: tuple[str, str]) -> Mutation:
    """Replace each text that occurs exactly once; a text replaced by itself only has to occur."""

    def mutation(code: Code) -> Iterator[str]:
        text = code.text
        if all(text.count(old) == 1 for old, _ in replacements):
            for old, new in replacements:
                text = text.replace(old, new)
            yield text

    return mutation


def _each_node(rule: Callable[[Code, ast.AST], str | None]) -> Mutation:
    """Apply a rule to each node of the schedule; it returns None for nodes that it does not match."""

    def mutation(code: Code) -> Iterator[str]:
        for node in code.nodes:
            new = rule(code, node)
            if new is not None:
                yield code.replace(node, new)

    return mutation


# Expressions of the schedule.


def _without_guard(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(1), inner]):
            return code.unwrapped(node, inner)
    return None


def _without_clamp(code: Code, node: ast.AST) -> str | None:
    """Remove ``min(step, self.total_steps)`` or ``max(0, …)``, which hold the schedule at its end."""
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(0), inner]):
            return code.unwrapped(node, inner)
        case ast.Call(func=ast.Name("min"), args=[inner, end]) if code.of(end) in ("self.total_steps", "1.0"):
            return code.unwrapped(node, inner)
    return None


def _floor_added(code: Code, node: ast.AST) -> str | None:
    """Replace ``floor + (1 - floor) * x`` by ``floor + x``, whose maximum exceeds the base learning rate."""
    match node:
        case ast.BinOp(left, ast.Add(), ast.BinOp(ast.BinOp(ast.Constant(1), ast.Sub(), floor), ast.Mult(), factor)):
            return f"{code.of(left)} + {code.unwrapped(factor, factor)}" if code.of(left) == code.of(floor) else None
    return None


def _ratio_as_lr(code: Code, node: ast.AST) -> str | None:
    """Use a ratio of learning rates as a learning rate."""
    match node:
        case ast.BinOp(ratio, ast.Mult() | ast.Div(), rate) if code.of(rate) == 'optimizer.defaults["lr"]':
            return code.unwrapped(node, ratio)
    return None


def _warmup_early(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute()):
            return f"(step + 1) / {code.of(node.right)}"
    return None


def _floor_division(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=ast.Div()) if code.function_of(node) == "__call__":
            return code.operator(node, "/", "//")
    return None


def _warmup_over_training(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute(attr="warmup_steps")):
            return "step / self.total_steps" if "self.total_steps = " in code.text else None
    return None


def _decay_from_start(code: Code, node: ast.AST) -> str | None:
    """Measure the progress of the decay from the start of training instead of the end of warm-up."""
    match node:
        case ast.BinOp(left, ast.Sub(), ast.Attribute(attr="warmup_steps")):
            return code.unwrapped(node, left)
    return None


def _off_by_one_boundary(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.Compare(ast.Name("step"), [ast.Lt() | ast.GtE() as sign], [bound]):
            return f"step {'<=' if isinstance(sign, ast.Lt) else '>'} {code.of(bound)}"
    return None


def _caret(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=ast.Pow()):
            return code.operator(node, "**", "^")
    return None


def _full_cosine_period(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult()):
            return f"2 * {code.of(node)}"
    return None


def _without_pi(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult(), progress):
            return code.unwrapped(node, progress)
    return None


# The horizon and the hyperparameters in make_scheduler.


def _fixed_horizon(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.keyword(arg=str(name), value=ast.Name("total_steps")):
            return f"{name}=100"
    return None


def _shorter_horizon(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.keyword(arg=str(name), value=ast.Name("total_steps")):
            return f"{name}=total_steps - 1"
    return None


def _fraction_for_steps(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Call() as call, ast.Mult(), ast.Name("total_steps")) if code.of(call).startswith("prm.get("):
            return code.of(call)
    return None


def _steps_for_fraction(code: Code, node: ast.AST) -> str | None:
    """Use a number of steps as the fraction: ``prm.get("warmup_fraction", 9)``, a count for 90 epochs."""
    match node:
        case ast.Call(
            func=ast.Name("round"),
            args=[ast.BinOp(ast.Call(args=[name, default]) as call, ast.Mult(), ast.Name("total_steps"))],
        ) if code.of(call).startswith("prm.get("):
            return f"prm.get({code.of(name)}, {max(1, round(_value(default) * 90))})"
    return None


def _default(code: Code, node: ast.AST) -> tuple[str, ast.expr] | None:
    """Return the quoted name and the default of ``prm.get("warmup_fraction", 0.1)``; None for other nodes."""
    match node:
        case ast.Call(func=ast.Attribute(ast.Name("prm"), "get"), args=[ast.Constant() as name, default]):
            return code.of(name), default
    return None


def _other_default(code: Code, node: ast.AST) -> str | None:
    read = _default(code, node)
    if read is None:
        return None
    value = _value(read[1])
    return f"prm.get({read[0]}, {value * 2 if 0 < value <= 0.5 else value / 2 or 0.1:.4g})"


def _without_default(code: Code, node: ast.AST) -> str | None:
    read = _default(code, node)
    return f"prm[{read[0]}]" if read else None


def _misnamed(code: Code, node: ast.AST) -> str | None:
    read = _default(code, node)
    return f'prm.get({read[0][:-1]}_value", {code.of(read[1])})' if read else None


def _not_read(code: Code, node: ast.AST) -> str | None:
    read = _default(code, node)
    return code.of(read[1]) if read else None


def _value(number: ast.expr) -> float:
    """Evaluate a literal of the templates: ``0.1``, ``1 / 3``."""
    if isinstance(number, ast.BinOp):
        return _value(number.left) / _value(number.right)
    return float(ast.literal_eval(number))


# torch's schedulers.

_OTHER_MODES = {
    ("mode", "min"): "max",
    ("mode", "max"): "min",
    ("mode", "triangular"): "triangular2",
    ("mode", "triangular2"): "triangular",
    ("mode", "exp_range"): "triangular",
    ("anneal_strategy", "cos"): "linear",
    ("anneal_strategy", "linear"): "cos",
}


def _other_mode(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.keyword(arg=str(name), value=ast.Constant(str(value))) if (name, value) in _OTHER_MODES:
            return f'{name}="{_OTHER_MODES[name, value]}"'
    return None


def _torch_parent(code: Code) -> Iterator[str]:
    """Use torch's class instead of the subclass that holds the final learning rate."""
    for statement in code.schedule:
        match statement:
            case ast.ClassDef(name, [ast.Name(parent)]) if parent.endswith("LR"):
                yield re.sub(rf"\b{name}\(", f"{parent}(", code.without(statement))


def _multiplicative(code: Code) -> Iterator[str]:
    """Use ``MultiplicativeLR``, which multiplies the previous learning rate, instead of ``LambdaLR``."""
    if "MultiplicativeLR" not in code.text:
        yield re.sub(r"\bLambdaLR\b", "MultiplicativeLR", code.text)


def _chained(code: Code) -> Iterator[str]:
    """Use ``ChainedScheduler`` instead of ``SequentialLR``."""
    text = re.sub(r"SequentialLR\(optimizer, (.*), milestones=\[.*\]\)", r"ChainedScheduler(\1)", code.text)
    if text != code.text:
        yield text.replace("SequentialLR", "ChainedScheduler")


def _incomplete_state(code: Code) -> Iterator[str]:
    """Do not restore a field in ``load_state_dict``."""
    for node in code.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "load_state_dict" and len(node.body) > 1:
            yield from map(code.without, node.body)


# The code around the schedule.


def _missing_import(code: Code) -> Iterator[str]:
    for statement in code.imports:
        if code.of(statement).startswith(
            ("import math", "from torch.optim.", "from torch.nn import functional", "import torch.nn.functional")
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
_LATE = "        if self.scheduler is None:\n" + _LATE_COUNT + _LATE_STEPS + _LATE_MAKE
_NOT_YET = """\
        self.prm = prm
        # Created lazily: the number of batches per epoch is unknown before ``learn``.
        self.scheduler: LRScheduler | None = None
"""
_OPTIMIZER = "        self.optimizer = "
_TRAIN = "        self.train()\n        correct = "
_SEEN = "            num_samples += len(labels)"
_RETURN = "\n        return (correct / num_samples).item(), (loss_sum / num_samples).item()\n"

# A name occurs twice where the mutation differs between schedules that advance per epoch and per batch.
OF_SCHEDULE: tuple[tuple[str, Mutation], ...] = (
    # When the scheduler is stepped.
    ("stepped once per batch", _replace_text((_EPOCH, "\n"), (_UPDATE, _UPDATE + _BATCH[1:]))),
    ("stepped once per epoch", _replace_text((_BATCH, "\n"), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("stepped before the optimizer", _replace_text((_UPDATE + _BATCH[1:], _BATCH + _UPDATE[1:]))),
    ("stepped before the epoch", _replace_text((_EPOCH, "\n"), (_TRAIN, _EPOCH[1:] + _TRAIN))),
    ("stepped twice", _replace_text((_BATCH, _BATCH), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("never stepped", _replace_text((_EPOCH, "\n"))),
    ("never stepped", _replace_text((_BATCH, "\n"))),
    ("stepped without its metric", _replace_text(("self.scheduler.step(mean_loss)", "self.scheduler.step()"))),
    ("stepped without its metric", _replace_text(("self.scheduler.step(loss.item())", "self.scheduler.step()"))),
    ("stepped without its metric", _replace_text(("self.scheduler.step(accuracy)", "self.scheduler.step()"))),
    (
        "metric is the accuracy",
        _replace_text(("self.scheduler.step(mean_loss)", "self.scheduler.step((correct / num_samples).item())")),
    ),
    (
        "metric is the loss",
        _replace_text(("self.scheduler.step(accuracy)", "self.scheduler.step((loss_sum / num_samples).item())")),
    ),
    (
        "metric is the last batch's loss",
        _replace_text(("self.scheduler.step(mean_loss)", "self.scheduler.step(loss.item())")),
    ),
    # When the scheduler is created, and for which horizon.
    (
        "created every epoch",
        _replace_text((_LATE, re.sub(r"^ {4}", "", _LATE_COUNT + _LATE_STEPS + _LATE_MAKE, flags=re.MULTILINE))),
    ),
    ("created before the number of batches is known", _replace_text((_NOT_YET, _COUNT[1:] + _MAKE), (_LATE, ""))),
    (
        "created before the optimizer",
        _replace_text((_COUNT + _MAKE, "\n"), (_OPTIMIZER, _COUNT[1:] + _MAKE + _OPTIMIZER)),
    ),
    ("scheduler not assigned", _replace_text((_MAKE, _MAKE.replace("self.scheduler = ", "")))),
    ("horizon of one epoch", _replace_text((_LATE_COUNT + _LATE_STEPS, _LATE_STEPS.replace("epochs * ", "")))),
    (
        "horizon in epochs",
        _replace_text((_LATE_STEPS, ""), (_LATE_MAKE, _LATE_MAKE.replace("total_steps", "epochs"))),
    ),
    ("hard-coded number of epochs", _replace_text((_COUNT, "\n        epochs = 90\n"))),
    ("hard-coded number of epochs", _replace_text((_LATE_COUNT, "            epochs = 90\n"))),
    ("horizon one epoch too long", _replace_text((_MAKE, _MAKE.replace("epochs", "epochs + 1")))),
    ("horizon one step too short", _each_node(_shorter_horizon)),
    ("hard-coded horizon", _each_node(_fixed_horizon)),
    ("fraction used as a number of steps", _each_node(_fraction_for_steps)),
    ("number of steps used as a fraction", _each_node(_steps_for_fraction)),
    # What the schedule computes.
    ("missing guard against zero steps", _each_node(_without_guard)),
    ("not held after the horizon", _each_node(_without_clamp)),
    ("not held after the horizon", _torch_parent),
    ("minimum added to the full range", _each_node(_floor_added)),
    ("ratio used as a learning rate", _each_node(_ratio_as_lr)),
    ("warm-up one step early", _each_node(_warmup_early)),
    ("warm-up over all of training", _each_node(_warmup_over_training)),
    ("decay measured from the start", _each_node(_decay_from_start)),
    ("off-by-one boundary", _each_node(_off_by_one_boundary)),
    ("floor division", _each_node(_floor_division)),
    ("caret instead of power", _each_node(_caret)),
    ("full cosine period", _each_node(_full_cosine_period)),
    ("cosine without pi", _each_node(_without_pi)),
    ("wrong mode", _each_node(_other_mode)),
    ("multiplies the previous learning rate", _multiplicative),
    ("chained instead of sequential", _chained),
    ("state not restored", _incomplete_state),
    ("wrong default", _each_node(_other_default)),
    ("hyperparameter without default", _each_node(_without_default)),
    ("misspelt hyperparameter", _each_node(_misnamed)),
    ("hyperparameter not read", _each_node(_not_read)),
)
OF_FRAME: tuple[tuple[str, Mutation], ...] = (
    ("hard-coded learning rate", _replace_text(('lr=prm["lr"]', "lr=0.01"))),
    ("hard-coded momentum", _replace_text(('momentum=prm["momentum"]', "momentum=0.9"))),
    ("list instead of set", _list_of_names),
    ("gradients not zeroed", _replace_text(("\n            self.optimizer.zero_grad()\n", "\n"))),
    ("missing backward pass", _replace_text(("\n            loss.backward()\n", "\n"))),
    ("optimizer never stepped", _replace_text((_UPDATE, "\n"))),
    (
        "return after the first batch",
        _replace_text((_SEEN + _RETURN, _SEEN + _RETURN.replace("        ", "            "))),
    ),
    (
        "return after the first batch",
        _replace_text((_EPOCH + _RETURN[1:], (_EPOCH + _RETURN[1:]).replace("        ", "            "))),
    ),
    ("loss not returned", _replace_text((_RETURN, _RETURN.replace(", (loss_sum / num_samples).item()", "")))),
    ("accuracy in percent", _replace_text((_RETURN, _RETURN.replace("(correct", "(100 * correct")))),
    ("missing parameter groups", _replace_text(("self.param_groups(),", "self.parameters(),"))),
    ("missing criterion", _replace_text(("        self.criterion = nn.CrossEntropyLoss()\n", ""))),
    ("device not stored", _replace_text(("        self.device = device\n", ""))),
    ("hard-coded number of channels", _replace_all("in_shape[1]", "3")),
    ("hard-coded number of classes", _replace_all("out_shape[0]", "10")),
    ("arguments swapped", _arguments_swapped),
    ("missing super().__init__()", _without_super),
    ("missing import", _missing_import),
    ("numpy instead of math", _numpy),
    ("missing colon", _missing_colon),
    ("missing parenthesis", _missing_parenthesis),
)
MUTATIONS = OF_SCHEDULE + OF_FRAME
