"""The contract check: LEMUR's names, signatures, shapes and hyperparameters, and no work at import time.

It also compares the gradients of a batch after two different batches (checks.gradients), the effects of the
hyperparameters (checks.hyperparameters), and what ``learn`` does without a batch.
"""

import ast

import numpy as np

from lrgen.records import Stage
from lrgen.verify import messages
from lrgen.verify.checks import architecture, gradients, hyperparameters, practices, source
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.examination import HORIZON, Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.messages import printable
from lrgen.verify.session import FileRaised, Session
from lrgen.verify.static.parsing import LOCK

STAGE = Stage.CONTRACT
_NET = "net"  # the network that most of the check uses
_SIGNATURES = {
    "__init__": ["self", "in_shape", "out_shape", "prm", "device"],
    "train_setup": ["self", "prm"],
    "learn": ["self", "train_data"],
    "forward": ["self", "x"],
}
# Channels, pixels, classes and batch size of the inputs that every network must accept. The first is trained later.
_CASES = ((3, 32, 10, 2), (1, 32, 7, 1), (3, 224, 10, 1))
_PACED = 4  # times as many batches for a curriculum, whose first quarter then has as many examples
_SIZES = [4, 4]  # two batches, as LEMUR's static evaluator passes them
_MANY = [2] * 64  # for a file that accumulates gradients
_OPTIONAL = ("criterion", "scheduler")  # LEMUR asks whether a network has them
# With no batch a mean over all images divides by zero, which is as clear as a ValueError.
_NO_BATCH = ("ValueError", "ZeroDivisionError")


def run(examination: Examination) -> None:
    """Inspect the source, load the module, build the network in several sizes and train it on two batches.

    Raises:
        CheckFailure: at the first violation of the contract.
    """
    load(examination)
    session = examination.session
    for index, case in enumerate(_CASES):
        _check_output(session, _NET if index == 0 else "other", *case)
    session.call("forget", messages.Nothing, net="other")
    claimed = examination.candidate.variant is not None
    parameters, state, every = _check_learn(examination, session)
    _check_no_batch(examination, session, state)
    sampling = _sampling(examination, parameters)
    variant = examination.candidate.variant
    # A paced curriculum chooses among all examples; its check compares the gradients of each update.
    if variant is None or variant.practice is None or not variant.practice.is_paced:
        reason = gradients.judge(gradients.measure(session, _NET, sampling, every if claimed else 1))
        if reason:
            raise CheckFailure(reason)
    hyperparameters.check(examination, session, _NET, sampling, every)
    if examination.candidate.reference is not None:
        architecture.check(examination)


def load(examination: Examination) -> None:
    """Inspect the source, and load the module.

    Raises:
        CheckFailure: at the first violation of the contract.
    """
    assert examination.tree is not None
    _check_source(examination, examination.tree)
    examination.loaded = examination.load(examination.session)
    check_loaded(examination.loaded, source.declared(examination.tree))


def check_loaded(loaded: messages.Loaded, declared: list[str]) -> None:
    """Check what loading the module did, its signatures, and its hyperparameters against those of its text.

    Raises:
        CheckFailure: at the first violation.
    """
    if loaded.printed:
        raise CheckFailure(f"the file does work at import time: it prints {loaded.printed!r}")
    if loaded.changed:
        raise CheckFailure(f"the file does work at import time: it changes torch's {' and '.join(loaded.changed)}")
    if not loaded.is_module:
        raise CheckFailure("Net must be a subclass of torch.nn.Module")
    for name, expected in _SIGNATURES.items():
        actual = loaded.signatures.get(name)
        if actual is None:
            raise CheckFailure(f"Net has no method {name}")
        if not _accepts(actual, expected):
            shown = ", ".join(parameter.removesuffix("=") for parameter in actual)
            raise CheckFailure(f"Net.{name} has the parameters ({shown}), expected ({', '.join(expected)})")
    if loaded.hyperparameters != declared:
        raise CheckFailure(f"supported_hyperparameters returns {loaded.hyperparameters}, its text {declared}")


def _accepts(actual: list[str], expected: list[str]) -> bool:
    """Whether a method with these parameters can be called as LEMUR calls it, which gives them no names.

    A single argument may have any name; of several, the names show that their order is LEMUR's.
    """
    first, further = actual[: len(expected)], actual[len(expected) :]
    names = [parameter.removesuffix("=") for parameter in first]
    if len(expected) == 2 and len(names) == 2 and not names[1].startswith("**"):
        names = expected
    return names == expected and all(parameter.startswith("*") or parameter.endswith("=") for parameter in further)


