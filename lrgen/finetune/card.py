"""The dataset card: ``README.md`` with the header that the Hub reads, and the Croissant metadata."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrgen.finetune import (
    configurations,
    croissant,
    exposure,
    formats,
    inputs,
    manifest,
    near_duplicates,
    repetition,
    statistics,
)
from lrgen.finetune.claims import LINES
from lrgen.finetune.decontamination import GRAM
from lrgen.finetune.formats import parquet
from lrgen.finetune.formats.folder_card import Configuration, header
from lrgen.finetune.measures import Measures
from lrgen.finetune.rows import LICENCE, SCHEMA, table

README = "README.md"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SPLITS = {
    "train": "training",
    "validation": "groups for model selection",
    "test": "groups for testing",
    "test_numbers": "compositions with numbers outside of the trained ranges",
    "test_styles": "compositions in styles that are held out",
    "test_pairs": "compositions with a pair of successive phases that is held out",
    "test_phases": "compositions of more phases than those of training",
    "test_architectures": "architectures held out for testing",
    "test_families": "schedule families held out for testing",
    "test_families_architectures": "held-out families with held-out architectures",
}
_LEVELS = {
    "contract": "the file was imported, its network built and trained for one step, through its public interface",
    "schedule": "its learning rate was compared at every step with an independent closed formula",
    "training": "it was trained on real data and reached the required accuracy",
}


def write(
    folder: Path,
    facts: Mapping[str, Any],
    tally: statistics.Tally,
    measured: Measures,
    summaries: Mapping[str, str],
) -> None:
    """Write the card and the Croissant metadata of a folder that has its data files."""
    (folder / croissant.NAME).write_text(croissant.text(folder, facts), encoding="utf-8")
    configured = configurations.of(folder, tally.preferences)
    parts = (
        _header(tally, configured),
        f"# {croissant.TITLE}\n",
        _introduction(facts, tally),
        _verification(facts, tally),
        f"## Tasks and splits\n\n{statistics.split_table(tally)}",
        _tasks(tally, summaries),
        _splits(facts, tally),
        f"## Columns\n\nSchema {SCHEMA}; `parquet/` holds all of them.\n\n{table()}",
        _formats(folder, configured),
        _diversity(measured.repetition),
        _limits(facts, measured),
        f"## Licence\n\n{LICENCE}, including the code.\n",
    )
    (folder / README).write_text("\n".join(parts), encoding="utf-8")


def _header(tally: statistics.Tally, configured: Iterable[Configuration]) -> str:
    size = next((name for limit, name in _SIZES if tally.total < limit), "1M<n<10M")
    lines = ["license: mit", "language:", "- en", f"pretty_name: {croissant.TITLE}", "size_categories:", f"- {size}"]
    lines += ["task_categories:", "- text-generation", "tags:", *(f"- {word}" for word in croissant.KEYWORDS)]
    return header(configured, lines)


def _introduction(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    networks = len(tally.architectures.keys() - {""})
    families = len(tally.families.keys() - {""})
    count = facts["corpus"]["compositions"]
    drawn = ""
    if count:
        drawn = (
            f" Beside them are {count:,} compositions, schedules drawn from a grammar of phases and written in code in "
            f"several styles, with {facts['corpus']['traces']:,} distinct courses of the learning rate."
        )
    return f"""\
{tally.total:,} rows for fine-tuning language models on PyTorch code, made from {facts["corpus"]["files"]:,} \
training modules. Each module implements a network with a learning-rate schedule (architectures: {networks}, schedule \
families: {families}).{drawn} Built by lrgen {facts["lrgen"]} with seed {facts["arguments"]["seed"]}; the same files, \
arguments and versions give the same bytes. `lrgen dataset check` verifies a copy.

