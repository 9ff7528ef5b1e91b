"""The answer in a completion: code, a diff, a JSON object or text, in the forms that models write.

Code may stand alone, in a Markdown fence, in ``<nn>`` tags or between sentences. Of several parts, the answer is the
last of those that define most of what the task asks for, so that neither an example of use behind the answer nor a
quotation of the question before it is taken. Text in ``<think>`` is no answer.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.errors import DatasetError
from lrgen.score import blocks, patches
from lrgen.score.blocks import PROSE, Block, framed, parsed
from lrgen.source import sections

RAW, FENCE, TAG = "raw", "fence", "tag"

_FACTORY, _NETWORK, _DECLARES = "make_scheduler", "Net", "supported_hyperparameters"
_ASKED = {
    "write": (_FACTORY, _NETWORK),
    "prefer": (_FACTORY, _NETWORK),
    "edit": (_FACTORY, _NETWORK),
    "repair": (_FACTORY, _NETWORK),
    "infill": (_FACTORY,),
    "convert": (_FACTORY,),
}
_PATCHED = ("edit", "repair")
_CODE = ("python", "py", "python3", "")
_DIFF = ("diff", "patch")
_DEFINITION = re.compile(rf"^(?:async[ ]+)?(?:def|class)[ ]+({_FACTORY}|{_NETWORK})\b", re.MULTILINE)
_FACTORY_LINE = re.compile(rf"^def {_FACTORY}\b", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:class|def|@|#)", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ELISION = re.compile(r"^[ \t]*(?:#[ \t]*)?(?:\.\.\.|…)", re.MULTILINE)
_OBJECT = re.compile(r"\{[^{}]*\}")
_KEYS = frozenset({"model", "learning_rate"})  # of task prompts
_MAX_OTHER_OBJECTS = 100  # without these keys, that are read
_VERDICT = re.compile(
    r"^[^\w\n]*(?:(?:my|the) )?(?:final )?(?:verdict|answer|judge?ment|conclusion)[^\w\n]+(?:is[^\w\n]+)?"
    r"((?:correct|incorrect|good|wrong|bad|yes|no|true|false)\b.*)|\\boxed\{(?:\\text\{)?(\w+)",
    re.MULTILINE | re.IGNORECASE,
)
_STEP = re.compile(r"[^\w\n]*(?:step[^\w\n]*)?(\d{1,9})[`\"*)\]]*[ \t]*(?:[:=|,→–]|-+>)[^\n]*\d", re.IGNORECASE)
_WIDTH = 300  # of a line that states a learning rate


@dataclass(frozen=True)
class Answer:
    """The answer in a completion.

    Attributes:
        text: the text that is graded.
        form: its form in the completion: ``raw``, ``fence``, ``tag`` or ``prose``.
    """

    text: str
    form: str


def answer_of(task: str, completion: str) -> Answer | None:
    """Return the answer in a completion of a task; None when nothing in it has the requested form."""
    text = blocks.normalised(completion)
    if task in _ASKED:
        return _code(task, text)
    text = blocks.without_reasoning(blocks.finished(text))
    return _object(text) if task == "prompts" else _words(task, text)


# Code and diffs.


@dataclass(frozen=True)
class _Candidate:
    """A part of a completion that may be the answer.

    Attributes:
        text: the code or the diff.
        form: the form of the part.
        defined: the names that it defines, of those that a task may ask for.
        is_diff: whether it is a unified diff.
    """

    text: str
    form: str
    defined: frozenset[str] = frozenset()
    is_diff: bool = False

    def rank(self, task: str) -> tuple[int, bool, bool]:
        """Return the order of preference of a candidate; 0 of what is asked for excludes it."""
        if self.is_diff:
            return (len(_ASKED[task]) if task in _PATCHED else 0), True, True
        is_whole = _ELISION.search(self.text) is None
        return len(self.defined & set(_ASKED[task])), is_whole, task == "convert" and _NETWORK in self.defined


def _code(task: str, text: str) -> Answer | None:
    for code, form in _alone(text):
        if _defined(code) & set(_ASKED[task]) and parsed(code) is not None:
            return Answer(_requested(task, code), form)
    text = blocks.without_reasoning(blocks.finished(text))
    tagged = blocks.tagged(text)
    for content in reversed(tagged):
        if chosen := _best(task, content):
            return Answer(_requested(task, chosen.text), TAG)
    untagged = blocks.untagged(text) if tagged else text
    if chosen := _best(task, untagged):
        is_raw = chosen.form == PROSE and _bare(framed(untagged)) == _bare(chosen.text)
        return Answer(_requested(task, chosen.text), RAW if is_raw else chosen.form)
    if tagged:
        attempt = _attempt(tagged[-1])
        return Answer(attempt.text if attempt else framed(tagged[-1]), TAG)
    return _attempt(text)


def _alone(text: str) -> Iterator[tuple[str, str]]:
    """Yield a text that may be code from its first line to its last, or the code of the only fence that it is."""
    code = framed(text)
    if not code.startswith(("```", "~~~")):
        yield code, RAW
    elif len(parts := blocks.split(text)) == 1 and parts[0].language != PROSE:
        yield framed(parts[0].text), FENCE


def _best(task: str, text: str) -> _Candidate | None:
    """Return the last of the candidates of the highest rank; None when none defines what is asked for."""
    best, best_rank = None, (1, False, False)
    for candidate in _candidates(text, with_diffs=task in _PATCHED):
        if (rank := candidate.rank(task)) >= best_rank:
            best, best_rank = candidate, rank
    return best


def _candidates(text: str, *, with_diffs: bool) -> Iterator[_Candidate]:
    for block in blocks.split(text):
        is_prose = block.language == PROSE
        form = PROSE if is_prose else FENCE
        lines = block.text.split("\n")
        at = 0
        for patch in patches.find(lines, alone=not is_prose) if with_diffs else ():
            yield from _of_code("\n".join(lines[at : patch.begin]), block, form)
            yield _Candidate(patch.text, form, is_diff=True)
            at = patch.end
        yield from _of_code("\n".join(lines[at:]), block, form)


def _of_code(code: str, block: Block, form: str) -> Iterator[_Candidate]:
    """Yield the candidates in the code of a block; a block that is not code alone has sentences around it."""
    is_labelled = block.language in _CODE and block.is_closed
    is_code = is_labelled or (block.language != PROSE and parsed(framed(code)) is not None)
    for run in map(framed, [code] if is_code else blocks.runs(code)):
        if defined := _defined(run):
            yield _Candidate(run, form, defined)


def _defined(code: str) -> frozenset[str]:
    """Return the names that code defines, of those that a task may ask for; a definition without a body is none.

    Code that is cut off or wrong defines what its lines begin to define.
    """
    names = frozenset(_DEFINITION.findall(code))
    tree = parsed(code) if names else None
    if tree is None:
        return names
    definitions = [node for node in tree.body if isinstance(node, _DEFINITIONS) and not _is_stub(node)]
    return frozenset(node.name for node in definitions) & names


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Return whether the body of a definition is a docstring, ``...`` or ``pass``."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in node.body
    )


def _bare(text: str) -> list[str]:
    """Return the lines of a text that matter, where it may be a diff."""
    return [line for line in text.split("\n") if line.strip() and not line.startswith(patches.IGNORED)]


def _attempt(text: str) -> Answer | None:
    """Return what is in the form of an answer but defines nothing that is asked for; None for prose."""
    fences = [block for block in blocks.split(text) if block.language != PROSE]
    for block in reversed(fences):
        code = framed(block.text)
        if block.language in _DIFF or (block.language in _CODE and (block.language or _has_statements(code))):
            return Answer(code, FENCE)
    raw = framed(text)
    return Answer(raw, RAW) if not fences and _has_statements(raw) else None


def _has_statements(code: str) -> bool:
    """Return whether code is Python with a statement that is not an expression, as a single word of prose is."""
    tree = parsed(code)
    return tree is not None and any(not isinstance(node, ast.Expr) for node in tree.body)


def _requested(task: str, code: str) -> str:
    """Return the part of a repeated file that belongs at the placeholder of task infill; else the code."""
    return _middle(code) or _begun(code) or code if task == "infill" else code


def _begun(code: str) -> str | None:
    """Return the beginning, up to the end of ``make_scheduler``, of a file whose rest is ``# ...``."""
    if not (elision := _ELISION.search(code)) or not (factory := _FACTORY_LINE.search(code)) or parsed(code):
        return None
    following = _TOP_LEVEL.search(code, factory.end())
    if following is None or elision.start() < following.start():
        return None
    begun = framed(code[: following.start()])
    return begun if parsed(begun) else None


