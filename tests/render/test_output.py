"""Writing the rendered files: selection, manifests, hand edits, ``--check``, and what a full disk leaves behind."""

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import lrgen as package
from lrgen import catalogue as catalogues
from lrgen.errors import EditedFileError, OutputError
from lrgen.render import output
from tests.paths import REPOSITORY

KEYS = ["sha256", "architecture", "number", "name", "family", "unit", "hyperparameters", "equivalent_to"]
VERSIONS = ["lrgen", "catalogue", "black"]


@pytest.fixture
def write(catalogue, tmp_path: Path) -> Callable[..., output.GenerateReport]:
    """Renders variants of ResNet (or of another model) into ``out``: ``write(1, 7)``."""

    def run(*numbers: int, model: str = "ResNet", force: bool = False) -> output.GenerateReport:
        pairs = output.pairs([catalogue.architecture(model)], [catalogue.variant(number) for number in numbers])
        return output.generate(catalogue, pairs, tmp_path / "out", force=force)

    return run


@pytest.fixture
def differences(catalogue, tmp_path: Path) -> Callable[..., list[output.Mismatch]]:
    """Checks variants of ResNet in ``out``."""

    def run(*numbers: int) -> list[output.Mismatch]:
        chosen = [catalogue.variant(number) for number in numbers]
        return output.check(catalogue, output.pairs([catalogue.architecture("ResNet")], chosen), tmp_path / "out")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where ResNet's files lie."""
    return tmp_path / "out" / "ResNet"


def manifest(folder: Path) -> dict[str, Any]:
    """The entries of a folder's manifest, as they stand there."""
    return json.loads((folder / "manifest.json").read_text())["files"]


def rewrite(folder: Path, stem: str, **values: object) -> None:
    """Let the manifest say something else of a file."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"][stem] |= values
    path.write_text(json.dumps(content))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Bytes, moment of the last write and identity of everything under a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def out_of_the_repository(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``lrgen`` in a process of its own, in a folder; at its end stderr's last line lists the loaded modules."""
    code = (
        "import sys, json\nfrom lrgen.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


# Selection.


def test_without_a_selection_the_active_models_files_are_written(lrgen, tmp_path, catalogue):
    """``lrgen render`` writes every variant of ResNet, and of no other model, into generated/."""
    code, out, _ = lrgen("render")
    assert code == 0
    names = {path.name for path in (tmp_path / "generated" / "ResNet").iterdir()}
    assert names == {f"{variant.key}.py" for variant in catalogue.variants} | {"manifest.json"}
    assert [path.name for path in (tmp_path / "generated").iterdir()] == ["ResNet"]
    assert f"{len(catalogue.variants)} files written" in out


def test_the_active_model_is_that_of_the_configuration(lrgen, tmp_path):
    """``active_model`` in lrgen.toml decides whose files are written."""
    (tmp_path / "lrgen.toml").write_text('active_model = "ResNet18"\nout = "elsewhere"')
    assert lrgen("render", "--variant", "1")[0] == 0
    files = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.py"))]
    assert files == ["elsewhere/ResNet18/A0_001.py"]


@pytest.mark.parametrize(
    ("selection", "files"),
    [
        (["--variant", "7", "--variant", "StepLR_default"], ["ResNet/A0_001", "ResNet/A0_007"]),
        (["--model", "ResNet18", "--model", "ResNet", "--variant", "2"], ["ResNet/A0_002", "ResNet18/A0_002"]),
        (["--model", "ResNet", "--model", "ResNet", "--variant", "2"], ["ResNet/A0_002"]),
        (["--all", "--variant", "3-4"], [f"{one}/A0_00{n}" for one in ("ResNet", "ResNet18") for n in (3, 4)]),
        (["--variant", "31-33", "--variant", "32"], [f"ResNet/A0_0{n}" for n in (31, 32, 33)]),
        (["--all", "--model", "ResNet18", "--variant", "5"], ["ResNet18/A0_005"]),
    ],
    ids=" ".join,
)
def test_a_selection_writes_its_files_and_no_others(lrgen, tmp_path, selection, files):
    """Options are repeatable; models and variants span a grid."""
    assert lrgen("render", *selection, "--out", "out")[0] == 0
    shipped = ("ResNet", "ResNet18")
    found = [path.relative_to(tmp_path / "out").with_suffix("") for path in (tmp_path / "out").rglob("*.py")]
    assert sorted(path.as_posix() for path in found if path.parts[0] in shipped) == files


def test_a_family_and_a_variant_together_are_both(lrgen, tmp_path, catalogue):
    """A family stands for all of its variants, and other variants may be named beside it."""
    assert lrgen("render", "--family", "metric", "--variant", "7", "--out", "out")[0] == 0
    wanted = {variant.key for variant in catalogue.family("metric").variants} | {"A0_007"}
    assert {path.stem for path in (tmp_path / "out" / "ResNet").glob("*.py")} == wanted


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (["--model", "ResNet19"], "unknown model 'ResNet19': did you mean ResNet"),
        (["--variant", "StepLR_defualt"], "unknown variant 'StepLR_defualt': did you mean StepLR_default"),
        (["--variant", "1-999"], "unknown variant '999'"),
        (["--family", "cosin"], "unknown family 'cosin': did you mean cosine"),
    ],
)
def test_an_unknown_name_ends_with_exit_code_2(lrgen, tmp_path, selection, message):
    """The nearest names are suggested and nothing is written."""
    code, out, err = lrgen("render", *selection)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_only_output(lrgen):
    """``--json`` prints one object with the counts."""
    _, out, _ = lrgen("render", "--variant", "1-3", "--json")
    assert json.loads(out) == {"written": 3, "unchanged": 0, "out": "generated"}
    _, out, _ = lrgen("render", "--variant", "1-4", "--json")
    assert json.loads(out) == {"written": 1, "unchanged": 3, "out": "generated"}


