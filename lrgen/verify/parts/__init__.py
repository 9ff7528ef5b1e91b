"""Parts of rendered files that are executed once: networks, schedules, and training methods with a schedule.

A rendered file consists of a network, a schedule and training methods. Where these are separate (``separate``), what
was executed for a part holds for every file that has it (``evidence``): the contract once for a network, traces of
``make_scheduler`` once for a schedule, runs of ``learn`` once for training methods with a schedule, on a small network
(``host``). Each file still builds its own network and makes three updates (checks.wiring).
"""
