"""Lets LEMUR's own client read an export; runs in nn-dataset's environment, in an empty folder::

    PYTHON_OF_THE_CLIENT lemur_reader.py EXPORT > found.json

A copy of the client gets the export laid over it, and finds it as it finds its own statistics: when ``ab.nn.api`` is
imported and there is no database yet. What is found are the rows of its ``data``, and what lrgen.lemur.names makes of
them.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import lemur_client


def main() -> None:
    """Set the client up, import its API, and write what it has."""
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

        found = {"data": data().to_dict("records"), "lemur_rows": lemur_rows(dataset="digits")}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
