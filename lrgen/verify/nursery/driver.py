"""The driver: it obeys the examiner's commands in the process of one file.

A command is a frame (``wire``) with the name of a method ``do_<name>`` and its arguments; the answer is a frame with
what the method returns, or with the exception that the file raised::

    {"do": "build", "net": "a", "shape": [2, 3, 32, 32], ...}
    {"done": {"parameters": [...]}, "children": 0}
    {"raised": {"type": "ValueError", "message": "...", "line": 12}, "children": 0}

The driver compares nothing and knows nothing that the file must not know. The file shares its process and can forge any
answer; what it cannot do is to know what the examiner expects.
"""

import builtins
import contextlib
import functools
import io
import linecache
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import torch
from beside.batches import Batches, Scale
from torch import Tensor, nn

from . import wire
from .batch_notes import BatchNotes
from .describe import (
    criterion_of,
    criterion_report,
    global_state,
    groups_of,
    optimizer_report,
    parameters_of,
    result_of,
    schedulers_of,
    signature_of,
    state_of,
    takes_metric,
)
from .functions import Functions
from .generators import seed_all, without_random_numbers
from .given_weights import GivenWeights
from .gradients import Gradients
from .loaders import TrainingLoader, data_loader, pairs, watched
from .norms import renew_norms
from .observation import Observations
from .optimizers import optimizer_of
from .prm import Prm, read_of
from .raised import explained, line_of
from .resuming import restore, restore_without_scheduler
from .saved import loaded, saved
from .standin import StandIn
from .states import States
from .traces import Traces
from .watch import Stopped, Watch, digest_of

Arrays = list[np.ndarray[Any, Any]]
Answer = dict[str, Any] | tuple[dict[str, Any], Arrays]

_MODULE = "candidate"
_METHODS = ("__init__", "train_setup", "learn", "forward")
_ATTRIBUTES = ("device", "criterion", "optimizer", "scheduler")
_generate_code = torch._TorchCompileInductorWrapper.__call__
_NORM_BATCHES = 10  # of training images, over which the statistics of norms are renewed


def serve(channel: int, device: str) -> None:
    """Obey commands until the examiner closes the channel."""
    warnings.simplefilter("ignore")
    torch._TorchCompileInductorWrapper.__call__ = _run_as_traced  # type: ignore[assignment]
    driver = Driver(torch.device(device))
    while (received := wire.receive(channel)) is not None:
        message, arrays = received
        wire.send(channel, *driver.obey(message.pop("do"), message, arrays))


class Refusal(Exception):
    """A command that cannot be obeyed; the message says why."""


