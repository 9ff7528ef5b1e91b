"""The kinds of faults: each a rule with the nodes that it applies to, and the reason as a reviewer writes it.

A reason is a template of lrgen.finetune.phrasing. ``{new}`` is the faulty expression and ``{old}`` the one in its
place, ``{now}`` and ``{was}`` the part that differs, ``{line}`` a statement that is missing or misplaced.
"""

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.finetune.code_faults import expressions, statements
from lrgen.finetune.code_faults.expressions import Edits, Rule
from lrgen.finetune.phrasing import phrase
from lrgen.source.spans import Parsed

Nodes = tuple[type[ast.AST], ...]
_STATEMENTS: Nodes = (ast.Expr, ast.AugAssign)
_BODIES: Nodes = (ast.FunctionDef, ast.If, ast.For)
_OPERATION: Nodes = (ast.BinOp,)


@dataclass(frozen=True)
class Kind:
    """A kind of fault; ``compounds`` if the learning rate then depends on all steps before."""

    name: str
    rule: Rule
    nodes: Nodes
    reason: str
    compounds: bool = False


@dataclass(frozen=True)
class Mutation:
    """A fault in a text: its edits, and the node that they are at."""

    kind: Kind
    edits: Edits
    node: ast.AST

    def reason(self, code: Parsed, chance: random.Random) -> str:
        """The reason why the text is then incorrect."""
        begin, end = code.span(self.node)
        if any(edit.begin == begin - 1 and edit.end == end + 1 for edit in self.edits):  # with its parentheses
            begin, end = begin - 1, end + 1
        inside = all(begin <= edit.begin and edit.end <= end for edit in self.edits)
        first = self.edits[0]
        return phrase(
            self.kind.reason,
            chance,
            old=_one_line(code.slice(begin, end)),
            new=_one_line(code.edited(self.edits, begin, end)) if inside else "",
            was=_one_line(code.slice(first.begin, first.end)),
            now=_one_line(first.new),
            line=_one_line(code.of(self.node)),
        )


def mutations(code: Parsed) -> Iterator[Mutation]:
    """Yield the mutations of a text, in the order of its nodes."""
    for node in code.nodes:
        for kind in _BY_NODE.get(type(node), ()):
            for edits in kind.rule(code, node):
                yield Mutation(kind, edits, node)


def _one_line(text: str) -> str:
    return re.sub(r"(?<=[(\[{]) | (?=[)\]}])|,(?= [)\]}])", "", " ".join(text.split())).strip()


