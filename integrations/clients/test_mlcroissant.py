"""mlcroissant finds the metadata valid, and reads every row by them."""

import json

import mlcroissant

from integrations.clients import lines, run


def test_the_metadata_are_valid(dataset):
    """The validator accepts them, and misses only what the publisher adds."""
    output = run("mlcroissant", "validate", "--jsonld", dataset / "croissant.json")
    assert output.count("is recommended, but does not exist") == 2
    assert "datePublished" in output
    assert "not standard" not in output


def test_the_records_are_the_rows(dataset):
    """The records have the ids, prompts and completions of all rows."""
    metadata = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))
    records = {record["rows/id"].decode(): record for record in metadata.records(record_set="rows")}
    splits = json.loads((dataset / "manifest.json").read_text())["counts"]["splits"]
    rows = [json.loads(line["label"]) for split in splits for line in lines(dataset, "openrlhf", split)]
    assert len(records) == len(rows) == sum(splits.values())
    for row in rows:
        record = records[row["id"]]
        for name in ("task", "split", "system", "prompt", "completion", "checker"):
            assert record[f"rows/{name}"].decode() == row[name]
        assert int(record["rows/prompt_chars"]) == len(row["prompt"])
