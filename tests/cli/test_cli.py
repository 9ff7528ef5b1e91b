"""The command line: output, exit codes, and the modules that each command imports."""

import contextlib
import csv
import errno
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
from lrgen.cli.printing import counted
from lrgen.records import Stage
from lrgen.verify import run as verify
from tests.paths import FIXTURES

GOOD = FIXTURES / "training" / "passes_epoch_unit.py"  # claims variant 1
BAD = FIXTURES / "contract" / "fails_no_net.py"
LONG = "a_network_with_a_very_long_name_" * 4
VERIFY_ALL = ("verify", ".", "--as", "1", "--epochs", "5", "--device", "cpu")
EXAMINE = ("--stage", "contract", "--device", "cpu")
COLOUR = re.compile(r"\x1b\[[0-9;]*?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


def copy(source: Path, target: Path, appended: str = "") -> str:
    """Copy a file with a text appended to it; returns the name of the copy."""
    target.write_bytes(source.read_bytes() + appended.encode())
    return target.name


@pytest.fixture
def good(tmp_path: Path) -> str:
    return copy(GOOD, tmp_path / "good.py")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return copy(BAD, tmp_path / "bad.py")


def one_document(text: str) -> Any:
    """The value of a text that is one strict JSON document."""

    def reject(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=reject)


def widest(text: str) -> int:
    """The length of the longest line."""
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
def test_the_exit_code_of_verify_says_whether_a_file_failed(lrgen, good, bad, tmp_path, names, options, code):
    """Verify exits with 0 if no file failed, else with 1; with ``--strict`` every file must be verified."""
    (tmp_path / "folder").mkdir()
    copy(GOOD, tmp_path / "folder" / "also_good.py")
    assert lrgen("verify", *names, *EXAMINE, *options)[0] == code


def test_a_cached_failure_is_a_failure(lrgen, bad):
    """A failure that is reused from the cache exits with 1 as well."""
    assert lrgen("verify", bad, *EXAMINE)[0] == 1
    code, out, _ = lrgen("verify", bad, *EXAMINE)
    assert code == 1
    assert "1 result reused" in out
    assert "the file defines no class Net" in out


def test_render_check_exits_with_1_if_a_file_differs(lrgen, tmp_path):
    """``render --check`` exits with 0 if the files equal the catalogue's, else with 1 and a diff; it writes nothing."""
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
    """A verification that is interrupted before its first outcome."""
    raise KeyboardInterrupt
    yield


def test_an_interrupt_exits_with_130(lrgen, good, monkeypatch):
    """An interrupt exits with 130, without a traceback and without output."""
    monkeypatch.setattr(verify, "verify", interrupt)
    code, out, err = lrgen("verify", good, *EXAMINE)
    assert code == 130
    assert out == ""
    assert "Traceback" not in err


def test_an_interrupt_reports_that_finished_results_are_kept(lrgen, good, monkeypatch):
    """The message on an interrupt says that finished results are kept."""
    monkeypatch.setattr(verify, "verify", interrupt)
    assert lrgen("verify", good, *EXAMINE)[2] == "lrgen: interrupted; finished results are kept\n"


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
    "plot": "nothing to plot: name schedules, a --family, or --all",
    "plot 1 --all": "--all and a selection exclude each other",
    "plot 1 --horizon -5": "horizon must be at least 1, got -5 (variant 1)",
    "plot 1 --out curves.bmp": "curves.bmp: the suffix must be one of .png, .svg, .pdf, got '.bmp'",
    "plot 1 --out good.py/curves.png": "good.py/curves.png: cannot be written: ",
    "verify good.py --dataset digit": "unknown dataset 'digit': did you mean digits?",
    "verify good.py --stage train": "unknown stage 'train': did you mean training?",
    "verify good.py --device gpu": "device must be auto, cpu, cuda or cuda:N, got 'gpu'",
    "verify good.py --device cuda:99": "device cuda:99 does not exist",
    "verify good.py --as StepLR_defalt": "unknown variant 'StepLR_defalt': did you mean StepLR_default",
    "verify good.py --epochs 0": "epochs: Input should be greater than or equal to 1, got 0 (from the command line)",
    "verify good.py --workers -1": "workers: ",
    "verify good.py --seed -1": "seed: ",
    "verify good.py --case-seed many": "case seed: expected an integer from 0 to 9223372036854775807, got 'many'",
    "verify good.py --case-seed=-1": "case seed: expected an integer from 0 to 9223372036854775807, got '-1'",
    f"verify good.py --case-seed {2**63}": "case seed: expected an integer from 0 to 9223372036854775807, got 92233720",
    "verify good.py --db nonsense": "db: not a database URL, got 'nonsense'",
    "verify good.py --db mysql://host/name": "db: must be sqlite or postgresql, got 'mysql'",
    "verify good.py --db sqlite:///good.py/results.db": "good.py/results.db: ",
    "verify good.py --db sqlite:///good.py": "good.py: file is not a database",
    "verify good.py --as=": "unknown variant '': ",
    "verify --cover=": "unknown cover '': ",
    "verify good.py --cover=": "paths and a selection exclude each other",
    "results compare --model=": "there is no database at db/ab.nn.db",
    "results compare --baseline=": "unknown variant '': ",
    "verify good.py --address= --device cpu": "--address  requires --engine ray",
    "verify good.py --device cuda:²": "device must be auto, cpu, cuda or cuda:N, got 'cuda:²'",
    f"verify good.py --device cuda:{'9' * 5000}": "device must be auto, cpu, cuda or cuda:N, got 'cuda:999",
    f"verify good.py --seed {2**63}": "seed: Input should be less than 9223372036854776000, got 9223372036854775808",
    f"verify good.py --seed {2**63 - 1} --seeds 2": "seed: 9223372036854775807 and the 1 after it must be less than ",
    f"render --variant {'9' * 5000}": "unknown variant '999",
    f"render --variant 1-{'9' * 5000}": "unknown variant '999",
    "render --variant 50-1": "variant: the range 50-1 ends before it begins",
    "show 1 --horizon 1000000000000": "horizon must be at most 10000000, got 1000000000000 (variant 1)",
    "show 31 --horizon 1000000000000": "horizon must be at most 10000000, got 1000000000000 (variant 31)",
    f"plot 1 --horizon {2**63}": "horizon must be at most 10000000, got 9223372036854775808 (variant 1)",
    "show 1 --set gamma=nan": "--set takes NAME=VALUE with a number, got 'gamma=nan'",
    "verify good.py --db sqlite:///x.db?mode=ro": "db: the URL of a SQLite file has no options",
    f"list models --templates {'x' * 300}": f"{'x' * 300}: File name too long",
    f"render --out {'x' * 300} --variant 1": f"{'x' * 300}/ResNet/manifest.json: File name too long",
    "verify /dev/zero": "/dev/zero: cannot be read: Not a regular file",
    "verify good.py --since /dev/zero": "/dev/zero: cannot be read: Not a regular file",
    "verify nowhere.py": "nowhere.py: cannot be read: No such file or directory",
    "verify good.py --model ResNet": "paths and a selection exclude each other",
    "verify --as 1": "--as needs a path",
    "verify --as-model ResNet": "--as-model needs a path",
    "verify good.py --as-model Resnet": "unknown model 'Resnet': did you mean ResNet",
    "verify good.py --as Resnet/1": "unknown model 'Resnet': did you mean ResNet",
    "verify good.py --as ResNet/": "unknown variant '': ",
    "verify good.py --as /1": "unknown model '': ",
    "verify good.py --as-model=": "unknown model '': ",
    "verify good.py --as ResNet/1 --as-model ResNet18": "--as ResNet/1 and --as-model ResNet18 name two models",
    "verify --variant 1 --out good.py": "good.py",
    "render --variant 1 --out good.py": "good.py",
    "render --templates nowhere": "there is no folder of templates at nowhere",
    "results best": "there is no database at db/ab.nn.db: run lrgen verify first",
    "results classes ResNet A0_001": "there is no database at db/ab.nn.db: run lrgen verify first",
    "results failures --db sqlite:///nowhere.db": "there is no database at nowhere.db: run lrgen verify first",
    "results best --db sqlite:///good.py": "good.py: file is not a database",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_one_line_on_stderr(lrgen, good, tmp_path, arguments):
    """Wrong use exits with 2 and one line on stderr, prints nothing on stdout and writes no file."""
    before = (tmp_path / good).read_bytes()
    code, out, err = lrgen(*arguments.split())
    assert code == 2
    assert out == ""
    assert err.startswith(f"lrgen: {WRONG[arguments]}")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert (tmp_path / good).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [good]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "{folder}/lrgen.toml: not valid TOML: "),
        ("epocs = 3", "epocs: unknown key (from "),
        ('epochs = "many"', "epochs: "),
        ("[verify]\nepochs = 3", "verify: unknown key (from "),
        ('active_model = "ResNett"', "unknown model 'ResNett': did you mean ResNet"),
        ('dataset = "digit"', "unknown dataset 'digit': did you mean digits?"),
        ('device = "gpu"', "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
    ],
)
def test_an_invalid_configuration_is_one_line_on_stderr(lrgen, tmp_path, text, message):
    """An invalid lrgen.toml exits with 2 and one line on stderr, before a file is rendered."""
    (tmp_path / "lrgen.toml").write_text(text)
    code, out, err = lrgen("verify")
    assert code == 2
    assert out == ""
    assert err.startswith(f"lrgen: {message.format(folder=tmp_path)}")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["lrgen.toml"]


