"""One builder makes the candidates of the command line, of datasets and of mutants."""

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
    """No other module of lrgen calls the constructor of the record."""
    calling = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "lrgen").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == Candidate.__name__
    }
    assert calling == {"lrgen/verify/candidate.py"}


@pytest.mark.parametrize(("number", "own"), [(1, False), (177, True)])
def test_prm_has_the_learning_rate_of_the_optimizer(catalogue: Catalogue, number: int, own: bool):
    """A variant with its own optimizer sets the base learning rate; other variants keep that of the recipe."""
    variant = catalogue.variant(number)
    assert (variant.optimizer is not None) == own
    for recipe in (architecture.recipe for architecture in catalogue.architectures):
        lr = variant.optimizer.lr if variant.optimizer else recipe.lr
        assert recipe.prm_for(variant) == {"lr": lr, "momentum": recipe.momentum, "dropout": recipe.dropout}
        assert recipe.prm_for(None)["lr"] == recipe.lr


def test_a_rendered_file_has_the_values_of_the_catalogue(catalogue: Catalogue):
    """Its names, its ``prm`` and its budget are those of its architecture and variant."""
    architecture, variant = catalogue.architecture("MaxVit"), catalogue.variant(6)
    candidate = candidate_of(Path("a/b.py"), CONTENT, architecture, variant, rendered=True)
    assert (candidate.path, candidate.source, candidate.rendered) == (Path("a/b.py"), "x = 1\n", True)
    assert candidate.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (candidate.model_name, candidate.scheduler_type, candidate.variant) == ("MaxVit", "A0_006", variant)
    assert candidate.prm == architecture.recipe.prm_for(variant)
    assert architecture.budget is not None
    assert candidate.budget == architecture.budget


def test_a_foreign_file_is_named_by_its_stem_and_its_hash(catalogue: Catalogue):
    """Without an architecture the model is the stem, and the name of the schedule does not depend on the claim."""
    candidate = candidate_of(Path("a/b.py"), CONTENT, variant=catalogue.variant(6))
    assert (candidate.model_name, candidate.scheduler_type) == ("b", f"file-{candidate.sha256[:8]}")
    assert (candidate.variant, candidate.budget, candidate.rendered) == (catalogue.variant(6), None, False)
    assert candidate.prm.keys() == {"lr", "momentum", "dropout"}
    assert candidate_of(Path("b.py"), CONTENT).variant is None


def test_a_variant_without_a_curve_is_dropped(catalogue: Catalogue):
    """The candidate has no variant, but keeps its name in the store."""
    variant = replace(catalogue.variant(6), family="of_a_user_without_curves")
    candidate = candidate_of(Path("b.py"), CONTENT, catalogue.architecture("ResNet"), variant)
    assert (candidate.variant, candidate.scheduler_type) == (None, "A0_006")


def test_the_candidates_of_a_mutant_and_of_a_file_are_alike(catalogue: Catalogue, tmp_path: Path):
    """They differ only in the path and in whether the file was rendered, from which parts."""
    pair = catalogue.architecture("ResNet"), catalogue.variant(177)
    (on_disk,) = run.from_selection(catalogue, [pair], tmp_path)
    file = verified(catalogue, 177, source=on_disk.source)
    mutant = mutants.candidate(mutants.Mutant(file, "", file.source))
    assert mutant == replace(on_disk, path=Path("ResNet/A0_177.py"), rendered=False, parts=None)
