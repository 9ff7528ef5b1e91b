"""Practices that a file says it has: by its name and its docstrings."""

import ast
import re

from lrgen.records import PracticeKind

TITLES = {
    PracticeKind.PRECISION: "mixed precision",
    PracticeKind.CURRICULUM: "a curriculum",
    PracticeKind.ACCUMULATION: "gradient accumulation",
    PracticeKind.CLIPPING: "gradient clipping",
    PracticeKind.EMA: "an EMA of the weights",
    PracticeKind.AVERAGING: "weight averaging",
    PracticeKind.LABEL_SMOOTHING: "label smoothing",
    PracticeKind.MIXUP: "mixup",
}
"""What each kind is called in a sentence."""

# The words for each kind, in lower case with single spaces. An EMA of a loss is none of the weights, and an
# "SWA learning rate" is a learning rate.
_WORDS: tuple[tuple[PracticeKind, str], ...] = (
    (PracticeKind.PRECISION, r"mixed precision|\bamp\b|\bbf16\b|\bfp16\b|bfloat16|float16|half precision"),
    (PracticeKind.CURRICULUM, r"curriculum|self pac(ed|ing)|\b(easy|hard) (examples )?first\b"),
    (
        PracticeKind.ACCUMULATION,
        r"gradient accumulation|grad accum\w*|accumulat\w+ (the )?gradients?|gradients? (are )?accumulated",
    ),
    (
        PracticeKind.CLIPPING,
        r"gradient clipping|grad clip\w*|clip(s|ped|ping)? (the )?(norm of the )?gradients?"
        r"|gradients? (are |is )?clipped",
    ),
    (
        PracticeKind.EMA,
        r"\bema (of (the |its )?)?(weights|model|parameters|network)\b|\b(weight|model|parameter)s? ema\b"
        r"|moving average of (the |its |all )?(weights|parameters|model|network)",
    ),
    (
        PracticeKind.AVERAGING,
        r"\bweight averaging|\bswa\b(?! ?(lr|learning|linear|cosine|anneal\w*|schedule\w*))",
    ),
    (PracticeKind.LABEL_SMOOTHING, r"label smoothing|smooth(s|ed)? (the )?labels|labels are smoothed"),
    (PracticeKind.MIXUP, r"\bmix ?up\b|\bcut ?mix\b"),
)
_NEGATION = re.compile(r"\b(no|not|without|never|neither|nor|unlike|instead of)\b")


def said(tree: ast.Module, name: str = "") -> dict[PracticeKind, str]:
    """The practices that a file names, with the words that name each; a sentence with a negation names none.

    Args:
        name: of the file.
    """
    nodes: list[ast.Module | ast.ClassDef] = [
        tree,
        *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)),
    ]
    texts = [name, *(ast.get_docstring(node) or "" for node in nodes)]
    sentences = [re.sub(r"[\s\-_]+", " ", sentence.lower()) for text in texts for sentence in re.split(r"\.\s", text)]
    first_words = {}
    for kind, pattern in _WORDS:
        matches = (re.search(pattern, sentence) for sentence in sentences if not _NEGATION.search(sentence))
        if (match := next(filter(None, matches), None)) is not None:
            first_words[kind] = match[0]
    return first_words
