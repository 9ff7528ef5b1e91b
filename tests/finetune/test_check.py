"""``lrgen dataset check`` detects each kind of damage, also when the hashes are updated afterwards."""

import dataclasses
import functools
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrgen.errors import DatasetError
from lrgen.finetune import formats, manifest, wording
from lrgen.finetune.build import TOO_LONG, Plan, build
from lrgen.finetune.check import Checked, check
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import Example, Grade, Scope, TaskInput
from lrgen.finetune.formats import parquet, verl
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.rows import Row, id_of
from lrgen.finetune.sample import sample
from lrgen.finetune.tasks import convert
from lrgen.finetune.tasks import trace as trace_task
from lrgen.source import diffs, sections
from tests import corpus
from tests.corpus import example, source, task, verified

AT_ONCE = 18  # changed files: the check lists 20 problems of a kind
NUMBERS = (1, 6, 12, 25, 31, 37, 41, 60, 100)


def _infill(task_input):
    for file in task_input.files:
        parts = sections.parse(file.source)
        yield example(
            [file],
            task="infill",
            prompt=f"Fill in.\n\n{wording.fenced(parts.incomplete)}",
            completion=parts.middle,
            scope=Scope.SCHEDULE,
            evidence={"infilled": file.sha256},
        )


def _edit(task_input):
    for file in task_input.files:
        before = file.source.replace("momentum", "impulse")
        yield example(
            [file],
            task="edit",
            prompt=f"Call it momentum.\n\n{wording.fenced(before)}",
            completion=diffs.unified(before, file.source),
            evidence={"applies_to": hashlib.sha256(before.encode()).hexdigest(), "patched": file.sha256},
        )


def _trace(task_input):
    (file,) = (file for file in task_input.files if file.variant.number == 1)
    prm = {"lr": 0.1, "step_fraction": 0.5, "gamma": 0.1}
    yield Example(
        "trace",
        "1",
        "What are the rates?",
        "0: 0.1\n5: 0.01\n",
        Scope.SCHEDULE,
        (file,),
        evidence={"traced": file.sha256, "horizon": 10, "prm": prm, "steps": [0, 5]},
    )


def _long(task_input):
    yield example(task="long", prompt="word " * 1000)


TASKS = (*corpus.TASKS, task("long", _long), task("infill", _infill), task("edit", _edit), task("trace", _trace))


@pytest.fixture(scope="module")
def whole(catalogue, tmp_path_factory) -> Path:
    """A dataset without a fault, with something held out, and with rows that are too long; not to be changed."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("whole")
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(place / "tokenizer.json"))
    files = tuple(verified(catalogue, number) for number in NUMBERS)
    plan = Plan(
        TASKS,
        formats.NAMES,
        Level.SCHEDULE,
        holdout_families=("constant",),
        tokenizer=place / "tokenizer.json",
        max_tokens=900,
    )
    return build(TaskInput(catalogue, files, 0), plan, place / "out").out


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "out")
    return tmp_path / "out"


def seal(folder: Path) -> None:
    """Write the manifest again, with the hashes of the files as they are."""
    facts = manifest.read(folder)
    del facts["files"]
    manifest.write(folder, facts)


def rewrite(folder: Path, change: Callable[[list[Row]], Any], sealed: bool = True) -> None:
    """Change the rows, and write every format of them again, so that each agrees with the others."""
    rows = [row for split in parquet.splits(folder) for row in parquet.read(folder, split)]
    change(rows)
    for name in formats.NAMES:
        shutil.rmtree(folder / name, ignore_errors=True)
    writers = formats.writers(formats.FORMATS, folder)
    for row in rows:
        for writer in writers:
            writer.write(row)
    for writer in writers:
        writer.close()
    if sealed:
        seal(folder)


def reworded(row: Row, **changes: Any) -> None:
    """Change texts of a row and the columns that depend on them."""
    row |= changes
    row["reference"] = row["completion"]
    row["id"] = id_of(*(row[name] for name in ("task", "prompt", "completion", "rejected", "label")))
    row["prompt_chars"] = len(row["prompt"])
    row["completion_chars"] = max(len(row["completion"]), len(row["rejected"] or ""))


def first(rows: list[Row], **values: Any) -> Row:
    return next(row for row in rows if all(row[name] == value for name, value in values.items()))


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    facts = json.loads((folder / "manifest.json").read_text())
    change(facts)
    (folder / "manifest.json").write_text(json.dumps(facts))


def look(folder: Path, catalogue: Any) -> Checked:
    """Check a dataset without executing files."""
    return check(folder, catalogue, sample=0)


def test_an_undamaged_dataset_has_no_problems(whole, catalogue):
    """A dataset as it was built passes the check."""
    checked = look(whole, catalogue)
    assert checked.problems == []
    assert len((whole / TOO_LONG).read_bytes().splitlines()) == 1
    assert checked.rows == manifest.read(whole)["counts"]["rows"] > 50


# Files.


def test_a_changed_byte_is_detected(folder, catalogue):
    """A changed byte in any file is a difference from the manifest."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    for start in range(0, len(paths), AT_ONCE):
        contents = {path: path.read_bytes() for path in paths[start : start + AT_ONCE]}
        for path, data in contents.items():
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        problems = look(folder, catalogue).problems
        for path, data in contents.items():
            assert f"{path.relative_to(folder)}: its sha256 or size differs from the manifest" in problems
            path.write_bytes(data)
    assert look(folder, catalogue).problems == []


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {}


