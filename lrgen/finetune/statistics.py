"""Statistics of a dataset, counted while it is written, and their page."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrgen.finetune.claims import is_claimed
from lrgen.finetune.derived import Difficulty
from lrgen.finetune.example import Row
from lrgen.finetune.rows import SPLITS, Split
from lrgen.report.plots import COLOURS

PAGE = "statistics.md"
FIGURES = "figures"
_SAMPLE = 50  # completions of each split and task
_ACCURACY_STEPS = 20


class Tally:
    """Counts rows and keeps a sample of the longer completions outside of training."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, str]] = Counter()  # by task and split
        self.groups: dict[str, set[str]] = {}  # by split
        self.families: Counter[str] = Counter()
        self.architectures: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.difficulties: Counter[str] = Counter()
        self.accuracies: dict[str, float] = {}  # by file
        self.lengths: Counter[int] = Counter()  # by bit length of the number of characters
        self.tokens: Counter[int] = Counter()  # by bit length of the number of tokens
        self.preferences: set[str] = set()  # tasks with rejected or labelled completions
        self.chars = 0
        self._kept: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def add(self, row: Row) -> None:
        """Count a row."""
        split = row["split"]
        self.rows[row["task"], split] += 1
        if row["scope"] != "none":
            self.groups.setdefault(split, set()).add(row["group"])
        self.families[row["family"]] += 1
        self.architectures[row["architecture"]] += 1
        self.levels[row["level"]] += 1
        self.difficulties[row["difficulty"]] += 1
        if row["rejected"] is not None or row["label"] is not None:
            self.preferences.add(row["task"])
        if row["accuracy"] is not None:
            self.accuracies[row["source_sha256"]] = row["accuracy"]
        chars = row["prompt_chars"] + row["completion_chars"]
        self.chars += chars
        self.lengths[chars.bit_length()] += 1
        if row["prompt_tokens"] is not None:
            self.tokens[(row["prompt_tokens"] + row["completion_tokens"]).bit_length()] += 1
        if split != Split.TRAIN and is_claimed(row):
            kept = self._kept.setdefault((split, row["task"]), [])
            kept.append((row["id"], row["completion"]))
            if len(kept) == 2 * _SAMPLE:
                kept.sort()
                del kept[_SAMPLE:]

    @property
    def samples(self) -> dict[tuple[str, str], list[str]]:
        """The sampled completions by split and task, without training, in order."""
        keys = [(split.value, task) for split in SPLITS for task in self.by_task() if (split.value, task) in self._kept]
        return {key: [completion for _, completion in sorted(self._kept[key])[:_SAMPLE]] for key in keys}

    @property
    def total(self) -> int:
        """The number of rows."""
        return self.rows.total()

    def by_split(self) -> dict[str, int]:
        """Return the number of rows by split, in the order of the splits."""
        return {split.value: count for split in SPLITS if (count := self._of(1, split))}

    def by_task(self) -> dict[str, int]:
        """Return the number of rows by task, in build order."""
        return {task: self._of(0, task) for task in dict.fromkeys(task for task, _ in self.rows)}

    def counts(self) -> dict[str, Any]:
        """Return the counts of the manifest."""
        return {"rows": self.total, "splits": self.by_split(), "tasks": self.by_task()}

    def _of(self, place: int, name: str) -> int:
        return sum(count for key, count in self.rows.items() if key[place] == name)


def write(folder: Path, tally: Tally) -> None:
    """Write the page and its figures."""
    (folder / FIGURES).mkdir()
    parts = [f"# Statistics\n\n{tally.total:,} rows, {tally.chars:,} characters.\n", split_table(tally)]
    for name, title, bars in _charts(tally):
        _draw(folder / FIGURES / f"{name}.svg", title, bars)
        parts.append(f"## {title}\n\n![{title}]({FIGURES}/{name}.svg)\n")
    (folder / PAGE).write_text("\n".join(parts), encoding="utf-8")


def split_table(tally: Tally) -> str:
    """Return the number of rows by task and split as a Markdown table."""
    splits = list(tally.by_split())
    lines = [f"| task | {' | '.join(splits)} | all |", f"|---|{'---:|' * (len(splits) + 1)}"]
    for task, total in tally.by_task().items():
        lines.append(f"| {task} | {' | '.join(f'{tally.rows[task, split]:,}' for split in splits)} | {total:,} |")
    totals = " | ".join(f"{count:,}" for count in tally.by_split().values())
    lines.append(f"| all | {totals} | {tally.total:,} |")
    return "\n".join(lines) + "\n"


def _charts(tally: Tally) -> list[tuple[str, str, dict[str, int]]]:
    """Return the name, title and bars of each figure with data."""
    steps = Counter(min(_ACCURACY_STEPS - 1, int(accuracy * _ACCURACY_STEPS)) for accuracy in tally.accuracies.values())
    accuracies = {f"{100 * step // _ACCURACY_STEPS} %": steps[step] for step in range(_ACCURACY_STEPS)}
    charts: list[tuple[str, str, dict[str, int]]] = [
        ("tasks", "Rows by task", tally.by_task()),
        ("splits", "Rows by split", tally.by_split()),
        ("families", "Rows by schedule family", _sorted(tally.families)),
        ("architectures", "Rows by architecture", _sorted(tally.architectures)),
        ("levels", "Rows by last passed check", _sorted(tally.levels)),
        ("difficulties", "Rows by difficulty", {name.value: tally.difficulties[name] for name in Difficulty}),
        ("characters", "Rows by characters of prompt and completion", _powers(tally.lengths)),
        ("tokens", "Rows by tokens of prompt and completion", _powers(tally.tokens)),
        ("accuracies", "Files by held-out accuracy", accuracies if tally.accuracies else {}),
    ]
    return [chart for chart in charts if chart[2]]


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name or "without a file": counts[name] for name in sorted(counts, key=lambda name: (-counts[name], name))}


def _powers(counts: Mapping[int, int]) -> dict[str, int]:
    if not counts:
        return {}
    return {f"< {1 << power:,}": counts.get(power, 0) for power in range(min(counts), max(counts) + 1)}


def _draw(path: Path, title: str, bars: Mapping[str, int]) -> None:
    """Draw horizontal bars as a reproducible SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    with plt.rc_context({"svg.hashsalt": "lrgen", "svg.fonttype": "none", "font.size": 8}):
        figure, axis = plt.subplots(figsize=(6, 0.6 + 0.22 * len(bars)), layout="constrained")
        drawn = axis.barh(list(bars), list(bars.values()), color=COLOURS[0])
        axis.bar_label(drawn, [f"{count:,}" for count in bars.values()], padding=2, fontsize=7)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(title, fontsize=9)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
