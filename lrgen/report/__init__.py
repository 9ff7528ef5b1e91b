"""A static page of what was measured: one file, nothing from a network, no script.

``contents`` is what it says, ``drawing`` its lines, ``page`` the file.
"""

from lrgen.report.contents import Report, gather
from lrgen.report.page import render, write

__all__ = ["Report", "gather", "render", "write"]