@pytest.mark.parametrize(
    "arguments", ["nonsense", "verify --nonsense", "verify --epochs many", "list", "results classes ResNet", ""]
)
def test_an_unknown_command_or_option_is_a_usage_error(lrgen, tmp_path, arguments):
    """An unknown command or option exits with 2 and a usage line, without a traceback."""
    code, out, err = lrgen(*arguments.split())
    assert code == 2
    assert "Usage" in out + err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_debug_prints_the_traceback_of_this_command_alone(lrgen):
    """``--debug`` prints the traceback of an error and does not affect the next command."""
    assert "Traceback" in lrgen("--debug", "render", "--model", "nobody")[2]
    code, _, err = lrgen("render", "--model", "nobody")
    assert code == 2
    assert "Traceback" not in err


FAILURES = {
    OSError(errno.ENOSPC, "No space left on device", "db/ab.nn.db"): "db/ab.nn.db: No space left on device",
    OSError(errno.EIO, "Input/output error"): "Input/output error",
    OSError("no number"): "no number",
    UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range(128)"): "text cannot be encoded or decoded: ",
    RecursionError("maximum recursion depth exceeded"): "the input is nested too deeply",
    MemoryError(): "out of memory",
    MemoryError("Unable to allocate 7.28 TiB"): "out of memory: Unable to allocate 7.28 TiB",
    OverflowError("Python int too large to convert to SQLite INTEGER"): "a number is too large: Python int",
}


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_a_failure_of_the_machine_or_of_the_input_is_one_sentence(lrgen, monkeypatch, error):
    """A failure that no command expects exits with 2 and one sentence; with ``--debug`` there is a traceback."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("lrgen.catalogue.of", fail)
    code, out, err = lrgen("list", "families")
    assert (code, out) == (2, "")
    assert err.startswith(f"lrgen: {FAILURES[error]}")
    assert err.count("\n") == 1
    code, _, err = lrgen("--debug", "list", "families")
    assert code == 2
    assert "Traceback" in err


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    command = [sys.executable, "-m", "lrgen", *arguments]
    return subprocess.run(command, env=environ, text=True, check=False, **options)


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A command with ``--debug`` that fails."""
    folder = tmp_path_factory.mktemp("debugged")
    return program("--debug", "list", "schedules", "--family", "cosin", cwd=folder, capture_output=True)


