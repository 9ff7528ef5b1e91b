"""Runs of ``learn`` in 16 bits, and what is noted in them: the cases that the checks of mixed precision share."""

from dataclasses import dataclass, field
from functools import cached_property

from lrgen.records import Practice, Variant
from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import Examination, build, raising, random_batches
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.standin_gradients import StandInGradients
from lrgen.verify.session import Array, Session

_SAMPLES = 1024  # weights, at least one of each parameter


@dataclass
class HalfRuns:
    """Runs of a file with mixed precision; its cases are drawn from one ``source``."""

    examination: Examination
    variant: Variant
    practice: Practice
    source: Source = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.examination.draw.stream("precision")

    @property
    def dtype(self) -> str:
        """The name of the dtype: ``bfloat16``."""
        return str(self.practice.constants["dtype"])

    @property
    def scaled(self) -> bool:
        """Whether the loss is scaled."""
        return bool(self.practice.constants["scaled"])

    def run(self, batches: int, size: int, epochs: int = 1) -> Run:
        """A run of some epochs, whose batches have at least two images."""
        return Run(epochs, epochs, batches, max(2, size), max(2, size), BASE_LR)

    def begin(
        self,
        session: Session,
        net: str,
        run: Run,
        *,
        stand_in: bool = False,
        state: Array | None = None,
        growing: bool = False,
    ) -> "Trained":
        """Set up a run; it continues with a state if there is one."""
        parameters = build(session, net, prm_of_run(run), batch=run.batch_size)
        leaves: list[list[int]] = []
        if stand_in:
            images, _ = random_batches([2], 0)
            with raising("learn"):
                leaves = session.call("stand_in", messages.StoodIn, [images], net=net)[0].leaves
        if state is None:
            with raising("train_setup"):
                set_up, _ = session.call("set_up", messages.SetUp, net=net)
        else:
            horizon = run.epochs_planned * (run.batches if self.variant.per_batch else 1)
            with raising("resuming a run"):
                set_up, _ = session.call(
                    "restore", messages.SetUp, [state], net=net, total_steps=horizon, growing=growing
                )
        sampling = Sampling(positions(self.source, [parameter.shape for parameter in parameters], _SAMPLES))
        return Trained(session, net, set_up, sampling, leaves)

    def learn(
        self,
        trained: "Trained",
        sizes: list[int],
        seeds: list[int],
        images: Array,
        labels: Array,
        *,
        whole: list[int] | None = None,
        overflowing: list[int] | None = None,
    ) -> tuple[messages.Learned, list[Array]]:
        """Call ``learn`` once.

        Args:
            whole: batches before which all weights are sent.
            overflowing: batches with infinite gradients.
        """
        with raising("learn"):
            return trained.session.call(
                "learn",
                messages.Learned,
                [images, labels, *trained.sampling.arrays],
                body=512 << 20,
                net=trained.net,
                sizes=sizes,
                seeds=seeds,
                watch=True,
                gradients=True,
                whole=whole or [],
                overflowing=overflowing or [],
            )


@dataclass
class Trained:
    """A network in training, in a process."""

    session: Session
    net: str
    set_up: messages.SetUp
    sampling: Sampling
    leaves: list[list[int]]
    explained: bool = True  # whether clipping or nothing explains all gradients so far

    @property
    def depths(self) -> list[int]:
        """The depths of the parameter groups."""
        return [group.depth for group in self.set_up.groups]

    @cached_property
    def standing(self) -> StandInGradients:
        """The gradients of its stand-in, of a loss that may be scaled."""
        parameters = self.set_up.parameters
        return StandInGradients(
            self.set_up.criterion,
            self.leaves,
            [parameter.count for parameter in parameters],
            [parameter.trained for parameter in parameters],
            self.sampling,
            scaled=True,
        )
