"""The cases of the schedule check.

A ``Case`` is a trace of ``make_scheduler``, a ``Run`` is some epochs of ``learn``.
"""

from dataclasses import dataclass, field

from lrgen.records import Unit, Variant
from lrgen.verify.checks import drawn_metrics
from lrgen.verify.checks.reference import metrics_of

BASE_LR = 0.1
# The rounding errors of learning rates in tensors, which have single precision, over a few dozen steps.
_SINGLE_PRECISION = 1e-5


@dataclass(frozen=True)
class Case:
    """One trace.

    ``depths`` are those of the parameter groups; without any, the groups declare no depth. ``lrs`` are the initial
    learning rates of the groups, as tensors if ``tensor`` is set; without any, all groups have the optimizer's default,
    ``base_lr``. The run is interrupted and resumed at each step of ``resume``. It is traced for ``past_end`` steps
    after the horizon (None: a quarter of the horizon, at least 5). ``metric_seed`` determines the metrics of a
    metric-driven schedule (None: those that every file gets).
    """

    horizon: int
    base_lr: float = BASE_LR
    depths: tuple[int, ...] = ()
    lrs: tuple[float, ...] = ()
    tensor: bool = False
    resume: tuple[int, ...] = ()
    prm: dict[str, float] = field(default_factory=dict)
    past_end: int | None = None
    metric_seed: int | None = None

    @property
    def steps(self) -> int:
        """The number of traced steps."""
        return self.horizon + (max(5, self.horizon // 4) if self.past_end is None else self.past_end)

    @property
    def base_lrs(self) -> tuple[float, ...]:
        """The initial learning rate of each group."""
        return self.lrs or (self.base_lr,) * max(1, len(self.depths))

    def tolerance(self, variant: Variant) -> float:
        """The tolerance as a fraction of a group's initial learning rate."""
        return variant.tolerance + (_SINGLE_PRECISION if self.tensor else 0.0)

    def metrics(self, variant: Variant) -> list[float] | None:
        """The metric of each step; None unless the variant is driven by a metric."""
        if variant.unit is not Unit.METRIC or variant.metric is None:
            return None
        if self.metric_seed is None:
            return metrics_of(variant, self.steps)
        threshold = (variant.constants | variant.defaults | self.prm).get("threshold", 0.0)
        return drawn_metrics.metrics(variant.metric, self.metric_seed, self.steps, threshold)


@dataclass(frozen=True)
class Run:
    """Some epochs of ``learn``.

    ``train_setup`` gets ``epochs_planned`` as ``epoch_max``; ``epochs_run`` may be fewer or more. An epoch has
    ``batches`` batches of ``batch_size`` images, the last one of ``last_batch``. The run is interrupted after
    ``resume_after`` epochs and resumed in another process (None: it is not).
    """

    epochs_planned: int
    epochs_run: int
    batches: int
    batch_size: int
    last_batch: int
    base_lr: float
    prm: dict[str, float] = field(default_factory=dict)
    resume_after: int | None = None

    @property
    def updates(self) -> int:
        """The number of updates, at one a batch."""
        return self.epochs_run * self.batches
