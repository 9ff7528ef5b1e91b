"""Hyperparameters and variants that were renamed before 0.2, such as ``warmup`` to ``warmup_fraction``: old to new.

Results stored or exported under an old name are translated. Where a caller or a template uses an old name, the error
gives the new one.
"""

import functools
from collections.abc import Container, Mapping
from typing import Any

# Old name: the new name, and the variants that had the old one. Entries are never removed: old databases need them.
RENAMED: Mapping[str, tuple[str, str]] = {
    "amplitude": ("final_lr_ratio", "150"),
    "cooldown": ("cooldown_fraction", "158"),
    "cycle": ("cycle_fraction", "116 120 122 123"),
    "decay": ("decay_fraction", "62 102 126 130 132-138 142-146 148 151 162"),
    "decay_end": ("decay_end_fraction", "99 100"),
    "drop_at": ("milestone_fraction", "30 169"),
    "echo_peak": ("echo_peak_ratio", "112"),
    "echo_start": ("echo_start_fraction", "112"),
    "echo_warmup": ("echo_warmup_fraction", "112"),
    "explore": ("explore_fraction", "141"),
    "final_amplitude": ("final_amplitude_ratio", "12 123"),
    "final_ratio": ("final_lr_ratio", "168"),
    "first_cycle": ("first_cycle_fraction", "8 9 87 107-111 113-115"),
    "first_level": ("first_knot_ratio", "171"),
    "flat": ("flat_fraction", "140 149"),
    "half_cycle": ("half_cycle_fraction", "10-12 28 117-119 121 131"),
    "hold": ("hold_fraction", "139 152"),
    "horizon_ratio": ("horizon_fraction", "79 80"),
    "lr_batches": ("lr_batches_fraction", "153"),
    "lr_epochs": ("lr_epochs_fraction", "153"),
    "midpoint": ("midpoint_fraction", "82"),
    "noise_pct": ("noise_ratio", "167"),
    "noise_start": ("noise_start_fraction", "167"),
    "patience": ("patience_fraction", "31-33 157-164"),
    "peak": ("max_lr_ratio", "120"),
    "peak_at": ("peak_fraction", "127"),
    "plateau": ("plateau_ratio", "142 146"),
    "rebound": ("rebound_ratio", "65"),
    "restart_warmup": ("restart_warmup_fraction", "113"),
    "rise": ("rise_fraction", "116"),
    "second_level": ("second_knot_ratio", "171"),
    "second_peak": ("second_peak_ratio", "128"),
    "shortest_cycle": ("shortest_cycle_fraction", "114"),
    "smallest_curvature": ("min_curvature_ratio", "166"),
    "smoothing": ("ema_decay", "160"),
    "start": ("initial_lr_ratio", "161 165"),
    "swa_ratio": ("final_lr_ratio", "34 35 170"),
    "swa_start": ("anneal_start_fraction", "34 35 170"),
    "swa_start_fraction": ("anneal_start_fraction", "34 35 170"),
    "timescale": ("timescale_fraction", "148"),
    "unfrozen_by": ("unfreeze_fraction", "174"),
    "valley_at": ("valley_fraction", "128"),
    "warmup": (
        "warmup_fraction",
        "13-16 21 27 35-40 42-53 55-59 62 63 72 84 85 89 94-96 99-106 113 124-126 129 130 132-139 141-148 150-153 159 "
        "168 169 171-173 176 177",
    ),
    "window": ("window_fraction", "163"),
}

# Variants that were renamed before 0.2: old name, new name; the catalogue has the old one as ``former_name``.
VARIANTS: Mapping[str, str] = {
    "SWALR_cosine_base": "cosine_anneal_to_constant",
    "SWALR_linear_base": "warmup_anneal_to_constant",
    "cosine_then_swa_half": "cosine_anneal_to_half",
}


def new_name(name: str, declared: Container[str]) -> str | None:
    """The new name of an old hyperparameter, where it is among the ``declared`` ones; None for any other name."""
    new, _ = RENAMED.get(name, (None, ""))
    return new if new in declared else None


def hint(name: str, declared: Container[str]) -> str:
    """The end of an error about an unknown hyperparameter: its new name, or nothing where it was not renamed."""
    new = new_name(name, declared)
    return f": it is called {new} now" if new else ""


def translated(scheduler_type: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a stored or imported result under their new names, in the same order.

    A value that already stands under its new name stays, and so does every name that the variant never had.
    """
    renamed = {name: new for name, new in _of_variant(scheduler_type).items() if new not in hyperparameters}
    return {renamed.get(name, name): value for name, value in hyperparameters.items()}


def as_read(scheduler_type: str, hyperparameters: Mapping[str, Any], quoted: Container[bytes]) -> dict[str, Any]:
    """The hyperparameters under the names that are ``quoted`` in a file: the old ones in one of an earlier version."""
    changed = _of_variant(scheduler_type).items()
    old = {new: name for name, new in changed if name.encode() in quoted and new.encode() not in quoted}
    return {old.get(name, name): value for name, value in hyperparameters.items()}


@functools.cache
def _of_variant(scheduler_type: str) -> Mapping[str, str]:
    """The old names of a variant (``A0_037``), each with its new one; empty for any other file."""
    digits = scheduler_type.removeprefix("A0_")
    if digits == scheduler_type or not (digits.isascii() and digits.isdecimal()):
        return {}
    return {name: new for name, (new, numbers) in RENAMED.items() if _lists(numbers, int(digits))}


def _lists(numbers: str, number: int) -> bool:
    """Whether a number stands in a list such as ``10-12 28``."""
    bounds = (part.partition("-") for part in numbers.split())
    return any(int(first) <= number <= int(last or first) for first, _, last in bounds)
