"""Trains files in LEMUR's own client, in nn-dataset's environment and an empty folder, without lrgen.

    PYTHON_OF_THE_CLIENT lemur_client.py < jobs.json > results.jsonl

A job is ``{"path": …, "prm": {…}, "images": [training, held out]}``; with ``"search": NAME``, the client's own search
trains the file under that name. The results come in the same order, one per line; the client's output goes to stderr.
The script runs an unchanged copy of the client in the folder, because the original would write a metric into its own
installation. It has no network access and can write only in the folder.
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
# The wheel has no metrics; this is LEMUR's metric acc.
ACCURACY = '''\
from ab.nn.metric.base import BaseMetric


class Accuracy(BaseMetric):
    """The fraction of correct predictions."""

    def reset(self):
        self.correct = self.total = 0

    def update(self, outputs, targets):
        self.correct += (outputs.argmax(dim=1) == targets).sum().item()
        self.total += len(targets)

    def result(self):
        return self.correct / max(1, self.total)


def create_metric(out_shape):
    return Accuracy()
'''


# Like the wheel's norm_32, for networks that are slow at 32 pixels.
NORM_16 = """\
import torchvision.transforms as transforms


def transform(norm):
    return transforms.Compose([transforms.Resize(16), transforms.ToTensor(), transforms.Normalize(*norm)])
"""


def stay_in(folder: Path) -> None:
    """Raise PermissionError from now on for any network connection and any write outside the folder."""
    changing = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def audit(event: str, arguments: tuple) -> None:
        if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
            raise PermissionError(f"no network: {event} {arguments}")
        path = arguments[0] if arguments else None
        if not isinstance(path, (str, os.PathLike)) or path == ":memory:":
            return
        if event in changing or (event == "open" and arguments[2] & writing):
            target = Path(os.path.abspath(path))
            # /dev holds null and the shared memory of the client's data loaders.
            if not target.is_relative_to(folder) and not target.is_relative_to("/dev"):
                raise PermissionError(f"{event} outside {folder}: {target}")

    sys.addaudithook(audit)


def copy_client(folder: Path) -> None:
    """Copy the client's modules into the folder; the README.md beside them makes it the client's root."""
    spec = util.find_spec("ab")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    shutil.copytree(spec.submodule_search_locations[0], folder / "ab", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "README.md").touch()


def write_digits(folder: Path, train: int, test: int) -> None:
    """Write scikit-learn's digits, resized to 3×32×32, in the format and place of torchvision's CIFAR-10."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torchvision.datasets import CIFAR10

    pixels, labels = load_digits(return_X_y=True)
    small = (pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack(
        [np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)) for image in small]
    )
    rows = np.repeat(large[:, None], 3, axis=1).reshape(-1, 3 * 32 * 32)
    trained, tested = train_test_split(
        np.arange(len(labels)), train_size=train, test_size=test, random_state=0, stratify=labels
    )

    target = folder / "data" / CIFAR10.base_folder
    target.mkdir(parents=True, exist_ok=True)

    def write(name: str, content: dict) -> str:
        packed = pickle.dumps(content)
        (target / name).write_bytes(packed)
        return hashlib.md5(packed).hexdigest()

    def batch(name: str, chosen: Any) -> list[str]:
        return [name, write(name, {"data": rows[chosen], "labels": labels[chosen].tolist()})]

    # The digests are those of these files, so torchvision accepts them and downloads nothing.
    CIFAR10.train_list = [batch(f"data_batch_{part + 1}", trained[part::5]) for part in range(5)]
    CIFAR10.test_list = [batch("test_batch", tested)]
    names = {"label_names": [str(digit) for digit in range(10)]}
    CIFAR10.meta = {**CIFAR10.meta, "md5": write(CIFAR10.meta["filename"], names)}


def make_database() -> None:
    """Create LEMUR's database with only a metric and a transform; otherwise the client would download one."""
    from ab.nn.util.db import Init

    Init.init_db()
    connection, cursor = Init.sql_conn()
    for table, name, code in (("metric", "acc", ACCURACY), ("transform", "norm_16", NORM_16)):
        digest = hashlib.md5("".join(code.split()).encode()).hexdigest()
        cursor.execute(f"INSERT INTO {table} (name, code, id) VALUES (?, ?, ?)", (name, code, digest))
    Init.close_conn(connection)


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children, which does not depend on the machine's load."""
    return sum(os.times()[:4])