def test_debug_prints_the_traceback(debugged):
    """With ``--debug`` stderr ends with the traceback of the error."""
    assert "Traceback (most recent call last)" in debugged.stderr
    assert debugged.stderr.strip().endswith("UnknownNameError: unknown family 'cosin': did you mean cosine?")
    assert debugged.stdout == ""


def test_debug_does_not_change_the_exit_code(debugged):
    """With ``--debug`` wrong use exits with 2 as well."""
    assert debugged.returncode == 2


def test_a_closed_pipe_is_not_an_error(tmp_path):
    """A command whose reader closes the pipe exits with 0 and prints nothing on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = program("list", "schedules", "--json", cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE)
    assert done.stderr == ""
    assert done.returncode == 0


# JSON, CSV and tables.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a valid file, one with a very long name and one that fails, and a database with their results."""
    folder = tmp_path_factory.mktemp("trained")
    copy(GOOD, folder / "good.py")
    copy(GOOD, folder / f"{LONG}.py", "# long\n")
    copy(FIXTURES / "training" / "fails_parameters_do_not_move.py", folder / "fails.py")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        with pytest.raises(SystemExit):
            cli.main(["--quiet", *VERIFY_ALL])
    assert "3 files: 2 verified, 1 failed; 0 results reused" in printed.getvalue()
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
    """With ``--json`` each command prints one array or one object, and nothing else."""
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
    for arguments, minimum in arrays.items():
        rows = one_document(filled(*arguments, "--json")[1])
        assert isinstance(rows, list), arguments
        assert len(rows) >= minimum, arguments
    for arguments in (["doctor"], ["render", "--variant", "1"], ["show", "1"]):
        code, out, _ = filled(*arguments, "--json")
        assert isinstance(one_document(out), dict), arguments
        assert code == 0


