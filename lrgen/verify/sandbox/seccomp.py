"""The filter on system calls, an assembled seccomp program."""

import ctypes
import errno
import struct
from collections.abc import Iterable
from typing import NamedTuple

from .syscalls import (
    AUDIT_ARCH,
    MACHINE,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    REFUSED,
    REFUSED_MEMORY,
    SYSCALLS,
    call,
    set_parent_death_signal,
)


class Rule(NamedTuple):
    """A condition on a system call: it is allowed only if its masked argument is among the values, or is not."""

    call: str
    argument: int
    mask: int
    values: tuple[int, ...]
    among: bool = True


ALL_BITS = 0xFFFFFFFF
_CLONE_NEW = 0x7E020000  # every kind of namespace
_CLONE_PARENT = 0x8000  # a sibling, which the caller would not see as its child
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE = 1, 1, 0xF
_IOCTL_TYPE, _TERMINAL, _NVIDIA, _NVIDIA_MEMORY = 0xFF00, 0x5400, 0x4600, 0
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN, _MAP_HUGETLB = 0x1, 0x20, 0x100, 0x40000
_SHARED_ANONYMOUS = _MAP_SHARED | _MAP_ANONYMOUS
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY = 8, 10, 15, 1024, 1026
_O_ACCESS, _O_TRUNC = 0x3, 0x200
RULES = (
    Rule("clone", 0, _CLONE_NEW | _CLONE_PARENT, (0,)),
    Rule("socket", 0, ALL_BITS, (_AF_UNIX,)),
    Rule("prlimit64", 0, ALL_BITS, (0,)),  # only a process's own limits
    Rule("ioctl", 1, ALL_BITS, (_TIOCSTI, _TIOCLINUX), among=False),
    # The death of the parent ends it, its memory can be measured, and its orphans come to it.
    Rule("prctl", 0, ALL_BITS, (PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER), among=False),
    # Shared anonymous memory that is unmapped in part is not resident, but held; RLIMIT_DATA does not count the others.
    Rule("mmap", 3, _SHARED_ANONYMOUS, (_SHARED_ANONYMOUS,), among=False),
    Rule("mmap", 3, _MAP_GROWSDOWN | _MAP_HUGETLB, (0,)),
)
# Requests to file systems change files through descriptors that are open for reading only.
RULES_OF_REQUESTS = (Rule("ioctl", 1, _IOCTL_TYPE, (_TERMINAL,)),)
RULES_OF_REQUESTS_WITH_DEVICES = (Rule("ioctl", 1, _IOCTL_TYPE, (_TERMINAL, _NVIDIA, _NVIDIA_MEMORY)),)
RULES_OF_LANDLOCK = (
    Rule("socketpair", 1, _SOCK_TYPE, (_SOCK_STREAM,)),  # a datagram socket could still be connected
    Rule("fcntl", 1, ALL_BITS, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY), among=False),
)
# Opening a file to read it, or for no access at all, must not truncate it; the flags of openat2 cannot be read.
RULES_WITHOUT_TRUNCATION = tuple(
    Rule(name, position, _O_ACCESS | _O_TRUNC, (_O_TRUNC, _O_TRUNC | _O_ACCESS), among=False)
    for name, position in (("open", 1), ("openat", 2))
)
# Without a user of its own, a process may change the scheduling of all processes of its user.
RULES_WITHOUT_OWN_USER = (
    *(Rule(f"sched_{name}", 0, ALL_BITS, (0,)) for name in ("setaffinity", "setattr", "setparam", "setscheduler")),
    Rule("setpriority", 0, ALL_BITS, (0,)),
    Rule("setpriority", 1, ALL_BITS, (0,)),
    Rule("ioprio_set", 0, ALL_BITS, (1,)),
    Rule("ioprio_set", 1, ALL_BITS, (0,)),
)
SIGNALLING_A_PROCESS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")  # their first argument
SIGNALLING_A_THREAD_OR_HANDLE = ("tkill", "pidfd_send_signal")


def lock(
    parent: int,
    refused: Iterable[str] = (),
    rules: Iterable[Rule] = (),
    unknown: Iterable[str] = (),
    *,
    dumpable: bool = False,
) -> None:
    """Disable new privileges, set the death signal of the parent, and install the filter.

    The filter also has what every sandbox refuses. A call that is ``unknown`` does not exist for the process. A
    ``dumpable`` process can be measured by processes of its user.
    """
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of the file become its children
    set_parent_death_signal(parent)  # a change of uid has cleared it
    _install(_filter((*REFUSED, *REFUSED_MEMORY, *refused), (*RULES, *rules), ("clone3", *unknown)))


def refuse_hidden_memory() -> None:
    """Refuse the system calls for memory that no resident set shows, and allow all others."""
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _install(_filter(REFUSED_MEMORY, (), ()))


def _install(instructions: list[bytes]) -> None:
    program = ctypes.create_string_buffer(b"".join(instructions))
    header = struct.pack("H6xQ", len(instructions), ctypes.addressof(program))
    call("seccomp", 1, 0, header)


def _filter(refused: Iterable[str], rules: Iterable[Rule], unknown: Iterable[str]) -> list[bytes]:
    """Assemble the program: it checks the architecture, the refused calls and the rules, and allows all other calls."""

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    load, equal, at_least, mask, jump, end = 0x20, 0x15, 0x35, 0x54, 0x05, 0x06
    number, architecture, arguments = 0, 4, 16  # offsets in struct seccomp_data
    kill, allow, refuse = (step(end, value) for value in (0x80000000, 0x7FFF0000, 0x50000 | errno.EPERM))
    missing = step(end, 0x50000 | errno.ENOSYS)  # makes the C library fall back to a call whose flags can be read
    program = [step(load, architecture), step(equal, AUDIT_ARCH[MACHINE], 1), kill]
    program += [step(load, number), step(at_least, 0x40000000, 0, 1), refuse]  # the x32 calls
    for name in unknown:
        program += [step(equal, SYSCALLS[name], 0, 1), missing]
    for name in refused:
        program += [step(equal, SYSCALLS[name], 0, 1), refuse]
    for rule in rules:
        if rule.call not in SYSCALLS:  # this machine has no such call
            continue
        block = [step(load, arguments + 8 * rule.argument), step(mask, rule.mask)]
        left = len(rule.values)
        for value in rule.values:
            left -= 1
            block.append(step(equal, value, left + 1))
        block += [refuse] if rule.among else [step(jump, 1), refuse]
        block.append(step(load, number))
        program += [step(equal, SYSCALLS[rule.call], 0, len(block)), *block]
    return [*program, allow]
