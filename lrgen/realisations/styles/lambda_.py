"""A callable for LambdaLR."""

from lrgen.curves.compositions import Composition
from lrgen.realisations import naming
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import (
    FACTORS,
    arguments,
    closure,
    constants,
    free,
    functor,
    groups_of,
    lambdas,
    returns,
)
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.layout import assembled, called, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style

BUILDERS = (
    "make_scheduler",
    "build_scheduler",
    "get_scheduler",
    "create_scheduler",
    "make_lr_scheduler",
    "get_lr_scheduler",
    "configure_scheduler",
    "scheduler_for",
)


def check(composition: Composition) -> None:
    """Every composition can be written as a callable."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function that builds the scheduler, or the callable alone."""
    form = choices.pick("lambda.form", ("closure", "closure", "closure", "free", "class", "factory", "alone"))
    schedule: list[str] = []
    if form == "class":
        d = draft(composition, choices, prefix="self.", places=("self", "module", "self"))
        own = naming.class_name(choices, d.labels, ("Schedule", "Factor", "Multiplier", "Lambda"))
        schedule = functor(d, own)
        if not any("def __init__" in line for line in schedule):
            form = "free"  # a class without state is a function
    if form != "class":
        places = ("local", "module", "default") if form in ("free", "alone") else ("local", "module")
        d = draft(composition, choices, places=places)
    if form == "alone" and groups_of(d) is None:
        entry = d.fresh("inner", FACTORS)
        code = free(d, entry)
        interface = Interface(Call.FACTOR, entry, takes_horizon=d.takes_total)
        return Realisation(Style.LAMBDA, assembled([constants(d), code]), interface)
    entry = d.fresh("entry", BUILDERS)
    above: list[list[str]] = []
    within: list[str] = []
    if form == "class":
        above = [schedule]
        function = d.fresh("instance", ("schedule", "factor", "lr_lambda", "curve"))
        within = [f"{function} = {own}({d.total if d.takes_total else ''})"]
        if groups_of(d) is None and choices.odds("instance.inline", 0.6):
            function, within = within[0].split(" = ", 1)[1], []
    elif form in ("free", "alone"):
        own = d.fresh("inner", FACTORS)
        above = [free(d, own)]
        function = own
        if d.takes_total:
            if choices.odds("partial", 0.4):
                function = f"partial({own}, {d.total}={d.total})"
            else:
                function = f"lambda {d.step}: {own}({', '.join(arguments(d))})"
            if groups_of(d) is not None:
                if function.startswith("lambda"):
                    bound = d.fresh("bound", ("base", "shared", "curve", "common"))
                    within = [f"def {bound}({d.step}):", f"    return {own}({', '.join(arguments(d))})", ""]
                else:
                    bound = d.fresh("bound", ("base", "shared", "curve", "common"))
                    within = [f"{bound} = {function}"]
                function = bound
    elif form == "factory":
        own = d.fresh("inner", FACTORS)
        factory = d.fresh("factory", ("make_lambda", "make_factor", "build_lambda", "schedule_fn", "get_lambda"))
        outer = docstring(d)
        inner = closure(d, own, documented=not outer)
        kind = "Callable[[int], float]" if d.hints else ""
        above = [
            [
                *signature(factory, [d.parameter(d.total, "int")] if d.takes_total else [], kind),
                *indented([*outer, *inner, f"return {own}"]),
            ]
        ]
        function = f"{factory}({d.total if d.takes_total else ''})"
        if groups_of(d) is not None:
            bound = d.fresh("bound", ("base", "shared", "curve", "common"))
            within = [f"{bound} = {function}"]
            function = bound
    else:
        function = d.fresh("inner", FACTORS)
        within = closure(d, function, documented=not docstring(d, "docstring.build"))
    return _built(d, entry, above, within, function)


def _built(d: Draft, entry: str, above: list[list[str]], within: list[str], function: str) -> Realisation:
    parameters = [d.parameter("optimizer", "Optimizer")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
    definitions, argument = lambdas(d, function)
    last = called("return LambdaLR", ["optimizer", argument], depth=1)
    if d.choices.odds("keyword", 0.25):
        last = called("return LambdaLR", ["optimizer", f"lr_lambda={argument}"], depth=1)
    documented = docstring(d, "docstring.build") if not above else []
    lines = [
        *signature(entry, parameters, returns(d, "LambdaLR")),
        *indented([*documented, *within, *definitions, *last]),
    ]
    return Realisation(
        Style.LAMBDA,
        assembled([constants(d), *above, lines]),
        Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total),
    )