def test_json_of_verify_has_a_row_for_each_file(lrgen, good, bad):
    """The rows have the order of the arguments, and each has the keys, status and reason of its file."""
    code, out, _ = lrgen("verify", bad, good, "--as", "1", *EXAMINE, "--json")
    first, second = one_document(out)
    assert code == 1
    assert (first["path"], first["status"], first["stage"]) == ("bad.py", "failed", "contract")
    assert "Net" in first["reason"]
    assert (second["path"], second["status"], second["stage"]) == ("good.py", "passed", "contract")
    assert (second["variant"], second["unit"]) == ("StepLR_default", "epoch")
    assert second["scheduler_type"] == f"file-{second['sha256'][:8]}"
    assert (second["reused"], second["accuracy"]) == (False, None)


def test_a_file_that_the_policy_refuses_fails_beside_the_others(lrgen, tmp_path, good):
    """Paths are judged by lemur, or by --policy; a refused file is a row with the check ``policy``; the exit is 1."""
    people = copy(GOOD, tmp_path / "people.py", "\n\ndef helper(net):\n    return net._modules\n")
    reader = copy(GOOD, tmp_path / "reader.py", "\n\ndef table():\n    return open('table.txt')\n")
    deep = tmp_path / "deep.py"
    deep.write_text("import torch\nx = " + "-" * 50_000 + "1\n")
    arguments = ("verify", good, people, reader, "deep.py", "--stage", "policy", "--device", "cpu", "--json")
    for policy, ends in (((), "ppff"), (("--policy", "strict"), "pfff"), (("--policy", "lemur"), "ppff")):
        code, out, _ = lrgen(*arguments, *policy)
        rows = one_document(out)
        assert code == 1
        assert [row["status"][0] for row in rows] == list(ends)
        assert {row["stage"] for row in rows if row["path"] != "deep.py"} == {"policy"}
        assert "no training file needs the built-in open" in rows[2]["reason"]
    code, _, err = lrgen(*arguments, "--policy", "lax")
    assert (code, err) == (2, "lrgen: unknown policy 'lax': known: strict, lemur\n")


def test_csv_is_a_table(filled):
    """With ``--csv`` a result table has a header and one line for each row."""
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


def test_hyperparameters_are_json_in_csv(filled):
    """The hyperparameters of a row are a JSON object in one cell."""
    _, out, _ = filled("results", "best", "--csv")
    for row in csv.DictReader(io.StringIO(out)):
        assert json.loads(row["hyperparameters"])["lr"] > 0


def test_the_header_of_csv_does_not_depend_on_the_rows(filled, lrgen, good, tmp_path):
    """A CSV without rows has the header of a CSV with rows."""
    _, with_rows, _ = filled("results", "failures", "--csv")
    lrgen("--quiet", "verify", good, *EXAMINE, "--db", "sqlite:///other.db")
    _, without_rows, _ = lrgen("results", "failures", "--csv", "--db", "sqlite:///other.db")
    assert without_rows.splitlines() == with_rows.splitlines()[:1]


def test_json_and_csv_exclude_each_other(filled):
    """``--json`` with ``--csv`` is wrong use."""
    code, out, err = filled("results", "best", "--json", "--csv")
    assert (code, out) == (2, "")
    assert err == "lrgen: --json and --csv exclude each other\n"


def test_tables_fit_a_hundred_columns(filled, best):
    """No line of a table is wider than 100 columns, even with a long name."""
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


