"""Mistakes that people make in training modules, put into a rendered file: each leaves a text that looks meant.

``BREAKAGES`` names them; each finds every place of a file where it can be made. Whether the checks see a mistake is for
them to say (lrgen.finetune.mutants).
"""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import accumulate


class Code:
    """A rendered file, and the nodes of its schedule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._encoded = text.encode()  # a tree counts its columns in bytes
        self._starts = [0, *accumulate(map(len, self._encoded.splitlines(keepends=True)))]
        body = ast.parse(text).body
        names = [getattr(statement, "name", "") for statement in body]
        first, last = names.index("supported_hyperparameters") + 1, names.index("make_scheduler")
        self.imports = [one for one in body if isinstance(one, (ast.Import, ast.ImportFrom))]
        self.schedule = body[first : last + 1]
        self.factory = body[last]
        self.nodes = [node for statement in self.schedule for node in ast.walk(statement)]
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def of(self, node: ast.AST) -> str:
        """A node as it is written."""
        begin, end = self._span(node)
        return self._encoded[begin:end].decode()

    def put(self, node: ast.AST, new: str) -> str:
        """The file with something else where a node stands."""
        begin, end = self._span(node)
        return (self._encoded[:begin] + new.encode() + self._encoded[end:]).decode()

    def without(self, statement: ast.stmt) -> str:
        """The file without the lines of a statement, and without the blank ones above it."""
        begin, end = self._starts[statement.lineno - 1], self._starts[statement.end_lineno or 0]
        return (self._encoded[:begin].rstrip(b"\n") + b"\n" + self._encoded[end:]).decode()

    def instead(self, node: ast.expr, inner: ast.expr) -> str:
        """The text of an inner expression, ready to stand where ``node`` does."""
        bare = not isinstance(inner, ast.BinOp) or not isinstance(self._parents.get(node), (ast.BinOp, ast.UnaryOp))
        return self.of(inner) if bare else f"({self.of(inner)})"

    def operator(self, node: ast.BinOp, old: str, new: str) -> str:
        """An operation with another operator."""
        gap = self._encoded[self._span(node.left)[1] : self._span(node.right)[0]].decode()
        begin, end = self._span(node)
        before = self._encoded[begin : self._span(node.left)[1]].decode()
        after = self._encoded[self._span(node.right)[0] : end].decode()
        return before + gap.replace(old, new) + after

    def function_of(self, node: ast.AST) -> str:
        """The name of the function that a node stands in."""
        while node in self._parents and not isinstance(node, ast.FunctionDef):
            node = self._parents[node]
        return getattr(node, "name", "")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        begin = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end


Breakage = Callable[[Code], Iterator[str]]


def broken(text: str) -> dict[str, list[str]]:
    """The file with each mistake that it offers a place for, by its name: a text for each place, no two alike."""
    code = Code(text)
    found: dict[str, list[str]] = {}
    seen = {text}
    for name, breakage in BREAKAGES:
        for one in breakage(code):
            if one not in seen:
                seen.add(one)
                found.setdefault(name, []).append(one)
    return found


def _swapped(*swaps: tuple[str, str]) -> Breakage:
    """Something else for each piece of text, if each is there once; itself where it need only be there."""

    def breakage(code: Code) -> Iterator[str]:
        text = code.text
        if all(text.count(old) == 1 for old, _ in swaps):
            for old, new in swaps:
                text = text.replace(old, new)
            yield text

    return breakage


def _everywhere(rule: Callable[[Code, ast.AST], str | None]) -> Breakage:
    """What a rule makes of each node of the schedule that it knows."""

    def breakage(code: Code) -> Iterator[str]:
        for node in code.nodes:
            new = rule(code, node)
            if new is not None:
                yield code.put(node, new)

    return breakage


# Expressions of the schedule.


def _without_guard(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(1), inner]):
            return code.instead(node, inner)
    return None


def _without_end(code: Code, node: ast.AST) -> str | None:
    """``min(step, self.total_steps)`` and ``max(0, …)`` hold a schedule at its end."""
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(0), inner]):
            return code.instead(node, inner)
        case ast.Call(func=ast.Name("min"), args=[inner, end]) if code.of(end) in ("self.total_steps", "1.0"):
            return code.instead(node, inner)
    return None


def _floor_on_top(code: Code, node: ast.AST) -> str | None:
    """``floor + (1 - floor) * x`` without the second floor: the peak is above the base rate."""
    match node:
        case ast.BinOp(left, ast.Add(), ast.BinOp(ast.BinOp(ast.Constant(1), ast.Sub(), floor), ast.Mult(), height)):
            return f"{code.of(left)} + {code.instead(height, height)}" if code.of(left) == code.of(floor) else None
    return None


def _floor_of_one(code: Code, node: ast.AST) -> str | None:
    """A fraction of the base rate that is taken for a rate."""
    match node:
        case ast.BinOp(ratio, ast.Mult() | ast.Div(), rate) if code.of(rate) == 'optimizer.defaults["lr"]':
            return code.instead(node, ratio)
    return None


def _step_early(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute()):
            return f"(step + 1) / {code.of(node.right)}"
    return None


def _whole_division(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=ast.Div()) if code.function_of(node) == "__call__":
            return code.operator(node, "/", "//")
    return None


def _climb_over_all(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute(attr="warmup_steps")):
            return "step / self.total_steps" if "self.total_steps = " in code.text else None
    return None


def _decay_from_zero(code: Code, node: ast.AST) -> str | None:
    """A decay after a warm-up whose progress is counted from the first step of all."""
    match node:
        case ast.BinOp(left, ast.Sub(), ast.Attribute(attr="warmup_steps")):
            return code.instead(node, left)
    return None


def _boundary_moved(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.Compare(ast.Name("step"), [ast.Lt() | ast.GtE() as sign], [bound]):
            return f"step {'<=' if isinstance(sign, ast.Lt) else '>'} {code.of(bound)}"
    return None


def _caret(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(op=ast.Pow()):
            return code.operator(node, "**", "^")
    return None


def _whole_wave(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult()):
            return f"2 * {code.of(node)}"
    return None


def _without_pi(code: Code, node: ast.AST) -> str | None:
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult(), progress):
            return code.instead(node, progress)
    return None


# What make_scheduler makes of the horizon and of the hyperparameters.


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
    """``round(prm.get("warmup_fraction", 0.1) * total_steps)`` with a number of steps instead: as many as of 90."""
    match node:
        case ast.Call(
            func=ast.Name("round"),
            args=[ast.BinOp(ast.Call(args=[name, default]) as call, ast.Mult(), ast.Name("total_steps"))],
        ) if code.of(call).startswith("prm.get("):
            return f"prm.get({code.of(name)}, {max(1, round(_value(default) * 90))})"
    return None


def _default(code: Code, node: ast.AST) -> tuple[str, ast.expr] | None:
    """The name, quoted, and the default of ``prm.get("warmup_fraction", 0.1)``."""
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
    """A literal as the templates write it: ``0.1``, ``1 / 3``."""
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


def _not_held(code: Code) -> Iterator[str]:
    """torch's class where the file has one of its own that stays at its last rate."""
    for statement in code.schedule:
        match statement:
            case ast.ClassDef(name, [ast.Name(parent)]) if parent.endswith("LR"):
                yield re.sub(rf"\b{name}\(", f"{parent}(", code.without(statement))


