"""One builder says what is verified, whoever asks: the command line, a dataset, or a mutant."""

import ast
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen.catalogue import Catalogue
from lrgen.finetune import mutants
from lrgen.records import Candidate
from lrgen.verify import run
from lrgen.verify.candidate import candidate_of
from tests.corpus import verified
from tests.paths import REPOSITORY

CONTENT = b"x = 1\n"


def test_every_candidate_comes_from_the_builder():
    """No other module of lrgen calls the record's constructor."""
    calling = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "lrgen").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == Candidate.__name__
    }
    assert calling == {"lrgen/verify/candidate.py"}


@pytest.mark.parametrize(("number", "own"), [(1, False), (177, True)])
def test_prm_is_the_recipes_with_the_rate_of_an_optimizer_of_its_own(catalogue: Catalogue, number: int, own: bool):
    """A variant that writes out its optimizer brings the base learning rate that suits it, others keep the recipe's."""
    variant = catalogue.variant(number)
    assert (variant.optimizer is not None) == own
    for recipe in (one.recipe for one in catalogue.architectures):
        lr = variant.optimizer.lr if variant.optimizer else recipe.lr
        assert recipe.prm_for(variant) == {"lr": lr, "momentum": recipe.momentum, "dropout": recipe.dropout}
        assert recipe.prm_for(None)["lr"] == recipe.lr


def test_a_rendered_file_is_what_its_architecture_and_variant_say(catalogue: Catalogue):
    """The names of the store, the recipe's values and the training budget are those of the catalogue."""
    architecture, variant = catalogue.architecture("MaxVit"), catalogue.variant(6)
    found = candidate_of(Path("a/b.py"), CONTENT, architecture, variant, rendered=True)
    assert (found.path, found.source, found.rendered) == (Path("a/b.py"), "x = 1\n", True)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (found.model_name, found.scheduler_type, found.variant) == ("MaxVit", "A0_006", variant)
    assert found.prm == architecture.recipe.prm_for(variant)
    assert architecture.budget is not None
    assert found.budget == architecture.budget


def test_a_foreign_file_is_known_by_its_name_and_its_hash(catalogue: Catalogue):
    """Without an architecture the stem stands for it, and what it is checked against is no part of its name."""
    found = candidate_of(Path("a/b.py"), CONTENT, variant=catalogue.variant(6))
    assert (found.model_name, found.scheduler_type) == ("b", f"file-{found.sha256[:8]}")
    assert (found.variant, found.budget, found.rendered) == (catalogue.variant(6), None, False)
    assert found.prm.keys() == {"lr", "momentum", "dropout"}
    assert candidate_of(Path("b.py"), CONTENT).variant is None


def test_a_variant_without_a_curve_is_none(catalogue: Catalogue):
    """There is nothing to compare such a file with, and its name in the store stays the variant's."""
    variant = replace(catalogue.variant(6), family="of_a_user_without_curves")
    found = candidate_of(Path("b.py"), CONTENT, catalogue.architecture("ResNet"), variant)
    assert (found.variant, found.scheduler_type) == (None, "A0_006")


def test_a_mutant_and_a_file_on_disk_are_verified_alike(catalogue: Catalogue, tmp_path: Path):
    """The candidate of a file does not depend on who makes it, but for its path and for who rendered it."""
    pair = catalogue.architecture("ResNet"), catalogue.variant(177)
    (on_disk,) = run.from_selection(catalogue, [pair], tmp_path)
    file = verified(catalogue, 177, source=on_disk.source)
    mutant = mutants.candidate(mutants.Mutant(file, "", file.source))
    assert mutant == replace(on_disk, path=Path("ResNet/A0_177.py"), rendered=False)
