"""Formats: the rows that each accepts, its lines, and that readers load them."""

import json
import re
from collections import Counter

import orjson
import pytest

from lrgen.errors import UnknownNameError
from lrgen.finetune import formats
from lrgen.finetune.example import Scope
from lrgen.finetune.formats import (
    dpo,
    dpo_messages,
    kto,
    kto_messages,
    lm_eval,
    messages,
    nngpt,
    openrlhf,
    parquet,
    prompt_completion,
    scored,
    verl,
)
from lrgen.finetune.formats.lines import LinesWriter
from lrgen.finetune.rows import FIELDS, NAMES, Rows, Split
from lrgen.source.normalise import definitions_digest
from tests.corpus import example, source, verified

every_format = pytest.mark.parametrize("form", formats.LINES, ids=lambda form: form.NAME)
SCORED = (openrlhf, lm_eval)  # their lines hold the row as text


@pytest.fixture(scope="module")
def rows(catalogue):
    """Rows with and without a file, an accuracy, a rejected completion and a label, in two splits."""
    file, measured = verified(catalogue, 1), verified(catalogue, 37, accuracy=0.75)
    examples = [
        example(task="count"),
        example([file]),
        example([file], task="infill", completion="def make_scheduler():\n    pass\n", scope=Scope.SCHEDULE),
        example([file], task="edit", completion="--- a/model.py\n+++ b/model.py\n@@ -1 +1 @@\n-a\n+b\n"),
        example([file], task="prefer", rejected="pass\n"),
        example([file], task="feedback", label=False),
        example([measured]),
        example([measured], task="prefer", rejected="pass\n"),
        example([measured], task="feedback", label=True),
    ]
    maker = Rows(seed=0)
    made = [maker.of(built, Split.TRAIN, "a") for built in examples]
    return [*made, *(maker.of(built, Split.VALIDATION, "b") for built in examples)]


def written(form, rows, folder):
    writer = LinesWriter(form, folder)
    for row in rows:
        writer.write(row)
    writer.close()
    return {path.name: path for path in sorted(folder.iterdir())} if folder.exists() else {}


@every_format
def test_each_accepted_row_is_a_line_of_its_split(form, rows, tmp_path):
    """The lines of a split are the accepted rows, in order."""
    files = written(form, rows, tmp_path / "out")
    for split in (Split.TRAIN, Split.VALIDATION) if form is not lm_eval else (Split.VALIDATION,):
        lines = files[form.file_of(split)].read_bytes().splitlines()
        expected = [row["id"] for row in rows if row["split"] == split and form.takes(row)]
        assert [orjson.loads(line)["id"] for line in lines] == expected
        assert expected


def test_each_row_is_for_one_kind_of_trainer(rows):
    """Preference pairs are for DPO, labelled rows for KTO, all others for SFT."""
    for row in rows:
        assert sum(form.takes(row) for form in (messages, dpo, kto)) == 1
        assert messages.takes(row) == prompt_completion.takes(row) == nngpt.takes(row)
    assert [row["task"] for row in rows if dpo.takes(row)] == ["prefer"] * 4
    assert [row["task"] for row in rows if kto.takes(row)] == ["feedback"] * 4


@every_format
def test_all_lines_have_the_same_columns_and_types(form, rows):
    """All lines of a format have the same keys and types, and no value is null."""

    def shape(value):
        if isinstance(value, dict):
            return {name: shape(inner) for name, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value)

    shapes = [shape(form.line(row)) for row in rows if form.takes(row)]
    assert all(shape_of_line == shapes[0] for shape_of_line in shapes)
    assert type(None) not in shapes[0].values()


@every_format
def test_pyarrow_reads_a_file_of_many_blocks(form, rows, tmp_path):
    """pyarrow reads each format block by block, as datasets does, although later rows differ."""
    import pyarrow.json

    split = Split.VALIDATION if form is lm_eval else Split.TRAIN
    taken = [row for row in rows if form.takes(row) and row["split"] == split]
    path = written(form, [taken[0]] * 300 + taken[1:], tmp_path / "out")[form.file_of(split)]
    block = 1 << 15
    assert path.stat().st_size > 4 * block
    table = pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(block_size=block))
    assert table.num_rows == 300 + len(taken) - 1
    assert table["id"][-1].as_py() == taken[-1]["id"]


