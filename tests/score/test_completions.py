"""The completions of a model are read from each form in which harnesses write them."""

import json
import os
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrgen.errors import ScoreError
from lrgen.score import completions
from lrgen.score.completions import Skipped, read

IDS = ["a1", "b2", "c3"]


def texts_of(result) -> dict[str, list[str]]:
    """Return the texts of each row in the order of their samples."""
    texts: dict[str, list[str]] = {}
    for completion in result[0]:
        assert completion.sample == len(texts.setdefault(completion.row_id, []))
        texts[completion.row_id].append(completion.text)
    return texts


def lines_of(*lines: object) -> str:
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)


@pytest.fixture
def samples(tmp_path):
    """Writes a file of lines and returns its path."""

    def write(*lines: object, name: str = "samples.jsonl"):
        path = tmp_path / name
        path.write_text(lines_of(*lines), encoding="utf-8")
        return path

    return write


# Lines.


def test_the_lines_of_evalplus_and_swe_bench_are_read(samples):
    """Lines with completion, solution and model_patch may be mixed, and a row may have several."""
    path = samples(
        {"task_id": "b2", "completion": "first"},
        {"task_id": "a1", "solution": "second", "completion": "not this"},
        {"task_id": "b2", "solution": "", "model": "m"},
        {"instance_id": "c3", "model_name_or_path": "m", "model_patch": "--- a"},
        {"task_id": "a1", "completion": "with\0\ud800", "solution": None},
    )
    result = read(path, IDS)
    assert texts_of(result) == {"b2": ["first", ""], "a1": ["second", "with\0\ud800"], "c3": ["--- a"]}
    assert [completion.place for completion in result[0]][-1] == "samples.jsonl, line 5"
    assert result[1] == []


def test_a_line_that_is_no_completion_is_named_and_ends_nothing(tmp_path, monkeypatch):
    """Each fault is named with its line; the lines around it are read, and blank lines are nothing."""
    monkeypatch.setattr(completions, "MAX_BYTES", 100)
    faults = {
        b"not json": "it is not JSON: ",
        b'{"task_id": "a1", "completion": "cut': "it is not JSON: ",
        b"\xff\xfe": "it is not UTF-8",
        b'"text"': "it is not a JSON object",
        b"[" * 90: "it is not JSON: ",
        b'{"completion": "x"}': "it has no text task_id or instance_id",
        b'{"task_id": 1, "completion": "x"}': "it has no text task_id or instance_id",
        b'{"task_id": "a1"}': "it has no text completion, solution or model_patch",
        b'{"task_id": "a1", "completion": null}': "it has no text completion, solution or model_patch",
        b'{"task_id": "a1", "completion": ["x"]}': "it has no text completion, solution or model_patch",
        b'{"task_id": "z\\n9", "completion": "x"}': "no row of the dataset has the id 'z\\n9'",
        b'{"task_id": "a1", "completion": "' + 1000 * b"x" + b'"}': "it has more than 100 bytes",
    }
    good = b'{"task_id": "a1", "completion": "x"}'
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"\n".join([good, b"", *(line for fault in faults for line in (fault, good))]))
    read_completions, skipped = read(path, IDS)
    assert len(read_completions) == len(faults) + 1
    assert [entry.place for entry in skipped] == [f"samples.jsonl, line {3 + 2 * at}" for at in range(len(faults))]
    for entry, reason in zip(skipped, faults.values(), strict=True):
        assert entry.reason.startswith(reason)
        assert "\n" not in entry.reason


def test_a_line_that_is_nested_too_deeply_is_named(tmp_path):
    """A line that exhausts the recursion of the JSON reader is skipped."""
    path = tmp_path / "samples.jsonl"
    path.write_text("[" * 100_000 + "\n" + '{"task_id": "a1", "completion": "x"}')
    assert read(path, IDS)[1] == [Skipped("samples.jsonl, line 1", "it is not JSON: nested too deeply")]


