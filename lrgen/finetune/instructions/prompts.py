"""Requests of task prompts: to read the model and the learning rate from a text."""

import random
import re

from lrgen.config import LrExtraction
from lrgen.finetune.phrasing import phrase

_FENCED = re.compile(r"^```text\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def request(text: str, rates: LrExtraction, chance: random.Random) -> str:
    """Return a request to read a text; ``rates`` has the range of learning rates and the default."""
    low, high = (f"{value:g}" for value in rates.lr_range)
    rule = phrase(chance.choice(_RULES), chance, default=f"{rates.default_lr:g}", low=low, high=high)
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
    "{form} {rule} {opener}\n\n{text}",
)

_OPENERS = (
    "Which model and which learning rate does this text name?",
    "[Extract|Read] the model and the learning rate from [the|this] text.",
    "[Find|Identify] the active model and the learning rate[ in this text|].",
    "What [is|would be] trained here, and with which learning rate?",
    "[Parse|Please parse] this [message|text] for a training service.",
    "[A user|Someone] sent [the|this] text. Which model and learning rate [do they mean|is it about]?",
    "[Fill in|Complete] the training request from [the|this] text.",
    "Model and learning rate[, please|]?",
    "[Turn|Convert] this text into a [training|job] configuration.",
    "[I need|We need] the model and the learning rate [that this text asks for|of this text].",
    "[Read|Look through] the text and [pick out|note] the model and the learning rate.",
    "Which network does the text [select|choose], and at which learning rate?",
    "[Information extraction|Slot filling]: model and learning rate.",
    "[Our bot|The bot] has to start a run from this text.",
    "[For our|For the] experiment tracker: which model, which learning rate?",
    "Tag this text with [its|the] model and learning rate.",
    "[Given|From] the text, determine the model [to train|] and [its|the] learning rate.",
    "[Can|Could] you [read|get] the model and the learning rate [from|out of] this?",
    "[Summarize|Reduce] this text to the model and the learning rate.",
    "The text [below|] may name a model and a learning rate.",
    "[Classify|Annotate] this text: model, learning rate.",
    "Take the model and the learning rate from this [input|text].",
    "What are the model and the learning rate in this text?",
    "Normalize this [request|text] to model and learning rate.",
    "[Structured output|Structured data], please: the model and the learning rate of this text.",
)

_FORMS = (
    "[Answer|Reply] with a JSON object with the keys `model` and `learning_rate`.",
    'Return [only |]{"model": …, "learning_rate": …}, filled in.',
    "[Answer in JSON only|JSON only]: `model`, `learning_rate`.",
    "[Output|The output is] one JSON object, keys `model` and `learning_rate`.",
    "[Give|Write] `model` and `learning_rate` as JSON[, without any explanation|].",
)

_RULES = (
    "`model` is null if the text names none or is ambiguous; `learning_rate` is the first one between {low} and {high} "
    "or, if there is none, {default}.",
    "[Use|Set] null for a model that is missing or ambiguous. The first learning rate between {low} and {high} counts; "
    "without one, [use|take] {default}.",
    "No model, or several candidates: null. Of several learning rates the first from {low} to {high}; without one, "
    "{default}.",
    "If no model or more than one could be meant, `model` is null. Learning rates outside of {low} to {high} do not "
    "count, the first one inside does, and {default} is the default.",
    "Without a clear model [put|write] null. [Put|Write] the first learning rate that is at least {low} and at most "
    "{high}, otherwise {default}.",
    "The model is null when [absent|missing] or unclear, the learning rate the first number for it within {low} to "
    "{high}, or {default} when [absent|missing].",
)
