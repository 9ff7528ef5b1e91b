"""The Landlock mechanism, for machines without namespaces: other files exist, and the kernel denies access to them."""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from lrgen.verify.sandbox.privileges import (
    CAP_DAC_READ_SEARCH,
    NO_CAPS,
    Bounds,
    drop_privileges,
    limit,
    own_id,
    tasks_of_user,
)
from lrgen.verify.sandbox.readable_paths import DEVICES, MACHINE_PATHS, PROCESS_PATHS, readable
from lrgen.verify.sandbox.seccomp import (
    ALL_BITS,
    RULES,
    RULES_OF_LANDLOCK,
    SIGNALLING_A_PROCESS,
    SIGNALLING_A_THREAD_OR_HANDLE,
    Rule,
    lock,
)
from lrgen.verify.sandbox.syscalls import PR_SET_NO_NEW_PRIVS, REFUSED, REFUSED_TO_LANDLOCK, SYSCALLS, call

_LANDLOCK_VERSION, _LANDLOCK_BENEATH = 1, 1
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # the number of rights, one bit each
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11
_RIGHTS_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_BIND_AND_CONNECT, _ABI_NETWORK = 0b11, 4
_SIGNALS_AND_ABSTRACT_SOCKETS, ABI_SCOPES = 0b11, 6


def enter(scratch: Path, bounds: Bounds, devices: Sequence[Path]) -> None:
    """Restrict this process to the readable paths, the scratch folder and the devices."""
    parent = os.getppid()
    own = own_id(NO_CAPS, scratch)
    abi = call("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION)
    ruleset = _ruleset(abi, scratch, devices)
    limit(bounds, bounds.processes if own else tasks_of_user() + bounds.processes * (os.cpu_count() or 1))
    if own:
        os.chown(scratch, own, own)
    drop_privileges(own, CAP_DAC_READ_SEARCH)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)
    refused = [*REFUSED.values(), *REFUSED_TO_LANDLOCK.values()]
    rules = [*RULES, *RULES_OF_LANDLOCK]
    if abi < ABI_SCOPES and not own:  # only the filter keeps it from signalling its parent and its siblings
        refused += [SYSCALLS[call] for call in SIGNALLING_A_THREAD_OR_HANDLE]
        rules += [Rule(call, 0, ALL_BITS, os.getpid()) for call in SIGNALLING_A_PROCESS]
    lock(parent, refused, rules)


def _ruleset(abi: int, scratch: Path, devices: Sequence[Path]) -> int:
    """Create the ruleset and return its descriptor: every right is denied except on these paths."""
    known = (1 << _RIGHTS_OF_ABI[min(abi, max(_RIGHTS_OF_ABI))]) - 1
    network = _BIND_AND_CONNECT if abi >= _ABI_NETWORK else 0
    scopes = _SIGNALS_AND_ABSTRACT_SOCKETS if abi >= ABI_SCOPES else 0
    handled = struct.pack("3Q", known, network, scopes)
    ruleset = call("landlock_create_ruleset", handled, len(handled), 0)
    visible = [Path(f"/proc/{os.getpid()}"), *map(Path, (*PROCESS_PATHS, *MACHINE_PATHS))]
    rules = {path: _READ | _LIST for path in visible if path.exists()}
    rules |= dict.fromkeys(readable(), _EXECUTE | _READ | _LIST)
    rules |= dict.fromkeys((*DEVICES, *devices), _READ | _WRITE | _IOCTL)
    rules[scratch] = known & ~_MAKE_DEVICES
    for path, rights in rules.items():
        possible = known if path.is_dir() else known & _RIGHTS_OF_FILES
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        call("landlock_add_rule", ruleset, _LANDLOCK_BENEATH, struct.pack("=Qi", rights & possible, descriptor), 0)
        os.close(descriptor)
    return ruleset
