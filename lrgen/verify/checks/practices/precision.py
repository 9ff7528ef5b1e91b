"""The check of mixed precision: what a file computes in 16 bits, on which device, and what stays in float32.

``half_gradients`` compares the gradients of an update, and ``loss_scale`` what a gradient scaler does with overflows.
"""

from lrgen.verify import messages
from lrgen.verify.checks.examination import Examination, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.practices import half_gradients, loss_scale
from lrgen.verify.checks.practices.half_runs import HalfRuns
from lrgen.verify.session import FileRaised

_NOWHERE = "meta"  # a device without autocast


def check(examination: Examination) -> None:
    """Check the mixed precision of a file.

    Raises:
        CheckFailure: at the first violation.
    """
    variant = examination.candidate.variant
    assert variant is not None
    assert variant.practice is not None
    runs = HalfRuns(examination, variant, variant.practice)
    _check_device(runs)
    with examination.fresh() as second:
        half_gradients.check(runs, second)
        _check_outside_learn(runs)
        loss_scale.check(runs, second)
    examination.evidence.append(f"the gradients of an update are those of autocast to {runs.dtype}")
    if runs.scaled:
        examination.evidence.append("an update with infinite gradients was skipped, and the scale halved")


def _check_device(runs: HalfRuns) -> None:
    """Require ``train_setup`` to refuse a device that cannot compute in the precision."""
    action = f"train_setup on a device without {runs.dtype}"
    prm = prm_of_run(runs.run(1, 2))
    try:
        runs.examination.session.call(
            "set_up_elsewhere", messages.Nothing, device=_NOWHERE, shape=[2, 3, 32, 32], classes=10, prm=prm
        )
    except FileRaised as error:
        message = error.raised.message
        if error.raised.type != "RuntimeError":
            raise CheckFailure(f"{action} raises {error}, expected a RuntimeError") from error
        if _NOWHERE not in message or runs.dtype not in message:
            raise CheckFailure(
                f"{action} raises {error}, expected a RuntimeError that names device and precision"
            ) from error
    else:
        raise CheckFailure(f"{action} returns, expected a RuntimeError that names device and precision")


def _check_outside_learn(runs: HalfRuns) -> None:
    """Require all that a network keeps, and its output outside ``learn``, to have single precision."""
    images, _ = random_batches([2], runs.source.getrandbits(60))
    with raising("forward"):
        answer, _ = runs.examination.session.call("dtypes", messages.Dtypes, [images], net=half_gradients.NET)
    what = {
        "output": "the output of forward outside learn",
        "parameters": "a parameter",
        "buffers": "a buffer",
        "optimizer": "a state of the optimizer",
    }
    for name, words in what.items():
        for dtype in answer.dtypes.get(name, []):
            if dtype != "float32":
                raise CheckFailure(f"{words} is {messages.printable(dtype, 50)}, expected float32")
