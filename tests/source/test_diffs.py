"""Unified diffs."""

import random
import re
import shutil
import subprocess

import pytest

from lrgen.errors import DatasetError
from lrgen.source import diffs
from tests import corpus


def test_a_diff_gives_the_new_text():
    """The diff of any two texts, applied to the first, gives the second."""
    chance = random.Random(0)
    for _ in range(300):
        before, after = ("".join(f"{chance.choice('abc')}\n" for _ in range(chance.randrange(30))) for _ in range(2))
        if before != after:
            assert diffs.apply(diffs.unified(before, after), before) == after


def test_a_diff_applies_only_to_its_own_text():
    """A diff does not apply to another text, even when only a context line differs."""
    before, after = corpus.source(1), corpus.source(2)
    diff = diffs.unified(before, after)
    assert diffs.apply(diff, before) == after
    context = next(line[1:] for line in diff.splitlines() if line.startswith(" ") and line.strip())
    for other in (after, before.replace(context, f"{context}  # changed"), ""):
        with pytest.raises(DatasetError, match=r"^line \d+ does not match the diff: "):
            diffs.apply(diff, other)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda diff: "", r"^not a unified diff of one file"),
        (lambda diff: diff.split("\n", 2)[2], r"^not a unified diff of one file"),
        (lambda diff: diff.rsplit("\n", 2)[0] + "\n", r"^the hunk at line 1 does not have the number of lines"),
        (lambda diff: diff.replace("@@ ", "@ ", 1), r"^line 3 of the diff is not a hunk header"),
        (lambda diff: diff.replace("1,3", f"1,{5000 * '3'}"), r"^line 3 of the diff is not a hunk header"),
        (lambda diff: diff + "and so on\n", r"^line 8 of the diff is not a hunk header: 'and so on'$"),
        (lambda diff: re.sub(r"(?m)^\+(?!\+)", "*", diff, count=1), r"does not begin with a space, - or \+: '\*B"),
        (lambda diff: diff + diff.split("\n", 2)[2], r"^the hunk at line 1 overlaps with the hunk before it$"),
    ],
)
def test_a_damaged_diff_is_an_error(damage, reason):
    """A text that is not a complete diff is an error that names the damage."""
    with pytest.raises(DatasetError, match=reason):
        diffs.apply(damage(diffs.unified("a\nb\nc\n", "a\nB\nc\n")), "a\nb\nc\n")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on the PATH")
@pytest.mark.parametrize("number", [2, 6, 31, 37])
def test_git_applies_the_diffs(tmp_path, number):
    """``git apply`` gives the same file."""
    path = tmp_path / diffs.FILE_NAME
    path.write_text(corpus.source(1))
    diff = diffs.unified(corpus.source(1), corpus.source(number))
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff, text=True, check=True)
    assert path.read_text() == corpus.source(number)
