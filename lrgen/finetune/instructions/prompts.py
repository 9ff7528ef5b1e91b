"""Requests of task prompts: to read the model and the learning rate from a text."""

import random
import re

from lrgen.config import Prompt
from lrgen.finetune.phrasing import phrase

_FENCED = re.compile(r"^```text\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def request(text: str, settings: Prompt, chance: random.Random) -> str:
    """Return a request to read a text; ``settings`` fix which model and which learning rate count."""
    rates, detection = settings.lr_extraction, settings.model_detection
    low, high = (f"{value:g}" for value in rates.lr_range)
    active = phrase(chance.choice(_ACTIVE), chance, mark=detection.active_indicator, prefix=detection.prefix)
    rule = phrase(chance.choice(_RULES), chance, active=active, default=f"{rates.default_lr:g}", low=low, high=high)
    opener = phrase(chance.choice(_OPENERS), chance)
    form = phrase(chance.choice(_FORMS), chance)
    layout = chance.choice(_LAYOUTS)
    return phrase(layout, chance, opener=opener, form=form, rule=rule, text=text)


def text_of(prompt: str) -> str:
    """Return the text of a request."""
    fenced = _FENCED.search(prompt)
    return fenced[1] if fenced else prompt.partition("\n\n")[2]


_LAYOUTS = (
    "{opener} {form} {rule}\n\n{text}",
    "{opener} {form} {rule}\n\n{text}",
    "{opener} {form}\n\n```text\n{text}\n```\n\n{rule}",
    "{opener}\n\n```text\n{text}\n```\n\n{form} {rule}",
    "```text\n{text}\n```\n\n{opener} {form} {rule}",
    "{opener} {rule} {form}\n\n{text}",
)

_OPENERS = (
    "Which model and which learning rate does this text name?",
    "[Extract|Read] the model and the learning rate from [the|this] text.",
    "[Find|Identify] the active model and the learning rate[ in this text].",
    "Which model is this text about, and with which learning rate?",
    "[Parse|Please parse] this [message|text] for a training service.",
    "[A user|Someone] sent [the|this] text. Which model and learning rate [do they mean|is it about]?",
    "[Fill in|Complete] the training request from [the|this] text.",
    "Model and learning rate[, please.|?]",
    "[Turn|Convert] this text into a [training|job] configuration.",
    "[I need|We need] the model and the learning rate [that this text asks for|of this text].",
    "[Read|Look through] the text and [pick out|note] the model and the learning rate.",
    "Which model does the text [select|ask for], and which learning rate?",
    "[Information extraction|Slot filling]: model and learning rate.",
    "[Our bot|The bot] has to start a run from this text.",
    "[For our|For the] experiment tracker: which model, which learning rate?",
    "Tag this text with [its|the] model and learning rate.",
    "[Given|From] the text, determine the model [to train|] and [its|the] learning rate.",
    "[Can|Could] you [read|get] the model and the learning rate [from|out of] this?",
    "[Reduce|Condense] this text to the model and the learning rate.",
    "This text may name a model and a learning rate.",
    "[Classify|Annotate] this text: model, learning rate.",
    "Take the model and the learning rate from this [input|text].",
    "What are the model and the learning rate in this text?",
    "[Break this text down|Boil this text down] to its model and its learning rate.",
    "[Structured output|Structured data], please: the model and the learning rate of this text.",
)

_FORMS = (
    "[Answer|Reply] with a JSON object with the keys `model` (a name or null) and `learning_rate` (a number).",
    'Return only {"model": …, "learning_rate": …}, filled in with a name or null and a number.',
    "[Answer in JSON only|JSON only]: `model` as a string or null, `learning_rate` as a number.",
    "[Output|The output is] one JSON object: `model` is a string or null, `learning_rate` a number.",
    "[Give|Write] `model` (string or null) and `learning_rate` (number) as a JSON object[, without any explanation].",
)

_RULES = (
    "{active} `model` is null if the text names none or is still ambiguous; `learning_rate` is the first one from "
    "{low} to {high} or, if there is none, {default}.",
    "{active} [Use|Put] null for a model that is missing or still ambiguous. The first learning rate from {low} to "
    "{high} counts; if there is none, [use|take] {default}.",
    "{active} If the text names no model, or several between which none of this decides, put null. Of "
    "several learning rates, take the first from {low} to {high}; if there is none, take {default}.",
    "{active} If no model or still more than one could be meant, `model` is null. Learning rates outside the range "
    "from {low} to {high} do not count; the first one inside it does, and {default} is the default.",
    "{active} Without a clear model, [write|put] null. Take the first learning rate that is at least {low} and at most "
    "{high}, otherwise {default}.",
    "{active} The model is null when [absent|missing] or still unclear. The learning rate is the first one from {low} "
    "to {high}, or {default} when there is none.",
)

_ACTIVE = (
    "Of several models, the one marked `{mark}` counts, else the one with the prefix `{prefix}`, else the one in a "
    "sentence about a checkpoint or fine-tuning.",
    "`{mark}` marks the active model. Without that mark, a name with the prefix `{prefix}` takes precedence, then one "
    "in a sentence about a checkpoint or about fine-tuning.",
    "If there are several models, choose the one before `{mark}`; [failing that|otherwise], the one with the prefix "
    "`{prefix}`, and then the one whose sentence mentions a checkpoint or fine-tuning.",
)
"""Which of several models is meant."""
