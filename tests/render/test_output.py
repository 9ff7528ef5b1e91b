"""Output of rendered files: selection, manifests, files edited by hand, ``--check`` and failed writes."""

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
    """Render variants of ResNet (or of another model) into ``out``: ``write(1, 7)``."""

    def run(*numbers: int, model: str = "ResNet", force: bool = False) -> output.GenerateReport:
        pairs = output.pairs([catalogue.architecture(model)], [catalogue.variant(number) for number in numbers])
        return output.generate(catalogue, pairs, tmp_path / "out", force=force)

    return run


@pytest.fixture
def mismatches(catalogue, tmp_path: Path) -> Callable[..., list[output.Mismatch]]:
    """Compare variants of ResNet in ``out`` with the catalogue."""

    def run(*numbers: int) -> list[output.Mismatch]:
        chosen = [catalogue.variant(number) for number in numbers]
        return output.check(catalogue, output.pairs([catalogue.architecture("ResNet")], chosen), tmp_path / "out")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of ResNet's files."""
    return tmp_path / "out" / "ResNet"


def manifest(folder: Path) -> dict[str, Any]:
    """The entries of a folder's manifest."""
    return json.loads((folder / "manifest.json").read_text())["files"]


def rewrite(folder: Path, stem: str, **values: object) -> None:
    """Overwrite fields of a manifest entry."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"][stem] |= values
    path.write_text(json.dumps(content))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Bytes, modification time and inode of every file under a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def run_lrgen(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``lrgen`` in a subprocess; the last line of stderr lists the imported modules as JSON."""
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
        (["--all", "--variant", "3-4"], [f"{name}/A0_00{n}" for name in ("ResNet", "ResNet18") for n in (3, 4)]),
        (["--variant", "31-33", "--variant", "32"], [f"ResNet/A0_0{n}" for n in (31, 32, 33)]),
        (["--all", "--model", "ResNet18", "--variant", "5"], ["ResNet18/A0_005"]),
    ],
    ids=" ".join,
)
def test_a_selection_writes_its_files_and_no_others(lrgen, tmp_path, selection, files):
    """Options are repeatable, and every selected model is rendered with every selected variant."""
    assert lrgen("render", *selection, "--out", "out")[0] == 0
    shipped = ("ResNet", "ResNet18")
    written = [path.relative_to(tmp_path / "out").with_suffix("") for path in (tmp_path / "out").rglob("*.py")]
    assert sorted(path.as_posix() for path in written if path.parts[0] in shipped) == files


def test_a_family_and_a_variant_can_be_selected_together(lrgen, tmp_path, catalogue):
    """A family selects all of its variants, in addition to those selected by number."""
    assert lrgen("render", "--family", "metric", "--variant", "7", "--out", "out")[0] == 0
    expected = {variant.key for variant in catalogue.family("metric").variants} | {"A0_007"}
    assert {path.stem for path in (tmp_path / "out" / "ResNet").glob("*.py")} == expected


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
    """An unknown name ends with exit code 2, suggests the nearest name and writes nothing."""
    code, out, err = lrgen("render", *selection)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_only_output(lrgen):
    """``--json`` prints one object with the counts and nothing else."""
    _, out, _ = lrgen("render", "--variant", "1-3", "--json")
    assert json.loads(out) == {"written": 3, "unchanged": 0, "out": "generated"}
    _, out, _ = lrgen("render", "--variant", "1-4", "--json")
    assert json.loads(out) == {"written": 1, "unchanged": 3, "out": "generated"}


# Manifests.


def test_a_manifest_describes_every_file(write, folder, catalogue):
    """Each entry has exactly the hash of the file, the fields of its variant and the versions that wrote it."""
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
    """Files and entries outside the selection do not change."""
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
    """Rendering all at once, separately or in reverse order writes the same manifest."""
    resnet = catalogue.architecture("ResNet")
    chosen = [catalogue.variant(number) for number in (2, 9, 31)]
    output.generate(catalogue, output.pairs([resnet], chosen), tmp_path / "a")
    output.generate(catalogue, [(resnet, variant) for variant in reversed(chosen)], tmp_path / "b")
    for variant in (chosen[1], chosen[2], chosen[0]):
        output.generate(catalogue, [(resnet, variant)], tmp_path / "c")
    bytes_of = [(tmp_path / name / "ResNet" / "manifest.json").read_bytes() for name in "abc"]
    assert bytes_of[0] == bytes_of[1] == bytes_of[2]


