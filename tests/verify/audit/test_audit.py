"""The audit of a folder: the files that are examined, the names they carry, duplicates, scripts without a network."""

import ast
import json
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.errors import OutputError
from lrgen.records import NearestSchedule, Policy, Stage, VerifySettings
from lrgen.store import Store
from lrgen.verify.audit import names
from lrgen.verify.audit.collection import File, Skipped, collect
from lrgen.verify.audit.functions import Maker, maker_of
from lrgen.verify.audit.summary import Audit, Audited, audit
from tests.verify.written_schedules import STEP, WRITTEN, Written

SCRIPT = '''"""Trains with a cosine schedule."""
import torch

def build_scheduler(optimizer, total_steps, warmup_steps, config):
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=20)
'''
FUNCTION = """
def get_lr(epoch, lr, min_lr):
    return lr * 0.1 ** (epoch // 30) + min_lr
"""
PLATEAU = """
from torch.optim.lr_scheduler import ReduceLROnPlateau

def make_lr_scheduler(opt):
    return {"scheduler": ReduceLROnPlateau(opt, factor=0.5, patience=3), "monitor": "loss"}
"""


def collected(folder: Path) -> tuple[list[str], list[Skipped]]:
    """The names of the files, and what is skipped."""
    files, skipped = collect(folder)
    return [file.name for file in files], skipped


def file_of(path: str, text: str = "") -> File:
    """A file that need not exist."""
    return File(Path(path), path, text.encode(), "", ast.parse(text))


# Collection.


def test_a_folder_is_searched_with_its_subfolders(tmp_path):
    """Python files are found in all folders but hidden ones and caches; a package file is none."""
    for name in ("a.py", "synth_nn/B1/new_nn.py", "nn/__init__.py", ".git/x.py", "__pycache__/y.py", "nn/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    assert collected(tmp_path) == (["a.py", "synth_nn/B1/new_nn.py"], [])


def test_what_is_no_file_of_code_is_named_and_skipped(tmp_path):
    """A file of 10 MB, one that is not text, an empty one, and links in a circle are skipped, each with its reason."""
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "large.py").write_bytes(b"#" * 10_000_000)
    (tmp_path / "image.py").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "empty.py").write_bytes(b"\n")
    (tmp_path / "self.py").symlink_to("self.py")
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "loop").symlink_to(".")
    examined, skipped = collected(tmp_path)
    assert examined == ["good.py"]
    assert {entry.path: entry.reason for entry in skipped} == {
        "large.py": "larger than 1,000,000 bytes",
        "image.py": "not text: no UTF-8",
        "null.py": "not text: it contains null bytes",
        "empty.py": "empty",
        "self.py": "a link that leads nowhere",
        "gone.py": "a link that leads nowhere",
        "loop": "a link to a folder",
    }


def test_a_folder_without_python_files_says_what_was_looked_for(tmp_path):
    """The error names the folder and the layouts that are known."""
    (tmp_path / "readme.md").write_text("nothing")
    with pytest.raises(
        OutputError, match=r"there is no Python file in it or below it: looked for \*\.py, .*new_nn\.py"
    ):
        collect(tmp_path)
    with pytest.raises(OutputError, match="not a folder"):
        collect(tmp_path / "readme.md")


# Names.


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("ResNet_StepLR.py", "", ("StepLR",)),
        ("net_multi_step_lr.py", "", ("MultiStepLR",)),
        ("alexnet.py", '"""AlexNet with cosine annealing."""', ("cosine",)),
        ("B12_one_cycle/new_nn.py", "", ("OneCycleLR",)),
        ("a.py", "class NoamScheduler:\n    pass", ("Noam",)),
        ("a.py", 'class Net:\n    """Reduce on plateau."""', ("ReduceLROnPlateau",)),
        ("a.py", '"""A net with a linear layer."""', ()),
        ("a.py", "", ()),
    ],
)
def test_the_name_of_a_schedule_is_read(path, text, said):
    """A schedule is named by the file, its folder, a docstring or a class; other words of networks name none."""
    assert names.said(file_of(path, text)) == said


@pytest.mark.parametrize(
    ("said", "nearest", "deviates"),
    [
        (("cosine",), [("A0_006", 0.0)], False),
        (("cosine",), [("A0_119", 0.0)], False),
        (("cosine",), [("A0_001", 0.0)], True),
        (("cosine",), [("A0_001", 0.0), ("A0_006", 0.02)], False),
        (("cosine",), [("A0_001", 0.0), ("A0_006", 0.3)], True),
        (("StepLR",), [("A0_041", 0.0)], True),
        (("StepLR", "cosine"), [("A0_006", 0.0)], False),
        (("MultiStepLR",), [("A0_001", 0.0)], False),
        (("cosine",), [], False),
    ],
)
def test_a_file_deviates_if_its_curve_is_another(said, nearest, deviates):
    """A name is contradicted only if no schedule that is near bears it."""
    variants = {variant.key: variant for variant in catalogues.load().variants}
    schedules = [NearestSchedule(key, "", distance, {}, 90, "") for key, distance in nearest]
    assert names.deviates(said, schedules, variants) is deviates


# Scripts.