def check_set_up(set_up: messages.SetUp, claimed: bool) -> list[str]:
    """Check what ``train_setup`` sets, and that the optimizer contains every parameter that is trained.

    Without a claim a file may keep its scheduler and its criterion elsewhere, or have none, and have parameters that
    nothing trains, such as an average of others.

    Returns:
        The trained parameters that the optimizer does not contain; none of a file with a claim.

    Raises:
        CheckFailure: at the first violation.
    """
    for name in set_up.missing:
        if claimed or name not in _OPTIONAL:
            raise CheckFailure(f"train_setup does not set self.{name}")
    if not set_up.optimizer.is_optimizer:
        raise CheckFailure(f"self.optimizer is of type {set_up.optimizer.name}, expected torch.optim.Optimizer")
    if not set_up.criterion.callable and "criterion" not in set_up.missing:
        raise CheckFailure(f"self.criterion of type {set_up.criterion.name} is not callable")
    optimized = {index for group in set_up.groups for index in group.parameters}
    outside = [
        parameter.name
        for index, parameter in enumerate(set_up.parameters)
        if parameter.trained and index not in optimized
    ]
    if claimed:
        require_no_gradient(outside)
    return outside


def require_no_gradient(trained: list[str]) -> None:
    """Require that no parameter outside the optimizer is trained.

    Raises:
        CheckFailure: if there are any; the message names the first.
    """
    if trained:
        raise CheckFailure(f"the optimizer does not contain the parameter {printable(trained[0], 100)}")


def check_learned(
    learned: messages.Learned,
    changed: bool,
    claimed: bool,
    expected: int = len(_SIZES),
    every: int = 1,
    batches: int = len(_SIZES),
) -> None:
    """Check the number of updates, that the weights have changed, and what ``learn`` returned.

    Without a claim a file may accumulate the gradients of several batches, or step twice for each, and return anything:
    LEMUR does not read it.

    Args:
        changed: whether any weight has changed.
        expected: the number of updates of a file with a claim.
        every: the number of batches of an update that is claimed.
        batches: their number in all.

    Raises:
        CheckFailure: at the first violation.
    """
    updates = len(learned.steps)
    if updates == 0:
        raise CheckFailure("learn never steps the optimizer")
    if claimed and updates != expected:
        each = "one per batch" if every == 1 else f"one for {every} batches"
        raise CheckFailure(f"the number of optimizer steps in learn is {updates}, expected {expected} ({each})")
    if not changed:
        raise CheckFailure(f"learn changes no parameter in {batches} batches")
    result = learned.result
    if result.kind == "nothing" or not claimed:
        return
    accuracy, loss = result.accuracy, result.loss
    if result.kind != "pair" or accuracy is None or loss is None or not 0 <= accuracy <= 1:
        raise CheckFailure(
            f"learn returns {result.text or (accuracy, loss)}, expected None or (accuracy, loss), "
            "where the accuracy is from 0 to 1 and the loss is finite"
        )


def check_no_batch(
    before: messages.State, after: messages.State, raised: FileRaised | None, claimed: bool = True
) -> str:
    """Check what ``learn`` did without a batch; returns what is worth recording, or nothing.

    A file that advances its schedule after the loop counts such an epoch as an epoch, and may divide by zero
    afterwards. A ValueError refuses it, which must leave everything as it was. Without a claim it may raise anything.

    Raises:
        CheckFailure: if the weights have changed, if the schedule has beside a ValueError, or at another exception.
    """
    does = "learn without a batch" if raised is None else f"learn without a batch raises {raised}"
    if raised is not None and claimed and raised.raised.type not in _NO_BATCH:
        raise CheckFailure(f"{does}, expected ValueError or nothing")
    also = " and" if raised is not None else ""
    if (after.weights, after.buffers) != (before.weights, before.buffers):
        raise CheckFailure(f"{does}{also} changes the weights or buffers of the network")
    if (after.rates, after.scheduler_state) == (before.rates, before.scheduler_state):
        return "" if raised is None or raised.raised.type in _NO_BATCH else does
    if raised is not None and claimed and raised.raised.type == "ValueError":
        raise CheckFailure(f"{does}{also} changes the schedule")
    return f"{does}{also} advances the schedule"


def _check_source(examination: Examination, tree: ast.Module) -> None:
    """Check the text; without a claim, names that LEMUR does not find in it are worth recording, and no fault."""
    with LOCK:
        source.check(tree, examination.settings.policy)
        unquoted = source.unquoted(tree, examination.candidate.source)
    if unquoted and examination.candidate.variant is not None:
        raise CheckFailure(unquoted)
    if unquoted:
        examination.evidence.append(unquoted)