def test_each_architecture_has_a_manifest_of_its_own(write, tmp_path):
    """Rendering a model does not change the folder of another model."""
    write(1)
    before = snapshot(tmp_path / "out")
    write(1, model="ResNet18")
    assert {key: value for key, value in snapshot(tmp_path / "out").items() if key in before} == before
    assert manifest(tmp_path / "out" / "ResNet18")["A0_001"]["architecture"] == "ResNet18"


@pytest.mark.parametrize("key", VERSIONS)
def test_an_entry_of_another_version_is_updated(write, folder, key):
    """An entry written by another version is updated; the file is not rewritten when its text is equal."""
    write(1)
    rewrite(folder, "A0_001", **{key: "older"})
    before = snapshot(folder)[str(folder / "A0_001.py")]
    report = write(1)
    assert (report.written, report.unchanged) == (0, 1)
    assert manifest(folder)["A0_001"][key] != "older"
    assert snapshot(folder)[str(folder / "A0_001.py")] == before


def test_a_file_of_an_older_catalogue_is_overwritten_without_force(write, folder):
    """A file whose hash is in the manifest is overwritten without ``--force``."""
    write(1)
    path = folder / "A0_001.py"
    expected = path.read_text()
    path.write_text("# as an older catalogue rendered it\n")
    rewrite(folder, "A0_001", sha256=hashlib.sha256(path.read_bytes()).hexdigest(), catalogue="older")
    assert write(1).written == 1
    assert path.read_text() == expected


def test_a_deleted_file_is_written_again(write, folder):
    """A file that is missing is written although the manifest has its entry."""
    write(1, 2)
    expected = (folder / "A0_002.py").read_bytes()
    (folder / "A0_002.py").unlink()
    report = write(1, 2)
    assert (report.written, report.unchanged) == (1, 1)
    assert (folder / "A0_002.py").read_bytes() == expected


def test_a_missing_manifest_is_written_again(write, folder):
    """Files that equal the catalogue's text are accepted without a manifest, and the manifest is written again."""
    write(1, 2)
    before = manifest(folder)
    (folder / "manifest.json").unlink()
    report = write(1, 2)
    assert (report.written, report.unchanged) == (0, 2)
    assert manifest(folder) == before


@pytest.mark.parametrize("key", ["unit", "hyperparameters", "number"])
def test_a_wrong_manifest_entry_is_corrected(write, mismatches, folder, key):
    """A render corrects the entries that ``--check`` reports."""
    write(1)
    rewrite(folder, "A0_001", **{key: "wrong"})
    write(1)
    assert mismatches(1) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "5", "{}", '{"files": []}', '{"files": {"A0_001": 5}}', '{"files": null}']
)
def test_a_corrupt_manifest_is_an_error_and_nothing_is_written(write, mismatches, folder, content):
    """A corrupt manifest is an error with its path, for a render and for a check, and is not overwritten."""
    write(1)
    (folder / "manifest.json").write_text(content)
    before = snapshot(folder)
    for action in (write, mismatches):
        with pytest.raises(OutputError, match=f"^{folder / 'manifest.json'}: not a manifest: "):
            action(1, 2)
    assert snapshot(folder) == before


def test_a_manifest_that_is_not_utf8_is_an_error(write, folder):
    """A manifest that is not UTF-8 is an error with its path."""
    write(1)
    (folder / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError, match=f"^{folder / 'manifest.json'}: not a manifest: 'utf-8' codec can't decode"):
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
    """A selection with an edited file is an error, and none of its files is written."""
    write(1, 2)
    path = folder / "A0_002.py"
    with path.open("w", newline="") as file:
        file.write(edit(path.read_text()))
    before = snapshot(folder)
    with pytest.raises(EditedFileError, match=f"^{path} was changed by hand: nothing was written "):
        write(1, 2, 3)
    assert snapshot(folder) == before
    assert not list(folder.parent.rglob("*.tmp"))


