"""The policies refuse what no training file needs, and accept what rendered files and people's files contain."""

import ast
import itertools
from types import SimpleNamespace

import pytest
import torch

from lrgen.records import Policy, Stage, VerifySettings
from lrgen.render import output
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks import policy
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.static import allowed
from lrgen.verify.static.rules import RULES, reason_for, refusals
from tests.paths import FIXTURES
from tests.verify.static.snippets import snippets

HONEST = (FIXTURES / "policy" / "passes_strict.py").read_text(encoding="utf-8")

# Refused by both policies: no training file needs it.
EVASIONS = snippets(
    """
    # exec
    exec("x = 1")
    ---
    # exec by another name
    run = exec
    run("x = 1")
    ---
    # exec in a decorator
    @(lambda f: exec("x = 1"))
    def g(): pass
    ---
    # eval in an annotation
    def g(x: eval("int")): pass
    ---
    # eval in a default
    def g(x=eval("1")): pass
    ---
    # compile that a name hides
    if 0:
        compile = None
    code = compile("1", "x", "eval")
    ---
    # open in letters of another alphabet
    ｏｐｅｎ("x")
    ---
    # open in the else of a guard
    if __name__ == "__main__":
        pass
    else:
        open("x")
    ---
    # open that a class hides
    class A:
        open = open("x")
    ---
    # globals
    globals()["x"] = 1
    ---
    # the built-in names
    b = __builtins__
    ---
    # __import__ in a lambda
    f = lambda: __import__("os")
    ---
    # __import__ by a text
    f = getattr(object, "__im" + "port__")
    ---
    # importlib
    import importlib
    ---
    # importlib in a function
    def f():
        from importlib import import_module as load
        return load("os")
    ---
    # sys of a module
    import typing
    m = typing.sys.modules
    ---
    # sys of torch
    import torch
    f = torch.sys._getframe(0)
    ---
    # os of torch by from
    from torch import os
    os._exit(0)
    ---
    # os of torch by getattr
    import torch
    o = getattr(torch, "os")
    ---
    # os of torch by a computed name
    import torch
    name = "o" + "s"
    o = getattr(torch, name)
    ---
    # os of torch by arguments
    import torch
    o = getattr(*[torch, "os"])
    ---
    # a module by another name
    import torch as t
    u = t
    u.sys.exit(0)
    ---
    # a module in a condition
    import torch, math
    (torch if math else math).sys.exit(0)
    ---
    # os
    import os
    os.system("ls")
    ---
    # os by a star
    from os import *
    ---
    # ctypes
    import ctypes
    ---
    # gc
    import gc
    ---
    # signal
    import signal
    ---
    # threads
    import threading
    ---
    # processes of torch
    import torch.multiprocessing as mp
    ---
    # the trace function
    from sys import settrace
    ---
    # the frame of a generator
    def f(g):
        return g.gi_frame.f_back
    ---
    # the frame of an error
    def f():
        try:
            raise ValueError
        except ValueError as e:
            return e.__traceback__.tb_frame
    ---
    # the frame by a group of errors
    def f():
        try:
            pass
        except* ValueError as e:
            return e.exceptions[0].__traceback__
    ---
    # the frame by getattr
    def f(e):
        return getattr(getattr(e, "__trace" "back__"), "tb" + "_frame")
    ---
    # the frame by a joined name
    def f(e):
        name = "".join(["tb_", "frame"])
        return getattr(e, name)
    ---
    # the frame by an f-string
    def f(e):
        return getattr(e, f"{'tb_'}frame")
    ---
    # the frame by a pattern
    def f(e):
        match e:
            case BaseException(__traceback__=t):
                return t
    ---
    # the frame by a format
    def f(e):
        return "{0.__traceback__}".format(e)
    ---
    # the frame by an operator
    from operator import attrgetter
    ---
    # the names of a function
    def f(): pass
    names = f.__globals__
    ---
    # the subclasses of object
    c = ().__class__.__base__.__subclasses__()
    ---
    # the bases of a class
    def f(x):
        return type(x).mro()
    ---
    # getattr passed on
    from functools import reduce
    f = reduce(getattr, ["__class__"], 1)
    ---
    # a method of torch's class
    from torch.optim import SGD
    SGD.step = None
    ---
    # a method of torch's class by another name
    from torch.optim import SGD
    def f():
        s = SGD
        s.step = None
    ---
    # a method of torch's class by a walrus
    from torch.optim import SGD
    def f():
        if (s := SGD):
            s.step = None
    ---
    # a method of torch's class in a loop
    from torch.optim import SGD, Adam
    for c in (SGD, Adam):
        c.zero_grad = None
    ---
    # a method of torch's class in a tuple
    from torch.optim import SGD
    a, b = SGD, 1
    a.step = b
    ---
    # a method of torch's class in a comprehension
    from torch.optim import SGD
    x = [0 for SGD.step in [None]]
    ---
    # a method of torch's class as a default
    from torch.optim import SGD
    def f(c=SGD):
        c.step = None
    ---
    # a method of torch's class as an argument
    def f(c):
        c.step = None
    ---
    # a method of torch's class in a list
    from torch.optim import SGD
    [SGD][0].state_dict = None
    ---
    # a method of torch's class in a dictionary
    from torch.optim import SGD
    d = {"s": SGD}
    d["s"].step = None
    ---
    # a method of torch's class by nonlocal
    from torch.optim import SGD
    def f():
        def g():
            nonlocal c
            c = SGD
        c = None
        g()
        c.lr = None
    ---
    # a method of the class of an object
    def f(o):
        type(o).step = None
    ---
    # a method of the class of an object by __class__
    def f(o):
        o.__class__.zero_grad = None
    ---
    # setattr
    from torch.optim import SGD
    for k in ("step",):
        setattr(SGD, k, None)
    ---
    # setattr of an object
    def f(o):
        setattr(o, "st" + "ep", None)
    ---
    # setattr by arguments
    def f(o):
        setattr(*(o, "step", None))
    ---
    # setattr of type
    from torch.optim import SGD
    type.__setattr__(SGD, "step", None)
    ---
    # the names of an object
    def f(o):
        o.__dict__["step"] = None
    ---
    # the names of an object by vars
    def f(o):
        vars(o).update(step=None)
    ---
    # the names of a module
    import torch
    torch.nn.functional.__dict__["relu"] = None
    ---
    # a function of torch
    import torch
    torch.equal = None
    ---
    # a function of torch with augmented assignment
    import torch
    torch.equal += 1
    ---
    # a function of torch deleted
    import torch
    del torch.equal
    ---
    # a loss of torch
    from torch.nn import functional as F
    F.cross_entropy = None
    ---
    # a loss of torch as the target of with
    from torch.nn import functional as F
    def f(c):
        with c as F.cross_entropy:
            pass
    ---
    # a built-in type
    float.__add__ = None
    ---
    # a hook of the optimizer
    def f(o):
        o.register_step_pre_hook(print)
    ---
    # a hook of the optimizer by getattr
    def f(o):
        getattr(o, "register_step_" + "post_hook")(print)
    ---
    # a hook of every module
    from torch.nn.modules.module import register_module_forward_hook
    ---
    # the hooks of an optimizer
    def f(o):
        o._optimizer_step_pre_hooks[1] = print
    ---
    # a class that pretends to be another
    class A:
        @property
        def __class__(self): return int
    ---
    # the class of an object
    def f(o):
        o.__class__ = int
    ---
    # a destructor
    class A:
        def __del__(self): pass
    ---
    # every attribute
    class A:
        def __getattribute__(self, name): return 1
    ---
    # every function of torch
    class A:
        @classmethod
        def __torch_function__(cls, *a): return 1
    ---
    # a dictionary that lies
    class Group(dict):
        def __getitem__(self, key): return 0.1
    ---
    # a dictionary that lies with a lambda
    from collections import OrderedDict
    class Group(OrderedDict):
        get = lambda self, key: 0.1
    ---
    # a dictionary that lies in a condition
    class Group(dict):
        if True:
            def __getitem__(self, key): return 0.1
    ---
    # a number
    class Rate(float): pass
    ---
    # a number by another name
    Base = float
    class Rate(Base): pass
    ---
    # a tensor
    from torch import Tensor
    class T(Tensor): pass
    ---
    # a class from type
    from torch.optim import SGD
    X = type("X", (SGD,), {})
    ---
    # a class with a computed base
    def f(o):
        class X(type(o)): pass
    ---
    # a metaclass
    class M(type): pass
    ---
    # a metaclass as a keyword
    class A(metaclass=lambda *a: 1): pass
    ---
    # keywords of a class
    class A(**{"metaclass": type}): pass
    ---
    # a mode of torch
    from torch.overrides import TorchFunctionMode
    ---
    # a patch of a test
    from unittest import mock
    ---
    # a function that reads a file
    import torch
    def f():
        return torch.from_file("x")
    ---
    # a coroutine that opens
    async def f():
        return await open("x")
    """
)
# Refused by strict alone.
STRICT = snippets(
    """
    # a module that strict does not list
    import random
    ---
    # a module in a function
    def f():
        import math
    ---
    # a module in a guard
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import math
    ---
    # an optional module
    try:
        import math
    except ImportError:
        math = None
    ---
    # a star
    from torch.nn import *
    ---
    # a module passed on
    from torch import nn
    def f(g):
        g(nn)
    ---
    # a module by another name
    import torch
    nn = torch.nn
    ---
    # a function that loads
    import torch
    def f():
        return torch.load("x")
    ---
    # the seed
    import torch
    def f():
        torch.manual_seed(0)
    ---
    # the compiler
    import torch
    def f(m):
        return torch.compile(m)
    ---
    # a private attribute of self
    class A:
        def f(self):
            return self._x
    ---
    # a private attribute of torch
    def f(m):
        return m._parameters
    ---
    # a private method of super
    class A:
        def f(self):
            super()._f()
    ---
    # a computed attribute
    def f(o, name):
        return getattr(o, name)
    ---
    # an assigned attribute that is computed
    class A:
        def f(self, name):
            setattr(self, name, 1)
    ---
    # vars
    class A:
        def f(self):
            vars(self).update(a=1)
    ---
    # a hook of a module
    def f(m):
        m.register_forward_hook(print)
    ---
    # a hook of a tensor
    def f(t):
        t.register_hook(print)
    ---
    # a dictionary
    class AttrDict(dict): pass
    ---
    # a function with an own gradient
    import torch
    class F(torch.autograd.Function): pass
    ---
    # a missing attribute
    class A:
        def __getattr__(self, name): return 1
    ---
    # an own comparison
    class A:
        def __eq__(self, other): return True
    ---
    # a decorator
    import functools
    @functools.singledispatch
    def f(x): pass
    ---
    # a decorator from a list
    L = []
    @L[0]
    def f(x): pass
    ---
    # an annotation that computes
    def f(x: [i for i in range(3)]): pass
    ---
    # an attribute of another object
    def f(o):
        o.lr = 1
    ---
    # a method of self
    class A:
        def f(self):
            self.forward = None
    ---
    # a method of an own class
    class A:
        def step(self): pass
    A.step = None
    ---
    # the array of a tensor
    def f(t):
        return t.numpy()
    ---
    # the memory of a tensor
    def f(t):
        return t.untyped_storage()
    ---
    # a global name
    x = 1
    def f():
        global x
        x = 2
    ---
    # a match of a class
    def f(x):
        match x:
            case str(): return 2
    ---
    # a coroutine
    async def f(): pass
    ---
    # bytes
    W = bytearray(3)
    ---
    # __getattr__ of the module
    def __getattr__(name): return 1
    ---
    # a flag of cuDNN
    import torch
    def f():
        torch.backends.cudnn.benchmark = True
    ---
    # the type passed on
    def f(xs):
        return list(map(type, xs))
    ---
    # a private method of the base
    from torch.optim.lr_scheduler import LRScheduler
    class Mine(LRScheduler):
        def _update_lr(self, values):
            return None
        def get_lr(self):
            return self._update_lr([])
    ---
    # a private name of a network
    from torch import nn
    class Net(nn.Module):
        def f(self):
            self._parameters = {}
    ---
    # a private name that the class does not define
    class Part:
        def f(self):
            return self._kept
    ---
    # a private name of another object
    class Part:
        def __init__(self):
            self._kept = 1
        def f(self, other):
            return other._kept
    """
)
# Accepted by lemur: people write it.
PEOPLE = snippets(
    """
    # an optional module
    try:
        import numpy as np
    except ImportError:
        np = None
    ---
    # torchvision
    import torchvision
    from torchvision.models._utils import _make_divisible
    from torchvision.ops.misc import Conv2dNormActivation
    def f(x):
        return torchvision.transforms.functional.resize(x, 3)
    ---
    # stars
    from torch import *
    from torch.nn import *
    from math import *
    from typing import *
    log, Sizes = print, Tuple[int, str]
    def f(x: str) -> Optional[int]:
        return int(x) if __name__ == "__main__" else None
    ---
    # a copy of the weights
    import copy
    class Net:
        def f(self):
            object.__setattr__(self, "teacher", copy.deepcopy(self))
    ---
    # the state of a scheduler
    class S:
        def state_dict(self):
            return {k: v for k, v in self.__dict__.items() if k != "optimizer"}
        def load_state_dict(self, state):
            vars(self).update(state)
            self.__dict__.update(state)
    ---
    # layers by name
    import torch
    from torch import nn
    def act(name):
        return getattr(nn, name)(), getattr(torch.optim, name)
    class Net:
        def f(self):
            for i in range(3):
                setattr(self, f"layer{i}", nn.Linear(3, 3))
                getattr(self, f"layer{i}")
    ---
    # a dictionary with attributes
    class AttrDict(dict):
        __getattr__ = dict.get
        __setattr__ = dict.__setitem__
    ---
    # a parameter called input
    class Net:
        def forward(self, input):
            return input
    if __name__ == "__main__":
        import torch
        input = torch.randn(1, 3, 32, 32)
        print(Net().forward(input))
    ---
    # a flag of cuDNN while it trains
    import torch
    def f():
        torch.backends.cudnn.benchmark = True
    ---
    # the name of a class
    class Net:
        def __repr__(self):
            return f"{self.__class__.__name__} {type(self).__name__}"
    ---
    # the environment
    import os, sys
    def f():
        return os.path.join("a", os.environ.get("X", "")), os.cpu_count(), sys.version_info >= (3, 9), sys.maxsize
    ---
    # the hook of a layer
    class Net:
        def f(self, layer):
            layer.register_forward_hook(lambda m, i, o: self.seen.append(o))
    ---
    # weights of a layer
    from torch import nn
    def init(m):
        if isinstance(m, nn.Linear):
            m.weight.data.normal_(0, 0.01)
            m.bias.data = m.bias.data * 0
            m.weight.grad = None
    ---
    # a replaced layer
    def f(model, nn):
        model.fc = nn.Linear(3, 3)
        model.forward = model.forward_features
    ---
    # a function with an own gradient
    import torch
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x
    ---
    # an enumeration of texts
    from enum import Enum, IntEnum
    class Kind(str, Enum):
        A = "a"
    class Size(int, Enum):
        A = 1
    ---
    # an abstract class
    from abc import ABC, ABCMeta, abstractmethod
    class A(metaclass=ABCMeta):
        @abstractmethod
        def f(self): ...
    ---
    # a random choice
    import random, time, logging, warnings
    def f():
        random.seed(0)
        warnings.filterwarnings("ignore")
        logging.getLogger(__name__).info("%s", time.time())
    ---
    # a missing attribute
    class Wrapper:
        def __getattr__(self, name):
            return getattr(self.module, name)
    ---
    # parts of torch
    import torch
    import torch.utils.checkpoint as cp
    from torch.hub import load_state_dict_from_url
    from torch.optim.lr_scheduler import _LRScheduler
    from torch.cuda.amp import GradScaler, autocast
    class S(_LRScheduler): pass
    def f(x):
        return torch.chunk(x, 2), torch.signal, torch.trace(x), torch.load, torch.select(x, 0, 1)
    ---
    # patterns and processes of names
    def f(x):
        match x:
            case {"a": a, **rest}:
                return a, rest
            case [b, *c]:
                return b, c
    """
)
# Accepted by strict.
ANSWERS = snippets(
    """
    # private names of its own
    from torch.optim.lr_scheduler import LRScheduler
    class Mine(LRScheduler):
        def __init__(self, optimizer, total):
            self._total = total
            super().__init__(optimizer)
        def _factor(self, step):
            return 1 - step / self._total
        def get_lr(self):
            return [lr * self._factor(self.last_epoch) for lr in self.base_lrs]
    class Part:
        _scale = 2
        def f(self):
            return self._scale
    ---
    # a match of numbers
    def f(x):
        match x:
            case 0 | 1: return 2
            case _: return 3
    ---
    # a module of Lightning
    import lightning as L
    class Lit(L.LightningModule):
        def configure_optimizers(self):
            return []
    ---
    # classes and functions of torch
    import copy
    import math
    from collections.abc import Callable
    from bisect import bisect_right
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn
    from torch.optim import SGD, Optimizer
    from torch.optim.lr_scheduler import LambdaLR, LRScheduler
    class Half(LambdaLR):
        def get_lr(self) -> list[float]:
            self._last_lr = [base * math.cos(0.0) for base in self.base_lrs]
            return super().get_lr()
    @torch.no_grad()
    def f(x: Tensor, g: Callable[[Tensor], Tensor] | None = None) -> torch.Tensor:
        return F.relu(torch.cat([x, x.chunk(2)[0]]))
    ---
    # own decorators and types
    from dataclasses import dataclass
    from typing import Any, Literal
    @dataclass(frozen=True)
    class Config:
        width: int = 3
        kind: Literal["a", "b"] = "a"
        @property
        def double(self) -> int: return 2 * self.width
        @double.setter
        def double(self, value: int) -> None: self.width = value
    def twice(f: Any) -> Any: return f
    @twice
    def g() -> None: pass
    ---
    # attributes of objects
    from torch import nn
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.conv.bias = None
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 0.01
            setattr(self, "extra", 3)
            self.register_buffer("mask", None)
    Net.count = 3
    ---
    # a nested function with the name of a built-in
    def f(input, open):
        def vars(): return open
        return vars() + input
    ---
    # the name of a class
    def f(x):
        if type(x) is int or not hasattr(x, "shape"):
            return type(x).__name__, getattr(x, "shape", None)
        print(x)
    """
)