def damage(problem: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    def keep(inflict: Callable[[Path], Any]) -> Callable[[Path], Any]:
        DAMAGE[inflict.__name__] = (inflict, problem)
        return inflict

    return keep


@damage("messages/train.jsonl: is missing")
def a_file_is_gone(folder: Path) -> None:
    (folder / "messages" / "train.jsonl").unlink()


@damage("messages/train.jsonl: is missing, but parquet has rows for it")
def a_file_is_gone_without_a_trace(folder: Path) -> None:
    (folder / "messages" / "train.jsonl").unlink()
    seal(folder)


@damage("notes.txt: is not in the manifest")
def a_file_is_added(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


@damage("README.md: is not in the manifest")
def the_card_is_gone(folder: Path) -> None:
    (folder / "README.md").unlink()
    seal(folder)


@damage("cannot be read as Parquet")
def the_rows_are_no_parquet(folder: Path) -> None:
    (folder / "parquet" / "train.parquet").write_bytes(b"PAR1 not at all")
    seal(folder)


@damage("the columns differ from schema 2")
def a_column_is_gone(folder: Path) -> None:
    from pyarrow import parquet as files

    path = folder / "parquet" / "test.parquet"
    files.write_table(files.read_table(path).drop_columns(["licence"]), path)
    seal(folder)


@damage("the counts of splits are")
def a_row_is_gone(folder: Path) -> None:
    rewrite(folder, lambda rows: rows.remove(first(rows, task="count")))


# Rows.


@damage("the id does not match the texts and the label")
def an_answer_is_changed(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="count").update(completion="9", completion_chars=1))


@damage("is a duplicate")
def a_row_is_repeated(folder: Path) -> None:
    rewrite(folder, lambda rows: rows.append(first(rows, task="count")))


@damage("its reference differs from its completion")
def a_reference_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(reference="pass\n"))


@damage("its difficulty is easy, expected hard")
def a_difficulty_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write", difficulty="hard").update(difficulty="easy"))


@damage("its ability is review, expected code")
def an_ability_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(ability="review"))


