"""verifiers runs lrgen's environment: its own commands validate the tasks, and ask a model on a local server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lrgen import catalogue
from lrgen.finetune.example import Row
from lrgen.finetune.formats import scored
from lrgen.finetune.rows import Split
from tests.score.rows import dataset_in

WRONG = "I do not know."
LIMIT = 300.0  # seconds of a command


class Model(ThreadingHTTPServer):
    """A server with the chat completions of OpenAI; ``answer`` takes the messages, which ``asked`` keeps."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[list[dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    """Answers a request with one chunk, and the end."""

    server: Model

    def do_POST(self) -> None:
        """Answer the last message of a chat."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(request["messages"])
        content = self.server.answer(request["messages"])
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        parts = [
            chunk | {"choices": [{"index": 0, "finish_reason": end, "delta": delta}]}
            for delta, end in (({"role": "assistant", "content": content}, None), ({}, "stop"))
        ]
        body = "".join(f"data: {text}\n\n" for text in (*map(json.dumps, parts), "[DONE]")).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """The rows of the split test of a dataset in the folder ``data``."""
    return dataset_in(tmp_path / "data", catalogue.load())[Split.TEST]


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[list[dict[str, Any]]], str]], Model]]:
    """Starts a server for a function that answers messages."""
    started = []

    def serve(answer: Callable[[list[dict[str, Any]]], str]) -> Model:
        model = Model(answer)
        threading.Thread(target=model.serve_forever, daemon=True).start()
        started.append(model)
        return model

    yield serve
    for model in started:
        model.shutdown()
        model.server_close()


def run(command: str, folder: Path, *arguments: str) -> None:
    """Run a command of verifiers in a folder."""
    program = Path(sys.executable).with_name(command)
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "KEY": "none"}
    ended = subprocess.run(
        [program, "lrgen-env", *arguments, "--output-dir", "runs"],
        check=False,
        cwd=folder,
        env=environment,
        timeout=LIMIT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert ended.returncode == 0, ended.stdout


def evaluate(folder: Path, model: Model, turns: int) -> list[dict[str, Any]]:
    """The traces of an evaluation on the split test."""
    options = {
        "--env.taskset.dataset": "data",
        "--env.taskset.splits": '["test"]',
        "--env.turns": str(turns),
        "--client.base-url": f"http://127.0.0.1:{model.server_port}/v1",
        "--client.api-key-var": "KEY",
        "--model": "model",
    }
    run("vf-eval", folder, *(text for option in options.items() for text in option), "--no-push")
    [path] = (folder / "runs").glob("*/traces.jsonl")
    return [trace for line in path.read_text().splitlines() for trace in json.loads(line)["traces"]]


def test_the_answers_of_the_dataset_are_valid(rows, tmp_path):
    """vf-validate finds that each own answer passes, and that no untouched task does."""
    selection = ("--taskset.dataset", "data", "--taskset.splits", '["test"]')
    run("vf-validate", tmp_path, *selection, "--runtime.type", "subprocess", "--rich", "False")
    [path] = (tmp_path / "runs").glob("*/summary.json")
    checks = json.loads(path.read_text())["checks"]
    assert {name: counts["valid"] for name, counts in checks.items()} == {"gold": len(rows), "noop": len(rows)}


def test_a_wrong_answer_is_repaired(rows, serving, tmp_path):
    """The model receives the reason why its first answer does not pass; its second one is graded."""
    right = {scored.question(row): row["completion"] for row in rows}
    model = serving(lambda messages: WRONG if len(messages) == 2 else right[messages[1]["content"]])
    traces = evaluate(tmp_path, model, turns=3)
    assert len(traces) == len(rows)
    for trace in traces:
        assert not trace["errors"]
        assert trace["metrics"]["passed"] == 1.0
        assert trace["rewards"]["reward"]["score"] == 1.0
    repairs = [messages for messages in model.asked if len(messages) > 2]
    assert len(repairs) == len(rows)
    assert all(messages[-1]["content"].startswith("This does not pass: ") for messages in repairs)


def test_one_turn_is_one_answer(rows, serving, tmp_path):
    """By default the first answer is the last one; the model gets the system's message and the question of the row."""
    model = serving(lambda messages: WRONG)
    traces = evaluate(tmp_path, model, turns=1)
    asked = sorted([(message["role"], message["content"]) for message in messages] for messages in model.asked)
    assert asked == sorted([("system", row["system"]), ("user", scored.question(row))] for row in rows)
    assert [trace["metrics"]["passed"] for trace in traces] == [0.0] * len(rows)
    assert all(trace["rewards"]["reward"]["score"] < 0.5 for trace in traces)
