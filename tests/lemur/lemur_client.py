"""Trains files in LEMUR's own client; runs in nn-dataset's environment, in an empty folder, without anything of ours::

    PYTHON_OF_THE_CLIENT lemur_client.py < jobs.json > results.jsonl

A job is ``{"path": …, "prm": {…}, "images": [training, held out]}``; with ``"search": NAME`` the client's own search
trains the file under that name. The results come in the same order, one line each; what the client prints goes to
stderr. The client is not changed, but a copy of it in the folder is run, because the original would write a metric into
its own installation. It has no network, and can write nowhere but in the folder.
"""

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import sqlite3
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

PIPELINE = ("img-classification", "cifar-10", "acc")
# The wheel has no metrics; this is the one that LEMUR calls acc.
ACCURACY = '''\
from ab.nn.metric.base import BaseMetric


class Accuracy(BaseMetric):
    """The share of the images whose highest score is that of their class."""

    def reset(self):
        self.right = self.seen = 0

    def update(self, outputs, targets):
        self.right += (outputs.argmax(dim=1) == targets).sum().item()
        self.seen += len(targets)

    def result(self):
        return self.right / max(1, self.seen)


def create_metric(out_shape):
    return Accuracy()
'''


# Like the wheel's norm_32, for networks that are slow at that size.
NORM_16 = """\
import torchvision.transforms as transforms


def transform(norm):
    return transforms.Compose([transforms.Resize(16), transforms.ToTensor(), transforms.Normalize(*norm)])
"""


def stay_in(folder: Path) -> None:
    """From here on, whatever connects to a network or writes outside the folder gets a PermissionError."""
    changing = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def watch(event: str, arguments: tuple) -> None:
        if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
            raise PermissionError(f"no network: {event} {arguments}")
        path = arguments[0] if arguments else None
        if not isinstance(path, (str, os.PathLike)) or path == ":memory:":
            return
        if event in changing or (event == "open" and arguments[2] & writing):
            place = Path(os.path.abspath(path))
            # /dev holds null, and the memory that the client's data loaders share.
            if not place.is_relative_to(folder) and not place.is_relative_to("/dev"):
                raise PermissionError(f"{event} outside {folder}: {place}")

    sys.addaudithook(watch)


def copy_client(folder: Path) -> None:
    """Put the client's modules into the folder; with a README.md beside them it takes the folder for its own."""
    spec = util.find_spec("ab")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    shutil.copytree(spec.submodule_search_locations[0], folder / "ab", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "README.md").touch()


def write_digits(folder: Path, train: int, test: int) -> None:
    """Lay so many of scikit-learn's digits, 32 pixels wide and in three channels, where torchvision finds CIFAR-10."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torchvision.datasets import CIFAR10

    pixels, labels = load_digits(return_X_y=True)
    small = (pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack([np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BILINEAR)) for one in small])
    rows = np.repeat(large[:, None], 3, axis=1).reshape(-1, 3 * 32 * 32)
    trained, tested = train_test_split(
        np.arange(len(labels)), train_size=train, test_size=test, random_state=0, stratify=labels
    )

    place = folder / "data" / CIFAR10.base_folder
    place.mkdir(parents=True, exist_ok=True)

    def write(name: str, content: dict) -> str:
        packed = pickle.dumps(content)
        (place / name).write_bytes(packed)
        return hashlib.md5(packed).hexdigest()

    def batch(name: str, chosen: Any) -> list[str]:
        return [name, write(name, {"data": rows[chosen], "labels": labels[chosen].tolist()})]

    # The digests are those of our files: torchvision finds them all and downloads nothing.
    CIFAR10.train_list = [batch(f"data_batch_{part + 1}", trained[part::5]) for part in range(5)]
    CIFAR10.test_list = [batch("test_batch", tested)]
    names = {"label_names": [str(digit) for digit in range(10)]}
    CIFAR10.meta = {**CIFAR10.meta, "md5": write(CIFAR10.meta["filename"], names)}


def make_database() -> None:
    """Make LEMUR's database, empty but for a metric and a transform; without one the client would download it."""
    from ab.nn.util.db import Init

    Init.init_db()
    connection, cursor = Init.sql_conn()
    for table, name, code in (("metric", "acc", ACCURACY), ("transform", "norm_16", NORM_16)):
        digest = hashlib.md5("".join(code.split()).encode()).hexdigest()
        cursor.execute(f"INSERT INTO {table} (name, code, id) VALUES (?, ?, ?)", (name, code, digest))
    Init.close_conn(connection)


