"""The facts about a composition that an explanation must state: its phases in order, restarts, groups and the end.

An explanation is prose, a list, a table, YAML or JSON. A part of it (a line, a row, a sentence, an object) states a
phase if it has the shape, the levels in order and the length, and no number that the phase does not have.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lrgen.curves.compositions import Composition, Shape

_CLOSE = 5e-3  # relative
_ZERO = 1e-9
_NUMBER = r"(?:\d{1,3}(?:[,_]\d{3})+|\d*\.?\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rf"(?<![\w.])(?P<value>{_NUMBER})(?: ?/ ?(?P<divisor>\d+))?(?P<percent> ?%)?(?!(?!x\b)\w|\.\d)"
    r"|\b(?P<word>zero|half|third|two thirds|quarter|three quarters|fifth|tenth|one|two|three|four|five|six|seven|eight"
    r"|nine|ten|eleven|twelve|once|twice)\b"
    r"|(?P<base>(?:the )?(?:base|initial|full) (?:learning rate|lr|rate)\b|`?base_lr`?)",
    re.IGNORECASE,
)
_WORDS = {
    "zero": 0.0,
    "half": 0.5,
    "third": 1 / 3,
    "two thirds": 2 / 3,
    "quarter": 0.25,
    "three quarters": 0.75,
    "fifth": 0.2,
}
_WORDS |= {"tenth": 0.1, "once": 1.0, "twice": 2.0}
_WORDS |= {
    word: float(number)
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
}
_SHAPES = {
    Shape.HOLD: r"constant|hold|held|plateau|flat|stays?|remains?|kept|keeps?",
    Shape.LINEAR: r"linear|straight",
    Shape.COSINE: r"cosine",
    Shape.POLYNOMIAL: r"polynomial|quadratic|cubic|power",
    Shape.EXPONENTIAL: r"exponential|geometric|constant factor",
    Shape.ONE_MINUS_SQRT: r"sqrt|square[- ]root",
    Shape.INVERSE_SQRT: r"inverse[-_ ]?(?:sqrt|square)",
    Shape.STEPS: r"step[-_ ]?decay|staircase|stages|stepwise|steps|gamma",
    Shape.TRIANGULAR: r"triang|cycle",
    Shape.SAWTOOTH: r"saw|restart|cycle|in a row",
    Shape.COSINE_CYCLES: r"(?=.*cosine).*(?:cycle|restart)",
}
_CURVES = (Shape.LINEAR, Shape.COSINE, Shape.POLYNOMIAL, Shape.EXPONENTIAL, Shape.ONE_MINUS_SQRT)
_ALLOWED = {
    Shape.TRIANGULAR: {Shape.LINEAR},
    Shape.SAWTOOTH: {Shape.LINEAR},
    Shape.COSINE_CYCLES: {Shape.COSINE},
    Shape.INVERSE_SQRT: {Shape.ONE_MINUS_SQRT},
    Shape.POLYNOMIAL: {Shape.POLYNOMIAL, Shape.ONE_MINUS_SQRT},
}
_WORDS_OF = {
    shape: re.compile(rf"\b{words}" if "(?=" not in words else words, re.I | re.S) for shape, words in _SHAPES.items()
}
_BREAKS = re.compile(
    r"(?<=[.!?])\s+(?=[A-Z`(\d])|\n|; (?:then|it then|after that)\b|, (?:and then|then|followed by)\b"
    r"| -> (?=[a-z]|1 ?- ?sqrt)"
)
_END = re.compile(r"\b(after|afterwards|past|beyond|end|later|continues|goes on|after_end)\b", re.IGNORECASE)
_REPEAT = re.compile(r"repeat|period|cycle|round|restart|times", re.IGNORECASE)
_GROUP = re.compile(r"group|multiplier", re.IGNORECASE)
_REST = re.compile(r"\b(?:end|remaining|rest|last|whole|all|during|over the|for the)\b")
_TIMES = ("of ", "times ", "* ", "x ")
_UNDERSCORE = re.compile(r"(?<=[a-z])_(?=[a-z])")
_FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_ITEM = re.compile(r"^\s*- ", re.MULTILINE)
_DATA = re.compile(r"(?:\s*\w+: [^\n]*\n)*\s*\w+:\s*\n\s*- \w+:")  # YAML whose fence was taken away


@dataclass(frozen=True)
class _Stated:
    """A number of a text; ``is_base``: the base learning rate by its name."""

    value: float
    is_base: bool = False


def stated(composition: Composition, text: str) -> dict[str, bool]:
    """Return by name whether a text states each fact about a composition."""
    parts = [_UNDERSCORE.sub(" ", part) for part in _parts(text)]
    best: dict[str, bool] = {}
    for scale in (1.0, float(composition.base_lr)):
        stated = _facts(composition, parts, scale)
        if not best or sum(stated.values()) > sum(best.values()):
            best = stated
    return best


def _facts(composition: Composition, parts: list[str], scale: float) -> dict[str, bool]:
    facts, at, begin = {}, 0, Fraction(0)
    used: set[int] = set()
    for index, phase in enumerate(composition.phases):
        fits = _Phase(composition, index, begin, scale)
        position = next((other for other in range(at, len(parts)) if fits.is_stated(parts[other])), None)
        facts[f"phase {index + 1}"] = position is not None
        if position is not None:
            at = position + 1
            used.add(position)
        begin += phase.length
    others = [part for index, part in enumerate(parts) if index not in used]
    final = composition.phases[-1].end * composition.repeat_decay ** (composition.repeats - 1)
    facts["the level after the end"] = any(
        _END.search(part)
        and (any(_is_level(each, float(final), scale) for each in _numbers(part)) or "level of the last stage" in part)
        for part in others
    )
    if composition.repeats > 1:
        wanted = [float(composition.repeats)]
        wanted += [float(composition.repeat_decay)] if composition.repeat_decay != 1 else []
        text = " ".join(part for part in others if _REPEAT.search(part))
        facts["the repeats"] = all(_is_in(_numbers(text), value) for value in wanted)
    if set(composition.groups) != {Fraction(1)}:
        text = " ".join(part for part in others if _GROUP.search(part))
        facts["the multipliers of the parameter groups"] = all(
            _is_in(_numbers(text), float(group)) for group in composition.groups
        )
    return facts


class _Phase:
    """A phase, and what a part of a text must have to state it."""

    def __init__(self, composition: Composition, index: int, begin: Fraction, scale: float) -> None:
        self._phase = phase = composition.phases[index]
        self._scale = scale
        self._first = index == 0
        before = composition.phases[index - 1] if index else None
        self._follows = before is not None and before.end == phase.start
        steps = Fraction(composition.horizon, composition.repeats)
        end = begin + phase.length
        self._is_last = end == 1
        lengths = {phase.length, phase.length * steps}
        bounds = {begin, end, begin * steps, end * steps, end * steps - 1}
        self._lengths = [float(value) for value in lengths]
        self._ends = [float(value) for value in (end, end * steps, end * steps - 1)]
        self._others = [*self._lengths, *self._ends]
        self._others += [float(begin), float(begin * steps)] if self._follows else []
        counts: set[Fraction | int] = {
            phase.count,
            phase.count - 1,
            phase.power,
            phase.decay,
            1 / phase.decay,
            index + 1,
            1,
            2,
        }
        levels = {float(level) * scale for level in (phase.start, phase.end, phase.peak)}
        self._allowed = [*levels, *(float(value) for value in lengths | bounds | counts)]
        self._allowed += [float(composition.horizon), float(composition.repeats), float(steps)]

    def is_stated(self, part: str) -> bool:
        """Return whether a part of a text states the phase, and nothing else."""
        phase = self._phase
        if not _WORDS_OF[phase.shape].search(part):
            return False
        wrong = set(_CURVES) - {phase.shape} - _ALLOWED.get(phase.shape, set())
        if any(_WORDS_OF[shape].search(part) for shape in wrong):
            return False
        numbers = list(_numbers(part))
        if not all(each.is_base or any(_is_close(each.value, other) for other in self._allowed) for each in numbers):
            return False
        return self._has_length(numbers, part) and self._has_levels(numbers) and self._has_counts(numbers)

    def _has_length(self, numbers: list[_Stated], part: str) -> bool:
        if any(_is_in(numbers, value) for value in self._lengths):
            return True
        end = any(_is_in(numbers, value) for value in self._ends)
        return end or (self._is_last and _REST.search(part) is not None)

    def _has_levels(self, numbers: list[_Stated]) -> bool:
        """Whether the levels are among the numbers, in order; one of the others may have the value of a level."""
        others = [at for at, each in enumerate(numbers) if any(_is_close(each.value, value) for value in self._others)]
        return any(self._are_levels(numbers, but) for but in (None, *others))

    def _are_levels(self, numbers: list[_Stated], but: int | None) -> bool:
        phase = self._phase
        starts = self._positions(numbers, phase.start, but)
        if phase.shape in (Shape.HOLD, Shape.STEPS):
            return bool(starts)
        ends = self._positions(numbers, phase.peak if phase.shape is Shape.TRIANGULAR else phase.end, but)
        if not starts:
            return self._follows and bool(ends)
        in_order = any(start + 1 in ends for start in starts)
        reversed_order = any(end + 1 in starts for end in ends)
        return bool(ends) and (in_order or (not reversed_order and min(starts) < max(ends)))

    def _has_counts(self, numbers: list[_Stated]) -> bool:
        phase = self._phase
        wanted: list[Fraction | int] = []
        if phase.shape is Shape.POLYNOMIAL and phase.power != 1:
            wanted.append(phase.power)
        if phase.shape is Shape.STEPS or (phase.shape.is_cyclic and phase.count > 1):
            wanted += [phase.count] + ([phase.decay] if phase.decay != 1 else [])
        return all(_is_in(numbers, float(value)) for value in wanted)

    def _positions(self, numbers: list[_Stated], level: Fraction, but: int | None) -> list[int]:
        return [at for at, each in enumerate(numbers) if at != but and _is_level(each, float(level), self._scale)]


def _parts(text: str) -> Iterator[str]:
    """Yield the parts of a text in order: objects of JSON, items of YAML, rows, lines, sentences."""
    rest = text
    for match in _FENCE.finditer(text):
        rest = rest.replace(match[0], "\n")
        yield from _of_data(match[1])
    if text.lstrip().startswith("{") or _DATA.match(text):
        yield from _of_data(text)
        return
    yield from (part for part in _BREAKS.split(rest) if part.strip())


def _of_data(code: str) -> Iterator[str]:
    try:
        content: Any = json.loads(code)
    except ValueError:
        for number, item in enumerate(_ITEM.split(code)):
            if number == 0:
                yield from item.splitlines()
                continue
            head, *others = item.splitlines()
            own = [line for line in others if line.startswith("    ")]
            yield " ".join([head, *(line.strip() for line in own)])
            yield from (line for line in others if not line.startswith("    "))
        return
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from (json.dumps(each) for each in value)
        else:
            yield f"{key}: {json.dumps(value)}"


def _numbers(text: str) -> Iterator[_Stated]:
    for match in _TOKEN.finditer(text):
        if match["base"]:
            if not text[: match.start()].rstrip("`").endswith(_TIMES):  # of a number before it
                yield _Stated(1.0, is_base=True)
        elif match["word"]:
            yield _Stated(_WORDS[match["word"].casefold()])
        else:
            value = float(re.sub("[,_]", "", match["value"])) / (int(match["divisor"] or 1) or 1)
            yield _Stated(value / 100 if match["percent"] else value)


def _is_close(value: float, expected: float) -> bool:
    return abs(value - expected) <= max(_CLOSE * abs(expected), _ZERO)


def _is_in(numbers: Any, value: float) -> bool:
    return any(_is_close(each.value, value) for each in numbers)


def _is_level(number: _Stated, level: float, scale: float) -> bool:
    return level == 1 if number.is_base else _is_close(number.value, level * scale)