@every_format
def test_meta_has_the_remaining_columns(form, rows):
    """The columns of a line and ``meta``, a JSON string, make up the row; the formats for scoring hold it as text."""
    row = next(row for row in rows if form.takes(row) and row["accuracy"] is not None)
    line = form.line(row)
    if form in SCORED:
        assert scored.row_of(line["row" if form is lm_eval else "label"]) == row
        return
    meta = json.loads(line["meta"])
    assert meta.items() <= row.items()
    texts = {"id", "task", "system", "history", "prompt", "completion", "reference", "rejected", "label"}
    assert meta.keys() == set(NAMES) - texts


@every_format
def test_a_format_without_rows_has_no_folder(form, rows, tmp_path):
    """A format without rows has no folder, a split without rows no file."""
    assert written(form, [row for row in rows if not form.takes(row)], tmp_path / "none") == {}
    split, other = (Split.VALIDATION, Split.TRAIN) if form is lm_eval else (Split.TRAIN, Split.VALIDATION)
    there = written(form, [row for row in rows if row["split"] == split], tmp_path / "out")
    assert form.file_of(split) in there
    assert form.file_of(other) not in there


@pytest.mark.parametrize("form", [messages, dpo_messages, kto_messages], ids=lambda form: form.NAME)
def test_dataset_info_names_files_and_columns(form, rows, tmp_path):
    """``dataset_info.json`` names each file and columns that its lines have."""
    files = written(form, rows, tmp_path / "out")
    entries = json.loads(files["dataset_info.json"].read_text())
    assert {entry["file_name"] for entry in entries.values()} == {"train.jsonl", "validation.jsonl"}
    for entry in entries.values():
        line = orjson.loads(files[entry["file_name"]].read_bytes().splitlines()[0])
        assert set(entry["columns"].values()) <= line.keys()
        for message in (*line["messages"], *(line[name] for name in ("chosen", "rejected") if name in line)):
            assert {entry["tags"]["role_tag"], entry["tags"]["content_tag"]} == message.keys()
            assert message["role"] in entry["tags"].values()
        assert entry.get("ranking", False) == (form is dpo_messages)


def chat(row, *completion):
    """The messages of a row's question, and of an answer if one is given."""
    texts = (row["system"], row["prompt"], *completion)
    return [{"role": role, "content": text} for role, text in zip(("system", "user", "assistant"), texts, strict=False)]


def test_each_format_has_the_texts_of_the_row(rows):
    """Prompts and completions are unchanged, as messages of the system, the user and the assistant, in every format."""
    plain = next(row for row in rows if messages.takes(row))
    assert messages.line(plain)["messages"] == chat(plain, plain["completion"])
    line = prompt_completion.line(plain)
    assert line["prompt"] == chat(plain)
    assert line["prompt"] + line["completion"] == messages.line(plain)["messages"]
    pair = next(row for row in rows if dpo.takes(row))
    answers = [{"role": "assistant", "content": pair[name]} for name in ("completion", "rejected")]
    line = dpo.line(pair)
    assert (line["prompt"], line["chosen"], line["rejected"]) == (chat(pair), answers[:1], answers[1:])
    line = dpo_messages.line(pair)
    assert [line["messages"], line["chosen"], line["rejected"]] == [chat(pair), *answers]
    for row in filter(kto.takes, rows):
        line = kto.line(row)
        assert line["prompt"] + line["completion"] == kto_messages.line(row)["messages"] == chat(row, row["completion"])
        assert line["label"] == kto_messages.line(row)["label"] == row["label"]
    assert [row["label"] for row in rows if kto.takes(row)] == [False, True] * 2


@every_format
def test_the_message_of_the_system_is_that_of_the_row(form, catalogue):
    """A system's message that an example brings along reaches the model in every format."""
    pair, labelled = {"rejected": "pass\n"}, {"label": True}
    kinds = {dpo: pair, dpo_messages: pair, kto: labelled, kto_messages: labelled}
    built = example([verified(catalogue, 1)], system="Answer in verse.", **kinds.get(form, {}))
    line = form.line(Rows(seed=0).of(built, Split.TEST, "a"))
    question = line.get("messages") or line["prompt"]
    system = line["system"] if form is lm_eval else question[0]["content"]
    assert system == "Answer in verse."


def test_openrlhf_has_a_prompt_and_the_row_as_its_label(rows):
    """The prompt is the question, ``datasource`` the task, and the label a text that gives the row back."""
    for row in rows:
        line = openrlhf.line(row)
        assert [message["content"] for message in line["prompt"]] == [row["system"], scored.question(row)]
        assert line["datasource"] == f"lrgen/{row['task']}"
        assert scored.row_of(line["label"]) == row
        assert (scored.question(row) == row["prompt"]) == (row["label"] is None)


