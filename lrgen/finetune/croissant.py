"""The Croissant 1.0 metadata of a dataset: its files, and the columns of its rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lrgen.finetune import manifest
from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import FIELDS, LICENCE, SCHEMA

NAME = "croissant.json"
TITLE = "Verified PyTorch learning-rate schedules"
KEYWORDS = ("code", "pytorch", "learning-rate", "verified")
_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}
_MEDIA_TYPES = {".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
# The context of Croissant 1.0, appendix 1: whole, since readers warn of any other.
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def text(folder: Path, facts: Mapping[str, Any]) -> str:
    """Return the Croissant 1.0 metadata; the publisher adds ``url`` and ``datePublished``."""
    data = [path for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES]
    files = [_file_object(path.relative_to(folder).as_posix(), manifest.entry(path), path.suffix) for path in data]
    parquet_set = {
        "@type": "cr:FileSet",
        "@id": parquet.NAME,
        "name": parquet.NAME,
        "description": "all columns of all rows, one file per split",
        "encodingFormat": _MEDIA_TYPES[".parquet"],
        "includes": f"{parquet.NAME}/*.parquet",
    }
    whole = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "lrgen",
        "description": f"{TITLE}: {facts['counts']['rows']} rows for fine-tuning language models on PyTorch code.",
        "license": f"https://spdx.org/licenses/{LICENCE}.html",
        "version": f"{SCHEMA}.0.0",
        "inLanguage": "en",
        "keywords": list(KEYWORDS),
        "distribution": [*files, parquet_set],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "key": {"@id": "rows/id"},
                "field": [_field(field.name, field.meaning, _TYPES[field.type]) for field in FIELDS],
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


def _field(name: str, meaning: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"rows/{name}",
        "name": name,
        "description": meaning,
        "dataType": kind,
        "source": {"fileSet": {"@id": parquet.NAME}, "extract": {"column": name}},
    }
