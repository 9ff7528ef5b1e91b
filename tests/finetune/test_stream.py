"""Compositions in a build: drawn, executed, split by what is unseen, and the same however they are made."""

import itertools
import random
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import realisations
from lrgen.errors import CorpusError, DatasetError, UnknownNameError
from lrgen.finetune import stream
from lrgen.finetune.build import build
from lrgen.finetune.composition_splits import TRAINED_PHASES, CompositionSplits
from lrgen.finetune.example import Example, Grade, Scope, TaskInput
from lrgen.finetune.formats import parquet
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import Split, problems
from lrgen.finetune.stream import Stream
from lrgen.realisations import Style
from lrgen.verify import run, verdicts
from tests.finetune.test_build import content


def _examples(task_input):
    for each in task_input.compositions:
        for realisation in each.realisations:
            yield Example(
                task="code",
                key=f"{each.number}/{realisation.style}",
                prompt=f"Write composition {each.composition.id} as {realisation.style}.",
                completion=realisation.code,
                scope=Scope.SCHEDULE,
                composition=each,
                styles=(realisation.style,),
                interface=realisation.interface,
            )


CODE = types.SimpleNamespace(
    NAME="code",
    SUMMARY="A name → code.",
    EVIDENCE=(),
    examples=_examples,
    assemble=lambda row, completion, reference: completion,
    grade=lambda row, completion, reference, outcome: Grade.of_outcome(outcome),
)


@pytest.fixture
def chunks_of_ten(monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 10)


def plan(count: int, **values) -> Plan:
    return Plan((CODE,), compositions=count, **values)


def built(catalogue, out: Path, **values) -> Path:
    build(TaskInput(catalogue, (), 0), plan(**values), out)
    return out


@pytest.mark.usefixtures("chunks_of_ten")
def test_the_rows_of_compositions_are_valid_and_repeat(catalogue, tmp_path):
    """Two builds have the same bytes; every row is valid, and names its composition and how its answer is called."""
    first = built(catalogue, tmp_path / "a", count=25, holdout_styles=("function",))
    second = built(catalogue, tmp_path / "b", count=25, holdout_styles=("function",))
    assert content(first) == content(second)
    rows = [row for split in parquet.splits(first) for row in parquet.read(first, split)]
    assert [problem for row in rows for problem in problems(row)] == []
    assert {row["family"] for row in rows} == {"composition"}
    assert len(rows) > 60


@pytest.mark.usefixtures("chunks_of_ten")
def test_an_interrupted_build_makes_the_missing_chunks_alone(catalogue, tmp_path, monkeypatch):
    """After an error in the third chunk, the next build makes that chunk and gives the bytes of an undisturbed one."""
    made = []
    make = stream.ChunkMaker.make

    def failing(self, chunk, shard):
        made.append(chunk)
        if chunk == 2 and made.count(2) == 1:
            raise OSError(28, "No space left on device")
        make(self, chunk, shard)

    monkeypatch.setattr(stream.ChunkMaker, "make", failing)
    with pytest.raises(Exception, match=r"cannot be written: No space left on device"):
        built(catalogue, tmp_path / "a", count=25)
    assert not (tmp_path / "a").exists()
    built(catalogue, tmp_path / "a", count=25)
    assert made == [0, 1, 2, 2]
    assert content(tmp_path / "a") == content(built(catalogue, tmp_path / "b", count=25))


def test_a_wrong_realisation_ends_the_build(catalogue, tmp_path, monkeypatch):
    """Code that differs from the curve of its composition is never published: the build names it and ends."""
    write = realisations.write

    def wrong(composition, style, chance):
        written = write(composition, style, chance)
        return replace(written, code=written.code.replace("1.0", "1.1").replace(" + 1", " + 2").replace("0", "1"))

    monkeypatch.setattr(realisations, "write", wrong)
    with pytest.raises(CorpusError, match=r"^composition \w{12} as "):
        built(catalogue, tmp_path / "a", count=5)


