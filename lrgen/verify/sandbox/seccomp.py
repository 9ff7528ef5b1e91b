"""The filter on system calls, an assembled seccomp program."""

import ctypes
import errno
import struct
from collections.abc import Iterable
from typing import NamedTuple

from lrgen.verify.sandbox.syscalls import (
    AUDIT_ARCH,
    MACHINE,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    SYSCALLS,
    call,
    set_parent_death_signal,
)


class Rule(NamedTuple):
    """A condition on a system call: it is allowed only if its masked argument equals the value, or differs from it."""

    call: str
    argument: int
    mask: int
    value: int
    equal: bool = True


ALL_BITS = 0xFFFFFFFF
_CLONE_NEW = 0x7E020000  # every kind of namespace
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE = 1, 1, 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
RULES = (
    Rule("clone", 0, _CLONE_NEW, 0),
    Rule("socket", 0, ALL_BITS, _AF_UNIX),
    Rule("prlimit64", 0, ALL_BITS, 0),  # only a process's own limits
    Rule("ioctl", 1, ALL_BITS, _TIOCSTI, equal=False),
    Rule("ioctl", 1, ALL_BITS, _TIOCLINUX, equal=False),
)
RULES_OF_LANDLOCK = (Rule("socketpair", 1, _SOCK_TYPE, _SOCK_STREAM),)  # a datagram socket could still be connected
SIGNALLING_A_PROCESS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")  # their first argument
SIGNALLING_A_THREAD_OR_HANDLE = ("tkill", "pidfd_send_signal")


def lock(parent: int, refused: Iterable[int], rules: Iterable[Rule]) -> None:
    """Disable new privileges, set the death signal of the parent, and install the filter."""
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of the file become its children
    set_parent_death_signal(parent)  # a change of uid has cleared it
    instructions = _filter(refused, rules)
    program = ctypes.create_string_buffer(b"".join(instructions))
    header = struct.pack("H6xQ", len(instructions), ctypes.addressof(program))
    call("seccomp", 1, 0, header)


def _filter(refused: Iterable[int], rules: Iterable[Rule]) -> list[bytes]:
    """Assemble the program: it checks the architecture, the refused calls and the rules, and allows all other calls."""

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    load, equal, at_least, mask, end = 0x20, 0x15, 0x35, 0x54, 0x06
    number, architecture, arguments = 0, 4, 16  # offsets in struct seccomp_data
    kill, allow, refuse = (step(end, value) for value in (0x80000000, 0x7FFF0000, 0x50000 | errno.EPERM))
    unknown = step(
        end, 0x50000 | errno.ENOSYS
    )  # makes the C library fall back to clone, whose flags the filter can read
    program = [step(load, architecture), step(equal, AUDIT_ARCH[MACHINE], 1), kill]
    program += [step(load, number), step(at_least, 0x40000000, 0, 1), refuse]  # the x32 calls
    program += [step(equal, SYSCALLS["clone3"], 0, 1), unknown]
    for refused_call in refused:
        program += [step(equal, refused_call, 0, 1), refuse]
    for rule in rules:
        verdict = step(equal, rule.value, 1, 0) if rule.equal else step(equal, rule.value, 0, 1)
        argument = [step(load, arguments + 8 * rule.argument), step(mask, rule.mask)]
        block = [*argument, verdict, refuse, step(load, number)]
        program += [step(equal, SYSCALLS[rule.call], 0, len(block)), *block]
    return [*program, allow]
