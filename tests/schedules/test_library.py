"""``lrgen.schedules``: the function of each schedule against its curve, its copies, its errors and its imports."""

import ast
import copy
import inspect
import pickle
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import schedules
from lrgen.errors import CatalogueError, ParameterError, UnknownNameError
from lrgen.render import library
from lrgen.schedules import SCHEDULES
from tests.paths import REPOSITORY
from tests.schedules.traces import BASE_LR, CLOSE, drive, expected, follow, rates, sgd

PACKAGE = REPOSITORY / "lrgen" / "schedules"
STEPS, HORIZON = 26, 24  # two steps past the end

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)


def test_the_modules_are_what_the_catalogue_renders(catalogue):
    """The generated modules are those that ``make schedules`` writes."""
    for name, text in library.modules(catalogue, catalogue.schedules).items():
        assert (PACKAGE / name).read_text(encoding="utf-8") == text, f"{name} is not current: make schedules"


@every_schedule
def test_a_schedule_follows_its_curve(catalogue, schedule):
    """With its defaults a schedule has the learning rates of its curve at each step, also past the end."""
    optimizer = sgd()
    scheduler = schedules.make(schedule.name, optimizer, HORIZON)
    traced = [rates(optimizer), *follow(optimizer, scheduler, drive(schedule, STEPS))]
    np.testing.assert_allclose(traced, expected(catalogue, schedule, STEPS, HORIZON), rtol=0, atol=CLOSE * BASE_LR)


def test_a_schedule_follows_its_curve_over_any_horizon(catalogue):
    """Over any horizon and from any base learning rate, a schedule has the learning rates of its curve."""

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(schedule=st.sampled_from(SCHEDULES), horizon=st.integers(1, 200), base_lr=st.floats(1e-8, 1e3))
    def follows(schedule, horizon, base_lr):
        optimizer = sgd(base_lr)
        scheduler = schedules.make(schedule.name, optimizer, horizon)
        traced = [rates(optimizer), *follow(optimizer, scheduler, drive(schedule, horizon + 2))]
        curve = expected(catalogue, schedule, horizon + 2, horizon, base_lr)
        np.testing.assert_allclose(traced, curve, rtol=0, atol=CLOSE * base_lr)

    follows()


@pytest.mark.parametrize(
    "schedule", [entry for entry in SCHEDULES if entry.hyperparameters], ids=lambda schedule: schedule.name
)
def test_hyperparameters_have_the_effect_that_they_have_on_the_curve(catalogue, schedule):
    """With other hyperparameters than its defaults a schedule has the learning rates of its curve."""
    values = {given.name: given.low + 0.37 * (given.high - given.low) for given in schedule.hyperparameters}
    optimizer = sgd()
    scheduler = schedules.make(schedule.name, optimizer, HORIZON, **values)
    traced = [rates(optimizer), *follow(optimizer, scheduler, drive(schedule, HORIZON))]
    curve = expected(catalogue, schedule, HORIZON, HORIZON, **values)
    np.testing.assert_allclose(traced, curve, rtol=0, atol=CLOSE * BASE_LR)


@pytest.mark.filterwarnings("ignore:.*has been overridden")  # a copy of the optimizer counts its steps anew
@every_schedule
def test_copies_go_on_as_the_original(schedule):
    """A pickled and a deep-copied scheduler go on with the learning rates of the original."""
    optimizer = sgd()
    scheduler = schedules.make(schedule.name, optimizer, HORIZON)
    steps = drive(schedule, HORIZON)
    list(follow(optimizer, scheduler, steps[:9]))
    copies = [pickle.loads(pickle.dumps(scheduler)), copy.deepcopy(scheduler)]
    going_on = list(follow(optimizer, scheduler, steps[9:]))
    for other in copies:
        assert list(follow(other.optimizer, other, steps[9:])) == going_on


@every_schedule
def test_a_saved_schedule_resumes(tmp_path, schedule):
    """The states of a scheduler and its optimizer, saved and loaded as plain tensors, resume the learning rates."""
    optimizer = sgd()
    scheduler = schedules.make(schedule.name, optimizer, HORIZON)
    steps = drive(schedule, HORIZON)
    list(follow(optimizer, scheduler, steps[:9]))
    torch.save([optimizer.state_dict(), scheduler.state_dict()], tmp_path / "state.pt")
    resumed = sgd()
    rebuilt = schedules.make(schedule.name, resumed, HORIZON)
    of_optimizer, of_scheduler = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed.load_state_dict(of_optimizer)
    rebuilt.load_state_dict(of_scheduler)
    assert list(follow(resumed, rebuilt, steps[9:])) == list(follow(optimizer, scheduler, steps[9:]))


def test_the_state_of_another_schedule_is_not_accepted():
    """The state of another schedule, or of another horizon, is a ValueError."""
    state = schedules.wsd_linear(sgd(), 100).state_dict()
    with pytest.raises(ValueError, match="expected a state of"):
        schedules.wsd_linear(sgd(), 101).load_state_dict(state)
    with pytest.raises(ValueError, match="expected a state of"):
        schedules.wsd_cosine(sgd(), 100).load_state_dict(state)