def _check_output(session: Session, net: str, channels: int, size: int, classes: int, batch: int) -> None:
    """Check the type, the shape and the values of the output in eval mode."""
    inputs = f"{channels}x{size}x{size} inputs and {classes} classes"
    action = f"Net for {inputs}"
    build(session, net, prm_of(), channels=channels, size=size, classes=classes, batch=batch, action=action)
    images, _ = random_batches([batch], channels=channels, pixels=size)
    with raising(action):
        forward, outputs = session.call("forward", messages.Forward, [images], net=net, train=False)
    if not outputs:
        kind = printable(forward.type)
        raise CheckFailure(f"forward returns an object of type {kind} in eval mode for {inputs}, expected a tensor")
    output = outputs[0]
    if output.shape != (batch, classes):
        raise CheckFailure(f"forward returns the shape {output.shape} for {inputs}, expected {(batch, classes)}")
    if not np.isfinite(output).all():
        raise CheckFailure(f"forward returns values that are not finite for {inputs}")


def _check_learn(examination: Examination, session: Session) -> tuple[list[messages.Parameter], messages.State, int]:
    """Train on two batches with ``train_setup`` and ``learn``.

    LEMUR's static evaluator passes a list. A file that needs a DataLoader gets one, on a new network. Without a claim a
    file that accumulates gradients over more batches gets more of them.

    Returns:
        The parameters, the state after training, and the number of batches after which there is an update.
    """
    variant = examination.candidate.variant
    claimed = variant is not None
    every = variant.batches_per_update if variant else 1
    # A curriculum trains on a part of them, and a warm-up may begin with a learning rate of zero.
    sizes = _SIZES * (_PACED if variant and variant.practice and variant.practice.is_paced else every)
    set_up = _set_up(session)
    outside = check_set_up(set_up, claimed)
    sampling = _sampling(examination, set_up.parameters)
    before = _state(session)
    try:
        notes = _learn(session, sampling, sizes, as_list=True)
    except FileRaised as error:
        build(session, _NET, prm_of())
        _set_up(session)
        try:
            notes = _learn(session, sampling, sizes, as_list=False)
        except FileRaised:
            with raising("learn"):
                raise error from None
        examination.evidence.append(f"learn got a DataLoader: with a list of batches it raises {error}")
    if not notes.steps and not claimed:
        sizes = _MANY
        build(session, _NET, prm_of())
        _set_up(session)
        with raising("learn"):
            notes = _learn(session, sampling, sizes, as_list=False)
        every = notes.batch_of_updates[0] + 1 if notes.steps else 1
    after = _state(session)
    expected = practices.updates_of(variant, HORIZON, sum(sizes), sizes[0])[0]
    changed, per_update = after.weights != before.weights, every if claimed else 1
    check_learned(notes.learned, changed, claimed, expected, per_update, len(sizes))
    if len(notes.steps) != expected:
        examination.evidence.append(
            f"the number of optimizer steps in learn is {len(notes.steps)} in {len(sizes)} batches"
        )
    trained = {set_up.parameters[index].name for index in np.flatnonzero(notes.present.any(axis=0))}
    require_no_gradient([name for name in outside if name in trained])
    return set_up.parameters, after, every


def _set_up(session: Session) -> messages.SetUp:
    with raising("train_setup"):
        return session.call("set_up", messages.SetUp, net=_NET)[0]


def _state(session: Session) -> messages.State:
    return session.call("state", messages.State, net=_NET)[0]


def _learn(session: Session, sampling: Sampling, sizes: list[int], as_list: bool) -> Notes:
    learned, arrays = session.call(
        "learn",
        messages.Learned,
        [*random_batches(sizes), *sampling.arrays],
        net=_NET,
        sizes=sizes,
        seeds=list(range(len(sizes))),
        watch=True,
        gradients=True,
        as_list=as_list,
        digests=False,
    )
    return Notes.of(learned, arrays, sampling, gradients=True)


def _check_no_batch(examination: Examination, session: Session, before: messages.State) -> None:
    """Call ``learn`` with an empty DataLoader on the trained network."""
    raised = None
    try:
        session.call("learn", messages.Learned, random_batches([]), net=_NET, sizes=[], seeds=[])
    except FileRaised as error:
        raised = error
    recorded = check_no_batch(before, _state(session), raised, examination.candidate.variant is not None)
    if recorded:
        examination.evidence.append(recorded)


def _sampling(examination: Examination, parameters: list[messages.Parameter]) -> Sampling:
    return Sampling(positions(examination.draw.stream("contract"), [parameter.shape for parameter in parameters]))
