"""Instructions of the tasks in many words: a module for each task, without examples, answers or grades."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """A request and the system's message, which together state what a correct answer needs."""

    prompt: str
    system: str