def _factor_of_last(code: Code) -> Iterator[str]:
    """``MultiplicativeLR`` multiplies the rate of the step before, ``LambdaLR`` the base rate."""
    if "MultiplicativeLR" not in code.text:
        yield re.sub(r"\bLambdaLR\b", "MultiplicativeLR", code.text)


def _chained(code: Code) -> Iterator[str]:
    """One after the other, written as both at once."""
    text = re.sub(r"SequentialLR\(optimizer, (.*), milestones=\[.*\]\)", r"ChainedScheduler(\1)", code.text)
    if text != code.text:
        yield text.replace("SequentialLR", "ChainedScheduler")


def _state_lost(code: Code) -> Iterator[str]:
    """A field that ``load_state_dict`` does not bring back."""
    for node in code.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "load_state_dict" and len(node.body) > 1:
            yield from map(code.without, node.body)


# The frame of the file.


def _import_forgotten(code: Code) -> Iterator[str]:
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


def _everything(old: str, new: str) -> Breakage:
    """Something else for each occurrence of a piece of text."""

    def breakage(code: Code) -> Iterator[str]:
        yield code.text.replace(old, new)

    return breakage


def _colon_forgotten(code: Code) -> Iterator[str]:
    for found in re.finditer(r"^ *(?:if\b|for\b|else\b|def train_setup\b|\) -> tuple).*:$", code.text, re.MULTILINE):
        yield code.text[: found.end() - 1] + code.text[found.end() :]


