"""What it was measured on, and with."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rudder_logging import __version__

from .clients import CLIENTS

__all__ = ["describe", "missing_packages"]

_PEERS = [client.package for client in CLIENTS.values() if client.package]
_PARTS = ("orjson", "requests", "urllib3", "python-json-logger")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), platform.processor() or platform.machine())


def _memory() -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{memory / 2**30:.0f} GiB"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def missing_packages() -> list[str]:
    """Those of the extra `bench` that are not installed."""
    return [package for package in (*_PEERS, "celery", "matplotlib") if _version(package) is None]


def describe(packages: Sequence[str] = (*_PEERS, *_PARTS)) -> dict[str, str]:
    """Machine and versions, of these packages too, each by its name."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "rudder_logging": __version__,
        **{package: _version(package) or "none" for package in packages},
    }