@damage("its checker differs from the curve of its schedule")
def a_published_rate_is_wrong(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row = first(rows, task="write")
        row["checker"] = row["checker"].replace('"rates": [0.1', '"rates": [0.1000001', 1)

    rewrite(folder, change)


@damage("its checker differs from the curve of its schedule")
def a_checker_is_that_of_another_schedule(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row, other = first(rows, task="write", variant="A0_006"), first(rows, task="write", variant="A0_025")
        row["checker"] = other["checker"]

    rewrite(folder, change)


@damage("its checker differs from the curve of its schedule")
def a_checker_asks_for_another_network(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row = first(rows, task="write")
        row["checker"] = row["checker"].replace('"ResNet"', '"VGG"', 1)

    rewrite(folder, change)


@damage("its checker differs from the curve of its schedule")
def a_checker_has_no_rates(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(checker='{"cases": [{"steps": []}]}'))


@damage("licence must be one of MIT")
def the_licence_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: rows[0].update(licence="GPL-3.0"))


@damage("its split is train, but it is in the file of validation")
def the_files_of_two_splits_are_swapped(folder: Path) -> None:
    (folder / "parquet" / "train.parquet").rename(folder / "parquet" / "validation.parquet")
    seal(folder)


@damage("is in two splits")
def a_group_is_torn_apart(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write", split="train").update(split="test"))


@damage("its completion is in training and in tests")
def a_test_is_learnt_from(folder: Path) -> None:
    def copy(rows: list[Row]) -> None:
        tested = first(rows, task="name", split="test")
        reworded(first(rows, task="name", split="train"), completion=tested["completion"])

    rewrite(folder, copy)


@damage("the family constant is held out")
def what_is_held_out_is_learnt_from(folder: Path) -> None:
    rewrite(folder, lambda rows: [row.update(split="train") for row in rows if row["family"] == "constant"])


@damage("has two names")
def a_file_has_two_names(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(variant="A0_099"))


@damage("names no verified file")
def a_row_names_no_file(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(level="", source_sha256=""))


@damage("its file was verified up to contract, but the build required schedule")
def a_level_is_lower(folder: Path) -> None:
    rewrite(folder, lambda rows: rows[0].update(level="contract"))


@damage("its seed is 7, but that of the build is 0")
def a_seed_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: rows[0].update(seed=7))


@damage("has more than 900 tokens")
def a_row_is_too_long(folder: Path) -> None:
    rewrite(folder, lambda rows: rows[0].update(completion_tokens=901))


@damage(f"{TOO_LONG}: is missing")
def the_long_rows_are_gone(folder: Path) -> None:
    (folder / TOO_LONG).unlink()
    seal(folder)


@damage(f"{TOO_LONG}, line 1: is not too long")
def a_short_row_is_put_aside(folder: Path) -> None:
    row = next(parquet.read(folder, "train"))
    (folder / TOO_LONG).write_bytes(encoded(row))
    seal(folder)


@damage(f"{TOO_LONG}, line 1: its data_source is lrgen/short, expected lrgen/long")
def a_long_row_is_of_another_source(folder: Path) -> None:
    row = json.loads((folder / TOO_LONG).read_bytes())
    (folder / TOO_LONG).write_bytes(encoded(row | {"data_source": "lrgen/short"}))
    seal(folder)


# Formats.


@damage("messages/train.jsonl, line 1: differs from the row in parquet")
def a_line_is_changed(folder: Path) -> None:
    path = folder / "messages" / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"role":"user"', b'"role":"User"', 1))
    seal(folder)


@damage("kto/train.jsonl, line")
def a_line_is_gone(folder: Path) -> None:
    path = folder / "kto" / "train.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    seal(folder)


@damage("openrlhf/train.jsonl, line 1: differs from the row in parquet")
def a_label_is_changed(folder: Path) -> None:
    path = folder / "openrlhf" / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"A0_0", b"A0_1", 1))
    seal(folder)


@damage("lm_eval/lrgen_utils.py: differs from the file that the build writes")
def the_scoring_of_lm_eval_is_another(folder: Path) -> None:
    path = folder / "lm_eval" / "lrgen_utils.py"
    path.write_text(path.read_text().replace("verdict.reward for", "1.0 for"))
    seal(folder)


@damage("lm_eval/lrgen_write.yaml: is missing")
def a_task_of_lm_eval_is_gone(folder: Path) -> None:
    (folder / "lm_eval" / "lrgen_write.yaml").unlink()
    seal(folder)


@damage("verl/train.parquet, row 1: differs from the row in parquet")
def a_ground_truth_is_changed(folder: Path) -> None:
    from pyarrow import Table
    from pyarrow import parquet as files

    path = folder / "verl" / "train.parquet"
    records = files.read_table(path).to_pylist()
    records[0]["reward_model"]["ground_truth"] = "{}"
    files.write_table(Table.from_pylist(records, schema=verl.schema()), path)
    seal(folder)


@damage("verl/train.parquet: its columns differ from those of the format")
def a_column_of_verl_is_gone(folder: Path) -> None:
    from pyarrow import parquet as files

    path = folder / "verl" / "train.parquet"
    files.write_table(files.read_table(path).drop_columns(["ability"]), path)
    seal(folder)