def test_a_file_is_read_line_by_line(tmp_path, monkeypatch):
    """A line that is too long is not held in memory."""
    monkeypatch.setattr(completions, "MAX_BYTES", 1000)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"x" * 4_000_000 + b'\n{"task_id": "a1", "completion": "x"}')
    tracemalloc.start()
    try:
        texts = texts_of(read(path, IDS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert texts == {"a1": ["x"]}
    assert peak < 1_000_000


def test_windows_newlines_and_a_byte_order_mark_are_no_part_of_a_line(tmp_path):
    """A file of Windows is read."""
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"task_id": "a1", "completion": "x"}\r\n{"task_id": "a1", "completion": "y"}\r\n')
    assert texts_of(read(path, IDS)) == {"a1": ["x", "y"]}


# Lists.


def test_the_lists_of_bigcode_are_read_by_index(samples):
    """A list of lists has the texts of the rows in their order; rows at the end may be missing."""
    path = samples([["x", "y"], [], ["z", None]], name="generations.json")
    result = read(path, [*IDS, "d4"])
    assert texts_of(result) == {"a1": ["x", "y"], "c3": ["z"]}
    assert result[1] == [Skipped("generations.json, list 3, text 2", "it is not a text")]


def test_a_list_of_objects_is_read_as_lines_are(samples):
    """The elements of a list may be the objects of lines."""
    path = samples([{"instance_id": "b2", "model_patch": "x"}, 7], name="predictions.json")
    result = read(path, IDS)
    assert texts_of(result) == {"b2": ["x"]}
    assert result[1] == [Skipped("predictions.json, element 2", "it is not a JSON object")]


def test_lines_may_begin_with_a_list(samples):
    """A first line that is a list does not make a list of JSON Lines."""
    path = samples([], {"task_id": "a1", "completion": "x"})
    assert read(path, IDS)[1] == [Skipped("samples.jsonl, line 1", "it is not a JSON object")]


# Folders.


def test_a_folder_has_a_folder_of_each_row(tmp_path):
    """Files are ordered by number, whatever their suffix is; other files are named, hidden ones are nothing."""
    folder = tmp_path / "out"
    for name, text in {"b2/10.py": "k", "b2/9.txt": "j", "b2/0": "i", "a1/0.py": "x", "z9/0.py": "?"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "a1" / "notes.md").write_text("")
    (folder / "a1" / "1.py").write_bytes(b"\xff")
    (folder / "a1" / ".hidden").write_text("")
    (folder / "a1" / "2.py").mkdir()
    os.mkfifo(folder / "a1" / "3.py")
    (folder / "README").write_text("")
    (folder / ".git").mkdir()
    result = read(folder, IDS)
    assert texts_of(result) == {"a1": ["x"], "b2": ["i", "j", "k"]}
    assert [completion.place for completion in result[0]][-1] == "out/b2/10.py"
    assert sorted((entry.place, entry.reason) for entry in result[1]) == [
        ("out/README", "it is not the folder of a row"),
        ("out/a1/1.py", "it is not UTF-8"),
        ("out/a1/2.py", "it cannot be read as a file"),
        ("out/a1/3.py", "it cannot be read as a file"),
        ("out/a1/notes.md", "its name is not a number"),
        ("out/z9/0.py", "no row of the dataset has the id 'z9'"),
    ]


# Errors.


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jsonl", None, "No such file or directory"),
        ("empty.jsonl", "", "empty.jsonl: no completion of a row"),
        ("words.txt", "words\n", "no completion of a row: words.txt, line 1: it is not JSON"),
        ("other.jsonl", '{"task_id": "z", "completion": ""}', "line 1: no row of the dataset has the id 'z'"),
        ("long.json", '[["a"], ["b"], ["c"], ["d"]]', "4 lists of completions, but 3 rows"),
        ("cut.json", '[["a"], ["b"', "not JSON: "),
        ("deep.json", "[" * 100_000, "not JSON: nested too deeply"),
        ("blank.json", "[[], []]", "no completion of a row"),
    ],
)
def test_a_path_without_a_completion_is_an_error(tmp_path, name, content, reason):
    """The error names the path and the reason, in one line."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ScoreError, match=reason) as raised:
        read(path, IDS)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_neither_a_file_nor_a_folder_is_an_error(tmp_path):
    """A FIFO is refused without waiting for a writer."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScoreError, match="neither a file nor a folder"):
        read(tmp_path / "pipe", IDS)


def test_a_path_with_a_null_byte_is_an_error(tmp_path):
    """A path that no file can have cannot be read."""
    with pytest.raises(ScoreError, match="cannot be read"):
        read(tmp_path / "a\0b", IDS)


# Round trips.

SAMPLES = st.dictionaries(st.sampled_from(IDS), st.lists(st.text(), min_size=1, max_size=4), min_size=1)
ENCODABLE = st.dictionaries(
    st.sampled_from(IDS), st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4), min_size=1
)
in_a_folder = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_a_folder
@given(SAMPLES, st.sampled_from(["completion", "solution", "model_patch"]), st.booleans())
def test_lines_are_read_as_they_were_written(tmp_path, samples, key, ascii_only):
    """The texts of lines are those that were written, with each escape of JSON."""
    key_of_id = "instance_id" if key == "model_patch" else "task_id"
    lines = [{key_of_id: row_id, key: text} for row_id, texts in samples.items() for text in texts]
    path = tmp_path / "samples.jsonl"
    text = "\n".join(json.dumps(line, ensure_ascii=ascii_only or not is_encodable(line[key])) for line in lines)
    path.write_bytes(text.encode())
    assert texts_of(read(path, IDS)) == samples


@in_a_folder
@given(SAMPLES)
def test_lists_are_read_as_they_were_written(tmp_path, samples):
    """The texts of lists are those that were written."""
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([samples.get(row_id, []) for row_id in IDS]))
    assert texts_of(read(path, IDS)) == samples


@in_a_folder
@given(ENCODABLE)
def test_folders_are_read_as_they_were_written(tmp_path_factory, samples):
    """The texts of files are those that were written, byte for byte."""
    folder = tmp_path_factory.mktemp("out")
    for row_id, texts in samples.items():
        (folder / row_id).mkdir()
        for number, text in enumerate(texts):
            (folder / row_id / f"{number}.py").write_bytes(text.encode())
    assert texts_of(read(folder, IDS)) == samples


def is_encodable(text: str) -> bool:
    """Return whether a text has no lone surrogate."""
    return text.encode(errors="replace").decode() == text
