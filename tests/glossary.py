"""The glossary as data: words that lrgen does not use, what it writes instead, and where an exception is right.

``pattern`` is searched in whitespace-normalised text without regard to case, unless it says otherwise. ``example`` is a
sentence of the kind that must be found. An exception is a pattern too: a hit that lies inside a match of it is allowed,
for the reason that stands beside it.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """A kind of text."""

    RENDERED = "rendered"  # docstrings and comments of rendered files
    NETWORK = "network"  # of those, the docstrings and comments of networks; and the architectures' texts
    CATALOGUE = "catalogue"  # titles, summaries, formulas, meanings
    HELP = "help"  # --help of every command
    DOCS = "docs"  # README, CONTRIBUTING, CHANGELOG, docs/
    MESSAGES = "messages"  # string literals of lrgen: errors, reasons of checks, tables
    SOURCE = "source"  # docstrings and comments of lrgen, test claims


EVERYWHERE = frozenset(Scope)
PRODUCT = EVERYWHERE - {Scope.SOURCE}
SCHEDULES = frozenset({Scope.RENDERED, Scope.CATALOGUE})


@dataclass(frozen=True)
class Term:
    """A word or phrase that the glossary replaces."""

    pattern: str
    instead: str
    example: str
    scopes: frozenset[Scope] = PRODUCT
    exceptions: dict[str, str] = field(default_factory=dict)

    def hits(self, text: str) -> list[str]:
        """The matches that no exception covers, each with the words around it."""
        allowed = [match.span() for pattern in self.exceptions for match in re.finditer(pattern, text, re.IGNORECASE)]
        return [
            text[max(0, match.start() - 40) : match.end() + 30]
            for match in re.finditer(self.pattern, text, re.IGNORECASE)
            if not any(start <= match.start() and match.end() <= end for start, end in allowed)
        ]


TERMS = (
    # Schedules.
    Term(
        r"(?<!learning )(?<!learning-)\brates?\b",
        "learning rate",
        "the rate is halved",
        SCHEDULES,
        {
            r"(dropout|drop|decay|growth|survival|stochastic[- ]depth|drop[- ]path|atrous|dilation) rates?": (
                "a rate of something else, named as such"
            ),
        },
    ),
    Term(r"\bclimb(s|ed|ing)?\b", "increase, warm up", "the learning rate climbs to its peak"),
    Term(r"half a cosine", "cosine decay", "it falls along half a cosine"),
    Term(r"along a (straight )?line\b", "linearly", "it rises along a line"),
    Term(r"\bfalls?\b|\bfell\b|\bfalling\b", "decay, decrease", "then it falls to zero", SCHEDULES),
    Term(
        r"\b(shares?)\b(?! (one|a|the|with|their|its|weights|parameters))",
        "fraction",
        "the share of training",
        SCHEDULES,
    ),
    Term(r"\bgreatest\b", "maximum", "the greatest of the losses"),
    Term(r"(?<!standard )\bdeviations?\b", "standard deviation", "the deviation of the losses"),
    Term(r"shows (the )?(plateau|scheduler) (the )?mean", "driven by the mean training loss", "shows plateau the mean"),
    Term(r"made by the first learn", "created lazily", "it is made by the first learn"),
    Term(r"\b\d+ ?percent\b|\bper cent\b", "10%", "the last 20 percent"),
    # Networks.
    Term(r"around (a|the|its) (shortcut|skip)", "a shortcut around the convolutions", "convolutions around a shortcut"),
    Term(
        r"\bhalves (?!the (resolution|channels|width|height))",
        "downsample; halve the resolution by stride 2",
        "a block that halves the image",
        frozenset({Scope.NETWORK}),
        {r"skipped update halves the scale": "that of the loss, in float16"},
    ),
    Term(
        r"\bweighs?\b",
        "scale, rescale; squeeze-and-excitation",
        "a gate that weighs the channels",
        frozenset({Scope.NETWORK}),
    ),
    Term(
        r"\b(widens?|narrows?|widened|narrowed)\b",
        "expand, project",
        "a convolution that widens the map",
        frozenset({Scope.NETWORK}),
    ),
    Term(r"\bhelpers?\b", "auxiliary classifier", "two helpers in training", frozenset({Scope.NETWORK})),
    Term(r"\brectifiers?\b", "ReLU", "a rectifier after each convolution", EVERYWHERE),
    Term(r"\bscores\b", "logits", "returns the scores of the classes", frozenset({Scope.RENDERED, Scope.NETWORK})),
    Term(r"\bright (images|predictions|answers)\b", "correct predictions", "counts the right images"),
    Term(r"image classifier with ", "trained with", "ResNet-20 image classifier with step decay", EVERYWHERE),
    Term(r"\b(VGG|ResNet)[-\w]* (when it has|with its) ", "VGG-16-BN", "VGG-16 when it has batch norm"),
    Term(r"price of learning", "expectation term; KL term", "the price of learning", EVERYWHERE),
    # Verification.
    Term(
        r"\bun?proven\b|\bproved\b|\bproves?\b",
        "verified",
        "50 files were proved",
        EVERYWHERE,
        {
            r"they were `proved` and `unproven`": "the changelog names the words of before",
        },
    ),
    Term(
        r"\bheld to\b|\bholds? [\w ]+ to (a|its|the) (curve|variant|schedule)\b|\bpromised\b",
        "checked against, reference",
        "the variant that it is held to",
        EVERYWHERE,
    ),
    Term(
        r"memori[sz]",
        "overfit a small subset",
        "it must memorise 24 images",
        EVERYWHERE,
        {r"kind of training `memorised` is `overfit`": "the changelog names the word of before"},
    ),
    Term(r"verify again what was verified", "ignore cached results", "Verify again what was verified before."),
    Term(
        r"under the seed and those after",
        "number of consecutive seeds",
        "Runs of each file, under the seed and those after it",
    ),
    Term(r"look(s|ing)? after the", "manage", "Look after the results database."),
    Term(r"\bsay more\b", "increase verbosity", "Say more."),
    # Datasets.
    Term(
        r"\b(two|both|one|test|other) sides?\b",
        "split; leakage",
        "a file on two sides of a dataset",
        exceptions={r"secants on both sides": "of a knot of a spline"},
    ),
    Term(r"\bbreakages?\b|\bbroken files?\b", "mutation, mutant", "a breakage of a file", EVERYWHERE),
    Term(r"\bonly tested with\b", "held out for testing", "families that are only tested with"),
    # Habits.
    Term(r"\bof (ours|theirs)\b", "our own; another library's", "a module of ours", EVERYWHERE),
    Term(
        r"\b(is|are|was|were|be|been) told\b|\btells? (of|what|how|that|whether)\b|\bhears?\b|\blistens?\b",
        "report, print, read, receive",
        "what it is told",
        EVERYWHERE,
    ),
    Term(r"\bfirst document\b", "seed document's functions; the compatible API", "as in the first document"),
)

# Where old words are meant: the tables that translate them.
TRANSLATIONS = {
    "lrgen/store/migrations.py": "reads the words that earlier versions wrote",
    "lrgen/store/renamed.py": "is the table of old words",
    "lrgen/old_names.py": "is the table of old hyperparameters",
}
