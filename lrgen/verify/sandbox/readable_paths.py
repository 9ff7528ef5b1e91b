"""The paths that the interpreter needs to read."""

import functools
import sys
import tempfile
from pathlib import Path

# Paths that every program may read.
_SYSTEM = """
/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store /etc/alternatives /etc/ld.so.cache /etc/localtime
"""
# Information about the machine.
MACHINE_PATHS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
PROCESS_PATHS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version")  # for a child without its own /proc
DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))


@functools.cache
def readable() -> tuple[Path, ...]:
    """The resolved paths that the interpreter needs, without paths inside others; cached by the parent."""
    paths = sorted({path.resolve() for path in _needed()})
    return tuple(path for path in paths if not any(path != other and path.is_relative_to(other) for other in paths))


def _needed() -> list[Path]:
    """The paths that the interpreter needs, under the names that it uses.

    A folder that contains the user's home is left out. An entry of sys.path that contains the working directory, the
    folder for temporary files or lrgen is left out, too, because of the other files in it; only the package lrgen and
    its templates are added.
    """
    package = Path(__file__).resolve().parents[2]
    home = Path("~").expanduser().resolve()
    inside = (home, Path.cwd(), Path(tempfile.gettempdir()).resolve(), package)
    prefixes = [Path(prefix).absolute() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)]
    entries = [Path(entry).absolute() for entry in sys.path if entry and Path(entry).is_dir()]
    chosen = [path for path in prefixes if not home.is_relative_to(path.resolve())]
    chosen += [path for path in entries if not any(at.is_relative_to(path.resolve()) for at in inside)]
    chosen += [*map(Path, _SYSTEM.split()), package, package.parent / "templates"]
    return [path for path in chosen if path.exists()]


@functools.cache
def links() -> tuple[tuple[Path, Path], ...]:
    """Symbolic links and their targets, such as /lib or the link to a virtual environment."""
    return tuple((path, path.resolve()) for path in _needed() if path != path.resolve())
