"""``python -m lrgen``."""

from lrgen.cli import main

main()
