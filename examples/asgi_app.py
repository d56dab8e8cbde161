"""A chat without a framework: one scope a WebSocket connection.

Run it: uvicorn examples.asgi_app:app (with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set)
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rudder_logging import RudderHandler
from rudder_logging.integrations.asgi import RudderMiddleware

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
log = logging.getLogger("chat")


async def chat(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answer HTTP with a page, and a WebSocket with whatever it says."""
    if scope["type"] == "http":
        log.info("Chat Opened", extra={"rudder": {}})
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"Let us talk."})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            log.info("Message Sent", extra={"rudder": {}})
            await send({"type": "websocket.send", "text": message["text"]})
        log.info("Chat Left", extra={"rudder": {"properties": {"code": message["code"]}}})


app = RudderMiddleware(chat)