def test_the_number_of_edited_files_is_reported(write, folder):
    """The message has the path of the first edited file and the number of the others."""
    write(1, 2, 3)
    for stem in ("A0_001.py", "A0_003.py"):
        (folder / stem).write_text("mine")
    with pytest.raises(EditedFileError, match=f"^{folder / 'A0_001.py'} and 1 more was changed by hand: "):
        write(1, 2, 3)


def test_a_file_without_a_manifest_is_not_overwritten(write, folder):
    """A file that lrgen did not write is not overwritten."""
    folder.mkdir(parents=True)
    (folder / "A0_001.py").write_text("mine")
    with pytest.raises(EditedFileError):
        write(1)
    assert (folder / "A0_001.py").read_text() == "mine"
    assert list(folder.iterdir()) == [folder / "A0_001.py"]


def test_force_overwrites_edited_files(lrgen, tmp_path):
    """An edited file ends with exit code 2 and a hint; with ``--force`` it is overwritten."""
    lrgen("render", "--variant", "1")
    path = tmp_path / "generated" / "ResNet" / "A0_001.py"
    expected = path.read_bytes()
    path.write_text("mine")
    code, _, err = lrgen("render", "--variant", "1")
    assert code == 2
    assert "generated/ResNet/A0_001.py was changed by hand" in err
    assert "--force" in err
    assert path.read_text() == "mine"
    assert lrgen("render", "--variant", "1", "--force")[0] == 0
    assert path.read_bytes() == expected
    assert lrgen("render", "--variant", "1", "--check")[0] == 0


def test_an_edited_file_outside_the_selection_is_ignored(write, folder):
    """A file outside the selection may be edited."""
    write(1, 2)
    (folder / "A0_002.py").write_text("mine")
    assert write(1).unchanged == 1
    assert (folder / "A0_002.py").read_text() == "mine"


# --check.


def test_check_passes_after_a_render(lrgen):
    """``--check`` after a render exits with 0 and prints the number of files."""
    lrgen("render", "--variant", "1-5")
    code, out, _ = lrgen("render", "--variant", "1-5", "--check")
    assert (code, out) == (0, "5 files checked, 0 differences\n")


def test_check_writes_nothing_and_exits_1_with_a_diff(lrgen, tmp_path):
    """Missing, edited and stray files and wrong manifest entries are reported, and nothing is written."""
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
    assert [line for line in lines if line.startswith("-") and "gamma" in line and "0.2" in line]
    assert [line for line in lines if line.startswith("+") and "gamma" in line and "0.1" in line]
    assert {"-unit: 'batch'", "+unit: 'epoch'"} <= set(lines)
    assert lines[-1] == "4 files checked, 4 differences"
    assert snapshot(tmp_path) == before


def test_check_reports_mismatches_as_json(lrgen, tmp_path):
    """``--check --json`` prints an array of path, reason and diff; the exit code is the same."""
    code, out, _ = lrgen("render", "--variant", "1", "--check", "--json")
    [mismatch] = json.loads(out)
    assert code == 1
    assert (mismatch["path"], mismatch["reason"]) == ("generated/ResNet/A0_001.py", "is missing")
    assert "+def make_scheduler" in mismatch["diff"]
    assert list(tmp_path.iterdir()) == []
    lrgen("render", "--variant", "1")
    assert lrgen("render", "--variant", "1", "--check", "--json")[:2] == (0, "[]\n")


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_manifest_entry_is_a_mismatch(write, mismatches, folder, key):
    """Each field of an entry is compared with the catalogue."""
    write(1)
    rewrite(folder, "A0_001", **{key: "wrong"})
    [mismatch] = mismatches(1)
    assert mismatch.path == folder / "manifest.json"
    assert f"-{key}: 'wrong'\n+{key}: " in mismatch.diff


@pytest.mark.parametrize("key", VERSIONS)
def test_the_versions_of_an_entry_are_not_compared(write, mismatches, folder, key):
    """``--check`` ignores the versions of an entry."""
    write(1)
    rewrite(folder, "A0_001", **{key: "older"})
    assert mismatches(1) == []


def test_a_missing_manifest_entry_is_a_mismatch(write, mismatches, folder):
    """A file without a manifest entry is a mismatch."""
    write(1)
    (folder / "manifest.json").unlink()
    [mismatch] = mismatches(1)
    assert mismatch.reason == "describes A0_001 differently"


