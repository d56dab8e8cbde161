"""Processes that are frozen, or killed, as soon as their function has returned."""

from __future__ import annotations

import signal

from .stage import PRELUDE, Stage, wait_until

__all__ = ["frozen", "killed"]

_FUNCTION = """
import rudder_logging
class Context:
    def get_remaining_time_in_millis(self):
        return 10_000
@rudder_logging.flushing()
def function(numbers, context):
    log(numbers)
"""


def killed(stage: Stage) -> None:
    """SIGKILL right after the return."""
    stage.run(
        "function(range(100), Context())\nos.kill(os.getpid(), signal.SIGKILL)",
        PRELUDE + _FUNCTION,
        code=-signal.SIGKILL,
        upload_interval=60,
    )


def frozen(stage: Stage) -> None:
    """SIGSTOP after each return, for longer than the server keeps the connection; then SIGKILL."""
    process = stage.start_script(
        """
        for n in range(3):
            function(range(10 * n, 10 * n + 10), Context())
            os.kill(os.getpid(), signal.SIGSTOP)
        """,
        PRELUDE + _FUNCTION,
        upload_interval=60,
    )
    for call in range(1, 4):
        wait_until(lambda: process.is_stopped, "the process to be frozen")
        assert len(stage.account().delivered) == 10 * call
        stage.replace_plane()
        process.signal(signal.SIGCONT if call < 3 else signal.SIGKILL)
    process.wait(-signal.SIGKILL)
    assert process.stderr == ""
