"""Signs of practices in the code of a file: the calls and the statements that a practice is made of."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.records import PracticeKind

# The called names, and the practice that they belong to. A class or a function that is defined and never called is no
# sign.
_CALLS: tuple[tuple[str, PracticeKind, str], ...] = (
    (r"GradScaler", PracticeKind.PRECISION, "fp16"),
    (r"autocast", PracticeKind.PRECISION, ""),
    (r"clip_grad_norm_?", PracticeKind.CLIPPING, "clip_norm"),
    (r"clip_grad_value_?", PracticeKind.CLIPPING, "clip_value"),
    (r"(?i:model_?ema)\w*|EMA|(?i:exponential_?moving_?average)|(?i:update_ema|ema_update)", PracticeKind.EMA, "ema"),
    (
        r"AveragedModel|SWA|(?i:(weight|model)_?averag(e|ing)|update_swa)|swap_swa_sgd",
        PracticeKind.AVERAGING,
        "swa",
    ),
    (
        r"(?i:label_?smooth\w*|smooth(ed)?_?(labels?|one_?hot|targets?))",
        PracticeKind.LABEL_SMOOTHING,
        "label_smoothing",
    ),
    (r"(?i:\w*mix_?up\w*)", PracticeKind.MIXUP, "mixup"),
    (r"(?i:\w*cut_?mix\w*|rand_?bbox)", PracticeKind.MIXUP, "cutmix"),
    (r"(?i:\w*curriculum\w*|\w*self_?paced\w*|(\w+_)?pacing(_\w+)?)", PracticeKind.CURRICULUM, ""),
)
_IN_LEARN = re.compile(r"SubsetRandomSampler|WeightedRandomSampler|Subset")  # elsewhere they split a data set
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16"}
_ACCUMULATES = re.compile(r"(?i)accum")
_STEPPED = re.compile(r"(?i)(^|[._])(opt|optim|optimizer|optimiser|scaler)\w*$")
_OF_OPTIMIZER = re.compile(r"grad|momentum_buffer|exp_avg")
# average.lerp_(weight, 1 - d), average.mul_(d).add_(weight, alpha=1 - d), d * average + (1 - d) * weight
_MOVES = re.compile(r"\.lerp_\(|\.mul_\(.+\)\.add_\(|\* \(1(\.0)? - \w[\w.]*\)|\(1(\.0)? - \w[\w.]*\) \*")
_MEAN = re.compile(r"\b1(\.0)? / |/ \(\w[\w.]* \+ 1\)")  # by a count
_WEIGHTS = re.compile(r"\b(parameters|named_parameters|state_dict|buffers|named_buffers)\(")


@dataclass(frozen=True)
class Sign:
    """A practice that a file seems to use, and where: ``words`` is the code that shows it, in a ``line``.

    ``practice`` is empty where the code does not tell which one of its ``kind``.
    """

    kind: PracticeKind
    practice: str
    words: str
    line: int


def signs(tree: ast.Module) -> list[Sign]:
    """The practices that a file seems to use, one sign of each kind, in the order of the kinds.

    A sign that tells the practice goes before one that tells its kind alone, then the first in the file.
    """
    all_signs = [*_of_calls(tree), *_by_hand(tree)]
    of_kinds = ([sign for sign in all_signs if sign.kind is kind] for kind in PracticeKind)
    return [min(of_kind, key=lambda sign: (not sign.practice, sign.line)) for of_kind in of_kinds if of_kind]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls in a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The last part of the name that is called: ``autocast`` for ``torch.amp.autocast(...)``; empty if it has none."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def receiver(call: ast.Call) -> str:
    """The object of a method that is called: ``self.scaler`` for ``self.scaler.step(...)``; empty for a function."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def optimizer_steps(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of ``step`` on an optimizer or a gradient scaler, by their names."""
    return (call for call in calls(tree) if called(call) == "step" and _STEPPED.search(receiver(call)))


