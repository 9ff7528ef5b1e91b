"""Mutations of the training loop of a practice: common mistakes in what it does besides the schedule, by kind."""

from lrgen.finetune.practice_mutations.accumulation import OF_ACCUMULATION
from lrgen.finetune.practice_mutations.averages import OF_AVERAGING, OF_EMA
from lrgen.finetune.practice_mutations.clipping import OF_CLIPPING
from lrgen.finetune.practice_mutations.curriculum import OF_CURRICULUM
from lrgen.finetune.practice_mutations.labels import OF_LABEL_SMOOTHING, OF_MIXUP
from lrgen.finetune.practice_mutations.precision import OF_PRECISION
from lrgen.finetune.practice_mutations.settings import OF_SETTINGS
from lrgen.finetune.replacing import Mutation

OF_PRACTICES: tuple[tuple[str, Mutation], ...] = (
    *OF_PRECISION,
    *OF_CURRICULUM,
    *OF_EMA,
    *OF_AVERAGING,
    *OF_LABEL_SMOOTHING,
    *OF_MIXUP,
    *OF_ACCUMULATION,
    *OF_CLIPPING,
    *OF_SETTINGS,
)
