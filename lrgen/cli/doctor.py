"""``lrgen doctor``: versions, hardware and settings of this machine."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from lrgen import catalogue, config
from lrgen.cli.options import AsJson
from lrgen.cli.printing import print_facts, print_json
from lrgen.errors import IsolationError
from lrgen.verify import isolation
from lrgen.version import __version__

_PACKAGES = ("torch", "black", "jinja2", "sqlalchemy", "scikit-learn", "numpy", "pandas", "typer", "pydantic")


def doctor(as_json: AsJson = False) -> None:
    """Print versions, hardware and settings for a bug report.

    Example: lrgen doctor --json
    """
    facts = report(config.load())
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def report(settings: config.Settings) -> dict[str, Any]:
    """The name of each fact and its value: versions, hardware, settings."""
    loaded = catalogue.of(settings)
    facts: dict[str, Any] = {
        "lrgen": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GiB",
        "fork": hasattr(os, "fork") and hasattr(os, "pidfd_open"),
    }
    try:
        facts["sandbox"] = isolation.available().value
    except IsolationError as error:
        facts["sandbox"] = str(error)
    for package in _PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            facts[package] = "missing"
    try:
        import torch

        count = torch.cuda.device_count()
        facts["cuda"] = ", ".join(torch.cuda.get_device_name(i) for i in range(count)) or "no device"
    except ImportError as error:
        facts["cuda"] = f"torch cannot be imported: {error}"
    facts |= {
        "architectures": len(loaded.architectures),
        "variants": len(loaded.variants),
        "catalogue": loaded.digest[:16],
        "configuration": str(config.find_file(Path.cwd()) or "none"),
        "active model": settings.active_model,
        "database": settings.db,
        "output": str(settings.out),
        "switched off": ", ".join(name for name, on in settings.features.items() if not on) or "nothing",
    }
    return facts