def train_and_collect(job: dict, folder: Path) -> dict:
    """Train one file with the client; return its result or error, and the rows that it stored."""
    import torch
    from ab.nn.util import CodeEval
    from ab.nn.util.Const import db_file, stat_nn_dir

    reports: dict[str, Any] = {}
    originals = CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation

    def evaluate(path: Path) -> Any:
        began = cpu_seconds()
        report = originals[0](path)
        problems = sorted({f"{message['message-id']} {message['symbol']}" for message in report["pylint"]})
        reports.update(evaluation_seconds=cpu_seconds() - began, pylint=problems)
        return report

    def run(*arguments: Any, **options: Any) -> Any:
        # The client counts every file as successful, because it unpacks the keys of this dictionary.
        report = originals[1](*arguments, **options)
        reports.update(two_batches=report["output"])
        return report

    CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation = evaluate, run
    torch.manual_seed(0)
    code = Path(job["path"]).read_text(encoding="utf-8")
    summary = folder / "out" / "training_summary.json"
    summary.unlink(missing_ok=True)
    result: dict[str, Any] = {"error": None}
    started = cpu_seconds()
    try:
        result.update(search(code, job) if "search" in job else train(code, job))
    except Exception as error:  # noqa: BLE001  any exception of the client or of the file is the result
        result["error"] = f"{type(error).__name__}: {error}"
    finally:
        CodeEval.evaluate_single_file, CodeEval.dynamic_evaluation = originals
    result["seconds"] = cpu_seconds() - started
    if summary.exists():
        result["curves"] = json.loads(summary.read_text())["learning_curves"]
        result["hyperparameters"] = json.loads(summary.read_text())["hyperparameters"]
    analysis = stat_nn_dir / f"{result.get('name')}.json"
    if analysis.exists():
        result["analysis"] = json.loads(analysis.read_text())
    with contextlib.closing(sqlite3.connect(db_file)) as connection:
        query = "SELECT epoch, accuracy FROM nn JOIN stat ON stat.nn = nn.name WHERE nn.code = ? AND nn.name = ?"
        result["stored"] = sorted(set(connection.execute(query, (code, result.get("name")))))
    return {**result, **reports}


def train(code: str, job: dict) -> dict:
    """Train one file with given hyperparameters, as NNGPT trains a model's answer, and analyse the network."""
    from ab.nn.api import check_nn
    from ab.nn.util.NNAnalysis import log_nn_stat

    statistics = Path.cwd() / "stat" / Path(job["path"]).stem
    name, accuracy, _, score = check_nn(code, *PIPELINE, dict(job["prm"]), prefix="lr", save_path=str(statistics))
    log_nn_stat(name)
    return {"name": name, "accuracy": accuracy, "score": score}


def search(code: str, job: dict) -> dict:
    """Run one trial of LEMUR's own search, which samples the hyperparameters that ``prm`` does not set."""
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
    """Read the jobs, set up the client, and write one line per file."""
    jobs = json.load(sys.stdin)
    folder = Path.cwd()
    if list(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    # The client calls pylint by its name; the home and cache folders must lie in the folder as well.
    tools = str(Path(sys.executable).parent)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), PATH=os.pathsep.join((tools, os.environ.get("PATH", ""))))
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", HF_HUB_OFFLINE="1", XDG_CACHE_HOME=str(folder / ".cache"))
    sys.dont_write_bytecode = True
    copy_client(folder)
    # The client imports its temporary modules from the current folder, not from this script's.
    sys.path[0] = str(folder)
    stay_in(folder)
    with contextlib.redirect_stdout(sys.stderr):
        make_database()
    for job in jobs:
        with contextlib.redirect_stdout(sys.stderr):
            write_digits(folder, *job["images"])
            result = train_and_collect(job, folder)
        result["version"] = metadata.version("nn-dataset")
        sys.stdout.write(json.dumps({**job, **result}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
