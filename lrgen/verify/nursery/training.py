"""The commands of a driver that train a network on a data set, and evaluate it on images without labels."""

import contextlib
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from beside.batches import Batches, Scale
from torch import Tensor

from .batch_notes import BatchNotes
from .examples import GivenImages, forward_passes
from .generators import seed_all
from .gradients import Gradients
from .learning import Learning
from .loaders import TrainingLoader
from .norms import renew_norms
from .watch import Stopped, Watch, digest_of

Answer = dict[str, Any] | tuple[dict[str, Any], list[np.ndarray[Any, Any]]]
Arrays = list[np.ndarray[Any, Any]]

_NORM_BATCHES = 10  # of training images, over which the statistics of norms are renewed
_generate_code = torch._TorchCompileInductorWrapper.__call__


def trace_alone() -> None:
    """Have networks that their file compiles run as torch.compile has traced them: generating code takes minutes."""
    torch._TorchCompileInductorWrapper.__call__ = _run_as_traced  # type: ignore[assignment]


class Training(Learning, Gradients):
    """The commands, and the data of the process."""

    def __init__(self) -> None:
        super().__init__()
        self.training: Batches | None = None
        self.held_out: Batches | None = None

    def do_data(self, arrays: Arrays, batch_size: int, crop: int, flip: bool, held_out_batch: int) -> Answer:
        """Take the training images (uint8) with their labels, and the held-out images without labels."""
        images, held_out = (torch.from_numpy(array).to(self.device) for array in (arrays[0], arrays[2]))
        labels = torch.from_numpy(arrays[1]).to(self.device)
        scale = Scale.of(images)
        self.training = Batches(images, labels, batch_size, scale, None, crop, flip)
        nothing = torch.zeros(len(held_out), dtype=torch.int64, device=self.device)
        self.held_out = Batches(held_out, nothing, held_out_batch, scale)
        return {}

    def do_train(
        self,
        arrays: Arrays,
        net: str,
        seeds: list[int],
        autocast: bool = False,
        keep: int | None = None,
        stop: bool = False,
        silent: bool = False,
        by_forward: bool = False,
        arrived: bool = False,
    ) -> Answer:
        """Call ``learn`` on the training images.

        Args:
            arrays: sampled positions, their number per parameter, and the order of the images.
            seeds: of torch's and Python's generators, and of the augmentation, at each batch.
            keep: the batch before which the state of the network is kept, as ``batch``.
            stop: end before the first step of the optimizer is made.
            silent: the network has a stand-in, which sends gradients of zero.
            by_forward: a batch begins with a forward pass that records gradients, and not with one of the loader;
                the positions of its images among those of the loader are noted.
            arrived: note the gradients that arrive at the logits.
        """
        assert self.training is not None
        built, stand_in = self.nets[net], self.stand_ins.get(net)
        watched = Watch(built, arrays[0], arrays[1], True, set(), stop)
        noted = BatchNotes(built, arrived)
        given = GivenImages()
        seen: list[list[int]] = []
        if stand_in is not None:
            stand_in.silent = silent

        def begun(index: int) -> None:
            if index == keep and "batch" not in self.states:
                self.do_keep([], net, "batch")
            seed_all(seeds[index % len(seeds)])
            if stand_in is not None:
                stand_in.begin(index, seeds[index % len(seeds)])
            watched.before_batch(index)
            noted.begin()

        def asked(index: int) -> int:
            if not by_forward:
                begun(index)
            return seeds[index]

        def ended() -> None:
            if not by_forward:
                watched.at_end()

        def seen_by_forward(index: int, images: Tensor) -> None:
            seen.append(given.positions(images))
            begun(index)

        order = torch.from_numpy(arrays[2])
        train_data = TrainingLoader(self.training, order, asked, ended, given.add if by_forward else None)
        result = None
        forward = forward_passes(built, seen_by_forward) if by_forward else contextlib.nullcontext()
        with self.precision(autocast), noted, forward, contextlib.suppress(Stopped):
            result = self.call_learn(built, train_data, watched)
        values, sent = self.learned(result, watched, None)
        if stand_in is not None:
            stand_in.forget()
        of_batches, batch_arrays = noted.taken()
        return {**values, **of_batches, "seen": seen}, [*sent, *batch_arrays]

    def do_logits(
        self,
        arrays: Arrays,
        net: str,
        seed: int,
        count: int | None = None,
        norms: str | None = None,
        autocast: bool = False,
    ) -> Answer:
        """The logits of the held-out images, or of the first ``count``, and weights at sampled positions.

        The statistics of norms may be renewed before, over the images that ``norms`` names: ``held-out``, or
        ``training``. Digests of the weights and of the buffers say what they are before the images and after them.
        """
        assert self.held_out is not None
        assert self.training is not None
        built = self.nets[net]
        seed_all(seed)
        with torch.no_grad(), self.precision(autocast):
            if norms is not None:
                shown = self.held_out if norms == "held-out" else islice(self.training, _NORM_BATCHES)
                renew_norms(built, list(shown))
            built.eval()
            digests = [(digest_of(built.parameters()), digest_of(built.buffers()))]
            logits: list[Tensor] = []
            for images, _ in self.held_out:
                if count is None or sum(map(len, logits)) < count:
                    logits.append(built(images).float().cpu())
        digests.append((digest_of(built.parameters()), digest_of(built.buffers())))
        weights, buffers = (list(both) for both in zip(*digests, strict=True))
        sampled = Watch(built, arrays[0], arrays[1], False, set()).weights() if arrays else np.zeros(0, np.float32)
        return {"weights": weights, "buffers": buffers}, [torch.cat(logits)[:count].numpy(), sampled]

    def do_modes(self, arrays: Arrays, net: str, factor: float) -> Answer:
        """Digests of the weights, multiplied by a factor: before ``eval()``, after it, with images, and in training."""
        assert self.held_out is not None
        built = self.nets[net]
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.mul_(factor)
            digests = [digest_of(built.parameters())]
            built.eval()
            digests.append(digest_of(built.parameters()))
            built(next(iter(self.held_out))[0])
            digests.append(digest_of(built.parameters()))
            built.train()
            digests.append(digest_of(built.parameters()))
        return {"digests": digests}

    def do_compile(self, arrays: Arrays, net: str) -> Answer:
        """Compile a network with torch.compile."""
        torch._TorchCompileInductorWrapper.__call__ = _generate_code  # type: ignore[method-assign]
        self.nets[net].compile()
        return {}


def _run_as_traced(_: object, traced: Any, *__: Any, **___: Any) -> Callable[..., Any]:
    """Run a network that its file compiles as torch.compile has traced it: generating code takes minutes."""
    run: Callable[..., Any] = traced.forward
    return run
