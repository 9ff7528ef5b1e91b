"""The command line: what it prints where, with which exit code, and what it loads for it."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import lrgen as package
from lrgen import cli
from lrgen.records import Stage
from lrgen.verify import run as verify
from tests.paths import FIXTURES

GOOD = FIXTURES / "training" / "passes_epoch_unit.py"  # claims variant 1
BAD = FIXTURES / "contract" / "fails_no_net.py"
LONG = "a_network_with_a_very_long_name_" * 4
VERIFY_ALL = ("verify", ".", "--as", "1", "--epochs", "5", "--device", "cpu")
EXAMINE = ("--stage", "contract", "--device", "cpu")
COLOUR = re.compile(r"\x1b\[[0-9;]*?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


def copy(source: Path, target: Path, more: str = "") -> str:
    """A file in the current folder, by its name there."""
    target.write_bytes(source.read_bytes() + more.encode())
    return target.name


@pytest.fixture
def good(tmp_path: Path) -> str:
    return copy(GOOD, tmp_path / "good.py")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return copy(BAD, tmp_path / "bad.py")


def one_document(text: str) -> Any:
    """The value of exactly one strict JSON document."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def widest(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


# Exit codes.


@pytest.mark.parametrize(
    ("names", "options", "code"),
    [
        (["good.py"], [], 0),
        (["good.py"], ["--strict"], 1),
        (["good.py", "bad.py"], [], 1),
        (["bad.py"], [], 1),
        (["folder"], [], 0),
    ],
)
def test_verify_exits_with_what_it_found(lrgen, good, bad, tmp_path, names, options, code):
    """0 when nothing failed, 1 when a file did; with ``--strict`` every file must be verified."""
    (tmp_path / "folder").mkdir()
    copy(GOOD, tmp_path / "folder" / "also_good.py")
    assert lrgen("verify", *names, *EXAMINE, *options)[0] == code


def test_a_reused_failure_is_a_failure(lrgen, bad):
    """The exit code does not depend on whether a file was run now or before."""
    assert lrgen("verify", bad, *EXAMINE)[0] == 1
    code, out, _ = lrgen("verify", bad, *EXAMINE)
    assert code == 1
    assert "1 results reused" in out
    assert "there is no class Net" in out


def test_render_check_exits_with_what_it_found(lrgen, tmp_path):
    """0 when the files are what the catalogue renders, 1 with a diff when they are not; nothing is written."""
    assert lrgen("render", "--variant", "1-2")[0] == 0
    assert lrgen("render", "--variant", "1-2", "--check")[:2] == (0, "2 files checked, 0 differences\n")
    path = tmp_path / "generated/ResNet/A0_002.py"
    path.write_text(path.read_text().replace("total_steps", "steps"))
    before = path.read_bytes()
    code, out, _ = lrgen("render", "--variant", "1-2", "--check")
    assert code == 1
    assert "generated/ResNet/A0_002.py differs from the catalogue" in out
    assert re.search(r"^\+.*total_steps", out, re.MULTILINE)
    assert path.read_bytes() == before


def interrupt(*_: object, **__: object) -> Iterator[Any]:
    raise KeyboardInterrupt
    yield


def test_an_interrupt_exits_with_130(lrgen, good, monkeypatch):
    """Ctrl-C is neither a failure nor a traceback."""
    monkeypatch.setattr(verify, "verify", interrupt)
    code, out, err = lrgen("verify", good, *EXAMINE)
    assert code == 130
    assert out == ""
    assert "Traceback" not in err


def test_an_interrupt_says_that_nothing_is_lost(lrgen, good, monkeypatch):
    """Who presses Ctrl-C is told that what was finished is kept."""
    monkeypatch.setattr(verify, "verify", interrupt)
    assert "interrupted; what was finished is kept" in lrgen("verify", good, *EXAMINE)[2]


# Wrong use.