def test_a_long_name_is_folded_in_the_tables_of_results(filled):
    """A name that is longer than its column continues on the next line."""
    out = filled("results", "best")[1]
    assert LONG in "".join(line.split("  ")[0].strip() for line in out.splitlines())


def test_a_long_name_is_folded_in_the_table_of_verify(filled):
    """A name that is longer than its column continues on the next line."""
    out = filled(*VERIFY_ALL)[1]
    table = out.split("\nfails/")[0]
    assert LONG in "".join(line.split("  ")[0].strip() for line in table.splitlines())


def test_verify_ends_with_a_table_and_totals(lrgen, good, bad):
    """The table of outcomes is followed by the failures with their reasons and a line of totals."""
    code, out, _ = lrgen("verify", good, bad, "--as", "1", *EXAMINE)
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].split() == ["file", "schedule", "unit", "status", "training", "accuracy", "seconds"]
    assert re.fullmatch(r"good/file-\w{8}\s+StepLR_default\s+epoch\s+passed: contract\s+–\s+–\s+\d+\.\d", lines[1])
    assert re.fullmatch(r"bad/file-\w{8}\s+StepLR_default\s+epoch\s+failed\s+–\s+–\s+\d+\.\d", lines[2])
    assert re.fullmatch(r"bad/file-\w{8} contract: .*\bNet\b.*", lines[3])
    totals = (
        r"2 files: 1 passed up to contract, 1 failed; 0 results reused; \d+ s; case seed \d+; "
        r"recorded in sqlite:///db/ab\.nn\.db"
    )
    assert re.fullmatch(totals, " ".join(lines[-2:]))  # folded
    assert code == 1


def test_a_case_seed_is_shown_and_repeats_a_run(lrgen, bad):
    """The last line names the seed of the drawn cases, a new one or the given one; only its own results are reused."""
    drawn = re.search(r"\bcase seed (\d+); ", lrgen("verify", bad, "--stage", "policy", "--device", "cpu")[1])
    assert drawn is not None
    arguments = ("verify", bad, "--stage", "policy", "--device", "cpu", "--case-seed")
    assert "1 result reused" in lrgen(*arguments, drawn[1])[1]
    for seed in (0, 2**63 - 1):
        code, out, _ = lrgen(*arguments, seed)
        assert code == 0
        assert f" case seed {seed};" in out
        assert one_document(lrgen(*arguments, seed, "--json")[1])[0]["case_seed"] == seed


def test_brackets_in_names_are_not_markup(lrgen, tmp_path):
    """Brackets in the name of a file are printed as they are, in the table and in the progress."""
    for name in ("[bold]x[", "a[link=1]", "b[red]"):
        copy(BAD, tmp_path / f"{name}.py", f"# {name}\n")
    code, out, err = lrgen("verify", ".", *EXAMINE)
    assert code == 1
    for name in ("[bold]x[", "a[link=1]", "b[red]"):
        assert out.count(f"{name}/file-") == 2  # in the table and in the reasons
        assert err.count(f"{name}/file-") == 1


def test_a_file_without_results_is_an_error(filled):
    """The classes of a file that was never trained are an error that names it."""
    code, out, err = filled("results", "classes", "ResNet", "A0_049")
    assert (code, out) == (2, "")
    assert "no class metrics of ResNet A0_049" in err


