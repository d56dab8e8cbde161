"""`rudder-logging codegen`: a typed function for each event of a tracking plan.

In comes a plan, out goes one module, which calls this package. It is the same for the same plan.

- `command.py`: the words of the command, and its files
- `module.py`: the functions, and what stands around them
- `types.py`: annotations, and the types that the module defines
- `names.py`: names of a plan as names in Python
- `layout.py`: code as formatters leave it
"""

from __future__ import annotations

from .command import codegen

__all__ = ["codegen"]