def _middle(code: str) -> str | None:
    """Return ``make_scheduler`` of a whole file with its own helpers, below the imports that they use.

    None when the code is no whole file, or when they use a value or a definition that stands elsewhere in it.
    """
    tree = parsed(code)
    names = [getattr(node, "name", "") for node in tree.body] if tree else []
    if tree is None or any(names.count(name) != 1 for name in (_FACTORY, _NETWORK, _DECLARES)):
        return None
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in tree.body):
        return None
    if len(code.splitlines()) != code.count("\n"):
        return None  # a character ends a line of text that is no end of a line of Python
    try:
        parts = sections.parse(code)
    except (DatasetError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    if (middle := parsed(parts.middle)) is None:
        return None
    used = {node.id for node in ast.walk(middle) if isinstance(node, ast.Name)}
    begin = parts.prefix.count("\n")
    end = begin + parts.middle.count("\n")
    imports: list[str] = []
    for node in tree.body:
        if begin < node.lineno <= end:
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports += _imported(node, used)
        elif _bound(node) & used and (node.lineno > end or not isinstance(node, _DEFINITIONS)):
            return None
    return framed("\n".join([*imports, "\n" if imports else "", parts.middle]))


def _imported(node: ast.Import | ast.ImportFrom, used: set[str]) -> Iterator[str]:
    """Yield an import statement of those of its names that are used."""
    node.names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
    if node.names:
        yield ast.unparse(node)


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module binds."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


# JSON and text.


def _object(text: str) -> Answer | None:
    """Return the last JSON object of those that have most of the requested keys."""
    if _loaded(text) is not None:
        return Answer(text.strip(), RAW)
    parts = [(block.text, PROSE if block.language == PROSE else FENCE) for block in blocks.split(blocks.untagged(text))]
    parts += [(content, TAG) for content in blocks.tagged(text)]
    best: Answer | None = None
    best_rank = (False, 0)
    for content, form in parts:
        matches = list(_OBJECT.finditer(content))
        for at, match in enumerate(matches):
            if not any(key in match[0] for key in _KEYS) and at < len(matches) - _MAX_OTHER_OBJECTS:
                continue
            value = _loaded(match[0])
            if value is None:
                continue
            rank = (value.keys() == _KEYS, len(value.keys() & _KEYS))
            if rank >= best_rank:
                best, best_rank = Answer(match[0], form), rank
    return best


def _loaded(text: str) -> dict[str, object] | None:
    """Return a JSON object; None for any other text."""
    text = text.strip()
    if not text.startswith("{") or not text.endswith("}"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _words(task: str, text: str) -> Answer | None:
    """Return the text of an answer in words or numbers, without fences and without quoted code."""
    tagged = blocks.tagged(text)
    text = tagged[-1] if tagged else text
    parts = [part for part in blocks.split(text) if part.language == PROSE or not _DEFINITION.search(part.text)]
    prose = [part for part in parts if part.language == PROSE]
    if task in _VERDICTS:
        parts = prose or parts
    whole = "\n".join(part.text.strip("\n") for part in parts).strip()
    answer = _RESTRICTED[task](whole) if task in _RESTRICTED else whole
    if not answer:
        return None
    if tagged:
        form = TAG
    elif answer == text.strip():
        form = RAW
    else:
        form = PROSE if prose else FENCE
    return Answer(f"{answer}\n", form)


def _verdict(text: str) -> str:
    """Return the last verdict that a text announces as such; without one, the text."""
    announced = ""
    for match in _VERDICT.finditer(text):
        announced = match[1] or match[2]
    return announced or text


def _steps(text: str) -> str:
    """Return the last lines of a text that repeat the learning rates of all steps or, as a summary, of several ones.

    A text that states no learning rate twice is returned as it is.
    """
    groups: list[dict[int, list[str]]] = [{}]
    for line in text.split("\n"):
        if step := _STEP.match(line[:_WIDTH]):
            groups[-1].setdefault(int(step[1]), []).append(line)
        elif line.strip() and groups[-1]:
            groups.append({})
    stated = [group for group in groups if group]
    steps = set().union(*stated)
    if sum(map(len, stated)) == len(steps):
        return text
    earlier = set().union(*stated[:-1])
    for group in reversed(stated):
        if group.keys() >= steps or (group is stated[-1] and len(group) > 1 and group.keys() <= earlier):
            return "\n".join(line for lines in group.values() for line in lines)
    return text


def _judgement(text: str) -> str:
    """Return the last verdict that a text announces, with what follows; what precedes it comes last."""
    announced = None
    for announced in _VERDICT.finditer(text):  # noqa: B007  the last one
        pass
    if announced is None:
        return text
    at = announced.start(1) if announced[1] else announced.start(2)
    return f"{text[at:].strip()}\n{text[: announced.start()].strip()}".strip()


_VERDICTS = ("feedback", "judge")
_RESTRICTED = {"feedback": _verdict, "judge": _judgement, "trace": _steps}
