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
import os
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import interfaces, wire
from .averages import Averages
from .describe import (
    criterion_of,
    criterion_report,
    dtypes_of,
    global_state,
    groups_of,
    optimizer_report,
    parameters_of,
    schedulers_of,
    signature_of,
    state_of,
    takes_metric,
)
from .examples import Examples
from .functions import Functions
from .generators import seed_all, without_random_numbers
from .given_weights import GivenWeights
from .observation import Observations
from .optimizers import optimizer_of
from .prm import Prm, read_of
from .raised import explained, line_of
from .resuming import further_states, restore, restore_without_scheduler
from .saved import loaded, saved
from .traces import Traces
from .training import Training, trace_alone
from .watch import digest_of

Arrays = list[np.ndarray[Any, Any]]
Answer = dict[str, Any] | tuple[dict[str, Any], Arrays]

_MODULE = "candidate"
_METHODS = ("__init__", "train_setup", "learn", "forward")
_ATTRIBUTES = ("device", "criterion", "optimizer", "scheduler")


def serve(channel: int, device: str) -> None:
    """Obey commands until the examiner closes the channel."""
    warnings.simplefilter("ignore")
    trace_alone()
    driver = Driver(torch.device(device))
    while (received := wire.receive(channel)) is not None:
        message, arrays = received
        wire.send(channel, *driver.obey(message.pop("do"), message, arrays))


class Refusal(Exception):
    """A command that cannot be obeyed; the message says why."""


class Driver(Training, Examples, Traces, GivenWeights, Observations, Functions, Averages):
    """The state of the process of a file: its module, and its networks by name."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.path = ""
        self.given: dict[str, Any] = {}
        self.loss_scale: float | None = None
        self.module: ModuleType | None = None
        self.nets: dict[str, Any] = {}
        self.prms: dict[str, dict[str, Any]] = {}
        self.make_scheduler: Callable[..., Any] | None = None

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
        self,
        arrays: Arrays,
        source: str,
        path: str,
        absent: list[str],
        given: dict[str, Any] | None = None,
        loss_scale: float | None = None,
    ) -> Answer:
        """Execute the file as a module, from its text; the packages ``absent`` are missing.

        ``given`` are hyperparameters that the file gets in each ``prm``. Its gradient scalers begin with ``loss_scale``
        if there is one.
        """
        self.path, self.given, self.loss_scale = path, given or {}, loss_scale
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

    # The code of a schedule alone.

    def do_load_schedule(self, arrays: Arrays, source: str, path: str) -> Answer:
        """Execute the code; classes of Lightning are there whether it is installed or not."""
        interfaces.provide_lightning()
        self.path = path
        module = ModuleType(_MODULE)
        sys.modules[_MODULE] = module
        exec(compile(source, path, "exec"), module.__dict__)  # the code is what is examined
        self.module = module
        return {}

    def do_schedule_rates(self, arrays: Arrays, **arguments: Any) -> Answer:
        """The learning rates that come of calling the code (``interfaces.rates``)."""
        assert self.module is not None
        try:
            rows = interfaces.rates(vars(self.module), **arguments)
        except interfaces.WrongForm as error:
            return {"wrong_form": str(error)}
        except Exception as error:  # noqa: BLE001  the code may raise anything
            return {"raised": explained(error, self.path)}
        return {}, [np.array(rows, dtype=np.float64).T]

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
        for part in further_states(built).values():
            if self.loss_scale is not None and isinstance(part, torch.amp.GradScaler):
                part.load_state_dict(part.state_dict() | {"scale": self.loss_scale})
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
            "horizons": self.taken_horizons(),
            "read": read_of(prm),
        }

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

    # States.

    def do_save(self, arrays: Arrays, net: str) -> Answer:
        """The states of a network, its optimizer and its scheduler, as ``torch.save`` writes them."""
        built = self.nets[net]
        states = {"net": built.state_dict()}
        for name in ("optimizer", "scheduler"):
            part = getattr(built, name, None)
            if part is not None and hasattr(part, "state_dict"):
                states[name] = part.state_dict()
        for name, part in further_states(built).items():
            with contextlib.suppress(Exception):  # what is no state of tensors and numbers is left out
                state = part.state_dict()
                loaded(saved(state))
                states[name] = state
        return {"parts": sorted(states)}, [saved(states)]

    def do_restore(self, arrays: Arrays, net: str, total_steps: int | None, growing: bool = False) -> Answer:
        """Set up a new network and load the states of an interrupted run, as docs/resuming.md says.

        A gradient scaler that is ``growing`` doubles its scale after the next update.
        """
        built, prm = self.nets[net], self.prms[net]
        states = torch.load(io.BytesIO(arrays[0].tobytes()), weights_only=True)
        if "scheduler" in states:
            assert self.make_scheduler is not None
            restore(built, self.make_scheduler, total_steps, prm, states)
        else:
            restore_without_scheduler(built, prm, states)
        for name, part in further_states(built).items():
            if name in states:
                if growing and "_growth_tracker" in states[name]:
                    states[name]["_growth_tracker"] = states[name]["growth_interval"] - 1
                part.load_state_dict(states[name])
        return self._set_up(built, prm)

    def do_set_up_elsewhere(
        self, arrays: Arrays, device: str, shape: list[int], classes: int, prm: dict[str, Any]
    ) -> Answer:
        """Build a ``Net`` on another device, and call its ``train_setup``."""
        assert self.module is not None
        self.module.Net(tuple(shape), (classes,), prm, torch.device(device)).train_setup(prm)
        return {}

    def do_dtypes(self, arrays: Arrays, net: str) -> Answer:
        """The dtypes of the output of the forward pass for images, and of the real numbers that a network keeps."""
        built = self.nets[net]
        built.eval()
        with torch.no_grad():
            output = built(torch.from_numpy(arrays[0]).to(self.device))
        kept = [value for of_one in optimizer_of(built).state.values() for value in of_one.values()]
        parts = {
            "output": [output],
            "parameters": list(built.parameters()),
            "buffers": list(built.buffers()),
            "optimizer": kept,
        }
        return {"dtypes": {name: dtypes_of(values) for name, values in parts.items()}}

    def do_load_weights(self, arrays: Arrays, net: str) -> Answer:
        """Load the state of a network alone, from what ``save`` or a watched ``learn`` returned."""
        self.nets[net].load_state_dict(torch.load(io.BytesIO(arrays[0].tobytes()), weights_only=True)["net"])
        return {}


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