WRONG = {
    "render --model ResNett": "unknown model 'ResNett': did you mean ResNet",
    "verify --model resnet19": "unknown model 'resnet19': did you mean ResNet",
    "render --variant StepLR_defalt": "unknown variant 'StepLR_defalt': did you mean StepLR_default",
    "verify --variant 999": "unknown variant '999': ",
    "render --variant 1-999": "unknown variant '999': ",
    "render --family cosin": "unknown family 'cosin': did you mean cosine",
    "list schedules --family cosin": "unknown family 'cosin': did you mean cosine",
    "list schedules --unit batches": "unknown unit 'batches': did you mean batch?",
    "list families --unit epochs": "unknown unit 'epochs': did you mean epoch?",
    "show StepLR_defalt": "unknown variant 'StepLR_defalt': did you mean StepLR_default",
    "show 1 --horizon 0": "horizon must be at least 1, got 0 (variant 1)",
    "show 1 --set gamma=1.5": "gamma must lie in [0.0, 1.0], got 1.5 (variant 1)",
    "show 1 --set warmup_fraction=0.5": "variant 1 has no hyperparameter warmup_fraction",
    "show 37 --set warmup=0.5": "variant 37 has no hyperparameter warmup: it is called warmup_fraction now",
    "plot 31 --set patience=0.1": "variant 31 has no hyperparameter patience: it is called patience_fraction now",
    "show 1 --set gamma=high": "--set takes NAME=VALUE with a number, got 'gamma=high'",
    "show 1 --code --json": "--code and --json exclude each other",
    "plot": "nothing to draw: name schedules, a --family, or --all",
    "plot 1 --all": "--all and a selection exclude each other",
    "plot 1 --horizon -5": "horizon must be at least 1, got -5 (variant 1)",
    "plot 1 --out curves.bmp": "curves.bmp: the suffix must be one of .png, .svg, .pdf, got '.bmp'",
    "plot 1 --out good.py/curves.png": "good.py/curves.png: cannot be written: ",
    "verify good.py --dataset digit": "unknown dataset 'digit': did you mean digits?",
    "verify good.py --stage train": "unknown stage 'train': did you mean training?",
    "verify good.py --device gpu": "device must be auto, cpu, cuda or cuda:N, got 'gpu'",
    "verify good.py --device cuda:99": "device cuda:99 is not here",
    "verify good.py --as StepLR_defalt": "unknown variant 'StepLR_defalt': did you mean StepLR_default",
    "verify good.py --epochs 0": "epochs: Input should be greater than or equal to 1, got 0 (from the command line)",
    "verify good.py --workers -1": "workers: ",
    "verify good.py --seed -1": "seed: ",
    "verify good.py --db nonsense": "db: not a database URL, got 'nonsense'",
    "verify good.py --db mysql://host/name": "db: must be sqlite or postgresql, got 'mysql'",
    "verify good.py --db sqlite:///good.py/results.db": "good.py/results.db: ",
    "verify good.py --db sqlite:///good.py": "good.py: file is not a database",
    "verify nowhere.py": "nowhere.py: cannot be read: No such file or directory",
    "verify good.py --model ResNet": "verify takes either paths or a selection, not both",
    "verify --as 1": "--as needs a path",
    "verify --variant 1 --out good.py": "good.py",
    "render --variant 1 --out good.py": "good.py",
    "render --templates nowhere": "there is no folder of templates at nowhere",
    "results best": "there is no database at db/ab.nn.db: run lrgen verify first",
    "results classes ResNet A0_001": "there is no database at db/ab.nn.db: run lrgen verify first",
    "results failures --db sqlite:///nowhere.db": "there is no database at nowhere.db: run lrgen verify first",
    "results best --db sqlite:///good.py": "good.py: file is not a database",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_told_in_one_sentence(lrgen, good, tmp_path, arguments):
    """Exit code 2, one line on stderr with the value and the nearest names, nothing on stdout, nothing made."""
    before = (tmp_path / good).read_bytes()
    code, out, err = lrgen(*arguments.split())
    assert code == 2
    assert out == ""
    assert err.startswith("lrgen: ")
    assert WRONG[arguments] in err
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert (tmp_path / good).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [good]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epochs = ", "lrgen.toml: not valid TOML: "),
        ("epocs = 3", "epocs: unknown key (from "),
        ('epochs = "many"', "epochs: "),
        ("[verify]\nepochs = 3", "verify: unknown key (from "),
        ('active_model = "ResNett"', "unknown model 'ResNett': did you mean ResNet"),
        ('dataset = "digit"', "unknown dataset 'digit': did you mean digits?"),
        ('device = "gpu"', "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
    ],
)
def test_a_broken_configuration_is_told_in_one_sentence(lrgen, tmp_path, text, told):
    """What is wrong in lrgen.toml is told as what is wrong in a flag, with the place, before anything is rendered."""
    (tmp_path / "lrgen.toml").write_text(text)
    code, out, err = lrgen("verify")
    assert code == 2
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["lrgen.toml"]


