"""A shop in aiohttp: its events know the visitor, the address and the page.

Run it: python examples/aiohttp_app.py (with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set)
"""

from __future__ import annotations

import logging
import sys

from aiohttp import web

from rudder_logging import RudderHandler, current
from rudder_logging.integrations.aiohttp import middleware

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
shop = logging.getLogger("shop")


async def product(request: web.Request) -> web.Response:
    """Show a product."""
    if (token := request.cookies.get("token")) is not None:  # yours asks your sessions
        current().set(user_id=token.removeprefix("token-of-"))
    sku = request.match_info["sku"]
    shop.info("Product Viewed", extra={"rudder": {"properties": {"sku": sku}}})
    return web.Response(text=sku)


app = web.Application(middlewares=[middleware()])
app.router.add_get("/products/{sku}", product)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int((sys.argv[1:] or ["8080"])[0]))
