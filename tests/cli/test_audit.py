"""``lrgen audit``: the page, JSON and exit codes."""

import json

SCRIPT = """
import torch

def get_scheduler(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, {size})
"""


def test_the_page_shows_counts_and_the_first_rows(lrgen, tmp_path):
    """The counts come first; of a long table the first rows are printed, and JSON has all. No line is too long."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    for size in range(12):
        (folder / f"cosine_{size}.py").write_text(SCRIPT.format(size=10 + size))
    (folder / "image.py").write_bytes(b"\xff")
    code, out, _ = lrgen("-q", "audit", folder.name)
    assert code == 0
    first, curves, constant, deviating, *_ = out.splitlines()
    assert first == "12 files under scripts: 12 run, 0 do not; 1 skipped"
    assert curves == "12 distinct curves of 12 files that have one"
    assert constant == "0 never change the learning rate"
    assert deviating == "12 deviate from the name that they carry"
    assert "A0_001   StepLR_default     12" in out
    assert "cosine_0.py   cosine  StepLR: ×0.1 every 10 epochs (0.000)" in out
    assert "and 4 more (--json has all)" in out
    assert "image.py  not text: no UTF-8" in out
    assert max(map(len, out.splitlines())) <= 100
    code, out, _ = lrgen("-q", "audit", folder.name, "--json")
    document = json.loads(out)
    assert code == 0
    assert [file["deviates"] for file in document["files"]] == [True] * 12
    assert document["files"][0]["diagnosis"]["nearest"][0]["variant"] == "A0_001"
    assert document["skipped"] == [{"path": "image.py", "reason": "not text: no UTF-8"}]


def test_a_folder_without_python_is_wrong_use(lrgen, tmp_path):
    """A folder without a Python file, or a path that is none, exits with 2 and one sentence."""
    (tmp_path / "empty").mkdir()
    for name, reason in (("empty", "looked for *.py"), ("missing", "not a folder")):
        code, out, err = lrgen("audit", name)
        assert (code, out) == (2, "")
        assert reason in err