# Manifests.


def test_a_manifest_says_of_every_file_what_it_is_and_who_wrote_it(write, folder, catalogue):
    """Each entry holds the hash of the bytes on disk, the variant's facts and the versions, and nothing else."""
    write(1, 18, 31, 37)
    files = manifest(folder)
    assert list(files) == ["A0_001", "A0_018", "A0_031", "A0_037"]
    for stem, entry in files.items():
        assert sorted(entry) == sorted(KEYS + VERSIONS)
        assert entry["sha256"] == hashlib.sha256((folder / f"{stem}.py").read_bytes()).hexdigest()
        assert (entry["architecture"], entry["lrgen"]) == ("ResNet", package.__version__)
        assert (entry["catalogue"], entry["black"]) == (catalogue.digest, metadata.version("black"))
    facts = ["number", "name", "family", "unit", "hyperparameters", "equivalent_to"]
    assert [files["A0_001"][key] for key in facts] == [
        *(1, "StepLR_default", "step", "epoch", {"step_fraction": 1 / 3, "gamma": 0.1}, None)
    ]
    assert [files["A0_018"][key] for key in facts] == [18, "LambdaLR_power_decay", "polynomial", "epoch", {}, 4]
    assert (files["A0_031"]["unit"], files["A0_031"]["hyperparameters"]) == ("metric", {"patience_fraction": 5 / 90})
    assert (files["A0_037"]["unit"], files["A0_037"]["family"]) == ("batch", "cosine")
    assert json.loads((folder / "manifest.json").read_text())["architecture"] == "ResNet"


def test_a_partial_render_adds_its_entries_and_keeps_the_others(write, folder):
    """Files and entries outside the selection stay as they are, byte by byte."""
    write(1, 7)
    rewrite(folder, "A0_001", lrgen="0.0.1")
    before, old = snapshot(folder), manifest(folder)
    write(7, 13)
    after, new = snapshot(folder), manifest(folder)
    assert list(new) == ["A0_001", "A0_007", "A0_013"]
    assert {stem: new[stem] for stem in old} == old
    for stem in ("A0_001.py", "A0_007.py"):
        assert after[str(folder / stem)] == before[str(folder / stem)]


def test_manifests_do_not_depend_on_the_order_of_selection(catalogue, tmp_path):
    """All at once, one after the other, or backwards: the same bytes."""
    one = catalogue.architecture("ResNet")
    chosen = [catalogue.variant(number) for number in (2, 9, 31)]
    output.generate(catalogue, output.pairs([one], chosen), tmp_path / "a")
    output.generate(catalogue, [(one, variant) for variant in reversed(chosen)], tmp_path / "b")
    for variant in (chosen[1], chosen[2], chosen[0]):
        output.generate(catalogue, [(one, variant)], tmp_path / "c")
    bytes_of = [(tmp_path / name / "ResNet" / "manifest.json").read_bytes() for name in "abc"]
    assert bytes_of[0] == bytes_of[1] == bytes_of[2]


