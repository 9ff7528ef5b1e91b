"""Is it Python at all, and of a size that a person would write?"""

import ast
import warnings
from typing import Any

from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.checks.subject import CheckFailure, Subject

STAGE = Stage.SYNTAX
MAX_BYTES = 1_000_000


def measure(subject: Subject) -> dict[str, Any]:
    """Parse and compile the source."""
    source = subject.candidate.source
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise CheckFailure(f"the file has {size} bytes, more than {MAX_BYTES}")
    if any("\udc80" <= char <= "\udcff" for char in source):  # how undecodable bytes were read
        raise CheckFailure("the file is not UTF-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            subject.tree = ast.parse(source)
            compile(subject.tree, str(subject.candidate.path), "exec")
    except SyntaxError as error:
        raise CheckFailure(f"{error.msg} (line {error.lineno})") from error
    except (RecursionError, MemoryError) as error:
        raise CheckFailure("the code is nested too deeply to be compiled") from error
    except ValueError as error:
        raise CheckFailure(str(error)) from error
    return {}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Nothing is left to compare."""
    return ""