See [{statistics.PAGE}]({statistics.PAGE}) for statistics, [{manifest.NAME}]({manifest.NAME}) for the arguments and \
versions of the build, and [{inputs.FILES}]({inputs.FILES}) for the files.
"""


def _verification(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    lines = [
        "## Verification\n",
        "Each file was executed, and its exact bytes passed the following checks; each level includes the ones "
        "before it:\n",
    ]
    lines += [
        f"- `{level}` ({count:,} rows): {meaning}"
        for level, meaning in _LEVELS.items()
        if (count := tally.levels[level])
    ]
    if none := tally.levels[""]:
        lines.append(f"- {none:,} rows contain no code; their completions are computed")
    if facts["corpus"]["compositions"]:
        lines.append(
            "- the code of compositions was executed in the process that generated it and compared with its formula "
            "at drawn horizons and base learning rates, within 1e-9; "
            f"{facts['corpus']['verified_alone']:,} pieces were verified alone in a sandbox as well, and agreed"
        )
    ineligible = facts["corpus"]["ineligible"]
    left_out = f"; {ineligible:,} ineligible files were left out" if ineligible else ""
    lines.append(
        f"\nThe build required at least `{facts['arguments']['level']}`{left_out}. `result_id` identifies the run in "
        "the results database, `evidence` describes how the completion was verified.\n"
    )
    return "\n".join(lines)


def _tasks(tally: statistics.Tally, summaries: Mapping[str, str]) -> str:
    known = {task: summaries[task] for task in tally.by_task() if task in summaries}
    return "\n".join(f"- **{task}**: {summary}" for task, summary in known.items()) + "\n"


def _splits(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    lines = [
        "Rows are split by group to prevent leakage. A group is an architecture with a family, or a family when the "
        "completion is the same for every architecture. Families that share a schedule form one group. The group of a "
        "composition is the kinds of its phases.\n"
    ]
    lines += [
        f"- `{split}` ({_SPLITS[split]}): {count:,} rows of {len(tally.groups.get(split, ())):,} groups"
        for split, count in tally.by_split().items()
    ]
    held_out = facts["held_out"]
    names = [*held_out["families"], *held_out["architectures"]]
    return "\n".join(lines) + (f"\n\nHeld out for testing: {', '.join(names)}.\n" if names else "\n")


def _formats(folder: Path, configured: Sequence[Configuration]) -> str:
    lines = [f"- `{form.NAME}/`: {form.SUMMARY}" for form in formats.FORMATS if (folder / form.NAME).is_dir()]
    lines.append(f"- `{parquet.NAME}/`: {parquet.SUMMARY}")
    default = next(configuration for configuration in configured if configuration.default)
    names = ", ".join(f"`{configuration.name}`" for configuration in configured)
    loading = (
        f"`load_dataset(path, name)` loads a configuration: {names}. The default, `{default.name}`, is for supervised "
        "fine-tuning: it has neither incorrect completions nor preference pairs. The folder of each format loads by "
        "itself too, with the same splits.\n"
    )
    return "\n".join(["## Formats\n", *lines, "", loading])


def _diversity(repeated: repetition.Repetition | None) -> str:
    if repeated is None:
        return "## Diversity\n\nNo row is for training.\n"
    return (
        "## Diversity\n\nHow much the answers of training repeat each other, and 400 modules of torch itself "
        "(2.15) beside them:\n\n" + repetition.table({"training answers": repeated, "torch": repetition.TORCH})
    )


def _limits(facts: Mapping[str, Any], measured: Measures) -> str:
    lines = [
        "## Limits\n",
        "The diversity of the texts is limited: prompts are generated from templates, and files of one architecture "
        "differ only in their schedules. An accuracy is that of a single run, identified by `result_id`.\n",
    ]
    if measured.exposures:
        lines += [
            f"What stands in training of the answers of at least {LINES} lines in the other splits, for a sample of "
            "each task: answers in full, in a prompt or a completion, and distinct runs of "
            f"{exposure.GRAM} tokens (`\\w+|[^\\w\\s]`). It is reported; nothing is filtered by it, because files of "
            "one network share all but their schedule.\n",
            exposure.table(measured.exposures),
        ]
    if measured.near:
        lines += [
            f"Sampled answers of tests that are near-duplicates of an answer of training: MinHash, at least "
            f"{near_duplicates.SIMILAR:g} of the runs of {near_duplicates.RUN} tokens in common.\n",
            near_duplicates.table(measured.near),
        ]
    counts = facts["counts"]
    lines += [f"- left out: {reason}: {count:,}" for reason, count in counts["left_out"].items()]
    if facts["arguments"]["max_tokens"] is not None:
        limit = facts["arguments"]["max_tokens"]
        lines.append(
            f"- {counts['too_long']:,} rows of more than {limit:,} tokens are in `too_long.jsonl`, untruncated"
        )
    if benchmarks := facts["arguments"]["decontaminate"]:
        names = ", ".join(benchmark["name"] for benchmark in benchmarks)
        lines.append(f"- decontaminated against {names}: no row shares {GRAM} consecutive words with them")
    return "\n".join(lines) + "\n"
