"""The check of mixed precision: what a file computes in 16 bits, and what a gradient scaler does with overflows.

The gradients of an update with the real forward pass are computed again in another process, in float32 and in the
dtype of the practice: they must be those of the latter. A stand-in for the forward pass then sends infinite gradients
in a drawn batch. That update must not be made: weights stay, the scale of the loss is halved, and a schedule that
advances once per batch waits. A resumed run has the scale of the interrupted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lrgen import curves
from lrgen.records import Practice, Unit, Variant
from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import Examination, build, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.standin_gradients import ClippingError, OtherLossError, StandInGradients
from lrgen.verify.checks.updates import Effects, Place, observed
from lrgen.verify.session import Array, FileRaised, Session

SAMPLES = 1024  # weights, at least one of each parameter
_SAME = 0.25  # of the difference between the gradients of both precisions
_SAME_LOSS = 1e-2  # of the loss in float32
_DESCENTS = 24  # epochs in which a scaler may halve its scale before the first update
_NOWHERE = "meta"  # a device without autocast
_FACTOR = 1e-3
_OTHER = {"bfloat16": "float16", "float16": "bfloat16"}


def check(examination: Examination) -> None:
    """Check the mixed precision of a file.

    Raises:
        CheckFailure: at the first violation.
    """
    variant = examination.candidate.variant
    assert variant is not None
    assert variant.practice is not None
    checked = _Precision(examination, variant, variant.practice)
    checked.device()
    with examination.fresh() as second:
        checked.gradients(second)
        checked.outside_learn()
        checked.scaling(second)
    examination.evidence.append(f"the gradients of an update are those of autocast to {checked.dtype}")
    if checked.scaled:
        examination.evidence.append("an update with infinite gradients was skipped, and the scale halved")


@dataclass
class _Scales:
    """The factors of the loss in the batches of an epoch, and the notes of that epoch."""

    of_batches: list[float]
    notes: Notes


@dataclass
class _Precision:
    examination: Examination
    variant: Variant
    practice: Practice

    @property
    def dtype(self) -> str:
        """The name of the dtype: ``bfloat16``."""
        return str(self.practice.constants["dtype"])

    @property
    def scaled(self) -> bool:
        """Whether the loss is scaled."""
        return bool(self.practice.constants["scaled"])

    @cached_property
    def source(self) -> Source:
        """The drawn cases."""
        return self.examination.draw.stream("precision")

    # The device.

    def device(self) -> None:
        """Require ``train_setup`` to refuse a device that cannot compute in the precision."""
        action = f"train_setup on a device without {self.dtype}"
        prm = prm_of_run(self._run(1, 2))
        try:
            self.examination.session.call(
                "set_up_elsewhere", messages.Nothing, device=_NOWHERE, shape=[2, 3, 32, 32], classes=10, prm=prm
            )
        except FileRaised as error:
            message = error.raised.message
            if error.raised.type != "RuntimeError":
                raise CheckFailure(f"{action} raises {error}, expected a RuntimeError") from error
            if _NOWHERE not in message or self.dtype not in message:
                raise CheckFailure(
                    f"{action} raises {error}, expected a RuntimeError that names device and precision"
                ) from error
        else:
            raise CheckFailure(f"{action} returns, expected a RuntimeError that names device and precision")

    # The gradients.

    def gradients(self, second: Session) -> None:
        """Compare the gradients of an update with those of another process in both precisions."""
        run = self._run(1, 1, epochs=_DESCENTS)
        trained = self._begin(self.examination.session, "half", run)
        images, labels = random_batches([run.batch_size], self.source.getrandbits(60), smooth=True)
        for _ in range(_DESCENTS):
            seed = self.source.getrandbits(60)
            learned, arrays = self._learn(trained, [run.batch_size], [seed], images, labels, whole=[0])
            notes = Notes.of(learned, arrays, trained.sampling, gradients=True)
            if notes.updates:
                break
        else:
            raise CheckFailure(f"learn makes no update in {_DESCENTS} epochs of one batch")
        if learned.saved != [0]:
            raise CheckFailure("learn does not ask for batch 1 of 1")
        observed = notes.gradients[0].astype(np.float64)
        single, loss_single = self._again(second, run, trained.sampling, arrays[3], seed, images, labels, False)
        half, loss_half = self._again(second, run, trained.sampling, arrays[3], seed, images, labels, self.dtype)
        between = float(np.linalg.norm(half - single))
        if not between > 1e-6 * float(np.linalg.norm(single)):
            raise CheckFailure(f"forward computes in {self.dtype} outside learn as well, or never")
        if not _apart(observed, half) <= _SAME * between:
            other = _OTHER[self.dtype]
            others, _ = self._again(second, run, trained.sampling, arrays[3], seed, images, labels, other)
            near = {"float32": _apart(observed, single), other: _apart(observed, others)}
            nearest = min(near, key=lambda name: near[name])
            if near[nearest] <= _SAME * float(np.linalg.norm(others - single)):
                raise CheckFailure(f"learn computes in {nearest}, expected autocast to {self.dtype}")
            raise CheckFailure(f"the gradients of an update are neither those of {self.dtype} nor those of float32")
        if not abs(loss_half - loss_single) <= _SAME_LOSS * max(abs(loss_single), 1.0):
            raise CheckFailure(f"the loss in {self.dtype} is {loss_half:.6g}, in float32 {loss_single:.6g}")

    def _again(
        self,
        session: Session,
        run: Run,
        sampling: Sampling,
        state: Array,
        seed: int,
        images: Array,
        labels: Array,
        autocast: str | bool,
    ) -> tuple[Array, float]:
        """The sampled gradients of the criterion and the loss, in another process."""
        build(session, "again", prm_of_run(run), batch=run.batch_size)
        with raising("train_setup"):
            session.call("set_up", messages.SetUp, net="again")
        with raising("loading the weights of a run"):
            session.call("load_weights", messages.Nothing, [state], net="again")
        arrays = [images, labels, *sampling.arrays]
        with raising("forward"):
            answer, sent = session.call(
                "gradient",
                messages.Gradient,
                arrays,
                net="again",
                seeds=[seed],
                autocast=autocast,
                scale=self._first_scale,
            )
        if not sent or sent[0].shape != (sampling.count,):
            raise CheckFailure("the gradients of a batch are not those of the sampled weights")
        return sent[0].astype(np.float64), answer.loss

    @property
    def _first_scale(self) -> float:
        """A scale of the loss at which gradients in float16 do not vanish."""
        return 1024.0 if self.scaled else 1.0

    # Outside learn.

    def outside_learn(self) -> None:
        """Require all that a network keeps, and its output outside ``learn``, to have single precision."""
        images, _ = random_batches([2], self.source.getrandbits(60))
        with raising("forward"):
            answer, _ = self.examination.session.call("dtypes", messages.Dtypes, [images], net="half")
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

    # The scale of the loss.

    def scaling(self, second: Session) -> None:
        """Compare the scale of the loss through an overflow and a resumed run; or require that there is none."""
        run = self._run(4 + self.source.randrange(3), 2 + self.source.randrange(3), epochs=3)
        trained = self._begin(self.examination.session, "scaled", run, stand_in=True)
        if not self.scaled:
            of_batches = self._epoch(trained, run, []).of_batches
            if any(abs(scale - 1.0) > _FACTOR for scale in of_batches):
                raise CheckFailure(f"the loss is scaled by {of_batches[0]:.6g}: {self.dtype} has the range of float32")
            return
        overflow = 1 + self.source.randrange(run.batches - 2)
        epoch = self._epoch(trained, run, [overflow])
        self._compare_skip(run, epoch, overflow)
        last = epoch.of_batches[-1]
        with raising("saving the states of a run"):
            _, [state] = self.examination.session.call("save", messages.Saved, body=256 << 20, net="scaled")
        # To the end of the horizon: a schedule may be constant where the overflow is.
        later = [self._epoch(trained, run, []) for _ in range(run.epochs_run - 1)]
        self._compare_updates(trained, run, [each.notes for each in (epoch, *later)], overflow)
        for growing in (False, True):
            resumed = self._begin(second, "resumed", run, stand_in=True, state=state, growing=growing)
            scales = self._epoch(resumed, run, []).of_batches
            if not abs(scales[0] - last) <= _FACTOR * last:
                raise CheckFailure(
                    f"the scale of the loss is {scales[0]:.6g} in a resumed run, expected {last:.6g}: it is lost"
                )
            if growing and not abs(scales[1] - 2 * last) <= 2 * _FACTOR * last:
                raise CheckFailure(
                    f"the scale of the loss is {scales[1]:.6g} after its growth interval, expected {2 * last:.6g}"
                )

    def _compare_skip(self, run: Run, epoch: _Scales, overflow: int) -> None:
        """Compare an epoch with infinite gradients in one batch."""
        where = f"in learn at batch {overflow + 1} of {run.batches}, whose gradients are infinite"
        notes = epoch.notes
        if overflow in notes.batch_of_updates:
            raise CheckFailure(f"the optimizer makes a step {where}")
        asked = [at for at, event in enumerate(notes.events) if event.kind == "batch"]
        if not np.array_equal(notes.weights[asked[overflow]], notes.weights[asked[overflow + 1]]):
            raise CheckFailure(f"the weights change {where}")
        if notes.batch_of_updates != [batch for batch in range(run.batches) if batch != overflow]:
            raise CheckFailure(f"learn makes {notes.updates} updates in {run.batches} batches, of which one overflows")
        before, after = epoch.of_batches[overflow], epoch.of_batches[overflow + 1]
        if not abs(after - before / 2) <= _FACTOR * before:
            raise CheckFailure(f"the scale of the loss is {after:.6g} after an overflow at {before:.6g}, expected half")

    def _compare_updates(self, trained: "_Trained", run: Run, epochs: Sequence[Notes], overflow: int) -> None:
        """Compare the updates of a run, of which the first epoch has one that is skipped.

        A schedule that advances once per batch advances with the updates that are made. The state of the optimizer is
        the same after a skipped update, as the updates after it show.
        """
        by_batch = self.variant.unit is Unit.BATCH
        horizon = run.epochs_planned * (run.batches if by_batch else 1)
        epoch_of = np.repeat(np.arange(len(epochs)), [notes.updates for notes in epochs])
        steps = np.arange(len(epoch_of)) if by_batch else epoch_of
        actual = np.array([step.rates for notes in epochs for step in notes.steps]).T
        tolerance = self.variant.tolerance * run.base_lr

        def rates_at(steps: Array) -> Array:
            return curves.rates(self.variant, steps, horizon, run.base_lr, run.prm, depths=trained.depths)

        expected = rates_at(steps)
        if actual.shape != expected.shape or not np.all(np.abs(actual - expected) <= tolerance):
            every = rates_at(steps + (steps >= overflow))
            if by_batch and actual.shape == every.shape and np.all(np.abs(actual - every) <= tolerance):
                raise CheckFailure(
                    "the schedule advances with an update that is skipped, since its gradients are infinite"
                )
            raise CheckFailure("the learning rates of a run with a skipped update are not those of the schedule")
        effects = Effects(trained.set_up, trained.sampling, [parameter.name for parameter in trained.set_up.parameters])
        for epoch, notes in enumerate(epochs):
            of_epoch = expected[:, epoch_of == epoch]
            effects.follow(notes, observed(notes), of_epoch, Place(epoch, run.batches), self.variant.label)

    # Runs.

    def _run(self, batches: int, size: int, epochs: int = 1) -> Run:
        return Run(epochs, epochs, batches, max(2, size), max(2, size), BASE_LR)

    def _begin(
        self,
        session: Session,
        net: str,
        run: Run,
        *,
        stand_in: bool = False,
        state: Array | None = None,
        growing: bool = False,
    ) -> "_Trained":
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
        sampling = Sampling(positions(self.source, [parameter.shape for parameter in parameters], SAMPLES))
        return _Trained(session, net, set_up, sampling, leaves)

    def _learn(
        self,
        trained: "_Trained",
        sizes: list[int],
        seeds: list[int],
        images: Array,
        labels: Array,
        *,
        whole: list[int] | None = None,
        overflowing: list[int] | None = None,
    ) -> tuple[messages.Learned, list[Array]]:
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

    def _epoch(self, trained: "_Trained", run: Run, overflowing: list[int]) -> _Scales:
        """Call ``learn`` with a stand-in; returns the factors of the losses, and requires unscaled gradients."""
        sizes = [run.batch_size] * run.batches
        images, labels = random_batches(sizes, self.source.getrandbits(60))
        seeds = [self.source.getrandbits(60) for _ in sizes]
        learned, arrays = self._learn(trained, sizes, seeds, images, labels, overflowing=overflowing)
        notes = Notes.of(learned, arrays, trained.sampling, gradients=True)
        leaves = len(trained.leaves)
        arrived = arrays[3 + len(learned.saved) :]
        if learned.backward != list(range(run.batches)) or len(arrived) != leaves * run.batches:
            raise CheckFailure("learn does not train through forward, once per batch")
        update_of = {batch: update for update, batch in enumerate(notes.batch_of_updates)}
        scales = []
        for batch, seed in enumerate(seeds):
            of_batch = slice(batch * run.batch_size, (batch + 1) * run.batch_size)
            shown = images[of_batch], labels[of_batch]
            gradients = arrived[leaves * batch : leaves * (batch + 1)]
            try:
                factor = trained.standing.loss_factor(seed, *shown, gradients[0])
                scale, error = trained.standing.of(seed, *shown, [gradient / factor for gradient in gradients])
            except OtherLossError as wrong:
                raise CheckFailure(f"{wrong}") from wrong
            scales.append(factor)
            if batch in update_of and batch not in overflowing:
                step = notes.steps[update_of[batch]]
                noted = notes.gradients[update_of[batch]], step.norm or 0.0
                trained.compare_clipping(seed, scale, error, noted, changed=abs(factor / scales[0] - 1) > _SAME)
        return _Scales(scales, notes)


def _apart(observed: Array, computed: Array) -> float:
    """The distance of observed gradients from computed ones, which may have been clipped to another norm."""
    factor = float(observed @ computed) / max(float(computed @ computed), 1e-300)
    distance = float(np.linalg.norm(observed - factor * computed))
    return distance / factor if factor > 0 else float("inf")


@dataclass
class _Trained:
    """A network in training, in a process."""

    session: Session
    net: str
    set_up: messages.SetUp
    sampling: Sampling
    leaves: list[list[int]]
    explained: bool = True

    def compare_clipping(
        self, seed: int, scale: float, error: float, noted: tuple[Array, float], *, changed: bool
    ) -> None:
        """Require the gradients of an update to be clipped to the same limit after the scale of the loss has changed.

        Gradients that no clipping explains have been compared before: their loss has terms of the weights.
        """
        if self.explained:
            try:
                self.standing.gradients(seed, scale, error, noted)
            except ClippingError as error_of_clipping:
                self.explained = changed
                if changed:
                    raise CheckFailure(
                        "the gradients are clipped before they are unscaled: their limit changes with the scale of the "
                        "loss"
                    ) from error_of_clipping

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
