"""Whichever library compresses uploads, any server can read them."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable

import pytest

from rudder_logging.sinks.gateway import compression

BODIES = [b"", b"{}", b'{"batch":[' + b'{"userId":"u"},' * 300_000 + b"]}"]


@pytest.mark.parametrize("body", BODIES, ids=len)
@pytest.mark.parametrize(
    "compress", [compression.by_zlib, compression.compress], ids=["zlib", "fastest"]
)
def test_what_is_compressed_is_gzip(compress: Callable[[bytes], bytes], body: bytes) -> None:
    """As the header Content-Encoding says."""
    assert gzip.decompress(compress(body)) == body
    assert len(compress(body)) < len(body) / 10 + 30


@pytest.mark.parametrize("is_there", [True, False])
def test_isal_is_used_where_it_is_installed(*, is_there: bool) -> None:
    """And missed by nobody where it is not."""
    program = f"""
import sys
if not {is_there}:
    sys.modules["isal"] = None
from rudder_logging.sinks.gateway import compression
print(compression.compress is compression.by_zlib)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{not is_there}\n"