@pytest.mark.parametrize(
    "arguments", ["nonsense", "verify --nonsense", "verify --epochs many", "list", "results classes ResNet", ""]
)
def test_what_is_no_command_is_explained(lrgen, tmp_path, arguments):
    """A misspelt command or option is a usage error, with help and without a traceback."""
    code, out, err = lrgen(*arguments.split())
    assert code == 2
    assert "Usage" in out + err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from(lrgen):
    """``--debug`` prints the traceback, and the next command is not affected."""
    assert "Traceback" in lrgen("--debug", "render", "--model", "nobody")[2]
    code, _, err = lrgen("render", "--model", "nobody")
    assert code == 2
    assert "Traceback" not in err


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    command = [sys.executable, "-m", "lrgen", *arguments]
    return subprocess.run(command, env=environ, text=True, check=False, **options)


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder = tmp_path_factory.mktemp("debugged")
    return program("--debug", "list", "schedules", "--family", "cosin", cwd=folder, capture_output=True)


def test_debug_prints_the_traceback(debugged):
    """A bug report can say where an error came from."""
    assert "Traceback (most recent call last)" in debugged.stderr
    assert debugged.stderr.strip().endswith("UnknownNameError: unknown family 'cosin': did you mean cosine?")
    assert debugged.stdout == ""


def test_debug_does_not_change_the_exit_code(debugged):
    """Wrong use is wrong use, with a traceback or without."""
    assert debugged.returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    """``lrgen list schedules | head -0``: no traceback, no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = program("list", "schedules", "--json", cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE)
    assert done.stderr == ""
    assert done.returncode == 0


# JSON, CSV and tables.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good file, one with a very long name and one that fails, and a database that knows all three."""
    folder = tmp_path_factory.mktemp("trained")
    copy(GOOD, folder / "good.py")
    copy(GOOD, folder / f"{LONG}.py", "# long\n")
    copy(FIXTURES / "training" / "fails_parameters_do_not_move.py", folder / "fails.py")
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.chdir(folder)
        with pytest.raises(SystemExit):
            cli.main(["--quiet", *VERIFY_ALL])
    assert "3 files: 2 verified, 1 failed; 0 results reused" in told.getvalue()
    return folder


