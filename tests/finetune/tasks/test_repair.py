"""Mistakes put into verified files: what they look like, what the checks say of them, and what mends them."""

import ast
import difflib
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.errors import StoreError
from lrgen.finetune import mutants, mutations, wording
from lrgen.finetune.example import Example, Material, Scope
from lrgen.finetune.mutants import Workbench
from lrgen.finetune.tasks import judge, prefer, repair
from lrgen.records import Outcome, Stage, Status
from lrgen.source import diffs
from lrgen.verify import verdicts
from lrgen.verify.engines import local
from tests.paths import GENERATED, TINY
from tests.proved import material_of, proved

COMMITTED = sorted((GENERATED / "ResNet").glob("A0_*.py"))
NOT_PYTHON = {"colon forgotten", "parenthesis forgotten"}
UNSEEN = {"gradients not zeroed"}
KINDS = dict(mutations.BREAKAGES).keys()
# Each unit, a schedule of torch's own, one of the file's own, and parameter groups by layer.
NUMBERS = (1, 31, 37, 172)


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    """The catalogue with a network that costs nothing."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def material(tiny) -> Material:
    return material_of(tiny, "Tiny", NUMBERS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Workbench:
    return Workbench(tmp_path_factory.mktemp("cache"), workers=2, breakages=5)


@pytest.fixture(scope="module")
def repairs(material, bench) -> list[Example]:
    return list(repair.examples(material, bench))


def end_of(material: Material, text: str, file) -> tuple[Status, Stage | None, str]:
    """How a text ends that is held to the schedule of a file."""
    candidate = mutants.candidate(mutants.Broken(file, "", text))
    (outcome,) = local.run([candidate], mutants.SETTINGS, None)
    return outcome.status, outcome.stage, outcome.reason


def changed_lines(text: str, other: str) -> int:
    """How many lines differ."""
    lines = difflib.unified_diff(text.splitlines(), other.splitlines(), n=0, lineterm="")
    return sum(line[0] in "+-" and line[:3] not in ("+++", "---") for line in lines)


# The mistakes.


def test_every_mistake_finds_a_place():
    """Each kind can be made in a file of the committed network, and there are more than two dozen kinds."""
    found = set()
    for path in COMMITTED:
        found |= mutations.broken(path.read_text()).keys()
    assert found == KINDS
    assert len(found) > 24


def test_a_mistake_is_small_and_meant():
    """A broken file differs in a few lines and not only in its layout, and is Python unless its kind is a slip."""
    for path in COMMITTED[::12]:
        text = path.read_text()
        right = ast.dump(ast.parse(text))
        for kind, texts in mutations.broken(text).items():
            for one in texts[:2]:
                assert 0 < changed_lines(text, one) <= 14, (path.name, kind)
                if kind in NOT_PYTHON:
                    with pytest.raises(SyntaxError):
                        ast.parse(one)
                else:
                    assert ast.dump(ast.parse(one)) != right, (path.name, kind)


def test_no_two_mistakes_are_the_same_text():
    """What two kinds make alike belongs to the first of them."""
    for path in COMMITTED[::30]:
        texts = [one for found in mutations.broken(path.read_text()).values() for one in found]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("number", "kind", "gone", "come"),
    [
        (59, "caret for a power", "self.start_factor ** (1 - step", "self.start_factor ^ (1 - step"),
        (36, "division of whole numbers", "self.total_steps - step) / decay_steps", "- step) // decay_steps"),
        (69, "floor on top", "+ (1 - self.min_lr_ratio) * height", "return self.min_lr_ratio + height"),
        (86, "floor on top", "(1 - self.min_lr_ratio) * (1 - progress**3)", "self.min_lr_ratio + (1 - progress**3)"),
        (7, "floor of base rate one", ' * optimizer.defaults["lr"]', 'eta_min = prm.get("min_lr_ratio", 0.01)\n'),
        (6, "not held past its end", "class CosineDecay", "return CosineAnnealingLR(optimizer, T_max=total_steps)"),
        (36, "steps taken for a fraction", 'round(prm.get("warmup_fraction", 0.1) *', 'prm.get("warmup_fraction", 9)'),
        (1, "another default", "1 / 3", 'prm.get("step_fraction", 0.6667)'),
        (21, "chained instead of one after the other", "SequentialLR", "ChainedScheduler([warmup, decay])"),
        (37, "decay counted from step zero", "self.total_steps) - self.warmup_steps) /", "self.total_steps)) / decay"),
        (37, "boundary on the wrong side", "step < self.warmup_steps", "step <= self.warmup_steps"),
        (159, "state lost on resume", 'self.steps_done = state["steps_done"]', "def load_state_dict"),
        (6, "stepped once a batch", "\n        self.scheduler.step()", "\n            self.scheduler.step()"),
        (37, "made before the batches are known", "if self.scheduler is None", "make_scheduler(self.optimizer, epochs"),
    ],
)
def test_a_mistake_is_what_its_name_says(number, kind, gone, come):
    """One place of each kind is looked at by hand: what goes, what comes, and what is in brackets stays there."""
    text = (COMMITTED[0].parent / f"A0_{number:03d}.py").read_text()
    assert gone in text
    texts = [one for one in mutations.broken(text)[kind] if one.count(gone) < text.count(gone)]
    assert any(come in one and changed_lines(text, one) <= 14 for one in texts)


# What the checks say of them.


def test_each_broken_file_fails_again_for_its_reason(material, repairs):
    """The words of the harness in a question are those of another run of the same text."""
    assert len(repairs) >= 4 * len(NUMBERS)
    for example in repairs:
        end = end_of(material, wording.quoted(example.prompt), example.files[0])
        assert end == (Status.FAILED, example.evidence["failed"], example.evidence["reason"])
        assert example.evidence["failed"] in example.prompt
        assert example.evidence["reason"] in example.prompt


def test_the_answers_pass(material):
    """What every repair of a file ends in passes the checks that the broken one failed."""
    for file in material.files:
        assert end_of(material, file.source, file)[0] is Status.UNPROVEN  # up to the schedule


def test_an_answer_mends_its_question(repairs):
    """A whole file is the verified one, a diff makes it of the broken one; both occur, the evidence says which."""
    as_diff = [example for example in repairs if "applies_to" in example.evidence]
    for example in repairs:
        broken, file = wording.quoted(example.prompt), example.files[0]
        assert example.evidence["broken"] == hashlib.sha256(broken.encode()).hexdigest()
        mended = diffs.apply(example.completion, broken) if example in as_diff else example.completion
        assert mended == file.source
        assert example.evidence["gives" if example in as_diff else "equals"] == file.sha256
    assert 0 < len(as_diff) < len(repairs)


def test_a_repair_shows_a_whole_file(repairs):
    """Its side is that of the file, whatever the answer touches."""
    assert {example.scope for example in repairs} == {Scope.FILE}


def test_mistakes_in_the_schedule_and_around_it_take_turns(material, repairs):
    """Of five mistakes in a file three are ones of scheduling, though it may offer more places for either."""
    of_schedule = dict(mutations.OF_SCHEDULE)
    for file in material.files:
        mistakes = [example.evidence["mistake"] for example in repairs if example.files[0] is file]
        inside = sum(mistake in of_schedule for mistake in mistakes)
        assert 2 <= inside <= 3
        assert 1 <= len(mistakes) - inside <= 2


def test_what_passes_is_counted_and_never_published(material, tmp_path, monkeypatch):
    """A mistake that the checks do not see is no example of any task."""
    unseen = material.files[0].source.replace("            self.optimizer.zero_grad()\n", "")
    monkeypatch.setattr(mutations, "broken", lambda text: {"gradients not zeroed": [unseen]})
    bench = Workbench(tmp_path)
    few = replace(material, files=material.files[:1])
    assert [list(task.examples(few, bench)) for task in (repair, prefer, judge)] == [[], [], []]
    assert bench.unseen == {"gradients not zeroed": 3}


@pytest.mark.slow
def test_the_checks_see_every_mistake_but_one(catalogue, tmp_path):
    """Of each kind some place in three dozen files of the committed network is seen, and why it fails is told."""
    resnet = catalogue.architecture("ResNet")
    files = [proved(resnet, catalogue.variant(int(one.stem[-3:])), one.read_text()) for one in COMMITTED]
    chosen: dict[str, list[mutants.Broken]] = {}
    for file in files:
        for kind, texts in mutations.broken(file.source).items():
            chosen.setdefault(kind, []).append(mutants.Broken(file, kind, texts[-1]))
    few = [one for kind in chosen.values() for one in kind[:: -(-len(kind) // 3)]]
    with closing(verdicts.cache_in(tmp_path)) as known:
        ends = mutants.ends_of(few, known, 2)
    seen = {one.mistake for one, end in zip(few, ends, strict=True) if end.status is Status.FAILED and end.reason}
    assert seen == KINDS - UNSEEN


# Again.


def test_what_was_run_once_is_not_run_again(material, bench, repairs, monkeypatch):
    """A second build asks the cache, for all three tasks, and writes the same."""
    monkeypatch.setattr(local, "run", lambda *args, **kwargs: pytest.fail("a file is run again"))
    assert list(repair.examples(material, bench)) == repairs
    assert len(list(prefer.examples(material, bench))) == len(repairs)
    assert len(list(judge.examples(material, bench))) == 2 * len(NUMBERS)


def test_other_checks_run_everything_again(material, bench, repairs, monkeypatch):
    """What is known was said by the checks of today."""
    monkeypatch.setattr(verdicts, "check_version", lambda: "other")
    monkeypatch.setattr(local, "run", lambda *args, **kwargs: pytest.fail("run"))
    with pytest.raises(pytest.fail.Exception, match="run"):
        list(repair.examples(material, bench))


def test_an_interrupted_build_goes_on_where_it_was(material, repairs, tmp_path, monkeypatch):
    """What was run before the interrupt is known to the next build, which runs the rest and writes the same."""
    run_all, ran = local.run, []

    def noted(candidates, *args: Any, stop: bool, **how: Any) -> Iterator[Outcome]:
        for outcome in run_all(candidates, *args, **how):
            ran.append(outcome.candidate.sha256)
            yield outcome
            if stop and len(ran) == 3:
                raise KeyboardInterrupt

    bench = Workbench(tmp_path, workers=2, breakages=5)
    monkeypatch.setattr(local, "run", partial(noted, stop=True))
    with pytest.raises(KeyboardInterrupt):
        list(repair.examples(material, bench))
    monkeypatch.setattr(local, "run", partial(noted, stop=False))
    assert list(repair.examples(material, bench)) == repairs
    assert len(ran) == len(set(ran)) >= len(repairs)


def test_a_cache_that_cannot_be_read_is_named(material, tmp_path):
    """The error names the file."""
    (tmp_path / "verdicts.db").mkdir()
    with pytest.raises(StoreError, match=r"verdicts\.db: unable to open"):
        list(repair.examples(material, Workbench(tmp_path)))


def test_the_seed_alone_decides(tiny, bench, repairs):
    """The same files and seed give the same examples, another seed others; a file's do not depend on other files."""
    again = material_of(tiny, "Tiny", NUMBERS)
    assert [example.key for example in repair.examples(again, bench)] == [example.key for example in repairs]
    alone = material_of(tiny, "Tiny", NUMBERS[2:3])
    assert list(repair.examples(alone, bench)) == [one for one in repairs if one.files[0].variant.number == NUMBERS[2]]
    other = material_of(tiny, "Tiny", NUMBERS[:1], seed=1)
    assert {one.key for one in repair.examples(other, bench)} != {
        one.key for one in repairs if one.files[0].variant.number == NUMBERS[0]
    }
    assert len({example.key for example in repairs}) == len(repairs)
