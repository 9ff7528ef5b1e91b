"""Three updates of a file whose parts were executed before: its own network learns with its own schedule.

The gradients are those that the file's process notes. Unless the network has not trained yet with these methods, a
stand-in takes the place of its forward pass, and zeros that of random weights.
"""

from lrgen.records import Metric, Unit
from lrgen.verify import messages
from lrgen.verify.checks import contract, layer_order
from lrgen.verify.checks.averages import average_of
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_rates import LearnRates
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference import wrong_depths
from lrgen.verify.checks.updates import Effects, Place, observed

UPDATES = 3
SAMPLES = 256  # weights, at least one of each parameter
_NET = "wired"
_SIZE = 2  # images of a batch


def run(examination: Examination, outputs: int | None) -> None:
    """Train for three epochs of one batch, and compare each update.

    Args:
        outputs: the number of tensors that ``forward`` returns in training, which a stand-in then returns; None: the
            real forward pass runs.

    Raises:
        CheckFailure: if the optimizer has not all parameters, or if a learning rate or a weight differs.
    """
    variant, session = examination.candidate.variant, examination.session
    assert variant is not None
    draw = examination.draw.stream("wiring")
    run = Run(UPDATES, UPDATES, 1, _SIZE, _SIZE, BASE_LR * 10 ** (-draw.random()))
    prm = prm_of(lr=run.base_lr, epoch_max=run.epochs_planned, batch=_SIZE)
    parameters = build(session, _NET, prm, initialised=outputs is None)
    if outputs is None and variant.layerwise:
        layer_order.check(session, parameters)
    if outputs is not None:
        with raising("learn"):
            session.call("stand_in", messages.StoodIn, net=_NET, leaves=[[10]] * outputs)
    with raising("train_setup"):
        set_up, _ = session.call("set_up", messages.SetUp, net=_NET, prm=prm)
    contract.check_set_up(set_up, claimed=True)
    depths = [group.depth for group in set_up.groups]
    if reason := wrong_depths(variant, depths):
        raise CheckFailure(reason)
    sampling = Sampling(positions(draw, [parameter.shape for parameter in parameters], SAMPLES))
    effects = Effects(
        set_up,
        sampling,
        [parameter.name for parameter in parameters],
        average=average_of(variant, run.epochs_planned),
    )
    rates, clipping = LearnRates(variant, run, len(set_up.horizons)), Clipping.of(variant)
    images, labels = random_batches([_SIZE], draw.getrandbits(60))
    for epoch in range(run.epochs_run):
        with raising("learn"):
            learned, arrays = session.call(
                "learn",
                messages.Learned,
                [images, labels, *sampling.arrays],
                net=_NET,
                sizes=[_SIZE],
                seeds=[draw.getrandbits(60)],
                watch=True,
                gradients=True,
                digests=False,
            )
        notes = Notes.of(learned, arrays, sampling, gradients=True)
        if notes.updates != 1:
            raise CheckFailure(f"learn makes {notes.updates} updates in an epoch of one batch, expected 1")
        if outputs is not None and learned.backward != [0]:
            raise CheckFailure("learn does not train through forward, once per batch")
        if clipping is not None:
            clipping.require(notes)
        rates.made += len(learned.horizons)
        followed = rates.compare(notes.steps, depths, epoch, lambda: None)
        effects.follow(notes, observed(notes), followed, Place(epoch, 1), variant.label)
        _add_metrics(rates, learned, variant.metric)


def _add_metrics(rates: LearnRates, learned: messages.Learned, metric: Metric | None) -> None:
    """Add the metric of an epoch as ``learn`` returns it; how it is computed is compared where the schedule is."""
    result = learned.result
    if rates.variant.unit is not Unit.METRIC:
        return
    if result.loss is None or result.accuracy is None:
        raise CheckFailure(f"learn returns no {metric}, which drives the schedule")
    rates.add_metrics([result.loss], [round(result.accuracy * _SIZE)], [_SIZE])
