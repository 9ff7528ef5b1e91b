"""The commands of a driver that call ``learn`` on batches with a stand-in for the forward pass, or without one."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .describe import result_of
from .generators import seed_all
from .loaders import data_loader, pairs, watched
from .saved import loaded
from .standin import StandIn
from .states import States
from .watch import Watch

Answer = dict[str, Any] | tuple[dict[str, Any], list[np.ndarray[Any, Any]]]
Arrays = list[np.ndarray[Any, Any]]


class Learning(States):
    """The commands, and the stand-ins of networks by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stand_ins: dict[str, StandIn] = {}
        self.output: Any = None  # of the network of the last stand-in
        self.shown: dict[str, list[Tensor]] = {}  # images and labels of the last call of learn
        self.horizons: list[Any] = []  # of the file's own calls of make_scheduler since the last answer

    def do_stand_in(self, arrays: Arrays, net: str, leaves: list[list[int]] | None = None) -> Answer:
        """Replace the forward pass of a network by a stand-in with the output structure of the real one.

        Without images the structure is that of the call before, or a tuple of tensors of the shapes of ``leaves``.
        """
        built = self.nets[net]
        built.train()
        if leaves is not None:
            outputs = tuple(torch.zeros(1, *shape) for shape in leaves)
            self.output = outputs if len(outputs) > 1 else outputs[0]
        elif arrays:
            with torch.no_grad():
                self.output = built(torch.from_numpy(arrays[0]).to(self.device))
        self.stand_ins[net] = built.forward = StandIn(built, self.output)
        return {"leaves": [list(shape) for shape in self.stand_ins[net].shapes]}

    def do_learn(
        self,
        arrays: Arrays,
        net: str,
        sizes: list[int],
        seeds: list[int],
        watch: bool = False,
        silent: bool = False,
        as_list: bool = False,
        gradients: bool = False,
        whole: list[int] | None = None,
        given: list[int] | None = None,
        digests: bool = True,
        same: bool = False,
        shuffle: int | None = None,
        keep: int | None = None,
        overflowing: list[int] | None = None,
        inputs: bool = False,
        buffers: bool = False,
        gains: list[float] | None = None,
    ) -> Answer:
        """Call ``learn`` on batches of the given sizes: all images, all labels, and the sampled positions.

        Args:
            arrays: images, labels, and with ``watch`` the positions of sampled weights and their number per parameter;
                then the states of ``given``.
            seeds: of torch's and Python's generators, and of the stand-in, at each batch.
            watch: note sampled weights before each batch, at the end and after ``learn``.
            silent: the stand-in sends gradients of zero.
            gradients: note sampled gradients at each step of the optimizer.
            whole: batches before which the whole state is noted.
            given: batches before which the network gets a state.
            digests: note digests of all weights before and after the training.
            same: the images and labels are those of the call before, and not among the arrays.
            shuffle: the seed of a loader that shuffles the images.
            keep: the batch before which the state of the network is kept, as ``batch``.
            overflowing: batches in which the stand-in sends infinite gradients.
            inputs: the images of each backward pass through the stand-in are among the arrays, at their end.
            buffers: note the buffers of norms with the weights.
            gains: of the stand-in's gradients, at each batch.
        """
        if not same:
            self.shown[net] = [torch.from_numpy(array).to(self.device) for array in arrays[:2]]
            arrays = arrays[2:]
        states = dict(zip(given or (), arrays[2:], strict=True))
        built, stand_in = self.nets[net], self.stand_ins.get(net)
        images, labels = self.shown[net]
        watch_of = None
        if watch:
            watch_of = Watch(
                built, arrays[0], arrays[1], gradients, set(whole or ()), digests=digests, with_buffers=buffers
            )
        if stand_in is not None:
            stand_in.silent = silent
            stand_in.overflowing = frozenset(overflowing or ())

        def asked(index: int) -> None:
            if index == keep and "batch" not in self.states:
                self.do_keep([], net, "batch")
            seed_all(seeds[index])
            if index in states:
                built.load_state_dict(loaded(states[index])["net"])
            if stand_in is not None:
                stand_in.begin(index, seeds[index], gains[index] if gains else 1.0)
            if watch_of is not None:
                watch_of.before_batch(index)

        def ended() -> None:
            if watch_of is not None:
                watch_of.at_end()

        losses: list[float] = []
        order: list[int] = []
        with contextlib.ExitStack() as stack:
            if silent:
                stack.enter_context(_noting_losses(losses))
            if as_list:
                train_data: Any = pairs(images, labels, sizes)
                if seeds:
                    seed_all(seeds[0])
            else:
                train_data = data_loader(images, labels, max(sizes, default=1), shuffle)
                stack.enter_context(watched(train_data, asked, ended, order))
            result = self.call_learn(built, train_data, watch_of)
        values, sent = self.learned(result, watch_of, stand_in, inputs)
        return {**values, "losses": losses, "order": order}, sent

    def call_learn(self, built: Any, train_data: Any, watched: Watch | None) -> object:
        """Call ``learn``, and watch it."""
        if watched is None:
            return built.learn(train_data)
        with watched:
            return built.learn(train_data)

    def learned(
        self, result: object, watched: Watch | None, stand_in: StandIn | None, inputs: bool = False
    ) -> tuple[dict[str, Any], Arrays]:
        """The notes of a call of ``learn``."""
        values: dict[str, Any] = {"result": result_of(result), "horizons": self.taken_horizons()}
        sent: Arrays = []
        if watched is not None:
            noted, arrays = watched.taken()
            values |= noted
            sent += arrays
        if stand_in is not None:
            values["backward"] = [at for at, _ in stand_in.incoming]
            sent += [leaf.numpy() for _, leaves in stand_in.incoming for leaf in leaves]
            if inputs:
                sent += [images.float().cpu().numpy() for images in stand_in.inputs]
            stand_in.forget()
        return values, sent

    def taken_horizons(self) -> list[int]:
        """The horizons of the file's own calls of ``make_scheduler`` since the last answer; -1 for no integer."""
        horizons = [horizon if type(horizon) is int and 0 <= horizon < 1 << 40 else -1 for horizon in self.horizons]
        self.horizons.clear()
        return horizons


@contextlib.contextmanager
def _noting_losses(losses: list[float]) -> Iterator[None]:
    """Note the scalars that are differentiated."""
    backward = torch.autograd.backward

    def noting(tensors: Any, *arguments: Any, **keywords: Any) -> Any:
        loss = tensors if isinstance(tensors, Tensor) else tensors[0]
        losses.append(float(loss.detach()) if loss.numel() == 1 else math.nan)
        return backward(tensors, *arguments, **keywords)

    torch.autograd.backward = noting
    try:
        yield
    finally:
        torch.autograd.backward = backward