class Driver(States, Traces, Gradients, GivenWeights, Observations, Functions):
    """The state of the process of a file: its module, and its networks by name."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.path = ""
        self.given: dict[str, Any] = {}
        self.module: ModuleType | None = None
        self.nets: dict[str, Any] = {}
        self.prms: dict[str, dict[str, Any]] = {}
        self.stand_ins: dict[str, StandIn] = {}
        self.output: Any = None  # of the network of the last stand-in
        self.shown: dict[str, list[Tensor]] = {}  # images and labels of the last call of learn
        self.training: Batches | None = None
        self.held_out: Batches | None = None
        self.make_scheduler: Callable[..., Any] | None = None
        self.horizons: list[Any] = []  # of the file's own calls of make_scheduler since the last answer

    def obey(self, name: str, arguments: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Run a command, and return the message and the arrays of its answer."""
        method: Callable[..., Answer] = getattr(self, f"do_{name}")
        sent: Arrays = []
        try:
            answer = method(arrays=arrays, **arguments)
            values, sent = answer if isinstance(answer, tuple) else (answer, [])
            message: dict[str, Any] = {"done": values}
        except Refusal as refusal:
            message = {"refused": str(refusal)}
        except SystemExit as error:
            message = {
                "raised": {"type": "SystemExit", "message": repr(error.code)[:300], "line": line_of(error, self.path)}
            }
        except BaseException as error:  # noqa: BLE001  the file may raise anything
            message = {"raised": explained(error, self.path)}
        sys.stdout.flush()
        sys.stderr.flush()
        return {**message, "children": _running_children()}, sent

    # The module.

    def do_load(
        self, arrays: Arrays, source: str, path: str, absent: list[str], given: dict[str, Any] | None = None
    ) -> Answer:
        """Execute the file as a module, from its text; the packages ``absent`` are missing.

        ``given`` are hyperparameters that the file gets in each ``prm``.
        """
        self.path, self.given = path, given or {}
        # For torch.jit.script and inspect, which read the text of functions.
        linecache.cache[path] = len(source), None, source.splitlines(keepends=True), path
        module = ModuleType(_MODULE)
        module.__file__ = path
        sys.modules[_MODULE] = module
        if absent:
            module.__dict__["__builtins__"] = _builtins_without(frozenset(absent))
        before = global_state()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, path, "exec"), module.__dict__)  # the file is what is examined
        after = global_state()
        self.module = module
        self._record_horizons(module)
        return {
            "printed": printed.getvalue()[:80],
            "changed": [name for name in before if before[name] != after[name]],
            "makes_scheduler": callable(getattr(module, "make_scheduler", None)),
            "is_module": self._is_module(),
            "signatures": {name: signature_of(getattr(module, "Net", None), name) for name in _METHODS},
            "hyperparameters": self._hyperparameters(),
        }

    def _record_horizons(self, module: ModuleType) -> None:
        """Have the file's own calls of ``make_scheduler`` recorded; traces call the original."""
        make = getattr(module, "make_scheduler", None)
        if not callable(make):
            return
        self.make_scheduler = make

        @functools.wraps(make)
        def recorded(*arguments: Any, **keywords: Any) -> Any:
            self.horizons.append(keywords.get("total_steps", arguments[1] if len(arguments) > 1 else None))
            return make(*arguments, **keywords)

        vars(module)["make_scheduler"] = recorded

    def _is_module(self) -> bool:
        net = getattr(self.module, "Net", None)
        return isinstance(net, type) and issubclass(net, nn.Module)

    def _hyperparameters(self) -> list[str] | None:
        supported = getattr(self.module, "supported_hyperparameters", None)
        names = supported() if callable(supported) else None
        if isinstance(names, (set, frozenset, list, tuple)) and all(isinstance(name, str) for name in names):
            return sorted(names)
        return None

    # Networks.

    def do_build(
        self,
        arrays: Arrays,
        net: str,
        shape: list[int],
        classes: int,
        prm: dict[str, Any],
        seed: int,
        recorded: bool = False,
        initialised: bool = True,
    ) -> Answer:
        """Build a ``Net`` after seeding torch; earlier networks of that name are forgotten.

        Its hyperparameters are a plain dict, or one that records which are read. Without random numbers
        (``initialised``) a large network is built in half of the time.
        """
        assert self.module is not None
        prm = {**prm, **self.given}
        self.prms[net] = Prm(prm) if recorded else prm
        self.stand_ins.pop(net, None)
        self.nets.pop(net, None)
        seed_all(seed)
        with contextlib.nullcontext() if initialised else without_random_numbers():
            built = self.module.Net(tuple(shape), (classes,), self.prms[net], self.device)
        self.nets[net] = built.to(self.device)
        return {"parameters": parameters_of(self.nets[net])}

    def do_forget(self, arrays: Arrays, net: str | None = None) -> Answer:
        """Free the memory of a network, or of all networks."""
        for kept in (self.nets, self.prms, self.stand_ins):
            for name in list(kept) if net is None else [net]:
                kept.pop(name, None)
        return {}

    def do_set_up(self, arrays: Arrays, net: str, prm: dict[str, Any] | None = None) -> Answer:
        """Call ``train_setup``, with other hyperparameters if ``prm`` is given."""
        if prm is not None:
            self.prms[net] = {**prm, **self.given}
        built = self.nets[net]
        built.zero_grad()  # as before any training
        built.train_setup(self.prms[net])
        return self._set_up(built, self.prms[net])

    def _set_up(self, built: Any, prm: dict[str, Any]) -> dict[str, Any]:
        missing = [name for name in _ATTRIBUTES if not hasattr(built, name)]
        optimizer = optimizer_of(built)
        criterion = criterion_of(built)
        schedulers = schedulers_of(built)
        return {
            "parameters": parameters_of(built),
            "missing": [name for name in missing if name != "criterion" or criterion is None],
            "optimizer": optimizer_report(optimizer, wrapped=optimizer is not getattr(built, "optimizer", None)),
            "groups": groups_of(optimizer, built),
            "criterion": criterion_report(criterion),
            "scheduler": bool(schedulers),
            "scheduler_state": state_of(schedulers),
            "takes_metric": any(map(takes_metric, schedulers)),
            "horizons": self._horizons(),
            "read": read_of(prm),
        }

    def _horizons(self) -> list[int]:
        """The horizons of the file's own calls of ``make_scheduler`` since the last answer; -1 for no integer."""
        horizons = [horizon if type(horizon) is int and 0 <= horizon < 1 << 40 else -1 for horizon in self.horizons]
        self.horizons.clear()
        return horizons

    def do_reads(self, arrays: Arrays, net: str) -> Answer:
        """The hyperparameters that a network has read so far."""
        return {"read": read_of(self.prms[net])}

    def do_state(self, arrays: Arrays, net: str) -> Answer:
        """Digests of the weights and buffers of a network, its learning rates, and the state of its scheduler."""
        built = self.nets[net]
        return {
            "weights": digest_of(built.parameters()),
            "buffers": digest_of(built.buffers()),
            "rates": [float(group["lr"]) for group in optimizer_of(built).param_groups],
            "scheduler_state": state_of(schedulers_of(built)),
        }

    def do_forward(self, arrays: Arrays, net: str, train: bool) -> Answer:
        """The output of the forward pass for images, without gradients."""
        built = self.nets[net]
        built.train(train)
        with torch.no_grad():
            output = built(torch.from_numpy(arrays[0]).to(self.device))
        if not isinstance(output, Tensor):
            return {"type": type(output).__name__[:80]}
        return {"type": "Tensor"}, [output.detach().float().cpu().numpy()]

    def do_order(self, arrays: Arrays, net: str) -> Answer:
        """The parameters that the forward pass uses in training, in the order of their first use."""
        built = self.nets[net]
        built.train()
        index = {id(parameter): at for at, parameter in enumerate(built.parameters())}
        used: list[int] = []

        def note(module: nn.Module, _: object) -> None:
            used.extend(
                index[id(parameter)]
                for parameter in module.parameters(recurse=False)
                if id(parameter) in index and index[id(parameter)] not in used
            )

        hooks = [module.register_forward_pre_hook(note) for module in built.modules() if module is not built]
        try:
            with torch.no_grad():
                built(torch.from_numpy(arrays[0]).to(self.device))
        finally:
            for hook in hooks:
                hook.remove()
        return {"used": used}

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

    # Training.

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
        """
        if not same:
            self.shown[net] = [torch.from_numpy(array).to(self.device) for array in arrays[:2]]
            arrays = arrays[2:]
        states = dict(zip(given or (), arrays[2:], strict=True))
        built, stand_in = self.nets[net], self.stand_ins.get(net)
        images, labels = self.shown[net]
        watch_of = Watch(built, arrays[0], arrays[1], gradients, set(whole or ()), digests=digests) if watch else None
        if stand_in is not None:
            stand_in.silent = silent

        def asked(index: int) -> None:
            if index == keep and "batch" not in self.states:
                self.do_keep([], net, "batch")
            seed_all(seeds[index])
            if index in states:
                built.load_state_dict(loaded(states[index])["net"])
            if stand_in is not None:
                stand_in.begin(index, seeds[index])
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
            result = self._learn(built, train_data, watch_of)
        values, sent = self._learned(result, watch_of, stand_in)
        return {**values, "losses": losses, "order": order}, sent

    def _learn(self, built: Any, train_data: Any, watched: Watch | None) -> object:
        if watched is None:
            return built.learn(train_data)
        with watched:
            return built.learn(train_data)

    def _learned(
        self, result: object, watched: Watch | None, stand_in: StandIn | None
    ) -> tuple[dict[str, Any], Arrays]:
        values: dict[str, Any] = {"result": result_of(result), "horizons": self._horizons()}
        sent: Arrays = []
        if watched is not None:
            noted, arrays = watched.taken()
            values |= noted
            sent += arrays
        if stand_in is not None:
            values["backward"] = [at for at, _ in stand_in.incoming]
            sent += [leaf.numpy() for _, leaves in stand_in.incoming for leaf in leaves]
            stand_in.incoming.clear()
        return values, sent

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
    ) -> Answer:
        """Call ``learn`` on the training images.

        Args:
            arrays: sampled positions, their number per parameter, and the order of the images.
            seeds: of torch's and Python's generators, and of the augmentation, at each batch.
            keep: the batch before which the state of the network is kept, as ``batch``.
            stop: end before the first step of the optimizer is made.
            silent: the network has a stand-in, which sends gradients of zero.
        """
        assert self.training is not None
        built, stand_in = self.nets[net], self.stand_ins.get(net)
        watched = Watch(built, arrays[0], arrays[1], True, set(), stop)
        noted = BatchNotes(built)
        if stand_in is not None:
            stand_in.silent = silent

        def asked(index: int) -> int:
            if index == keep and "batch" not in self.states:
                self.do_keep([], net, "batch")
            seed_all(seeds[index])
            if stand_in is not None:
                stand_in.begin(index, seeds[index])
            watched.before_batch(index)
            noted.begin()
            return seeds[index]

        train_data = TrainingLoader(self.training, torch.from_numpy(arrays[2]), asked, watched.at_end)
        result = None
        with self.precision(autocast), noted, contextlib.suppress(Stopped):
            result = self._learn(built, train_data, watched)
        values, sent = self._learned(result, watched, None)
        if stand_in is not None:
            stand_in.incoming.clear()
        of_batches, batch_arrays = noted.taken()
        return {**values, **of_batches}, [*sent, *batch_arrays]

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

    # States.

    def do_save(self, arrays: Arrays, net: str) -> Answer:
        """The states of a network, its optimizer and its scheduler, as ``torch.save`` writes them."""
        built = self.nets[net]
        states = {"net": built.state_dict()}
        for name in ("optimizer", "scheduler"):
            part = getattr(built, name, None)
            if part is not None and hasattr(part, "state_dict"):
                states[name] = part.state_dict()
        return {"parts": sorted(states)}, [saved(states)]

    def do_restore(self, arrays: Arrays, net: str, total_steps: int | None) -> Answer:
        """Set up a new network and load the states of an interrupted run, as docs/resuming.md says."""
        built, prm = self.nets[net], self.prms[net]
        states = torch.load(io.BytesIO(arrays[0].tobytes()), weights_only=True)
        if "scheduler" in states:
            assert self.make_scheduler is not None
            restore(built, self.make_scheduler, total_steps, prm, states)
        else:
            restore_without_scheduler(built, prm, states)
        return self._set_up(built, prm)

    def do_load_weights(self, arrays: Arrays, net: str) -> Answer:
        """Load the state of a network alone, from what ``save`` or a watched ``learn`` returned."""
        self.nets[net].load_state_dict(torch.load(io.BytesIO(arrays[0].tobytes()), weights_only=True)["net"])
        return {}


def _run_as_traced(_: object, traced: Any, *__: Any, **___: Any) -> Callable[..., Any]:
    """Run a network that its file compiles as torch.compile has traced it: generating code takes minutes."""
    run: Callable[..., Any] = traced.forward
    return run


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


def _builtins_without(absent: frozenset[str]) -> dict[str, Any]:
    """The built-in names for a file to which these packages are not installed."""

    def import_module(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return __import__(name, *arguments, **keywords)

    return {**vars(builtins), "__import__": import_module}


def _running_children() -> int:
    """The number of processes that the file has started and that still run."""
    try:
        descriptor = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
    except OSError:  # the kernel does not have this file; the host checks it, too
        return 0
    try:
        return len(os.read(descriptor, 1 << 16).split())
    finally:
        os.close(descriptor)