def test_each_architecture_has_a_manifest_of_its_own(write, tmp_path):
    """Rendering one model does not touch the other's folder."""
    write(1)
    before = snapshot(tmp_path / "out")
    write(1, model="ResNet18")
    assert {key: value for key, value in snapshot(tmp_path / "out").items() if key in before} == before
    assert manifest(tmp_path / "out" / "ResNet18")["A0_001"]["architecture"] == "ResNet18"


@pytest.mark.parametrize("key", VERSIONS)
def test_a_file_of_another_version_is_rendered_again(write, folder, key):
    """Where the catalogue, lrgen or black moved on, the entry is brought up to date; equal text is not written."""
    write(1)
    rewrite(folder, "A0_001", **{key: "older"})
    before = snapshot(folder)[str(folder / "A0_001.py")]
    report = write(1)
    assert (report.written, report.unchanged) == (0, 1)
    assert manifest(folder)["A0_001"][key] != "older"
    assert snapshot(folder)[str(folder / "A0_001.py")] == before


def test_a_file_of_an_older_catalogue_is_overwritten_without_force(write, folder):
    """What lrgen wrote itself is its own to replace: the manifest knows the old bytes."""
    write(1)
    path = folder / "A0_001.py"
    wanted = path.read_text()
    path.write_text("# as an older catalogue rendered it\n")
    rewrite(folder, "A0_001", sha256=hashlib.sha256(path.read_bytes()).hexdigest(), catalogue="older")
    assert write(1).written == 1
    assert path.read_text() == wanted


def test_a_deleted_file_is_written_again(write, folder):
    """A manifest entry is no proof that the file is there."""
    write(1, 2)
    wanted = (folder / "A0_002.py").read_bytes()
    (folder / "A0_002.py").unlink()
    report = write(1, 2)
    assert (report.written, report.unchanged) == (1, 1)
    assert (folder / "A0_002.py").read_bytes() == wanted


def test_a_lost_manifest_is_made_anew(write, folder):
    """Files that are what the catalogue renders need no manifest to be known."""
    write(1, 2)
    before = manifest(folder)
    (folder / "manifest.json").unlink()
    report = write(1, 2)
    assert (report.written, report.unchanged) == (0, 2)
    assert manifest(folder) == before


@pytest.mark.parametrize("key", ["unit", "hyperparameters", "number"])
def test_a_manifest_that_lies_is_set_right(write, differences, folder, key):
    """What ``--check`` objects to, the next render repairs."""
    write(1)
    rewrite(folder, "A0_001", **{key: "wrong"})
    write(1)
    assert differences(1) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "5", "{}", '{"files": []}', '{"files": {"A0_001": 5}}', '{"files": null}']
)
def test_a_corrupt_manifest_is_named_and_nothing_is_written(write, differences, folder, content):
    """A manifest that is none is an error with its path, for a render and for a check; it stays as it is."""
    write(1)
    (folder / "manifest.json").write_text(content)
    before = snapshot(folder)
    for action in (write, differences):
        with pytest.raises(OutputError, match=f"{folder / 'manifest.json'}: not a manifest"):
            action(1, 2)
    assert snapshot(folder) == before


def test_a_manifest_that_is_no_text_is_named(write, folder):
    """Bytes that are no UTF-8 are a corrupt manifest too."""
    write(1)
    (folder / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError, match="manifest.json: not a manifest"):
        write(1)


# Files that were edited by hand.


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "# mine\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "",
    ],
    ids=["appended", "other line ends", "byte order mark", "emptied"],
)
def test_a_file_that_was_edited_by_hand_is_not_overwritten(write, folder, edit):
    """One edited file stops the whole selection: nothing at all is written, not even what is missing."""
    write(1, 2)
    path = folder / "A0_002.py"
    with path.open("w", newline="") as file:
        file.write(edit(path.read_text()))
    before = snapshot(folder)
    with pytest.raises(EditedFileError, match=f"{path} was changed by hand"):
        write(1, 2, 3)
    assert snapshot(folder) == before
    assert not list(folder.parent.rglob("*.tmp"))


def test_the_number_of_edited_files_is_told(write, folder):
    """The message names the first and counts the rest."""
    write(1, 2, 3)
    for stem in ("A0_001.py", "A0_003.py"):
        (folder / stem).write_text("mine")
    with pytest.raises(EditedFileError, match=f"{folder / 'A0_001.py'} and 1 more was"):
        write(1, 2, 3)


