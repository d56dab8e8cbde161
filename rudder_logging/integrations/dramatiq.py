"""dramatiq: what is bound where a message is sent is bound where its actor runs.

broker = RedisBroker()
install(broker)
"""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.broker import Broker, MessageProxy

from .. import dump_bound, load_bound
from ..common.wired import wired
from ..events.scopes import bound_fields

__all__ = ["OPTION", "RudderMiddleware", "install"]

OPTION = "rudder_logging"
"""The option of a message that says what was bound."""
_SCOPE = "_rudder_logging_scope"


def install(broker: Broker | None = None) -> None:
    """Have what is bound where a message is sent bound while its actor runs.

    Call it where the broker is made, so that it is called in workers and in whoever sends messages.
    A second call changes nothing.

    Args:
        broker: None: the one that actors get if none is given to them.

    .. versionadded:: 0.1.0
    """
    wired.add("dramatiq")
    broker = dramatiq.get_broker() if broker is None else broker
    if any(isinstance(one, RudderMiddleware) for one in broker.middleware):
        return
    # The first one begins first and ends last: others send messages then, the next of a pipeline.
    first = type(broker.middleware[0]) if broker.middleware else None
    broker.add_middleware(RudderMiddleware(), before=first)


class RudderMiddleware(dramatiq.Middleware):
    """Has bound fields travel in messages: see `install`.

    .. versionadded:: 0.1.0
    """

    def before_enqueue(self, broker: Broker, message: Any, delay: int | None) -> None:  # noqa: ARG002
        """Say in the message what is bound; a retry has it already."""
        if OPTION not in message.options and bound_fields():
            message.options[OPTION] = dump_bound()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Bind what the message says."""
        scope = vars(message)[_SCOPE] = load_bound(message.options.get(OPTION))
        scope.__enter__()

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        """End that, however the actor has ended."""
        self._end(message)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """End that: another middleware has skipped the message."""
        self._end(message)

    def _end(self, message: MessageProxy) -> None:
        scope = vars(message).pop(_SCOPE, None)
        if scope is not None:
            scope.__exit__(None, None, None)