def reason(code: str, name: str = "strict") -> str:
    return reason_for(code, Policy(name))


@pytest.mark.parametrize("name", list(Policy))
@pytest.mark.parametrize("code", EVASIONS.values(), ids=EVASIONS)
def test_what_no_training_file_needs_is_refused(code, name):
    """Both policies refuse it by every name and in every place."""
    assert reason(code, name).startswith(f"the policy {name} refuses this file: ")


@pytest.mark.parametrize("code", STRICT.values(), ids=STRICT)
def test_strict_refuses_what_rendered_files_do_without(code):
    """Strict refuses code that people write and rendered files do not contain; lemur accepts it."""
    assert reason(code)
    assert reason(code, "lemur") == ""


@pytest.mark.parametrize("code", PEOPLE.values(), ids=PEOPLE)
def test_lemur_accepts_what_people_write(code):
    """Lemur accepts what an honest training file contains."""
    assert reason(code, "lemur") == ""


@pytest.mark.parametrize("code", ANSWERS.values(), ids=ANSWERS)
def test_strict_accepts_what_a_training_file_needs(code):
    """Strict accepts networks, schedules and training loops; so does lemur."""
    assert reason(code) == ""
    assert reason(code, "lemur") == ""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import torch\n\n\ndef f():\n    open('x')\n",
            "the policy strict refuses this file: no training file needs the built-in open (line 5, rule builtin)",
        ),
        (
            "from torch.optim import SGD\n\nSGD.step = None\nexec('')\n",
            "the policy strict refuses this file: SGD, which the file did not define, is changed: step is assigned "
            "(line 3, rule assignment), and 1 more",
        ),
    ],
)
def test_a_refusal_has_its_line_its_rule_and_its_reason(code, expected):
    """The reason shows the first refusal in the order of the lines, and counts the others."""
    assert reason(code) == expected


