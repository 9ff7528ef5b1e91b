"""Layouts of specifications: headings, prose, criteria, lists, JSON, YAML, a table, a skeleton of the file.

Each states the network, the schedule with its formula, unit, end and defaults, the training and the interface.
"""

import json
import random
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.instructions import contract, schedule
from lrgen.finetune.instructions.contract import Requirements
from lrgen.finetune.phrasing import phrase
from lrgen.finetune.wording import bullets

_WIDTH = 80  # of a docstring


@dataclass(frozen=True)
class _Facts:
    """The contents of a specification, each in words chosen once."""

    network: str
    title: str
    classes: str
    does: str
    stepped: str
    law: str
    ending: str
    parameters: list[str]
    training: str
    requirements: Requirements

    @property
    def implemented(self) -> str:
        return f"The scheduler is implemented with {self.classes}."

    @property
    def hyperparameters(self) -> list[str]:
        """Sentences on the hyperparameters of the schedule."""
        return [f"Hyperparameter {line}." for line in self.parameters] or ["The schedule has no hyperparameters."]


def _facts(file: VerifiedFile, chance: random.Random) -> _Facts:
    variant = file.variant
    return _Facts(
        network=wording.specified(file.architecture),
        title=f"{variant.title[:1].upper()}{variant.title[1:]}",
        classes=wording.implementation(file.source),
        does=wording.summary(variant),
        stepped=schedule.stepped(variant, chance),
        law=schedule.law(variant, chance),
        ending=schedule.ending(variant, chance),
        parameters=schedule.parameters(variant, chance),
        training=wording.training(file),
        requirements=contract.requirements(file, chance),
    )


def _sections(file: VerifiedFile, chance: random.Random) -> str:
    facts = _facts(file, chance)
    sections = [
        ("[Network|Model|Architecture]", facts.network),
        (
            "[Schedule|Learning-rate schedule|Learning rate]",
            f"{facts.title}. {facts.does} {facts.implemented} {facts.stepped}\n\n{facts.law}\n\n{facts.ending}",
        ),
        (
            "[Hyperparameters|Hyperparameters of the schedule|Defaults]",
            bullets(facts.parameters) or "The schedule has none.",
        ),
        ("[Training|Optimizer and loss|Training recipe]", facts.training),
        ("[Interface|Requirements|Interface of the file]", bullets(facts.requirements.all)),
    ]
    mark = chance.choice(("## ", "### ", "**"))
    close = "**" if mark == "**" else ""
    return "\n\n".join(f"{mark}{phrase(heading, chance)}{close}\n\n{text}" for heading, text in sections)


def _prose(file: VerifiedFile, chance: random.Random) -> str:
    facts = _facts(file, chance)
    paragraphs = [
        _network(file),
        f"{phrase('[The schedule is|The network is trained with]', chance)} {file.variant.title}. "
        f"{facts.does} {facts.implemented} {facts.stepped}",
        facts.law,
        " ".join([facts.ending, *facts.hyperparameters]),
        facts.training,
        " ".join(facts.requirements.all),
    ]
    return "\n\n".join(paragraphs)


def _criteria(file: VerifiedFile, chance: random.Random) -> str:
    facts = _facts(file, chance)
    heading = phrase("[Acceptance criteria|Definition of done|Done when|Criteria|What has to hold]", chance)
    box = chance.choice(("- ", "- [ ] ", "* "))
    lines = _list([wording.described(file.architecture), *_requirements(facts)], lambda number: box)
    return f"{facts.does} {facts.stepped} {facts.law}\n\n{heading}:\n\n{lines}"


def _numbered(file: VerifiedFile, chance: random.Random) -> str:
    facts = _facts(file, chance)
    heading = phrase(
        "[Requirements|Requirements in detail|The file must meet these requirements|Specification]", chance
    )
    style = chance.choice(("{}. ", "{}) ", "R{}. ", "({}) "))
    lines = _list([wording.described(file.architecture), *_requirements(facts)], style.format)
    return f"{facts.does} {facts.stepped}\n\n{facts.law}\n\n{heading}:\n\n{lines}"


def _json(file: VerifiedFile, chance: random.Random) -> str:
    return wording.fenced(f"{json.dumps(_fields(file, chance), indent=2)}\n", "json")


def _yaml(file: VerifiedFile, chance: random.Random) -> str:
    lines: list[str] = []
    for section, content in _fields(file, chance).items():
        lines.append(f"{section}:" if content else f"{section}: {{}}")
        if isinstance(content, list):
            lines += [f"  - {json.dumps(item)}" for item in content]
            continue
        for name, value in content.items():
            if not isinstance(value, dict):
                lines.append(f"  {name}: {json.dumps(value)}")
                continue
            lines.append(f"  {name}:" if value else f"  {name}: {{}}")
            lines += [f"    {key}: {json.dumps(inner)}" for key, inner in value.items()]
    return wording.fenced("".join(f"{line}\n" for line in lines), "yaml")


