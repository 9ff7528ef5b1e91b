"""Reads an export with LEMUR's own client, in nn-dataset's environment and an empty folder.

    PYTHON_OF_THE_CLIENT lemur_reader.py EXPORT > tables.json

The export is copied over a copy of the client, which reads it like its own statistics: when ``ab.nn.api`` is imported
and no database exists. The output holds the rows of the client's ``data`` and those of ``lemur_rows``.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import lemur_client


def main() -> None:
    """Set up the client, import its API, and write its rows."""
    folder, repository = Path.cwd(), Path(__file__).resolve().parent.parent.parent
    lemur_client.copy_client(folder)
    shutil.copytree(sys.argv[1], folder / "ab" / "nn", dirs_exist_ok=True)
    (folder / "ab" / "nn" / "metric" / "acc.py").write_text(lemur_client.ACCURACY)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), HF_HUB_OFFLINE="1", XDG_CACHE_HOME=str(folder / ".cache"))
    sys.path[0] = str(folder)
    sys.path.append(str(repository))
    lemur_client.stay_in(folder)
    with contextlib.redirect_stdout(sys.stderr):
        from ab.nn.api import data

        from lrgen.lemur.names import lemur_rows

        tables = {"data": data().to_dict("records"), "lemur_rows": lemur_rows(dataset="digits")}
    sys.stdout.write(json.dumps(tables))


if __name__ == "__main__":
    main()
