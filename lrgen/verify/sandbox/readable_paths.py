"""What the interpreter needs of the file system and of the machine."""

import functools
import sys
import tempfile
from pathlib import Path

# What every program may read, and what it may look at of the machine.
_SYSTEM = """
/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store /etc/alternatives /etc/ld.so.cache /etc/localtime
"""
MACHINE_VIEWS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
PROCESS_VIEWS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version")  # without a /proc of its own
DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))


@functools.cache
def readable() -> tuple[Path, ...]:
    """What the interpreter needs, without links and without folders inside others. Found once, by the parent."""
    found = sorted({path.resolve() for path in _needed()})
    return tuple(path for path in found if not any(path != other and path.is_relative_to(other) for other in found))


def _needed() -> list[Path]:
    """The same under the names by which the interpreter knows it.

    Never a folder that has the user's home inside it, nor, for the sake of what else lies there, an entry of sys.path
    with the current folder, the folder for temporary files or lrgen itself in it: of that only the package and its
    templates.
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
    """Names that are links, and what they lead to: /lib, a virtual environment behind a link."""
    return tuple((path, path.resolve()) for path in _needed() if path != path.resolve())
