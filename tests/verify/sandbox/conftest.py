"""Children in each kind of sandbox that this machine provides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrgen.verify import isolation
from lrgen.verify.sandbox import landlock, namespaces
from tests.verify.sandbox.kinds import KINDS, ROOT, UNPRIVILEGED, VERSIONS, granted, result_of, start_in


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of sandbox that this machine supports."""
    if request.param in UNPRIVILEGED:
        monkeypatch.setattr(namespaces, "own_id", lambda *_: None)
        monkeypatch.setattr(landlock, "own_id", lambda *_: None)
    if request.param in VERSIONS:
        monkeypatch.setattr(landlock, "version", lambda: VERSIONS[request.param])
    if request.param == "namespaces" and not ROOT:
        pytest.skip("only root may make namespaces without a user namespace")
    if refusal := isolation.refusal_of(KINDS[request.param]):
        message = f"{request.param}: {refusal}"
        pytest.fail(f"the machine grants it: {message}") if granted(request.param) else pytest.skip(message)
    return str(request.param)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The scratch folder of a child."""
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def start(kind: str, scratch: Path) -> Callable[..., tuple[int, int]]:
    """Starts a sandboxed child that runs a function; returns its process id and the pipe of its result."""

    def start(function: Callable[[], Any], **options: Any) -> tuple[int, int]:
        return start_in(KINDS[kind], scratch, function, **options)

    return start


@pytest.fixture
def inside(start: Callable[..., tuple[int, int]]) -> Callable[..., Any]:
    """Runs a function in a sandboxed child and returns its result."""
    return lambda function, **options: result_of(*start(function, **options))