@pytest.fixture
def filled(lrgen: Callable[..., tuple[int, str, str]], trained: Path, tmp_path: Path) -> Callable[..., Any]:
    """The command line in a copy of that folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return lrgen


@pytest.fixture
def best(filled: Callable[..., Any]) -> list[dict[str, Any]]:
    """The rows of ``results best``."""
    return one_document(filled("results", "best", "--json")[1])


def test_json_is_one_document(filled, best):
    """Each command prints one array, or one object, and nothing else, with ``--json``."""
    key = (best[0]["model_name"], best[0]["scheduler_type"])
    arrays = {
        ("list", "models"): 2,
        ("list", "schedules"): 50,
        ("list", "schedules", "--unit", "metric"): 3,
        ("list", "families"): 5,
        ("results", "best", "--limit", "2"): 2,
        ("results", "classes", *key): 10,
        ("results", "failures"): 1,
        ("render", "--variant", "1-2", "--check"): 2,
        VERIFY_ALL: 3,
        ("verify", "good.py", *EXAMINE): 1,
    }
    for arguments, least in arrays.items():
        found = one_document(filled(*arguments, "--json")[1])
        assert isinstance(found, list), arguments
        assert len(found) >= least, arguments
    for arguments in (["doctor"], ["render", "--variant", "1"], ["show", "1"]):
        code, out, _ = filled(*arguments, "--json")
        assert isinstance(one_document(out), dict), arguments
        assert code == 0


def test_json_of_verify_tells_everything(lrgen, good, bad):
    """A row a file in the order in which they were asked for, with its key, its end and the reason."""
    code, out, _ = lrgen("verify", bad, good, "--as", "1", *EXAMINE, "--json")
    first, second = one_document(out)
    assert code == 1
    assert (first["path"], first["status"], first["stage"]) == ("bad.py", "failed", "contract")
    assert "Net" in first["reason"]
    assert (second["path"], second["status"], second["stage"]) == ("good.py", "passed", "contract")
    assert (second["variant"], second["unit"]) == ("StepLR_default", "epoch")
    assert second["scheduler_type"] == f"file-{second['sha256'][:8]}"
    assert (second["reused"], second["accuracy"]) == (False, None)


def test_csv_is_a_table(filled):
    """Each result table is CSV with a header as well, and a line a row."""
    _, out, err = filled("results", "best", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) >= 2
    assert {"model_name", "scheduler_type", "accuracy", "epoch"} <= set(rows[0])
    assert 0 <= float(rows[0]["accuracy"]) <= 1
    _, out, _ = filled("results", "classes", rows[0]["model_name"], rows[0]["scheduler_type"], "--csv")
    assert [row["class_name"] for row in csv.DictReader(io.StringIO(out))] == list("0123456789")
    _, out, _ = filled("results", "failures", "--csv")
    assert [row["model_name"] for row in csv.DictReader(io.StringIO(out))] == ["fails"]
    assert err == ""


def test_a_cell_of_csv_can_be_read(filled):
    """Hyperparameters are JSON in their cell, as they are in the database."""
    _, out, _ = filled("results", "best", "--csv")
    for row in csv.DictReader(io.StringIO(out)):
        assert json.loads(row["hyperparameters"])["lr"] > 0


def test_the_header_of_csv_is_always_the_same(filled, lrgen, good, tmp_path):
    """A program that reads the table finds the same columns whether there are rows or none."""
    _, some, _ = filled("results", "failures", "--csv")
    lrgen("--quiet", "verify", good, *EXAMINE, "--db", "sqlite:///other.db")
    _, none, _ = lrgen("results", "failures", "--csv", "--db", "sqlite:///other.db")
    assert none.splitlines() == some.splitlines()[:1]


def test_json_and_csv_exclude_each_other(filled):
    """Asking for both is wrong use."""
    code, out, err = filled("results", "best", "--json", "--csv")
    assert (code, out) == (2, "")
    assert "--json and --csv exclude each other" in err


def test_tables_fit_a_hundred_columns(filled, best):
    """Whatever the names are, no line of a table is wider than a hundred columns."""
    key = next((row["model_name"], row["scheduler_type"]) for row in best if row["model_name"] == LONG)
    tables = [
        ["list", "models"],
        ["list", "schedules"],
        ["list", "families"],
        ["results", "best"],
        ["results", "failures"],
        ["results", "classes", *key],
        VERIFY_ALL,
        ["doctor"],
    ]
    for arguments in tables:
        assert 0 < widest(filled(*arguments)[1]) <= 100, arguments


def test_what_does_not_fit_goes_on_in_the_next_line(filled):
    """Nothing of a long name is lost in the tables of results."""
    out = filled("results", "best")[1]
    assert LONG in "".join(line.split("  ")[0].strip() for line in out.splitlines())


def test_a_long_name_is_told_whole_by_verify(filled):
    """A name that is too long for its column goes on in the next line."""
    out = filled(*VERIFY_ALL)[1]
    table = out.split("\nfails/")[0]
    assert LONG in "".join(line.split("  ")[0].strip() for line in table.splitlines())


def test_verify_ends_with_a_table_and_totals(lrgen, good, bad):
    """File, schedule, unit, status, training, accuracy, seconds; the failures with their reasons; a line of totals."""
    code, out, _ = lrgen("verify", good, bad, "--as", "1", *EXAMINE)
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].split() == ["file", "schedule", "unit", "status", "training", "accuracy", "seconds"]
    assert re.fullmatch(r"good/file-\w{8}\s+StepLR_default\s+epoch\s+passed: contract\s+–\s+–\s+\d+\.\d", lines[1])
    assert re.fullmatch(r"bad/file-\w{8}\s+StepLR_default\s+epoch\s+failed\s+–\s+–\s+\d+\.\d", lines[2])
    assert re.fullmatch(r"bad/file-\w{8} contract: .*\bNet\b.*", lines[3])
    totals = r"2 files: 1 passed up to contract, 1 failed; 0 results reused; \d+ s; recorded in sqlite:///db/ab.nn.db"
    assert re.fullmatch(totals, lines[-1])
    assert code == 1


def test_names_are_no_markup(lrgen, tmp_path):
    """A file may be called as it likes: brackets neither vanish nor break the table or the progress."""
    for name in ("[bold]x[", "a[link=1]", "b[red]"):
        copy(BAD, tmp_path / f"{name}.py", f"# {name}\n")
    code, out, err = lrgen("verify", ".", *EXAMINE)
    assert code == 1
    for name in ("[bold]x[", "a[link=1]", "b[red]"):
        assert out.count(f"{name}/file-") == 2  # in the table and in the reasons
        assert err.count(f"{name}/file-") == 1


def test_an_unknown_result_is_told(filled):
    """Classes of what was never trained are an error that says so."""
    code, out, err = filled("results", "classes", "ResNet", "A0_049")
    assert (code, out) == (2, "")
    assert "no class metrics of ResNet A0_049" in err


# Help.


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command by its words."""
    if not hasattr(command, "commands"):
        yield path
        return
    for name, inner in command.commands.items():
        yield from commands(inner, *path, name)