def test_every_rule_refuses_a_file_of_these_tests():
    """Each rule finds something in the refused files that it alone can find."""
    seen = set()
    for code in (*EVASIONS.values(), *STRICT.values()):
        tree = ast.parse(code)
        seen |= {refusal.rule for refusal in refusals(tree, Policy.STRICT)}
    assert seen == {
        *("syntax", "import", "module", "object", "builtin", "attribute", "special-method", "hook", "subclass"),
        *("assignment", "dynamic-name", "decorator", "annotation"),
    }
    assert len(RULES) == 12


def test_the_private_names_of_schedulers_are_listed():
    """Each private attribute of a scheduler of torch is on the list of those that no file may define."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    private = {name for name in dir(scheduler) if name.startswith("_") and not name.startswith("__")}
    assert private <= allowed.PRIVATE_OF_OWNERS


def test_every_refusal_names_a_line_of_the_file():
    """The line of each refusal is in the file."""
    for name, code in itertools.product(Policy, (*EVASIONS.values(), *STRICT.values())):
        for refusal in refusals(ast.parse(code), name):
            assert 1 <= refusal.line <= code.count("\n"), refusal


@pytest.mark.parametrize("name", list(Policy))
@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 150 + ")" * 150,
        "x = " + "(" * 5000 + ")" * 5000,
        "x = " + "-" * 50_000 + "1",
        "x = " + "1 + " * 5000 + "1",
        "x" + ".a" * 5000 + " = 1",
        "x = f" + "(1)" * 3000,
        "if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 95)) + " " * 96 + "pass",
        "def f(:",
        "x = '\0'",
        "",
        '"""Nothing but a docstring."""',
        f"X = 0x{'f' * 6000}\nX.a = 1\n{'0x' + 'f' * 6000}.a = 1",
    ],
    ids=lambda code: code[:12] if isinstance(code, str) else str(code),
)
def test_a_strange_file_is_an_answer(code, name):
    """A file that is empty, not Python or nested thousands deep has an answer, and no error leaves the check."""
    assert isinstance(reason(code, name), str)


def test_the_check_needs_the_source_and_the_settings_alone():
    """The check reads the source of a candidate, runs nothing of it, and accepts any code without a policy."""
    candidate = candidate_of(FIXTURES / "none.py", b"exec('')\n")
    assert policy.STAGE is Stage.POLICY
    policy.run(SimpleNamespace(candidate=candidate, settings=VerifySettings()))
    with pytest.raises(CheckFailure, match="^the policy lemur refuses"):
        policy.run(SimpleNamespace(candidate=candidate, settings=VerifySettings(policy=Policy.LEMUR)))


def test_the_fixtures_are_accepted_by_strict():
    """The fixture without a fault is accepted, and one line that is added to it is refused."""
    assert reason(HONEST) == ""
    assert reason(f"{HONEST}\nTensor.backward = None\n")


def _refused(out, pairs):
    """The refusals of rendered files by their names."""
    files = [output.path_of(out, *pair) for pair in pairs]
    refused = {f"{path.parent.name}/{path.name}": reason(path.read_text(encoding="utf-8")) for path in files}
    return {name: refusal for name, refusal in refused.items() if refusal}


def test_strict_accepts_every_network_and_every_schedule(catalogue, rendered):
    """One file of each schedule template and of each network is accepted."""
    resnet = catalogue.architecture("ResNet")
    templates = {(variant.family, variant.template): variant for variant in catalogue.variants}
    pairs = [(resnet, variant) for variant in templates.values()]
    pairs += [(architecture, catalogue.variant(1)) for architecture in catalogue.architectures]
    assert _refused(rendered, pairs) == {}


@pytest.mark.slow
def test_strict_accepts_every_rendered_file(grid, rendered):
    """Every file of the grid is accepted: the whole catalogue in the slow tests."""
    assert _refused(rendered, grid) == {}
