"""The card of a dataset: ``README.md`` with the header that the Hub reads, and Croissant's description."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from lrgen.finetune import formats, manifest, statistics
from lrgen.finetune.decontamination import GRAM
from lrgen.finetune.formats import parquet
from lrgen.finetune.overlap import LINES, Overlap
from lrgen.finetune.rows import FIELDS, LICENCE, SCHEMA, table

README = "README.md"
CROISSANT = "croissant.json"
TITLE = "Verified PyTorch learning-rate schedules"
_KEYWORDS = ("code", "pytorch", "learning-rate", "verified")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_CROISSANT_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}
_MEDIA_TYPES = {".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
# Croissant 1.0, appendix 1: the terms that are used here.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "includes": "cr:includes",
    "key": "cr:key",
    "recordSet": "cr:recordSet",
    "source": "cr:source",
}
_SPLITS = {
    "train": "to learn from",
    "validation": "other groups, to choose by",
    "test": "other groups, to test with",
    "test_architectures": "networks that are in no other split",
    "test_families": "families of schedules that are in no other split",
}
_LEVELS = {
    "contract": "the file was imported, built and trained for a step in the way in which other programs use it",
    "schedule": "its learning rate was compared, step by step, with a closed formula that shares no code with it",
    "training": "it was trained on real data, and learnt",
}


def write(
    folder: Path,
    facts: Mapping[str, Any],
    tally: statistics.Tally,
    overlaps: Sequence[Overlap],
    summaries: Mapping[str, str],
) -> None:
    """Write both for a folder whose data lie there already."""
    (folder / CROISSANT).write_text(_croissant(folder, facts), encoding="utf-8")
    parts = (
        _header(folder, tally.total),
        f"# {TITLE}\n",
        _introduction(facts, tally),
        _verification(facts, tally),
        f"## Tasks and splits\n\n{statistics.split_table(tally)}",
        _tasks(tally, summaries),
        _splits(facts, tally),
        f"## Columns\n\nSchema {SCHEMA}; `parquet/` holds all of them.\n\n{table()}",
        _formats(folder),
        _limits(facts, overlaps),
        f"## Licence\n\n{LICENCE}, the code in it as well.\n",
    )
    (folder / README).write_text("\n".join(parts), encoding="utf-8")


def _header(folder: Path, rows: int) -> str:
    size = next((name for limit, name in _SIZES if rows < limit), "1M<n<10M")
    lines = ["---", "license: mit", "language:", "- en", f"pretty_name: {TITLE}", "size_categories:", f"- {size}"]
    lines += ["task_categories:", "- text-generation", "tags:", *(f"- {word}" for word in _KEYWORDS), "configs:"]
    # The Hub reads a folder in one file format: lines of JSON are loaded by their files (docs/finetuning.md).
    lines += ["- config_name: default", "  data_files:"]
    files = _data_files(folder, parquet.NAME)
    lines += [line for split, path in files.items() for line in (f"  - split: {split}", f"    path: {path}")]
    return "\n".join([*lines, "---", ""])


def _data_files(folder: Path, name: str) -> dict[str, str]:
    """By split the path of a format's file."""
    file_of = {one.NAME: one.file_of for one in formats.LINES}.get(name, parquet.file_of)
    paths = {split: f"{name}/{file_of(split)}" for split in _SPLITS}
    return {split: path for split, path in paths.items() if (folder / path).is_file()}