COMMANDS = list(commands(typer.main.get_command(cli.app)))


def test_these_are_the_commands():
    """What the documents name is there."""
    wanted = {"render", "verify", "show", "plot", "doctor", "list models", "list schedules", "list families"}
    wanted |= {"results best", "results classes", "results failures"}
    assert wanted <= {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example(lrgen, path):
    """The help of every command has an example of that very command, in lines that fit a terminal."""
    code, out, err = lrgen(*path, "--help")
    assert (code, err) == (0, "")
    assert f"Example: lrgen {' '.join(path)}" in " ".join(out.split())
    assert widest(out) <= 100
    assert lrgen(*path, "-h")[1] == out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path):
    """No option is without a sentence of help."""
    command: Any = typer.main.get_command(cli.app)
    for name in path:
        command = command.commands[name]
    unexplained = [parameter.name for parameter in command.params if not (getattr(parameter, "help", None) or "")]
    assert [name for name in unexplained if name != "help"] == []


def test_the_examples_of_list_and_doctor_work(lrgen):
    """What the help shows can be typed as it stands."""
    for path in COMMANDS:
        if path[0] not in ("list", "doctor"):
            continue
        text = " ".join(lrgen(*path, "--help")[1].replace("│", " ").split())
        for example in re.findall(r"Example: lrgen ((?:[a-z]+ ?)+(?:--[a-z]+ ?[a-z]*)*)", text):
            code, out, err = lrgen(*example.split())
            assert (code, err) == (0, ""), example
            assert out


def test_version_is_that_of_the_package(lrgen):
    """``lrgen --version`` prints one line."""
    assert lrgen("--version") == (0, f"lrgen {package.__version__}\n", "")


# Where files are verified.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--slots", "2"], "--slots is for a GPU: on the CPU --workers says how many files run at a time"),
        (["--isolation", "chroot"], "unknown isolation 'chroot': known: process, sandbox"),
        (["--engine", "slurm"], "unknown engine 'slurm': known: local, ray"),
        (["--address", "host:1"], "--address is that of a Ray cluster: it needs --engine ray"),
        (["--since", "nowhere.json"], "nowhere.json: there is no such manifest"),
    ],
)
def test_what_cannot_be_asked_of_verify_is_one_sentence(lrgen, good, arguments, told):
    """An option that means nothing here is named before anything is run."""
    code, out, err = lrgen("verify", good, "--device", "cpu", *arguments)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())


