"""One test over many cases: all of them are looked at, and a failure names each case that fails."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest


def check_each(cases: Mapping[str, Any], check: Callable[[Any], None]) -> None:
    """Run a check for each case, by name.

    Raises:
        BaseExceptionGroup: Some cases fail; it names them and has the exception of each.
    """
    failed: dict[str, BaseException] = {}
    for name, case in cases.items():
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - a check fails with any of them
            error.add_note(f"in {name}")
            failed[name] = error
    if failed:
        names = ", ".join(failed)
        raise BaseExceptionGroup(f"{len(failed)} of {len(cases)} cases fail: {names}", list(failed.values()))


def for_each(argument: str, cases: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test of one case a single test of all cases, which are passed as ``argument``.

    Thousands of parameters of a millisecond cost more to set up than to run.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            check_each(cases, lambda case: test(**{argument: case}, **fixtures))

        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name != argument]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorate
