"""As the schedules of transformers: a function of keywords, partial, and LambdaLR."""

from lrgen.curves.compositions import Composition, Shape
from lrgen.realisations import naming
from lrgen.realisations.bodies import body
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import constants, groups_of, hoisted, lambdas, returns
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.layout import assembled, called, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.records import Unit


def check(composition: Composition) -> None:
    """Every composition can be written as transformers writes schedules."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """``get_..._schedule(optimizer, num_training_steps, last_epoch=-1)``."""
    d = draft(composition, choices, places=("default", "local", "module"))
    noun = "steps" if composition.unit is Unit.BATCH else "epochs"
    step = f"current_{noun[:-1]}"
    total = choices.pick("total", (f"num_training_{noun}", f"num_training_{noun}", f"num_{noun}"))
    ends = naming.ends(choices, d.labels, noun)
    if choices.odds("num", 0.5):
        ends = tuple(f"num_{end}" if end.endswith(noun) else end for end in ends)
    d.step, d.total, d.noun, d.end_names = step, total, noun, ends
    d.used |= {step, total, *ends, d.period}
    stem = "_".join(_named(d, 0, choices.pick("stem.length", (2, 2, 3, 1))))
    with_warmup = d.labels[0].startswith("warm") and len(d.labels) > 1 and choices.odds("with_warmup", 0.6)
    if with_warmup:
        stem = "_".join(_named(d, 1, choices.pick("stem.length", (2, 3, 3, 2))))
    entry = f"get_{stem}_schedule" + ("_with_warmup" if with_warmup else "")
    if choices.odds("nested", 0.35):
        return _nested(d, entry)
    return _partial(d, entry, f"_{entry}_lr_lambda")


def _named(d: Draft, first: int, last: int) -> tuple[str, ...]:
    """The labels that a function is named for: not a hold or a warm-up alone, nor one shape by two words."""
    while last < len(d.phases) and (d.phases[last - 1].shape is Shape.HOLD or (last == 1 and d.phases[0].rises)):
        last += 1
    own = [label.removeprefix("final_") for label in d.labels[first:last]]
    return tuple(label for i, label in enumerate(own) if not naming.is_repeated(label, own[:i]))


def _nested(d: Draft, entry: str) -> Realisation:
    """As the older ones: ``lr_lambda`` within the function."""
    d.hoists = True
    helpers, lines = hoisted(body(d))
    inner = [*(d.lines_of_settings() if d.place == "local" else []), *d.setup, *helpers, ""]
    inner += [*signature("lr_lambda", [d.parameter(d.step, "int")], returns(d, "float"), 1), *indented(lines), ""]
    return _finished(d, entry, [], inner, "lr_lambda", d.defaults())


def _partial(d: Draft, entry: str, own: str) -> Realisation:
    """As the newer ones: a function of keywords at module level."""
    lines = body(d)
    setup = d.setup
    within = not setup or d.choices.odds("setup.within", 0.4)
    needed = [d.total] if d.takes_total else []
    if not within:
        names = [line.split(" = ")[0] for line in setup]
        text = "\n".join(lines)
        needed = [each for each in (*names, *needed) if each in text]
    parameters = [d.parameter(d.step, "int")]
    keywords = [d.parameter(each, "int") for each in needed]
    used = "\n".join(lines if not within else [*setup, *lines])
    if keywords:
        parameters += ["*", *keywords]
    others = [default for default in d.defaults() if _name(default) not in used]
    above_settings = d.lines_of_settings() if d.place != "module" else []
    if d.place == "default":  # the function that is called by nobody else has no parameters that nobody gives
        above_settings = [line for line in above_settings if line.split(" = ")[0] in used]
    function = [
        *signature(own, parameters, returns(d, "float")),
        *indented([*([] if not within else [*above_settings, *setup]), *_used(above_settings, used, within), *lines]),
    ]
    inner = [] if within else [*_unused(above_settings, used), *setup]
    if not needed:
        return _finished(d, entry, [function], inner, own, others)
    arguments = [own, *(f"{each}={each}" for each in needed)]
    inner += called("lr_lambda = partial", arguments, depth=1)
    return _finished(d, entry, [function], inner, "lr_lambda", others)


def _name(default: str) -> str:
    """The name of a parameter with a default."""
    return default.split("=")[0].split(":")[0].strip()


def _used(settings: list[str], text: str, within: bool) -> list[str]:
    """The settings that the function needs, where the ends are computed elsewhere."""
    return [] if within else [line for line in settings if line.split(" = ")[0] in text]


def _unused(settings: list[str], text: str) -> list[str]:
    return [line for line in settings if line.split(" = ")[0] not in text]


def _finished(
    d: Draft, entry: str, above: list[list[str]], inner: list[str], function: str, defaults: list[str]
) -> Realisation:
    parameters = [d.parameter("optimizer", "Optimizer")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
    parameters += [*defaults, "last_epoch: int = -1" if d.hints else "last_epoch=-1"]
    definitions, argument = lambdas(d, function) if groups_of(d) is not None else ([], function)
    last = called("return LambdaLR", ["optimizer", argument, "last_epoch"], depth=1)
    if d.choices.odds("keyword", 0.3):
        last = called("return LambdaLR", ["optimizer", argument, "last_epoch=last_epoch"], depth=1)
    lines = [
        *signature(entry, parameters, returns(d, "LambdaLR")),
        *indented([*docstring(d, odds=0.5), *inner, *definitions, *last]),
    ]
    return Realisation(
        Style.TRANSFORMERS,
        assembled([constants(d), *above, lines]),
        Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total),
    )