KINDS = (
    # Progress.
    Kind(
        "counted from one",
        expressions.early,
        _OPERATION,
        "[Steps count from 0|The first step is 0], but this counts from 1, so the phase is one step ahead[: `{new}` "
        "should be `{old}`].",
    ),
    Kind(
        "progress from the start",
        expressions.from_the_start,
        _OPERATION,
        "The progress of this phase is measured from the start of training[, not from the start of the phase]; it "
        "should be `{old}`.",
    ),
    Kind(
        "divided by the end",
        expressions.over_more,
        _OPERATION,
        "The progress is divided by `{now}`, where the phase ends, instead of its length `{was}`[, so it never gets to "
        "1].",
    ),
    Kind(
        "divided by one less",
        expressions.over_less,
        _OPERATION,
        "The phase has one step fewer here: dividing by `{now}` [instead of|in place of] `{was}` makes it reach its "
        "end one step early.",
    ),
    Kind(
        "floor division",
        expressions.floored,
        _OPERATION,
        "[`//` rounds the quotient down, so it [stays 0|does not move] until the end|Floor division throws the "
        "fraction away]; this needs `/`.",
    ),
    Kind(
        "not reversed",
        expressions.not_reversed,
        _OPERATION,
        "The [progress is used where what remains is meant|complement is missing]: `{new}` should be `{old}`[, so the "
        "phase runs backwards].",
    ),
    Kind(
        "not clamped",
        expressions.unclamped,
        (ast.Call,),
        "[Nothing clamps the value|The value is not clamped], so the formula [goes|runs] on outside of its range; it "
        "needs `{old}`.",
    ),
    Kind(
        "min and max confused",
        expressions.clamped_wrongly,
        (ast.Call,),
        "It clamps to the wrong side: `{new}` should be `{old}`.",
    ),
    # Formulas.
    Kind(
        "full cosine period",
        expressions.full_period,
        _OPERATION,
        "The cosine runs over a full period[, so it comes back up]; half a period needs `{was}`, not `{now}`.",
    ),
    Kind(
        "cosine without pi",
        expressions.without_pi,
        _OPERATION,
        "The argument of the cosine [lacks|is missing] the factor pi[, so the cosine does not get to -1].",
    ),
    Kind(
        "rising cosine",
        expressions.rising_cosine,
        _OPERATION,
        "The sign of the cosine is wrong: with a minus the phase [runs the other way|starts at its end].",
    ),
    Kind(
        "cosine without half",
        expressions.without_half,
        _OPERATION,
        "The factor one half is missing: `1 + cos` goes from 2 to 0[, so the phase starts at twice its level].",
    ),
    Kind(
        "minimum added to the full range",
        expressions.added_minimum,
        _OPERATION,
        "The lower level is added to the full range: the [range is not reduced by it|span should be the difference of "
        "the levels][: `{old}`, not `{new}`].",
    ),
    Kind(
        "levels swapped",
        expressions.ends_swapped,
        _OPERATION,
        "The levels at both ends of the phase are [swapped|the wrong way round][, so it runs from the end to the "
        "start].",
    ),
    Kind("caret instead of power", expressions.caret, _OPERATION, "`^` is exclusive or in Python; the power is `**`."),
    Kind(
        "multiplied instead of raised",
        expressions.multiplied,
        _OPERATION,
        "This multiplies where a power is [needed|meant]: `*` should be `**`.",
    ),
    Kind(
        "missing square root",
        expressions.without_root,
        (ast.Call, ast.BinOp),
        "The square root is missing: `{new}` should be `{old}`.",
    ),
    Kind(
        "missing absolute value",
        expressions.without_abs,
        (ast.Call,),
        "Without `abs` the [triangle has one slope only|cycle does not come back down][, and leaves its range].",
    ),
    # Stages and cycles.
    Kind(
        "stage one step early",
        expressions.stage_early,
        _OPERATION,
        "Each stage [begins|starts] one step early: `{new}` should be `{old}`.",
    ),
    Kind(
        "not rounded down",
        expressions.not_floored,
        _OPERATION,
        "The number of the stage is not rounded down: `/` should be `//`[, or the level changes at every step].",
    ),
    Kind(
        "never restarted",
        expressions.not_restarted,
        _OPERATION,
        "Without the modulo the [cycle never starts over|schedule does not restart]: `{new}` should be `{old}`.",
    ),
    # Boundaries and numbers.
    Kind(
        "off-by-one boundary",
        expressions.boundary,
        (ast.Compare,),
        "The boundary is off by one: `{new}` should be `{old}`[, since a phase begins exactly at its first step].",
    ),
    Kind(
        "boundary of another phase",
        expressions.other_bound,
        (ast.Compare,),
        "[This compares with `{now}`, the boundary of another phase|The wrong boundary: `{now}`]; it should be "
        "`{was}`.",
    ),
    Kind(
        "neighbours swapped",
        expressions.swapped_neighbours,
        (ast.List, ast.Tuple),
        "Two of the values are [swapped|in the wrong order]: `{new}` should be `{old}`.",
    ),
    Kind(
        "wrong level",
        expressions.wrong_level,
        (ast.Constant,),
        "The [number|value] `{new}` is [wrong|off by a factor of ten]; it should be `{old}`.",
    ),
    Kind(
        "wrong number of steps",
        expressions.wrong_length,
        (ast.Constant,),
        "The number `{new}` is [wrong|not the one that was asked for]; it should be `{old}`.",
    ),
    Kind(
        "fraction used as a number of steps",
        expressions.fraction_as_steps,
        _OPERATION,
        "`{new}` is a fraction of training, but it is used as a number of steps; it should be `{old}`.",
    ),
    Kind(
        "multiple used as a learning rate",
        expressions.wrong_ratio,
        (ast.keyword,),
        "The minimum is a learning rate here, but `{now}` is a multiple of the base learning rate[; it should be "
        "`{was}`].",
    ),
    # The base learning rate.
    Kind(
        "base learning rate not applied",
        expressions.unscaled,
        _OPERATION,
        "The base learning rate is not applied: `{new}` is only the [multiplier|factor][, it should be `{old}`].",
    ),
    Kind(
        "base learning rate applied twice",
        expressions.scaled_twice,
        _OPERATION,
        "The base learning rate is [applied|multiplied in] twice: `{new}` should be `{old}`.",
    ),
    Kind(
        "learning rate returned as a factor",
        expressions.scaled_factor,
        (ast.Return,),
        "`LambdaLR` multiplies by the base learning rate itself, so this applies it twice; return `{was}`.",
    ),
    Kind(
        "current learning rate multiplied",
        expressions.compounded,
        (ast.Subscript, ast.Assign, ast.ListComp),
        "This multiplies the current learning rate instead of the base learning rate, so the [factors compound|effect "
        "accumulates] from step to step.",
        compounds=True,
    ),
    # When the schedule advances, for which horizon.
    Kind(
        "never advanced",
        statements.never_stepped,
        _STATEMENTS,
        "The schedule is never advanced[: `{line}` is missing], so the learning rate [never changes|stays where it "
        "starts].",
    ),
    Kind(
        "advanced in the wrong unit",
        statements.stepped_elsewhere,
        _STATEMENTS,
        "The schedule advances in the wrong unit: `{line}` stands at the wrong level of the [two loops|loops].",
    ),
    Kind(
        "stepped before the optimizer",
        statements.stepped_first,
        (ast.For, ast.While),
        "The scheduler is stepped before the optimizer, so every update uses the learning rate of the next step.",
    ),
    Kind(
        "wrong interval",
        statements.wrong_interval,
        (ast.Dict,),
        "Lightning steps the scheduler in the wrong unit: the interval should be `{was}`, not `{now}`.",
    ),
    Kind(
        "horizon in epochs",
        statements.horizon_in_epochs,
        _OPERATION,
        "The horizon is the number of epochs, but the schedule advances once per batch: it should be `{old}`.",
    ),
    Kind(
        "horizon of one epoch",
        statements.horizon_of_an_epoch,
        _OPERATION,
        "The horizon covers one epoch only; it should be `{old}`.",
    ),
    Kind(
        "start not subtracted",
        statements.start_kept,
        _OPERATION,
        "[The start of the phase|The phase's start] is not subtracted: it should be `{old}`[, not `{new}`].",
    ),
    # torch's schedulers.
    Kind(
        "ends of a ramp swapped",
        statements.ends_of_ramp,
        (ast.Call,),
        "`start_factor` and `end_factor` are swapped[, so the ramp runs the wrong way].",
    ),
    Kind(
        "part one step too short",
        statements.shorter_part,
        (ast.keyword,),
        "This part is one step shorter than its phase: `{new}` should be `{old}`.",
    ),
    Kind(
        "lengths used as milestones",
        statements.lengths_as_milestones,
        (ast.keyword,),
        "Milestones count from the start of training, but `{now}` is the length of a phase; it should be `{was}`.",
    ),
    Kind(
        "chained instead of sequential",
        statements.chained,
        (ast.Call,),
        "`ChainedScheduler` lets all schedulers act at once; one after the other needs `SequentialLR` with milestones.",
        compounds=True,
    ),
    Kind(
        "multiplies the previous learning rate",
        statements.multiplicative,
        (ast.Call,),
        "`MultiplicativeLR` multiplies the previous learning rate; the function returns factors of the base learning "
        "rate[, as `LambdaLR` takes them].",
        compounds=True,
    ),
    # Groups, tables, branches.
    Kind(
        "first group only",
        statements.one_group,
        (ast.For,),
        "Only the first parameter group is set[; the other groups keep their learning rates].",
    ),
    Kind(
        "multiplier of the first group",
        statements.first_multiplier,
        (ast.Subscript,),
        "Every parameter group gets the multiplier of the first one; it should be `{old}`.",
    ),
    Kind(
        "index off by one",
        statements.index_off,
        (ast.Subscript,),
        "The index is off by one: `{new}` should be `{old}`.",
    ),
    Kind(
        "bisected wrongly",
        statements.other_bisection,
        (ast.Call,),
        "At a boundary the lookup [lands in|gives] the phase before it: `{new}` should be `{old}`.",
    ),
    Kind(
        "phases swapped",
        statements.branches_swapped,
        (ast.FunctionDef, ast.If, ast.For),
        "The formulas of two phases are swapped: here it should be `{was}`.",
    ),
    # Slips.
    Kind(
        "scheduler not returned",
        statements.not_returned,
        (ast.Return,),
        "The function does not return the scheduler[, so its caller gets `None`].",
    ),
    Kind("missing import", statements.missing_import, (ast.Import,), "`{line}` is missing."),
    Kind(
        "misspelt name",
        statements.misspelt,
        (ast.Name, ast.Attribute),
        "`{new}` is not defined; the name is `{old}`.",
    ),
)

_BY_NODE: dict[type[ast.AST], tuple[Kind, ...]] = {
    node: tuple(kind for kind in KINDS if node in kind.nodes)
    for node in dict.fromkeys(node for kind in KINDS for node in kind.nodes)
}
BY_NAME = {kind.name: kind for kind in KINDS}
