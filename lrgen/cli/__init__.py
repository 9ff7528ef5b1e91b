"""The command line: parses the arguments, calls the other packages, prints and exits; no other package does.

Exit codes: 0 done, 1 a file failed verification or a check, 2 wrong use, 130 interrupted (SIGINT, SIGTERM or SIGHUP).
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from lrgen.cli.audit import audit
from lrgen.cli.compose import compose
from lrgen.cli.database import database
from lrgen.cli.dataset import dataset
from lrgen.cli.doctor import doctor
from lrgen.cli.exchange import exports, imports
from lrgen.cli.listing import lists
from lrgen.cli.models import models
from lrgen.cli.options import State
from lrgen.cli.plot import plot
from lrgen.cli.printing import WIDTH
from lrgen.cli.render import render
from lrgen.cli.report import report
from lrgen.cli.results import results
from lrgen.cli.score import score
from lrgen.cli.show import show
from lrgen.cli.verify import verify
from lrgen.errors import LrgenError, first_line
from lrgen.version import __version__

app = typer.Typer(
    name="lrgen",
    help="Render, verify and publish PyTorch training modules: one architecture with one learning-rate schedule each.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
app.command()(render)
app.command()(verify)
app.command()(audit)
app.command()(show)
app.command()(plot)
app.command()(compose)
app.command()(report)
app.command()(doctor)
app.add_typer(lists, name="list")
app.add_typer(models, name="model")
app.add_typer(results, name="results")
app.add_typer(database, name="db")
app.add_typer(dataset, name="dataset")
app.add_typer(score, name="score")
app.add_typer(exports, name="export")
app.add_typer(imports, name="import")


# The base class of click's usage errors; Typer may bring its own copy of click.
_UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


_LONGEST = 1000  # characters of a file name in an error

# Failures of the machine or of the input that any command may meet.
_FAILURES = (OSError, UnicodeError, RecursionError, MemoryError, OverflowError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error is one sentence on standard error."""
    code: object = 2
    try:
        code = app(args=list(arguments), prog_name="lrgen", standalone_mode=False)  # the same under ``python -m lrgen``
        sys.stdout.flush()
    except SystemExit as ended:  # Typer's reaction to an interrupt and to a closed pipe
        code = 0 if isinstance(ended.__context__, BrokenPipeError) else ended.code
    except BrokenPipeError:
        code = 0
    except _UsageError as error:
        _report(error.show)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except (LrgenError, *_FAILURES) as error:
        text = _sentence(error)
        _report(traceback.print_exc if State.debug else lambda: _print_error(text))
    if code == 130:
        _report(lambda: _print_error("interrupted; finished results are kept"))
    _drop_output()
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str:
    """The message of an expected error: of lrgen, of the machine or of the input."""
    if isinstance(error, LrgenError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{str(error.filename)[:_LONGEST]}: " if error.filename else ""
        return f"{place}{error.strerror or first_line(error)}"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply"
    kinds = {MemoryError: "out of memory", OverflowError: "a number is too large"}
    kind = next((text for base, text in kinds.items() if isinstance(error, base)), "text cannot be encoded or decoded")
    return f"{kind}: {error}" if str(error) else kind


def _print_error(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]lrgen:[/] {escape(text)}")


def _report(show: Callable[[], None]) -> None:
    """Show an error on standard error, unless that is full or closed."""
    with contextlib.suppress(OSError):
        show()


def _drop_output() -> None:
    """Send what standard output does not take to the null device, or the interpreter ends with a traceback of it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(requested: bool) -> None:
    if requested:
        print(f"lrgen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("-v", "--verbose", count=True, help="Increase verbosity: print the output of each file as well."),
    ] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    State.verbosity = -1 if quiet else verbose
    State.debug = debug