def test_a_file_that_was_there_before_any_manifest_is_not_overwritten(write, folder):
    """A file that lrgen never wrote is somebody's."""
    folder.mkdir(parents=True)
    (folder / "A0_001.py").write_text("mine")
    with pytest.raises(EditedFileError):
        write(1)
    assert (folder / "A0_001.py").read_text() == "mine"
    assert list(folder.iterdir()) == [folder / "A0_001.py"]


def test_force_overwrites_what_was_edited(lrgen, tmp_path):
    """Exit code 2 and the way out without ``--force``; with it the file is the catalogue's again."""
    lrgen("render", "--variant", "1")
    path = tmp_path / "generated" / "ResNet" / "A0_001.py"
    wanted = path.read_bytes()
    path.write_text("mine")
    code, _, err = lrgen("render", "--variant", "1")
    assert code == 2
    assert "generated/ResNet/A0_001.py was changed by hand" in err
    assert "--force" in err
    assert path.read_text() == "mine"
    assert lrgen("render", "--variant", "1", "--force")[0] == 0
    assert path.read_bytes() == wanted
    assert lrgen("render", "--variant", "1", "--check")[0] == 0


def test_an_edit_outside_the_selection_is_not_looked_at(write, folder):
    """Only selected files can be refused."""
    write(1, 2)
    (folder / "A0_002.py").write_text("mine")
    assert write(1).unchanged == 1
    assert (folder / "A0_002.py").read_text() == "mine"


# --check.


def test_check_finds_nothing_wrong_with_what_was_just_written(lrgen):
    """Exit code 0 and a count."""
    lrgen("render", "--variant", "1-5")
    code, out, _ = lrgen("render", "--variant", "1-5", "--check")
    assert (code, out) == (0, "5 files checked, 0 differences\n")


def test_check_writes_nothing_and_exits_1_with_a_diff(lrgen, tmp_path):
    """A missing, an edited and a stray file, and a manifest that lies: each is named, and the folder stays as it is."""
    lrgen("render", "--variant", "1-4")
    folder = tmp_path / "generated" / "ResNet"
    (folder / "A0_001.py").unlink()
    edited = folder / "A0_002.py"
    edited.write_text(edited.read_text().replace("0.1", "0.2"))
    (folder / "A0_999.py").write_text("mine")
    rewrite(folder, "A0_003", unit="batch")
    before = snapshot(tmp_path)
    code, out, _ = lrgen("render", "--variant", "1-4", "--check")
    assert code == 1
    lines = out.splitlines()
    assert "generated/ResNet/A0_001.py is missing" in lines
    assert "generated/ResNet/A0_002.py differs from the catalogue" in lines
    assert "generated/ResNet/A0_999.py belongs to no variant" in lines
    assert "generated/ResNet/manifest.json describes A0_003 differently" in lines
    assert [line for line in lines if line.startswith("-    return MultiStepLR") and "0.2" in line]
    assert [line for line in lines if line.startswith("+    return MultiStepLR") and "0.1" in line]
    assert {"-unit: 'batch'", "+unit: 'epoch'"} <= set(lines)
    assert lines[-1] == "4 files checked, 4 differences"
    assert snapshot(tmp_path) == before


def test_check_tells_the_same_as_json(lrgen, tmp_path):
    """``--json`` is an array of path, reason and diff, and the exit code is the same."""
    code, out, _ = lrgen("render", "--variant", "1", "--check", "--json")
    [found] = json.loads(out)
    assert code == 1
    assert (found["path"], found["reason"]) == ("generated/ResNet/A0_001.py", "is missing")
    assert "+def make_scheduler" in found["diff"]
    assert list(tmp_path.iterdir()) == []
    lrgen("render", "--variant", "1")
    assert lrgen("render", "--variant", "1", "--check", "--json")[:2] == (0, "[]\n")


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_that_says_something_else_of_a_file_is_a_difference(write, differences, folder, key):
    """Each fact of an entry is compared with the catalogue."""
    write(1)
    rewrite(folder, "A0_001", **{key: "wrong"})
    [found] = differences(1)
    assert found.path == folder / "manifest.json"
    assert f"-{key}: 'wrong'\n+{key}: " in found.diff


@pytest.mark.parametrize("key", VERSIONS)
def test_a_file_that_an_older_version_wrote_alike_is_no_difference(write, differences, folder, key):
    """Versions are provenance: equal bytes pass, whoever wrote them."""
    write(1)
    rewrite(folder, "A0_001", **{key: "older"})
    assert differences(1) == []


