"""Normal forms of code."""

import ast

from lrgen.source.normalise import definitions_digest, digest, names_digest, schedule_digest
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


def test_the_digest_up_to_names_ignores_what_a_module_calls_its_own():
    """Names of variables, functions, classes and attributes of self do not count; calls, numbers and interface do."""
    source = (
        "class Net:\n    def learn(self, data):\n        self.body = conv(data, 3)\n        return self.body.size\n"
    )

    def same(changed: str) -> bool:
        return names_digest(ast.parse(source)) == names_digest(ast.parse(changed))

    assert same(source.replace("body", "features").replace("data", "batches"))
    assert same('"""Words."""\n' + source)
    for old, new in (("conv", "linear"), ("3", "4"), ("learn", "train"), ("size", "shape"), ("(data, 3)", "(3, data)")):
        assert not same(source.replace(old, new)), new


def test_the_digest_up_to_names_tells_swapped_names_apart():
    """Two names that trade places in one statement are other code."""
    source = "def f(a, b):\n    return a - b\n"
    assert names_digest(ast.parse(source)) != names_digest(ast.parse(source.replace("a - b", "b - a")))
