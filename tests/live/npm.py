"""RudderStack's SDKs for browsers and for Node, from npm."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["BROWSER_SDK", "NODE_SDK", "install"]

BROWSER_SDK = "@rudderstack/analytics-js"
NODE_SDK = "@rudderstack/rudder-sdk-node"
_VERSIONS = {BROWSER_SDK: "3.34.1", NODE_SDK: "3.0.13"}
_PATIENCE = 120.0


def install(cache: Path) -> Path:
    """The directory of the packages, which are fetched once; where that can't be, skip the test.

    Args:
        cache: A directory that all workers of a run share.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm: install Debian's npm to run the tests with RudderStack's other SDKs")
    wanted = [f"{name}@{version}" for name, version in _VERSIONS.items()]
    home = cache / "-".join(_VERSIONS.values())
    home.mkdir(exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / "done"
        if not done.exists():
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1")
            try:
                subprocess.run(
                    [npm, "install", *options, "--prefix", str(home), *wanted],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=_PATIENCE,
                )
            except subprocess.SubprocessError as error:
                pytest.skip(f"npm could not fetch {wanted}: {getattr(error, 'stderr', '')}")
            done.touch()
    return home / "node_modules"