def test_what_is_unseen_is_tested():
    """Training has no composition of more phases, with a held-out pair of phases or with numbers out of its ranges."""
    splits, drawn = CompositionSplits(0, ()), Stream(plan(2000))
    by_split = {split: [] for split in Split}
    for number in range(2000):
        composition = drawn.composition(number)
        by_split[splits.of_composition(composition)].append(composition)
    trained = by_split[Split.TRAIN]
    pairs = {pair for each in trained for pair in itertools.pairwise(each.structure)}
    assert max(len(each.structure) for each in trained) == TRAINED_PHASES
    assert all(len(each.structure) > TRAINED_PHASES for each in by_split[Split.TEST_PHASES])
    assert all(set(itertools.pairwise(each.structure)) - pairs for each in by_split[Split.TEST_PAIRS])
    assert {each.id for each in trained}.isdisjoint(each.id for each in by_split[Split.TEST])
    counts = Counter({split: len(each) for split, each in by_split.items()})
    assert counts[Split.TRAIN] > 1400
    assert min(counts[split] for split in (Split.TEST_PHASES, Split.TEST_PAIRS, Split.TEST_NUMBERS, Split.TEST)) >= 10


def test_a_held_out_style_is_tested_alone(catalogue):
    """Examples in a held-out style are those of their test, unless their composition is in a harder one."""
    drawn, splits = Stream(plan(60)), CompositionSplits(0, (Style.FUNCTION,))
    task_input = TaskInput(catalogue, (), 0, compositions=tuple(map(drawn.realised, range(2, 60))))
    for example in _examples(task_input):
        split = splits.of(example, example.composition.composition).split
        if example.styles == (Style.FUNCTION,):
            assert split in (Split.TEST_STYLES, Split.TEST_PAIRS, Split.TEST_PHASES, Split.TEST_NUMBERS)
        else:
            assert split is not Split.TEST_STYLES


def test_code_of_a_tested_composition_is_in_no_training_prompt(catalogue):
    """An example about another composition than the drawn one is in the harder of both splits."""
    drawn, splits = Stream(plan(60)), CompositionSplits(0, ())
    trained = (number for number in range(60) if splits.of_composition(drawn.composition(number)) is Split.TRAIN)
    train, longer = drawn.realised(next(trained)), drawn.realised(1)
    [example, *_] = _examples(TaskInput(catalogue, (), 0, compositions=(train,)))
    assert splits.of(example, train.composition).split is Split.TRAIN
    assert splits.of(example, longer.composition).split is Split.TEST_PHASES


def test_generated_code_passes_the_checks_of_a_stranger(tmp_path):
    """Realisations in every style pass alone in a sandbox, under the strict policy, as they passed in the worker."""
    drawn = list(map(Stream(plan(100)).composition, range(2, 100)))
    chance = random.Random(0)
    candidates = []
    for style in Style:
        of_style = (each for each in drawn if style in realisations.styles_of(each) and each.horizon < 1000)
        composition = next(of_style)
        candidates.append(stream.candidate_of(composition, realisations.write(composition, style, chance)))
    store = verdicts.cache_in(tmp_path)
    outcomes = list(run.verify(candidates, stream.ALONE_SETTINGS, store, workers=1, timeout=60.0, case_seed=1))
    assert [(outcome.candidate.scheduler_type, outcome.reason) for outcome in outcomes if not outcome.status.ok] == []


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"count": 5, "styles": ("haiku",)}, UnknownNameError, "unknown style 'haiku'"),
        ({"count": 5, "styles": ("table",), "holdout_styles": ("table",)}, DatasetError, "none is left for training"),
        ({"count": -1}, DatasetError, "compositions: expected a number of at least 0, got -1"),
        ({"count": 5, "limit": 3}, DatasetError, "limit 3 with 5 compositions"),
    ],
)
def test_options_that_give_nothing_are_refused(catalogue, tmp_path, values, error, message):
    """An unknown style, no style for training, a negative number and a limit are named before anything is written."""
    with pytest.raises(error, match=message):
        built(catalogue, tmp_path / "a", **values)
    assert list(tmp_path.iterdir()) == []
