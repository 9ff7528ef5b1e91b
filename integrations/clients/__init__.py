"""Tests with the clients that read datasets, each in an environment of its own (``make integrations``)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path("build/clients")
_DOCUMENT = Path(__file__).parents[2] / "docs" / "finetuning.md"
_LIMIT = 900.0  # seconds of a command


def lines(dataset: Path, name: str, split: str) -> list[dict[str, Any]]:
    """Return the lines of a format; none if the split has no rows for it."""
    path = dataset / name / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def recipe(heading: str, number: int) -> str:
    """Return a block of YAML below a heading of docs/finetuning.md."""
    section = _DOCUMENT.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[number]


def run(program: str, *arguments: object) -> str:
    """Run a program of the environment, which must succeed; return what it printed."""
    command = [Path(sys.executable).with_name(program), *map(str, arguments)]
    ended = subprocess.run(
        command,
        check=False,
        env=os.environ,
        timeout=_LIMIT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