def _introduction(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    networks = len(tally.architectures.keys() - {""})
    families = len(tally.families.keys() - {""})
    return f"""\
{tally.total:,} examples for fine-tuning language models on PyTorch code. They stand on \
{facts["corpus"]["files"]:,} training modules, each a network with a learning-rate schedule (architectures: \
{networks}, families of schedules: {families}). Written by lrgen {facts["lrgen"]} with seed \
{facts["arguments"]["seed"]}; the same files, arguments and versions give the same bytes. `lrgen dataset check` says \
whether a copy is what it claims to be.

See [{statistics.PAGE}]({statistics.PAGE}) for what is in it, and [{manifest.NAME}]({manifest.NAME}) for how it was \
made.
"""


def _verification(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    lines = [
        "## How it was verified\n",
        "Every file was executed before it was published, and its very bytes passed these checks, each on top of the "
        "ones before:\n",
    ]
    lines += [
        f"- `{level}` ({count:,} rows): {what}" for level, what in _LEVELS.items() if (count := tally.levels[level])
    ]
    if none := tally.levels[""]:
        lines.append(f"- {none:,} rows stand on no file: their answers are computed")
    ineligible = facts["corpus"]["ineligible"]
    left_out = f"; {ineligible:,} files that had not passed it were left out" if ineligible else ""
    lines.append(
        f"\nThe build asked for `{facts['arguments']['level']}` at least{left_out}. `result_id` is the run in the "
        "results database, `evidence` says how the very answer was verified.\n"
    )
    return "\n".join(lines)


def _tasks(tally: statistics.Tally, summaries: Mapping[str, str]) -> str:
    known = {task: summaries[task] for task in tally.by_task() if task in summaries}
    return "\n".join(f"- **{task}**: {summary}" for task, summary in known.items()) + "\n"


def _splits(facts: Mapping[str, Any], tally: statistics.Tally) -> str:
    lines = [
        "Rows are split by group, never one by one: an architecture with a family, or the family alone where the "
        "answer is the same for every network. Families whose schedules are equal somewhere are one group.\n"
    ]
    lines += [
        f"- `{split}`, {_SPLITS[split]}: {count:,} rows of {len(tally.groups.get(split, ())):,} groups"
        for split, count in tally.by_split().items()
    ]
    held_out = facts["held_out"]
    names = [*held_out["families"], *held_out["architectures"]]
    return "\n".join(lines) + (f"\n\nHeld out: {', '.join(names)}.\n" if names else "\n")


def _formats(folder: Path) -> str:
    there = [one for one in formats.LINES if (folder / one.NAME).is_dir()]
    lines = [f"- `{one.NAME}/`: {one.SUMMARY}" for one in there]
    lines.append(f"- `{parquet.NAME}/`: {parquet.SUMMARY}")
    return "## Formats\n\n" + "\n".join(lines) + "\n"


def _limits(facts: Mapping[str, Any], overlaps: Sequence[Overlap]) -> str:
    lines = [
        "## Limits\n",
        "The texts are of few kinds: prompts are phrased by rules, and files of one network differ in their schedules "
        "alone. An accuracy is that of a single run; the results database says of which, by `result_id`.\n",
    ]
    if overlaps:
        lines += [
            f"How near the other splits are to the training split, for a sample of answers of more than {LINES} lines: "
            "the similarity (MinHash, runs of five words) of the nearest sampled training answer, and how many answers "
            "stand whole inside a training text. This is reported and not filtered by: schedules of one network are "
            "near-duplicates as texts, and a whole file holds the answer to a question about a part of it.\n",
            "| split | answers | median similarity | greatest | inside a training text |\n|---|---:|---:|---:|---:|",
        ]
        for one in overlaps:
            share = f"{one.inside} ({one.inside / one.answers:.0%})"
            lines.append(f"| {one.split} | {one.answers} | {one.median:.2f} | {one.greatest:.2f} | {share} |")
        lines.append("")
    counts = facts["counts"]
    lines += [f"- left out: {count:,} {reason}" for reason, count in counts["left_out"].items()]
    if facts["arguments"]["max_tokens"] is not None:
        most = facts["arguments"]["max_tokens"]
        lines.append(f"- {counts['too_long']:,} rows of more than {most:,} tokens are in a file of their own, uncut")
    if benchmarks := facts["arguments"]["decontaminate"]:
        names = ", ".join(one["name"] for one in benchmarks)
        lines.append(f"- compared with {names}: no row shares {GRAM} words in a row with them")
    return "\n".join(lines) + "\n"


def _croissant(folder: Path, facts: Mapping[str, Any]) -> str:
    """Croissant 1.0. Where and when the dataset is published (``url``, ``datePublished``) is the publisher's to add."""
    data = [path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES]
    files = [_file_object(path.relative_to(folder).as_posix(), manifest.entry(path), path.suffix) for path in data]
    parquet_set = {
        "@type": "cr:FileSet",
        "@id": parquet.NAME,
        "name": parquet.NAME,
        "description": "all columns of all rows, a file a split",
        "encodingFormat": _MEDIA_TYPES[".parquet"],
        "includes": f"{parquet.NAME}/*.parquet",
    }
    whole = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "lrgen",
        "description": f"{TITLE}: {facts['counts']['rows']} examples for fine-tuning language models on PyTorch code.",
        "license": f"https://spdx.org/licenses/{LICENCE}.html",
        "version": f"{SCHEMA}.0.0",
        "inLanguage": "en",
        "keywords": list(_KEYWORDS),
        "distribution": [*files, parquet_set],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "key": {"@id": "rows/id"},
                "field": [_croissant_field(one.name, one.meaning, _CROISSANT_TYPES[one.type]) for one in FIELDS],
            }
        ],
    }
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode() + "\n"


def _file_object(name: str, entry: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": _MEDIA_TYPES[suffix],
        "sha256": entry["sha256"],
    }


def _croissant_field(name: str, meaning: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"rows/{name}",
        "name": name,
        "description": meaning,
        "dataType": kind,
        "source": {"fileSet": {"@id": parquet.NAME}, "extract": {"column": name}},
    }
