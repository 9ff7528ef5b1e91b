"""Builds of datasets: rows, splits, what is left out, the card, and the command line."""

import dataclasses
import functools
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lrgen.finetune.check  # noqa: F401  it lists the tasks when it is imported: before a test replaces them
from lrgen.errors import DatasetError, OutputError
from lrgen.finetune import exposure, formats, manifest, tokens
from lrgen.finetune import tasks as all_tasks
from lrgen.finetune.build import TOO_LONG, build
from lrgen.finetune.corpus import Level
from lrgen.finetune.decontamination import Benchmarks
from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import SYSTEM, Scope, TaskInput
from lrgen.finetune.formats import parquet
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import FIELDS, NAMES, Rows, Split, id_of, problems, table
from lrgen.records import CheckReport, Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import verdicts
from lrgen.verify.candidate import candidate_of
from lrgen.verify.verdicts import conditions_of
from tests import corpus
from tests.corpus import example, source, task, verified
from tests.paths import REPOSITORY

COUNTER = tokens.TokenCounter()
NUMBERS = (1, 6, 25, 31, 37, 41, 60, 100)


@pytest.fixture
def task_input(catalogue):
    return TaskInput(catalogue, tuple(verified(catalogue, number) for number in NUMBERS), 0)


def plan(*tasks: Any, **values: Any) -> Plan:
    return Plan(tasks or corpus.TASKS, **{"level": Level.SCHEDULE, "formats": formats.NAMES} | values)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for split in parquet.splits(folder) for row in parquet.read(folder, split)]


# Rows.


def test_a_row_of_any_example_is_valid(catalogue):
    """The row of an example has every column with its type, and the id of its texts."""
    file = verified(catalogue, 1, accuracy=0.5)
    for built in (example(), example([file]), example([file], rejected="x"), example([file], label=False)):
        row = Rows(0).of(built, Split.TRAIN, "group")
        assert tuple(row) == NAMES
        assert list(problems(row)) == []


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("completion", "other", "the id does not match"),
        ("prompt", " ", "is empty"),
        ("prompt_chars", 1, "prompt_chars or completion_chars does not match"),
        ("unit", "second", "unit must be one of batch, epoch, metric"),
        ("accuracy", "good", "accuracy must be of type float64"),
        ("seed", None, "seed must be of type int64"),
        ("evidence", "[]", "evidence is not a JSON object"),
        ("checker", "[]", "checker is not a JSON object"),
        ("checker", "[" * 100_000, "checker is not a JSON object"),
        ("difficulty", "trivial", "difficulty must be one of easy, hard, medium"),
        ("schema", 1, "schema must be 4"),
    ],
)
def test_a_damaged_row_has_a_problem_that_names_the_column(catalogue, column, value, problem):
    """Each kind of damage gives a problem that names the column."""
    row = Rows(0).of(example([verified(catalogue, 1)]), Split.TRAIN, "group") | {column: value}
    assert any(problem in reported for reported in problems(row))


def test_rows_with_different_texts_have_different_ids():
    """Each text and the label change the id; a rejected completion is not a plain one."""
    ids = {
        id_of("a", "b", "c", None, None),
        id_of("x", "b", "c", None, None),
        id_of("a", "x", "c", None, None),
        id_of("a", "b", "x", None, None),
        id_of("a", "b", "c", "d", None),
        id_of("a", "b", "c", None, True),
        id_of("a", "b", "c", None, False),
    }
    assert len(ids) == 7


def test_the_level_of_a_row_is_the_lowest_of_its_files(catalogue):
    """A row has the lowest level of its files, and the accuracy and run of the first."""
    files = [verified(catalogue, 1, level=Level.TRAINING, accuracy=0.9), verified(catalogue, 6, level=Level.CONTRACT)]
    row = Rows(0).of(example(files), Split.TRAIN, "group")
    assert (row["level"], row["accuracy"], row["result_id"]) == ("contract", 0.9, 1)


def test_the_schema_is_documented():
    """docs/dataset.md has the table of the columns."""
    assert table() in (REPOSITORY / "docs" / "dataset.md").read_text(encoding="utf-8")
    assert all(field.meaning for field in FIELDS)


# Building.