def test_an_entry_of_no_variant_is_a_mismatch(write, mismatches, folder):
    """A manifest entry that belongs to no variant is a mismatch."""
    write(1)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["files"]["A0_999"] = content["files"]["A0_001"]
    path.write_text(json.dumps(content))
    assert [mismatch.path for mismatch in mismatches(1)] == [path]


def test_other_line_endings_are_a_mismatch(write, mismatches, folder):
    """``--check`` compares bytes, as a render does."""
    write(1)
    path = folder / "A0_001.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    [mismatch] = mismatches(1)
    assert mismatch.path == path


def test_a_file_that_is_not_utf8_is_an_error(write, mismatches, folder):
    """A file that is not UTF-8 is an error with its path."""
    write(1)
    (folder / "A0_001.py").write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError, match=f"^{folder / 'A0_001.py'}: cannot be read: "):
        mismatches(1)


def test_the_committed_files_are_what_the_catalogue_renders(catalogue):
    """generated/ResNet equals what the catalogue renders."""
    pairs = output.pairs([catalogue.architecture("ResNet")], catalogue.variants)
    assert output.check(catalogue, pairs, REPOSITORY / "generated") == []


# A render that changes nothing.


def test_a_second_render_writes_nothing_and_loads_no_renderer(tmp_path):
    """A render without changes imports neither black, Jinja nor torch and writes no file."""
    selection = ("render", "--all", "--variant", "1-50")
    first = run_lrgen(tmp_path, *selection)
    assert first.returncode == 0, first.stderr
    assert {"black", "jinja2"} <= set(json.loads(first.stderr.splitlines()[-1]))
    before = snapshot(tmp_path)
    second = run_lrgen(tmp_path, *selection)
    loaded = {name.split(".")[0] for name in json.loads(second.stderr.splitlines()[-1])}
    assert "0 files written" in second.stdout
    assert loaded & {"black", "jinja2", "torch"} == set()
    assert snapshot(tmp_path) == before


# Output that cannot be written.


def fill(monkeypatch: pytest.MonkeyPatch, room: int = 0) -> None:
    """Fail all writes after the first ``room`` with ENOSPC, half of their text written."""
    write_text = Path.write_text
    remaining = [room]

    def write(path: Path, text: str, **options: str) -> int:
        remaining[0] -= 1
        if remaining[0] >= 0:
            return write_text(path, text, **options)
        write_text(path, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", write)


def stale(folder: Path, *stems: str) -> None:
    """Replace files by those of an older catalogue."""
    for stem in stems:
        path = folder / f"{stem}.py"
        path.write_text("# older\n")
        rewrite(folder, stem, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), catalogue="older")


def test_a_full_disk_leaves_the_old_files(write, folder, monkeypatch):
    """A full disk is an error with path and reason, and leaves neither partial nor temporary files."""
    write(1, 2)
    stale(folder, "A0_001")
    before = snapshot(folder)
    with monkeypatch.context() as patch:
        fill(patch)
        with pytest.raises(OutputError, match=f"^{folder}/.*: cannot be written: No space left on device$"):
            write(1, 2)
    assert snapshot(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["A0_001.py", "A0_002.py", "manifest.json"]
    assert write(1, 2).written == 1


def test_a_write_that_the_system_cuts_short_leaves_the_old_files(write, folder):
    """A write that the kernel cuts short is an error and leaves the old files."""
    write(1)
    stale(folder, "A0_001")
    entries = manifest(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=f"^{folder / 'A0_001.py'}: cannot be written: File too large$"):
            write(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder / "A0_001.py").read_text() == "# older\n"
    assert manifest(folder) == entries
    assert sorted(path.name for path in folder.iterdir()) == ["A0_001.py", "manifest.json"]


def test_a_rename_that_fails_leaves_the_old_files(write, folder, monkeypatch):
    """A failed rename is an error and leaves the old files."""
    write(1)
    stale(folder, "A0_001")
    before = snapshot(folder)

    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OutputError, match=f"^{folder}/A0_001.py: cannot be written: No space left on device$"):
            write(1)
    assert snapshot(folder) == before


