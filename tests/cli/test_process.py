"""The command line as a process: interrupts at any moment, and standard streams that are closed, full or not UTF-8."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Runs ``lrgen`` as ``python -m lrgen`` does, and signals itself when a module is imported, or after the work ("").
SIGNALLED = """
import atexit, os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the parent ignores
number, module, *sys.argv[1:] = int(sys.argv[1]), *sys.argv[2:]

def interrupt():
    os.kill(os.getpid(), number)

class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            interrupt()

if module:
    sys.meta_path.insert(0, Importing())
else:
    atexit.register(interrupt)
runpy.run_module("lrgen", run_name="__main__", alter_sys=True)
"""

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Run ``python -m lrgen``, or another program with these arguments, in an empty folder."""

    def run(*arguments: str, start: tuple[str, ...] = ("-m", "lrgen"), **options: Any) -> Any:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
        environment |= options.pop("environment", {})
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        command = [sys.executable, *start, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, errors="surrogateescape", check=False, **streams
        )

    return run


# Interrupts.


@pytest.mark.parametrize("module", ["lrgen.cli", "typer", "pydantic", "lrgen.cli.verify"])
def test_an_interrupt_while_modules_are_imported_exits_with_130(program, module):
    """An interrupt before the command begins exits with 130, without a traceback and without output."""
    done = program(str(int(signal.SIGINT)), module, "list", "families", start=("-c", SIGNALLED))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupt_during_the_work_exits_with_130(program, number):
    """SIGINT, SIGTERM and SIGHUP during the command exit with 130 and one sentence."""
    done = program(str(int(number)), "lrgen.report.plots", "show", "1", start=("-c", SIGNALLED))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "lrgen: interrupted; finished results are kept\n"


@pytest.mark.parametrize(("command", "code"), [("list families", 0), ("list families --unit nothing", 2)])
def test_an_interrupt_after_the_work_changes_nothing(program, command, code):
    """An interrupt while the interpreter ends leaves the exit code and the output as they were decided."""
    calm = program(*command.split())
    done = program(str(int(signal.SIGINT)), "", *command.split(), start=("-c", SIGNALLED))
    assert (done.returncode, done.stdout, done.stderr) == (code, calm.stdout, calm.stderr)


def test_an_ignored_interrupt_stays_ignored(program):
    """A command that was started with SIGINT ignored, in the background of a script, does its work."""
    ignoring = SIGNALLED.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = program(str(int(signal.SIGINT)), "typer", "list", "families", start=("-c", ignoring))
    assert done.returncode == 0
    assert done.stdout


# Standard streams.


def closing(*descriptors: int) -> Callable[[], None]:
    """Close standard streams in the new process."""

    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


def test_a_command_with_closed_streams_does_its_work(program, tmp_path):
    """With stdin, stdout and stderr closed, a render writes its files, and an error keeps its exit code."""
    done = program("render", "--variant", "1", preexec_fn=closing(0, 1, 2))
    assert done.returncode == 0
    assert (tmp_path / "generated/ResNet/A0_001.py").stat().st_size > 1000
    assert program("render", "--variant", "nobody", preexec_fn=closing(0, 1, 2)).returncode == 2


def test_no_file_gets_the_descriptor_of_a_closed_stream(program, tmp_path):
    """With stderr closed, what is written to it does not end in the database."""
    database = tmp_path / "results.db"
    done = program("db", "check", "--db", f"sqlite:///{database}", preexec_fn=closing(2))
    assert done.returncode == 2
    assert not database.exists()
    code = "import os, sys; from lrgen.__main__ import _open_streams; _open_streams(); print(os.readlink('/dev/fd/2'))"
    assert program("-c", code, start=(), preexec_fn=closing(2)).stdout == "/dev/null\n"


@pytest.mark.parametrize("command", ["list families", "list schedules --json", "--version"])
def test_a_full_standard_output_is_one_sentence(program, command):
    """When standard output is full, a command exits with 2 and says so, without a traceback."""
    with open("/dev/full", "w") as full:
        done = program(*command.split(), stdout=full)
    assert done.returncode == 2
    assert done.stderr == "lrgen: No space left on device\n"


def test_a_full_standard_error_keeps_the_exit_code(program):
    """When standard error is full, an error still exits with 2."""
    with open("/dev/full", "w") as full:
        assert program("show", "nobody", stderr=full).returncode == 2


def test_text_is_escaped_where_the_encoding_lacks_it(program):
    """In the C locale without UTF-8, commands work: what ASCII does not have is escaped, and JSON stays the same."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = program("list", "schedules", environment=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2013" in done.stdout  # the dash of an empty cell
    plain, escaped = program("list", "models", "--json"), program("list", "models", "--json", environment=ascii_only)
    assert escaped.stdout.isascii()
    assert json.loads(escaped.stdout) == json.loads(plain.stdout)


def test_names_that_are_not_utf8_are_escaped(program):
    """A folder whose name is not UTF-8 is written, and its name is printed with escapes, in errors as well."""
    done = program("render", "--variant", "1", "--out", os.fsdecode(b"out\xff"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 file written to out\\udcff, 0 unchanged\n"
    done = program("verify", os.fsdecode(b"nowhere\xff.py"), "--device", "cpu")
    assert (done.returncode, done.stderr) == (
        2,
        "lrgen: nowhere\\udcff.py: cannot be read: No such file or directory\n",
    )
