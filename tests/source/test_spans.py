"""Edits of texts at their nodes."""

import ast

import pytest

from lrgen.source.spans import Edit, Parsed, overlap

TEXT = '''"""Länge."""

def f(x):
    return (x + 1) / 2  # half
'''


def of(kind: type[ast.AST]) -> tuple[Parsed, ast.AST]:
    code = Parsed(TEXT)
    return code, next(node for node in code.nodes if isinstance(node, kind))


def test_an_edit_leaves_the_rest_of_the_text_as_it_is():
    """Comments stay, and characters of several bytes before the edit do not shift it."""
    code, node = of(ast.BinOp)
    assert code.of(node) == "(x + 1) / 2"
    assert code.edited([code.operator(node, "/", "//")]) == TEXT.replace("/ 2", "// 2")
    assert code.edited([]) == TEXT


def test_edits_are_applied_in_the_order_of_their_places():
    """Two edits do not shift each other; those of one place only touch the text there."""
    code = Parsed("a = 1\nb = 2\n")
    first, second = (node for node in code.nodes if isinstance(node, ast.Constant))
    assert code.edited([code.replaced(second, "22"), code.replaced(first, "111")]) == "a = 111\nb = 22\n"


def test_an_inner_expression_keeps_its_parentheses_where_it_needs_them():
    """Within an operation a sum is in parentheses, alone it is not."""
    for text, expected in (("y = 2 * min(1, a + b)\n", "y = 2 * (a + b)\n"), ("y = min(1, a + b)\n", "y = a + b\n")):
        code = Parsed(text)
        call = next(node for node in code.nodes if isinstance(node, ast.Call))
        assert code.edited([code.unwrapped(call, call.args[1])]) == expected


def test_statements_are_left_out_and_put_before_and_after():
    """Whole lines are moved."""
    code = Parsed("if a:\n    b()\n    c()\n")
    first, second = code.tree.body[0].body
    moved = [code.before(first, "    c()\n"), code.without(second)]
    assert code.edited(moved) == "if a:\n    c()\n    b()\n"
    assert code.edited([code.after(second, "d()\n")]) == "if a:\n    b()\n    c()\nd()\n"


@pytest.mark.parametrize(
    ("other", "expected"), [(Edit(3, 4, ""), True), (Edit(6, 8, ""), True), (Edit(9, 9, ""), False)]
)
def test_edits_overlap_when_they_touch(other, expected):
    """Neighbouring edits count as overlapping."""
    assert overlap([Edit(2, 6, "x")], [other]) is expected