def test_a_manifest_without_an_entry_is_a_difference(write, differences, folder):
    """A file that its manifest does not know is not accounted for."""
    write(1)
    (folder / "manifest.json").unlink()
    [found] = differences(1)
    assert found.reason == "describes A0_001 differently"


def test_an_entry_of_no_variant_is_a_difference(write, differences, folder):
    """A manifest that lists a file which no variant has says something that is not so."""
    write(1)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"]["A0_999"] = content["files"]["A0_001"]
    path.write_text(json.dumps(content))
    assert [found.path for found in differences(1)] == [path]


def test_other_line_ends_are_a_difference(write, differences, folder):
    """The check is of bytes, as the render is: what the one accepts the other does not take for an edit."""
    write(1)
    path = folder / "A0_001.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    [found] = differences(1)
    assert found.path == path


def test_a_file_that_is_no_text_is_named(write, differences, folder):
    """Bytes that are no UTF-8 are an error with the path."""
    write(1)
    (folder / "A0_001.py").write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError, match=f"{folder / 'A0_001.py'}: cannot be read"):
        differences(1)


def test_the_committed_files_are_what_the_catalogue_renders(catalogue):
    """generated/ResNet in the repository is up to date, so that a change of the templates shows as a diff."""
    pairs = output.pairs([catalogue.architecture("ResNet")], catalogue.variants)
    assert output.check(catalogue, pairs, REPOSITORY / "generated") == []


# A render that changes nothing.


def test_a_second_render_writes_nothing_and_loads_no_renderer(tmp_path):
    """It is bounded by reading and hashing: neither black nor Jinja nor torch is imported, no file is touched."""
    selection = ("render", "--all", "--variant", "1-50")
    first = out_of_the_repository(tmp_path, *selection)
    assert first.returncode == 0, first.stderr
    assert {"black", "jinja2"} <= set(json.loads(first.stderr.splitlines()[-1]))
    before = snapshot(tmp_path)
    second = out_of_the_repository(tmp_path, *selection)
    loaded = {name.split(".")[0] for name in json.loads(second.stderr.splitlines()[-1])}
    assert "0 files written" in second.stdout
    assert loaded & {"black", "jinja2", "torch"} == set()
    assert snapshot(tmp_path) == before


# Output that cannot be written.


def fill(monkeypatch: pytest.MonkeyPatch, room: int = 0) -> None:
    """A disk that fills up: the writes after the first ``room`` fail, half of their text written."""
    write_text = Path.write_text
    left = [room]

    def write(path: Path, text: str, **options: str) -> int:
        left[0] -= 1
        if left[0] >= 0:
            return write_text(path, text, **options)
        write_text(path, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write)


def stale(folder: Path, *stems: str) -> None:
    """Let files be those of an older catalogue."""
    for stem in stems:
        path = folder / f"{stem}.py"
        path.write_text("# older\n")
        rewrite(folder, stem, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), catalogue="older")


def test_a_full_disk_leaves_the_old_files(write, folder, monkeypatch):
    """No half-written file, no temporary file, and an error that says where and why."""
    write(1, 2)
    stale(folder, "A0_001")
    before = snapshot(folder)
    with monkeypatch.context() as patch:
        fill(patch)
        with pytest.raises(OutputError, match=f"{folder}/.*: cannot be written: No space left on device"):
            write(1, 2)
    assert snapshot(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["A0_001.py", "A0_002.py", "manifest.json"]
    assert write(1, 2).written == 1


def test_a_write_that_the_system_cuts_short_leaves_the_old_files(write, folder):
    """The same with a limit that the kernel itself enforces in the middle of the bytes."""
    write(1)
    stale(folder, "A0_001")
    entries = manifest(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=f"{folder / 'A0_001.py'}: cannot be written: File too large"):
            write(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder / "A0_001.py").read_text() == "# older\n"
    assert manifest(folder) == entries
    assert sorted(path.name for path in folder.iterdir()) == ["A0_001.py", "manifest.json"]


def test_a_rename_that_fails_leaves_the_old_files(write, folder, monkeypatch):
    """The same where the last step of writing fails."""
    write(1)
    stale(folder, "A0_001")
    before = snapshot(folder)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OutputError, match="No space left on device"):
            write(1)
    assert snapshot(folder) == before


