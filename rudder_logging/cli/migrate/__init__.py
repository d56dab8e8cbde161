"""`rudder-logging migrate`: from RudderStack's or Segment's SDK to this package. Needs libcst.

In come Python files; out come their changes as a diff, or in place, and remarks on what is left.

- `command.py`: the flags, and what is printed
- `files.py`: which files there are, and which change
- `names.py`: the SDKs, and what their names are called here
- `uses.py`: what a name in a source refers to
- `rewriting.py`: imports and names; `calls.py`: a call's arguments; `texts.py`: names in strings
- `remarks.py`: what has to be done by hand; `dependencies.py`: in files that name what to install
"""

from __future__ import annotations

from .command import migrate

__all__ = ["migrate"]
