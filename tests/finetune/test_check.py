"""``lrgen dataset check`` builds a dataset again and detects each difference, also when the hashes are signed anew."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrgen.errors import DatasetError
from lrgen.finetune import formats, inputs, manifest, mutants, observations, wording
from lrgen.finetune.build import TOO_LONG, build
from lrgen.finetune.check import Checked, check
from lrgen.finetune.corpus import Level
from lrgen.finetune.differences import between
from lrgen.finetune.example import Scope, TaskInput
from lrgen.finetune.formats import parquet, verl
from lrgen.finetune.formats.lines import encoded
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import Row, id_of
from lrgen.finetune.sample import sample
from lrgen.records import Outcome, Stage, Status
from lrgen.source import diffs, sections
from lrgen.store import Store
from lrgen.verify import run as verify
from tests import corpus
from tests.corpus import example, task, verified

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


def _long(task_input):
    yield example(task="long", prompt="word " * 1000)


TASKS = (*corpus.TASKS, task("long", _long), task("infill", _infill), task("edit", _edit))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    """One that counts words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    words.save(str(path))
    return path


@pytest.fixture(scope="module")
def whole(catalogue, tokenizer, tmp_path_factory) -> Path:
    """A dataset without a fault, with something held out, and with rows that are too long; not to be changed."""
    files = tuple(verified(catalogue, number) for number in NUMBERS)
    plan = Plan(
        TASKS,
        formats.NAMES,
        Level.SCHEDULE,
        holdout_families=("constant",),
        tokenizer=tokenizer,
        max_tokens=900,
    )
    return build(TaskInput(catalogue, files, 0), plan, tmp_path_factory.mktemp("whole") / "out").out


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "out")
    return tmp_path / "out"


def seal(folder: Path) -> None:
    """Write the manifest again, with the hashes of the files as they are."""
    facts = manifest.read(folder)
    del facts["files"]
    manifest.write(folder, facts)


def rewrite(folder: Path, change: Callable[[list[Row]], Any]) -> None:
    """Change the rows, write every format of them again, so that each agrees with the others, and seal the folder."""
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


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def look(folder: Path, catalogue: Any, tokenizer: Path | None, **options: Any) -> Checked:
    """Check a dataset without executing files."""
    return check(folder, catalogue, tasks=TASKS, tokenizer=tokenizer, **{"sample": 0} | options)


def test_an_undamaged_dataset_has_no_problems(whole, catalogue, tokenizer):
    """A dataset as it was built passes the check."""
    checked = look(whole, catalogue, tokenizer)
    assert checked.problems == []
    assert len((whole / TOO_LONG).read_bytes().splitlines()) == 1
    assert checked.rows == manifest.read(whole)["counts"]["rows"] > 50


def test_a_changed_byte_of_any_file_is_detected(folder, catalogue, tokenizer):
    """A changed byte in any file differs from the manifest, and from the file that the build writes."""
    paths = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name not in (manifest.NAME, inputs.FILES)
    )
    for path in paths:
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    checked = Checked(problems=look(folder, catalogue, tokenizer).problems)
    named = "\n".join(checked.problems)
    assert f"{min(path.relative_to(folder).as_posix() for path in paths)}: its sha256 or size differs" in named
    listed = sum("its sha256 or size differs" in problem for problem in checked.problems)
    others = next(problem for problem in checked.problems if problem.startswith("… and "))
    assert listed + int(others.split()[2]) == len(paths)


# Damage with the hashes signed anew: what differs, and how it is reported.

DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {}


def damage(problem: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    def keep(inflict: Callable[[Path], Any]) -> Callable[[Path], Any]:
        DAMAGE[inflict.__name__] = (inflict, problem)
        return inflict

    return keep


@damage("prompt is 'Please")
def an_instruction_is_that_of_another_row(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        left, right = (first(rows, task="write", variant=key) for key in ("A0_006", "A0_025"))
        for row, prompt in ((left, right["prompt"]), (right, left["prompt"])):
            reworded(row, prompt=prompt.replace("Write", "Please").replace("I need", "Please"))

    rewrite(folder, change)


@damage("source_sha256 is")
def answers_are_swapped_with_their_evidence(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        left, right = (first(rows, task="write", variant=key) for key in ("A0_006", "A0_025"))
        names = ("completion", "evidence", "checker", "source_sha256")
        given = [{name: row[name] for name in names} for row in (left, right)]
        reworded(left, **given[1])
        reworded(right, **given[0])

    rewrite(folder, change)


@damage("completion is")
def a_horizon_is_doubled(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row = first(rows, task="infill", variant="A0_037")
        reworded(row, completion=row["completion"].replace("total_steps", "2 * total_steps"))

    rewrite(folder, change)


@damage("completion is '9'")
def an_answer_is_wrong(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="count"), completion="9"))


@damage('rejected is \'print("hello")')
def a_rejected_answer_is_of_another_kind(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="prefer"), rejected='print("hello")\n'))


