"""The Landlock mechanism, for machines without namespaces: other files exist, and the kernel denies access to them."""

import contextlib
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from .privileges import (
    CAP_DAC_READ_SEARCH,
    NO_CAPS,
    Bounds,
    drop_privileges,
    forget_tracing,
    limit,
    own_id,
    tasks_of_user,
)
from .seccomp import (
    ALL_BITS,
    RULES_OF_LANDLOCK,
    RULES_OF_REQUESTS,
    RULES_OF_REQUESTS_WITH_DEVICES,
    RULES_WITHOUT_OWN_USER,
    RULES_WITHOUT_TRUNCATION,
    SIGNALLING_A_PROCESS,
    SIGNALLING_A_THREAD_OR_HANDLE,
    Rule,
    lock,
)
from .syscalls import PR_SET_NO_NEW_PRIVS, REFUSED_TO_LANDLOCK, call
from .view import DEVICES, MACHINE_PATHS, PROCESS_PATHS, View

_LANDLOCK_VERSION, _LANDLOCK_BENEATH = 1, 1
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # the number of rights, one bit each
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11
_RIGHTS_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_BIND_AND_CONNECT, _ABI_NETWORK = 0b11, 4
_SIGNALS_AND_ABSTRACT_SOCKETS, _SCOPE_SIGNALS, ABI_SCOPES = 0b11, 0b10, 6
ABI_TRUNCATE = 3


def enter(scratch: Path, bounds: Bounds, view: View, devices: Sequence[str]) -> None:
    """Restrict this process to the readable paths, the scratch folder and the devices."""
    parent = os.getppid()
    own = own_id(NO_CAPS, (*map(Path, view["readable"]), scratch.parent))
    abi = version()
    ruleset = _ruleset(abi, scratch, view, devices)
    limit(bounds, bounds.processes if own else tasks_of_user() + bounds.processes * (os.cpu_count() or 1))
    if own:
        os.chown(scratch, own, own)
    drop_privileges(own, CAP_DAC_READ_SEARCH)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)
    refused, rules, unknown = list(REFUSED_TO_LANDLOCK), list(RULES_OF_LANDLOCK), list[str]()
    rules += RULES_OF_REQUESTS_WITH_DEVICES if devices else RULES_OF_REQUESTS
    if abi < ABI_TRUNCATE:
        rules += RULES_WITHOUT_TRUNCATION
        unknown.append("openat2")
    if not own:
        rules += RULES_WITHOUT_OWN_USER
    if abi < ABI_SCOPES and not own:  # only the filter keeps it from signalling its parent and its siblings
        refused += SIGNALLING_A_THREAD_OR_HANDLE
        rules += [Rule(name, 0, ALL_BITS, (os.getpid(),)) for name in SIGNALLING_A_PROCESS]
    lock(parent, refused, rules, unknown, dumpable=not own)


def leave_others_alone() -> None:
    """Keep this process and its descendants from tracing other processes and, where possible, from signalling them."""
    forget_tracing()
    with contextlib.suppress(OSError):  # a kernel without Landlock
        if version() >= ABI_SCOPES:
            handled = struct.pack("3Q", 0, 0, _SCOPE_SIGNALS)
            ruleset = call("landlock_create_ruleset", handled, len(handled), 0)
            call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            call("landlock_restrict_self", ruleset, 0)
            os.close(ruleset)


def version() -> int:
    """The version of the kernel's Landlock.

    Raises:
        OSError: if the kernel has none.
    """
    return call("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION)


def _ruleset(abi: int, scratch: Path, view: View, devices: Sequence[str]) -> int:
    """Create the ruleset and return its descriptor: every right is denied except on these paths."""
    known = (1 << _RIGHTS_OF_ABI[min(abi, max(_RIGHTS_OF_ABI))]) - 1
    network = _BIND_AND_CONNECT if abi >= _ABI_NETWORK else 0
    scopes = _SIGNALS_AND_ABSTRACT_SOCKETS if abi >= ABI_SCOPES else 0
    handled = struct.pack("3Q", known, network, scopes)
    ruleset = call("landlock_create_ruleset", handled, len(handled), 0)

    def allow(paths: Iterable[str], rights: int, required: bool = True) -> None:
        for path in paths:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                if required:
                    raise
                continue
            possible = known if stat.S_ISDIR(os.fstat(descriptor).st_mode) else known & _RIGHTS_OF_FILES
            call("landlock_add_rule", ruleset, _LANDLOCK_BENEATH, struct.pack("=Qi", rights & possible, descriptor), 0)
            os.close(descriptor)

    allow((f"/proc/{os.getpid()}", *PROCESS_PATHS, *MACHINE_PATHS), _READ | _LIST, required=False)
    allow(view["listed"], _LIST, required=False)  # a package may have been removed since
    allow(view["granted"], _EXECUTE | _READ | _LIST, required=False)
    allow((*DEVICES, *devices), _READ | _WRITE | _IOCTL)
    allow([str(scratch)], known & ~(_MAKE_DEVICES | _EXECUTE))
    return ruleset