def spent() -> float:
    """The seconds that the processor worked for this process and its children, on a busy machine too."""
    return sum(os.times()[:4])


def try_out(job: dict, folder: Path) -> dict:
    """Hand one file to the client; what it returned or raised, and what it kept."""
    import torch
    from ab.nn.util import CodeEval
    from ab.nn.util.Const import db_file, stat_nn_dir

    reports: dict[str, Any] = {}
    kept = CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation

    def evaluate(path: Path) -> Any:
        began = spent()
        report = kept[0](path)
        problems = sorted({f"{one['message-id']} {one['symbol']}" for one in report["pylint"]})
        reports.update(evaluation_seconds=spent() - began, pylint=problems)
        return report

    def run(*arguments: Any, **options: Any) -> Any:
        # The client counts every file as one that ran: it unpacks the keys of this dictionary.
        report = kept[1](*arguments, **options)
        reports.update(two_batches=report["output"])
        return report

    CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation = evaluate, run
    torch.manual_seed(0)
    code = Path(job["path"]).read_text(encoding="utf-8")
    summary = folder / "out" / "training_summary.json"
    summary.unlink(missing_ok=True)
    found: dict[str, Any] = {"error": None}
    started = spent()
    try:
        found.update(search(code, job) if "search" in job else train(code, job))
    except Exception as error:  # noqa: BLE001 - whatever the client or the file raises is the result
        found["error"] = f"{type(error).__name__}: {error}"
    finally:
        CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation = kept
    found["seconds"] = spent() - started
    if summary.exists():
        found["curves"] = json.loads(summary.read_text())["learning_curves"]
        found["hyperparameters"] = json.loads(summary.read_text())["hyperparameters"]
    analysis = stat_nn_dir / f"{found.get('name')}.json"
    if analysis.exists():
        found["analysis"] = json.loads(analysis.read_text())
    with contextlib.closing(sqlite3.connect(db_file)) as opened:
        query = "SELECT epoch, accuracy FROM nn JOIN stat ON stat.nn = nn.name WHERE nn.code = ? AND nn.name = ?"
        found["stored"] = sorted(set(opened.execute(query, (code, found.get("name")))))
    return {**found, **reports}


def train(code: str, job: dict) -> dict:
    """Train one file with given hyperparameters, as NNGPT does with a model's answer, and analyse the network."""
    from ab.nn.api import check_nn
    from ab.nn.util.NNAnalysis import log_nn_stat

    place = Path.cwd() / "stat" / Path(job["path"]).stem
    name, accuracy, _, score = check_nn(code, *PIPELINE, dict(job["prm"]), prefix="lr", save_path=str(place))
    log_nn_stat(name)
    return {"name": name, "accuracy": accuracy, "score": score}


def search(code: str, job: dict) -> dict:
    """Run one trial of LEMUR's own search, which draws the hyperparameters that ``prm`` leaves open."""
    from ab.nn.train import main
    from ab.nn.util.Const import nn_dir

    name = job["search"]
    nn_dir.mkdir(exist_ok=True)
    (nn_dir / f"{name}.py").write_text(code, encoding="utf-8")
    given = {key: value for key, value in job["prm"].items() if key not in ("epoch", "num_workers")}
    config = "_".join((*PIPELINE, name))
    accuracy = main(config, given, epoch_max=job["prm"]["epoch"], n_optuna_trials=1, nn_fail_attempts=1, num_workers=0)
    return {"name": name, "accuracy": accuracy}


def main() -> None:
    """Read the jobs, set the client up, and write a line for each file."""
    jobs = json.load(sys.stdin)
    folder = Path.cwd()
    if list(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    # pylint is called by its name, and homes and caches of whatever else there is belong into the folder too.
    tools = str(Path(sys.executable).parent)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), PATH=os.pathsep.join((tools, os.environ.get("PATH", ""))))
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", HF_HUB_OFFLINE="1", XDG_CACHE_HOME=str(folder / ".cache"))
    sys.dont_write_bytecode = True
    copy_client(folder)
    # Not this file's folder but the current one, where the client imports its temporary modules from.
    sys.path[0] = str(folder)
    stay_in(folder)
    with contextlib.redirect_stdout(sys.stderr):
        make_database()
    for job in jobs:
        with contextlib.redirect_stdout(sys.stderr):
            write_digits(folder, *job["images"])
            found = try_out(job, folder)
        found["version"] = metadata.version("nn-dataset")
        sys.stdout.write(json.dumps({**job, **found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
