"""Compression of uploads: by isal where it is installed (the extra `fast`), else by zlib.

Of an upload of 8,000 events, zlib makes 28.1 bytes an event in 0.75 us at level 1, 26.4 in 0.77 at
level 3, 21.7 in 1.71 at level 6; isal 24.9 in 0.12 at its level 1; zlib-ng 26.1 in 0.31 at its 2.
"""

from __future__ import annotations

import zlib

__all__ = ["by_zlib", "compress"]

_FORMAT = 31  # gzip's, with the largest window
_ZLIB_LEVEL = 3
_ISAL_LEVEL = 1


def by_zlib(body: bytes) -> bytes:
    """The body in the gzip format."""
    compressor = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _FORMAT)
    return compressor.compress(body) + compressor.flush()


compress = by_zlib
"""The same, by the fastest library that is there."""

try:
    from isal import isal_zlib
except ImportError:
    pass
else:

    def _by_isal(body: bytes) -> bytes:
        return isal_zlib.compress(body, _ISAL_LEVEL, _FORMAT)

    compress = _by_isal