def test_a_foreign_file_is_verified_in_a_sandbox_and_the_result_says_so(lrgen, good):
    """The JSON names the level; what accepts the risk is a flag."""
    _, out, _ = lrgen("verify", good, *EXAMINE, "--json")
    assert json.loads(out)[0]["isolation"] in ("namespaces", "landlock")
    _, out, _ = lrgen("verify", good, *EXAMINE, "--json", "--force", "--isolation", "process")
    assert json.loads(out)[0]["isolation"] == "process"


def test_a_file_without_a_claim_is_unclaimed_and_the_table_says_what_to_give(lrgen, good):
    """It is no failure, but not verified either; ``--json`` has the stage, and the table is followed by a hint."""
    options = (good, "--stage", "schedule", "--device", "cpu")
    code, out, _ = lrgen("verify", *options)
    *_, row, hint, totals = out.splitlines()
    assert code == 0
    assert re.match(r"good/file-\w{8}\s+–\s+–\s+unclaimed ", row)
    assert "--as VARIANT" in hint
    assert totals.startswith("1 file: 1 unclaimed; 0 results reused; ")
    code, out, _ = lrgen("verify", *options, "--strict", "--json")
    (row,) = one_document(out)
    assert code == 1
    assert (row["status"], row["stage"]) == ("unclaimed", "schedule")
    assert row["reason"] == "there is no variant to compare its schedule with"


def test_a_verified_file_is_good_enough_for_strict(filled):
    """``--strict`` exits 0 when every file is verified; its stage is the last check, and there is no hint."""
    command = ["good.py" if argument == "." else argument for argument in VERIFY_ALL]
    code, out, _ = filled(*command, "--strict", "--json")
    (row,) = one_document(out)
    assert (code, row["reused"]) == (0, True)
    assert (row["status"], row["stage"], row["reason"]) == ("verified", "training", "")
    assert "--as" not in filled(*command)[1]


# Progress.


def test_progress_is_plain_without_a_terminal(lrgen, good, bad):
    """A line a file on stderr, with the count, the end and the reason; the table alone is on stdout."""
    _, out, err = lrgen("verify", good, bad, *EXAMINE, "--workers", "1")
    first, second = err.splitlines()
    assert re.fullmatch(r"\[1/2\] good/file-\w{8} passed: contract \d+\.\d s, \d+ s left", first)
    assert re.fullmatch(r"\[2/2\] bad/file-\w{8} failed \d+\.\d s: contract: .*Net.*", second)
    assert "[1/2]" not in out
    assert "\x1b" not in out + err


def test_progress_says_what_is_reused(lrgen, good, bad):
    """What is known is told in one line, what is new in a line each."""
    lrgen("verify", good, *EXAMINE)
    _, _, err = lrgen("verify", good, bad, *EXAMINE)
    first, second = err.splitlines()
    assert first == "1 of 2 results are known already and are reused"
    assert second.startswith("[2/2] bad/file-")


def test_quiet_means_no_progress(lrgen, good, bad):
    """With ``-q`` stderr stays empty, and the table is the same."""
    code, out, err = lrgen("-q", "verify", good, bad, *EXAMINE)
    assert (code, err) == (1, "")
    assert "2 files: 1 passed up to contract, 1 failed" in out


