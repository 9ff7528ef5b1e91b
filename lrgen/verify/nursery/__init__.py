"""The nursery: the process that the files under test are forked from, and the code that runs beside them.

The nursery is started by exec and has nothing of lrgen: the modules of this package, of ``sandbox`` and the loader of
training batches are sent to it as text, under the package name ``beside``. It imports torch once and never computes
before a fork. It forks a process for each file (``host``), which obeys narrow commands over a socket (``driver``). What
is expected of a file, and every comparison, stays in the examiner's process (lrgen.verify.session).
"""
