"""Forms of a schedule's code, made from the rendered one."""

import ast

import black
import pytest

from lrgen.finetune import forms
from lrgen.finetune.forms import Form
from tests.corpus import source

WITH_CALLABLE, NATIVE, METRIC, LAYERWISE = 37, 1, 31, 172


@pytest.fixture(scope="module")
def made() -> dict[Form, str]:
    return forms.of(source(WITH_CALLABLE))


def test_a_schedule_with_a_callable_class_has_three_forms(made):
    """The code of a form shows which one it is; each has imports, helpers and make_scheduler."""
    assert list(made) == list(Form)
    for form, code in made.items():
        assert forms.form_of(code) is form
        assert "make_scheduler" in [getattr(node, "name", "") for node in ast.parse(code).body]
        assert code.endswith("return scheduler\n")


@pytest.mark.parametrize("number", [NATIVE, METRIC, LAYERWISE])
def test_other_schedules_have_none(number):
    """A native scheduler, a plateau and one callable for each group have no forms."""
    assert forms.of(source(number)) == {}


def test_the_closure_has_no_class_of_its_own(made):
    """The function within make_scheduler has the body of the class, with local names instead of attributes."""
    code = made[Form.CLOSURE]
    assert "class WarmupCosine" not in code
    assert "self.warmup_steps" not in code
    assert "    def factor(step: int) -> float:\n" in code
    assert "            return step / warmup_steps\n" in code


def test_the_subclass_computes_the_learning_rates(made):
    """The class overrides get_lr, keeps the checks of a state, and uses no other scheduler of torch."""
    code = made[Form.SUBCLASS]
    assert "class WarmupCosineScheduler(LRScheduler):\n" in code
    assert "LambdaLR" not in code
    assert "def load_state_dict" in code
    assert "return [base_lr * factor for base_lr in self.base_lrs]\n" in code


@pytest.mark.parametrize("number", [WITH_CALLABLE, 34, 129, 171])
def test_forms_are_formatted_and_import_what_they_use(number):
    """Black leaves each form unchanged; each imported name is used, and each used name is bound."""
    for code in forms.of(source(number)).values():
        assert black.format_str(code, mode=black.Mode()).rstrip() == code.rstrip()
        tree = ast.parse(code)
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert imported <= used
        assert ("Tensor" in used) <= ("Tensor" in imported)


def test_other_code_has_no_form():
    """A native scheduler is none of the forms; code that is not Python is an error."""
    assert forms.form_of("from torch.optim.lr_scheduler import StepLR\nStepLR(o, 3)\n") is None
    with pytest.raises(SyntaxError):
        forms.form_of("def")