def _of_calls(tree: ast.Module) -> Iterator[Sign]:
    """The signs in calls, by the names that are called and by keywords."""
    inner = set(_in_learn(tree))
    for call in calls(tree):
        name, keywords = called(call), {keyword.arg: keyword.value for keyword in call.keywords}
        if _is_constant(keywords.get("enabled"), False):
            continue
        for pattern, kind, practice in _CALLS:
            if not re.fullmatch(pattern, name):
                continue
            if name == "AveragedModel" and keywords.keys() & {"avg_fn", "multi_avg_fn"}:
                yield Sign(PracticeKind.EMA, "ema", name, call.lineno)
            else:
                yield Sign(kind, practice or _practice_of_dtype(call), name, call.lineno)
        smoothing = keywords.get("label_smoothing")
        if smoothing is not None and not _is_constant(smoothing, 0.0):
            yield Sign(PracticeKind.LABEL_SMOOTHING, "label_smoothing", "label_smoothing", call.lineno)
        if call in inner and _IN_LEARN.fullmatch(name):
            yield Sign(PracticeKind.CURRICULUM, "", name, call.lineno)
        if name in ("clamp_", "clamp", "clip_") and re.search(r"\.grad\b", receiver(call)):
            yield Sign(PracticeKind.CLIPPING, "clip_value", f"grad.{name}", call.lineno)


def _in_learn(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls in functions named ``learn``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "learn":
            yield from calls(node)


def _practice_of_dtype(call: ast.Call) -> str:
    """The practice that the dtype of an autocast tells; empty if it tells none, or for another call."""
    if called(call) != "autocast":
        return ""
    parts = re.findall(r"\w+", ast.unparse(call))
    return next((practice for dtype, practice in _DTYPES.items() if dtype in parts), "")


def _is_constant(node: ast.expr | None, value: float) -> bool:
    """Whether an expression is a literal with this value."""
    return isinstance(node, ast.Constant) and not isinstance(node.value, str) and node.value == value


def _by_hand(tree: ast.Module) -> Iterator[Sign]:
    """The signs in statements that people write out: accumulation, moving averages, mixed images."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _is_of_several_batches(node):
            yield Sign(PracticeKind.ACCUMULATION, "", f"if {ast.unparse(node.test)}", node.lineno)
        elif isinstance(node, ast.For) and _WEIGHTS.search(ast.unparse(node.iter)):
            yield from _averages(node)
    yield from _mixed(tree)


def _is_of_several_batches(node: ast.If) -> bool:
    """Whether a branch makes an update in some batches, by their number: ``if (step + 1) % 4 == 0:``."""
    counts = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod) for part in ast.walk(node.test))
    if not counts and not _ACCUMULATES.search(ast.unparse(node.test)):
        return False
    return any(True for statement in node.body for _ in optimizer_steps(statement))


def _averages(loop: ast.For) -> Iterator[Sign]:
    """The signs in a loop over the weights of a network that moves an average of each towards it."""
    for statement in ast.walk(loop):
        if not isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign)):
            continue
        text = ast.unparse(statement)
        if _OF_OPTIMIZER.search(text) or not _MOVES.search(text):
            continue
        kind, practice = (PracticeKind.AVERAGING, "swa") if _MEAN.search(text) else (PracticeKind.EMA, "ema")
        yield Sign(kind, practice, text, statement.lineno)


def _mixed(tree: ast.Module) -> Iterator[Sign]:
    """The sign of images that are mixed by a weight from a beta distribution with others of their batch."""
    drawn = [call for call in calls(tree) if called(call) in ("Beta", "beta")]
    others = [call for call in calls(tree) if called(call) in ("randperm", "permutation", "flip", "roll")]
    if not drawn or not others:
        return
    pasted = any(
        _is_box(node.targets[0]) and _is_box(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)
    )
    first = min(drawn, key=lambda call: call.lineno)
    yield Sign(PracticeKind.MIXUP, "cutmix" if pasted else "mixup", ast.unparse(first.func), first.lineno)


def _is_box(node: ast.expr) -> bool:
    """Whether an expression is a part of images with bounds in two dimensions."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
        return False
    return sum(isinstance(part, ast.Slice) and part.lower is not None for part in node.slice.elts) >= 2
