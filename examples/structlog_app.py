"""A shop that logs by structlog: its lines on stdout as JSON, its events to RudderStack.

Run it: RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=... python examples/structlog_app.py
"""

from __future__ import annotations

import asyncio
import logging

import structlog

from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.structlog import RudderProcessor

logging.getLogger().addHandler(RudderHandler())
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        RudderProcessor(),  # before all that changes the event, and before the renderer
        structlog.processors.add_log_level,
        structlog.processors.JSONRenderer(),
    ],
)
log = structlog.get_logger()


async def checkout(user_id: str) -> None:
    """All events of a task have its user."""
    with bind(user_id=user_id):
        log.info("Cart Viewed", rudder={})
        await log.ainfo("Order Completed", items=3, rudder={"properties": {"revenue": 49.9}})


async def main() -> None:
    """Two visitors at once."""
    await asyncio.gather(checkout("42"), checkout("43"))


asyncio.run(main())