def test_a_dataset_is_complete(task_input, tmp_path):
    """A dataset has rows in every format, card, statistics and manifest; nothing else is left behind."""
    built = build(task_input, plan(), tmp_path / "out")
    files = content(tmp_path / "out")
    listed = manifest.read(tmp_path / "out")["files"]
    assert listed.keys() == files.keys() - {"manifest.json"}
    assert {name.split("/")[0] for name in files} >= {*formats.NAMES, "README.md", "croissant.json", "statistics.md"}
    rows = rows_of(tmp_path / "out")
    assert len(rows) == built.tally.total == built.counts.rows
    assert [problem for row in rows for problem in problems(row)] == []
    assert {row["task"] for row in rows} == {"write", "name", "count", "prefer", "feedback"}
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_build_is_reproducible(task_input, tmp_path):
    """Equal builds give equal bytes in any folder; another seed gives another dataset."""
    for name in ("one", "deeper/other"):
        build(task_input, plan(), tmp_path / name)
    assert content(tmp_path / "one") == content(tmp_path / "deeper" / "other")
    build(dataclasses.replace(task_input, seed=1), plan(seed=1), tmp_path / "two")
    assert content(tmp_path / "one")["parquet/train.parquet"] != content(tmp_path / "two")["parquet/train.parquet"]


def test_no_file_contains_a_local_path(task_input, tmp_path):
    """No file contains the build folder or the path of a benchmark."""
    benchmark = tmp_path / "mine" / "benchmark.jsonl"
    benchmark.parent.mkdir()
    benchmark.write_text('{"text": "one two three four five six seven eight nine"}\n')
    build(task_input, plan(benchmarks=(benchmark,)), tmp_path / "out")
    for name, data in content(tmp_path / "out").items():
        assert str(tmp_path).encode() not in data, name