@damage("verl/test.parquet: is missing, but parquet has rows for it")
def a_file_of_verl_is_gone(folder: Path) -> None:
    (folder / "verl" / "test.parquet").unlink()
    seal(folder)


# Completions.


@damage("its completion does not match its evidence: it does not make the file")
def a_file_is_not_the_one_that_was_verified(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="write"), completion=source(2)))


@damage("it does not make the file")
def a_gap_is_filled_with_something_else(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="infill"), completion="pass\n"))


@damage("does not match the diff")
def a_diff_does_not_apply(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row = first(rows, task="edit")
        reworded(row, prompt=row["prompt"].replace("impulse", "impetus"))

    rewrite(folder, change)


@damage("the learning rate at step 5 must be 0.01, got 0.02")
def a_rate_is_wrong(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="trace"), completion="0: 0.1\n5: 0.02\n"))


@damage("expected the steps [0, 5], got [0]")
def a_rate_is_missing(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="trace"), completion="0: 0.1\n"))


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_damage_is_detected(folder, catalogue, name):
    """Each kind of damage is reported by its own problem."""
    inflict, problem = DAMAGE[name]
    inflict(folder)
    assert any(problem in reported for reported in look(folder, catalogue).problems), look(folder, catalogue).problems


def test_another_schema_is_refused(folder, catalogue):
    """A dataset whose rows have another schema is refused with the command that helps."""
    edit_manifest(folder, lambda facts: facts.update(schema=1))
    with pytest.raises(
        DatasetError, match=r"rows have schema 1, but .* schema 2: build it again with lrgen dataset build$"
    ):
        look(folder, catalogue)
    with pytest.raises(DatasetError, match="rows have schema 1"):
        sample(folder, 1)


def test_many_problems_of_one_kind_are_counted(folder, catalogue):
    """After the first problems of a kind the others are counted."""
    rewrite(folder, lambda rows: [row.update(seed=7) for row in rows])
    problems = look(folder, catalogue).problems
    rows = manifest.read(folder)["counts"]["rows"]
    assert len(problems) < rows
    listed = sum("its seed is 7" in problem for problem in problems)
    others = sum(int(problem.split()[2]) for problem in problems if problem.startswith("… and "))
    assert listed + others == rows


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"files": {}}'])
def test_a_folder_without_a_manifest_is_an_error(tmp_path, catalogue, text):
    """A missing or damaged manifest is an error that names it."""
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(
        DatasetError,
        match=r"/manifest\.json: (.*: not an lrgen dataset|not JSON: .*)$",
    ):
        look(tmp_path, catalogue)


# Execution.


@pytest.fixture
def executable(catalogue, tmp_path) -> Callable[[str], Path]:
    """Makes a dataset of one file whose rows claim that it passes and that another version of it fails."""

    def make(rejected: str) -> Path:
        def labelled(task_input):
            (file,) = task_input.files
            yield from corpus.WRITE.examples(task_input)
            yield example([file], task="feedback", completion=rejected, label=False, evidence={"failed": "schedule"})
            yield example([file], task="prefer", prompt="Better?", rejected=rejected, evidence={"failed": "schedule"})

        plan = Plan((task("feedback", labelled),), level=Level.SCHEDULE)
        return build(TaskInput(catalogue, (verified(catalogue, 1),), 0), plan, tmp_path / "out").out

    return make


def test_completions_are_executed(executable, catalogue):
    """The verified file passes, and the rejected one fails, as their rows claim."""
    broken = source(1).replace('prm.get("gamma", 0.1)', "0.2")
    assert broken != source(1)
    checked = check(executable(broken), catalogue)
    assert (checked.problems, checked.executed) == ([], 2)


def test_a_file_with_another_schedule_is_detected(executable, catalogue):
    """A completion with another schedule is detected although all hashes match."""
    folder = executable("pass\n")
    wrong = source(1).replace('prm.get("gamma", 0.1)', 'prm.get("gamma", 0.2)')

    def change(rows: list[Row]) -> None:
        evidence = json.dumps({"equals": hashlib.sha256(wrong.encode()).hexdigest()})
        reworded(first(rows, task="write"), completion=wrong, evidence=evidence)

    rewrite(folder, change)
    problems = check(folder, catalogue).problems
    assert any("after execution, the file failed in schedule" in problem for problem in problems)