def _parenthesis_forgotten(code: Code) -> Iterator[str]:
    for found in re.finditer(r"^ {8,}(?:return|\w+ =|self\.\w+ =) .*\)\)$", code.text, re.MULTILINE):
        yield code.text[: found.end() - 1] + code.text[found.end() :]


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

# A name may stand here twice: the same mistake looks otherwise where the schedule advances otherwise.
OF_SCHEDULE: tuple[tuple[str, Breakage], ...] = (
    # When the scheduler is stepped.
    ("stepped once a batch", _swapped((_EPOCH, "\n"), (_UPDATE, _UPDATE + _BATCH[1:]))),
    ("stepped once an epoch", _swapped((_BATCH, "\n"), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("stepped before the optimizer", _swapped((_UPDATE + _BATCH[1:], _BATCH + _UPDATE[1:]))),
    ("stepped before the epoch", _swapped((_EPOCH, "\n"), (_TRAIN, _EPOCH[1:] + _TRAIN))),
    ("stepped twice", _swapped((_BATCH, _BATCH), (_RETURN, _EPOCH + _RETURN[1:]))),
    ("never stepped", _swapped((_EPOCH, "\n"))),
    ("never stepped", _swapped((_BATCH, "\n"))),
    ("stepped without its metric", _swapped(("self.scheduler.step(mean_loss)", "self.scheduler.step()"))),
    ("stepped without its metric", _swapped(("self.scheduler.step(loss.item())", "self.scheduler.step()"))),
    ("stepped without its metric", _swapped(("self.scheduler.step(accuracy)", "self.scheduler.step()"))),
    (
        "fed with the accuracy",
        _swapped(("self.scheduler.step(mean_loss)", "self.scheduler.step((correct / num_samples).item())")),
    ),
    (
        "fed with the loss",
        _swapped(("self.scheduler.step(accuracy)", "self.scheduler.step((loss_sum / num_samples).item())")),
    ),
    ("fed with the last batch", _swapped(("self.scheduler.step(mean_loss)", "self.scheduler.step(loss.item())"))),
    # When the scheduler is made, and for which horizon.
    (
        "made every epoch",
        _swapped((_LATE, "".join(line.removeprefix("    ") for line in (_LATE_COUNT, _LATE_STEPS, _LATE_MAKE)))),
    ),
    ("made before the batches are known", _swapped((_NOT_YET, _COUNT[1:] + _MAKE), (_LATE, ""))),
    (
        "made before the optimizer",
        _swapped((_COUNT + _MAKE, "\n"), (_OPTIMIZER, _COUNT[1:] + _MAKE + _OPTIMIZER)),
    ),
    ("not kept", _swapped((_MAKE, _MAKE.replace("self.scheduler = ", "")))),
    ("horizon of one epoch", _swapped((_LATE_COUNT + _LATE_STEPS, _LATE_STEPS.replace("epochs * ", "")))),
    (
        "horizon in epochs",
        _swapped((_LATE_STEPS, ""), (_LATE_MAKE, _LATE_MAKE.replace("total_steps", "epochs"))),
    ),
    ("number of epochs written down", _swapped((_COUNT, "\n        epochs = 90\n"))),
    ("number of epochs written down", _swapped((_LATE_COUNT, "            epochs = 90\n"))),
    ("horizon an epoch longer", _swapped((_MAKE, _MAKE.replace("epochs", "epochs + 1")))),
    ("horizon a step shorter", _everywhere(_shorter_horizon)),
    ("horizon written down", _everywhere(_fixed_horizon)),
    ("fraction taken for steps", _everywhere(_fraction_for_steps)),
    ("steps taken for a fraction", _everywhere(_steps_for_fraction)),
    # What the schedule computes.
    ("no guard against zero", _everywhere(_without_guard)),
    ("not held past its end", _everywhere(_without_end)),
    ("not held past its end", _not_held),
    ("floor on top", _everywhere(_floor_on_top)),
    ("floor of base rate one", _everywhere(_floor_of_one)),
    ("warm-up a step early", _everywhere(_step_early)),
    ("warm-up over the whole horizon", _everywhere(_climb_over_all)),
    ("decay counted from step zero", _everywhere(_decay_from_zero)),
    ("boundary on the wrong side", _everywhere(_boundary_moved)),
    ("division of whole numbers", _everywhere(_whole_division)),
    ("caret for a power", _everywhere(_caret)),
    ("whole wave for half a cosine", _everywhere(_whole_wave)),
    ("cosine without pi", _everywhere(_without_pi)),
    ("another mode", _everywhere(_other_mode)),
    ("factor of the step before", _factor_of_last),
    ("chained instead of one after the other", _chained),
    ("state lost on resume", _state_lost),
    ("another default", _everywhere(_other_default)),
    ("hyperparameter without default", _everywhere(_without_default)),
    ("hyperparameter misnamed", _everywhere(_misnamed)),
    ("hyperparameter not read", _everywhere(_not_read)),
)
OF_FRAME: tuple[tuple[str, Breakage], ...] = (
    ("base rate written down", _swapped(('lr=prm["lr"]', "lr=0.01"))),
    ("momentum written down", _swapped(('momentum=prm["momentum"]', "momentum=0.9"))),
    ("list of hyperparameters", _list_of_names),
    ("gradients not zeroed", _swapped(("\n            self.optimizer.zero_grad()\n", "\n"))),
    ("no backward pass", _swapped(("\n            loss.backward()\n", "\n"))),
    ("optimizer never stepped", _swapped((_UPDATE, "\n"))),
    ("return after the first batch", _swapped((_SEEN + _RETURN, _SEEN + _RETURN.replace("        ", "            ")))),
    (
        "return after the first batch",
        _swapped((_EPOCH + _RETURN[1:], (_EPOCH + _RETURN[1:]).replace("        ", "            "))),
    ),
    ("loss not returned", _swapped((_RETURN, _RETURN.replace(", (loss_sum / num_samples).item()", "")))),
    ("accuracy in percent", _swapped((_RETURN, _RETURN.replace("(correct", "(100 * correct")))),
    ("layers not grouped", _swapped(("self.param_groups(),", "self.parameters(),"))),
    ("no criterion", _swapped(("        self.criterion = nn.CrossEntropyLoss()\n", ""))),
    ("device not kept", _swapped(("        self.device = device\n", ""))),
    ("three channels assumed", _everything("in_shape[1]", "3")),
    ("ten classes assumed", _everything("out_shape[0]", "10")),
    ("arguments swapped", _arguments_swapped),
    ("no super().__init__()", _without_super),
    ("import forgotten", _import_forgotten),
    ("numpy instead of math", _numpy),
    ("colon forgotten", _colon_forgotten),
    ("parenthesis forgotten", _parenthesis_forgotten),
)
BREAKAGES = OF_SCHEDULE + OF_FRAME
