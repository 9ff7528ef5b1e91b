"""Work at import time is what a statement does, however it is spelled."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.verify.static.import_time import first_work
from tests.verify.static.snippets import snippets

WORK = snippets(
    """
    # output
    print("x")
    ---
    # a file
    open("f", "w")
    ---
    # a file in a comprehension
    x = [open("f") for _ in range(1)]
    ---
    # a process
    import os
    os.system("ls")
    ---
    # a process of an own subclass
    import subprocess
    class P(subprocess.Popen): pass
    P(["ls"])
    ---
    # a thread
    import threading
    threading.Thread(target=print).start()
    ---
    # a socket in a guard with an own name
    TYPE_CHECKING = 1
    if TYPE_CHECKING:
        import socket
        socket.socket()
    ---
    # a guard whose name is computed
    from typing import TYPE_CHECKING
    TYPE_CHECKING = not TYPE_CHECKING
    if TYPE_CHECKING:
        print("x")
    ---
    # a guard whose name is a class
    class TYPE_CHECKING: pass
    if TYPE_CHECKING:
        print("x")
    ---
    # a guard whose name a function sets
    from typing import TYPE_CHECKING
    def f():
        global TYPE_CHECKING
        TYPE_CHECKING = 1
    f()
    if TYPE_CHECKING:
        print("x")
    ---
    # a guard whose name a loop sets
    for __name__ in ["__main__"]:
        pass
    if __name__ == "__main__":
        print("x")
    ---
    # a guard whose name a walrus sets
    (__name__ := "__main__")
    if __name__ == "__main__":
        print("x")
    ---
    # the else of TYPE_CHECKING
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        pass
    else:
        print("x")
    ---
    # the else of the main guard
    if __name__ == "__main__":
        pass
    else:
        print("x")
    ---
    # a negated guard
    if __name__ != "__main__":
        print("x")
    ---
    # the constant of another module
    import typing
    typing.TYPE_CHECKING = True
    ---
    # globals
    globals()["TYPE_CHECKING"] = 1
    ---
    # the environment
    import os
    os.environ["A"] = "b"
    ---
    # the environment by another name
    import os
    x = os.environ
    x["A"] = "b"
    ---
    # the environment in a list
    import os
    L = [os.environ]
    L[0].update(a="b")
    ---
    # the environment in a class
    import os
    class E:
        env = os.environ
    E.env.update(a="b")
    ---
    # the environment as a default
    import os
    def f(env=os.environ):
        env["A"] = "b"
    f()
    ---
    # a default whose name changes
    import os
    env = os.environ
    def f(env=env):
        env["A"] = "b"
    env = {}
    f()
    ---
    # the environment as an argument
    import os
    def f(*a, **kw):
        a[0]["A"] = kw
    f(os.environ)
    ---
    # the environment as a result
    import os
    def get(): return os.environ
    get()["A"] = "b"
    ---
    # the environment from a generator
    import os
    def gen(): yield os.environ
    for e in gen():
        e["A"] = "b"
    ---
    # the environment from an iterator
    import os
    e = next(iter([os.environ]))
    e["A"] = "b"
    ---
    # a name that may not have been replaced
    import os
    e = os.environ
    def f():
        global e
        if e:
            return
        e = {}
    f()
    e["A"] = "b"
    ---
    # the import path
    import sys
    sys.path.append(".")
    ---
    # the import path in place
    import sys
    p = sys.path
    p += ["."]
    ---
    # the modules
    import sys
    (sys.modules if 1 else {})["a"] = 1
    ---
    # the modules through an unbound method
    import sys
    dict.update(sys.modules, {})
    ---
    # the modules through another module
    import typing
    L = [typing.sys.modules]
    L[0].update(a=1)
    ---
    # a deleted module
    import sys
    del sys.modules["os"]
    ---
    # standard input
    import sys
    for line in sys.stdin: pass
    ---
    # standard input by from
    from sys import stdin
    x = list(stdin)
    ---
    # a function of torch
    import torch
    torch.equal = None
    ---
    # a module of torch by another name
    import torch
    F = torch.nn.functional
    F.relu = None
    ---
    # a method of a class in a list
    import torch
    T = [torch.nn.Module]
    T[0].forward = None
    ---
    # a method of a class in a loop
    import torch
    for c in (torch.nn.Module, torch.optim.SGD):
        c.forward = None
    ---
    # a method of the largest class
    import torch
    max([torch.nn.Module, torch.nn.Module], key=id).forward = None
    ---
    # a method of a class that is an argument
    import torch
    def patch(c):
        c.step = None
    patch(torch.optim.SGD)
    ---
    # a method of a class in a table
    import torch
    for k, v in {"a": torch.optim.SGD}.items():
        v.step = None
    ---
    # setattr
    import torch
    setattr(torch, "equal", None)
    ---
    # setattr of object
    import torch
    object.__setattr__(torch, "x", 1)
    ---
    # vars
    import torch
    vars(torch).update(a=1)
    ---
    # the code of a function
    import torch
    torch.nn.functional.relu.__code__ = None
    ---
    # a flag of cuDNN
    import torch
    torch.backends.cudnn.benchmark = True
    ---
    # the seed
    import torch
    torch.manual_seed(0)
    ---
    # the seed in a with
    import torch
    with torch.no_grad():
        torch.manual_seed(0)
    ---
    # the seed by a computed name
    import torch
    getattr(torch, "manual_" + "seed")(3)
    ---
    # the seed by a star import
    from torch import *
    manual_seed(0)
    ---
    # the seed by a function that a star import replaces
    def manual_seed(x): pass
    from torch import *
    manual_seed(0)
    ---
    # random numbers
    import torch
    x = torch.randn(3)
    ---
    # random weights
    import torch
    l = torch.nn.Linear(3, 3)
    ---
    # the threads in a function
    import torch
    def f():
        torch.set_num_threads(3)
    f()
    ---
    # the threads in a constructor
    import torch
    class A:
        def __init__(self):
            torch.set_num_threads(3)
    a = A()
    ---
    # a function of a function of a function
    def a():
        def b():
            def c():
                print("deep")
            c()
        b()
    a()
    ---
    # a recursive function
    def f(n):
        if n:
            f(n - 1)
        else:
            print("x")
    f(3)
    ---
    # a decorator
    @print
    def g(): pass
    ---
    # a decorator of the file
    def deco(f):
        print("hi")
        return f
    @deco
    def g(): pass
    ---
    # a decorator of a class
    @print
    class A: pass
    ---
    # a lambda as a decorator
    @(lambda f: print(f))
    def g(): pass
    ---
    # the annotation of a parameter
    def g(x: print("a")): pass
    ---
    # the annotation of a result
    def g() -> print("a"): pass
    ---
    # the annotation of a variable
    x: print("a") = 3
    ---
    # the annotation of an attribute
    class A:
        x: print("a")
    ---
    # a default
    def g(x=print("a")): pass
    ---
    # the default of a keyword
    def g(*, x=print("a")): pass
    ---
    # the default of a lambda
    lambda x=print("a"): x
    ---
    # a base class
    class A(print("x")): pass
    ---
    # a keyword of a class
    class A(metaclass=print): pass
    ---
    # a class body
    class A:
        if True:
            print("x")
    ---
    # a metaclass
    class M(type):
        def __new__(cls, *a):
            print("x")
            return super().__new__(cls, *a)
    class B(metaclass=M): pass
    ---
    # __init_subclass__
    class A:
        def __init_subclass__(cls):
            print(cls)
    class B(A): pass
    ---
    # __set_name__
    class D:
        def __set_name__(self, owner, name): print(name)
    class A:
        d = D()
    ---
    # __class_getitem__
    class G:
        def __class_getitem__(cls, x): print(x)
    G[int]
    ---
    # the constructor of an enumeration
    from enum import Enum
    class K(Enum):
        A = 1
        def __init__(self, value): print(value)
    ---
    # the next value of an enumeration
    from enum import Enum, auto
    class K(Enum):
        def _generate_next_value_(name, start, count, last): print(name)
        A = auto()
    ---
    # __subclasshook__
    from abc import ABC
    class A(ABC):
        @classmethod
        def __subclasshook__(cls, other): print(other)
    x = issubclass(int, A)
    ---
    # the environment among spread arguments
    import os
    def f(a, e):
        e["A"] = "b"
    f(*(1, os.environ))
    ---
    # the environment among spread keywords
    import os
    def f(a, e):
        e["A"] = "b"
    f(**{"a": 1, "e": os.environ})
    ---
    # the key of groups
    from itertools import groupby
    x = groupby([1], lambda v: print(v))
    ---
    # the default of JSON
    import json
    x = json.dumps({1}, default=lambda v: print(v))
    ---
    # an operator
    class A:
        def __add__(self, other): print("x")
    x = A() + 1
    ---
    # a context manager
    class A:
        def __enter__(self): print("x")
        def __exit__(self, *a): pass
    with A(): pass
    ---
    # a context manager from a generator
    import contextlib
    @contextlib.contextmanager
    def cm():
        print("x")
        yield
    with cm(): pass
    ---
    # a destructor
    class A:
        def __del__(self): print("x")
    A()
    ---
    # a missing attribute
    class A:
        __getattr__ = print
    A().foo
    ---
    # a property
    class A:
        @property
        def x(self): print("x")
    y = A().x
    ---
    # a property from a call
    class A:
        x = property(lambda self: print("x"))
    y = A().x
    ---
    # a format
    class A:
        def __format__(self, spec): print("x")
    a = f"{A()}"
    ---
    # an unpacked iterator
    class A:
        def __iter__(self):
            print("x")
            return iter(())
    a, *b = A()
    ---
    # a method
    class A:
        def m(self): print("x")
    A().m()
    ---
    # a static method
    class A:
        @staticmethod
        def m(): print("x")
    A.m()
    ---
    # a class method
    class A:
        @classmethod
        def m(cls): print("x")
    A.m()
    ---
    # a method with the name of one of dict
    class A:
        def get(self, x): print(x)
    L = [A()]
    L[0].get(1)
    ---
    # a method of the second base
    class A: pass
    class B:
        def m(self): print("x")
    class C(A, B): pass
    C().m()
    ---
    # a built-in in an attribute
    class A:
        def __init__(self): self.f = print
    A().f("x")
    ---
    # a factory of a field
    import dataclasses
    @dataclasses.dataclass
    class A:
        x: int = dataclasses.field(default_factory=lambda: print("x"))
    ---
    # __post_init__
    import dataclasses
    @dataclasses.dataclass
    class A:
        x: int = 1
        def __post_init__(self): print("x")
    A()
    ---
    # a class from type
    X = type("X", (), {"__init__": print})
    X()
    ---
    # a class from a call
    class P(print.__class__): pass
    P("x")
    ---
    # a walrus
    x = (y := print)("a")
    ---
    # a walrus in a condition
    if x := print("a"):
        pass
    ---
    # an f-string
    f"{print('x')}"
    ---
    # the format of an f-string
    x = f"{1:{print('x')}}"
    ---
    # an unpacked dictionary
    {**print("x")}
    ---
    # an unpacked list
    x = [*print("x")]
    ---
    # a conditional expression
    x = 1 if print("x") else 2
    ---
    # a sort key
    x = sorted([1], key=lambda v: print(v))
    ---
    # a sort key in a list
    F = [print]
    x = sorted([1], key=F[0])
    ---
    # map
    x = map(print, [1])
    ---
    # reduce
    from functools import reduce
    reduce(lambda a, b: print(a), [1, 2])
    ---
    # partial
    from functools import partial
    p = partial(print, "a")
    p()
    ---
    # a default dictionary
    from collections import defaultdict
    d = defaultdict(print)
    ---
    # a cached function
    from functools import lru_cache
    @lru_cache
    def f(): print("x")
    f()
    ---
    # a replacement in a text
    import re
    x = re.sub("a", print, "aaa")
    ---
    # the built-in names
    __builtins__["print"]("x")
    ---
    # getattr of the built-in names
    import builtins
    getattr(builtins, "pr" + "int")("x")
    ---
    # the subclasses of object
    ().__class__.__base__.__subclasses__()[0]()
    ---
    # exec
    exec("print(1)")
    ---
    # __import__
    def f(env=__import__("os")): pass
    ---
    # an assertion
    assert print("x")
    ---
    # an error
    raise SystemExit(print("x"))
    ---
    # with
    with open("x") as f: pass
    ---
    # an except
    try:
        import numpy
    except ImportError:
        print("x")
    ---
    # a finally
    try:
        pass
    finally:
        print("x")
    ---
    # an except*
    try:
        1 / 0
    except* ZeroDivisionError:
        print("x")
    ---
    # a match
    match print:
        case f:
            f("x")
    ---
    # the guard of a case
    match 1:
        case 1 if print("x"):
            pass
    ---
    # a while
    while True:
        print("x")
        break
    ---
    # the condition of a while
    while print("x"): pass
    ---
    # the else of a for
    for x in ():
        pass
    else:
        print("x")
    ---
    # a generator
    def gen():
        print("x")
        yield 1
    x = list(gen())
    ---
    # a coroutine
    async def f(): pass
    import asyncio
    asyncio.run(f())
    ---
    # a name that is deleted
    print = len
    del print
    print("x")
    ---
    # a name that may be bound
    if 0:
        print = len
    print("x")
    ---
    # a name of a class in a comprehension
    class A:
        print = len
        x = [print(v) for v in [1]]
    ---
    # a name in other letters
    ｐｒｉｎｔ("x")
    ---
    # two modules of one name
    import torch as t, os as t
    t.system("x")
    ---
    # a star import
    from os import *
    system("ls")
    ---
    # the warnings
    import warnings
    warnings.filterwarnings("ignore")
    ---
    # the root logger
    import logging
    logging.getLogger().setLevel(10)
    ---
    # a function at exit
    import atexit
    atexit.register(lambda: 0)
    ---
    # a path
    import pathlib
    pathlib.Path("a").replace("b")
    ---
    # shared memory
    import torch
    x = torch.tensor([1.0])
    x.share_memory_()
    ---
    # a module that opens a browser
    import antigravity
    ---
    # a module that is a program
    from unittest import __main__
    """
)

HARMLESS = snippets(
    """
    # a device
    import torch
    DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ---
    # a cached function that is called
    from functools import lru_cache
    @lru_cache(maxsize=None)
    def f(x): return x
    W = [f(i) for i in range(3)]
    ---
    # a registry
    REG = {}
    def register(name):
        def wrap(cls):
            REG[name] = cls
            return cls
        return wrap
    @register("a")
    class A: pass
    ---
    # a registry of a class
    class Registry:
        def __init__(self): self.items = {}
        def register(self, name):
            def wrap(fn):
                self.items[name] = fn
                return fn
            return wrap
        def __getitem__(self, k): return self.items[k]
    R = Registry()
    @R.register("x")
    def f(): print("x")
    ---
    # a dictionary with attributes
    class AttrDict(dict):
        __getattr__ = dict.get
        __setattr__ = dict.__setitem__
    C = AttrDict(a=1)
    C.b = 2
    C["c"] = 3
    x = C.a
    ---
    # a named tuple with defaults
    from collections import namedtuple
    from torch import Tensor
    G = namedtuple("G", "a b")
    G.__new__.__defaults__ = (None,) * len(G._fields)
    G.__annotations__ = {"a": Tensor}
    D = G(a=[("x", 1)], b=range(3))
    ---
    # a logger
    import logging
    log = logging.getLogger(__name__)
    ---
    # a decorator that prints later
    import functools
    def timed(fn):
        @functools.wraps(fn)
        def inner(*a, **k):
            print("x")
            return fn(*a, **k)
        return inner
    @timed
    def f(): pass
    ---
    # a data class
    from dataclasses import dataclass, field
    @dataclass(frozen=True)
    class C:
        w: int = 3
        l: list = field(default_factory=list)
        @property
        def x(self): return self.w * 2
        @x.setter
        def x(self, v): pass
    CFG = C(w=4)
    Y = CFG.x
    ---
    # an enumeration
    from enum import Enum
    class K(Enum):
        A = 1
        B = "b"
    T = {K.A: 1, K("b"): 2}
    ---
    # one of two modules
    try:
        from torch.amp import autocast
    except ImportError:
        from torch.cuda.amp import autocast
    @autocast("cuda")
    def f(): pass
    ---
    # widths
    def make_divisible(v, d=8):
        n = max(d, int(v + d / 2) // d * d)
        if n < 0.9 * v:
            n += d
        return n
    W = [make_divisible(x * 1.4) for x in (16, 24)]
    ---
    # configurations
    def _cfg(url="", **kw):
        return {"url": url, **kw}
    CFGS = {"a": _cfg(url="x", n=3), "b": _cfg()}
    for k in CFGS:
        CFGS[k]["name"] = k
    ---
    # a table from a loop
    import math
    TABLE = []
    for i in range(10):
        TABLE.append(math.sin(i))
    TABLE = tuple(TABLE)
    ---
    # types
    from typing import Generic, NamedTuple, TypedDict, TypeVar
    T = TypeVar("T")
    class A(Generic[T]): pass
    class N(NamedTuple):
        a: int = 3
    X = N(1)
    B = A[int]
    P = TypedDict("P", {"lr": float})
    ---
    # a main guard
    if __name__ == "__main__":
        print("x")
    ---
    # a guard for types
    from __future__ import annotations
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        from torch.utils.data import DataLoader
    def f(x: DataLoader): pass
    ---
    # a version
    import torch
    V = tuple(int(p) for p in torch.__version__.split("+")[0].split(".")[:2])
    NEW = V >= (2, 1)
    ---
    # a table of layers
    import torch.nn as nn
    ACT = {"relu": nn.ReLU, "gelu": nn.GELU(), "silu": lambda: nn.SiLU(inplace=True)}
    class Net(nn.Module):
        act = ACT["relu"]
        def forward(self, x): return self.act(x)
    Net.extra = 3
    ---
    # decorators of torch
    import torch
    @torch.no_grad()
    def f(): pass
    @torch.jit.script
    def swish(x): return x * torch.sigmoid(x)
    torch.fx.wrap("swish")
    ---
    # star imports
    import torch
    from torch import *
    from torch.nn import *
    X = ReLU()
    D = device("cpu")
    ---
    # texts of the environment
    import os
    ROOT = os.path.join(os.path.dirname(__file__), "x")
    N = int(os.environ.get("N", "3"))
    M = os.environ["HOME"] if "HOME" in os.environ else ""
    ---
    # a pattern
    import re
    P = re.compile("a+")
    X = P.sub("b", "aaa")
    ---
    # a layer with settings
    import torch
    from functools import partial
    N = partial(torch.nn.LayerNorm, eps=1e-6)
    X = N(3)
    ---
    # a metaclass
    class M(type):
        def __new__(cls, name, bases, ns):
            return super().__new__(cls, name, bases, ns)
    class A(metaclass=M): pass
    ---
    # a list of subclasses
    class Base:
        subs = {}
        def __init_subclass__(cls, **kw):
            super().__init_subclass__(**kw)
            Base.subs[cls.__name__] = cls
    class B(Base): pass
    ---
    # a module without weights
    import torch
    class S(torch.nn.Module):
        def forward(self, x): return x
    swish = S()
    ---
    # names
    x = y = 3
    x, (y, *z) = 1, (2, 3, 4)
    x += 1
    L = [1]
    L += [2]
    del x
    ---
    # a path
    import pathlib
    R = pathlib.Path(__file__).resolve().parent / "x"
    ---
    # constant tensors
    import torch
    MEAN = torch.tensor([0.1, 0.2]).view(1, 2, 1, 1)
    STD = 1 / MEAN
    ---
    # an optional module
    try:
        import torchvision
        HAS = True
    except ImportError:
        torchvision = None
        HAS = False
    ---
    # a grid
    from itertools import product
    G = [{"a": a, "b": b} for a, b in product([1, 2], [3, 4])]
    G.sort(key=lambda d: d["a"])
    ---
    # a namespace
    from types import SimpleNamespace
    C = SimpleNamespace(a=1)
    C.b = 2
    ---
    # objects that are called
    class Poly:
        def __init__(self, p): self.p = p
        def __call__(self, t): return (1 - t) ** self.p
    POLY = {"lin": Poly(1), "sq": Poly(2)}
    VALUES = [Poly(3)(t / 10) for t in range(10)]
    ---
    # a closure
    def outer():
        count = 0
        def inc():
            nonlocal count
            count += 1
            return count
        return inc
    A = outer()()
    ---
    # work in functions that nothing calls
    import torch, warnings
    def f():
        warnings.warn("x")
        torch.manual_seed(0)
        open("x")
    """
)


@pytest.mark.parametrize("code", WORK.values(), ids=WORK)
def test_work_is_seen(code):
    """A statement with an effect outside the module is work, wherever it stands."""
    assert first_work(ast.parse(code)) is not None


@pytest.mark.parametrize("code", HARMLESS.values(), ids=HARMLESS)
def test_harmless_statements_are_no_work(code):
    """A statement that changes only objects of the file is no work."""
    assert str(first_work(ast.parse(code)) or "") == ""


@pytest.mark.parametrize(
    "code",
    [
        'import warnings\nwarnings.filterwarnings("ignore")',
        "import logging\nlogging.basicConfig(level=logging.INFO)",
        "import torch\ntorch.backends.cudnn.benchmark = True",
        'import torch\ntorch.set_float32_matmul_precision("high")',
    ],
)
def test_settings_are_work_unless_they_are_permitted(code):
    """People set what is shown and how fast torch computes; the files that lrgen renders do not."""
    assert first_work(ast.parse(code)) is not None
    assert first_work(ast.parse(code), permits_settings=True) is None


@pytest.mark.parametrize(
    "code",
    [
        'import logging\nlogging.basicConfig(filename="log")',
        "import torch\ntorch.backends.cudnn.benchmark = print",
        "import torch\ntorch.manual_seed(0)",
        "import torch\ntorch.nn.functional.relu = 1",
    ],
)
def test_other_settings_are_never_permitted(code):
    """A log file, a function of torch and a seed are none of them."""
    assert first_work(ast.parse(code), permits_settings=True) is not None


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("x = 1\nprint('a')", "print('a') (line 2)"),
        ("class A:\n    y = print('a')", "y = print('a') (line 2)"),
        ("@print\ndef f(): pass", "@print (line 1)"),
        ("@len\n@print\ndef f(): pass", "@print (line 2)"),
        ("def f(x=print()): pass", "def f(x=print()): (line 1)"),
        ("for i in range(3):\n    print(i)", "print(i) (line 2)"),
        ("for i in print():\n    pass", "for i in print(): (line 1)"),
        ("def f():\n    print()\nf()", "f() (line 3) runs print() (line 2)"),
        ("def f():\n    g()\ndef g():\n    print()\nx = f()", "x = f() (line 5) runs print() (line 4)"),
        ("x = " + "'y' * 2 + " * 30 + "print()", "x = " + ("'y' * 2 + " * 30)[:76] + " (line 1)"),
        (f"x = print({'0x' + 'f' * 5000})", "Assign (line 1)"),
    ],
)
def test_the_statement_is_shown_with_its_line(code, shown):
    """The text and the line are those of the statement, with the statement of the function through which it works."""
    assert str(first_work(ast.parse(code))) == shown


def test_a_deep_expression_is_an_error_of_the_caller():
    """An expression that is too deep for the interpreter raises a RecursionError and does not end the process."""
    tree = ast.parse("x = " + " + ".join("1" * 2000))
    with pytest.raises(RecursionError):
        first_work(tree)


def test_functions_that_call_each_other_take_no_exponential_time():
    """Each function is followed once, however often others call it."""
    chain = "".join(f"def f{n}():\n    return f{n - 1}() + f{n - 1}()\n" for n in range(1, 35))
    assert first_work(ast.parse(f"def f0():\n    return 1\n{chain}x = f34()")) is None


def test_a_ladder_of_classes_takes_no_exponential_time():
    """Each class is looked at once, however often others inherit from it."""
    ladder = "".join(f"class A{n}(A{n - 1}): pass\nclass B{n}(A{n - 1}, B{n - 1}): pass\n" for n in range(1, 25))
    assert first_work(ast.parse(f"class A0: pass\nclass B0: pass\n{ladder}")) is None


WRAPPERS = (
    "if True:\n{}",
    "for _ in range(2):\n{}",
    "while x:\n{}",
    "try:\n{}\nfinally:\n    pass",
    "class C:\n{}",
    "def f():\n{}\nf()",
    "with torch.no_grad():\n{}",
)


@given(st.lists(st.sampled_from(WRAPPERS), max_size=5), st.sampled_from(("print(x)", "y = 3")))
def test_nesting_does_not_matter(wrappers, statement):
    """The same statement is work or not in any combination of blocks, classes and functions that are called."""
    code = statement
    for wrapper in wrappers:
        code = wrapper.format("\n".join(f"    {line}" for line in code.splitlines()))
    tree = ast.parse(f"import torch\nx = 1\n{code}")
    assert (first_work(tree) is not None) is (statement == "print(x)")
