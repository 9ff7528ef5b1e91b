"""Normal forms of code."""

from lrgen.source.normalise import definitions_digest, digest, schedule_digest
from tests.corpus import source


def test_code_is_compared_by_its_syntax_tree():
    """Formatting, comments and docstrings do not change the digest, names and numbers do."""
    code = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'
    assert digest(code) == digest("def f(x):\n\n    return (x + 1)\n") != digest("def f(x): return x + 2")
    assert definitions_digest("a text") is definitions_digest("x = 1") is None
    assert definitions_digest(code) == digest(code)


def test_the_schedule_digest_covers_the_helpers():
    """The digest of a schedule covers the classes that it uses and not the network."""
    changed = source(37).replace("0.5 * (1 + math.cos", "0.25 * (1 + math.cos")
    assert changed != source(37)
    assert schedule_digest(source(37)) != schedule_digest(changed)
    assert schedule_digest(source(37)) == schedule_digest(source(37).replace("nn.Conv2d", "nn.LazyConv2d"))
