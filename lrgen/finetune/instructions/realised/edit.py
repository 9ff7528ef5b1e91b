"""Requests for a change of the code of a composition, as a diff or as the whole new code."""

import random
import re
from collections.abc import Mapping

from lrgen.curves.compositions import Composition
from lrgen.finetune.instructions.compositions import rules
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import fenced
from lrgen.realisations import Realisation

PATH = "schedule.py"


def request(
    realisation: Realisation,
    composition: Composition,
    kind: str,
    fields: Mapping[str, str],
    as_diff: bool,
    chance: random.Random,
) -> str:
    """Return a request for a change of a kind, which determines the new schedule, given the old code."""
    text = phrase(
        chance.choice(_LAYOUTS),
        chance,
        opening=phrase(chance.choice(_OPENINGS), chance, entry=realisation.interface.entry),
        code=_CODE,
        change=phrase(chance.choice(_CHANGES[kind]), chance, **fields),
        advances=rules.unit(composition, chance),
        form=phrase(chance.choice(_AS_DIFF if as_diff else _AS_CODE), chance, path=PATH),
        kept=phrase(chance.choice(_KEPT), chance),
    )
    return _AT_BREAKS.sub("\n", _LOOSE.sub(" ", text)).strip().replace(_CODE, fenced(realisation.code))


_CODE = "\0"  # in place of the code, whose spaces are kept
_LOOSE = re.compile(r" {2,}")
_AT_BREAKS = re.compile(r" ?\n ?")


