"""``lrgen doctor``: what a bug report should say of this machine."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from lrgen import catalogue, config
from lrgen.cli.options import AsJson
from lrgen.cli.printing import print_json, print_rows
from lrgen.errors import IsolationError
from lrgen.verify import sandbox
from lrgen.version import __version__

_PACKAGES = ("torch", "black", "jinja2", "sqlalchemy", "scikit-learn", "numpy", "pandas", "typer", "pydantic")


def doctor(as_json: AsJson = False) -> None:
    """What a bug report should say of this machine.

    Example: lrgen doctor --json
    """
    rows = [{"what": key, "value": value} for key, value in report(config.load()).items()]
    if as_json:
        print_json({row["what"]: row["value"] for row in rows})
    else:
        print_rows(rows, ("what", "value"), False)


def report(settings: config.Settings) -> dict[str, Any]:
    """Versions, machine and settings, as plain values."""
    loaded = catalogue.of(settings)
    found: dict[str, Any] = {
        "lrgen": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GiB",
        "fork": hasattr(os, "fork") and hasattr(os, "pidfd_open"),
    }
    try:
        found["sandbox"] = sandbox.available().value
    except IsolationError as error:
        found["sandbox"] = str(error)
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    try:
        import torch

        count = torch.cuda.device_count()
        found["cuda"] = ", ".join(torch.cuda.get_device_name(i) for i in range(count)) or "no device"
    except ImportError as error:
        found["cuda"] = f"torch cannot be imported: {error}"
    found |= {
        "architectures": len(loaded.architectures),
        "variants": len(loaded.variants),
        "catalogue": loaded.digest[:16],
        "configuration": str(config.find_file(Path.cwd()) or "none"),
        "active model": settings.active_model,
        "database": settings.db,
        "output": str(settings.out),
        "switched off": ", ".join(name for name, on in settings.features.items() if not on) or "nothing",
    }
    return found