def _table(file: VerifiedFile, chance: random.Random) -> str:
    facts = _facts(file, chance)
    rows = [
        ("Network", facts.network),
        ("Schedule", f"{facts.title}. {facts.does}"),
        ("Scheduler", facts.classes),
        ("Unit", facts.stepped),
        ("Past the end", facts.ending),
        ("Hyperparameters", "; ".join(facts.parameters) or "none"),
        ("Training", facts.training),
    ]
    head = chance.choice(("| Item | Requirement |", "| Part | Specification |", "| Topic | Value |", "| | |"))
    table = "\n".join([head, "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])
    return f"{table}\n\n{facts.law}\n\n{bullets(facts.requirements.all)}"


def _skeleton(file: VerifiedFile, chance: random.Random) -> str:
    """A skeleton of the file with the requirements as comments and docstrings."""
    facts, needs = _facts(file, chance), contract.requirements(file, chance)
    titled = f"{file.architecture.title} trained with {file.variant.title}."
    about = " ".join([facts.does, facts.implemented, facts.stepped, facts.ending, *facts.hyperparameters])
    code = "\n".join(
        [
            _docstring(titled, f"{wording.described(file.architecture)} {facts.training}", about),
            f"\n{_comments(needs.imports)}\n",
            f"\n{_comments(needs.hyperparameters)}\ndef supported_hyperparameters(): ...\n",
            f"\n{_comments(needs.make_scheduler, needs.state)}\ndef make_scheduler(optimizer, total_steps, prm): ...\n",
            "\nclass Net(nn.Module):",
            f"{_comments(needs.net, indent=4)}\n    def __init__(self, in_shape, out_shape, prm, device): ...\n",
            f"{_comments(needs.train_setup, needs.epochs, needs.prm, indent=4)}\n    def train_setup(self, prm): ...\n",
            f"{_comments(needs.learn, needs.stepping, indent=4)}\n    def learn(self, train_data): ...",
        ]
    )
    lead = phrase(
        "[The file has this skeleton|Start from this skeleton|Complete this skeleton|This is the outline of the file]:",
        chance,
    )
    return "\n\n".join([lead, wording.fenced(f"{code}\n"), facts.law])


def _dialogue(file: VerifiedFile, chance: random.Random) -> str:
    """Questions that an engineer would ask back, with their answers."""
    facts = _facts(file, chance)
    answers = [
        ("[Which network|What is the network|Which model]?", facts.network),
        ("[Which schedule|What does the learning rate do|What is the schedule]?", f"{facts.title}. {facts.does}"),
        ("[What exactly is the learning rate|And exactly|How is it computed]?", facts.law),
        ("[When is it stepped|What is a step|Per epoch or per batch]?", facts.stepped),
        ("[What happens after the last step|And after the end|Past the end]?", facts.ending),
        ("[Which scheduler class|How is it implemented|What is it built with]?", facts.implemented),
        ("[Which hyperparameters|Which defaults|What can be set]?", _joined(facts.parameters)),
        ("[How is it trained|Optimizer and loss|Which optimizer]?", facts.training),
        ("[What is the interface|Which interface|What else has to hold]?", "\n\n" + bullets(facts.requirements.all)),
    ]
    return "\n\n".join(f"{phrase(question, chance)} {answer}".replace("? \n", "?\n") for question, answer in answers)


LAYOUTS: tuple[Callable[[VerifiedFile, random.Random], str], ...] = (
    _sections,
    _prose,
    _criteria,
    _numbered,
    _json,
    _yaml,
    _table,
    _skeleton,
    _dialogue,
)


def _requirements(facts: _Facts) -> list[str]:
    return [facts.implemented, facts.ending, *facts.hyperparameters, facts.training, *facts.requirements.all]


def _list(lines: list[str], mark: Callable[[int], str]) -> str:
    return "\n".join(f"{mark(number)}{line}" for number, line in enumerate(lines, start=1))


def _fields(file: VerifiedFile, chance: random.Random) -> dict[str, dict[str, object] | list[str]]:
    """Return a specification as data."""
    facts = _facts(file, chance)
    return {
        "network": {"title": file.architecture.title, "description": file.architecture.summary},
        "schedule": {
            "title": file.variant.title,
            "description": facts.does,
            "formula": file.variant.formula,
            "symbols": wording.symbols(file.variant),
            "advances": wording.advances(file.variant),
            "past_end": facts.ending,
            "implementation": facts.classes,
        },
        "hyperparameters": {
            parameter.name: {
                "default": _as_data(chance.choice(schedule.numerals(parameter))),
                "range": [parameter.low, parameter.high],
                "meaning": wording.marked(parameter.meaning),
            }
            for parameter in file.variant.hyperparameters
        },
        "training": [facts.training, facts.requirements.stepping],
        "interface": [line for line in facts.requirements.all if line != facts.requirements.stepping],
    }


def _as_data(numeral: str) -> float | str:
    """Return a decimal as a number; a fraction or a percentage as it is."""
    return numeral if numeral.endswith("%") or "/" in numeral else float(numeral)


def _network(file: VerifiedFile) -> str:
    """Return sentences on the network that have its title."""
    described = wording.described(file.architecture)
    named = file.architecture.title in described
    return described if named else f"We train {wording.network(file.architecture)}. {described}"


def _joined(parameters: list[str]) -> str:
    return f"{'; '.join(parameters)}." if parameters else "The schedule has no hyperparameters."


def _docstring(*paragraphs: str) -> str:
    body = "\n\n".join(
        textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) for text in paragraphs
    )
    return f'"""{body}\n"""'


def _comments(*sentences: str, indent: int = 0) -> str:
    text = textwrap.fill(" ".join(sentences), _WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent(text, f"{' ' * indent}# ")