_LAYOUTS = (
    "{opening}\n\n{code}\n\n{change} {kept} {form}",
    "{change} {kept} {form}\n\n{code}",
    "{opening} {change}\n\n{code}\n\n{kept} {form}",
    "{opening} {advances}\n\n{code}\n\n{change} {kept} {form}",
    "{code}\n\n{opening} {change} {kept} {form}",
    "{code}\n\n{change} {form}",
    "{change} {form} {kept} {advances}\n\n{code}",
)
_OPENINGS = (
    "[Please change|Change] this schedule.",
    "This is our [current |]schedule[, and it needs a change|].",
    "[The|Our] schedule [needs|gets] one change.",
    "[Can|Could] you [change|edit] `{entry}` for me?",
    "For the next run, [this schedule|`{entry}`] has to change.",
    "Edit `{entry}`.",
    "The [last|previous] run used this schedule.",
    "[Task|Ticket|To do]: one change in `{entry}`.",
    "A review comment on this scheduler.",
    "The ablation needs a variant of this schedule.",
    "A small change to the learning rate.",
    "[I want|We want] to try a variant of this schedule.",
    "[Here is|Below is] the schedule that we [use|have].",
    "[Update|Adapt] this code.",
    "The plan has changed since this was written.",
    "Next experiment, same code with one difference.",
    "[Hi|Hello], could you adapt `{entry}`?",
    "[Modify|Adjust] the [schedule|code] [below|here].",
    "The loss curve suggests a change of this schedule.",
    "The paper does this a little differently.",
    "[Someone|A reviewer] asked for another variant.",
    "We are tuning this schedule.",
    "Take this schedule as a starting point.",
    "[Help me|Please help me] change this schedule.",
    "One request for this code.",
)
_KEPT = (
    "[All else|Everything else] stays [as it is|the same].",
    "Keep the rest[ of the code|] as it is.",
    "Change nothing else.",
    "[Names and style|The style] should stay.",
    "[Keep|Leave] the interface unchanged.",
    "",
)
_AS_DIFF = (
    "[Answer|Reply] with a unified diff of `{path}`.",
    "[Give|Send] me [the change as|] a patch for `{path}`.",
    "I only need the diff (`--- a/{path}`, `+++ b/{path}`).",
    "[Just|Only] a unified diff[ of `{path}`|], please.",
)
_AS_CODE = (
    "[Answer|Reply] with the [whole|complete] new code.",
    "[Show|Send|Return] the [complete|whole] code after the change.",
    "The [whole|complete] code, please, not a diff.",
    "[Please write out|I need] the whole new code.",
)
_CHANGES = {
    "warm-up length": (
        "The warm-up should [take|last] {new} instead of {old}; the phase after it starts where it ends and ends "
        "where it does now.",
        "[Make|Let] the warm-up [take|last] {new} (now: {old}). The next phase absorbs the difference.",
        "Warm-up: {new}, not {old}. The end of the phase after it does not move.",
    ),
    "warm-up start": (
        "The warm-up should [start|begin] at {new}[, not at {old}| instead of {old}].",
        "[Start|Begin] the warm-up at {new} (now: {old}).",
        "Let the learning rate [start|begin] at {new} rather than {old}.",
    ),
    "no warm-up": (
        "[Remove|Drop] the warm-up; the phase after it starts at step 0, from {next}, and ends where it does now.",
        "No warm-up any more: the second phase begins at once, at {next}, and takes the time of both.",
        "We no longer want the warm-up. The next phase takes over from step 0 (level {next}) and keeps its end.",
    ),
    "plateau": (
        "[Insert|Add] a plateau of {length} at {level} after the warm-up; the phase that follows is shortened by that "
        "much and ends where it does now.",
        "After the warm-up, hold {level} for {length}. The next phase starts later and ends as before.",
        "Keep {level} for {length} once the warm-up is over, [at the expense|at the cost] of the phase that "
        "comes next.",
    ),
    "final level": (
        "[The last phase|The schedule] should end at {new}[, not at {old}| instead of {old}][, and stay there|].",
        "[Let|Make] the last phase go to {new} (now: {old}), and hold that level afterwards.",
        "Final level: {new}, not {old}.",
        "The learning rate should [arrive at|approach] {new} at the end rather than {old}.",
    ),
    "cooldown": (
        "[Add|Append] a {shape} cooldown from {level} to zero over the last {length}; the present last phase is "
        "shortened by that much and still goes to {level}.",
        "The last {length} should be a cooldown to zero ({shape}), from {level}. The phase before it reaches the level "
        "that it has now at its end when the cooldown starts.",
        "[Finish|End] with a {shape} cooldown to zero of {length}. The phase before now ends earlier, at {level}, "
        "where the cooldown starts.",
    ),
    "shape": (
        "In {which}, [use|make it] {new} instead of {old}, between the same levels.",
        "[Change|Switch] {which} from {old} to {new}; its levels and its length stay.",
        "{which}: {new}, not {old}. Same levels, same steps.",
    ),
    "factor": (
        "The factor of the step decay should be {new} instead of {old}.",
        "[Use|Set] a decay factor of {new}[, not {old}| (now: {old})] from stage to stage.",
        "Gamma {new} instead of {old}, please.",
    ),
    "count": (
        "The last phase should have {new} {what} [instead of|, not] {old}, again of equal length.",
        "[Use|Make it] {new} equal {what} in the last phase (now: {old}).",
        "{new} {what} in the last phase rather than {old}.",
    ),
    "groups": (
        "The optimizer now has {count} parameter groups; their learning rates should be {multipliers} times that of "
        "the schedule, in order.",
        "[Use|Apply] the multipliers {multipliers} for the {count} parameter groups of the optimizer.",
        "Per-group learning rates: {count} groups, with the multipliers {multipliers}.",
    ),
    "horizon": (
        "Training takes {new} [instead of|, not] {old}; all phases scale in proportion.",
        "[Stretch or shrink|Rescale] the whole schedule from {old} to {new}.",
        "The run now has {new} instead of {old}. Every boundary moves in proportion.",
    ),
    "repeats": (
        "Run the whole schedule {times} [within|during] training, each time in {part} of the steps (rounded down)"
        "{factor}.",
        "Repeat everything: {count} periods of equal length, {part} of all steps each (rounded down){factor}.",
        "[Restart|Repeat] the schedule so that it runs {times}, in periods of {part} of all steps, rounded down"
        "{factor}.",
    ),
}
