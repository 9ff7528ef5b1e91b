"""Prompts with ground truths for a reward function, for verl: Parquet files with the columns of verl's examples.

``reward_model["ground_truth"]`` is the row (``scored.text_of``).
"""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import scored

NAME = "verl"
SUMMARY = "prompts with ground truths for a reward function (verl)"


def schema() -> Any:
    """Return the columns as a pyarrow schema."""
    import pyarrow

    text, whole = pyarrow.string(), pyarrow.int64()
    message = pyarrow.struct({"role": text, "content": text})
    extra = {"split": text, "index": whole, "id": text, "task": text, "difficulty": text}
    columns = {
        "data_source": text,
        "prompt": pyarrow.list_(message),
        "ability": text,
        "reward_model": pyarrow.struct({"style": text, "ground_truth": text}),
        "extra_info": pyarrow.struct(extra),
    }
    return pyarrow.schema(columns)


def record(row: Row, index: int) -> dict[str, Any]:
    """Return the row as verl reads it; ``index`` is its place in its split."""
    extra = {name: row[name] for name in ("split", "id", "task", "difficulty")}
    return {
        "data_source": row["data_source"],
        "prompt": scored.chat(row),
        "ability": row["ability"],
        "reward_model": {"style": "rule", "ground_truth": scored.text_of(row)},
        "extra_info": extra | {"index": index},
    }
