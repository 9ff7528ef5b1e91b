"""Compositions in words: in many forms, each of which determines the learning rate at each step."""

from lrgen.finetune.instructions.compositions.forms import Form, possible
from lrgen.finetune.instructions.compositions.rules import SYSTEM
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms
from lrgen.finetune.instructions.compositions.words import text, words

__all__ = ["SYSTEM", "Form", "Lengths", "Levels", "Terms", "possible", "text", "words"]