def test_a_disk_that_fills_up_half_way_loses_nothing(write, folder, monkeypatch):
    """Files that were finished stay; the next render goes on without taking them for edited ones."""
    write(1, 2, 3, 4)
    wanted = {path.name: path.read_bytes() for path in folder.glob("*.py")}
    stale(folder, "A0_001", "A0_002", "A0_003", "A0_004")
    with monkeypatch.context() as patch:
        fill(patch, room=2)
        with pytest.raises(OutputError):
            write(1, 2, 3, 4)
    older = {path.name for path in folder.glob("*.py") if path.read_text() == "# older\n"}
    assert older == {"A0_003.py", "A0_004.py"}
    assert write(1, 2, 3, 4).written == 2
    assert {path.name: path.read_bytes() for path in folder.glob("*.py")} == wanted


def test_a_file_that_cannot_be_written_does_not_lose_the_entries_of_the_others(write, folder, monkeypatch):
    """Where one target refuses, the manifest still learns of those before it, and the error names the target."""
    target = folder / "A0_002.py"
    replace = os.replace

    def refuse(source: Path, path: Path) -> None:
        if Path(path) == target:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OutputError, match=f"{target}: cannot be written: Input/output error"):
            write(1, 2, 3)
    assert list(manifest(folder)) == ["A0_001"]
    assert sorted(path.name for path in folder.iterdir()) == ["A0_001.py", "manifest.json"]
    assert write(1, 2, 3).written == 2


def test_an_interrupt_while_writing_leaves_no_temporary_file(write, folder, monkeypatch):
    """Ctrl-C between the bytes and the rename is no reason for litter."""
    write(1)
    stale(folder, "A0_001")
    before = snapshot(folder)

    def interrupt(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(1)
    assert snapshot(folder) == before


def test_an_output_folder_that_cannot_be_made_is_named(lrgen, tmp_path):
    """A path below a regular file: exit code 2, the path, the reason, and nothing written."""
    (tmp_path / "file").write_text("mine")
    code, out, err = lrgen("render", "--variant", "1", "--out", "file/out")
    assert (code, out) == (2, "")
    assert "file/out/ResNet" in err
    assert "Not a directory" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_in_place_of_the_models_folder_is_named(write, tmp_path):
    """``out/ResNet`` may be somebody's file."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ResNet").write_text("mine")
    with pytest.raises(OutputError, match="out/ResNet"):
        write(1)
    assert (tmp_path / "out" / "ResNet").read_text() == "mine"


def test_a_folder_in_place_of_a_file_is_named(write, folder):
    """``A0_001.py`` may be a folder."""
    (folder / "A0_001.py").mkdir(parents=True)
    with pytest.raises(OutputError, match=f"{folder / 'A0_001.py'}: cannot be read"):
        write(1)
    assert [path.name for path in folder.iterdir()] == ["A0_001.py"]


def test_a_broken_catalogue_is_found_before_anything_is_written(catalogue, tmp_path, monkeypatch):
    """All files of a selection are rendered before the first is written."""
    from lrgen.errors import CatalogueError
    from lrgen.render.renderer import Renderer

    render = Renderer.render

    def broken(self: Renderer, one: Any, variant: Any) -> Any:
        if variant.number == 3:
            raise CatalogueError("variant 3 is broken")
        return render(self, one, variant)

    monkeypatch.setattr(Renderer, "render", broken)
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(number) for number in (1, 2, 3)])
    with pytest.raises(CatalogueError):
        output.generate(catalogue, pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_progress_is_told_once_for_each_file(catalogue, tmp_path):
    """``advance`` is called for files that are written and for files that were there already."""
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(1), catalogue.variant(2)])
    output.generate(catalogue, pairs[:1], tmp_path / "out")
    calls: list[None] = []
    output.generate(catalogue, pairs, tmp_path / "out", advance=lambda: calls.append(None))
    assert len(calls) == 2


def test_a_users_templates_count_for_the_digest_of_the_entries(catalogue, tmp_path):
    """An entry that was written beside other templates is brought up to date."""
    own = tmp_path / "own" / "schedulers"
    own.mkdir(parents=True)
    (own / "notes.toml").write_text("")
    wider = catalogues.load([tmp_path / "own"])
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(1)])
    for one in (catalogue, wider):
        output.generate(one, pairs, tmp_path / "out")
        assert manifest(tmp_path / "out" / "ResNet")["A0_001"]["catalogue"] == one.digest
    assert wider.digest != catalogue.digest