@damage("accuracy is 0.999, but the build makes None")
def an_accuracy_is_made_up(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(accuracy=0.999))


@damage("level is 'training', but the build makes 'schedule'")
def a_level_is_raised(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(level="training"))


@damage("README.md: differs from the one that the build writes, from line")
def the_card_counts_more_rows(folder: Path) -> None:
    rows = manifest.read(folder)["counts"]["rows"]
    replace_in(folder / "README.md", f"{rows} rows", "9,000 rows")
    seal(folder)


@damage("manifest.json: counts is")
def the_manifest_counts_more_rows(folder: Path) -> None:
    edit_manifest(folder, lambda facts: facts["counts"].update(rows=9000))


@damage("manifest.json: held_out is")
def the_manifest_holds_nothing_out(folder: Path) -> None:
    edit_manifest(folder, lambda facts: facts["held_out"].update(families=[]))


@damage("test: has more rows than the build makes")
def a_row_moves_to_the_tests(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, split="train").update(split="test"))


@damage("group is")
def a_group_is_renamed(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(group="ResNet/other"))


@damage("reference is 'pass")
def a_reference_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(reference="pass\n"))


@damage("system is 'You are a pirate.'")
def a_system_message_is_another(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(system="You are a pirate."))


@damage("difficulty is 'easy', but the build makes 'hard'")
def a_difficulty_is_lowered(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write", difficulty="hard").update(difficulty="easy"))


@damage("checker is")
def a_published_rate_is_wrong(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        row = first(rows, task="write")
        row["checker"] = row["checker"].replace('"rates": [0.1', '"rates": [0.1000001', 1)

    rewrite(folder, change)


@damage("label is True, but the build makes False")
def a_label_is_flipped(folder: Path) -> None:
    rewrite(folder, lambda rows: reworded(first(rows, task="feedback", label=False), label=True))


@damage("evidence is")
def evidence_names_another_file(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(evidence='{"equals": "0"}'))


@damage("prompt_tokens is 1, but the build makes")
def a_number_of_tokens_is_wrong(folder: Path) -> None:
    rewrite(folder, lambda rows: first(rows, task="write").update(prompt_tokens=1))


@damage("has fewer rows than the build makes")
def a_row_is_gone(folder: Path) -> None:
    rewrite(folder, lambda rows: rows.remove([row for row in rows if row["split"] == "train"][-1]))


@damage("has more rows than the build makes")
def a_row_is_repeated(folder: Path) -> None:
    rewrite(folder, lambda rows: rows.append([row for row in rows if row["split"] == "test_families"][-1]))


@damage("train, row")
def two_rows_change_places(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        left, right = (rows.index(row) for row in [row for row in rows if row["split"] == "train"][:2])
        rows[left], rows[right] = rows[right], rows[left]

    rewrite(folder, change)


@damage("too_long.jsonl: differs from the one that the build writes")
def a_short_row_is_put_aside(folder: Path) -> None:
    (folder / TOO_LONG).write_bytes(encoded(next(parquet.read(folder, "train"))))
    seal(folder)


@damage("too_long.jsonl: is missing")
def the_long_rows_are_gone(folder: Path) -> None:
    (folder / TOO_LONG).unlink()
    seal(folder)


@damage("messages/train.jsonl: differs from the one that the build writes, from line 1 on")
def a_line_of_a_format_is_changed(folder: Path) -> None:
    replace_in(folder / "messages" / "train.jsonl", '"role":"user"', '"role":"User"')
    seal(folder)


@damage("kto/train.jsonl: is missing")
def a_file_of_a_format_is_gone(folder: Path) -> None:
    (folder / "kto" / "train.jsonl").unlink()
    seal(folder)


@damage("lm_eval/lrgen_utils.py: differs from the one that the build writes")
def the_scoring_of_lm_eval_is_another(folder: Path) -> None:
    replace_in(folder / "lm_eval" / "lrgen_utils.py", "verdict.reward for", "1.0 for")
    seal(folder)


@damage("verl/train.parquet: differs from the one that the build writes")
def a_ground_truth_is_changed(folder: Path) -> None:
    from pyarrow import Table
    from pyarrow import parquet as files

    path = folder / "verl" / "train.parquet"
    records = files.read_table(path).to_pylist()
    records[0]["reward_model"]["ground_truth"] = "{}"
    files.write_table(Table.from_pylist(records, schema=verl.schema()), path)
    seal(folder)


@damage("statistics.md: differs from the one that the build writes")
def the_statistics_are_changed(folder: Path) -> None:
    replace_in(folder / "statistics.md", "| write |", "| wrote |")
    seal(folder)


@damage("croissant.json: differs from the one that the build writes")
def the_metadata_are_changed(folder: Path) -> None:
    replace_in(folder / "croissant.json", "MIT", "ISC")
    seal(folder)


@damage("cannot be read as Parquet")
def the_rows_are_no_parquet(folder: Path) -> None:
    (folder / "parquet" / "train.parquet").write_bytes(b"PAR1 not at all")
    seal(folder)


@damage("licence is None, but the build makes 'MIT'")
def a_column_is_gone(folder: Path) -> None:
    from pyarrow import parquet as files

    path = folder / "parquet" / "test.parquet"
    files.write_table(files.read_table(path).drop_columns(["licence"]), path)
    seal(folder)


@damage("parquet/train.parquet: its bytes differ from those that the build writes")
def the_rows_are_compressed_in_another_way(folder: Path) -> None:
    from pyarrow import parquet as files

    path = folder / "parquet" / "train.parquet"
    files.write_table(files.read_table(path), path, compression="gzip")
    seal(folder)


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_damage_is_detected(folder, whole, name):
    """Each kind of damage has its own sentence, which names the file or the row and its column."""
    inflict, problem = DAMAGE[name]
    inflict(folder)
    problems = list(between(folder, whole))
    assert any(problem in reported for reported in problems), problems


def test_signed_damage_fails_the_check(folder, catalogue, tokenizer):
    """Hashes signed anew do not help: the rows are made again, without the ones in the folder."""
    an_answer_is_wrong(folder)
    problems = look(folder, catalogue, tokenizer).problems
    assert any("completion is '9', but the build makes" in problem for problem in problems)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"accuracy":null', '"accuracy":0.999', "accuracy is None, but the build makes 0.999"),
        ('"level":"schedule"', '"level":"training"', "level is 'schedule', but the build makes 'training'"),
        ('"variant":"A0_001"', '"variant":"A0_002"', "ResNet/A0_002 is not the file that the catalogue renders"),
        ('"architecture":"ResNet"', '"architecture":"Nothing"', "unknown"),
    ],
)
def test_the_list_of_files_decides_the_rows(folder, catalogue, tokenizer, old, new, problem):
    """A changed list of files gives other rows, or cannot be rendered."""
    replace_in(folder / inputs.FILES, old, new)
    seal(folder)
    problems = look(folder, catalogue, tokenizer).problems
    assert any(problem in reported for reported in problems), problems


def test_many_problems_of_one_kind_are_counted(folder, whole):
    """After the first problems of a kind the others are counted."""
    rewrite(folder, lambda rows: [row.update(seed=7) for row in rows])
    checked = Checked()
    checked.add(between(folder, whole))
    assert len(checked.problems) == 21
    others = int(checked.problems[-1].split()[2])
    assert others + 20 >= manifest.read(folder)["counts"]["rows"]


# What cannot be checked.


def test_another_schema_is_refused(folder, catalogue, tokenizer):
    """A dataset whose rows have another schema is refused with the command that helps."""
    edit_manifest(folder, lambda facts: facts.update(schema=1))
    with pytest.raises(
        DatasetError, match=r"rows have schema 1, but .* schema 4: build it again with lrgen dataset build$"
    ):
        look(folder, catalogue, tokenizer)
    with pytest.raises(DatasetError, match="rows have schema 1"):
        sample(folder, 1)


@pytest.mark.parametrize(("name", "shown"), [("lrgen", "version of lrgen"), ("code", "code or catalogue")])
def test_a_dataset_of_other_code_is_refused(folder, catalogue, tokenizer, name, shown):
    """Rows of other code cannot be made again, and nothing is claimed about them."""
    edit_manifest(folder, lambda facts: facts.update({name: "another"}))
    with pytest.raises(DatasetError, match=rf"with another {shown}, so its rows cannot be made again"):
        look(folder, catalogue, tokenizer)


def test_the_files_of_the_build_are_needed(folder, catalogue):
    """Without the tokenizer of the build, the rows cannot be counted as it did."""
    with pytest.raises(DatasetError, match=r"was built with tokenizer\.json: pass --tokenizer tokenizer\.json$"):
        look(folder, catalogue, None)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"files": {}}'])