def test_no_group_or_completion_is_in_two_splits(task_input, tmp_path):
    """No group, and no completion of a task with code, is in more than one split."""
    build(task_input, plan(), tmp_path / "out")
    rows = [row for row in rows_of(tmp_path / "out") if row["scope"] != "none"]
    groups: dict[str, set[str]] = {}
    answers: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        groups.setdefault(row["group"], set()).add(row["split"])
        answers.setdefault((row["task"], row["completion"]), set()).add(row["split"])
    assert {len(splits) for splits in (*groups.values(), *answers.values())} == {1}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_an_interrupted_build_continues(task_input, tmp_path):
    """Complete shards are not made again, and the result equals that of an uninterrupted build."""
    made = []
    interrupted = True

    def first(task_input):
        made.append("first")
        yield from corpus.WRITE.examples(task_input)

    def second(task_input):
        for number, named in enumerate(corpus.NAME.examples(task_input)):
            if number == 5 and interrupted:
                raise KeyboardInterrupt
            yield named

    tasks = plan(task("write", first), task("name", second))
    with pytest.raises(KeyboardInterrupt):
        build(task_input, tasks, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    interrupted = False
    build(task_input, tasks, tmp_path / "out")
    assert made == ["first"]
    build(task_input, tasks, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_other_arguments_start_a_new_build(task_input, tmp_path):
    """An interrupted build is not continued with another seed."""
    made = []

    def interrupting(task_input):
        made.append(task_input.seed)
        yield from corpus.WRITE.examples(task_input)
        raise KeyboardInterrupt

    for seed in (0, 1):
        changed = dataclasses.replace(task_input, seed=seed)
        with pytest.raises(KeyboardInterrupt):
            build(changed, plan(corpus.COUNT, task("write", interrupting), seed=seed), tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 2
    assert made == [0, 1]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_an_existing_path_is_not_overwritten(task_input, tmp_path, what):
    """An existing file or folder at the output is an error and stays as it is."""
    if what == "folder":
        (tmp_path / "out").mkdir()
    else:
        (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=rf"^{re.escape(str(tmp_path))}/out: already exists$"):
        build(task_input, plan(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_concurrent_builds_of_a_dataset_are_an_error(task_input, tmp_path):
    """A second build of the same dataset fails while the first is running."""

    def meanwhile(task_input):
        with pytest.raises(OutputError, match=r"\.partial: another build of the same dataset is running$"):
            build(task_input, whole, tmp_path / "out")
        yield from corpus.WRITE.examples(task_input)

    whole = plan(task("write", meanwhile))
    assert build(task_input, whole, tmp_path / "out").counts.rows == len(NUMBERS)


# Rows left out.


def test_duplicate_rows_are_left_out(task_input, tmp_path):
    """Rows with equal texts are written once; the others are counted."""

    def twice(task_input):
        for counted in corpus.COUNT.examples(task_input):
            yield counted
            yield dataclasses.replace(counted, key=f"{counted.key} again")

    built = build(task_input, plan(task("count", twice)), tmp_path / "out")
    assert built.counts.rows == 30
    assert built.counts.left_out == {"count: duplicate rows": 30}
    assert manifest.read(tmp_path / "out")["counts"]["left_out"] == {"count: duplicate rows": 30}


def test_duplicate_files_are_left_out(task_input, tmp_path):
    """A file with the architecture, code and trace of another one gives no rows."""
    copy = dataclasses.replace(task_input.files[0], variant=task_input.catalogue.variant(2))
    doubled = dataclasses.replace(task_input, files=(*task_input.files, copy))
    built = build(doubled, plan(corpus.WRITE), tmp_path / "out")
    assert (built.files, built.counts.left_out) == (len(NUMBERS), {"duplicate files": 1})


@pytest.mark.parametrize("reverse", [False, True])
def test_training_claims_a_completion_first(task_input, tmp_path, reverse):
    """Equal completions of several tasks stay in training, whatever the order; the others are counted by task."""
    long = "It falls.\nIt rises.\nIt stays.\n"

    def alike(task_input, name):
        for file in sorted(task_input.files, key=lambda file: file.name, reverse=reverse):
            yield example([file], task=name, completion=long, scope=Scope.SCHEDULE)

    tasks = [task(name, functools.partial(alike, name=name)) for name in ("name", "other")]
    built = build(task_input, plan(*tasks), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert {row["split"] for row in rows} == {"train"}
    assert {row["task"] for row in rows} == {"name", "other"}
    reasons = {reason for reason in built.counts.left_out if "whose completion is in training" in reason}
    places = [f"{name}: rows of {split}" for name in ("name", "other") for split in ("test", "validation")]
    assert reasons == {f"{place} whose completion is in training" for place in places}
    assert built.counts.left_out.total() + len(rows) == 2 * len(NUMBERS)
    assert built.counts.rows == len(rows)


def test_a_held_out_model_leaves_every_task_its_training_rows(catalogue, tmp_path):
    """Holding out the first or the last network by name takes no row from the training of another."""
    names = ("AlexNet", "ResNet", "VGG")
    files = tuple(verified(catalogue, number, name) for name in names for number in NUMBERS)

    def filled(task_input):
        for file in task_input.files:
            middle = corpus.source_of_schedule(file.source)
            yield example([file], task="infill", completion=middle, answer_scope=Scope.SCHEDULE)

    for held_out in names:
        chosen = plan(corpus.WRITE, corpus.NAME, task("infill", filled), holdout_architectures=(held_out,))
        built = build(TaskInput(catalogue, files, 0), chosen, tmp_path / held_out)
        rows = rows_of(tmp_path / held_out)
        trained = {text for row in rows if row["split"] == "train" for text in (row["prompt"], row["completion"])}
        for name in ("write", "name", "infill"):
            assert built.tally.rows[name, "train"] > 0
        assert built.tally.rows["write", "test_architectures"] == len(NUMBERS)
        for row in rows:
            if row["task"] == "infill" and row["split"].startswith("test"):
                assert not any(row["completion"] in text for text in trained)


def test_builds_with_other_seeds_join_without_leakage(task_input, tmp_path):
    """The seed changes wordings alone, the split seed the splits."""
    splits, prompts = [], []
    for seed, split_seed in ((0, 0), (1, 0), (0, 1)):
        place = tmp_path / f"{seed}{split_seed}"
        build(dataclasses.replace(task_input, seed=seed), plan(corpus.WRITE, seed=seed, split_seed=split_seed), place)
        rows = rows_of(place)
        splits.append({row["variant"]: row["split"] for row in rows})
        prompts.append({row["prompt"] for row in rows})
    assert prompts[0] == prompts[2] != prompts[1]
    assert splits[0] == splits[1] != splits[2]


def test_short_completions_may_be_in_several_splits(task_input, tmp_path):
    """Completions of a line or two coincide by chance and are not claimed."""

    def brief(task_input):
        for file in task_input.files:
            yield example([file], task="name", completion="It falls.\nIt rises.", scope=Scope.SCHEDULE)

    build(task_input, plan(task("name", brief)), tmp_path / "out")
    assert len({row["split"] for row in rows_of(tmp_path / "out")}) == 3


def test_completions_without_code_may_be_in_several_splits(task_input, tmp_path):
    """Rows that contain no code may share completions across splits."""
    build(task_input, plan(corpus.COUNT), tmp_path / "out")
    assert len({row["split"] for row in rows_of(tmp_path / "out")}) == 3


def test_rows_that_overlap_with_a_benchmark_are_left_out(task_input, tmp_path):
    """Rows that overlap with a benchmark are left out and counted; all others stay."""
    words = source(37).split("\n\n")[1].split()
    text = " ".join([*words, "and", "more"])
    (tmp_path / "benchmark.jsonl").write_text(json.dumps({"deep": [{"text": text}]}) + "\n")
    whole = build(task_input, plan(corpus.WRITE), tmp_path / "whole")
    built = build(task_input, plan(corpus.WRITE, benchmarks=(tmp_path / "benchmark.jsonl",)), tmp_path / "out")
    left_out = {row["variant"] for row in rows_of(tmp_path / "whole")} - {
        row["variant"] for row in rows_of(tmp_path / "out")
    }
    assert "A0_037" in left_out
    assert built.counts.left_out["write: rows that overlap with a benchmark"] == len(left_out) == 8 - built.counts.rows
    assert whole.counts.left_out == {}


@pytest.mark.parametrize(
    ("text", "overlaps"),
    [
        ("Zero ONE, two three; four five six seven eight nine ten eleven twelve thirteen!", True),
        ("one two three four five six seven eight nine ten eleven twelve", False),
        ("one two three four five six seven eight nine ten eleven twelve fourteen", False),
        ("so a b c d e f g h ends", True),
        ("def f(x):\n    # another comment\n    return (x)\n", False),
        ("def area(width, height):\n    # hidden\n    return (width * height)\n", True),
    ],
    ids=["13 words", "12 words", "the 13th differs", "a short text", "other code", "the same code"],
)
def test_a_row_overlaps_by_words_or_syntax_tree(tmp_path, text, overlaps):
    """Thirteen consecutive words, a shorter text as a whole, or an equal syntax tree overlap."""
    texts = [
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
        "a b c d e f g h",
        'def area(width, height):\n    """Of a rectangle: this width, this height."""\n    return width * height\n',
    ]
    path = tmp_path / "benchmark.jsonl"
    path.write_bytes(
        b"".join(orjson.dumps({"text": benchmark_text}, option=orjson.OPT_APPEND_NEWLINE) for benchmark_text in texts)
    )
    row = {"prompt": "", "completion": text, "rejected": None}
    assert Benchmarks([path]).overlaps(row) is overlaps
    assert Benchmarks([path]).overlaps({"prompt": text, "completion": "", "rejected": None}) is overlaps


@pytest.mark.parametrize("text", ["", "{", '{"text": "too short"}'])
def test_a_benchmark_without_text_is_an_error(tmp_path, text):
    """An empty, damaged or too short benchmark is an error, since nothing would be compared."""
    (tmp_path / "benchmark.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=r"benchmark\.jsonl(: no text has at least 8 words|, line 1: not JSON: .*)$"):
        Benchmarks([tmp_path / "benchmark.jsonl"])


@pytest.mark.parametrize("limit", [7, 15, 30, 1000])
def test_a_limit_is_divided_among_tasks_and_splits(task_input, tmp_path, limit):
    """Each task gets an equal part of the limit, and each split an equal part of a task's, as far as there are rows."""
    built = build(task_input, plan(limit=limit), tmp_path / "out")
    counts = built.tally.by_task()
    assert sum(counts.values()) <= min(limit, 8 + 8 + 30 + 8 + 16)
    for name, count in counts.items():
        assert count <= -(-limit // 5) + 3
        of_splits = [built.tally.rows[name, split] for split in ("train", "validation", "test")]
        if limit == 15:
            assert of_splits == [1, 1, 1]
    if limit == 1000:
        assert sum(counts.values()) == 70


def test_weights_divide_a_limit(task_input, tmp_path):
    """A task with twice the weight gets twice the rows of a limit; one with weight 0 gets none."""
    chosen = plan(corpus.WRITE, corpus.COUNT, corpus.FEEDBACK, limit=9, weights={"count": 2.0, "feedback": 0.0})
    built = build(task_input, chosen, tmp_path / "out")
    assert built.tally.by_task() == {"write": 3, "count": 6}


def test_weights_thin_out_tasks_without_a_limit(task_input, tmp_path):
    """Without a limit, a task keeps its weight's fraction of the largest weight."""
    many = task("count", lambda task_input: (example(task="count", key=str(n)) for n in range(400)))
    built = build(task_input, plan(corpus.WRITE, many, weights={"write": 4.0, "count": 1.0}), tmp_path / "out")
    counts = built.tally.by_task()
    assert counts["write"] == 8
    assert counts["count"] == pytest.approx(100, abs=30)
    assert built.counts.left_out["count: rows left out by weight"] == 400 - counts["count"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"write": -1.0}, r"^weight of task write: expected a number of at least 0, got -1$"),
        ({"write": float("nan")}, r"^weight of task write: expected a number of at least 0, got nan$"),
        ({"wite": 1.0}, r"^weight of task wite: it is not among the tasks write, name$"),
        ({"write": 0.0, "name": 0.0}, r"^the weights of all tasks are 0: there would be no row$"),
    ],
)
def test_weights_that_make_no_sense_are_errors(task_input, tmp_path, weights, message):
    """A wrong weight is an error before anything is written."""
    with pytest.raises(DatasetError, match=message):
        build(task_input, plan(corpus.WRITE, corpus.NAME, weights=weights), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_limited_dataset_draws_from_all_files(catalogue, tmp_path):
    """A small dataset has rows of all architectures and splits."""
    files = tuple(verified(catalogue, number, name) for name in ("AlexNet", "ResNet", "VGG") for number in NUMBERS)
    chosen = plan(corpus.WRITE, limit=12, holdout_architectures=("VGG",))
    build(TaskInput(catalogue, files, 0), chosen, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert Counter(row["split"] for row in rows) == dict.fromkeys(
        ("train", "validation", "test", "test_architectures"), 3
    )
    assert {row["architecture"] for row in rows} == {"AlexNet", "ResNet", "VGG"}


@pytest.fixture
def tokenizer(tmp_path) -> Path:
    """One that counts words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.enable_truncation(5)
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_tokens_are_counted(task_input, tokenizer, tmp_path):
    """Tokens of the system's message, the prompt and the longer completion are counted without truncation."""
    build(task_input, plan(tokenizer=tokenizer), tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        longest = max(len(row["completion"].split()), len((row["rejected"] or "").split()))
        question = len(f"{row['system']} {row['prompt']}".split())
        assert (row["prompt_tokens"], row["completion_tokens"]) == (question, longest)


def test_rows_that_are_too_long_are_written_separately(task_input, tokenizer, tmp_path):
    """Longer rows are complete in too_long.jsonl and counted; without a limit there is no such file."""
    built = build(task_input, plan(corpus.WRITE, corpus.COUNT, tokenizer=tokenizer, max_tokens=100), tmp_path / "out")
    long = [orjson.loads(line) for line in (tmp_path / "out" / TOO_LONG).read_bytes().splitlines()]
    assert (len(long), built.counts.too_long, built.counts.rows) == (8, 8, 30)
    assert all(row["completion_tokens"] > 100 and list(problems(row)) == [] for row in long)
    build(task_input, plan(corpus.WRITE, tokenizer=tokenizer), tmp_path / "unlimited")
    assert not (tmp_path / "unlimited" / TOO_LONG).exists()


def test_tokens_are_counted_by_default(task_input, tmp_path):
    """Without a tokenizer, tokens are counted with the one in the package: some characters each."""
    build(task_input, plan(corpus.WRITE), tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        assert 2 < row["completion_chars"] / row["completion_tokens"] < 8


@given(st.lists(st.text("ab \n\t_(1é", max_size=30), max_size=5))
def test_counting_by_line_counts_the_tokens_of_the_text(texts):
    """Lines are counted once, and their sum is what the tokenizer gives for the whole text."""
    from tokenizers import Tokenizer

    whole = Tokenizer.from_file(str(tokens.DEFAULT))
    assert COUNTER.count(texts) == [len(whole.encode(text, add_special_tokens=False).ids) for text in texts]


def test_a_damaged_tokenizer_is_an_error(task_input, tmp_path):
    """A file that is no tokenizer is named."""
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"/broken\.json: not a tokenizer\.json: "):
        build(task_input, plan(tokenizer=tmp_path / "broken.json"), tmp_path / "out")


def test_a_build_without_rows_is_an_error(task_input, tmp_path):
    """A build without rows is an error that leaves nothing behind."""

    def nothing(task_input):
        yield from ()

    with pytest.raises(DatasetError, match=r"^8 files and 1 tasks give no row: the tasks have no examples$"):
        build(task_input, plan(task("nothing", nothing)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_deduplicator_returns_the_first_mark(tmp_path):
    """A new key gives None, a known key the mark of its first occurrence."""
    with Deduplicator(tmp_path / "seen") as seen:
        assert [seen.record(key, mark) for key, mark in ((b"a", 0), (b"b", 1), (b"a", 2), (b"b", 1))] == [
            None,
            None,
            0,
            1,
        ]
    assert list(tmp_path.iterdir()) == []


# Card, metadata and manifest.


def test_the_card_lists_the_files_of_each_split(task_input, tmp_path):
    """The header lists the files of all splits by format, which the Hub reads; each folder has a card of its own."""
    build(task_input, plan(holdout_families=("step",)), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    header = text.split("---\n")[1]
    paths = re.findall("path: (.*)", header)
    assert set(paths) == {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("*/*.jsonl")}
    assert re.findall("- config_name: (.*)", header) == [form.NAME for form in formats.LINES]
    for name in formats.NAMES:
        folder = tmp_path / "out" / name
        listed = re.findall("path: (.*)", (folder / "README.md").read_text().split("---\n")[1])
        assert set(listed) == {path.name for path in folder.iterdir() if path.suffix in (".jsonl", ".parquet")}
    assert "license: mit\n" in header
    assert "size_categories:\n- n<1K\n" in header
    assert table() in text
    assert "Held out for testing: step." in text


def test_croissant_describes_every_file_and_column(task_input, tmp_path):
    """Each data file has its hash, each column its type, and every reference resolves."""
    build(task_input, plan(), tmp_path / "out")
    whole = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert whole["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    files = {entry["@id"]: entry for entry in whole["distribution"] if entry["@type"] == "cr:FileObject"}
    listed = manifest.read(tmp_path / "out")["files"]
    assert {name: entry["sha256"] for name, entry in files.items()} == {
        name: entry["sha256"] for name, entry in listed.items() if name.endswith((".jsonl", ".parquet"))
    }
    (records,) = whole["recordSet"]
    assert tuple(entry["source"]["extract"]["column"] for entry in records["field"]) == NAMES
    sets = {entry["@id"] for entry in whole["distribution"] if entry["@type"] == "cr:FileSet"}
    assert {entry["source"]["fileSet"]["@id"] for entry in records["field"]} == sets
    terms = {key for entry in (whole, *whole["distribution"], records, *records["field"]) for key in entry}
    assert {"recordSet", "field", "source", "includes", "key", "dataType"} <= terms & whole["@context"].keys()


def test_the_manifest_has_the_arguments(task_input, tokenizer, tmp_path):
    """The manifest has the arguments, with files by name and hash, and the counts of files."""
    build(task_input, plan(tokenizer=tokenizer, limit=10), tmp_path / "out", ineligible=3)
    facts = manifest.read(tmp_path / "out")
    assert facts["arguments"]["tokenizer"] == {"name": "tokenizer.json"} | manifest.entry(tokenizer)
    assert (facts["arguments"]["limit"], facts["arguments"]["level"]) == (10, "schedule")
    assert (facts["corpus"]["files"], facts["corpus"]["ineligible"]) == (8, 3)
    assert facts["counts"]["rows"] == sum(facts["counts"]["splits"].values()) == 10


def test_exposure_is_measured():
    """Answers and runs of tokens that stand in a training text are counted by split and task."""
    words = [f"word{number}" for number in range(120)]
    text = "\n".join(words)
    half = "\n".join(words[:70] + [f"new{number}" for number in range(50)])
    samples = {("test", "write"): [text, half], ("test", "count"): ["1\n2\n3"], ("validation", "write"): []}
    wrapped = ["before", f"x = 1\n{text}\nafter", "1 2 3"]
    of_write, of_count = exposure.measure(samples, wrapped)
    assert (of_write.split, of_write.task, of_write.answers, of_write.inside) == ("test", "write", 2, 1)
    assert (of_write.grams, of_write.known) == (71 + 50, 71)
    assert (of_count.inside, of_count.grams, of_count.known) == (0, 0, 0)
    assert "| test | write | 2 | 1 (50%) | 121 | 59% |" in exposure.table([of_write, of_count])


@given(st.lists(st.integers(0, 5), min_size=45, max_size=90), st.lists(st.integers(0, 5), max_size=90))
def test_runs_of_tokens_are_those_of_a_plain_count(answer, trained):
    """The hashes count what a comparison of all runs of tokens counts."""

    def runs(tokens):
        return {tuple(tokens[at : at + exposure.GRAM]) for at in range(len(tokens) - exposure.GRAM + 1)}

    trained = [*trained, *answer[: len(answer) // 2], *answer]
    (measured,) = exposure.measure({("test", "a"): [" ".join(map(str, answer))]}, [" ".join(map(str, trained))])
    assert (measured.grams, measured.known) == (len(runs(answer)), len(runs(answer) & runs(trained)))


# The command.


@pytest.fixture
def place(tmp_path, lrgen, catalogue, monkeypatch):
    """The current folder: rendered files, of which two passed up to the schedule, one failed, and one was never run."""
    monkeypatch.setattr(all_tasks, "TASKS", (corpus.WRITE, corpus.COUNT), raising=False)
    store = Store(f"sqlite:///{tmp_path}/db/ab.nn.db")
    for number, status in ((1, Status.PASSED), (37, Status.PASSED), (41, Status.FAILED), (60, None)):
        path = tmp_path / "generated" / "ResNet" / f"A0_{number:03d}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source(number))
        if status:
            file = verified(catalogue, number)
            candidate = candidate_of(path, file.source.encode(), file.architecture, file.variant)
            passed = status.ok
            checks = [CheckReport(stage, True, "", 0.1) for stage in (Stage.SYNTAX, Stage.POLICY, Stage.CONTRACT)]
            checks.append(CheckReport(Stage.SCHEDULE, passed, "" if passed else "too high", 0.1))
            reason = "" if passed else "too high"
            outcome = Outcome(candidate, status, Stage.SCHEDULE, reason, 0.3, checks=tuple(checks))
            store.save(outcome, conditions_of(VerifySettings(stage=Stage.SCHEDULE)), ())
    store.close()
    return tmp_path


PASSED = ("--variant", "1", "--variant", "37", "--level", "schedule")


def test_the_commands_print_tables_and_json(place, lrgen):
    """build, check and sample print their results as text and as JSON."""
    code, out, _ = lrgen("dataset", "build", "--out", "data", *PASSED)
    assert (code, out.splitlines()[0].split(":")[0]) == (0, "32 rows of 2 files written to data")
    code, out, _ = lrgen("dataset", "build", "--out", "more", *PASSED, "--task", "write", "--format", "kto", "--json")
    summary = json.loads(out)
    assert (code, summary["rows"], summary["tasks"], summary["files"]) == (0, 2, {"write": 2}, 2)
    assert [path.name for path in sorted((place / "more").iterdir()) if path.is_dir()] == ["figures", "parquet"]
    assert lrgen("dataset", "check", "data", "--sample", 0, "--db", "sqlite:///db/ab.nn.db")[0] == 0
    code, out, _ = lrgen("dataset", "sample", "data", "-n", 2, "--task", "write", "--json")
    assert {row["variant"] for row in json.loads(out)} == {"A0_001", "A0_037"}
    code, out, _ = lrgen("dataset", "sample", "data", "-n", 1, "--task", "count")
    assert code == 0
    assert "Count to" in out
    assert SYSTEM in out


def test_check_exits_with_1_and_prints_problems(place, lrgen):
    """A damaged dataset ends with 1 and a sentence for each problem."""
    lrgen("dataset", "build", "--out", "data", *PASSED)
    with (place / "data" / "messages" / "train.jsonl").open("ab") as file:
        file.write(b"{}\n")
    code, out, _ = lrgen("dataset", "check", "data")
    assert code == 1
    assert "messages/train.jsonl: its sha256 or size differs from the manifest" in out
    code, out, _ = lrgen("dataset", "check", "data", "--json")
    assert (code, len(json.loads(out)["problems"])) == (1, 2)


def test_an_ineligible_file_is_an_error_with_its_reason(place, lrgen):
    """Ineligible files end the build before it writes; --skip-ineligible counts them instead."""
    select = ("--variant", "1", "--variant", "41", "--variant", "60", "--level", "schedule")
    code, _, err = lrgen("dataset", "build", "--out", "data", *select)
    assert code == 2
    assert (
        "2 of 3 files did not pass up to schedule: generated/ResNet/A0_041.py failed in the schedule check: too high"
        in err
    )
    assert "A0_060.py was never verified" in err
    assert not (place / "data").exists()
    code, out, _ = lrgen("dataset", "build", "--out", "data", *select, "--skip-ineligible", "--json")
    assert (code, json.loads(out)["ineligible"], json.loads(out)["files"]) == (0, 2, 1)


def test_a_file_verified_by_other_checks_is_ineligible(place, lrgen, monkeypatch):
    """A run by another version of the checks makes no file eligible."""
    monkeypatch.setattr(verdicts, "check_version", lambda: "those of tomorrow")
    code, _, err = lrgen("dataset", "build", "--out", "data", *PASSED)
    assert code == 2
    assert "A0_001.py was verified by another version of the checks" in err


def test_the_default_level_is_training(place, lrgen):
    """Files verified up to the schedule are eligible only with a lower --level."""
    code, _, err = lrgen("dataset", "build", "--out", "data", "--variant", "1")
    assert code == 2
    assert "was not verified up to training" in err
    assert lrgen("dataset", "build", "--out", "data", "--variant", "1", "--level", "contract")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "writ"], "unknown task 'writ': did you mean write?"),
        (["--format", "chat"], "unknown format 'chat'"),
        (["--level", "syntax"], "unknown level 'syntax'"),
        (["--holdout-family", "cosin"], "unknown family 'cosin'"),
        (["--holdout-model", "VGG"], "held-out model VGG: no selected file belongs to it"),
        (["--max-tokens", "5"], "give no row: 32 too long"),
        (["--task-weight", "write"], "--task-weight write: expected TASK=W with a number W"),
        (["--task-weight", "wite=2"], "weight of task wite: it is not among the tasks write, count"),
        (["--task-weight", "write=0", "--task-weight", "count=0"], "the weights of all tasks are 0"),
        (["--holdout-model", "ResNet"], "no file is left for training: ResNet hold out all 2 selected files"),
        (["--tokenizer", "none.json"], "none.json"),
        (["--decontaminate", "none.jsonl"], "none.jsonl: cannot be read"),
        (["--variant", "999"], "unknown variant '999'"),
        (["--files", "elsewhere"], "is not rendered"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_an_error(place, lrgen, arguments, message):
    """A wrong argument ends with 2 and a sentence, and leaves nothing behind."""
    code, _, err = lrgen("dataset", "build", "--out", "data", *PASSED, *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert [path for path in place.iterdir() if "data" in path.name] == []


def test_no_eligible_file_is_an_error(place, lrgen):
    """With --skip-ineligible, a selection without eligible files is an error."""
    code, _, err = lrgen("dataset", "build", "--out", "data", "--variant", "41", "--skip-ineligible")
    assert code == 2
    assert "no file passed up to training" in err


def test_a_folder_that_is_not_a_dataset_is_an_error(place, lrgen):
    """check and sample name the missing manifest."""
    for command in ("check", "sample"):
        code, _, err = lrgen("dataset", command, "generated")
        assert code == 2
        assert "generated/manifest.json: cannot be read" in err


def test_datasets_can_be_disabled(place, lrgen):
    """With enable_fine_tuning = false each dataset command ends with 2."""
    lrgen("dataset", "build", "--out", "data", *PASSED)
    (place / "lrgen.toml").write_text("enable_fine_tuning = false\n")
    for command in (["build", "--out", "more", *PASSED], ["check", "data"], ["sample", "data"]):
        code, _, err = lrgen("dataset", *command)
        assert code == 2
        assert "datasets are disabled: enable_fine_tuning is false" in err
    shutil.rmtree(place / "data")
