"""Short files for the tests of the static layer."""

import textwrap


def snippets(text: str) -> dict[str, str]:
    """The files of a text by their titles: each begins with a line ``# title``, and a line ``---`` ends it."""
    files = {}
    for part in textwrap.dedent(text).strip().split("\n---\n"):
        title, code = part.split("\n", 1)
        assert title.startswith("# "), title
        assert title[2:] not in files, title
        files[title[2:]] = code + "\n"
    return files