def test_a_rejected_completion_that_passes_is_detected(executable, catalogue):
    """A rejected completion that differs only in a comment is a problem."""
    problems = check(executable(source(1) + "# the same\n"), catalogue).problems
    assert any("after execution, the file passes, but its row claims that it fails" in problem for problem in problems)


# The database.


def test_missing_runs_are_detected(executable, catalogue, tmp_path):
    """A row whose run is not in the database is a problem."""
    from lrgen.store import Store

    folder = executable("pass\n")
    store = Store(f"sqlite:///{tmp_path}/empty.db")
    store.prepare()
    problems = check(folder, catalogue, sample=0, store=store).problems
    store.close()
    assert len(problems) == 1
    assert "the run 1 of the file" in problems[0]


def test_a_converted_schedule_is_executed(catalogue, tmp_path):
    """A standalone schedule is executed within its file; a wrong one is detected."""
    files = [verified(catalogue, number) for number in (6, 23)]
    for name, wrong in (("right", False), ("wrong", True)):

        def damaged(task_input, wrong=wrong):
            for conversion in convert.examples(task_input):
                if "schedule_of" in conversion.evidence:
                    completion = conversion.completion.replace("math.pi", "3.0").replace("T_max=total_steps", "T_max=1")
                    yield dataclasses.replace(conversion, completion=completion if wrong else conversion.completion)

        plan = Plan(tasks=(task("convert", damaged),), level=Level.SCHEDULE)
        build(TaskInput(catalogue, files, 0), plan, tmp_path / name)
        checked = check(tmp_path / name, catalogue)
        assert checked.executed >= 1
        assert bool(checked.problems) == wrong
        assert all(re.search(r"the learning rate at step .+, expected ", problem) for problem in checked.problems)


def test_traces_are_executed(catalogue, tmp_path, monkeypatch):
    """The code of a trace's prompt is executed again, independently of the curve."""
    (file,) = files = [verified(catalogue, 1)]
    evidence = {"traced": file.sha256, "horizon": 10, "prm": {"lr": 0.1, "gamma": 0.5}, "steps": [0, 5]}

    def tracing(task_input, completion):
        prompt = f"What are the rates?\n\n{wording.fenced(sections.parse(file.source).standalone)}"
        yield Example("trace", "1", prompt, completion, Scope.SCHEDULE, (file,), evidence=evidence)

    monkeypatch.setattr(trace_task, "grade", lambda *_: Grade.correct())
    for name, last, expected in (("right", "0.05", []), ("wrong", "0.1", ["step 5 must be 0.05, got 0.1"])):
        completion = f"0: 0.1\n5: {last}\n"
        plan = Plan((task("trace", functools.partial(tracing, completion=completion)),), level=Level.SCHEDULE)
        build(TaskInput(catalogue, files, 0), plan, tmp_path / name)
        checked = check(tmp_path / name, catalogue)
        assert checked.traced == 1
        assert len(checked.problems) == len(expected)
        assert all(part in problem for part, problem in zip(expected, checked.problems, strict=True))


def test_code_that_is_not_rendered_is_not_executed(catalogue, tmp_path):
    """A trace whose code is not the rendered file is a problem and is not executed."""
    (file,) = files = [verified(catalogue, 1)]
    evidence = {"traced": file.sha256, "horizon": 10, "prm": {"lr": 0.1, "gamma": 0.5}, "steps": [0, 5]}

    def changed(task_input):
        code = sections.parse(file.source).standalone.replace("gamma=", "gamma=0.5 * ")
        yield Example(
            "trace", "1", wording.fenced(code), "0: 0.1\n5: 0.05\n", Scope.SCHEDULE, (file,), evidence=evidence
        )

    build(TaskInput(catalogue, files, 0), Plan((task("trace", changed),), level=Level.SCHEDULE), tmp_path / "out")
    (problem,) = check(tmp_path / "out", catalogue).problems
    assert "is not the rendered A0_001, and was not executed" in problem
