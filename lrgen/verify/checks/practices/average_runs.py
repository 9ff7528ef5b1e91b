"""Runs of ``learn`` whose weights and buffers are noted, for the checks of averages of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lrgen.records import Variant
from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.session import Array, Session

NET = "averaged"
_EVALUATED = "evaluated"  # the network of another process, with the same weights
_SAME_OUTPUT = 1e-4  # relative to one plus itself
_SAMPLES = 512  # weights, at least one of each parameter


@dataclass(frozen=True)
class Call:
    """A call of ``learn``: sampled weights, then buffers, at its events.

    ``first`` are those before the first batch, ``updated`` those after each update, ``end`` those after the last batch
    and ``returned`` those that are evaluated. ``parameters`` is the number of sampled weights.
    """

    first: Array
    updated: Sequence[Array]
    end: Array
    returned: Array
    parameters: int


@dataclass
class AverageRun:
    """A run of some epochs on the same batches; a resumed one goes on in a process of its own."""

    variant: Variant
    source: Source
    epochs: int
    sizes: Sequence[int]
    prm: Mapping[str, float]
    sampling: Sampling | None = None
    images: Array = field(init=False)
    labels: Array = field(init=False)

    def __post_init__(self) -> None:
        self.images, self.labels = random_batches(list(self.sizes), self.source.getrandbits(60), smooth=True)
        self.values = prm_of(lr=BASE_LR, epoch_max=self.epochs, batch=max(self.sizes), dropout=0.0, **self.prm)

    def begin(self, session: Session) -> None:
        """Build the network and set it up."""
        parameters = build(session, NET, self.values, batch=max(self.sizes))
        if self.sampling is None:
            drawn = positions(self.source, [parameter.shape for parameter in parameters], _SAMPLES)
            self.sampling = Sampling(drawn)
        with raising("train_setup"):
            session.call("set_up", messages.SetUp, net=NET, prm=self.values)

    def resume(self, session: Session, other: Session) -> None:
        """Save the states of a run, and load them into another process."""
        with raising("saving the states of a run"):
            _, [state] = session.call("save", messages.Saved, body=1 << 32, net=NET)
        build(other, NET, self.values, batch=max(self.sizes))
        horizon = self.epochs * (len(self.sizes) if self.variant.per_batch else 1)
        with raising("resuming a run"):
            other.call("restore", messages.SetUp, [state], net=NET, total_steps=horizon)

    def learn(self, session: Session) -> tuple[Call, list[int]]:
        """Call ``learn`` once; also returns the seeds of its batches.

        Raises:
            CheckFailure: if it does not make an update in each batch.
        """
        assert self.sampling is not None
        seeds = [self.source.getrandbits(60) for _ in self.sizes]
        with raising("learn"):
            learned, arrays = session.call(
                "learn",
                messages.Learned,
                [self.images, self.labels, *self.sampling.arrays],
                net=NET,
                sizes=list(self.sizes),
                seeds=seeds,
                watch=True,
                digests=False,
                buffers=True,
            )
        notes = Notes.of(learned, arrays, self.sampling)
        buffers = arrays[3]
        if buffers.ndim != 2 or len(buffers) != len(notes.events):
            raise CheckFailure("the number of buffers of the network changes in learn")
        noted = np.concatenate([notes.weights, buffers], axis=1).astype(np.float64)
        kinds = [event.kind for event in notes.events]
        steps = [event.steps for event in notes.events]
        if "batch" not in kinds or "end" not in kinds or notes.updates != len(self.sizes):
            raise CheckFailure(f"learn makes {notes.updates} updates in {len(self.sizes)} batches")
        updated = [noted[steps.index(count)] for count in range(1, notes.updates + 1)]
        first, end = noted[kinds.index("batch")], noted[kinds.index("end")]
        return Call(first, updated, end, noted[-1], self.sampling.count), seeds

    def require_evaluated(self, session: Session, other: Session) -> None:
        """Require the output in evaluation mode to be that of the weights that ``learn`` leaves in the network.

        Another process computes it from these weights. A network whose output is random has none.

        Raises:
            CheckFailure: if the output is another one.
        """
        with raising("saving the states of a run"):
            _, [state] = session.call("save", messages.Saved, body=1 << 32, net=NET)
        build(other, _EVALUATED, self.values, batch=max(self.sizes))
        with raising("loading the weights of a run"):
            other.call("load_weights", messages.Nothing, [state], net=_EVALUATED)
        outputs = []
        for process, net in ((session, NET), (other, _EVALUATED), (other, _EVALUATED)):
            with raising("forward"):
                _, sent = process.call("forward", messages.Forward, [self.images], net=net, train=False)
            outputs.append(sent[0] if sent else np.zeros(0))
        other.call("forget", messages.Nothing, net=_EVALUATED)
        observed, expected, again = outputs
        if np.array_equal(expected, again) and not (
            observed.shape == expected.shape
            and np.all(np.abs(observed - expected) <= _SAME_OUTPUT * (1 + np.abs(expected)))
        ):
            raise CheckFailure("the output in evaluation mode is not that of the weights that learn leaves behind")


def drawn(examination: Examination, name: str) -> tuple[Variant, Source]:
    """The variant of a file, and the source of a check."""
    variant = examination.candidate.variant
    assert variant is not None
    return variant, examination.draw.stream(name)