@pytest.mark.parametrize(
    ("text", "name", "optimizer", "keywords"),
    [
        (SCRIPT, "build_scheduler", "optimizer", {"total_steps", "warmup_steps", "config"}),
        (FUNCTION, "get_lr", "", {"lr", "min_lr"}),
        (PLATEAU, "make_lr_scheduler", "opt", set()),
        (
            "class Warm(_LRScheduler):\n    def __init__(self, optimizer, max_epochs, power=2):\n        pass",
            "Warm",
            "optimizer",
            {"max_epochs"},
        ),
    ],
)
def test_the_schedule_of_a_script_is_found(text, name, optimizer, keywords):
    """A function or class that makes a scheduler is called with usual values for what it needs."""
    maker = maker_of(ast.parse(text))
    assert isinstance(maker, Maker)
    assert (maker.name, maker.optimizer, set(maker.keywords)) == (name, optimizer, keywords)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def train(model):\n    pass", "it has neither a class Net nor a function"),
        (
            "def get_scheduler(optimizer, teacher):\n    pass",
            "get_scheduler takes teacher, for which there is no usual",
        ),
    ],
)
def test_a_script_without_a_schedule_says_so(text, reason):
    """The reason names what is missing."""
    assert str(maker_of(ast.parse(text))).startswith(reason)


# The whole.


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Audit:
    """The audit of a small folder."""
    folder = tmp_path_factory.mktemp("folder")
    step = WRITTEN["step_lr_every_10"].text
    texts = {
        "B1/new_nn.py": step,
        "B2/new_nn.py": step,
        "renamed_cosine.py": step.replace("self.body", "self.features").replace("outputs", "logits"),
        "by_hand.py": Written((), before='self.optimizer.param_groups[0]["lr"] = self.prm["lr"]').text,
        "never.py": Written((), "self.scheduler = lr_scheduler.StepLR(self.optimizer, 5)").text,
        "refused.py": step.replace('return {"lr", "momentum"}', 'return {"lr", "momentum", "beta"}'),
        "raises.py": step.replace("self.train()", "raise RuntimeError('no')"),
        "broken.py": "def f(:\n",
        "script.py": SCRIPT,
        "get_lr.py": FUNCTION,
        "plateau.py": PLATEAU,
        "other.py": "x = 1\n",
        "stepped.py": Written((), "self.scheduler = lr_scheduler.StepLR(self.optimizer, 5)", last=STEP).text,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    files, skipped = collect(folder)
    settings = VerifySettings(stage=Stage.SCHEDULE, policy=Policy.LEMUR)
    store = Store(f"sqlite:///{folder}/results.db")
    ended: list[int] = []
    done = audit(
        catalogues.load(), folder, files, skipped, settings, store, workers=2, timeout=60, advance=ended.append
    )
    store.close()
    assert sum(ended) == len(texts)
    return done


def by_name(audited: Audit) -> dict[str, Audited]:
    """The files of an audit by their names."""
    return {file.name: file for file in audited.files}


def test_each_file_says_whether_it_runs(audited):
    """A file runs if it passes the checks or if its schedule runs; else the reason is that of the check."""
    reasons = {name: file.reason for name, file in by_name(audited).items() if not file.runs}
    assert reasons["broken.py"] == "it is no Python: it cannot be parsed"
    assert reasons["raises.py"].startswith("contract: learn raises RuntimeError: no (line ")
    assert "beta" in reasons["refused.py"]
    assert reasons["other.py"].startswith("it has neither a class Net nor")
    assert set(reasons) == {"broken.py", "raises.py", "refused.py", "other.py"}


def test_the_nearest_schedules_are_named(audited):
    """Networks, also refused ones, and scripts have their nearest schedule."""
    words = {
        name: file.diagnosis.nearest[0].words for name, file in by_name(audited).items() if file.diagnosis is not None
    }
    assert words["refused.py"] == words["B1/new_nn.py"] == "StepLR: ×0.5 every 10 epochs"
    assert words["stepped.py"] == "StepLR: ×0.1 every 5 updates"
    assert words["script.py"] == "StepLR: ×0.1 every 20 epochs"
    assert words["get_lr.py"] == "StepLR: ×0.1 every 30 epochs"
    assert words["plateau.py"] == "ReduceLROnPlateau: ×0.5 after more than 3 epochs without improvement"
    assert audited.schedules["A0_001"] == 7


def test_the_counts_are_those_of_the_files(audited):
    """The counts say how many run, deviate, never change, and repeat a curve or a code."""
    files = by_name(audited)
    assert {name for name, file in files.items() if file.constant} == {"by_hand.py", "never.py"}
    assert {name for name, file in files.items() if file.deviates} == {"renamed_cosine.py", "script.py"}
    assert audited.same_code == [["B1/new_nn.py", "B2/new_nn.py", "renamed_cosine.py"]]
    step = ["B1/new_nn.py", "B2/new_nn.py", "refused.py", "renamed_cosine.py"]
    assert [sorted(group) for group in audited.same_curve] == [step, ["by_hand.py", "never.py"]]
    assert audited.counts == {
        "files": 13,
        "run": 9,
        "do_not_run": 4,
        "with_a_curve": 10,
        "distinct_curves": 6,
        "never_change": 2,
        "deviate": 2,
        "with_practices": 0,
        "same_curve": 4,
        "same_code": 2,
        "skipped": 0,
    }
    json.dumps(audited.counts)
