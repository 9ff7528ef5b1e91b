"""The command line of the benchmarks, and the tables of the instrument and the nursery with few runs."""

import re
import sys

import numpy as np
import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks import gpu, instrument, nursery, precision
from lrgen import catalogue as catalogues
from tests.paths import TINY

# A checkout whose command renders a folder, verifies it at once, and fails for the variant 41.
COMMAND = """
import pathlib, sys
words = sys.argv[1:]
if words[0] == "render":
    pathlib.Path(words[-1], "ResNet").mkdir(parents=True)
    pathlib.Path(words[-1], "ResNet", words[words.index("--variant") + 1]).touch()
elif words[words.index("--stage") + 1] != "schedule" or pathlib.Path(words[1], "41").exists():
    sys.exit("does not learn")
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose command does next to nothing."""
    command = tmp_path / "other" / "lrgen" / "__main__.py"
    command.parent.mkdir(parents=True)
    command.write_text(COMMAND)
    command.with_name("__init__.py").touch()
    return tmp_path / "other"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["speed"], "unknown table: speed; known: commands, .*instrument.*"),
        (["instrument"], "the table instrument needs --against CHECKOUT, a folder with the lrgen to compare with"),
        (["--against", "nowhere"], "--against nowhere: the folder is no checkout of lrgen, .*"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    ],
    ids=["table", "no checkout", "another folder", "rounds"],
)
def test_a_wrong_command_line_is_one_sentence(monkeypatch, capsys, words, reason):
    """A table that does not exist, or a checkout that is missing, ends with one sentence and exit code 2."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    with pytest.raises(SystemExit) as ended:
        benchmarks.main()
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert not out
    assert re.fullmatch(f"error: {reason}\n", error)


def test_the_table_of_the_instrument_has_a_row_for_each_file(checkout, tmp_path, capsys):
    """Each file has its costs and ratios in both checkouts; one that is not verified has the reason instead."""
    instrument.bench(tmp_path, (checkout, checkout), "schedule", [1, 41], rounds=1)
    rows = capsys.readouterr().out.splitlines()
    assert [re.split(r"  +", row.strip())[0] for row in rows[3:7]] == [
        "ResNet 1",
        "ResNet 41",
        "median ratio",
        "the start",
    ]
    assert len(re.findall(r"-?\d+\.\d\d|nan|inf", rows[3])) == 6
    assert rows[4].endswith(f"not measured: lrgen verify of {checkout} ends with 1: does not learn")


def test_the_cost_of_a_file_leaves_out_the_start():
    """A start of 7 s and files of 2 s and 3 s, each measured with 2 and 6 copies, are 2 s and 3 s a file."""
    taken = np.array([[[[7 + 2 * n, 7 + 2 * n], [7 + 3 * n, 7 + 3 * n]] for n in (2, 6)]], dtype=float)
    assert instrument.per_file(taken.swapaxes(1, 2), (2, 6)).tolist() == [[[2, 2], [3, 3]]]


@pytest.mark.slow
def test_the_table_of_the_nursery_compares_sessions_with_a_fork(tmp_path, capsys):
    """A plain process and a sandbox each have a bare fork and two sessions with what they add."""
    nursery.bench(tmp_path, rounds=1)
    out = capsys.readouterr().out
    assert len(re.findall(r"a bare fork .* ms$", out, re.MULTILINE)) == 2
    assert len(re.findall(r"a session .* ms +[+-]\d+\.\d ms$", out, re.MULTILINE)) == 4


def test_the_table_of_precisions_compares_16_bits_with_float32(capsys):
    """Each network has its images per second in float32, bfloat16 and float16, here on a CPU."""
    precision.table(catalogues.load([TINY]), ["Tiny"], torch.device("cpu"), batches=1)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["images", "per", "second", "float32", "bf16", "fp16"]
    name, *pace = row.split()[:4]
    assert name == "Tiny"
    single, *others = (float(value.replace(",", "")) for value in pace)
    factors = [float(factor) for factor in re.findall(r"(?:bf16|fp16) × (\d+\.\d\d)", row)]
    assert factors == pytest.approx([other / single for other in others], rel=0.1, abs=0.02)


@pytest.mark.parametrize("benchmark", [gpu, precision], ids=["gpu", "precision"])
def test_a_benchmark_without_its_gpu_says_so(monkeypatch, capsys, benchmark):
    """A GPU that torch does not find ends with one sentence and exit code 2."""
    monkeypatch.setattr(sys, "argv", ["benchmark", "--device", "cuda:99"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert not out
    assert re.fullmatch(r"error: device cuda:99 does not exist: torch finds \d+ CUDA devices?\n", error)
