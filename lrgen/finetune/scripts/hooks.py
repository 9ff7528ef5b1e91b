"""The lines that a schedule adds to a training script, by place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hooks:
    """The lines of a schedule in a training script; without any, there is no schedule.

    Attributes:
        imports: modules with the names that are imported from them; none for the module itself.
        definitions: functions, classes and constants of the module.
        setup: after the optimizer is made.
        epoch_start: at the start of an epoch.
        before_update: at the start of a batch.
        after_update: after the optimizer's step.
        epoch_end: at the end of an epoch.
    """

    imports: tuple[tuple[str, tuple[str, ...]], ...] = ()
    definitions: str = ""
    setup: tuple[str, ...] = ()
    epoch_start: tuple[str, ...] = ()
    before_update: tuple[str, ...] = ()
    after_update: tuple[str, ...] = ()
    epoch_end: tuple[str, ...] = ()


NONE = Hooks()