# Help.


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of each command."""
    if not hasattr(command, "commands"):
        yield path
        return
    for name, inner in command.commands.items():
        yield from commands(inner, *path, name)


COMMANDS = list(commands(typer.main.get_command(cli.app)))


def test_these_are_the_commands():
    """The commands of the README exist."""
    expected = {"render", "verify", "show", "plot", "doctor", "list models", "list schedules", "list families"}
    expected |= {"results best", "results classes", "results failures"}
    assert expected <= {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example(lrgen, path):
    """The help of every command has an example of this command, in lines of at most 100 columns."""
    code, out, err = lrgen(*path, "--help")
    assert (code, err) == (0, "")
    named = " ".join(path).removesuffix(" completions")  # the command that a path alone means
    assert f"Example: lrgen {named}" in " ".join(out.split())
    assert widest(out) <= 100
    assert lrgen(*path, "-h")[1] == out


VERBS = (
    *(
        "Add",
        "Audit",
        "Build",
        "Check",
        "Compare",
        "Compose",
        "Copy",
        "Count",
        "Export",
        "List",
        "Make",
        "Plot",
        "Print",
    ),
    *("Record", "Render", "Run", "Score", "Show", "Write"),
)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_begins_with_an_imperative_sentence(path):
    """The first paragraph of the help of every command is a sentence that begins with a verb."""
    command: Any = typer.main.get_command(cli.app)
    for name in path:
        command = command.commands[name]
    first = command.help.split("\n\n")[0]
    assert first.split()[0] in VERBS
    assert first.endswith(".")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path):
    """Every option and every argument has a help text."""
    command: Any = typer.main.get_command(cli.app)
    for name in path:
        command = command.commands[name]
    unexplained = [parameter.name for parameter in command.params if not (getattr(parameter, "help", None) or "")]
    assert [name for name in unexplained if name != "help"] == []


def test_the_examples_of_list_and_doctor_work(lrgen):
    """The examples in the help of these commands exit with 0."""
    for path in COMMANDS:
        if path[0] not in ("list", "doctor"):
            continue
        text = " ".join(lrgen(*path, "--help")[1].replace("│", " ").split())
        for example in re.findall(r"Example: lrgen ((?:[a-z]+ ?)+(?:--[a-z]+ ?[a-z0-9]*)*)", text):
            code, out, err = lrgen(*example.split())
            assert (code, err) == (0, ""), example
            assert out


def test_version_is_that_of_the_package(lrgen):
    """``lrgen --version`` prints the version of the package on one line."""
    assert lrgen("--version") == (0, f"lrgen {package.__version__}\n", "")


# Where files are verified.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--slots", "2"], "--slots 2 requires a GPU: on the CPU, use --workers"),
        (["--isolation", "chroot"], "unknown isolation 'chroot': known: process, sandbox"),
        (["--engine", "slurm"], "unknown engine 'slurm': known: local, ray"),
        (["--address", "host:1"], "--address host:1 requires --engine ray"),
        (["--since", "nowhere.json"], "nowhere.json: there is no such manifest"),
    ],
)
def test_an_option_that_does_not_apply_is_an_error(lrgen, good, arguments, message):
    """An option of verify that does not apply is an error that names it, before a file is run."""
    code, out, err = lrgen("verify", good, "--device", "cpu", *arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


def test_a_foreign_file_is_verified_in_a_sandbox(lrgen, good):
    """The JSON names the isolation of the file; ``--isolation process`` overrides it."""
    _, out, _ = lrgen("verify", good, *EXAMINE, "--json")
    assert json.loads(out)[0]["isolation"] in ("namespaces", "landlock")
    _, out, _ = lrgen("verify", good, *EXAMINE, "--json", "--force", "--isolation", "process")
    assert json.loads(out)[0]["isolation"] == "process"


def test_a_file_whose_name_is_not_utf8_is_recorded_with_escapes(lrgen, tmp_path):
    """A file whose name is not UTF-8 is verified, and recorded with escapes in its name."""
    name = os.fsdecode(b"caf\xe9.py")
    copy(GOOD, tmp_path / name)
    code, out, _ = lrgen("verify", name, *EXAMINE, "--json")
    assert code == 0
    assert json.loads(out)[0]["model_name"] == "caf\\udce9"
    assert "caf\\udce9" in lrgen("verify", name, *EXAMINE)[1]


def test_a_file_without_a_claim_is_unclaimed(lrgen, good):
    """A file without a claim exits with 0, or with 1 under ``--strict``; a hint and its diagnosis follow the table.

    The diagnosis of a cached result is that of the run, in JSON as well.
    """
    options = (good, "--stage", "schedule", "--device", "cpu")
    code, out, _ = lrgen("verify", *options)
    _, row, hint, name, seen, nearest, totals, *_ = out.splitlines()
    assert (name, seen) == ("good", "  StepLR is stepped once an epoch; the learning rate changes once an epoch")
    assert nearest.startswith("  like A0_001 StepLR_default (StepLR: ")
    assert code == 0
    assert re.match(r"good/file-\w{8}\s+–\s+–\s+unclaimed ", row)
    assert "--as VARIANT" in hint
    assert totals.startswith("1 file: 1 unclaimed; 0 results reused; ")
    code, out, _ = lrgen("verify", *options, "--strict", "--json")
    (row,) = one_document(out)
    assert code == 1
    assert (row["status"], row["stage"], row["reused"]) == ("unclaimed", "schedule", True)
    assert row["diagnosis"]["unit"] == "epoch"
    assert row["diagnosis"]["nearest"][0]["variant"] == "A0_001"
    assert row["reason"] == "there is no variant to compare its schedule with"


@pytest.mark.parametrize("claim", [("--as", "ResNet/1"), ("--as", "1", "--as-model", "ResNet")])
def test_a_claimed_model_is_compared(lrgen, good, claim):
    """A linear layer that is claimed to be ResNet fails; its row names the claimed model."""
    code, out, _ = lrgen("verify", good, *claim, "--stage", "contract", "--device", "cpu", "--json")
    (row,) = one_document(out)
    assert code == 1
    assert (row["claimed_model"], row["architecture"], row["stage"]) == ("ResNet", None, "contract")
    assert re.fullmatch(r"the network has [\d,]+ parameters for .* and 10 classes, ResNet has 269,722", row["reason"])


def test_a_network_that_equals_the_claimed_model_says_so(lrgen, tmp_path):
    """The line after the table says for which inputs the networks were compared, and a cached result says it again."""
    lrgen("render", "--variant", "1")
    rendered = Path("generated/ResNet/A0_001.py")
    mine = tmp_path / "mine.py"
    mine.write_text(f"{rendered.read_text()}\n# mine\n")
    command = ("verify", mine, "--as", "ResNet/1", "--stage", "contract", "--device", "cpu")
    for reused in (False, True):
        code, out, _ = lrgen(*command)
        assert code == 0
        assert re.search(r"^mine/file-\w{8} architecture: equal to ResNet for 3x32x32 inputs", out, re.MULTILINE)
        (row,) = one_document(lrgen(*command, "--json")[1])
        assert (row["claimed_model"], row["architecture"], row["model_name"]) == ("ResNet", "equal", "mine")
        assert row["reused"] or not reused


def test_a_verified_file_passes_strict(filled):
    """``--strict`` exits with 0 if every file is verified; the stage is the last check, and there is no hint."""
    command = ["good.py" if argument == "." else argument for argument in VERIFY_ALL]
    code, out, _ = filled(*command, "--strict", "--json")
    (row,) = one_document(out)
    assert (code, row["reused"]) == (0, True)
    assert (row["status"], row["stage"], row["reason"]) == ("verified", "training", "")
    assert "--as" not in filled(*command)[1]


# Progress.


def test_progress_is_plain_without_a_terminal(lrgen, good, bad):
    """Progress is one line for each file on stderr, with count, status and reason; stdout has only the table."""
    _, out, err = lrgen("verify", good, bad, *EXAMINE, "--workers", "1")
    first, second = err.splitlines()
    assert re.fullmatch(r"\[1/2\] good/file-\w{8} passed: contract \d+\.\d s, \d+ s left", first)
    assert re.fullmatch(r"\[2/2\] bad/file-\w{8} failed \d+\.\d s: contract: .*Net.*", second)
    assert "[1/2]" not in out
    assert "\x1b" not in out + err


def test_progress_counts_the_reused_results(lrgen, good, bad):
    """Reused results are counted in one line; each new result has a line of its own."""
    lrgen("verify", good, *EXAMINE)
    _, _, err = lrgen("verify", good, bad, *EXAMINE)
    first, second = err.splitlines()
    assert first == "1 of 2 results cached and reused"
    assert second.startswith("[2/2] bad/file-")


def test_quiet_prints_no_progress(lrgen, good, bad):
    """With ``-q`` stderr is empty and stdout has the table."""
    code, out, err = lrgen("-q", "verify", good, bad, *EXAMINE)
    assert (code, err) == (1, "")
    assert "2 files: 1 passed up to contract, 1 failed" in out


def test_verbose_prints_the_output_of_a_file(lrgen, tmp_path):
    """With ``-v`` the output of a file follows its line of progress, without ``-v`` it is not printed."""
    source = GOOD.read_text().replace("self.to(self.device)", 'print("printed [bold]by[/] the file")')
    (tmp_path / "prints.py").write_text(source)
    assert "printed [bold]by[/] the file" in lrgen("-v", "verify", "prints.py", *EXAMINE)[2]
    assert "by the file" not in lrgen("verify", "prints.py", *EXAMINE, "--force")[2]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run the command line on a pseudo-terminal → exit code, all its output."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("LRGEN_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, columns: int = 100, term: str = "xterm-256color") -> tuple[int, str]:
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv(
            "COLUMNS", str(columns)
        )  # else Rich takes the size of descriptor 1, which is not this terminal
        controller, terminal_end = os.openpty()
        written = bytearray()

        def read() -> None:
            with contextlib.suppress(OSError):  # the terminal was closed
                while data := os.read(controller, 1 << 16):
                    written.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patch, os.fdopen(terminal_end, "w", encoding="utf-8") as screen:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            with pytest.raises(SystemExit) as ended:
                cli.main(arguments)
        reader.join()
        os.close(controller)
        return int(ended.value.code or 0), written.decode()

    return run


def test_a_terminal_gets_a_progress_bar(terminal, good, bad):
    """The bar shows the action, the number of finished files and the number of failed ones."""
    code, printed = terminal("verify", bad, good, *EXAMINE, "--workers", "1")
    assert code == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)
    assert "verifying" in plain
    assert re.search(r"verifying .*0/2", plain)
    assert re.search(r"1/2 .*1 failed", plain)
    assert "[1/2]" not in plain  # no plain lines as well
    assert "2 files: 1 passed up to contract, 1 failed" in plain


def test_quiet_shows_no_bar(terminal, good):
    """With ``-q`` a terminal shows only the table."""
    _, printed = terminal("-q", "verify", good, *EXAMINE)
    assert "verifying" not in printed
    assert "1 passed up to contract; 0 results reused" in printed


def test_no_color_switches_colours_off(terminal, good, bad, monkeypatch):
    """A terminal shows colours unless NO_COLOR is set."""
    _, coloured = terminal("-q", "verify", good, bad, *EXAMINE)
    monkeypatch.setenv("NO_COLOR", "1")
    _, plain = terminal("-q", "verify", good, bad, *EXAMINE)
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert "passed: contract" in plain


def test_a_dumb_terminal_gets_plain_lines(terminal, good):
    """A dumb terminal gets plain lines of progress, without escape sequences and without a bar."""
    _, printed = terminal("verify", good, *EXAMINE, term="dumb")
    assert "[1/1] good/file-" in printed
    assert "\x1b" not in printed


def test_a_table_fits_a_narrow_terminal(terminal, good, bad):
    """On a terminal of 60 columns the table is at most 60 columns wide."""
    _, printed = terminal("-q", "verify", good, bad, "--as", "1", *EXAMINE, columns=60)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)
    assert widest(plain) <= 60
    assert "passed: contract" in plain
    assert "failed" in plain


# Imported modules.

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


def test_light_commands_import_no_heavy_library(lrgen, good, tmp_path):
    """Lists, an unchanged render and queries import none of the heavy libraries that they do not need."""
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
    """The help of verify has the name of each stage."""
    out = lrgen("verify", "--help")[1]
    assert all(stage.value in out for stage in Stage)


@pytest.mark.parametrize(("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_a_counted_noun_is_singular_after_1_only(count, text):
    """A number and its noun agree: only 1 has the singular."""
    assert counted(count, "file") == text


def test_messages_about_one_file_are_in_the_singular(lrgen):
    """``render`` and ``render --check`` of a single file speak of 1 file and of 1 difference."""
    assert lrgen("render", "--variant", "1")[1] == "1 file written to generated, 0 unchanged\n"
    Path("generated/ResNet/A0_001.py").unlink()
    code, out, _ = lrgen("render", "--variant", "1", "--check")
    assert (code, out.splitlines()[-1]) == (1, "1 file checked, 1 difference")


def test_the_name_of_the_program_is_lrgen_however_it_is_started(tmp_path):
    """``python -m lrgen`` prints ``Usage: lrgen`` and writes the shell completion of ``lrgen``."""
    environment = {**os.environ, "COLUMNS": "100", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for option, expected in (("--help", "Usage: lrgen [OPTIONS]"), ("--show-completion", "_LRGEN_COMPLETE=")):
        command = [sys.executable, "-m", "lrgen", option, *(["bash"] if "completion" in option else [])]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert expected in done.stdout
        assert "python" not in done.stdout