def test_a_folder_without_a_manifest_is_an_error(tmp_path, catalogue, text):
    """A missing or damaged manifest is an error that names it."""
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(
        DatasetError,
        match=r"/manifest\.json: (.*: not an lrgen dataset|not JSON: .*)$",
    ):
        look(tmp_path, catalogue, None)


# Execution and the database.


@pytest.fixture
def small(catalogue, tmp_path) -> Path:
    """A dataset of one file."""
    files = (verified(catalogue, 1),)
    return build(TaskInput(catalogue, files, 0), Plan((corpus.WRITE,), level=Level.SCHEDULE), tmp_path / "out").out


def test_the_files_of_the_corpus_are_executed(small, catalogue):
    """The file of an undamaged dataset is executed and passes."""
    checked = look(small, catalogue, None, sample=None)
    assert (checked.problems, checked.executed) == ([], 1)


def test_a_file_that_fails_is_a_problem(small, catalogue, monkeypatch):
    """A file that does not pass up to the schedule is named with the reason."""

    def failing(candidates, *arguments, **options):
        return [Outcome(each, Status.FAILED, Stage.SCHEDULE, "too high", 0.1) for each in candidates]

    monkeypatch.setattr(verify, "verify", failing)
    assert look(small, catalogue, None, sample=1).problems == ["ResNet/A0_001.py: failed in schedule: too high"]