def test_verl_reads_the_columns_of_its_examples(rows, tmp_path, monkeypatch):
    """``datasets`` reads Parquet files as verl does; the columns are those of verl's examples, by split."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    (writer,) = formats.writers([verl], tmp_path)[1:]
    for row in rows:
        writer.write(row)
    writer.close()
    for split in (Split.TRAIN, Split.VALIDATION):
        file = str(tmp_path / "verl" / parquet.file_of(split))
        records = list(load_dataset("parquet", data_files=file, cache_dir=str(tmp_path / "cache"))["train"])
        expected = [row for row in rows if row["split"] == split]
        assert len(records) == len(expected)
        for index, (record, row) in enumerate(zip(records, expected, strict=True)):
            assert list(record) == ["data_source", "prompt", "ability", "reward_model", "extra_info"]
            assert record["prompt"] == scored.chat(row) == openrlhf.line(row)["prompt"]
            assert (record["data_source"], record["ability"]) == (row["data_source"], row["ability"])
            assert record["reward_model"]["style"] == "rule"
            assert scored.row_of(record["reward_model"]["ground_truth"]) == row
            extra = {name: row[name] for name in ("split", "id", "task", "difficulty")}
            assert record["extra_info"] == {"index": index} | extra


def test_nngpt_has_tags_around_files_and_diffs(rows):
    """A whole file is in <nn>, a diff in <delta>, each with hyperparameters; other code is a code block."""
    train = [row for row in rows if row["split"] == Split.TRAIN and nngpt.takes(row)]
    plain, whole, part, diff, _ = (nngpt.line(row)["messages"][-1]["content"] for row in train)
    assert plain == "This is one."
    code = re.search(r"<nn>\n?(.*?)</nn>", whole, re.DOTALL)
    assert code is not None
    assert code[1] == source(1)
    hyperparameters = json.loads(re.search(r"<hp>(.*?)</hp>", whole, re.DOTALL)[1])
    assert hyperparameters.keys() >= {"lr", "momentum", "batch", "gamma"}
    assert re.search(r"<delta>\n?(.*?)</delta>", diff, re.DOTALL)[1] == train[3]["completion"]
    assert "<hp>" in diff
    fenced = re.fullmatch(r"```python\n(.*?)```", part, re.DOTALL)
    assert fenced is not None
    assert definitions_digest(fenced[1]) == definitions_digest(train[2]["completion"])


def test_nngpt_asks_for_the_form_of_the_answer(rows):
    """The prompt names each tag of the answer, or the code block, and no other; without them it is unchanged."""
    asked = Counter()
    for row in filter(nngpt.takes, rows):
        _, user, answer = (message["content"] for message in nngpt.line(row)["messages"])
        assert user.startswith(row["prompt"])
        request = user.removeprefix(row["prompt"])
        for tag in ("<hp>", "<nn>", "<delta>"):
            assert (tag in request) == (tag in answer), (request, answer[:80])
        assert ("block" in request) == answer.startswith("```python\n")
        assert bool(request) == (answer != row["completion"])
        asked[request.strip()] += 1
    assert len(asked) >= 4  # of none, a file, a diff and code


def test_nngpt_names_validation_dev():
    """The files have the names that NNGPT reads."""
    assert [nngpt.file_of(split) for split in ("train", "validation", "test")] == [
        "train.jsonl",
        "dev.jsonl",
        "test.jsonl",
    ]


def test_parquet_keeps_the_rows(rows, tmp_path):
    """Reading gives the written rows, and equal rows give equal bytes."""
    for name in ("one", "other"):
        writer = parquet.ParquetWriter(parquet, tmp_path / name / "parquet")
        (tmp_path / name).mkdir()
        for row in rows:
            writer.write(row)
        writer.close()
    assert parquet.splits(tmp_path / "one") == ["train", "validation"]
    for split in ("train", "validation"):
        read = list(parquet.read(tmp_path / "one", split))
        assert read == [row for row in rows if row["split"] == split]
        path = f"parquet/{parquet.file_of(split)}"
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes()


def test_parquet_has_the_schema_of_the_rows():
    """Each field is a column of its type; only nullable fields may be null."""
    schema = parquet.schema()
    assert tuple(schema.names) == NAMES
    assert [field.nullable for field in schema] == [field.nullable for field in FIELDS]


def test_an_unknown_format_is_an_error():
    """An unknown format is an error with the nearest name."""
    with pytest.raises(UnknownNameError, match=r"^unknown format 'mesages': did you mean messages "):
        formats.named(["mesages"])
    assert [form.NAME for form in formats.named(["kto", "messages", "parquet"])] == ["messages", "kto"]
