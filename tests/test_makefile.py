"""The Makefile: the commands of its targets, which are printed and not run."""

import shutil
import subprocess

import pytest

from lrgen.catalogue import Catalogue
from tests.paths import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def command(*words: str) -> list[str]:
    """The words of the last command that make would run."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ((), ["--variant", "1-50"]),
        (("MODEL=ResNet", "VARIANTS=all"), ["--model", "ResNet"]),
        (("MODEL=ResNet VGG", "VARIANTS=178-231"), ["--variant", "178-231", "--model", "ResNet", "--model", "VGG"]),
    ],
    ids=["default", "all variants", "two models"],
)
def test_make_verify_hands_its_selection_on(variables, options):
    """The variables are the options of ``lrgen verify``; all variants of a model are no option at all."""
    assert command("verify", *variables) == [".venv/bin/lrgen", "verify", *options]


def test_no_option_selects_practices_too(catalogue: Catalogue):
    """Without a variant, a family or a practice the selection has each variant, with a practice or without."""
    assert catalogue.select() == catalogue.variants
    assert {variant.number for variant in catalogue.with_practice} < {variant.number for variant in catalogue.variants}
