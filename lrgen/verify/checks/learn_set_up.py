"""Networks in training, for the runs of ``learn``: which weights are sampled, and how a run is set up or resumed."""

from dataclasses import dataclass, replace

from lrgen.records import Variant
from lrgen.verify import messages
from lrgen.verify.checks import accumulation
from lrgen.verify.checks.averages import average_of
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import Examination, build, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.learn_rates import LearnRates
from lrgen.verify.checks.learn_ways import Way
from lrgen.verify.checks.metric_seeds import MetricSeeds
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.reference import wrong_depths
from lrgen.verify.checks.reference_optimizer import InvalidSettingError, UnknownOptimizerError
from lrgen.verify.checks.standin_gradients import StandInGradients
from lrgen.verify.checks.updates import Effects
from lrgen.verify.session import Array, Session

# Runs of every file but those with a large network; the images of the second one have 224 pixels a side.
FIXED = (Run(7, 10, 1, 2, 2, BASE_LR), Run(3, 4, 3, 2, 2, BASE_LR))
SAMPLES = 1024  # weights, at least one of each parameter


def sizes_of(run: Run) -> list[int]:
    """The number of images of each batch."""
    return [run.batch_size] * (run.batches - 1) + [run.last_batch]


@dataclass
class Weights:
    """The parameters of a network, which may depend on the size of its images, and which weights are sampled."""

    parameters: list[messages.Parameter]
    sampling: Sampling
    standing: StandInGradients | None = None

    @property
    def size(self) -> int:
        """The number of weights."""
        return sum(parameter.count for parameter in self.parameters)


@dataclass
class Trained:
    """A network in training: its run, and its learning rates, metrics and weights so far."""

    run: Run
    net: str
    session: Session
    weights: Weights
    effects: Effects
    rates: LearnRates
    depths: list[int]
    stand_in: bool
    images: Array
    labels: Array
    shuffled: bool
    epoch: int = 0
    epoch_in_process: int = 0
    digests_from: int = 0
    metric_seeds: MetricSeeds | None = None

    @property
    def sizes(self) -> list[int]:
        """The number of images of each batch."""
        return sizes_of(self.run)

    @property
    def pixels(self) -> int:
        """The pixels of a side of the images."""
        return int(self.images.shape[-1])


class Networks:
    """The networks of the runs of ``learn``, of which those with the same parameters have the same sampled weights.

    Args:
        way: to know the gradients of the updates.
        source: of the images of each run, and of the sampled weights.
    """

    def __init__(self, examination: Examination, variant: Variant, way: Way, source: Source) -> None:
        self.examination, self.variant, self.way, self.source = examination, variant, way, source
        self.every, self.clipping = variant.batches_per_update, Clipping.of(variant)
        self.weights: list[Weights] = []  # of the networks so far
        self.shuffled = source.stream("shuffled").random() < 0.5
        self.built: dict[str, tuple[int, Weights]] = {}  # network → pixels of its images
        self.leaves: list[list[int]] = []
        self.seen: set[int] = set()  # processes that know the structure of the output

    def weights_of(self, parameters: list[messages.Parameter]) -> Weights:
        """The weights of a network with these parameters; positions are drawn once for each structure."""
        shapes = [(parameter.shape, parameter.trained) for parameter in parameters]
        for weights in self.weights:
            if shapes == [(parameter.shape, parameter.trained) for parameter in weights.parameters]:
                return weights
        source = self.source.stream("positions", *([len(self.weights)] if self.weights else []))
        sampling = Sampling(positions(source, [parameter.shape for parameter in parameters], SAMPLES))
        self.weights.append(Weights(parameters, sampling))
        return self.weights[-1]

    def begin(
        self,
        session: Session,
        net: str,
        run: Run,
        stand_in: bool,
        before: Trained | None = None,
        state: Array | None = None,
    ) -> Trained:
        """Set up a run; it continues with the state of one ``before`` if there is one."""
        if before is None:
            large = stand_in and run is FIXED[1]
            smooth = run is FIXED[0] or self.source.random() < 0.5
            shuffled = self.shuffled = not self.shuffled  # both kinds of loaders are among the runs of any length
            images, labels = random_batches(
                sizes_of(run), self.source.getrandbits(60), pixels=224 if large else 32, smooth=smooth
            )
        else:
            images, labels, shuffled = before.images, before.labels, before.shuffled
        pixels = int(images.shape[-1])
        prm = prm_of_run(run)
        built, weights = self.built.get(net, (0, None))
        if weights is None or built != pixels or not self.examination.candidate.rendered or before is not None:
            weights = self.weights_of(build(session, net, prm, batch=run.batch_size, size=pixels))
            if stand_in:
                with raising("learn"):
                    arrays = [] if session.number in self.seen else [images[:2]]
                    stood_in, _ = session.call("stand_in", messages.StoodIn, arrays, net=net)
                self.seen.add(session.number)
                self.leaves = stood_in.leaves
        self.built[net] = pixels, weights
        if state is None:
            with raising("train_setup"):
                set_up, _ = session.call("set_up", messages.SetUp, net=net, prm=prm)
        else:
            updates = accumulation.updates_of(run.batches, self.every)
            horizon = run.epochs_planned * updates if self.variant.per_batch else run.epochs_planned
            with raising("resuming a run"):
                set_up, _ = session.call("restore", messages.SetUp, [state], net=net, total_steps=horizon)
        later = self.weights_of(set_up.parameters)
        if later is not weights:  # train_setup has added or replaced some
            self.built[net] = pixels, later
            weights = later
            if stand_in:
                session.call("stand_in", messages.StoodIn, net=net)
        if stand_in:
            self._stand_in(weights, set_up.criterion)
        try:
            effects = Effects(
                set_up,
                weights.sampling,
                [parameter.name for parameter in weights.parameters],
                average=average_of(self.variant, run.epochs_planned),
            )
            if not effects.follows_learning_rate:
                raise UnknownOptimizerError(set_up.optimizer.name)
        except UnknownOptimizerError as error:
            raise CheckFailure(f"the updates cannot be checked: {error}") from error
        except InvalidSettingError as error:
            raise CheckFailure(f"{error}") from error
        depths = [group.depth for group in set_up.groups]
        if reason := wrong_depths(self.variant, depths):
            raise CheckFailure(reason)
        rates = LearnRates(self.variant, run, len(set_up.horizons))
        trained = Trained(run, net, session, weights, effects, rates, depths, stand_in, images, labels, shuffled)
        if before is not None:
            trained.effects, trained.epoch = before.effects, before.epoch
            trained.rates = replace(before.rates, made=rates.made, resumed_after=before.epoch)
        return trained

    def _stand_in(self, weights: Weights, criterion: messages.CriterionReport) -> None:
        """Prepare the stand-in's gradients, with what an earlier network has shown of the loss and of clipping."""
        if weights.standing is None:
            scaled = self.way is Way.SCALED or self.every > 1 or self.variant.scales_loss
            counts = [parameter.count for parameter in weights.parameters]
            trained = [parameter.trained for parameter in weights.parameters]
            earlier = next((other.standing for other in self.weights if other.standing is not None), None)
            weights.standing = (
                StandInGradients(
                    criterion, self.leaves, counts, trained, weights.sampling, scaled=scaled, clipping=self.clipping
                )
                if earlier is None
                else replace(earlier, counts=counts, trained=trained, sampling=weights.sampling)
            )
