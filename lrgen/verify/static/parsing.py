"""A lock for the parser: in CPython 3.11 threads that build syntax trees at once disturb each other's depth count."""

import threading

LOCK = threading.RLock()