def test_missing_runs_are_detected(small, catalogue, tmp_path):
    """A file whose run is not in the database is a problem."""
    store = Store(f"sqlite:///{tmp_path}/empty.db")
    store.prepare()
    problems = look(small, catalogue, None, store=store).problems
    store.close()
    assert problems == ["ResNet/A0_001: the run 1 is not in the database or did not pass"]


def test_a_build_reads_back_its_inputs(catalogue, tmp_path):
    """The list of files and runs gives the files and the runs of the build."""
    files = [verified(catalogue, number, accuracy=0.5) for number in NUMBERS[:3]]
    run = {"training": "full", "source_sha256": files[0].sha256, "accuracy": 0.5}
    other = {"training": "full", "source_sha256": "another", "accuracy": 0.5}
    inputs.write(tmp_path, files, lambda network: [run, other] if network == "ResNet" else [])
    read = inputs.files_of(tmp_path, catalogue)
    assert [dataclasses.replace(file, path=Path()) for file in read] == [
        dataclasses.replace(file, path=Path()) for file in files
    ]
    assert list(inputs.accuracies_of(tmp_path)("ResNet")) == [{"architecture": "ResNet"} | run]
    assert list(inputs.accuracies_of(tmp_path)("VGG")) == []


# Mutants.


@pytest.fixture
def executed(monkeypatch) -> list[str]:
    """The mutants that were executed; each fails in the schedule check."""
    texts: list[str] = []

    def outcomes_of(chosen, known, workers):
        texts.extend(mutant.text for mutant in chosen)
        return [Outcome(mutants.candidate(mutant), Status.FAILED, Stage.SCHEDULE, "too high", 0.1) for mutant in chosen]

    monkeypatch.setattr(mutants, "outcomes_of", outcomes_of)
    return texts


def _mutants(task_input, context):
    for failure in mutants.failures("judge", task_input, context):
        file, text = failure.mutant.file, failure.mutant.text
        yield example([file], key=text, task="judge", prompt=f"Judge.\n{text}", completion=failure.reason)


MUTANTS = SimpleNamespace(NAME="judge", SUMMARY="Mutants.", examples=_mutants, NEEDS_CONTEXT=True)


def test_a_sample_of_the_mutants_is_executed_again(catalogue, tmp_path, executed):
    """All mutants are executed again, or a sample; a false observation of an executed mutant is a difference."""
    files = tuple(verified(catalogue, number) for number in (1, 37))
    plan = Plan((MUTANTS,), level=Level.SCHEDULE)
    folder = build(
        TaskInput(catalogue, files, 0), plan, tmp_path / "out", context=mutants.RunContext(tmp_path / "cache")
    ).out
    made = len(executed)
    assert made == len(observations.read(folder)) > 1
    for count, expected in ((0, 0), (1, 1), (None, made)):
        executed.clear()
        checked = check(folder, catalogue, tasks=[MUTANTS], sample=count)
        assert len(executed) == expected
        assert not [problem for problem in checked.problems if "differs" in problem or "row" in problem]
    false = observations.read(folder)
    key = next(iter(false))
    observations.write(folder / observations.FILE, false | {key: ["passed", "schedule", ""]})
    seal(folder)
    checked = check(folder, catalogue, tasks=[MUTANTS])
    assert any("mutants.jsonl: differs" in problem for problem in checked.problems)


def test_damaged_observations_are_an_error(tmp_path):
    """A file that holds no observations is named; without a file there are none."""
    assert observations.read(tmp_path) == {}
    (tmp_path / observations.FILE).write_text('{"answer": 1}\n')
    with pytest.raises(DatasetError, match=r"mutants\.jsonl: not the observations of mutants: KeyError"):
        observations.read(tmp_path)