def test_a_function_is_named_as_its_schedule_and_has_its_hyperparameters(catalogue):
    """Each schedule of the catalogue has a function of its name, with its hyperparameters and their defaults."""
    assert [entry.number for entry in SCHEDULES] == [entry.number for entry in catalogue.schedules]
    for entry in SCHEDULES:
        arguments = inspect.signature(getattr(schedules, entry.name)).parameters
        assert list(arguments)[:2] == ["optimizer", "total_steps"]
        defaults = {name: given.default for name, given in list(arguments.items())[2:]}
        assert defaults == catalogue.variant(entry.number).defaults
        assert defaults == {given.name: given.default for given in entry.hyperparameters}


def test_no_function_has_the_name_of_a_module():
    """No name that ``lrgen.schedules`` exports is that of one of its modules."""
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules & set(schedules.__all__) == set()
    assert all(hasattr(schedules, name) for name in schedules.__all__)


def test_the_library_imports_torch_alone():
    """The modules of the library import torch, the standard library, each other and the exceptions, when imported."""
    for path in PACKAGE.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                own = module == "lrgen.errors" or module.startswith("lrgen.schedules.")
                assert own or module.split(".")[0] in {"torch", *sys.stdlib_module_names}, f"{path.name}: {module}"


@pytest.mark.parametrize("name", ["wsd_linear", "A0_132", "132", 132])
def test_a_schedule_is_found_by_name_and_number(name):
    """``find`` takes a name or a number."""
    assert schedules.find(name).name == "wsd_linear"


def test_a_former_name_is_found():
    """``make`` takes the former name of a schedule that was renamed."""
    assert schedules.find("SWALR_cosine_base").name == "cosine_anneal_to_constant"
    assert schedules.make("SWALR_cosine_base", sgd(), 10).schedule[1] == 10


@pytest.mark.parametrize(
    ("name", "total_steps", "hyperparameters", "message"),
    [
        ("wsd_linear", 0, {}, "wsd_linear: total_steps must be at least 1, got 0"),
        ("wsd_linear", -3, {}, "wsd_linear: total_steps must be at least 1, got -3"),
        ("wsd_linear", 10.5, {}, "wsd_linear: total_steps must be a whole number, got 10.5"),
        ("wsd_linear", True, {}, "wsd_linear: total_steps must be a whole number, got True"),
        ("plateau_smoothed", 0, {}, "plateau_smoothed: total_steps must be at least 1, got 0"),
        ("constant", 5, {}, "unknown schedule 'constant'"),
        ("wsd_linear", 9, {"warmup_fraction": 1.5}, r"wsd_linear: warmup_fraction must lie in \[0, 1\], got 1.5"),
        ("wsd_linear", 9, {"warmup_fraction": -0.1}, r"warmup_fraction must lie in \[0, 1\], got -0.1"),
        ("wsd_linear", 9, {"warmup_fraction": float("nan")}, "warmup_fraction must be a number, got nan"),
        ("wsd_linear", 9, {"warmup_fraction": "0.1"}, "warmup_fraction must be a number, got '0.1'"),
        ("wsd_linear", 9, {"warmup_fraction": True}, "warmup_fraction must be a number, got True"),
        ("wsd_linear", 9, {"warmup_fraction": float("inf")}, "warmup_fraction must be a number, got inf"),
        ("wsd_linear", 9, {"warmup_fraction": 10**400}, r"warmup_fraction must lie in \[0, 1\], got 1000"),
        ("wsd_linear", None, {}, "wsd_linear: total_steps must be a whole number, got None"),
        ("wsd_linear", "9", {}, "wsd_linear: total_steps must be a whole number, got '9'"),
        ("StepLR_default", 0, {"gamma_typo": 1}, "unknown hyperparameter of StepLR_default 'gamma_typo'"),
        (0, 9, {}, "unknown schedule '0'"),
        (999, 9, {}, "unknown schedule '999'"),
        (None, 9, {}, "unknown schedule 'None'"),
        ("wsd_linear", 9, {"warmup": 0.1}, "unknown hyperparameter of wsd_linear 'warmup': .*warmup_fraction"),
        ("wsd_liner", 9, {}, "unknown schedule 'wsd_liner': did you mean wsd_linear"),
        ("", 9, {}, "unknown schedule ''"),
    ],
)
def test_wrong_arguments_are_named(name, total_steps, hyperparameters, message):
    """A wrong number of steps, value or name is an error of lrgen that names the argument, the value and the place."""
    with pytest.raises((ParameterError, UnknownNameError), match=message):
        schedules.make(name, sgd(), total_steps, **hyperparameters)


def test_a_function_checks_as_make_does():
    """The function of a schedule checks its arguments before it touches the optimizer."""
    optimizer = sgd()
    with pytest.raises(ParameterError, match="decay_fraction must lie in"):
        schedules.wsd_linear(optimizer, 10, decay_fraction=2)
    assert rates(optimizer) == [BASE_LR] * 3
    assert all("initial_lr" not in group for group in optimizer.param_groups)


def test_a_template_with_other_statements_is_refused(catalogue, monkeypatch):
    """A schedule whose code has more than imports, classes and functions cannot become a module of a family."""
    monkeypatch.setattr(library.Renderer, "schedule", lambda self, variant: "import math\n\nX = 1\n")
    with pytest.raises(CatalogueError, match="X = 1 is neither an import, a class nor a function"):
        library.modules(catalogue, catalogue.schedules[:1])