def test_verbose_shows_what_a_file_prints(lrgen, tmp_path):
    """With ``-v`` a file's own output is told after its line."""
    source = GOOD.read_text().replace("self.to(self.device)", 'print("said [bold]by[/] the file")')
    (tmp_path / "talks.py").write_text(source)
    assert "said [bold]by[/] the file" in lrgen("-v", "verify", "talks.py", *EXAMINE)[2]
    assert "by the file" not in lrgen("verify", "talks.py", *EXAMINE, "--force")[2]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs the command line on a terminal of its own → exit code, everything that was written to it."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("LRGEN_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, columns: int = 100, term: str = "xterm-256color") -> tuple[int, str]:
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("COLUMNS", str(columns))  # the size of descriptor 1 would be asked, which is not this one
        mine, theirs = os.openpty()
        told = bytearray()

        def read() -> None:
            with contextlib.suppress(OSError):  # the other side was closed
                while data := os.read(mine, 1 << 16):
                    told.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patch, os.fdopen(theirs, "w", encoding="utf-8") as screen:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            with pytest.raises(SystemExit) as ended:
                cli.main(arguments)
        reader.join()
        os.close(mine)
        return int(ended.value.code or 0), told.decode()

    return run


def test_a_terminal_gets_a_progress_bar(terminal, good, bad):
    """The bar says what is being done, how many files are done, and how many have failed."""
    code, told = terminal("verify", bad, good, *EXAMINE, "--workers", "1")
    assert code == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told)
    assert "verifying" in plain
    assert re.search(r"verifying .*0/2", plain)
    assert re.search(r"1/2 .*1 failed", plain)
    assert "[1/2]" not in plain  # no plain lines beside it
    assert "2 files: 1 passed up to contract, 1 failed" in plain


def test_quiet_means_no_bar(terminal, good):
    """With ``-q`` a terminal gets the table alone."""
    _, told = terminal("-q", "verify", good, *EXAMINE)
    assert "verifying" not in told
    assert "1 passed up to contract; 0 results reused" in told


def test_colours_are_for_terminals_that_want_them(terminal, good, bad, monkeypatch):
    """A terminal gets colours unless NO_COLOR is set; the text is the same."""
    _, colourful = terminal("-q", "verify", good, bad, *EXAMINE)
    monkeypatch.setenv("NO_COLOR", "1")
    _, plain = terminal("-q", "verify", good, bad, *EXAMINE)
    assert COLOUR.search(colourful)
    assert not COLOUR.search(plain)
    assert "passed: contract" in plain


def test_a_dumb_terminal_gets_plain_lines(terminal, good):
    """Where no bar can be drawn, the lines are written that a file would get, without escape sequences."""
    _, told = terminal("verify", good, *EXAMINE, term="dumb")
    assert "[1/1] good/file-" in told
    assert "\x1b" not in told


def test_a_narrow_terminal_is_respected(terminal, good, bad):
    """On a terminal of sixty columns the table folds."""
    _, told = terminal("-q", "verify", good, bad, "--as", "1", *EXAMINE, columns=60)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told)
    assert widest(plain) <= 60
    assert "passed: contract" in plain
    assert "failed" in plain


# What is loaded.

STARTS = """
import json, sys
from lrgen.cli import main
loaded = []
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        loaded.append([end.code, sorted({name.split(".")[0] for name in sys.modules})])
print(json.dumps(loaded), file=sys.stderr)
"""


def test_small_commands_load_little(lrgen, good, tmp_path):
    """Listing loads neither torch nor the database, an unchanged render no formatter, a look-up no torch."""
    lrgen("-q", "render", "--variant", "1-2")
    lrgen("-q", "verify", good, *EXAMINE)
    light = [["list", "models"], ["list", "schedules", "--json"], ["list", "families"], ["--version"]]
    todo = [
        *light,
        ["render", "--variant", "1-2"],
        ["results", "failures"],
        ["results", "best", "--json"],
        ["show", "1"],
    ]
    command = [sys.executable, "-c", STARTS, json.dumps(todo)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert [code for code, _ in loaded] == [0] * len(todo)
    heavy = {"torch", "sklearn", "scipy", "pandas", "matplotlib", "numpy", "sqlalchemy", "black", "jinja2", "PIL"}
    for arguments, (_, modules) in zip(todo, loaded, strict=True):
        allowed = {"sqlalchemy", "numpy"} if arguments[0] in ("results", "show") else set()
        assert heavy & set(modules) <= allowed, arguments


def test_every_stage_is_offered(lrgen):
    """The help of verify names the stages as they are called."""
    out = lrgen("verify", "--help")[1]
    assert all(stage.value in out for stage in Stage)
