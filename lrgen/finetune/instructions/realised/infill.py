"""Requests of task infill about the code of compositions: the schedule in words, and code with a hole."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune import wording
from lrgen.finetune.holes import Hole, Kind
from lrgen.finetune.instructions import compositions
from lrgen.finetune.instructions.compositions import interfaces
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Realisation


def request(realisation: Realisation, composition: Composition, hole: Hole, chance: random.Random) -> str:
    """Return a request for the code at the placeholder."""
    mark = f"`{hole.placeholder}`"
    is_expression = hole.kind is Kind.EXPRESSION
    openers = _OPENERS_OF_EXPRESSIONS if is_expression else _OPENERS
    opener = phrase(chance.choice((*openers, *_OPENERS_OF_ALL)), chance, mark=mark)
    closer = phrase(chance.choice(_CLOSERS_OF_EXPRESSIONS if is_expression else _CLOSERS), chance, mark=mark)
    total = interfaces.total(realisation, composition)
    words = compositions.words(composition, chance, realisation.interface, total=total)
    lead = phrase(chance.choice(_LEADS), chance)
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        code=wording.fenced(hole.code),
        opener=opener,
        closer=closer,
        schedule=f"{lead}\n\n{words}".strip(),
    )


_LAYOUTS = (
    "{opener}\n\n{schedule}\n\n{code}\n\n{closer}",
    "{opener} {closer}\n\n{code}\n\n{schedule}",
    "{opener}\n\n{code}\n\n{schedule}\n\n{closer}",
    "{schedule}\n\n{opener}\n\n{code}\n\n{closer}",
    "{code}\n\n{opener} {closer}\n\n{schedule}",
    "{opener} {closer}\n\n{schedule}\n\n{code}",
)

_LEADS = (
    "",
    "",
    "[The schedule|Schedule]:",
    "[What it has to do|What is wanted|The specification]:",
    "[The learning rate|Learning rate]:",
    "[For reference|For context], the schedule:",
)

_OPENERS_OF_ALL = (
    "Complete this code at {mark}.",
    "Fill in {mark}.",
    "What belongs [at|in place of] {mark}?",
    "Replace {mark} with [working|the missing] code.",
    "[Something|A piece] is missing [in|from] this schedule, at {mark}.",
    "{mark} [marks|stands for] code that was lost[ in a merge|].",
    "[A bad merge|An editor crash] has cost me a piece of this schedule. It was at {mark}.",
    "[Restore|Reconstruct] the code at {mark}.",
    "Code completion: [continue|complete] at {mark}.",
    "This [schedule|scheduler] [is not finished|is incomplete]: see {mark}.",
    "[Can|Could] you [complete|finish] this [schedule|scheduler] at {mark}?",
    "I am stuck at {mark}.",
    "How would you [complete|finish] this code at {mark}?",
    "Only {mark} is [missing|left to write].",
    "[Please|Please do] finish this schedule; {mark} is open.",
    "The reviewer asks for {mark} to be filled in.",
    "[From the description|Given the description], complete {mark}.",
    "[Exercise|Task]: fill the gap at {mark}.",
    "The rest of this code is right; write what goes at {mark}.",
    "[Here|This] is a schedule with a gap at {mark}.",
    "The schedule below has to run tonight, and {mark} is still open.",
    "[My|Our] schedule lacks one piece: {mark}.",
    "[A colleague|Someone] left {mark} in this code.",
    "Make this code do what the description says: write {mark}.",
    "Which code at {mark} gives this learning rate?",
)

_OPENERS = (
    "Implement {mark} in this code.",
    "Write the lines that are missing at {mark}.",
    "Which lines [go|belong] at {mark}?",
    "The block at {mark} is [missing|still to be written].",
    "Fill in the middle: the lines at {mark}.",
    "This code [stops|breaks off] at {mark} and goes on after it. Write what is between.",
    "Write the [part|block] of this schedule that {mark} stands for.",
    "The statements at {mark} were deleted[ by mistake|]. Write them again.",
    "[Turn|Change] {mark} into code.",
    "The comment {mark} should become code.",
)

_OPENERS_OF_EXPRESSIONS = (
    "Which expression [goes|belongs] at {mark}?",
    "One expression is missing in this code: {mark}.",
    "Give the expression for {mark}.",
    "{mark} stands for [one|a single] expression. Which one?",
    "Replace {mark} with an expression, so that the code follows the schedule.",
    "What should {mark} be?",
    "Solve for {mark}.",
    "[Find|Write] the expression that {mark} [hides|stands for].",
)

_CLOSERS = (
    "[Answer|Reply] with the missing lines only.",
    "[Give|Send] me only the code that replaces {mark}.",
    "[Only|Just] the missing code, please.",
    "[Do not repeat|Leave out] the rest of the code.",
    "[Return|Show] the lines for {mark} and nothing else.",
    "Nothing but the missing lines, please; no explanation.",
    "The answer is the block alone, without the code around it.",
)

_CLOSERS_OF_EXPRESSIONS = (
    "[Answer|Reply] with the expression only.",
    "[Only|Just] the expression, please.",
    "[Return|Give] the expression and nothing else.",
    "The answer is the expression alone, without the rest of the line.",
    "Nothing but the expression, please.",
)
