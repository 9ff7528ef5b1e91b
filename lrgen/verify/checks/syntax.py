"""The syntax check: the file is UTF-8 and declares no other encoding, compiles, and has a bounded size."""

import ast
import io
import re
import tokenize
import warnings

from lrgen.records import Stage
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.limits import MAX_BYTES
from lrgen.verify.static.parsing import LOCK

STAGE = Stage.SYNTAX
_INVALID = re.compile("[\udc80-\udcff]")  # what surrogateescape decodes invalid bytes to


def run(examination: Examination) -> None:
    """Parse and compile the source.

    Raises:
        CheckFailure: if the file is not valid Python, or too large.
    """
    source = examination.candidate.source
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise CheckFailure(f"the file has more than {MAX_BYTES:,} bytes")
    if _INVALID.search(source):
        raise CheckFailure("the file is not UTF-8")
    if (encoding := _declared_encoding(source)) not in ("utf-8", "utf-8-sig"):
        raise CheckFailure(f"the file declares the encoding {encoding}, expected UTF-8")
    try:
        with LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            examination.tree = ast.parse(source)
            compile(examination.tree, str(examination.candidate.path), "exec")
    except SyntaxError as error:
        line = f" (line {error.lineno})" if error.lineno else ""
        raise CheckFailure(f"the file is not valid Python: {error.msg}{line}") from error
    except (RecursionError, MemoryError) as error:
        raise CheckFailure("the file is nested too deeply to be compiled") from error
    except ValueError as error:
        raise CheckFailure(f"the file is not valid Python: {error}") from error


def _declared_encoding(source: str) -> str:
    """The encoding that an importer reads the file with, by its first two lines."""
    try:
        return tokenize.detect_encoding(io.BytesIO(source.encode("utf-8", "surrogatepass")).readline)[0]
    except SyntaxError as error:  # an encoding that Python does not know
        return str(error.msg).removeprefix("unknown encoding: ")