def names_and_bytes(folder: Path) -> dict[str, bytes]:
    """The content of each file of a folder; a folder in it is an error."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("room", range(4))
def test_a_disk_that_fills_up_on_the_way_leaves_all_files_and_the_manifest_as_they_were(
    write, folder, monkeypatch, room
):
    """Whichever write finds the disk full, the files and the manifest keep their content, and no other file is left."""
    write(1, 2)
    stale(folder, "A0_001", "A0_002")
    before = names_and_bytes(folder)
    with monkeypatch.context() as patch:
        fill(patch, room=room)
        with pytest.raises(OutputError, match="No space left on device$"):
            write(1, 2, 3)
    assert names_and_bytes(folder) == before
    assert write(1, 2, 3).written == 3


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), KeyboardInterrupt()])
@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_failure_at_any_rename_leaves_all_files_and_the_manifest_as_they_were(
    write, folder, monkeypatch, error, step, after
):
    """A rename that fails, or an interrupt before or after it, leaves every file and the manifest as they were."""
    write(1, 2)
    stale(folder, "A0_001", "A0_002")
    before = names_and_bytes(folder)
    replace = os.replace
    remaining = [step]

    def fail(source: Path, path: Path) -> None:
        remaining[0] -= 1
        if remaining[0] == -1:
            if after:
                replace(source, path)
            raise error
        replace(source, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises((OutputError, KeyboardInterrupt)):
            write(1, 2, 3)
    assert names_and_bytes(folder) == before
    assert write(1, 2, 3).written == 3


def test_an_output_folder_that_cannot_be_created_is_an_error(lrgen, tmp_path):
    """An output folder below a regular file ends with exit code 2, the path and the reason."""
    (tmp_path / "file").write_text("mine")
    code, out, err = lrgen("render", "--variant", "1", "--out", "file/out")
    assert (code, out) == (2, "")
    assert "file/out/ResNet" in err
    assert "Not a directory" in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_in_place_of_a_models_folder_is_an_error(write, tmp_path):
    """A regular file at ``out/ResNet`` is an error and is not overwritten."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ResNet").write_text("mine")
    with pytest.raises(OutputError, match=f"^{tmp_path / 'out/ResNet'}"):
        write(1)
    assert (tmp_path / "out" / "ResNet").read_text() == "mine"


def test_a_folder_in_place_of_a_file_is_an_error(write, folder):
    """A folder at ``A0_001.py`` is an error with its path."""
    (folder / "A0_001.py").mkdir(parents=True)
    with pytest.raises(OutputError, match=f"^{folder / 'A0_001.py'}: cannot be read: "):
        write(1)
    assert [path.name for path in folder.iterdir()] == ["A0_001.py"]


def test_a_broken_catalogue_is_found_before_anything_is_written(catalogue, tmp_path, monkeypatch):
    """Every file of a selection is rendered before the first is written."""
    from lrgen.errors import CatalogueError
    from lrgen.render.renderer import Renderer

    render = Renderer.render

    def broken(self: Renderer, architecture: Any, variant: Any) -> Any:
        if variant.number == 3:
            raise CatalogueError("variant 3 is broken")
        return render(self, architecture, variant)

    monkeypatch.setattr(Renderer, "render", broken)
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(number) for number in (1, 2, 3)])
    with pytest.raises(CatalogueError):
        output.generate(catalogue, pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_progress_advances_once_per_file(catalogue, tmp_path):
    """``advance`` is called once per file, written or unchanged."""
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(1), catalogue.variant(2)])
    output.generate(catalogue, pairs[:1], tmp_path / "out")
    calls: list[None] = []
    output.generate(catalogue, pairs, tmp_path / "out", advance=lambda: calls.append(None))
    assert len(calls) == 2


def test_the_digest_of_an_entry_covers_the_users_templates(catalogue, tmp_path):
    """An entry that was written with other templates is updated."""
    own = tmp_path / "own" / "schedulers"
    own.mkdir(parents=True)
    (own / "notes.toml").write_text("")
    wider = catalogues.load([tmp_path / "own"])
    pairs = output.pairs([catalogue.architecture("ResNet")], [catalogue.variant(1)])
    for loaded in (catalogue, wider):
        output.generate(loaded, pairs, tmp_path / "out")
        assert manifest(tmp_path / "out" / "ResNet")["A0_001"]["catalogue"] == loaded.digest
    assert wider.digest != catalogue.digest
